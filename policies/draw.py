"""The keyed draw: chance as a function of who and when, never of how often it was asked.

A counter-based hash of (seed, purpose, tenant, the tenant's own request number, attempt), so
that one more tenant, retry or decision shifts no other draw: common random numbers by
construction. The mixer is SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014).
"""

import math

import numpy as np

from policies.compile import compiled

# purposes: one number each, never reused
BACKOFF, ROUTING, SERVICE, FAILURE, SERVICE_2, FAULT, CANCELLATION = 1, 2, 3, 4, 5, 6, 7
INPUT_ESTIMATE, COMPLEXITY_ESTIMATE = 8, 9
# A storm must not follow the luck of a brownout that strikes at the same time.
STORM = 900
# A gamma variate: one for its boost, then two for each of its tries.
GAMMA, GAMMA_TRIES = 1_000, 64
GAMMA_LAST = GAMMA + 2 * GAMMA_TRIES

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S12 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)


@compiled
def mix(word: np.uint64) -> np.uint64:
    """A bijection of 64-bit words in which every input bit moves every output bit."""
    word = (word ^ (word >> _S30)) * _MIX_1
    word = (word ^ (word >> _S27)) * _MIX_2
    return word ^ (word >> _S31)


@compiled
def stem(seed: int, purpose: int) -> np.uint64:
    """What all keys of one seed and purpose begin with. `seed` is in [0, 2**63)."""
    return mix(np.uint64(seed) + _GOLDEN * np.uint64(purpose + 1))


@compiled
def hashed_from(begun: np.uint64, tenant: int, number: int, attempt: int) -> np.uint64:
    """64 random bits for a key that begins with this `stem`; the others are whole and >= -1."""
    word = mix(begun + _GOLDEN * np.uint64(tenant + 2))
    return mix(word + _GOLDEN * np.uint64(number * 64 + attempt + 65))


@compiled
def hashed(seed: int, purpose: int, tenant: int, number: int, attempt: int) -> np.uint64:
    """64 random bits for this key."""
    return hashed_from(stem(seed, purpose), tenant, number, attempt)


@compiled
def uniform(word: np.uint64) -> float:
    """A uniform number in (0, 1) of random bits: the middle of one of 2**52 cells, so that none rounds to 1."""
    return (float(word >> _S12) + 0.5) * (1.0 / 4503599627370496.0)


@compiled
def draw(seed: int, purpose: int, tenant: int, number: int, attempt: int) -> float:
    """A uniform number in (0, 1) for this key."""
    return uniform(hashed(seed, purpose, tenant, number, attempt))


@compiled
def draw_from(begun: np.uint64, tenant: int, number: int, attempt: int) -> float:
    """The same for a key that begins with this `stem`, which many draws share."""
    return uniform(hashed_from(begun, tenant, number, attempt))


@compiled
def normal(u: float) -> float:
    """Standard normal quantile of `u` in (0, 1), by a rational approximation.

    Source: P. J. Acklam, 2003; relative error below 1.15e-9.
    """
    if u < 0.02425 or u > 0.97575:
        q = math.sqrt(-2.0 * math.log(u if u < 0.5 else 1.0 - u))
        x = ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838e00) * q
              - 2.549732539343734e00) * q + 4.374664141464968e00) * q + 2.938163982698783e00  # fmt: skip
        y = (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996e00) * q
             + 3.754408661907416e00) * q + 1.0  # fmt: skip
        return x / y if u < 0.5 else -x / y
    q = u - 0.5
    r = q * q
    x = (((((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
           + 1.383577518672690e02) * r - 3.066479806614716e01) * r + 2.506628277459239e00) * q  # fmt: skip
    y = ((((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
          + 6.680131188771972e01) * r - 1.328068155288572e01) * r + 1.0  # fmt: skip
    return x / y


@compiled
def exponential(u: float) -> float:
    """Exponential quantile with mean 1."""
    return -math.log(u)
