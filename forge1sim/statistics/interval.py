"""What is known of a number: a value, bounds, and whether the bounds can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forge1sim.errors import ExperimentError

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
NAN = float("nan")
_NO_SKEWNESS = 1e-9


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval.

    Attributes:
        value: the estimate; NaN if nothing was measured.
        low, high: the bounds; NaN where they cannot be trusted.
        count: independent values (replications, batches) that it stands on.
        confidence: how often such intervals hold the truth.
        trusted: whether there are bounds.
        why: what is missing where there are none.
    """

    value: float
    low: float
    high: float
    count: int
    confidence: float = CONFIDENCE
    trusted: bool = True
    why: str = ""

    @property
    def half_width(self) -> float:
        """Half the distance of the bounds; NaN without bounds."""
        return (self.high - self.low) / 2

    @property
    def relative(self) -> float:
        """Half the width over the size of the value; NaN without bounds or where the value is 0."""
        return self.half_width / abs(self.value) if self.value else NAN

    def holds(self, truth: float) -> bool:
        """Whether a number lies inside. Never without bounds."""
        return self.low <= truth <= self.high

    def __str__(self) -> str:
        if not self.trusted:
            return f"{self.value:.4g} (no interval: {self.why})"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def untrusted(value: float, count: int, confidence: float, why: str) -> Interval:
    """An estimate without bounds."""
    return Interval(value=value, low=NAN, high=NAN, count=count, confidence=confidence, trusted=False, why=why)


def around(value: float, half: float, count: int, confidence: float) -> Interval:
    """A symmetric interval."""
    return Interval(value=value, low=value - half, high=value + half, count=count, confidence=confidence)


def between(value: float, below: float, above: float, count: int, confidence: float) -> Interval:
    """An interval that reaches further to one side than to the other."""
    return Interval(value=value, low=value - below, high=value + above, count=count, confidence=confidence)


def hall_factors(count: int, confidence: float, skewness: float) -> tuple[float, float]:
    """How many standard errors an interval reaches below and above the mean of `count` values of this skewness; t without any.

    Hall, "On the removal of skewness by transformation", J. R. Statist. Soc. B 54 (1992), 221-228: the cubic one, with Student's t.
    """
    t, a = t_factor(count, confidence), skewness / math.sqrt(count)
    if abs(a) < _NO_SKEWNESS:
        return t, t
    below, above = (3 / a * (math.cbrt(1 + a * (side - a / 6)) - 1) for side in (t, -t))
    return below, -above


@cache
def t_factor(count: int, confidence: float) -> float:
    """Student's t for a two-sided interval from `count` values: how many standard errors wide it is to each side."""
    from scipy import stats  # noqa: PLC0415

    return float(stats.t.ppf(0.5 + confidence / 2, count - 1))


def demand_confidence(confidence: float) -> None:
    """Raise ExperimentError unless it is inside (0, 1)."""
    if not 0 < confidence < 1:
        raise ExperimentError(f"confidence is {confidence}, must be above 0 and below 1, as 0.95")


def as_values(name: str, values: ArrayLike | Sequence[float]) -> Floats:
    """Values of shape (n,). Raises ExperimentError for any other shape and for infinite values; NaN may be in it."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise ExperimentError(f"{name} has shape {found.shape}, must be one value for each replication")
    if np.isinf(found).any():
        raise ExperimentError(f"{name} holds an infinite value")
    return found


def missing(values: Floats) -> str:
    """What is said of replications in which nothing was measured; empty if there are none."""
    lacking = int(np.isnan(values).sum())
    return f"nothing was measured in {lacking} of {len(values)} replications" if lacking else ""


def mean_measured(values: Floats) -> float:
    """Mean of those that were measured; NaN if none were."""
    measured = values[~np.isnan(values)]
    return math.fsum(measured) / len(measured) if len(measured) else NAN
