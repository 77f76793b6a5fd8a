"""The beta distribution, without half a second to import SciPy's special functions."""

import math

import numpy as np
from numpy.typing import NDArray

_MOST_TERMS = 100_000
_PRECISE = 1e-15
_TINY = 1e-300


def beta_cdf(a: float, b: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of a beta(a, b) variate below each of `x`, all in (0, 1).

    Source: DLMF 8.17.22, a continued fraction, summed up by Lentz's method; DLMF 8.17.4 where that converges slowly.
    """
    is_low = x < (a + 1.0) / (a + b + 2.0)
    result = np.empty(x.size)
    result[is_low] = _lower_tail(a, b, x[is_low])
    result[~is_low] = 1.0 - _lower_tail(b, a, 1.0 - x[~is_low])
    return result


def _lower_tail(a: float, b: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    before: NDArray[np.float64] = np.exp(a * np.log(x) + b * np.log1p(-x) - log_beta) / a
    c = np.ones(x.size)
    d = _inverse(1.0 - (a + b) / (a + 1.0) * x)
    fraction = d.copy()
    for m in range(1, _MOST_TERMS):
        for factor in (m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))):
            d = _inverse(1.0 + factor * x * d)
            c = 1.0 + factor * x / c
            c[np.abs(c) < _TINY] = _TINY
            step = c * d
            fraction *= step
        if not np.any(np.abs(step - 1.0) > _PRECISE):
            break
    return before * fraction


def _inverse(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / np.where(np.abs(value) < _TINY, _TINY, value)
