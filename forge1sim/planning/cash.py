"""What is paid month by month in the first year: fees by who is there and in which usage tier, set-up, tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf

import numpy as np

from forge1sim.planning.growth import DAYS_PER_MONTH
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.schedule import Cohort, cohorts_of
from forge1sim.planning.simulated import Simulated, mean_of

MONTHS = 12


@dataclass(frozen=True, kw_only=True)
class Month:
    """What is paid in a month of the first year, in USD."""

    month: str
    accounts_usd: float
    setup_usd: float
    tokens_usd: float

    @property
    def usd(self) -> float:
        """All of it. Priced refusals are not cash."""
        return self.accounts_usd + self.setup_usd + self.tokens_usd


def cash(options: Options, best: Simulated) -> tuple[Month, ...]:
    """Twelve months from the start. Accounts are paid from when they are there until notice has run, by the usage tier that they have
    reached; tokens grow as demand does, tier by tier, as if capacity grew with it."""
    start: datetime = options.loaded.scenario.start
    tokens_usd = mean_of(best.days, "usd_by_tier") * best.prices.days_per_month
    cohorts = cohorts_of(options, best.plan, best)
    found = []
    for number in range(MONTHS):
        begins, ends = number * DAYS_PER_MONTH, (number + 1) * DAYS_PER_MONTH
        fees = setup = 0.0
        for one in cohorts:
            fees += sum(usd * _part(first, last, begins, ends) for usd, first, last in _fees(options, best.plan, one))
            if not one.is_held and begins <= one.from_day < ends:
                setup += options.entries[one.entry].terms.setup_usd * one.count
        factor = np.array([_growth(options, tier.name, begins / 7) for tier in options.loaded.bundle.tiers])
        month = (start + timedelta(days=begins)).date().isoformat()
        found.append(Month(month=month, accounts_usd=fees, setup_usd=setup, tokens_usd=float(tokens_usd @ factor)))
    return tuple(found)


def _fees(options: Options, plan: Plan, one: Cohort) -> Iterator[tuple[float, float, float]]:
    """What accounts are paid a month, from which day to which, usage tier by usage tier up to the plan's."""
    states = options.entries[one.entry].states
    reached = [*one.reached[: plan.states[one.entry] + 1], inf]
    for state, (first, last) in enumerate(pairwise(reached)):
        yield one.count * states[state].usd_per_month, max(first, one.from_day), min(last, one.until_day)


def _part(from_day: float, to_day: float, begins: float, ends: float) -> float:
    """The part of a month that lies between two days."""
    return max(0.0, min(to_day, ends) - max(from_day, begins)) / (ends - begins)


def _growth(options: Options, tier: str, weeks: float) -> float:
    """How much more a tier asks for than at the start: the mean over its groups, by tenants."""
    groups = [group for group in options.loaded.groups if group.tier == tier and group.demand is not None]
    total = sum(group.count for group in groups)
    if not total:
        return 1.0
    return float(sum(group.count * (1 + group.demand.growth_per_week) ** weeks for group in groups if group.demand) / total)
