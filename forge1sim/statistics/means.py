"""Intervals of a mean over independent replications, and of the mean of paired differences.

Student's t, exact for normal values and good for means of many requests (Law, Simulation Modeling
and Analysis, chapters 9 and 10). Values that are all equal have no spread to learn from: that
nothing was refused in ten replications does not say that nothing ever is.
"""

import numpy as np
from numpy.typing import ArrayLike

from forge1sim.errors import ExperimentError
from forge1sim.statistics.interval import (
    CONFIDENCE,
    Floats,
    Interval,
    around,
    as_values,
    demand_confidence,
    mean_measured,
    missing,
    t_factor,
    untrusted,
)

FEWEST = 2


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the mean of independent values, shape (n,); a NaN is a replication in which nothing was measured.

    Not trusted with fewer than two values, with a NaN among them, or where all are equal. Raises ExperimentError.
    """
    demand_confidence(confidence)
    found = as_values("values", values)
    mean, count = mean_measured(found), len(found)
    why = missing(found) or _too_few(count) or ("all values are equal" if is_constant(found) else "")
    if why:
        return untrusted(mean, count, confidence, why)
    half = t_factor(count, confidence) * float(found.std(ddof=1)) / np.sqrt(count)
    return around(mean, float(half), count, confidence)


def paired_interval(before: ArrayLike, after: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the mean of `after` less `before`, both of shape (n,) and in the same order of seeds. Raises ExperimentError."""
    return mean_interval(_differences(before, after), confidence)


def paired_p_value(before: ArrayLike, after: ArrayLike) -> float:
    """How likely differences so large are if there is none on average: the paired t-test, two-sided; NaN if not known.

    Where all differences are equal, but not 0, there is no t; the sign test then gives 2^(1 - n).
    """
    from scipy import stats  # noqa: PLC0415

    differences = _differences(before, after)
    count = len(differences)
    if count < FEWEST or np.isnan(differences).any():
        return float("nan")
    if is_constant(differences):
        return 1.0 if differences[0] == 0 else 2.0 ** (1 - count)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def is_constant(values: Floats) -> bool:
    """Whether all are equal but for rounding."""
    spread = float(np.ptp(values)) if len(values) else 0.0
    return spread <= 1e-12 * float(np.abs(values).max(initial=0.0))


def _differences(before: ArrayLike, after: ArrayLike) -> Floats:
    mine, its = as_values("before", before), as_values("after", after)
    if len(mine) != len(its):
        raise ExperimentError(f"{len(mine)} and {len(its)} replications; pairs need one of each")
    return its - mine


def _too_few(count: int) -> str:
    return "" if count >= FEWEST else f"{count} replications, an interval needs at least {FEWEST}"
