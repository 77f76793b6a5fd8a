"""Until a plan is in force: what of all that can be had at once breaks least, beside doing nothing, step by step, in simulation.

A step lasts as long as nothing arrives, rises to a usage tier or runs out of notice. In each, what the plan has in force by then is
tried with what could be had on top at once: accounts held that the plan gives up, and accounts without a lead time (or whose
lead time is over) that it does not ask for. The fewest broken promises win, then the smallest misses, then the lowest cost.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np

from forge1sim.planning.commitments import added_usd, offered
from forge1sim.planning.growth import DAYS_PER_MONTH
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.schedule import TierDate, cohorts_of, date_of, days_of_change, in_force_on, tier_dates
from forge1sim.planning.simulated import Day, Promise, Simulated, Simulator, day_of, list_usd_of, promises_of

MOST_STEPS, MOST_TRIED = 6, 16
Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Made:
    """Accounts by entry and usage tier under a reservation, as they came to in simulation; money is USD per month."""

    counts: Counts
    reservation: int
    days: tuple[Day, ...]
    promises: tuple[Promise, ...]
    fixed_usd: float
    running_usd: float
    impossible: str = ""

    @property
    def breaks(self) -> tuple[str, ...]:
        """Promises that do not hold, or why it cannot be at all."""
        return (self.impossible,) if self.impossible else tuple(one.name for one in self.promises if not one.holds)

    @property
    def rank(self) -> tuple[float, ...]:
        """The lowest breaks least."""
        if self.impossible:
            return (np.inf, np.inf, np.inf)
        return (len(self.breaks), round(sum(_missed(one) for one in self.promises), 9), self.fixed_usd + self.running_usd)


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one way of getting through a step comes to: in words, its cost over the step, and requests refused meanwhile by tier."""

    accounts: str
    usd: float
    refused: dict[str, float]
    breaks: tuple[str, ...]

    @property
    def keeps_promises(self) -> bool:
        """Whether all promises hold."""
        return not self.breaks


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one date to another (exclusive): the way that breaks least, and doing nothing."""

    begins: str
    ends: str
    days: float
    best: Column
    nothing: Column


@dataclass(frozen=True, kw_only=True)
class Interim:
    """All steps until the plan is in force (`in_force`: a date; None: never, then one looks `months` of the terms ahead).

    `setup_usd` and `notice_usd` are for accounts that are had for the meantime only: paid once, and after their end.
    """

    in_force: str | None
    tiers: tuple[TierDate, ...]
    steps: tuple[Step, ...]
    setup_usd: float
    notice_usd: float

    @property
    def usd(self) -> float:
        """What getting through costs."""
        return sum(one.best.usd for one in self.steps) + self.setup_usd + self.notice_usd

    @property
    def nothing_usd(self) -> float:
        """What doing nothing costs over the same time."""
        return sum(one.nothing.usd for one in self.steps)


def interim_of(simulator: Simulator, seeds: Sequence[int], best: Simulated, held: Simulated | None) -> Interim:
    """How to get from what is held to the plan `best`. Raises PlanError for a run that fails."""
    options = simulator.options
    plan, start = best.plan, options.loaded.scenario.start
    cohorts = cohorts_of(options, plan, best)
    seen = held if held is not None and held.days else best
    still = cohorts_of(options, options.held, seen)
    changes, whole = days_of_change(cohorts, plan)
    until = whole if isfinite(whole) else options.loaded.scenario.plan.months * DAYS_PER_MONTH
    edges = [*[day for day in changes if day < until][:MOST_STEPS], until]
    highest = [len(entry.states) - 1 for entry in options.entries]
    tried, steps, chosen = _Tried(simulator, seeds), [], []
    for begins, ends in pairwise(edges):
        in_force = in_force_on(options, cohorts, begins, plan.states)
        found = _least_broken(tried, options, in_force, plan.reservation, begins)
        nothing = tried([(in_force_on(options, still, begins, highest), 0)])[0]
        chosen.append((found.counts, in_force, begins))
        steps.append(Step(
            begins=date_of(start, begins) or "", ends=date_of(start, ends) or "", days=ends - begins,
            best=_column(options, found, best, ends - begins), nothing=_column(options, nothing, best, ends - begins),
        ))  # fmt: skip
    setup_usd, notice_usd = _once_usd(options, chosen)
    return Interim(
        in_force=date_of(start, whole), tiers=tuple(tier_dates(options, cohorts, best, plan)), steps=tuple(steps), setup_usd=setup_usd,
        notice_usd=notice_usd,
    )  # fmt: skip


class _Tried:
    """Simulates accounts by usage tier, each composition once. Commitments that are held are paid, new ones begin with the plan."""

    def __init__(self, simulator: Simulator, seeds: Sequence[int]) -> None:
        self.simulator, self.seeds = simulator, seeds
        terms = simulator.options.loaded.scenario.plan
        names = {one.name for one in terms.commitments if one.held}
        self.held = [one for one in offered(terms) if one.name in names]
        self.known: dict[tuple[Counts, int], Made] = {}

    def __call__(self, wanted: Sequence[tuple[Counts, int]]) -> list[Made]:
        options, simulator = self.simulator.options, self.simulator
        new = [one for one in dict.fromkeys(wanted) if one not in self.known]
        asked = [(_plan(options, *one), overrides_of(options, one[0])) for one in new]
        why = [simulator.why_not(plan, overrides) for plan, overrides in asked]
        able = [row for row, reason in enumerate(why) if not reason]
        days = dict(zip(able, simulator.each([asked[row] for row in able], self.seeds, day_of), strict=True))
        for row, one in enumerate(new):
            self.known[one] = self._made(one, days.get(row, ()), why[row])
        return [self.known[one] for one in wanted]

    def _made(self, one: tuple[Counts, int], days: tuple[Day, ...], why: str) -> Made:
        options, prices = self.simulator.options, self.simulator.prices
        at_list = np.array([prices.running(day) for day in days])
        paid = at_list + added_usd(self.held, list_usd_of(days, prices.days_per_month))
        fees = sum(
            count * state.usd_per_month
            for entry, of_entry in zip(options.entries, one[0], strict=True) for state, count in zip(entry.states, of_entry, strict=True)
        )  # fmt: skip
        return Made(
            counts=one[0], reservation=one[1], days=days, fixed_usd=float(fees), impossible=why,
            promises=promises_of(options.loaded, days, self.simulator.confidence) if days else (),
            running_usd=float(paid.mean()) if days else 0.0,
        )  # fmt: skip


def _plan(options: Options, counts: Counts, reservation: int) -> Plan:
    """The plan with as many accounts, each entry in the highest tier that any of its accounts is in."""
    states = tuple(max((state for state, count in enumerate(of_entry) if count), default=0) for of_entry in counts)
    return Plan(counts=tuple(sum(of_entry) for of_entry in counts), states=states, reservation=reservation)


def overrides_of(options: Options, counts: Counts) -> tuple[str, ...]:
    """What tells accounts of one entry apart that are in different usage tiers: an entry for each; none where nothing does."""
    if all(sum(count > 0 for count in of_entry) <= 1 for of_entry in counts):
        return ()
    found = []
    for entry, written, of_entry in zip(options.entries, options.loaded.scenario.accounts, counts, strict=True):
        for row, state in enumerate(state for state, count in enumerate(of_entry) if count):
            account = written.model_dump(mode="json", exclude_unset=True) | {"count": of_entry[state]}
            if row:
                account["name"] = f"{entry.name}: {entry.states[state].name}"
            if entry.states[state].name is not None:
                account["usage_tier"] = entry.states[state].name
            found.append(account)
    return (f"accounts={json.dumps(found)}",)


def _least_broken(tried: _Tried, options: Options, in_force: Counts, reservation: int, day: float) -> Made:
    """Of what the plan has in force, with all that can be had on top, and with less and less of that: what breaks least."""
    extra = _extra(options, in_force, day)
    reservations = list(dict.fromkeys([reservation, *range(len(options.reservations))]))[:4]
    whole = _with(in_force, extra)
    found = min(tried([(counts, row) for row in reservations for counts in dict.fromkeys([in_force, whole])]), key=lambda one: one.rank)
    most = len(tried.known) + MOST_TRIED
    while len(tried.known) < most:
        fewer = list(_fewer(found.counts, in_force))
        if not fewer:
            break
        better = min(tried([(counts, found.reservation) for counts in fewer]), key=lambda one: one.rank)
        if better.rank >= found.rank:
            break
        found = better
    return found


def _extra(options: Options, in_force: Counts, day: float) -> list[int]:
    """Accounts of each entry that can be had on top by a day."""
    return [
        max(0, max(entry.held, entry.at_most if entry.terms.lead_time_days <= day else 0) - sum(of_entry))
        for entry, of_entry in zip(options.entries, in_force, strict=True)
    ]


def _with(in_force: Counts, extra: Sequence[int]) -> Counts:
    """As many more accounts of each entry in the first usage tier."""
    return tuple((of_entry[0] + more, *of_entry[1:]) for of_entry, more in zip(in_force, extra, strict=True))


def _fewer(counts: Counts, in_force: Counts) -> Iterator[Counts]:
    """Without all that is on top of one entry, and without one account of it."""
    for row, (of_entry, least) in enumerate(zip(counts, in_force, strict=True)):
        for first in dict.fromkeys((least[0], of_entry[0] - 1)):
            if least[0] <= first < of_entry[0]:
                yield (*counts[:row], (first, *of_entry[1:]), *counts[row + 1 :])


def _missed(one: Promise) -> float:
    """By how much of its target a promise is missed on average."""
    if one.kept_on_average or not isfinite(one.mean):
        return 0.0 if one.kept_on_average else 1.0
    target = float(one.target.split()[1])
    return abs(one.mean - target) / (abs(target) or 1.0)


def _column(options: Options, made: Made, best: Simulated, days: float) -> Column:
    tiers = [tier.name for tier in options.loaded.bundle.tiers]
    times = days / DAYS_PER_MONTH * best.prices.days_per_month
    refused = np.mean([day.refused for day in made.days], axis=0) * times if made.days else np.zeros(len(tiers))
    usd = (made.fixed_usd + made.running_usd) * days / DAYS_PER_MONTH
    return Column(accounts=shown(options, made), usd=usd, refused=dict(zip(tiers, refused.tolist(), strict=True)), breaks=made.breaks)


def shown(options: Options, made: Made) -> str:
    """Accounts in words."""
    parts = []
    for entry, of_entry in zip(options.entries, made.counts, strict=True):
        for state, count in enumerate(of_entry):
            if count:
                named = f" ({entry.states[state].name or 'as it is'})" if len(entry.states) > 1 else ""
                parts.append(f"{entry.name} {count}{named}")
    if option := options.reservations[made.reservation]:
        parts.append(f"reservation {option.name}")
    return ", ".join(parts) or "nothing"


def _once_usd(options: Options, chosen: Sequence[tuple[Counts, Counts, float]]) -> tuple[float, float]:
    """Set-up of accounts had for the meantime only, and their fees until notice has run after it."""
    setup_usd = notice_usd = 0.0
    for row, entry in enumerate(options.entries):
        on_top = [sum(counts[row]) - sum(in_force[row]) for counts, in_force, _ in chosen]
        new = max((sum(counts[row]) - max(entry.held, sum(in_force[row])) for counts, in_force, _ in chosen), default=0)
        setup_usd += entry.terms.setup_usd * max(0, new)
        last = on_top[-1] if on_top else 0
        notice_usd += last * entry.states[0].usd_per_month * entry.terms.notice_days / DAYS_PER_MONTH
    return setup_usd, notice_usd
