"""How demand grows over the coming months, as paths of which each may come true.

Growth is given in one of three ways: a forecast's paths (`forge1sim forecast --out`), the terms' `plan.growth`, or each group's own
`growth_per_week`. A *point* is where on the way demand is: times what it is at the start, or, where groups grow apart, in days.
`tail` is the share of paths beyond each end of an interval of dates, `days` how far is looked. The first path is the likely one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import PlanError
from forge1sim.metrics.static import MONTH_US
from forge1sim.planning.scaling import demand_times, groups_times
from forge1sim.scenario.load import LoadedScenario

Floats = NDArray[np.float64]
DAYS_PER_MONTH = MONTH_US / 86_400e6
MOST_POINTS = 6                     # besides the start
MOST_FACTOR = 10.0                  # of demand; further ahead nothing is looked at
_LIKELY_POINTS = 4                  # of these, up to where the likely path goes
_LEAST_STEP = 1.1
_WEEK_HOURS = 168


@dataclass(frozen=True, kw_only=True)
class Alike:
    """All demand grows alike. `factors`, shape (paths, days + 1), is the highest so far, over that at the start."""

    words: str
    tail: float
    factors: Floats

    @property
    def days(self) -> float:
        """How far it is told."""
        return float(self.factors.shape[1] - 1)

    def points(self) -> list[float]:
        """Factors from 1 on, closer together up to where the likely path goes."""
        most, likely = (min(MOST_FACTOR, float(factors.max())) for factors in (self.factors, self.factors[0]))
        up_to_likely = np.geomspace(1.0, likely, _steps(likely, _LIKELY_POINTS) + 1)
        beyond = np.geomspace(likely, most, _steps(most / likely, MOST_POINTS - _LIKELY_POINTS) + 1)[1:]
        return [float(factor) for factor in (*up_to_likely, *beyond)]

    def overrides(self, loaded: LoadedScenario, point: float) -> tuple[str, ...]:
        """Demand at a point, as `path=value`. Raises PlanError."""
        return () if point == 1.0 else demand_times(loaded, point)

    def until(self, point: float) -> float:
        """The day up to which the likely path is no further than a point."""
        beyond = self.factors[0] > point * (1 + 1e-12)
        return float(beyond.argmax() - 1 if beyond.any() else self.days)

    def days_to(self, point: float) -> Floats:
        """The day on which each path first gets to a point, infinite where it does not, shape (paths,)."""
        if point <= 1.0:
            return np.zeros(len(self.factors))
        there = self.factors >= point * (1 - 1e-12)
        return np.where(there.any(axis=1), there.argmax(axis=1), np.inf)


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Each group grows as its own demand says, `per_week` by name; recorded requests do not. Points are days."""

    words: str
    days: float
    per_week: dict[str, float]
    tail: float = 0.0

    def points(self) -> list[float]:
        """Days, equally far from each other."""
        if not any(self.per_week.values()):
            return [0.0]
        return [float(day) for day in np.linspace(0.0, self.days, MOST_POINTS + 1)]

    def overrides(self, loaded: LoadedScenario, point: float) -> tuple[str, ...]:
        """As `Alike.overrides`."""
        return groups_times(loaded, {name: (1 + rate) ** (point / 7) for name, rate in self.per_week.items()})

    def until(self, point: float) -> float:
        """As `Alike.until`."""
        return point if any(self.per_week.values()) else self.days

    def days_to(self, point: float) -> Floats:
        """As `Alike.days_to`."""
        return np.array([np.ceil(point) if point <= self.days else np.inf])


Growth = Alike | Apart


def growth_of(loaded: LoadedScenario, forecast: Path | None = None) -> Growth:
    """What is said of growth: by a forecast's folder, else by the terms, else by the groups. Raises PlanError."""
    terms = loaded.scenario.plan
    days = terms.months * DAYS_PER_MONTH
    if forecast is not None:
        return _of_forecast(forecast, days)
    if terms.growth.per_week is not None:
        likely = terms.growth.per_week
        rates = [likely, *(rate for rate in (terms.growth.low, terms.growth.high) if rate is not None)]
        between = f" ({min(rates):.2%} to {max(rates):.2%})" if len(rates) > 1 else ""
        return Alike(words=f"all demand grows by {likely:.2%} a week{between}, as plan.growth says", tail=0.0, factors=_steady(rates, days))
    per_week = {group.name: group.demand.growth_per_week if group.demand else 0.0 for group in loaded.groups}
    grown = ", ".join(f"{name} by {rate:.2%}" for name, rate in per_week.items() if rate)
    words = f"a week {grown}, as growth_per_week says" if grown else "demand does not grow: neither plan.growth nor growth_per_week says so"
    return Apart(words=words, days=days, per_week=per_week)


def _steps(factor: float, most: int) -> int:
    return min(most, int(np.ceil(np.log(factor) / np.log(_LEAST_STEP) - 1e-9)))


def _steady(rates: Sequence[float], days: float) -> Floats:
    weeks = np.arange(int(days) + 1) / 7
    return np.array([np.maximum((1 + rate) ** weeks, 1.0) for rate in rates])


def _of_forecast(folder: Path, most_days: float) -> Growth:
    """Each path's busiest hour so far, over the busiest hour that paths have in their first week at the median; the middle path first."""
    file = folder / "summary.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        hours = np.array(content["scenarios"]["requests"], dtype=np.float64)
    except OSError as error:
        raise PlanError(f"{file}: cannot be read ({error.strerror}); make it by forge1sim forecast HISTORY --out {folder}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{file}: is no forecast; make it by forge1sim forecast HISTORY --out {folder}") from error
    days = hours.shape[1] // 24 if hours.ndim == 2 else 0
    if days < 1 or not np.isfinite(hours).all() or hours.min() < 0 or hours.max() <= 0:
        raise PlanError(f"{file}: needs paths of at least 24 hours with requests in them; forecast with a longer --horizon")
    days = min(days, int(most_days))
    busiest = hours[:, : 24 * days].reshape(len(hours), days, 24).max(axis=2)
    base = float(np.median(hours[:, :_WEEK_HOURS].max(axis=1)))
    factors = np.hstack([np.ones((len(hours), 1)), np.maximum(busiest / base, 1.0)])
    factors = np.maximum.accumulate(factors, axis=1)
    middle = np.argsort(factors[:, -1], kind="stable")[(len(factors) - 1) // 2]
    factors = np.concatenate([factors[[middle]], np.delete(factors, middle, axis=0)])
    words = f"the {len(hours)} paths of a forecast of {days} days, by their busiest hour"
    return Alike(words=words, tail=0.05, factors=factors)
