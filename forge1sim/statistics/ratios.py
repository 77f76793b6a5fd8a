"""Intervals of a ratio of means, such as cost per answer: all cost over all answers, not the mean of the days' ratios.

*Jackknife*: leaves each replication out in turn, which also takes away most of the bias. *Fieller*: exact for normal
pairs; has no bounds where the denominator may be 0. *Delta*: the linearised ratio, the simplest, for many replications.
Sources: Law, Simulation Modeling and Analysis, section 9.4; E. C. Fieller 1954; R. G. Miller, "The jackknife", 1974.
"""

import math
from typing import Literal

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
    missing,
    t_factor,
    untrusted,
)
from forge1sim.statistics.means import is_constant

Method = Literal["jackknife", "fieller", "delta"]
METHODS = ("jackknife", "fieller", "delta")
FEWEST = 3


def ratio_interval(
    numerators: ArrayLike, denominators: ArrayLike, confidence: float = CONFIDENCE, *, method: Method = "jackknife"
) -> Interval:
    """Interval of the mean of `numerators` over the mean of `denominators`, both of shape (n,).

    Not trusted with fewer than three replications, or where the denominator's mean may be 0. Raises ExperimentError.
    """
    demand_confidence(confidence)
    if method not in METHODS:
        raise ExperimentError(f"method is {method!r}, must be one of {', '.join(METHODS)}")
    above, below = as_values("numerators", numerators), as_values("denominators", denominators)
    if len(above) != len(below):
        raise ExperimentError(f"{len(above)} numerators and {len(below)} denominators; each needs one of the other")
    count, bottom = len(above), float(below.mean()) if len(below) else math.nan
    ratio = float(above.mean()) / bottom if bottom else math.nan
    why = missing(above + below)
    why = why or ("" if count >= FEWEST else f"{count} replications, the interval of a ratio needs at least {FEWEST}")
    if not why:
        t = t_factor(count, confidence)
        if abs(bottom) <= t * float(below.std(ddof=1)) / math.sqrt(count):
            why = "the denominator may be 0"
        elif is_constant(above - ratio * below + float(np.abs(above).max())):
            why = "all ratios are equal"
    if why:
        return untrusted(ratio, count, confidence, why)
    return _METHODS[method](above, below, t, confidence)


def _jackknife(above: Floats, below: Floats, t: float, confidence: float) -> Interval:
    count = len(above)
    ratio = above.sum() / below.sum()
    without = (above.sum() - above) / (below.sum() - below)
    pseudo = count * ratio - (count - 1) * without
    return around(float(pseudo.mean()), float(t * pseudo.std(ddof=1) / math.sqrt(count)), count, confidence)


def _fieller(above: Floats, below: Floats, t: float, confidence: float) -> Interval:
    count, top, bottom = len(above), float(above.mean()), float(below.mean())
    both = np.cov(above, below) * t**2 / count
    # Every ratio r with (top - r bottom)^2 <= t^2 var(top - r bottom), a quadratic in r that opens upwards.
    a, b, c = bottom**2 - both[1, 1], top * bottom - both[0, 1], top**2 - both[0, 0]
    root = math.sqrt(max(0.0, b**2 - a * c))
    return Interval(value=top / bottom, low=float((b - root) / a), high=float((b + root) / a), count=count, confidence=confidence)


def _delta(above: Floats, below: Floats, t: float, confidence: float) -> Interval:
    count, bottom = len(above), float(below.mean())
    ratio = float(above.mean()) / bottom
    spread = float((above - ratio * below).std(ddof=1)) / abs(bottom)
    return around(ratio, t * spread / math.sqrt(count), count, confidence)


_METHODS = {"jackknife": _jackknife, "fieller": _fieller, "delta": _delta}
