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
from forge1sim.planning.fluid.solve import Infeasible, Solved, SolverName, solve
from forge1sim.planning.fluid.table import Floats
from forge1sim.planning.problem import Counts, Problem


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
    try:
        program, chosen = _solved(problem, cuts, fixed, (gap, time_limit_s, solver))
        if not program.table.whole.any() or fixed is not None and len(fixed.commitments) == len(problem.commitments):
            return _proposal(program, chosen, chosen)
        counts = _counts(program, chosen)
        priced, flows = _solved(problem, cuts, counts, (gap, time_limit_s, solver))
    except Infeasible:
        raise PlanError(explain(problem, cuts, fixed, time_limit_s=time_limit_s, solver=solver)) from None
    return _proposal(priced, flows, chosen)


def _solved(
    problem: Problem, cuts: Sequence[Cut], fixed: Counts | None, how: tuple[float, float, SolverName]
) -> tuple[Program, Solved]:  # fmt: skip
    gap, time_limit_s, solver = how
    began = perf_counter()
    program = build(problem, cuts, fixed)
    made_s = perf_counter() - began
    solved = solve(program.table, gap=gap, time_limit_s=time_limit_s, solver=solver)
    return program, replace(solved, build_s=solved.build_s + made_s)


def _counts(program: Program, solved: Solved) -> Counts:
    """Whole numbers, by state."""
    above = [np.rint(solved.values[columns]).astype(int) for columns in program.stock.columns]
    by_state = [-np.diff(counts, append=0) for counts in above]
    taken = np.rint(solved.values[program.taken]).astype(bool)
    return Counts(accounts=tuple(tuple(counts.tolist()) for counts in by_state), commitments=tuple(taken.tolist()))


def _proposal(program: Program, solved: Solved, chosen: Solved) -> Proposal:
    """The answer from the flows that were `solved` for counts that were `chosen` (the same, where they were given)."""
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
        refusals_usd=all_refused_usd(problem) - saved_usd, beyond_usd=float(values[program.beyond]),
        bound_usd_per_month=chosen.bound * program.money, proven=chosen.proven,
        flows=flows, unmet=(problem.demand - flows.sum(axis=(2, 3))).clip(0.0), rooms=_rooms(program, solved, flows),
        build_s=chosen.build_s, solve_s=chosen.solve_s,
    )  # fmt: skip


def _rooms(program: Program, solved: Solved, flows: Floats) -> tuple[RoomUse, ...]:
    problem = program.problem
    counts = _counts(program, solved).accounts
    rents = [np.zeros((len(problem.demand), len(room.spans))) for room in problem.rooms]
    for of in program.rooms:
        worth = -solved.prices[of.rows] * program.money * of.share / of.scale
        np.add.at(rents[of.room], (of.scenario, of.span), worth.clip(0.0))
    found = []
    for room, rent in zip(problem.rooms, rents, strict=True):
        by_block = np.einsum("scmb,cm->sb", flows[:, :, room.kind], room.units) * room.times
        used = np.stack([by_block[:, list(span)].sum(axis=1) for span in room.spans], axis=1)
        held = np.array(counts[room.kind], np.float64)[:, None]
        usable = np.where(held > 0, held * np.where(held > 0, room.capacity, 0.0), 0.0).sum(axis=0)
        usable = np.where(np.isfinite(usable), usable * room.usable, usable)
        found.append(RoomUse(used=used, usable=np.broadcast_to(usable, used.shape).copy(), rent_usd=rent))
    return tuple(found)
