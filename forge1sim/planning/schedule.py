"""What is in force when: accounts arrive after their lead time, and rise to a usage tier when enough was paid and days have passed.

Day 0 is the scenario's start: then accounts are ordered and notice is given. What an account is paid a day is its fee and what its tokens
cost in the simulated plan, from its first day on, evenly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf, isfinite

import numpy as np

from forge1sim.planning.growth import DAYS_PER_MONTH
from forge1sim.planning.options import Entry, Options, Plan
from forge1sim.planning.simulated import Simulated


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Accounts of an entry with the same past: in force from `from_day` until `until_day`; `reached` has the day of each usage tier."""

    entry: int
    count: int
    is_held: bool
    from_day: float
    until_day: float
    reached: tuple[float, ...]

    def state_on(self, day: float) -> int:
        """The row of the usage tier that they have reached by a day."""
        return max(state for state, reached in enumerate(self.reached) if reached <= day)


@dataclass(frozen=True, kw_only=True)
class TierDate:
    """When accounts of an entry rise to a usage tier; `date` is None where they never do. `paid_per_day_usd` is of each of them."""

    account: str
    accounts: int
    is_held: bool
    usage_tier: str
    date: str | None
    paid_per_day_usd: float
    because: str


def date_of(start: datetime, day: float) -> str | None:
    """The date, UTC, of a day since the start; None for never."""
    return (start + timedelta(days=day)).date().isoformat() if isfinite(day) else None


def cohorts_of(options: Options, plan: Plan, seen: Simulated) -> list[Cohort]:
    """Those that a plan keeps, gives up and gets. `seen` is a simulated plan whose days say what accounts are paid."""
    found = []
    for row, (entry, count) in enumerate(zip(options.entries, plan.counts, strict=True)):
        held, terms, paid = entry.account.count, entry.terms, paid_per_day_usd(options, row, seen)
        kept, given_up, new = min(held, count), max(0, held - count), max(0, count - held)
        before = _reached(entry, terms.paid_usd, terms.paying_for_days, paid, 0.0)
        parts = (
            Cohort(entry=row, count=kept, is_held=True, from_day=0.0, until_day=inf, reached=before),
            Cohort(entry=row, count=given_up, is_held=True, from_day=0.0, until_day=terms.notice_days, reached=before),
            Cohort(
                entry=row, count=new, is_held=False, from_day=terms.lead_time_days, until_day=inf,
                reached=_reached(entry, 0.0, 0.0, paid, terms.lead_time_days),
            ),
        )  # fmt: skip
        found += [one for one in parts if one.count]
    return found


def paid_per_day_usd(options: Options, row: int, seen: Simulated) -> float:
    """What each account of an entry is paid a day: its fee and its tokens, as simulated."""
    entry, names = options.entries[row], {one.name for one in options.entries}
    fee = entry.states[0].usd_per_month / DAYS_PER_MONTH
    count = seen.plan.counts[row]
    if not count or not seen.days:
        return fee
    mine = {entry.name} if count == 1 else {f"{entry.name}-{number}" for number in range(1, count + 1)} - names
    tokens = float(np.mean([sum(usd for name, usd in day.usd_by_account.items() if name in mine) for day in seen.days]))
    return fee + tokens * seen.prices.days_per_month / DAYS_PER_MONTH / count


def _reached(entry: Entry, paid_usd: float, paying_for_days: float, per_day_usd: float, from_day: float) -> tuple[float, ...]:
    days, latest = [-inf], from_day
    for state in entry.states[1:]:
        assert state.terms is not None
        owed = state.terms.paid_usd - paid_usd
        by_paid = from_day + (0.0 if owed <= 0 else ceil(owed / per_day_usd) if per_day_usd > 0 else inf)
        by_days = from_day + max(0.0, state.terms.after_days - paying_for_days)
        latest = max(latest, by_paid, by_days)
        days.append(latest)
    return tuple(days)


def tier_dates(options: Options, cohorts: Sequence[Cohort], seen: Simulated, plan: Plan) -> Iterator[TierDate]:
    """Every usage tier that the plan counts on, account by account, with what it waits for."""
    start = options.loaded.scenario.start
    for one in cohorts:
        entry = options.entries[one.entry]
        per_day = paid_per_day_usd(options, one.entry, seen)
        for state in range(1, plan.states[one.entry] + 1 if one.until_day == inf else 1):
            terms = entry.states[state].terms
            assert terms is not None
            paid, days = (entry.terms.paid_usd, entry.terms.paying_for_days) if one.is_held else (0.0, 0.0)
            because = f"{terms.paid_usd:,.0f} USD paid ({paid:,.0f} before the start) and {terms.after_days:g} days ({days:g} before)"
            yield TierDate(
                account=entry.name, accounts=one.count, is_held=one.is_held, usage_tier=str(entry.states[state].name),
                date=date_of(start, max(0.0, one.reached[state])), paid_per_day_usd=per_day, because=because,
            )  # fmt: skip


def in_force_on(options: Options, cohorts: Sequence[Cohort], day: float, most_state: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Accounts by entry and usage tier on a day; `most_state` is the highest tier that counts, by entry."""
    found = [[0] * len(entry.states) for entry in options.entries]
    for one in cohorts:
        if one.from_day <= day < one.until_day:
            found[one.entry][min(one.state_on(day), most_state[one.entry])] += one.count
    return tuple(tuple(of_entry) for of_entry in found)


def days_of_change(cohorts: Sequence[Cohort], plan: Plan) -> tuple[list[float], float]:
    """The days on which what is in force changes until the plan is, and the day from which it is; infinite if never."""
    whole = max((max(one.from_day, 0.0, one.reached[plan.states[one.entry]]) for one in cohorts if one.until_day == inf), default=0.0)
    changes = {0.0}
    for one in cohorts:
        changes |= {one.from_day, one.until_day, *one.reached[1 : plan.states[one.entry] + 1]}
    return sorted(day for day in changes if 0.0 <= day < whole and isfinite(day)), whole
