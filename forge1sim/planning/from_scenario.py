"""The problem of a scenario's terms and draws: what the program decides about, in its own words (`problem`).

`bound` takes mean demand, all of each limit and what buckets hold, and asks no more than the promises ask on average. `proposal` plans
for the busiest minutes: each limit per minute may be used up to the mean over a high quantile of its minutes, where the minutes are
those of all requests that share it, since quantiles of parts do not add up to the quantile of their sum.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import SECONDS
from forge1sim.experiments.clairvoyant.rooms import Blocks
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.planning.commitments import offered
from forge1sim.planning.demand import MINUTE_US, Class, Demand, rule_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.problem import Counts, DemandClass, Goal, Kind, Problem, Room, State, Survival
from forge1sim.planning.reach import Reach
from forge1sim.planning.simulated import Prices
from forge1sim.workload.table import AUTO
from policies.build import granted_shares
from policies.layout import LimitRow

Floats = NDArray[np.float64]
Which = Literal["bound", "proposal"]
BUSY_QUANTILE = 0.98                # of the minutes of a block, over all draws
_FALLBACK_SHARE = 0.2               # of a named model's requests that a proposal may count on its fallbacks for
_KEPT = ("partition", "trunk", "cap")
"""Reservations that leave room idle. The others lend it."""


def problem_of(demand: Demand, prices: Prices, which: Which, *, usable: float = 1.0, merged: bool = False) -> Problem:
    """The problem of all draws that `demand` has seen, one scenario each, or their mean if `merged`.

    `usable` is the share of each limit that is planned with: below 1 nothing is a bound. Kinds are the options' entries, in order.
    """
    options = demand.reach.options
    loaded, terms = options.loaded, options.loaded.scenario.plan
    keys = np.flatnonzero(np.sum(demand.counts, axis=0).sum(axis=1))
    classes = [demand.class_of(int(key)) for key in keys]
    asked = np.array([counts[keys] for counts in demand.counts])
    asked = asked.mean(axis=0, keepdims=True) if merged else asked
    found = tuple(_class(demand, int(key), one, prices, which) for key, one in zip(keys, classes, strict=True))
    goals = _goals(options)
    return Problem(
        tiers=tuple(tier.name for tier in loaded.bundle.tiers), models=tuple(model.name for model in demand.reach.layout.models),
        kinds=tuple(_kinds(options)), rooms=tuple(_rooms(demand, keys, which, usable)), classes=found, demand=asked,
        probability=np.full(len(asked), 1 / len(asked)), repeats=np.full(demand.blocks.count, prices.days_per_month), goals=goals,
        survivals=_survivals(options, asked, found, goals) if which == "proposal" else (),
        commitments=offered(terms), budget_usd_per_month=terms.budget_usd_per_month, most_share_per_provider=terms.most_share_per_provider,
    )  # fmt: skip


def plan_of(options: Options, counts: Counts, reservation: int = 0) -> Plan:
    """The plan of the options that is closest to counts: an entry's accounts are all in the highest state that any is in.

    Where the counts leave a model that is asked for without an account, one is added.
    """
    number, states = [], []
    for of_kind in counts.accounts:
        number.append(sum(of_kind))
        states.append(max((state for state, count in enumerate(of_kind) if count), default=0))
    plan = Plan(counts=tuple(number), states=tuple(states), reservation=reservation)
    for row in sorted(range(len(number)), key=lambda row: options.entries[row].states[0].usd_per_month):
        if not plan.counts[row] and options.entries[row].at_most:
            more = Plan(counts=(*plan.counts[:row], 1, *plan.counts[row + 1 :]), states=plan.states, reservation=reservation)
            plan = more if options.models_reached(more) > options.models_reached(plan) else plan
    return plan


def counts_of(options: Options, plan: Plan) -> Counts:
    """The inverse: a plan in the program's words."""
    return Counts(accounts=tuple(
        tuple(count if state == at else 0 for at in range(len(entry.states)))
        for entry, count, state in zip(options.entries, plan.counts, plan.states, strict=True)
    ))  # fmt: skip


def _kinds(options: Options) -> list[Kind]:
    return [
        Kind(
            name=entry.name, provider=entry.provider, held=(entry.held, *(0 for _ in entry.states[1:])), at_least=entry.at_least,
            at_most=entry.at_most,
            states=tuple(
                State(name=state.name or "as it is", usd_per_month=state.usd_per_month, most=entry.at_most) for state in entry.states
            ),
        )
        for entry in options.entries
    ]  # fmt: skip


def _class(demand: Demand, key: int, one: Class, prices: Prices, which: Which) -> DemandClass:
    options, layout = demand.reach.options, demand.reach.layout
    most = np.zeros((len(options.entries), demand.models))
    requests = max(1.0, float(np.sum([counts[key].sum() for counts in demand.counts])))
    for row, route in enumerate(demand.routes):
        for account in demand.pools[route.pool].accounts:
            entry = demand.reach.seats[account].entry
            most[entry, route.model] = max(most[entry, route.model], demand.open_count[key, row] / requests)
    wanted = layout.models[one.wanted].name if one.wanted != AUTO else "any model"
    if which == "proposal" and one.wanted != AUTO:
        other = np.arange(demand.models) != one.wanted
        falls_back = options.loaded.bundle.retry.fallback_models
        most[:, other] *= _FALLBACK_SHARE if falls_back else 0.0
    return DemandClass(
        name=f"{options.loaded.bundle.tiers[one.tier].name}, {wanted}, contract {one.access + 1}, size {one.size + 1}", tier=one.tier,
        most_share=np.minimum(most, 1.0), usd=np.broadcast_to(demand.mean(demand.usd)[key], most.shape).copy(),
        quality=demand.mean(demand.quality)[key].clip(0.0, 1.0), refusal_usd=prices.refusal_usd[one.tier],
    )  # fmt: skip


def _rooms(demand: Demand, keys: NDArray[np.int64], which: Which, usable: float) -> list[Room]:
    """A room for each limit of an entry, whatever its amount in each state; one that a state lacks is without end there."""
    found: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for number, limit in enumerate(demand.reach.layout.limits):
        seat = demand.reach.seats[limit.account]
        if limit.window != "acceleration":
            found.setdefault((seat.entry, *key_of(demand.reach, limit)), []).append((seat.state, number))
    return [_room(demand, keys, rows, which, usable) for rows in found.values()]


def key_of(reach: Reach, limit: LimitRow) -> tuple[object, ...]:
    """What a limit has in common with the same limit in another usage tier."""
    bucket = "*" if limit.bucket < 0 else reach.layout.buckets[limit.bucket].model_class
    return (bucket, limit.dimension, limit.window, limit.charge, limit.window_us)


def _room(demand: Demand, keys: NDArray[np.int64], rows: list[tuple[int, int]], which: Which, usable: float) -> Room:
    reach = demand.reach
    first = reach.layout.limits[rows[0][1]]
    seat = reach.seats[first.account]
    entry = reach.options.entries[seat.entry]
    units = np.zeros((len(keys), demand.models))
    on_it = sorted({route.model for route in demand.routes if any(row in route.limits for row in _alike(demand, rows[0][1]))})
    units[:, on_it] = demand.mean(demand.uses[rule_of(first)])[keys][:, on_it]
    spans = spans_of(first, demand.blocks)
    capacity = np.full((len(entry.states), len(spans)), np.inf)
    for state, number in rows:
        capacity[state] = [_gives(reach.layout.limits[number], span, demand.blocks, which) for span in spans]
    may_use = np.full(len(spans), usable)
    per_minute = all(len(span) == 1 for span in spans) and rule_of(first) != SECONDS
    if which == "proposal" and per_minute:
        may_use *= _evenness(demand, rows[0][1], spans)
    bundle = reach.options.loaded.bundle
    shares = granted_shares(bundle.tiers, bundle.reservation.oversubscription)
    keeps = which == "proposal" and bundle.reservation.mode in _KEPT and entry.account.dedicated_to is None
    return Room(
        name=_named(reach, first), kind=seat.entry, units=units, spans=spans,
        times=np.ones(demand.blocks.count), capacity=capacity, usable=may_use,
        kept_for=np.array(shares) if keeps else np.zeros(len(bundle.tiers)),
    )  # fmt: skip


def _named(reach: Reach, limit: LimitRow) -> str:
    """`openai: gpt-6-luna tpm`, with the window where the dimension does not say it."""
    entry = reach.options.entries[reach.seats[limit.account].entry]
    window = f" per {limit.window_us / 1e6:g} s" if limit.dimension == "spend" else ""
    return f"{entry.name}: {key_of(reach, limit)[0]} {limit.dimension}{window}"


def _alike(demand: Demand, number: int) -> list[int]:
    """Limits at the place of this one in the accounts that are alike: routes name those of the first of them."""
    layout = demand.reach.layout
    limit = layout.limits[number]
    place = number - layout.accounts[limit.account].limit_lo
    pool = next(pool for pool in demand.pools if limit.account in pool.accounts)
    return [layout.accounts[account].limit_lo + place for account in pool.accounts]


def spans_of(limit: LimitRow, blocks: Blocks) -> tuple[tuple[int, ...], ...]:
    """The blocks that a limit counts together: each alone, or those that begin in one of its windows."""
    if limit.window_us == 0 or limit.window_us <= int(np.diff(blocks.edges[:-1]).min(initial=1 << 62)):
        return tuple((block,) for block in range(blocks.count))
    window = (blocks.edges[:-1] - limit.offset_us) // limit.window_us
    return tuple(tuple(np.flatnonzero(window == number).tolist()) for number in np.unique(window))


def _gives(limit: LimitRow, span: tuple[int, ...], blocks: Blocks, which: Which) -> float:
    """What one account gives in a span: for the bound with what buckets hold and whole windows, else in proportion to time."""
    length_us = int(blocks.edges[span[-1] + 1] - blocks.edges[span[0]])
    if limit.window == "none":
        return limit.amount * length_us / 1e6
    if limit.window_us == 0:
        return limit.amount * length_us / MINUTE_US + (limit.depth if which == "bound" and span[0] == 0 else 0.0)
    windows = length_us / limit.window_us
    return limit.amount * (float(np.ceil(windows)) if which == "bound" else windows)


def _evenness(demand: Demand, number: int, spans: tuple[tuple[int, ...], ...]) -> Floats:
    """Mean over a high quantile of what a limit is asked for in a minute, by block, shape (spans,); 1 where that is nothing."""
    edges = (demand.blocks.edges - demand.blocks.edges[0]) // MINUTE_US
    found = np.ones(len(spans))
    for row, (block,) in enumerate(spans):
        minutes = np.concatenate([one[number, edges[block] : max(edges[block] + 1, edges[block + 1])] for one in demand.per_min])
        busy = float(np.quantile(minutes, BUSY_QUANTILE, method="higher"))
        if busy > 0:
            found[row] = min(1.0, float(minutes.mean()) / busy)
    return found


def _goals(options: Options) -> tuple[Goal, ...]:
    """Those promises that a flow can keep: shares served, quality, cost of a request."""
    names = [tier.name for tier in options.loaded.bundle.tiers]
    found = []
    for slo in options.loaded.slos:
        tier = None if slo.tier == ALL_TIERS else names.index(slo.tier)
        if slo.metric == "served_ratio" and slo.at_least is not None:
            found.append(Goal(tier=tier, served_share=slo.at_least))
        elif slo.metric == "quality_mean" and slo.at_least is not None:
            found.append(Goal(tier=tier, quality_mean=slo.at_least))
        elif slo.metric == "cost_per_request_usd" and slo.at_most is not None:
            found.append(Goal(tier=tier, usd_per_request=slo.at_most))
    return tuple(found)


def _survivals(options: Options, asked: Floats, classes: tuple[DemandClass, ...], goals: tuple[Goal, ...]) -> tuple[Survival, ...]:
    """Each tier that was promised so, in its busiest block, to what it is promised of being served at all."""
    names = [tier.name for tier in options.loaded.bundle.tiers]
    found = []
    for one in options.loaded.scenario.plan.survive:
        tier = names.index(one.tier)
        shares = [goal.served_share for goal in goals if goal.tier == tier and goal.served_share is not None]
        of_tier = asked[:, [number for number, cls in enumerate(classes) if cls.tier == tier]].sum(axis=1)
        if shares and of_tier.size:
            scenario, block = np.unravel_index(int(of_tier.argmax()), of_tier.shape)
            found.append(Survival(tier=tier, lost=one.lost, served_share=max(shares), moments=((int(scenario), int(block)),)))
    return tuple(found)
