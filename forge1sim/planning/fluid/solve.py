"""Solve a table by HiGHS or CBC, and say what that proves.

A status of PuLP does not tell a plan that is proven from one that was found when time ran out: what counts is the solver's own
bound. The relaxation gives a bound and finds the rows that matter; rounding it step by step gives a plan. Unless the two meet, the
integer program over these rows gives a better plan and bound, and the relaxation with the plan's whole numbers says what it costs
under all rows. Rows that the plan broke go into the integer program, until plan and bound meet.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.fluid.relaxation import Infeasible, Relaxation
from forge1sim.planning.fluid.table import Floats, Ints, Table, in_pulp

SolverName = Literal["highs", "cbc"]
_WHOLE = 1e-6                       # as near as this is whole
_LAST_S = 20.0                      # for the flows of a plan that was found in the last moment


@dataclass(frozen=True)
class Solved:
    """Values, shape (columns,); the price of each row with whole numbers as they are (0 or below), shape (rows,); cost and its bound."""

    values: Floats
    prices: Floats
    cost: float
    bound: float
    proven: bool
    build_s: float
    solve_s: float


def solve(table: Table, *, gap: float, time_limit_s: float, solver: SolverName = "highs") -> Solved:
    """Least cost, to within `gap` of it. Raises Infeasible; PlanError if nothing was found in time, or cost has no bound."""
    began = perf_counter()
    search = _Search(Relaxation(table), gap, began + time_limit_s, solver)
    search.built_s = perf_counter() - began
    search.run()
    assert search.values is not None
    assert search.prices is not None
    return Solved(values=search.values, prices=search.prices, cost=search.cost, bound=min(search.bound, search.cost),
                  proven=search.is_proven, build_s=search.built_s, solve_s=perf_counter() - began - search.built_s)  # fmt: skip


class _Search:
    """The cheapest values so far, and the bound so far."""

    def __init__(self, relaxation: Relaxation, gap: float, until: float, solver: SolverName) -> None:
        self.relaxation, self.gap, self.until, self.solver = relaxation, gap, until, solver
        self.whole = np.flatnonzero(relaxation.table.whole)
        self.values: Floats | None = None
        self.prices: Floats | None = None
        self.cost, self.bound, self.built_s = np.inf, -np.inf, 0.0

    @property
    def is_proven(self) -> bool:
        """Whether the best plan so far is within the gap of the bound."""
        return self.values is not None and self.cost - self.bound <= self.gap * abs(self.cost) + 1e-9

    def run(self) -> None:
        """Until the plan is proven, or time is out."""
        relaxed = self.relaxation.solve(self.until)
        self.bound = float(self.relaxation.cost @ relaxed)
        if not len(self.whole):
            self._keep(relaxed)
            return
        if self.solver == "highs":
            self._dive(relaxed)
        rows = self.relaxation.bind(relaxed) if self.solver == "highs" else np.arange(len(self.relaxation.most))
        while not self.is_proven:
            found = self._whole_numbers(rows)
            if found is None:
                break
            self.bound = max(self.bound, found.bound)
            broken = self._price(found.values)
            if found.stopped or not len(broken):
                break
            rows = np.union1d(rows, broken)

    def _keep(self, values: Floats) -> None:
        cost = float(self.relaxation.cost @ values)
        if cost < self.cost:
            self.values, self.prices, self.cost = values, self.relaxation.prices(), cost

    def _dive(self, values: Floats) -> None:
        """Round up what is nearest to the next whole number, let the rest follow, and so on: a good plan in a few small steps."""
        whole, until = self.whole, perf_counter() + (self.until - perf_counter()) / 2
        try:
            while (over := values[whole] - np.floor(values[whole] + _WHOLE)).max() > _WHOLE:
                nearest = whole[over >= over.max() - _WHOLE]
                self.relaxation.bound(nearest, np.ceil(values[nearest] - _WHOLE), self.relaxation.high[nearest])
                values = self.relaxation.solve(until)
            self.relaxation.fix(whole, np.rint(values[whole]))
            self._keep(self.relaxation.solve(until))
        except (Infeasible, PlanError):
            pass                                    # only a start: the integer program is asked anyway
        finally:
            self.relaxation.release(whole)

    def _price(self, values: Floats) -> Ints:
        """Keep what these whole numbers cost under all rows. Rows that the flows found with them break, or that this brought up."""
        before = len(self.relaxation.rows)
        self.relaxation.fix(self.whole, np.rint(values[self.whole]))
        try:
            self._keep(self.relaxation.solve(max(self.until, perf_counter() + _LAST_S)))
            broken = self.relaxation.rows[before:] if self.is_proven else self.relaxation.broken_by(values)
        except Infeasible:
            broken = np.union1d(self.relaxation.rows, self.relaxation.broken_by(values))
        self.relaxation.release(self.whole)
        return broken

    def _whole_numbers(self, rows: Ints) -> "_Found | None":
        """A plan in whole numbers that keeps these rows, and a bound; None when time is out and there is a plan already."""
        began = perf_counter()
        problem, variables, _ = in_pulp(self.relaxation.table, self.relaxation.matrix, rows)
        self.built_s += perf_counter() - began
        left_s = max(0.01, self.until - perf_counter())
        status, bound = _by_highs(problem, self.gap, left_s, self.values) if self.solver == "highs" else _by_cbc(problem, self.gap, left_s)
        if status == "infeasible":
            raise Infeasible
        if status == "nothing":
            if self.values is None:
                raise PlanError(f"no plan was found in time; allow more, or ask for a larger gap than {self.gap:g}")
            return None
        return _Found(np.array([variable.varValue for variable in variables], np.float64), bound, status == "stopped")


@dataclass(frozen=True)
class _Found:
    values: Floats
    bound: float
    stopped: bool


_Status = Literal["done", "stopped", "nothing", "infeasible"]


def _by_highs(problem: Any, gap: float, time_limit_s: float, start: Floats | None) -> tuple[_Status, float]:
    import highspy

    from forge1sim.solvers import BulkHighs

    problem.solve(BulkHighs(start, msg=False, threads=1, gapRel=gap, timeLimit=time_limit_s))
    model = problem.solverModel
    status, info = model.getModelStatus(), model.getInfo()
    statuses = highspy.HighsModelStatus
    if status in {statuses.kInfeasible, statuses.kUnboundedOrInfeasible}:
        return "infeasible", np.inf
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return "nothing", -np.inf
    return "done" if status == statuses.kOptimal else "stopped", float(info.mip_dual_bound)


def _by_cbc(problem: Any, gap: float, time_limit_s: float) -> tuple[_Status, float]:
    import pulp

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "cbc.log")
        problem.solve(_cbc(msg=False, gapRel=gap, timeLimit=time_limit_s, threads=1, logPath=str(log)))
        said = log.read_text(encoding="utf-8", errors="replace")
    if problem.sol_status == pulp.LpSolutionInfeasible or "infeasible" in said.lower().split("result -")[-1]:
        return "infeasible", np.inf
    if problem.sol_status == pulp.LpSolutionNoSolutionFound:
        return "nothing", -np.inf
    lower = re.search(r"^Lower bound:\s+(\S+)", said, re.MULTILINE)
    optimal = problem.sol_status == pulp.LpSolutionOptimal
    bound = float(lower[1]) if lower else float(pulp.value(problem.objective) or 0.0) if optimal else -np.inf
    return "done" if optimal else "stopped", bound


def _cbc(**options: Any) -> Any:
    """CBC as installed, or as PuLP brings it."""
    import pulp

    installed = pulp.COIN_CMD(**options)
    return installed if installed.available() else pulp.PULP_CBC_CMD(**options, _skip_v4_deprecation=True)
