"""HiGHS through PuLP: the whole matrix in one call, and standard output kept clean."""

import ctypes
import os
import sys
from functools import cache
from typing import Any

import highspy
import numpy as np
import pulp


class BulkHighs(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS, but that rows and columns are passed all at once instead of one by one, with values to `start` from."""

    def __init__(self, start: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def createAndConfigureSolver(self, lp: Any) -> None:  # noqa: N802, D102
        let_highs_greet()
        super().createAndConfigureSolver(lp)

    def buildSolverModel(self, lp: Any) -> None:  # noqa: N802
        """Pass variables, bounds, costs, integrality and rows of a problem to its HiGHS, and number them as PuLP's HiGHS does."""
        model, variables, rows = highspy.HighsLp(), lp.variables(), list(lp._constraints.values())
        for index, variable in enumerate(variables):
            variable.index = index
        for index, row in enumerate(rows):
            row.index = index
        sign = -1.0 if lp.sense == pulp.LpMaximize else 1.0
        model.num_col_, model.num_row_ = len(variables), len(rows)
        model.col_cost_ = np.array([sign * lp.objective.get(variable, 0.0) for variable in variables])
        model.col_lower_ = _bounds([variable.lowBound for variable in variables], -highspy.kHighsInf)
        model.col_upper_ = _bounds([variable.upBound for variable in variables], highspy.kHighsInf)
        model.row_lower_ = _bounds([row.getLb() for row in rows], -highspy.kHighsInf)
        model.row_upper_ = _bounds([row.getUb() for row in rows], highspy.kHighsInf)
        if self.mip:
            kinds = highspy.HighsVarType
            model.integrality_ = [kinds.kInteger if variable.cat == pulp.LpInteger else kinds.kContinuous for variable in variables]
        matrix = model.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.start_ = np.cumsum([0, *[len(row.expr) for row in rows]], dtype=np.int32)
        matrix.index_ = np.array([variable.index for row in rows for variable in row.expr], np.int32)
        matrix.value_ = np.array([factor for row in rows for factor in row.expr.values()], np.float64)
        lp.solverModel.passModel(model)
        if self.start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = list(self.start)
            lp.solverModel.setSolution(solution)


@cache
def let_highs_greet() -> None:
    """HiGHS prints its name on standard output when it is first made, whatever its options. That belongs on standard error."""
    libc, kept = ctypes.CDLL(None), os.dup(1)
    try:
        sys.stdout.flush()
        os.dup2(2, 1)
        highspy.Highs()  # type: ignore[no-untyped-call]
        libc.fflush(None)
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _bounds(values: list[float | None], absent: float) -> Any:
    return np.array([absent if value is None else value for value in values], np.float64)
