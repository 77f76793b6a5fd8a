"""The steady state: where the start is over (MSER-5), and intervals from what comes after it.

MSER-5 (White, Cobb and Spratt, "A comparison of five steady-state truncation heuristics for simulation", 2000): means of
batches of five; cut where the standard error of what remains is least. A cut in the second half says that the run is too
short to tell. Batch means and their check: Law, Simulation Modeling and Analysis, section 9.5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forge1sim.errors import ExperimentError
from forge1sim.statistics.interval import (
    CONFIDENCE,
    Floats,
    Interval,
    as_values,
    demand_confidence,
    mean_measured,
    untrusted,
)
from forge1sim.statistics.means import is_constant, mean_interval

BATCH = 5
FEWEST_BATCHES = 10
LONG_RUN_BATCHES = 20
_LEAST_PER_BATCH = 10


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """The first `cut` of `count` values belong to the start; `trusted` is False, with `why`, where that cannot be told."""

    cut: int
    count: int
    trusted: bool = True
    why: str = ""


def mser5(series: ArrayLike) -> WarmUp:
    """Where the start of a series, shape (n,), is over: a multiple of five values.

    Of several replications give the mean over replications, value by value: it is smoother. Raises ExperimentError.
    """
    values = _series(series)
    count = len(values)
    batches = values[: count // BATCH * BATCH].reshape(-1, BATCH).mean(axis=1)
    if len(batches) < FEWEST_BATCHES:
        return WarmUp(cut=0, count=count, trusted=False, why=f"{count} values, MSER-5 needs at least {FEWEST_BATCHES * BATCH}")
    # Sums from each batch to the end; the last five batches are too few to be judged by.
    centred = batches - batches.mean()
    left = np.arange(len(batches), 0, -1)
    sums, squares = (np.cumsum(part[::-1])[::-1] for part in (centred, centred**2))
    errors = ((squares - sums**2 / left) / left**2)[:-BATCH]
    cut = int(errors.argmin())
    if cut * 2 > len(batches):
        return WarmUp(cut=cut * BATCH, count=count, trusted=False, why="the best cut lies in the second half: the run is too short")
    return WarmUp(cut=cut * BATCH, count=count)


def deletion_interval(runs: Sequence[ArrayLike], cut: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the stationary mean from replications without their first `cut` values each. Raises ExperimentError."""
    if cut < 0:
        raise ExperimentError(f"cut is {cut}, must be 0 or more")
    left = [_series(run)[cut:] for run in runs]
    return mean_interval([float(run.mean()) if len(run) else math.nan for run in left], confidence)


def batch_means_interval(
    series: ArrayLike, confidence: float = CONFIDENCE, *, batches: int = LONG_RUN_BATCHES, cut: int | None = None
) -> Interval:
    """Interval of the stationary mean from one long run: its start cut off (by MSER-5, or `cut` values), then batch means.

    Not trusted where the start cannot be told, where batches are short, or where means of neighbouring batches
    still depend on each other (one-sided test of their correlation at 5 %). Raises ExperimentError.
    """
    demand_confidence(confidence)
    if batches < FEWEST_BATCHES:
        raise ExperimentError(f"batches is {batches}, must be at least {FEWEST_BATCHES}")
    values = _series(series)
    start = mser5(values) if cut is None else WarmUp(cut=cut, count=len(values))
    left = values[start.cut :]
    size = len(left) // batches
    if not start.trusted or size < _LEAST_PER_BATCH:
        why = start.why or f"{len(left)} values after the start, {batches} batches need {batches * _LEAST_PER_BATCH}"
        return untrusted(mean_measured(left), 0, confidence, why)
    means = left[len(left) - size * batches :].reshape(batches, size).mean(axis=1)
    if not is_constant(means) and _correlated(means - means.mean()):
        return untrusted(mean_measured(left), batches, confidence, "batches depend on each other: the run is too short")
    return mean_interval(means, confidence)


def _correlated(centred: Floats) -> bool:
    """Von Neumann's ratio: under independence the correlation of neighbours is about normal, with variance (n - 2) / (n^2 - 1)."""
    count = len(centred)
    correlation = 1 - float(np.sum(np.diff(centred) ** 2) / np.sum(centred**2)) / 2
    return correlation > 1.645 * math.sqrt((count - 2) / (count**2 - 1))


def _series(series: ArrayLike) -> Floats:
    values = as_values("series", series)
    if np.isnan(values).any():
        raise ExperimentError("series holds a value that was not measured (NaN)")
    return values
