"""Questions to try a policy on, drawn from a fixed seed, so that a policy passes everywhere or nowhere."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from policies.contracts import CONTRACTS, MEMORY, MEMORY_WORDS, PARAMS, Contract
from policies.layout import DIMENSIONS
from policies.routing import NOWHERE, UNIFORM
from policies.rows import Floats, Ints, Rows
from policies.scaling import ADD, RETIRE
from policies.state import CLAIM, DEPLOYMENT, NEVER_US, POOL, REQUEST, ROOM, TENANT

_SEED = 20_261_102
_SIZES = (1, 2, 3, 5, 8, 13, 60)
_NOW_US = 1_793_577_600_000_000      # 2 November 2026
_RANGES = {
    "latency_us": 30_000_000, "in_flight": 50, "performance_pm": 1001, "expected_nano_usd": 10**9, "failures": 5,
    "model": 8, "account": 12, "bucket": 20, "shared": 2, "input_tokens": 100_000, "max_output_tokens": 16_000,
    "complexity_pm": 1001, "attempt": 5, "tier": 3, "wanted": 8, "service_class": 2, "budget_nano_usd": 10**10,
    "weight_milli": 5000, "quality_floor_pm": 1001,
}  # fmt: skip


class Question:
    """One question to a policy. An argument that is one row is the first of the table named in the plural."""

    __slots__ = ()
    contract: ClassVar[Contract]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What a policy is called with. Rows are views: a write shows in the tables."""
        return tuple(self._table(name)[0] if self._is_row(name) else getattr(self, name) for name in self.contract.arguments)

    def _is_row(self, argument: str) -> bool:
        return not hasattr(self, argument)

    def _table(self, argument: str) -> NDArray[Any]:
        table: NDArray[Any] = getattr(self, argument + "s" if self._is_row(argument) else argument)
        return table

    def copy(self) -> Self:
        """The same question, sharing no memory."""
        values = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        return type(self)(*(value.copy() if isinstance(value, np.ndarray) else value for value in values))

    def after(self, memory: Floats) -> Self:
        """The same question, where the policy remembers this of those before."""
        other = self.copy()
        if MEMORY in self.contract.arguments:
            other._table(MEMORY)[:] = memory
        return other

    def changed(self, asked: "Question") -> str:
        """Which argument but memory and the time differs once it was asked, with its field; empty if none does."""
        for name in self.contract.arguments:
            if name in (MEMORY, "now_us"):
                continue
            one, other = self._table(name), asked._table(name)
            if one.tobytes() != other.tobytes():
                differing = [field for field in one.dtype.names or () if one[field].tobytes() != other[field].tobytes()]
                return f"`{name}`" + (f", field {differing[0]!r}" if differing else "")
        return ""

    def why_wrong(self, answer: Any) -> str:
        """What is wrong with an answer, and what would be right; empty if nothing is."""
        if not isinstance(answer, int | np.integer) or isinstance(answer, bool):
            return f"returned {answer!r} ({type(answer).__name__}); must return {self.contract.answer}"
        return self._why_out_of_range(int(answer))

    def _why_out_of_range(self, answer: int) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RoutingQuestion(Question):
    """To which of the candidates does this request go? Tables `requests` and `tenants` have one row."""

    contract: ClassVar[Contract] = CONTRACTS["routing"]

    requests: Rows
    candidates: Ints
    deployments: Rows
    tenants: Rows
    params: Floats
    memory: Floats
    now_us: int

    def after(self, memory: Floats) -> Self:
        """The request's own draw is always of this question."""
        other = Question.after(self, memory)
        other.memory[UNIFORM] = self.memory[UNIFORM]
        return other

    def _why_out_of_range(self, answer: int) -> str:
        if answer == NOWHERE or answer in self.candidates:
            return ""
        return f"returned {answer}; must return one of candidates {self.candidates.tolist()}, or {NOWHERE}"


@dataclass(frozen=True, slots=True)
class ScalingQuestion(Question):
    """Should this pool gain or lose an account? Table `pools` has one row."""

    contract: ClassVar[Contract] = CONTRACTS["scaling"]

    pools: Rows
    params: Floats
    memory: Floats
    now_us: int

    def _why_out_of_range(self, answer: int) -> str:
        return "" if RETIRE <= answer <= ADD else f"returned {answer}; must return {self.contract.answer}"


@dataclass(frozen=True, slots=True)
class TierQuestion(Question):
    """May this request take its units of this limit? Tables `requests` and `limits` have one row."""

    contract: ClassVar[Contract] = CONTRACTS["tier"]

    requests: Rows
    limits: Rows
    tiers: Rows
    params: Floats
    now_us: int

    def why_wrong(self, answer: Any) -> str:
        """What is wrong with an answer: a truth, or a number that is none."""
        return "" if isinstance(answer, bool | np.bool_) else Question.why_wrong(self, answer)

    def _why_out_of_range(self, answer: int) -> str:
        return "" if answer in (0, 1) else f"returned {answer}; must return {self.contract.answer}"


def routing_question(seed: int, deployments: int = 8, *, alike: bool = False) -> RoutingQuestion:
    """A question drawn from `seed` over so many deployments; `alike`: all of them equal, so that ties decide.

    At least one is a candidate; candidates ascend, as the gateway gives them.
    """
    rng = np.random.default_rng((_SEED, seed))
    rows = _table(rng, DEPLOYMENT, deployments)
    if alike:
        rows[:] = rows[0]
    chosen = np.flatnonzero(rng.random(deployments) < 0.7)
    candidates = chosen if chosen.size else np.array([rng.integers(deployments)])
    params = _params(rng, seed)
    memory = np.zeros(MEMORY_WORDS)
    memory[UNIFORM] = (0.5 / 2**52, rng.random(), np.nextafter(1.0, 0.0))[seed % 3]
    now_us = _NOW_US + int(rng.integers(10**12))
    requests, tenants = _table(rng, REQUEST, 1), _table(rng, TENANT, 1)
    return RoutingQuestion(requests, candidates.astype(np.int64), rows, tenants, params, memory, now_us)


def scaling_question(seed: int) -> ScalingQuestion:
    """A question drawn from `seed`: pools from idle to beyond their limits, changed lately, long ago or never."""
    rng = np.random.default_rng((_SEED, 1, seed))
    pools, params = _table(rng, POOL, 1), _params(rng, seed)
    now_us = _NOW_US + int(rng.integers(10**12))
    pools["utilization"] *= 1.5
    pools["changed_us"] = (now_us - int(rng.integers(10**9)), now_us - int(rng.integers(10**12)), -NEVER_US)[seed % 3]
    return ScalingQuestion(pools, params, np.zeros(MEMORY_WORDS), now_us)


def tier_question(seed: int, tiers: int = 3) -> TierQuestion:
    """A question drawn from `seed` about a limit with room for it: shares untouched, in use, and overdrawn by what was borrowed."""
    rng = np.random.default_rng((_SEED, 2, seed))
    requests, params, limits, claims = _table(rng, REQUEST, 1), _params(rng, seed), np.zeros(1, ROOM), np.zeros(tiers, CLAIM)
    requests["tier"] = rng.integers(tiers)
    capacity = int(rng.integers(1, (10, 1000, 10**9)[seed % 3]))
    free = int(rng.integers(1, capacity + 1))
    limits[0] = (rng.integers(1, free + 1), capacity, free, rng.integers(len(DIMENSIONS)))
    claims["rank"] = rng.permutation(tiers)
    claims["share"] = (rng.dirichlet(np.ones(tiers)) * capacity).astype(np.int64)
    claims["left"] = claims["share"] - rng.integers(0, capacity, tiers) * rng.integers(0, 2, tiers)
    return TierQuestion(requests, limits, claims, params, _NOW_US + int(rng.integers(10**12)))


def questions(kind: str) -> Iterator[Question]:
    """The questions of the suite. Of routing: from one deployment to many, all different and all alike."""
    for number in range(3 * len(_SIZES) * 2):
        if kind == "routing":
            yield routing_question(number, _SIZES[number // 3 % len(_SIZES)], alike=number >= 3 * len(_SIZES))
        elif kind == "scaling":
            yield scaling_question(number)
        else:
            yield tier_question(number, 1 + number % 5)


def _params(rng: np.random.Generator, seed: int) -> Floats:
    """All zeros, shares, or larger numbers."""
    return np.zeros(PARAMS) if seed % 3 == 0 else rng.random(PARAMS) * (1.0 if seed % 3 == 1 else 10.0)


def _table(rng: np.random.Generator, dtype: np.dtype[Any], rows: int) -> Rows:
    """Rows of plausible values; about one in eight is nought, as after a start."""
    table = np.zeros(rows, dtype=dtype)
    for name in dtype.names or ():
        if dtype[name].kind == "f":
            values: NDArray[Any] = rng.random(rows)
        else:
            values = rng.integers(0, _RANGES.get(name, 10), rows)
        table[name] = np.where(rng.random(rows) < 0.125, 0, values)
    return table
