"""Solve a table by HiGHS or CBC, and say what that proves.

A status of PuLP does not tell a plan that is proven from one that was found when time ran out: what counts is the solver's own
status and the bound that it reached.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.fluid.table import Floats, Table, in_pulp

SolverName = Literal["highs", "cbc"]


class Infeasible(Exception):  # noqa: N818
    """No values keep all rows."""


@dataclass(frozen=True)
class Solved:
    """Values, shape (columns,), the price of each row (0 or below; of a program without whole numbers), shape (rows,), and the bound."""

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
    problem, variables, rows = in_pulp(table)
    built = perf_counter()
    limit = max(0.01, time_limit_s)
    found = _by_highs(problem, gap, limit) if solver == "highs" else _by_cbc(problem, gap, limit)
    if found.status == "infeasible":
        raise Infeasible
    if found.status == "unbounded":
        raise PlanError("cost falls without bound: a price or a fee in this problem pays for having more of something")
    if found.status == "nothing":
        raise PlanError(f"no plan was found within {time_limit_s:g} s; allow more time, or ask for a larger gap than {gap:g}")
    values = np.array([variable.varValue for variable in variables], np.float64)
    return Solved(
        values=values, prices=np.array([row.pi or 0.0 for row in rows], np.float64), cost=float(table.cost @ values),
        bound=found.bound, proven=found.status == "proven", build_s=built - began, solve_s=perf_counter() - built,
    )  # fmt: skip


@dataclass(frozen=True)
class _Found:
    status: Literal["proven", "stopped", "nothing", "infeasible", "unbounded"]
    bound: float


def _by_highs(problem: Any, gap: float, time_limit_s: float) -> _Found:
    import highspy

    from forge1sim.solvers import BulkHighs

    problem.solve(BulkHighs(msg=False, threads=1, gapRel=gap, timeLimit=time_limit_s))
    model = problem.solverModel
    status, info = model.getModelStatus(), model.getInfo()
    statuses = highspy.HighsModelStatus
    if status in {statuses.kInfeasible, statuses.kUnboundedOrInfeasible}:       # bounds keep all that pays from growing
        return _Found("infeasible", np.inf)
    if status == statuses.kUnbounded:
        return _Found("unbounded", -np.inf)
    bound = float(info.mip_dual_bound) if problem.isMIP() else float(info.objective_function_value)
    if status == statuses.kOptimal:
        return _Found("proven", bound)
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    return _Found("stopped", bound if problem.isMIP() else -np.inf) if feasible else _Found("nothing", -np.inf)


def _by_cbc(problem: Any, gap: float, time_limit_s: float) -> _Found:
    import pulp

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "cbc.log")
        problem.solve(_cbc(msg=False, gapRel=gap, timeLimit=time_limit_s, threads=1, logPath=str(log)))
        said = log.read_text(encoding="utf-8", errors="replace")
    if problem.sol_status == pulp.LpSolutionInfeasible or "infeasible" in said.lower().split("result -")[-1]:
        return _Found("infeasible", np.inf)
    if problem.sol_status == pulp.LpSolutionUnbounded:
        return _Found("unbounded", -np.inf)
    if problem.sol_status == pulp.LpSolutionNoSolutionFound:
        return _Found("nothing", -np.inf)
    lower = re.search(r"^Lower bound:\s+(\S+)", said, re.MULTILINE)
    optimal = problem.sol_status == pulp.LpSolutionOptimal
    bound = float(lower[1]) if lower else float(pulp.value(problem.objective)) if optimal else -np.inf
    return _Found("proven" if optimal else "stopped", bound)


def _cbc(**options: Any) -> Any:
    """CBC as installed, or as PuLP brings it."""
    import pulp

    installed = pulp.COIN_CMD(**options)
    return installed if installed.available() else pulp.PULP_CBC_CMD(**options, _skip_v4_deprecation=True)
