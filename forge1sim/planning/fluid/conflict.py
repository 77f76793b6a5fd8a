"""Why nothing keeps all that is asked: a set of requirements of which each could be given up alone, and the cheapest way out.

The cheapest way out is a program in which every requirement may be relaxed at a price. The set is found by deletion: give up one
requirement after the other for good, as long as the rest still conflicts. Source: Chinneck, "Feasibility and Infeasibility in
Optimization", 2008, chapters 6 and 7.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import Cut
from forge1sim.planning.fluid.program import Program, Requirement, build
from forge1sim.planning.fluid.relaxation import Infeasible
from forge1sim.planning.fluid.solve import SolverName, solve
from forge1sim.planning.fluid.table import Ints
from forge1sim.planning.problem import Counts, Kind, Problem

_COST_WEIGHT = 1e-6                 # of the plan's own cost: among equal ways out, the cheaper plan


def explain(problem: Problem, cuts: Sequence[Cut], fixed: Counts | None, *, time_limit_s: float, solver: SolverName) -> str:
    """One message. Raises PlanError if time runs out before a way out is known."""
    until = perf_counter() + time_limit_s
    program, slack = _elastic(problem, cuts, fixed)
    asked = program.requirements
    solved = solve(program.table, gap=1e-4, time_limit_s=time_limit_s, solver=solver)
    amounts = solved.values[slack]
    way = [f"{one.words}, {one.way.format(amount)}" for one, amount in zip(asked, amounts, strict=True) if amount > 1e-7]
    conflict, is_least = _conflict(program, slack, until, solver)
    named = "\n".join(f"  - {asked[one].words}" for one in conflict)
    each = "giving up any one of these would do" if is_least else "time ran out before this list was as short as it could be"
    out = "\n".join(f"  - {one}" for one in way)
    return f"nothing keeps all that is asked. In conflict ({each}):\n{named}\nThe cheapest way out:\n{out}"


def _elastic(problem: Problem, cuts: Sequence[Cut], fixed: Counts | None) -> tuple[Program, Ints]:
    """The program with a column for each requirement that relaxes it, at a price; and these columns."""
    loose = problem if fixed is not None else replace(problem, kinds=tuple(_loosened(kind) for kind in problem.kinds))
    program = build(loose, cuts, fixed)
    if fixed is None:
        _require_bounds(program, problem.kinds)
    program.requirements[:] = [one for one in program.requirements if len(one.rows)]
    table = program.table
    cost = table.cost * _COST_WEIGHT
    slack = table.columns(len(program.requirements))
    table.set_cost(np.concatenate([cost, [one.usd / program.money for one in program.requirements]]))
    for one, column in zip(program.requirements, slack, strict=True):
        table.enter(one.rows, column, one.factor)
    return program, slack


def _loosened(kind: Kind) -> Kind:
    """Many more accounts, and none that must be."""
    most = 2 * max(kind.at_most, *[state.most for state in kind.states]) + 100
    return replace(kind, at_least=0, at_most=most, states=tuple(replace(state, most=most) for state in kind.states))


def _require_bounds(program: Program, kinds: tuple[Kind, ...]) -> None:
    """The bounds on accounts as requirements. An account more is priced as a hundredth of all demand, and its fee."""
    usd = program.money * 1e3
    for kind, columns in zip(kinds, program.stock.columns, strict=True):
        words = [(kind.at_most, int(columns[0]), f"at most {kind.at_most} accounts of {kind.name}")]
        words += [(state.most, int(column), f"at most {state.most} accounts of {kind.name} at {state.name} or above")
                  for state, column in zip(kind.states, columns, strict=True) if state.most < kind.at_most]  # fmt: skip
        for most, column, says in words:
            rows = program.table.rows([0], [column], [1.0], float(most))
            program.requirements.append(Requirement(says, rows, -1.0, "raised by {:.0f}", usd))
        if kind.at_least > 0:
            rows = program.table.rows([0], [columns[0]], [-1.0], -float(kind.at_least))
            says = f"at least {kind.at_least} accounts of {kind.name}"
            program.requirements.append(Requirement(says, rows, -1.0, "lowered by {:.0f}", usd))


def _conflict(program: Program, slack: Ints, until: float, solver: SolverName) -> tuple[list[int], bool]:
    """Requirements that conflict, and whether each of them is needed for it."""
    table, kept = program.table, list(range(len(slack)))
    table.set_cost(np.zeros(table.column_count))
    for one in range(len(slack)):
        left = until - perf_counter()
        if left <= 0:
            return kept, False
        without = [other for other in kept if other != one]
        table.set_bounds(slack, 0.0, np.inf)
        table.set_bounds(slack[without], 0.0, 0.0)
        try:
            solve(table, gap=1.0, time_limit_s=left, solver=solver)
        except Infeasible:
            kept = without
        except PlanError:
            return kept, False
    return kept, True
