"""What the program proposes: accounts, flows, money, and what is proven of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import Cut
from forge1sim.planning.fluid.check import check
from forge1sim.planning.fluid.conflict import explain
from forge1sim.planning.fluid.program import Program, all_refused_usd, build, monthly, refusal_usd, token_usd
from forge1sim.planning.fluid.relaxation import Infeasible
from forge1sim.planning.fluid.solve import Solved, SolverName, solve
from forge1sim.planning.fluid.table import Floats
from forge1sim.planning.problem import Counts, Problem, Room


@dataclass(frozen=True, kw_only=True)
class RoomUse:
    """A room in each scenario and span, shape (scenarios, spans) each.

    `used` and `usable` are in the room's units; `rent_usd` is what one more unit of usable room would save a month, with all
    accounts as they are.
    """

    used: Floats
    usable: Floats
    rent_usd: Floats

    @property
    def free(self) -> Floats:
        """Usable, and not used."""
        return self.usable - self.used


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Counts, their cost by part in USD a month, and flows.

    `tokens_usd` is at list price; `unused_usd` is paid for commitments beyond it; `beyond_usd` is what cuts add to the flows' running
    cost. `bound_usd_per_month` is the solver's own: no plan of this program costs less. `proven` says that the plan is within the gap
    that was asked for. `flows`, shape (scenarios, classes, kinds, models, blocks), and `unmet`, shape (scenarios, classes, blocks),
    are in requests.
    """

    counts: Counts
    fixed_usd: float
    tokens_usd: float
    discounts_usd: float
    unused_usd: float
    refusals_usd: float
    beyond_usd: float
    bound_usd_per_month: float
    proven: bool
    flows: Floats
    unmet: Floats
    rooms: tuple[RoomUse, ...]
    build_s: float
    solve_s: float

    @property
    def usd_per_month(self) -> float:
        """All of it."""
        return self.fixed_usd + self.tokens_usd - self.discounts_usd + self.unused_usd + self.refusals_usd + self.beyond_usd

    @property
    def running_usd(self) -> float:
        """Tokens at list price and refusals, with what cuts add: what cuts speak of."""
        return self.tokens_usd + self.refusals_usd + self.beyond_usd

    @property
    def solver_gap(self) -> float:
        """How much less the best plan of this program could cost, as a share of this plan's cost."""
        return max(0.0, self.usd_per_month - self.bound_usd_per_month) / max(abs(self.usd_per_month), 1e-12)


def propose(
    problem: Problem, *, cuts: Sequence[Cut] = (), gap: float = 1e-4, time_limit_s: float = 600.0, solver: SolverName = "highs",
    fixed: Counts | None = None,
) -> Proposal:  # fmt: skip
    """The cheapest plan, to within `gap`; with `fixed`, the cheapest flows for these accounts (and commitments, where it names any).

    Raises PlanError if the problem is contradictory, if nothing keeps all that is asked (it says what conflicts, and the cheapest way
    out), or if nothing was found in time.
    """
    check(problem, cuts, fixed)
    began = perf_counter()
    program = build(problem, cuts, fixed)
    built_s = perf_counter() - began
    try:
        solved = solve(program.table, gap=gap, time_limit_s=time_limit_s, solver=solver)
    except Infeasible:
        raise PlanError(explain(problem, cuts, fixed, time_limit_s=time_limit_s, solver=solver)) from None
    return _proposal(program, replace(solved, build_s=solved.build_s + built_s))


def _counts(program: Program, solved: Solved) -> Counts:
    """Whole numbers, by state."""
    above = [np.rint(solved.values[columns]).astype(int) for columns in program.stock.columns]
    by_state = [-np.diff(counts, append=0) for counts in above]
    taken = np.rint(solved.values[program.taken]).astype(bool)
    return Counts(accounts=tuple(tuple(counts.tolist()) for counts in by_state), commitments=tuple(taken.tolist()))


def _proposal(program: Program, solved: Solved) -> Proposal:
    """The answer in the problem's terms."""
    problem, flow, values = program.problem, program.flow, solved.values
    there, odds = flow.columns >= 0, problem.probability
    shares = np.where(there, values[flow.columns], 0.0).clip(0.0, 1.0)
    requests = shares * flow.asked()
    saved_usd = float((shares * monthly(program) * refusal_usd(problem)[flow.routes.cls][None, :, None]).sum())
    scenarios, classes, blocks = problem.demand.shape
    flows = np.zeros((scenarios, classes, len(problem.kinds), len(problem.models), blocks))
    flows[:, flow.routes.cls, flow.routes.kind, flow.routes.model] = requests
    return Proposal(
        counts=_counts(program, solved),
        fixed_usd=float(sum(program.fees[kind] @ values[columns] for kind, columns in enumerate(program.stock.columns))),
        tokens_usd=float((shares * monthly(program) * token_usd(problem, flow.routes)[None, :, None]).sum()),
        discounts_usd=float((values[program.discounts] @ odds).sum()),
        unused_usd=float((values[program.unused] @ odds).sum()),
        refusals_usd=max(0.0, all_refused_usd(problem) - saved_usd), beyond_usd=float(values[program.beyond]),
        bound_usd_per_month=solved.bound * program.money, proven=solved.proven,
        flows=flows, unmet=(problem.demand - flows.sum(axis=(2, 3))).clip(0.0), rooms=_rooms(program, solved, flows),
        build_s=solved.build_s, solve_s=solved.solve_s,
    )  # fmt: skip


def _rooms(program: Program, solved: Solved, flows: Floats) -> tuple[RoomUse, ...]:
    problem = program.problem
    counts = _counts(program, solved).accounts
    found = []
    for number, room in enumerate(problem.rooms):
        by_block = np.einsum("scmb,cm->sb", flows[:, :, room.kind], room.units) * room.times
        used = np.stack([by_block[:, list(span)].sum(axis=1) for span in room.spans], axis=1)
        usable = np.broadcast_to(_usable(room, counts[room.kind]), used.shape).copy()
        rent_usd = np.zeros(used.shape)
        for of in [one for one in program.rooms if one.room == number]:
            worth = -solved.prices[of.rows] * program.money * of.share / of.scale
            # Where demand cannot fill what there is, more is worth nothing, whatever a degenerate price says.
            worth = np.where(of.share * usable[of.scenario, of.span] >= of.most_use * (1 - 1e-9), 0.0, worth)
            np.add.at(rent_usd, (of.scenario, of.span), worth.clip(0.0))
        found.append(RoomUse(used=used, usable=usable, rent_usd=rent_usd))
    return tuple(found)


def _usable(room: Room, counts: tuple[int, ...]) -> Floats:
    """What these accounts give that may be planned with, shape (spans,)."""
    held = np.array(counts, np.float64)[:, None]
    given = np.where(held > 0, held * np.where(held > 0, room.capacity, 0.0), 0.0).sum(axis=0)
    return np.where(np.isfinite(given), np.where(np.isfinite(given), given, 0.0) * room.usable, np.inf)
