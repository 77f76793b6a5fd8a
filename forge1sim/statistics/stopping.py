"""How many replications: until a number is known as well as was asked.

One looks at the interval after each replication and stops when it is narrow. Who stops at the first narrow one
stops too often where chance made the spread look small: of 95 % intervals 93 % hold the truth. Three things help here.
- The relative half-width must be r / (1 + r), so that the distance to the *truth* is at most r of it (Law, section 9.4).
- It must hold at `look_ahead` further replications (Hoad, Robinson and Davies, "Automated selection of the number of
  replications for a discrete-event simulation", 2010), and never with fewer than `minimum` in all.
- The interval takes the furthest reach that was seen during the looks that decided. With it the coverage is 94 to 96 % in
  normal, gamma and lognormal samples that need 10 to 45 replications (tests/experiments/statistics, docs/replications.md).
"""

import math
from dataclasses import dataclass, field

from forge1sim.errors import ExperimentError
from forge1sim.statistics.interval import (
    CONFIDENCE,
    NAN,
    Interval,
    between,
    demand_confidence,
    hall_factors,
    untrusted,
)

MINIMUM, LOOK_AHEAD = 10, 5


@dataclass(frozen=True)
class Precision:
    """How well a number is to be known: `Precision("all.wait_p99_s", relative=0.05)` is to within 5 %, at 95 %.

    Attributes:
        measure: the number's name, as in an outcome.
        relative: distance to the truth, as a share of it. Either this or `absolute`.
        absolute: the distance in the number's own unit; for shares and for what may be 0.
        confidence: how often it is kept.
        minimum: fewest replications in all.
        look_ahead: replications over which it must hold.
    Raises ExperimentError.
    """

    measure: str
    relative: float | None = None
    absolute: float | None = None
    confidence: float = CONFIDENCE
    minimum: int = MINIMUM
    look_ahead: int = LOOK_AHEAD

    def __post_init__(self) -> None:
        demand_confidence(self.confidence)
        if (self.relative is None) == (self.absolute is None):
            raise ExperimentError(f"precision of {self.measure}: give either relative or absolute")
        for name, value in (("relative", self.relative), ("absolute", self.absolute)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ExperimentError(f"precision of {self.measure}: {name} is {value}, must be finite and above 0")
        if self.look_ahead < 0 or self.minimum < self.look_ahead + 2:
            raise ExperimentError(
                f"precision of {self.measure}: minimum is {self.minimum}, must be at least look_ahead ({self.look_ahead}, 0 or more) + 2"
            )

    @property
    def text(self) -> str:
        """As it is said: all.wait_p99_s to within 5 % at 95 %."""
        size = f"{self.absolute:.3g}" if self.relative is None else f"{100 * self.relative:.3g} %"
        return f"{self.measure} to within {size} at {100 * self.confidence:.3g} %"

    def allows(self, value: float, half: float) -> bool:
        """Whether an interval of this half-width is narrow enough."""
        if self.absolute is not None:
            return half <= self.absolute
        assert self.relative is not None
        return half <= self.relative / (1 + self.relative) * abs(value)


@dataclass
class Watch:
    """One precision under way: shown the estimate after each replication, it says when to stop."""

    precision: Precision
    count: int = 0
    held: int = 0
    value: float = NAN
    looks: list[tuple[float, float]] = field(default_factory=list)

    def see(self, value: float, spread: float, skewness: float = 0.0) -> bool:
        """The estimate after one more replication, the standard deviation of one, and its skewness; True when it is known well enough.

        `spread` is NaN, or 0, as long as it is not known. With a skewness the interval reaches further to one side; its wider
        side counts.
        """
        self.count += 1
        self.value = value
        self.looks = [*self.looks, (spread, skewness)][-self.precision.look_ahead - 1 :]
        narrow = self.count > 1 and spread > 0 and self.precision.allows(value, max(self._reach(spread, skewness)))
        self.held = self.held + 1 if narrow else 0
        return self.is_reached

    @property
    def is_reached(self) -> bool:
        """Whether the precision has held long enough."""
        return self.held > self.precision.look_ahead and self.count >= self.precision.minimum

    def interval(self) -> Interval:
        """What is known after the last replication; bounds that do not keep the precision are those of a fixed number."""
        confidence = self.precision.confidence
        looks = self.looks if self.is_reached else (self.looks or [(NAN, 0.0)])[-1:]
        if not looks[-1][0] > 0:
            return untrusted(self.value, self.count, confidence, "the spread is not known: values are missing, equal or fewer than 2")
        below, above = (max(side) for side in zip(*(self._reach(*look) for look in looks), strict=True))
        return between(self.value, below, above, self.count, confidence)

    def _reach(self, spread: float, skewness: float) -> tuple[float, float]:
        """How far the interval reaches below and above."""
        below, above = hall_factors(self.count, self.precision.confidence, skewness)
        return below * spread / math.sqrt(self.count), above * spread / math.sqrt(self.count)
