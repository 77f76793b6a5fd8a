"""Macro-runs of the selection of the best: how often it keeps its promise where that is hardest."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from forge1sim.statistics import Selection, select

K, MACRO_RUNS, CONFIDENCE, INDIFFERENCE = 10, 500, 0.95, 1.0
Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]


def normal(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Standard deviation of twice the indifference."""
    return rng.normal(0.0, 2.0, count)


def skewed(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """The same mean and spread, with a long tail upwards (gamma of shape 2)."""
    return np.asarray(np.sqrt(2.0) * (rng.gamma(2.0, 1.0, count) - 2.0))


def selected(rng: np.random.Generator, good: frozenset[int], noise: Noise, common: float) -> Selection:
    """One macro-run: `good` alternatives are better by just the indifference; `common` is the part of luck that all share."""

    def draw(_number: int, left: tuple[int, ...]) -> NDArray[np.float64]:
        means = np.array([INDIFFERENCE * (one in good) for one in left])
        return means + noise(rng, len(left)) + common * noise(rng, 1)

    return select(draw, K, indifference=INDIFFERENCE, confidence=CONFIDENCE)


def successes(noise: Noise, common: float, good: int, seed: int) -> int:
    """Macro-runs of 500 that select a good one and say that it can be trusted; which are good goes round."""
    rng = np.random.default_rng(seed)
    hits = 0
    for run in range(MACRO_RUNS):
        those = frozenset((run + place) % K for place in range(good))
        found = selected(rng, those, noise, common)
        hits += found.trusted and found.best in those
    return hits


def lower_bound(hits: int) -> float:
    """Clopper and Pearson's lower 95 % bound of the share."""
    return float(stats.binomtest(hits, MACRO_RUNS, alternative="greater").proportion_ci(0.95, "exact").low)
