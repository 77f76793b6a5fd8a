"""Histograms of microseconds with bins that grow with the value, and their quantiles.

Values below 64 us have a bin each (0 has its own); above, every doubling is cut into 64 equal
bins, so a bin is 0.8 to 1.6 % wide. Bin numbers come from exact integer and binary arithmetic,
not from a logarithm, and are therefore equal in compiled and in plain Python.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.helper import entry, helper

_PER_DOUBLING = 64
_LARGEST_EXPONENT = 43  # 2**43 us are 101 days; longer values count as this
BINS = _PER_DOUBLING * (_LARGEST_EXPONENT - 5)

SKETCH_BINS = 64
_SKETCH_FIRST_EXPONENT = 10  # the first half doubling after 0 ends at about 1 ms


@helper
def _first_bits(value_us: int, count: int) -> int:
    """Binary exponent (1 for values in [1, 2)) and, below it, the first `count` bits after the leading one."""
    bits = int(np.float64(value_us).view(np.int64))
    return (bits >> (52 - count)) - (1022 << count)


@entry
def bin_of(value_us: int) -> int:
    """Bin of a duration: in [0, BINS), 0 for nothing or less, the last for 101 days or more."""
    if value_us < 64:
        return max(0, value_us)
    return min(_first_bits(value_us, 6) - 6 * _PER_DOUBLING, BINS - 1)


@entry
def sketch_bin_of(value_us: int) -> int:
    """Bin of a tenant's sketch: 0 for zero, 1 up to 1 ms, then two to each doubling up to 25 days."""
    if value_us <= 0:
        return 0
    return min(max(_first_bits(value_us, 1) - 2 * _SKETCH_FIRST_EXPONENT, 1), SKETCH_BINS - 1)


@cache
def edges_us() -> NDArray[np.float64]:
    """Lower edges of the bins and the end of the last one, in microseconds, shape (BINS + 1,). Not to be written to."""
    doublings = 2.0 ** np.arange(_LARGEST_EXPONENT - 6)
    above = np.outer(doublings, np.arange(64.0, 128.0)).ravel()
    edges = np.concatenate([np.arange(64.0), above, [2.0**_LARGEST_EXPONENT]])
    edges.flags.writeable = False
    return edges


def sketch_edges_us() -> NDArray[np.float64]:
    """Lower edges of a tenant's sketch and the end of its last bin, shape (SKETCH_BINS + 1,)."""
    exponents = np.arange(_SKETCH_FIRST_EXPONENT, _SKETCH_FIRST_EXPONENT + SKETCH_BINS // 2, dtype=np.float64)
    pairs = np.stack([0.5 * 2.0 ** (exponents + 1), 0.75 * 2.0 ** (exponents + 1)], axis=1).ravel()
    return np.concatenate([[0.0, 1.0], pairs])[: SKETCH_BINS + 1]


def quantiles_us(
    counts: NDArray[np.integer], ratios: tuple[float, ...], edges: NDArray[np.float64] | None = None
) -> list[float | None]:
    """Quantiles in microseconds, linear inside a bin; None where nothing was counted.

    `counts` has shape (BINS,), or fits `edges`. Everything in bin 0 is exactly zero.
    """
    found = quantile_rows_us(counts[np.newaxis], ratios, edges)[0]
    return [None if math.isnan(value) else value for value in found.tolist()]


def quantile_rows_us(
    counts: NDArray[np.integer], ratios: tuple[float, ...], edges: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The same of many histograms at once: shape (n, bins) gives (n, ratios), NaN where nothing was counted."""
    lower = edges_us() if edges is None else edges
    below = np.cumsum(counts, axis=1, dtype=np.int64)
    rows, last = np.arange(len(counts)), counts.shape[1] - 1
    total = below[:, -1]
    found = np.full((len(counts), len(ratios)), np.nan)
    for column, ratio in enumerate(ratios):
        wanted = ratio * total
        # At least half a value, so that empty bins before the first value are passed.
        bins = np.minimum((below < np.maximum(wanted, 0.5)[:, np.newaxis]).sum(axis=1), last)
        inside = np.maximum(counts[rows, bins].astype(np.int64), 1)
        share = np.clip((wanted - (below[rows, bins] - inside)) / inside, 0.0, 1.0)
        values = lower[bins] + share * (lower[bins + 1] - lower[bins])
        found[:, column] = np.where(bins == 0, 0.0, values)
    found[total == 0] = np.nan
    return found


def exceedance(counts: NDArray[np.integer], points: int = 500) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Durations in seconds and the share of values above each, at most `points` of each, for distributions and tails.

    Taken at bin ends: half of them evenly spread over the share, half over its logarithm, so that the tail is dense.
    """
    total = int(counts.sum())
    if total == 0:
        return np.zeros(0), np.zeros(0)
    used = np.flatnonzero(counts)
    seconds = edges_us()[used + 1] / 1e6
    seconds[used == 0] = 0.0
    above = 1.0 - np.cumsum(counts[used]) / total
    above[-1] = 0.0
    if len(used) <= points:
        return seconds, above
    place = np.log(np.maximum(above, 0.5 / total))
    wanted = np.concatenate([np.linspace(place[0], place[-1], points // 2), np.log(np.linspace(above[0], above[-2], points // 2))])
    rows = np.unique(np.searchsorted(-place, -wanted, side="left").clip(0, len(used) - 1))
    return seconds[rows], above[rows]
