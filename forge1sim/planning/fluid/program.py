"""The mixed-integer program of a problem: rooms, goals, survivals, commitments, budget and cuts, as one table.

Money stands in units of `Program.money`, so that the objective is of moderate size whatever the scenario's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forge1sim.planning.cuts import AffineCost, CostsAtLeast, Cut, NotWithin, Slope
from forge1sim.planning.fluid.flow import Flow, RoomRows, Routes, add_rooms, flow_of, routes_of
from forge1sim.planning.fluid.stock import Stock, Terms
from forge1sim.planning.fluid.table import Bools, Floats, Ints, Table
from forge1sim.planning.problem import Counts, Goal, Problem, Survival

_OBJECTIVE_SIZE = 1e5               # what a month without a single answer costs
_LOWER = "lowered by {:.4g}"

Part = tuple[Ints | int, Floats | float]        # columns and their factors


@dataclass(frozen=True)
class Requirement:
    """Rows that somebody asked for: in words, and what it would take to do without them.

    A column of its own with `factor` on the rows relaxes them, at a price of `usd` a unit; `way` says by how much, to be formatted.
    """

    words: str
    rows: Ints
    factor: float
    way: str
    usd: float


@dataclass
class Program:
    """The table and where to find things in it."""

    problem: Problem
    table: Table
    stock: Stock
    flow: Flow
    money: float
    taken: Ints
    discounts: Ints                 # shape (commitments, scenarios)
    unused: Ints                    # shape (commitments, scenarios): paid for a commitment, and not used
    beyond: int                     # running cost that cuts add to the flows'
    rooms: list[RoomRows]
    fees: list[Floats]              # by kind, what an account more at or above each state costs a month
    requirements: list[Requirement] = field(default_factory=list)


def build(problem: Problem, cuts: Sequence[Cut] = (), fixed: Counts | None = None) -> Program:
    """The program. `problem` and `cuts` must be sound (see `check`)."""
    table = Table()
    refusals_usd = all_refused_usd(problem)
    money = max(refusals_usd, _most_fees(problem), 1e-6) / _OBJECTIVE_SIZE
    stock = Stock(table, problem.kinds, fixed)
    flow = flow_of(table, routes_of(problem, stock.high), problem.demand)
    commitments, scenarios = len(problem.commitments), len(problem.probability)
    known = [float(taken) for taken in fixed.commitments] if fixed is not None else []
    program = Program(
        problem=problem, table=table, stock=stock, flow=flow, money=money,
        taken=table.columns(commitments, low=known or 0.0, high=known or 1.0, whole=True),
        discounts=table.columns(commitments * scenarios).reshape(commitments, scenarios),
        unused=table.columns(commitments * scenarios).reshape(commitments, scenarios),
        beyond=int(table.columns(1, high=np.inf if _has_cost(cuts) else 0.0)[0]),
        rooms=add_rooms(table, problem, flow, [stock.all_of(kind) for kind in range(len(problem.kinds))]),
        fees=[np.diff([state.usd_per_month for state in kind.states], prepend=0.0) for kind in problem.kinds],
    )  # fmt: skip
    table.columns(1, low=1.0, high=1.0, cost=refusals_usd)       # all refused, less what each answer saves
    _add_commitments(program)
    for goal in problem.goals:
        _add_goal(program, goal)
    _add_budget(program)
    _add_most_per_provider(program)
    _add_survivals(program)
    _add_cuts(program, cuts)
    stock.tie_marks()
    table.set_cost(_costs(program))
    return program


def all_refused_usd(problem: Problem) -> float:
    """What a month costs in which nothing is answered."""
    by_class = (problem.demand * problem.probability[:, None, None] * problem.repeats).sum(axis=(0, 2))
    return float(by_class @ refusal_usd(problem))


def refusal_usd(problem: Problem) -> Floats:
    """USD of a request that is not answered, shape (classes,)."""
    return np.array([one.refusal_usd for one in problem.classes], np.float64)


def _costs(program: Program) -> Floats:
    """What a unit of each column costs, in units of `money`, shape (columns,)."""
    problem, flow = program.problem, program.flow
    found = program.table.cost.copy()       # all refused
    for columns, fees in zip(program.stock.columns, program.fees, strict=True):
        found[columns] = fees
    there = flow.columns >= 0
    found[flow.columns[there]] = -(monthly(program) * _saved_usd(program)[None, :, None])[there]
    found[program.discounts] = -problem.probability
    found[program.unused] = problem.probability
    found[program.beyond] = 1.0
    return found / program.money


def token_usd(problem: Problem, routes: Routes) -> Floats:
    """USD of an answer over each route at list price, shape (routes,)."""
    return np.array([problem.classes[c].usd[k, m] for c, k, m in zip(routes.cls, routes.kind, routes.model, strict=True)], np.float64)


def monthly(program: Program) -> Floats:
    """Requests a month, in expectation, that each share stands for, shape (scenarios, routes, blocks)."""
    problem = program.problem
    requests: Floats = program.flow.asked() * problem.probability[:, None, None] * problem.repeats
    return requests


def _has_cost(cuts: Sequence[Cut]) -> bool:
    return any(isinstance(cut, CostsAtLeast | AffineCost) for cut in cuts)


def _most_fees(problem: Problem) -> float:
    return sum(abs(state.usd_per_month) * min(state.most, kind.at_most) for kind in problem.kinds for state in kind.states)


def _row(program: Program, parts: Sequence[Part], most: float, scale: float = 1.0) -> Ints:
    """One row from parts (columns, factors), all divided by `scale`. Columns of -1 are left out."""
    columns = [np.atleast_1d(np.asarray(column, np.int64)).ravel() for column, _ in parts]
    factors = [np.broadcast_to(np.asarray(factor, np.float64), np.shape(column) or (1,)).ravel() for column, factor in parts]
    every, of_each = np.concatenate(columns), np.concatenate(factors) / scale
    there = every >= 0
    return program.table.rows(np.zeros(int(there.sum()), np.int64), every[there], of_each[there], most / scale)


def _require(program: Program, words: str, rows: Ints, factor: float, way: str, usd: float) -> None:
    program.requirements.append(Requirement(words, rows, factor, way, usd))


def _add_commitments(program: Program) -> None:
    """A commitment that is taken takes its discount off, and what it leaves unused is paid all the same, in each scenario.

    discount <= share * tokens, discount <= most tokens * taken, tokens - discount + unused >= commitment * taken.
    """
    problem, flow = program.problem, program.flow
    usd_a_month = flow.asked() * problem.repeats * token_usd(problem, flow.routes)[None, :, None]
    provider = np.array([kind.provider for kind in problem.kinds])[flow.routes.kind] if problem.kinds else np.zeros(0, np.str_)
    for number, commitment in enumerate(problem.commitments):
        of = provider == commitment.provider
        for scenario in range(len(problem.probability)):
            columns, usd = flow.columns[scenario, of], usd_a_month[scenario, of]
            most_usd = max(_most_by_class(flow.routes.cls[of], usd).sum(), 1e-9)
            off, unused = program.discounts[number, scenario], program.unused[number, scenario]
            _row(program, [(off, 1.0), (columns, -commitment.discount * usd)], 0.0, most_usd)
            _row(program, [(off, 1.0), (program.taken[number], -commitment.discount * most_usd)], 0.0, most_usd)
            scale = max(commitment.usd_per_month, most_usd)
            _row(program, [(program.taken[number], commitment.usd_per_month), (columns, -usd), (off, 1.0), (unused, -1.0)], 0.0, scale)
    for name in sorted({commitment.provider for commitment in problem.commitments}):
        rivals = program.taken[[commitment.provider == name for commitment in problem.commitments]]
        _row(program, [(rivals, 1.0)], 1.0)


def _most_by_class(cls: Ints, usd: Floats) -> Floats:
    """The dearest way to answer each class, in sum over blocks; `usd` has shape (routes, blocks)."""
    dearest = np.zeros((int(cls.max(initial=-1)) + 1, usd.shape[1]))
    np.maximum.at(dearest, cls, usd)
    in_all: Floats = dearest.sum(axis=1)
    return in_all


def _whose(problem: Problem, tier: int | None) -> str:
    return "all requests together" if tier is None else f"tier {problem.tiers[tier]}"


def _of_tier(problem: Problem, tier: int | None) -> Bools:
    return np.array([tier is None or one.tier == tier for one in problem.classes], np.bool_)


def _add_goal(program: Program, goal: Goal) -> None:
    if goal.served_share is not None:
        _add_served(program, goal, goal.served_share)
    problem, flow = program.problem, program.flow
    chosen = _of_tier(problem, goal.tier)[flow.routes.cls]
    columns, requests = flow.columns[:, chosen], monthly(program)[:, chosen]
    asked = problem.demand[:, _of_tier(problem, goal.tier)] * problem.probability[:, None, None] * problem.repeats
    total = max(float(asked.sum()), 1e-12)
    whose = _whose(problem, goal.tier)
    if goal.quality_mean is not None:
        quality = np.array([problem.classes[c].quality[m] for c, m in zip(flow.routes.cls[chosen], flow.routes.model[chosen], strict=True)])
        short = requests * (goal.quality_mean - quality.reshape(-1, 1))
        rows = _row(program, [(columns, short)], 0.0, total)
        _require(program, f"{whose}: mean quality of at least {goal.quality_mean:g}", rows, -1.0, _LOWER, _whole_bill(program))
    if goal.usd_per_request is not None:
        over = requests * (token_usd(problem, flow.routes)[chosen].reshape(-1, 1) - goal.usd_per_request)
        rows = _row(program, [(columns, over)], 0.0, total)
        _require(program, f"{whose}: at most USD {goal.usd_per_request:g} per request", rows, -1.0, "raised by USD {:.4g}", total)


def _whole_bill(program: Program) -> float:
    return program.money * _OBJECTIVE_SIZE


def _add_served(program: Program, goal: Goal, share: float) -> None:
    """Served share of each scenario, then its mean, its worst, or the tail's mean.

    The tail by Rockafellar and Uryasev, "Optimization of conditional value-at-risk", 2000.
    """
    problem, flow, table = program.problem, program.flow, program.table
    asked = problem.demand * problem.repeats
    total = asked[:, _of_tier(problem, goal.tier)].sum(axis=(1, 2))
    chosen = _of_tier(problem, goal.tier)[flow.routes.cls]
    columns = flow.columns[:, chosen]
    served = flow.asked(chosen) * problem.repeats / np.maximum(total, 1e-300)[:, None, None]
    some, odds = total > 0, problem.probability
    words = f"{_whose(problem, goal.tier)}: at least {share:.4g} served"
    if goal.in_each:
        rows = np.concatenate([_row(program, [(columns[s], -served[s])], -share) for s in np.flatnonzero(some)] or [np.zeros(0, np.int64)])
        words += " in each scenario"
    elif goal.tail is None:
        rows = _row(program, [(columns, -served * odds[:, None, None])], 1.0 - share - float(odds[some].sum()))
        words += " on average"
    else:
        worst, beyond = table.columns(1, low=0.0, high=1.0)[0], table.columns(len(odds))
        for scenario in np.flatnonzero(some):        # a loss of 1 - served is at most worst + beyond
            _row(program, [(columns[scenario], -served[scenario]), (worst, -1.0), (beyond[scenario], -1.0)], -1.0)
        rows = _row(program, [(worst, 1.0), (beyond, odds / (1.0 - goal.tail))], 1.0 - share)
        words += f" in the worst {1.0 - goal.tail:.3g} of scenarios"
    _require(program, words, rows, -1.0, _LOWER, _whole_bill(program))


def _add_budget(program: Program) -> None:
    problem, flow = program.problem, program.flow
    budget = problem.budget_usd_per_month
    if budget is None:
        return
    odds = np.broadcast_to(problem.probability, program.discounts.shape)
    fees: list[Part] = list(zip(program.stock.columns, program.fees, strict=True))
    tokens = monthly(program) * token_usd(problem, flow.routes)[None, :, None]
    paid = [*fees, (flow.columns, tokens), (program.discounts, -odds), (program.unused, odds)]
    rows = _row(program, paid, budget, _whole_bill(program))
    _require(program, f"a budget of USD {budget:,.2f} a month", rows, -1.0 / _whole_bill(program), "raised by USD {:,.2f}", 1.0)


def _add_most_per_provider(program: Program) -> None:
    problem, flow = program.problem, program.flow
    most = problem.most_share_per_provider
    if most is None or most >= 1:
        return
    requests = monthly(program)
    total = max(float(requests.max(axis=1, initial=0.0).sum()), 1e-12)
    rows = []
    for provider in sorted({kind.provider for kind in problem.kinds}):
        of = np.array([kind.provider == provider for kind in problem.kinds])[flow.routes.kind]
        rows.append(_row(program, [(flow.columns, requests * (of.astype(np.float64) - most)[None, :, None])], 0.0, total))
    if rows:
        words = f"at most {most:.4g} of the answers from one provider"
        _require(program, words, np.concatenate(rows), -1.0, _LOWER, _whole_bill(program))


def _add_survivals(program: Program) -> None:
    """Own flows for each loss and moment, for all tiers that survive it together."""
    problem = program.problem
    rows: dict[Survival, list[Ints]] = {one: [] for one in problem.survivals}
    for lost in ("account", "provider"):
        group = [one for one in problem.survivals if one.lost == lost]
        moments = sorted({moment for one in group for moment in one.moments})
        for kinds, stock in _losses(program, lost) if moments else []:
            demand = np.zeros((len(moments), *problem.demand.shape[1:]))
            for place, (scenario, block) in enumerate(moments):
                tiers = [one.tier for one in group if (scenario, block) in one.moments]
                classes = np.array([one.tier in tiers for one in problem.classes])
                demand[place, classes, block] = problem.demand[scenario, classes, block]
            flow = flow_of(program.table, program.flow.routes.only(kinds), demand)
            add_rooms(program.table, problem, flow, stock, moment=True)
            for one in group:
                rows[one] += _serve(program, flow, one, moments)
    for one, of_one in rows.items():
        words = f"{_whose(problem, one.tier)}: at least {one.served_share:.4g} served though one {one.lost} is lost"
        _require(program, words, np.concatenate(of_one or [np.zeros(0, np.int64)]), -1.0, _LOWER, _whole_bill(program))


def _losses(program: Program, lost: str) -> list[tuple[Bools, list[list[Terms]]]]:
    """For each that may be lost, the kinds that are left, shape (kinds,), and the accounts that are left."""
    problem, stock = program.problem, program.stock
    kinds, every = range(len(problem.kinds)), np.ones(len(problem.kinds), np.bool_)
    whole = [stock.all_of(kind) for kind in kinds]
    possible = [kind for kind in kinds if stock.high[kind][0] > 0]
    if lost == "account":
        return [(every, [stock.one_less(kind) if kind == one else whole[kind] for kind in kinds]) for one in possible]
    names = sorted({problem.kinds[kind].provider for kind in possible})
    return [(np.array([kind.provider != name for kind in problem.kinds]), whole) for name in names]


def _serve(program: Program, flow: Flow, one: Survival, moments: list[tuple[int, int]]) -> list[Ints]:
    chosen = np.array([program.problem.classes[cls].tier == one.tier for cls in flow.routes.cls.tolist()], np.bool_)
    of_tier = _of_tier(program.problem, one.tier)
    rows = []
    for place, moment in enumerate(moments):
        total = float(flow.demand[place, of_tier].sum())
        if moment in one.moments and total > 0:
            share = flow.asked(chosen)[place] / total
            rows.append(_row(program, [(flow.columns[place, chosen], -share)], -one.served_share))
    return rows


def _add_cuts(program: Program, cuts: Sequence[Cut]) -> None:
    problem = program.problem
    running = monthly(program) * _saved_usd(program)[None, :, None]
    refused_usd = all_refused_usd(problem)
    flows: list[Part] = [(program.flow.columns, running), (program.beyond, -1.0)]
    scale = _whole_bill(program)
    for number, cut in enumerate(cuts, 1):
        if isinstance(cut, NotWithin):
            marks, sure = _higher(program, cut.counts)
            rows = _row(program, [(marks, -1.0)], float(sure) - 1.0)
            _require(program, f"cut {number}: more than a plan that broke a goal in simulation", rows, -1.0, "left out", 10 * scale)
        elif isinstance(cut, CostsAtLeast):
            marks, sure = _higher(program, cut.counts)
            if not sure:
                _row(program, [*flows, (marks, -cut.usd)], refused_usd - cut.usd, scale)
        elif isinstance(cut, AffineCost):
            by_kind = zip(program.stock.columns, cut.usd_by_coordinate, strict=True)
            values: list[Part] = [(columns, -np.array(usd)) for columns, usd in by_kind]
            _row(program, [*flows, *values], refused_usd - cut.constant_usd, scale)
        else:
            _add_slope(program, cut, number)


def _saved_usd(program: Program) -> Floats:
    """USD that an answer saves over each route: its refusal less its tokens, shape (routes,)."""
    refusal = refusal_usd(program.problem)[program.flow.routes.cls]
    return refusal - token_usd(program.problem, program.flow.routes)


def _higher(program: Program, counts: Counts) -> tuple[Ints, bool]:
    """Marks of the coordinates that may be above those of `counts`, and whether one is above it in any case."""
    stock, marks = program.stock, []
    for kind, states in enumerate(counts.at_or_above):
        for state, count in enumerate(states):
            if stock.low[kind][state] > count:
                return np.zeros(0, np.int64), True
            if stock.high[kind][state] > count:
                marks.append(stock.mark(kind, state, count + 1))
    return np.array(marks, np.int64), False


def _add_slope(program: Program, cut: Slope, number: int) -> None:
    slopes: list[Part] = [(columns, -np.array(slope)) for columns, slope in zip(program.stock.columns, cut.slope, strict=True)]
    at = sum(float(np.dot(of, counts)) for of, counts in zip(cut.slope, cut.counts.at_or_above, strict=True))
    scale = max([abs(slope) for of in cut.slope for slope in of] + [1e-12])
    rows = _row(program, slopes, cut.attained - at - cut.target, scale)
    _require(program, f"cut {number}: attained of at least {cut.target:g} by its slope", rows, -1.0 / scale, _LOWER,
             10 * _whole_bill(program))  # fmt: skip
