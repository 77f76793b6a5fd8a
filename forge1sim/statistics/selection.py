"""Selection of the best of k alternatives with a guarantee, under common random numbers.

The procedure KN of S.-H. Kim and B. L. Nelson, "A fully sequential procedure for indifference-zone selection in
simulation", ACM TOMACS 11, 2001, with c = 1. If the best is better than every other by at least the indifference, it is
selected with at least the stated confidence; always, one is selected that is no more than the indifference worse than the
best, with that confidence. Observations are taken as normal and independent from replication to replication; alternatives
of one replication may depend on each other, and the more they do (the same seed), the fewer replications it takes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forge1sim.errors import ExperimentError
from forge1sim.statistics.interval import CONFIDENCE, Floats, demand_confidence

FIRST, MOST = 10, 1000
Draw = Callable[[int, tuple[int, ...]], ArrayLike]
"""Called with a replication's number and the alternatives still in it; gives their values, in that order."""


@dataclass(frozen=True)
class Selection:
    """Which alternative is best.

    Attributes:
        best: its place.
        replications: that each alternative took, shape (k,).
        means: of each alternative's values, shape (k,).
        indifference, confidence: what was promised.
        trusted: whether the promise holds; `why` it does not.
    """

    best: int
    replications: tuple[int, ...]
    means: tuple[float, ...]
    indifference: float
    confidence: float
    trusted: bool = True
    why: str = ""


def select(
    draw: Draw, alternatives: int, *, indifference: float, confidence: float = CONFIDENCE, larger_is_better: bool = True,
    first: int = FIRST, most: int = MOST,
) -> Selection:  # fmt: skip
    """Draw until one alternative is left. `first` replications of all give the spread; none takes more than `most`.

    Where `most` ends it, the best mean of those left is given, not trusted. Raises ExperimentError, also for a NaN.
    """
    _demand(alternatives, indifference, confidence, first, most)
    sign = 1.0 if larger_is_better else -1.0
    everyone = tuple(range(alternatives))
    values = np.array([_values(draw(number, everyone), number, everyone) for number in range(first)]) * sign
    sums, taken, left = values.sum(axis=0), np.full(alternatives, first), list(everyone)
    # Variance of each paired difference, shape (k, k), from the first replications alone.
    differences = values[:, :, np.newaxis] - values[:, np.newaxis, :]
    spread = differences.var(axis=0, ddof=1)
    eta = 0.5 * ((2 * (1 - confidence) / (alternatives - 1)) ** (-2 / (first - 1)) - 1)
    reach = 2 * eta * (first - 1) * spread / indifference**2
    count = first
    while len(left := _survivors(left, sums, reach, count, indifference)) > 1 and count < most:
        mine = tuple(left)
        sums[left] += _values(draw(count, mine), count, mine) * sign
        taken[left] += 1
        count += 1
    best = max(left, key=lambda one: sums[one])
    why = "" if len(left) == 1 else f"{len(left)} alternatives are left after {most} replications"
    means = tuple(float(mean) for mean in sign * sums / taken)
    return Selection(best, tuple(int(one) for one in taken), means, indifference, confidence, not why, why)


def _survivors(left: Sequence[int], sums: Floats, reach: Floats, count: int, indifference: float) -> list[int]:
    """Those that no other beats by more than still may be chance. Of two that are even and can differ no more the first stays."""
    kept = []
    for one in left:
        beaten = False
        for other in left:
            allowed = max(0.0, indifference / 2 * (reach[one, other] - count))
            behind = sums[other] - sums[one]
            even = behind == allowed == 0 and other < one
            beaten = beaten or behind > allowed or even
        if not beaten:
            kept.append(one)
    return kept


def _values(drawn: ArrayLike, number: int, alternatives: tuple[int, ...]) -> Floats:
    values = np.asarray(drawn, dtype=np.float64)
    if values.shape != (len(alternatives),):
        raise ExperimentError(f"replication {number} gave values of shape {values.shape}, must be one for each of {len(alternatives)}")
    if not np.isfinite(values).all():
        raise ExperimentError(f"in replication {number} nothing was measured of an alternative; choose a measure that all have")
    return values


def _demand(alternatives: int, indifference: float, confidence: float, first: int, most: int) -> None:
    demand_confidence(confidence)
    if alternatives < 2:
        raise ExperimentError(f"{alternatives} alternatives, a selection needs at least 2")
    if confidence <= 1 / alternatives:
        raise ExperimentError(f"confidence is {confidence}, must be above {1 / alternatives:.3g}: so often blind choice is right")
    if not (math.isfinite(indifference) and indifference > 0):
        raise ExperimentError(f"indifference is {indifference}, must be finite and above 0")
    if first < 3 or most < first:
        raise ExperimentError(f"first is {first} and most is {most}, must be at least 3, and at least first")
