"""What is paid month by month in the first year: fees by who is there and in which usage tier, set-up, tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf

import numpy as np

from forge1sim.planning.commitments import CreditEnd, billed, draw_down
from forge1sim.planning.growth import DAYS_PER_MONTH
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.schedule import Cohort, cohorts_of
from forge1sim.planning.simulated import Simulated, list_usd_of, mean_of

MONTHS = 12


@dataclass(frozen=True, kw_only=True)
class Month:
    """What is paid in a month of the first year, in USD; tokens under the commitments taken, `credit_usd` of it from prepaid credit."""

    month: str
    accounts_usd: float
    setup_usd: float
    tokens_usd: float
    credit_usd: float = 0.0

    @property
    def usd(self) -> float:
        """All of it. Priced refusals are not cash, nor is what credit pays."""
        return self.accounts_usd + self.setup_usd + self.tokens_usd - self.credit_usd


def cash(options: Options, best: Simulated) -> tuple[Month, ...]:
    """Twelve months from the start. Accounts are paid from when they are there until notice has run, by the usage tier that they have
    reached; tokens grow as demand does, tier by tier, as if capacity grew with it."""
    start: datetime = options.loaded.scenario.start
    cohorts = cohorts_of(options, best.plan, best)
    found = []
    for number in range(MONTHS):
        begins, ends = number * DAYS_PER_MONTH, (number + 1) * DAYS_PER_MONTH
        fees = setup = 0.0
        for one in cohorts:
            fees += sum(usd * _part(first, last, begins, ends) for usd, first, last in _fees(options, best.plan, one))
            if not one.is_held and begins <= one.from_day < ends:
                setup += options.entries[one.entry].terms.setup_usd * one.count
        month = (start + timedelta(days=begins)).date().isoformat()
        tokens = sum(_billed(options, best, begins / 7).values())
        found.append(Month(month=month, accounts_usd=fees, setup_usd=setup, tokens_usd=tokens))
    return tuple(found)


def _fees(options: Options, plan: Plan, one: Cohort) -> Iterator[tuple[float, float, float]]:
    """What accounts are paid a month, from which day to which, usage tier by usage tier up to the plan's."""
    states = options.entries[one.entry].states
    reached = [*one.reached[: plan.states[one.entry] + 1], inf]
    for state, (first, last) in enumerate(pairwise(reached)):
        yield one.count * states[state].usd_per_month, max(first, one.from_day), min(last, one.until_day)


def _billed(options: Options, best: Simulated, weeks: float) -> dict[str, float]:
    """Tokens of a month by provider so many weeks after the start, under the commitments taken; providers grow alike."""
    of_tiers = mean_of(best.days, "usd_by_tier")
    factors = np.array([_growth(options, tier.name, weeks) for tier in options.loaded.bundle.tiers])
    grown = float(of_tiers @ factors / of_tiers.sum()) if of_tiers.sum() > 0 else 1.0
    months = list_usd_of(best.days, best.prices.days_per_month)
    taken = {one.provider: one for one in best.taken}
    return {
        one: float(billed(usd * grown, taken[one]).mean() if one in taken else usd.mean() * grown)
        for one, usd in ({provider: np.zeros(1) for provider in taken} | months).items()
    }  # fmt: skip


def with_credits(options: Options, best: Simulated, months: Sequence[Month]) -> tuple[tuple[Month, ...], tuple[CreditEnd, ...]]:
    """The months with what prepaid credits pay of their tokens, those that expire first first, and the end of each credit."""
    left = [_billed(options, best, number * DAYS_PER_MONTH / 7) for number in range(len(months))]
    ends = []
    for credit in sorted(options.loaded.scenario.plan.credits, key=lambda one: (one.expires_after_days is None, one.expires_after_days)):
        used, end = draw_down(credit, [month.get(credit.provider, 0.0) for month in left], DAYS_PER_MONTH)
        ends.append(end)
        for month, usd in zip(left, used, strict=True):
            month[credit.provider] = month.get(credit.provider, 0.0) - usd
    paid = [month.tokens_usd - sum(rest.values()) for month, rest in zip(months, left, strict=True)]
    return tuple(replace(month, credit_usd=usd) for month, usd in zip(months, paid, strict=True)), tuple(ends)


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
