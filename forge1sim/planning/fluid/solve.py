"""Solve a table by HiGHS or CBC, and say what that proves.

A status of PuLP does not tell a plan that is proven from one that was found when time ran out: what counts is the solver's own
bound. The relaxation finds the rows that matter, the integer program over these rows gives a plan and a bound, and the relaxation
with the plan's whole numbers says what it costs under all rows. Rows that this brings up go into the integer program, until plan and
bound meet.
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
    until = began + time_limit_s
    relaxation = Relaxation(table)
    built_s = perf_counter() - began
    values = relaxation.solve(until)
    cost = bound = float(table.cost @ values)
    whole = np.flatnonzero(table.whole)
    proven = not len(whole)
    while not proven:
        rows = relaxation.rows if solver == "highs" else np.arange(table.row_count)
        found = _whole_numbers(relaxation, rows, gap, until, solver)
        built_s += found.build_s
        bound = max(bound, found.bound)
        relaxation.fix(whole, np.rint(found.values[whole]))
        try:
            values = relaxation.solve(max(until, perf_counter() + time_limit_s / 10))
        except Infeasible:
            if len(relaxation.rows) == len(rows):
                raise
            relaxation.release(whole)
            continue
        cost = float(table.cost @ values)
        proven = cost - bound <= gap * abs(cost) + 1e-9
        if found.stopped or len(relaxation.rows) == len(rows):
            break
        if not proven:
            relaxation.release(whole)
    return Solved(values=values, prices=relaxation.prices(), cost=cost, bound=min(bound, cost), proven=proven, build_s=built_s,
                  solve_s=perf_counter() - began - built_s)  # fmt: skip


@dataclass(frozen=True)
class _Found:
    values: Floats
    bound: float
    stopped: bool
    build_s: float


def _whole_numbers(relaxation: Relaxation, rows: Ints, gap: float, until: float, solver: SolverName) -> _Found:
    """A plan in whole numbers that keeps these rows, and a bound. Raises Infeasible, or PlanError when time is out."""
    began = perf_counter()
    problem, variables, _ = in_pulp(relaxation.table, relaxation.matrix, rows)
    build_s = perf_counter() - began
    left_s = max(0.01, until - perf_counter())
    status, bound = _by_highs(problem, gap, left_s) if solver == "highs" else _by_cbc(problem, gap, left_s)
    if status == "infeasible":
        raise Infeasible
    if status == "nothing":
        raise PlanError(f"no plan was found in time; allow more, or ask for a larger gap than {gap:g}")
    values = np.array([variable.varValue for variable in variables], np.float64)
    return _Found(values, bound, status == "stopped", build_s)


_Status = Literal["done", "stopped", "nothing", "infeasible"]


def _by_highs(problem: Any, gap: float, time_limit_s: float) -> tuple[_Status, float]:
    import highspy

    from forge1sim.solvers import BulkHighs

    problem.solve(BulkHighs(msg=False, threads=1, gapRel=gap, timeLimit=time_limit_s))
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
    bound = float(lower[1]) if lower else float(pulp.value(problem.objective)) if optimal else -np.inf
    return "done" if optimal else "stopped", bound


def _cbc(**options: Any) -> Any:
    """CBC as installed, or as PuLP brings it."""
    import pulp

    installed = pulp.COIN_CMD(**options)
    return installed if installed.available() else pulp.PULP_CBC_CMD(**options, _skip_v4_deprecation=True)
