"""Draws of the workload: random numbers as a function of who asks for what and the how-manieth time.

Every draw hashes (the tenant's own seed, a purpose, the tenant's own counter), so that
neither other tenants nor the length of chunks can shift it. A tenant's seed depends on the
scenario's seed, the name of its group and its place in it alone.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.spec import TOKENS_MAX
from policies.compile import compiled, inlined, leaf
from policies.draw import mix, normal
from policies.schema import Distribution

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_S12 = np.uint64(12)
_DETERMINISTIC, _EXPONENTIAL, _LOGNORMAL, _GAMMA, _EMPIRICAL = range(5)
_KINDS = {"deterministic": 0, "exponential": 1, "lognormal": 2, "gamma": 3, "empirical": 4}
_SECONDS_MAX = 1e12
_TRIALS_MAX = 1000

DISTRIBUTION = np.dtype(
    [("kind", "<i8"), ("a", "<f8"), ("b", "<f8"), ("at_most", "<f8"), ("first", "<i8"), ("size", "<i8")]
)


def purpose(name: str) -> np.uint64:
    """64 fixed bits for a name: the part of the key that keeps different draws apart."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def spawned_seed(seed: int, *names: str) -> np.uint64:
    """A 64-bit seed for whatever these names name, by `numpy.random.SeedSequence`."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    words = tuple(int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4))
    return np.uint64(np.random.SeedSequence(seed, spawn_key=words).generate_state(1, np.uint64)[0])


def member_seeds(group_seed: np.uint64, count: int) -> NDArray[np.uint64]:
    """Seeds of the `count` tenants of a group, shape (count,)."""
    members = np.arange(1, count + 1, dtype=np.uint64)
    return hash_words(group_seed + members * GOLDEN)


def hash_words(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser over an array of words."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def uniforms(
    seed: np.uint64 | NDArray[np.uint64], what: np.uint64, numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) for the keys (seed, what, number), the same as `uniform` gives."""
    words = hash_words(numbers.astype(np.uint64) * GOLDEN + seed + what)
    return ((words >> _S12).astype(np.float64) + 0.5) * 2.0**-52


@leaf
def keyed(seed: np.uint64, what: np.uint64, number: int) -> np.uint64:
    """64 random bits for this seed, purpose and number."""
    return mix(seed + what + GOLDEN * np.uint64(number))


@leaf
def uniform(word: np.uint64) -> float:
    """A number in (0, 1) from 64 random bits."""
    return (float(np.int64(word >> _S12)) + 0.5) * (1.0 / 4503599627370496.0)


@leaf
def next_word(word: np.uint64) -> np.uint64:
    """More random bits for the same key."""
    return mix(word + GOLDEN)


@inlined
def gamma_draw(word: np.uint64, shape: float) -> float:
    """Gamma with this shape and scale 1.

    Source: Marsaglia and Tsang, ACM TOMS 26(3), 2000; shapes below 1 by the power of a uniform.
    """
    factor = 1.0
    if shape < 1.0:
        factor = math.exp(math.log(uniform(word)) / shape)
        word = next_word(word)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    for _ in range(_TRIALS_MAX):
        z = normal(uniform(word))
        word = next_word(word)
        v = 1.0 + c * z
        if v > 0.0:
            v = v * v * v
            if math.log(uniform(word)) < 0.5 * z * z + d - d * v + d * math.log(v):
                return factor * d * v
        word = next_word(word)
    return factor * d


@leaf
def sample(distributions: NDArray[np.void], row: int, word: np.uint64) -> float:
    """A draw of distribution `row` from 64 random bits."""
    chosen = distributions[row]
    kind = chosen["kind"]
    if kind == _LOGNORMAL:
        x = math.exp(chosen["a"] + chosen["b"] * normal(uniform(word)))
    elif kind == _DETERMINISTIC:
        x = chosen["a"]
    elif kind == _EXPONENTIAL:
        x = -chosen["a"] * math.log(uniform(word))
    elif kind == _GAMMA:
        x = chosen["b"] * gamma_draw(word, chosen["a"])
    else:
        x = distributions[chosen["first"] + int(uniform(word) * chosen["size"])]["a"]
    return float(min(x, chosen["at_most"]))


@leaf
def sample_tokens(distributions: NDArray[np.void], row: int, word: np.uint64) -> int:
    """A draw in whole tokens, at most TOKENS_MAX."""
    return int(min(sample(distributions, row, word), float(TOKENS_MAX)) + 0.5)


@leaf
def sample_us(distributions: NDArray[np.void], row: int, word: np.uint64) -> int:
    """A draw of a time, in whole microseconds."""
    return int(min(sample(distributions, row, word), _SECONDS_MAX) * 1e6 + 0.5)


@compiled
def mean_of_at_least_one(distributions: NDArray[np.void], row: int, draws: int) -> float:
    """Mean of max(1, the draw rounded), by evenly spread keys: what whole counts really have."""
    total = 0.0
    for number in range(draws):
        total += max(1.0, float(sample_tokens(distributions, row, mix(GOLDEN * np.uint64(number)))))
    return total / draws


class DistributionTable:
    """Collects distributions, each once, and turns them into arrays."""

    def __init__(self) -> None:
        self._rows: dict[Distribution, int] = {}

    def row(self, distribution: Distribution) -> int:
        """Row of this distribution in the arrays."""
        return self._rows.setdefault(distribution, len(self._rows))

    def array(self) -> NDArray[np.void]:
        """The distributions, for compiled code; then the values of empirical ones, one in each `a`."""
        values = [value for distribution in self._rows for value in distribution.values]
        rows = np.zeros(len(self._rows) + len(values), DISTRIBUTION)
        first = len(self._rows)
        rows["a"][first:] = values
        for distribution, at in self._rows.items():
            a, b = _parameters(distribution)
            at_most = math.inf if distribution.at_most is None else distribution.at_most
            kind = _KINDS[distribution.kind]
            if (distribution.mean == 0 and kind != _EMPIRICAL) or (distribution.cv == 0 and kind in (_LOGNORMAL, _GAMMA)):
                kind, a = _DETERMINISTIC, distribution.mean
            rows[at] = (kind, a, b, at_most, first, len(distribution.values))
            first += len(distribution.values)
        return rows


def _parameters(distribution: Distribution) -> tuple[float, float]:
    mean, cv = distribution.mean, distribution.cv
    if distribution.kind == "lognormal" and mean > 0:
        variance = math.log1p(cv * cv)
        return math.log(mean) - variance / 2.0, math.sqrt(variance)
    if distribution.kind == "gamma" and cv > 0:
        return 1.0 / (cv * cv), mean * cv * cv
    return mean, 0.0
