"""Which share of a class is answered where, in each scenario and block, and the room that this takes."""

from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from forge1sim.planning.fluid.stock import Terms
from forge1sim.planning.fluid.table import Bools, Floats, Ints, Table
from forge1sim.planning.problem import Problem, Room


@dataclass(frozen=True)
class Routes:
    """Where a class may be answered: class, kind of account and model of each route, shape (routes,); the largest share, likewise."""

    cls: Ints
    kind: Ints
    model: Ints
    most_share: Floats

    def only(self, kinds: Bools) -> "Routes":
        """Routes over these kinds alone; `kinds` has shape (kinds,)."""
        kept = kinds[self.kind]
        return Routes(self.cls[kept], self.kind[kept], self.model[kept], self.most_share[kept])


def routes_of(problem: Problem, most_accounts: list[Floats]) -> Routes:
    """Every route that is allowed and could have an account."""
    most = np.array([one.most_share for one in problem.classes]).reshape(len(problem.classes), len(problem.kinds), len(problem.models))
    possible = np.array([bool(high[0] > 0) for high in most_accounts], np.bool_)
    cls, kind, model = np.nonzero((most > 0) & possible[None, :, None])
    return Routes(cls, kind, model, most[cls, kind, model])


@dataclass(frozen=True)
class Flow:
    """Columns of shares, shape (scenarios, routes, blocks), -1 where nothing is asked; `demand`, shape (scenarios, classes, blocks)."""

    routes: Routes
    columns: Ints
    demand: Floats

    def asked(self, routes: Ints | Bools | slice = slice(None)) -> Floats:
        """Demand that each route could answer, shape (scenarios, routes, blocks)."""
        return self.demand[:, self.routes.cls[routes], :]


def flow_of(table: Table, routes: Routes, demand: Floats) -> Flow:
    """Columns for shares, and rows that no class is answered more than once."""
    there = demand[:, routes.cls, :] > 0
    columns = np.full(there.shape, -1, np.int64)
    most = np.broadcast_to(routes.most_share[None, :, None], there.shape)[there]
    in_all = np.bincount(routes.cls, routes.most_share, demand.shape[1])
    # Where shares cannot add up to more than 1, or must not (a row says so), the bound of 1 says nothing.
    alone = in_all[np.broadcast_to(routes.cls[None, :, None], there.shape)[there]] <= 1.0
    columns[there] = table.columns(int(there.sum()), high=np.where((most >= 1.0) & ~alone, np.inf, np.minimum(most, 1.0)))
    sums = (demand > 0) & (in_all > 1.0)[None, :, None]
    rows = np.full(demand.shape, -1, np.int64)
    rows[sums] = np.arange(int(sums.sum()))
    at = rows[:, routes.cls, :]
    entered = there & (at >= 0)
    table.rows(at[entered], columns[entered], 1.0, np.ones(int(sums.sum())))
    return Flow(routes, columns, demand)


@dataclass(frozen=True)
class RoomRows:
    """Rows of a room for some tiers, shape (rows,): their numbers, scenario and span, what a unit stands for, and what demand could use.

    `share` is how much of the room they are about.
    """

    room: int
    share: float
    rows: Ints
    scenario: Ints
    span: Ints
    scale: Floats
    most_use: Floats


def add_rooms(table: Table, problem: Problem, flow: Flow, stock: list[list[Terms]], *, moment: bool = False) -> list[RoomRows]:
    """Rows for every room that `flow` needs, by scenario, span and set of tiers, and that without an account nothing flows.

    `stock` is what there is by kind and state; `moment` says that the demand is a moment's, of which a longer span holds one.
    """
    made: list[RoomRows] = []
    bound = np.zeros(flow.columns.shape[1:], np.bool_)
    for number, room in enumerate(problem.rooms):
        routes = np.flatnonzero((flow.routes.kind == room.kind) & (room.units[flow.routes.cls, flow.routes.model] > 0))
        if not len(routes):
            continue
        for span in room.spans:
            bound[np.ix_(routes, np.array(span))] = True
        for tiers, share in shares_for(room.kept_for, {problem.classes[cls].tier for cls in set(flow.routes.cls[routes].tolist())}):
            chosen = routes[[problem.classes[cls].tier in tiers for cls in flow.routes.cls[routes].tolist()]]
            made.append(_add_room(table, room, flow, chosen, stock[room.kind], (number, share), moment=moment))
    _add_links(table, flow, stock, bound)
    return made


def shares_for(kept_for: Floats, tiers: set[int]) -> list[tuple[frozenset[int], float]]:
    """Sets of tiers and the share of a room that each set may use in all, where no other row says it already.

    A set may use all but what is kept for tiers outside. That all sets do is enough for a fair division to exist (max-flow min-cut:
    Ford and Fulkerson, "Maximal flow through a network", 1956).
    """
    reserved = [tier for tier, kept in enumerate(kept_for.tolist()) if kept > 0]
    found: dict[frozenset[int], float] = {}
    for outside in chain.from_iterable(combinations(reserved, size) for size in range(len(reserved) + 1)):
        inside = frozenset(tiers.difference(outside))
        if inside:
            share = max(0.0, 1.0 - float(kept_for[list(outside)].sum()))
            found[inside] = min(share, found.get(inside, 1.0))
    return list(found.items())


def _add_room(table: Table, room: Room, flow: Flow, routes: Ints, stock: list[Terms], what: tuple[int, float], *, moment: bool) -> RoomRows:
    number, share = what
    span_at, block_at, times = _spans(room, moment=moment)
    per_request = room.units[flow.routes.cls[routes], flow.routes.model[routes]]
    asked = flow.asked(routes)[:, :, block_at] * times
    most_use = _most_use(flow, routes, per_request, (span_at, block_at, times), len(room.spans))
    gives = _gives(room, share, most_use)
    scale = np.maximum(gives.max(axis=1), np.where(most_use > 0, most_use * 1e-4, 1.0))
    steps = np.diff(gives, axis=1, prepend=0.0) / scale[:, None, :]
    sure = sum(steps[:, state] * terms.least for state, terms in enumerate(stock)) if (steps >= 0).all() else np.zeros_like(most_use)
    needed = (most_use > 0) & (most_use / scale > sure + 1e-12)
    rows = np.full(needed.shape, -1, np.int64)
    rows[needed] = np.arange(int(needed.sum()))
    at = np.broadcast_to(rows[:, None, span_at], asked.shape)
    there = (at >= 0) & (asked > 0)
    use = asked * per_request[None, :, None] / scale[:, None, span_at]
    limit = sum(steps[:, state] * terms.constant for state, terms in enumerate(stock))
    # Rows of the busiest span decide nearly all, and the moments of a loss hardly ever do.
    busiest = (most_use / scale == (most_use / scale).max(axis=1, keepdims=True)) & (not moment)
    ids = table.rows(at[there], flow.columns[:, routes][:, :, block_at][there], use[there], np.broadcast_to(limit, needed.shape)[needed],
                     waits=~busiest[needed])  # fmt: skip
    for state, terms in enumerate(stock):
        for column, factor in zip(terms.columns, terms.factors, strict=True):
            table.enter(ids, column, -factor * steps[:, state][needed])
    scenario, span = np.nonzero(needed)
    return RoomRows(number, share, ids, scenario, span, scale[needed], most_use[needed])


def _spans(room: Room, *, moment: bool) -> tuple[Ints, Ints, Floats]:
    """Pairs of span and block, and how often the block counts there, shape (pairs,) each."""
    span_at = np.repeat(np.arange(len(room.spans)), [len(span) for span in room.spans])
    block_at = np.array([block for span in room.spans for block in span], np.int64)
    alone = np.array([len(span) == 1 for span in room.spans])[span_at]
    times = room.times[block_at]
    return span_at, block_at, np.where(alone, times, np.minimum(times, 1.0)) if moment else times


def _most_use(flow: Flow, routes: Ints, per_request: Floats, spans: tuple[Ints, Ints, Floats], span_count: int) -> Floats:
    """What all of the demand could take of a room, shape (scenarios, spans)."""
    span_at, block_at, times = spans
    by_class = np.zeros(flow.demand.shape[1])
    np.maximum.at(by_class, flow.routes.cls[routes], per_request)
    use = np.einsum("scb,c->sb", flow.demand, by_class)[:, block_at] * times
    found = np.zeros((len(use), span_count))
    np.add.at(found.T, span_at, use.T)
    return found


def _gives(room: Room, share: float, most_use: Floats) -> Floats:
    """What one account gives by state, shape (scenarios, states, spans): no more than can be used, which makes the program tighter."""
    limited = np.isfinite(room.capacity)
    planned = np.where(limited, share * room.usable * np.where(limited, room.capacity, 0.0), np.inf)
    return np.minimum(planned[None], most_use[:, None, :])


def _add_links(table: Table, flow: Flow, stock: list[list[Terms]], bound: Bools) -> None:
    """Where no room binds a flow, it needs one account at least."""
    scenarios, _, blocks = flow.columns.shape
    for kind in sorted(set(flow.routes.kind.tolist())):
        free = (flow.columns >= 0) & ~bound[None] & (flow.routes.kind == kind)[None, :, None]
        if stock[kind][0].least >= 1 or not free.any():
            continue
        terms, classes = stock[kind][0], float(len(set(flow.routes.cls.tolist())))
        at = np.broadcast_to(np.arange(scenarios * blocks).reshape(scenarios, 1, blocks), free.shape)
        ids = table.rows(at[free], flow.columns[free], 1.0, np.full(scenarios * blocks, classes * terms.constant))
        for column, factor in zip(terms.columns, terms.factors, strict=True):
            table.enter(ids, column, -factor * classes)
