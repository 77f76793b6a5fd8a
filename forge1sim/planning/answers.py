"""What people ask of a plan besides what to buy: what is each constraint worth, what would help that is not bought, what does it come to.

A constraint's worth is told as three figures that need not agree: what its room is worth at the margin, by the fluid program with all
accounts as they are; and what a whole account more, or fewer, came to in simulation, as a mean of differences day by day.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import PlanError
from forge1sim.planning.cash import Month, cash, with_credits
from forge1sim.planning.commitments import CreditEnd
from forge1sim.planning.demand import Demand
from forge1sim.planning.fluid import propose
from forge1sim.planning.from_scenario import counts_of, problem_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.simulated import Simulated, Simulator, mean_of
from forge1sim.scenario.schema import ScenarioTenants
from forge1sim.statistics.interval import Interval
from forge1sim.statistics.means import paired_interval
from policies.schema import Account

if TYPE_CHECKING:
    from forge1sim.planning.exhaustion import Exhaustion
    from forge1sim.planning.interim import Interim
    from forge1sim.planning.tornado import Tornado

Floats = NDArray[np.float64]
MOST_RAISED = 3                     # limits, those of the highest rent
_CACHED_MORE, _SMOOTHER, _RAISED, _HALF = 0.2, 0.8, 1.25, 0.5
_BATCH_PRICE = 0.5
_SOLVE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """USD a month that something would add to the bill (below 0: save), over the same days."""

    usd_per_month: float
    low: float
    high: float

    @property
    def proven(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def shown(self) -> str:
        """In words."""
        if not self.proven:
            return "no proven value"
        return f"{abs(self.usd_per_month):,.0f} USD a month {'dearer' if self.usd_per_month > 0 else 'cheaper'}"


@dataclass(frozen=True, kw_only=True)
class Rent:
    """One limit of an entry: what `usd_per_month` an account's whole room under it is worth at the margin."""

    limit: str
    usd_per_month: float


@dataclass(frozen=True, kw_only=True)
class Worth:
    """An entry's three figures. `more` and `fewer` are None where that was not simulated; `breaks` says what fewer would break."""

    name: str
    rents: tuple[Rent, ...]
    more: Difference | None
    fewer: Difference | None
    breaks: tuple[str, ...]

    @property
    def rent_usd_per_month(self) -> float:
        """Of one account, all its limits together."""
        return sum(one.usd_per_month for one in self.rents)


@dataclass(frozen=True, kw_only=True)
class Lever:
    """Something else than buying, tried on the plan on the same days: what it would do to the bill and to promises."""

    name: str
    difference: Difference
    keeps_promises: bool
    breaks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UnitCost:
    """A part of the bill, USD a month, and per unit; None where there is no such unit. All parts add up to the bill."""

    name: str
    accounts_usd: float
    tokens_usd: float
    refusals_usd: float
    requests: float
    tokens: float
    tenants: int

    @property
    def usd_per_month(self) -> float:
        """All of it."""
        return self.accounts_usd + self.tokens_usd + self.refusals_usd

    def per(self, units: float) -> float | None:
        """For each of so many units."""
        return self.usd_per_month / units if units > 0 else None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All answers about a plan; `levers` is empty, and `tornado` None, where none were asked for."""

    worth: tuple[Worth, ...]
    levers: tuple[Lever, ...]
    unit_costs: tuple[UnitCost, ...]
    cash: tuple[Month, ...]
    credits: tuple[CreditEnd, ...] = ()
    exhaustion: "Exhaustion | None" = None
    interim: "Interim | None" = None
    tornado: "Tornado | None" = None


def answers_of(
    demand: Demand, best: Simulated, seen: Sequence[Simulated], simulator: Simulator, seeds: Sequence[int], *, levers: bool
) -> Answers:  # fmt: skip
    """Answers about the plan `best`. With `levers` one account more of each entry and each lever is simulated. Raises PlanError."""
    options = demand.reach.options
    known = {one.plan: one for one in seen}
    if levers:
        more = [plan for plan in one_more(options, best.plan).values() if plan not in known]
        known |= {one.plan: one for one in simulator(more, seeds)}
    rents = rents_of(demand, best)
    months, ends = with_credits(options, best, cash(options, best))
    return Answers(
        worth=tuple(worth_of(options, best, known, rents)),
        levers=tuple(try_levers(demand, best, simulator, seeds, rents)) if levers else (), unit_costs=unit_costs(options, best),
        cash=months, credits=ends,
    )  # fmt: skip


def one_more(options: Options, plan: Plan) -> dict[int, Plan]:
    """The plan with one account more, by the row of the entry, as far as terms allow."""
    return {
        row: Plan(counts=(*plan.counts[:row], count + 1, *plan.counts[row + 1 :]), states=plan.states, reservation=plan.reservation)
        for row, (count, entry) in enumerate(zip(plan.counts, options.entries, strict=True)) if count < entry.at_most
    }  # fmt: skip


def rents_of(demand: Demand, best: Simulated) -> tuple[tuple[Rent, ...], ...]:
    """By entry, what an account's room under each limit is worth at the margin, the highest first; limits of no worth are left out."""
    options = demand.reach.options
    problem = problem_of(demand, best.prices, "proposal", merged=True)
    fixed = counts_of(options, best.plan)
    try:
        proposal = propose(problem, fixed=fixed, time_limit_s=_SOLVE_S)
    except PlanError:                   # promises that a flow cannot keep in the busiest minutes: without them there is an answer
        free = replace(problem, goals=(), survivals=(), budget_usd_per_month=None, most_share_per_provider=None)
        proposal = propose(free, fixed=fixed, time_limit_s=_SOLVE_S)
    found: list[list[Rent]] = [[] for _ in options.entries]
    for room, use in zip(problem.rooms, proposal.rooms, strict=True):
        capacity = room.capacity[best.plan.states[room.kind]] * room.usable
        worth = float((use.rent_usd * np.where(np.isfinite(capacity), capacity, 0.0)).sum())
        if worth > 0:
            found[room.kind].append(Rent(limit=room.name, usd_per_month=worth))
    return tuple(tuple(sorted(rents, key=lambda one: -one.usd_per_month)) for rents in found)


def worth_of(options: Options, best: Simulated, known: dict[Plan, Simulated], rents: Sequence[tuple[Rent, ...]]) -> Iterator[Worth]:
    """The three figures of each entry, as far as plans beside the best were simulated."""
    more, fewer = one_more(options, best.plan), dict(options.below(best.plan))
    for row, entry in enumerate(options.entries):
        above, below = known.get(more.get(row, best.plan)), known.get(fewer.get(row, best.plan))
        yield Worth(
            name=entry.name, rents=rents[row] if best.plan.counts[row] else (), more=_between(best, above) if row in more else None,
            fewer=_between(best, below) if row in fewer else None, breaks=broken(below) if row in fewer and below else (),
        )  # fmt: skip


def _between(best: Simulated, other: Simulated | None) -> Difference | None:
    """The other plan's bill less the best one's."""
    if other is None or other.impossible:
        return None
    return difference(best.running_usd, other.running_usd, other.fixed_usd - best.fixed_usd)


def difference(before_usd: Floats, after_usd: Floats, fixed_usd: float = 0.0) -> Difference:
    """After less before, day by day, shape (days,) each, and what is different every month."""
    interval: Interval = paired_interval(before_usd, after_usd)
    mean = interval.value + fixed_usd
    if interval.trusted:
        return Difference(usd_per_month=mean, low=interval.low + fixed_usd, high=interval.high + fixed_usd)
    alike = len(before_usd) >= 2 and float(np.ptp(after_usd - before_usd)) == 0.0
    return Difference(usd_per_month=mean, low=mean if alike else -np.inf, high=mean if alike else np.inf)


def broken(one: Simulated) -> tuple[str, ...]:
    """Promises that do not hold, and what there is too much of."""
    return (*(promise.name for promise in one.promises if not promise.holds), *one.over)


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A lever in words and as `path=value`; `paid_share` is the share of what it takes off the tokens that is paid elsewhere."""

    name: str
    overrides: tuple[str, ...]
    paid_share: float = 0.0


def try_levers(
    demand: Demand, best: Simulated, simulator: Simulator, seeds: Sequence[int], rents: Sequence[tuple[Rent, ...]]
) -> list[Lever]:  # fmt: skip
    """Simulate the plan with each change, on the same draws; those that save most come first."""
    wanted = [one for one in levers_of(demand, best.plan, rents) if one.overrides]
    seen = simulator.changed([(best.plan, one.overrides) for one in wanted], seeds)
    found = [
        Lever(
            name=pull.name, difference=difference(best.running_usd, one.running_usd + pull.paid_share * (_tokens(best) - _tokens(one))),
            keeps_promises=one.holds, breaks=broken(one),
        )
        for pull, one in zip(wanted, seen, strict=True)
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.difference.usd_per_month)


def _tokens(one: Simulated) -> Floats:
    return one.prices.days_per_month * np.array([day.tokens_usd for day in one.days])


def levers_of(demand: Demand, plan: Plan, rents: Sequence[tuple[Rent, ...]]) -> Iterator[Pull]:
    """Each lever; without overrides where the scenario has nothing to pull."""
    options = demand.reach.options
    groups = [group for group in options.loaded.scenario.tenants if group.demand is not None]
    yield Pull(name="max_tokens at half of what is asked for (longer answers are cut off)", overrides=tuple(
        f"tenants.{group.name}.demand.max_output_tokens={max(1, group.demand.max_output_tokens // 2)}"
        for group in groups if group.demand and group.demand.max_output_tokens > 0
    ))  # fmt: skip
    yield Pull(name=f"{_CACHED_MORE:.0%} more of the input from the cache", overrides=tuple(
        f"tenants.{group.name}.demand.cached_share={min(1.0, group.demand.cached_share + _CACHED_MORE):g}"
        for group in groups if group.demand and group.demand.sessions is None and group.demand.cached_share < 1
    ))  # fmt: skip
    yield Pull(name=f"the day's peak lower by {1 - _SMOOTHER:.0%}", overrides=tuple(
        f"tenants.{group.name}.demand.diurnal.peak_over_mean={max(1.0, _SMOOTHER * group.demand.diurnal.peak_over_mean):g}"
        for group in groups if group.demand and group.demand.diurnal and group.demand.diurnal.peak_over_mean > 1
    ))  # fmt: skip
    yield _batch(groups)
    ranked = sorted(((rent, row) for row, of_entry in enumerate(rents) for rent in of_entry), key=lambda one: -one[0].usd_per_month)
    for rent, row in ranked[:MOST_RAISED]:
        if plan.counts[row]:
            raised = _scaled(demand, plan, row, rent.limit, _RAISED)
            yield Pull(name=f"{rent.limit}: a limit raised by {_RAISED - 1:.0%}", overrides=raised)
    yield from _unpublished(demand, plan)


def _batch(groups: Sequence[ScenarioTenants]) -> Pull:
    """Work that may wait goes to the providers' batch interfaces: limits of its own, half the price (OpenAI, Anthropic, Google, 2026)."""
    overrides: list[str] = []
    for group in groups:
        asked = group.demand
        if asked is None or asked.batch_share == 0:
            continue
        for field in ("requests_per_s", "requests_per_s_each"):
            if (rate := getattr(asked, field)) is not None:
                overrides += [f"tenants.{group.name}.demand.{field}={rate * (1 - asked.batch_share):g}"]
        overrides += [f"tenants.{group.name}.demand.batch_share=0"]
    return Pull(name="deferrable work as batches, at half price and beside the limits", overrides=tuple(overrides), paid_share=_BATCH_PRICE)


def _unpublished(demand: Demand, plan: Plan) -> Iterator[Pull]:
    """Limits that the catalogue has from nobody who knows, at half of what it assumes."""
    options = demand.reach.options
    for figure in options.loaded.assumptions:
        if not figure.field.startswith("limits"):
            continue
        for row, entry in enumerate(options.entries):
            account = _account(demand, row, plan.states[row])
            if plan.counts[row] and any(limit.model_class == figure.subject for limit in account.limits):
                words = f"{entry.name}: unpublished limits of {figure.subject} at half"
                yield Pull(name=words, overrides=_limits(entry.name, account, figure.subject, None, _HALF))


def _scaled(demand: Demand, plan: Plan, row: int, name: str, factor: float) -> tuple[str, ...]:
    """One limit of an entry, as `Room.name` says it, times a factor."""
    account = _account(demand, row, plan.states[row])
    model_class, dimension = name.removeprefix(f"{demand.reach.options.entries[row].name}: ").split()[:2]
    return _limits(demand.reach.options.entries[row].name, account, model_class, dimension, factor)


def _limits(entry: str, account: Account, model_class: str, dimension: str | None, factor: float) -> tuple[str, ...]:
    found = []
    for limit in account.limits:
        changed = limit.model_class == model_class and dimension in (None, limit.dimension)
        scaled = limit.model_copy(update={"limit": limit.limit * factor}) if changed else limit
        found.append(scaled.model_dump(mode="json", exclude_none=True))
    return (f"accounts.{entry}.limits={json.dumps(found)}",)


def _account(demand: Demand, row: int, state: int) -> Account:
    """An entry's account with the limits of its state."""
    reach = demand.reach
    seat = next(at for at, seat in enumerate(reach.seats) if (seat.entry, seat.state) == (row, state))
    return reach.layout.accounts[seat].spec


def unit_costs(options: Options, best: Simulated) -> tuple[UnitCost, ...]:
    """The bill by tier. Fees are shared out by requests answered, what commitments change by cost of tokens."""
    days = best.days
    per_month = best.prices.days_per_month
    served = mean_of(days, "served_by_tier")
    share = served / served.sum() if served.sum() > 0 else np.full(len(served), 1 / len(served))
    at_list = best.tokens_usd
    paid = 1 + best.commitments_usd / at_list if at_list > 0 else 1.0
    tokens_usd, tokens = mean_of(days, "usd_by_tier") * per_month * paid, mean_of(days, "tokens_by_tier") * per_month
    refused = mean_of(days, "refused") * np.array(best.prices.refusal_usd) * per_month
    found = []
    for row, tier in enumerate(options.loaded.bundle.tiers):
        found.append(UnitCost(
            name=tier.name, accounts_usd=best.fixed_usd * float(share[row]), tokens_usd=float(tokens_usd[row]),
            refusals_usd=float(refused[row]), requests=float(served[row]) * per_month, tokens=float(tokens[row]),
            tenants=sum(group.count for group in options.loaded.groups if group.tier == tier.name),
        ))  # fmt: skip
    return tuple(found)


def as_json(answers: Answers) -> dict[str, Any]:
    """Ready for JSON."""
    from forge1sim.planning.told import exhaustion_json, interim_json, tornado_json

    return {
        "worth": [
            {
                "name": one.name, "marginal_rent_usd_per_month": one.rent_usd_per_month, "limits": [asdict(rent) for rent in one.rents],
                "one_more": difference_json(one.more), "one_fewer": difference_json(one.fewer), "one_fewer_breaks": list(one.breaks),
            }
            for one in answers.worth
        ],
        "levers": [
            {"name": one.name, "keeps_promises": one.keeps_promises, "breaks": list(one.breaks)} | (difference_json(one.difference) or {})
            for one in answers.levers
        ],
        "unit_costs": [
            asdict(one) | {
                "usd_per_month": one.usd_per_month, "usd_per_request": one.per(one.requests),
                "usd_per_million_tokens": one.per(one.tokens / 1e6), "usd_per_tenant": one.per(one.tenants),
            }
            for one in answers.unit_costs
        ],
        "cash_by_month": [asdict(one) | {"usd": one.usd} for one in answers.cash],
        "credits": [asdict(one) for one in answers.credits],
        "exhaustion": exhaustion_json(answers.exhaustion) if answers.exhaustion else None,
        "interim": interim_json(answers.interim) if answers.interim else None,
        "tornado": tornado_json(answers.tornado) if answers.tornado else None,
    }  # fmt: skip


def difference_json(one: Difference | None) -> dict[str, Any] | None:
    """Ready for JSON, and in words."""
    if one is None:
        return None
    low, high = (value if isfinite(value) else None for value in (one.low, one.high))
    return {"usd_per_month": one.usd_per_month, "low": low, "high": high, "proven": one.proven, "in_words": one.shown()}
