"""A table without its whole numbers, solved by HiGHS with no more rows than matter.

Most rows hold by themselves: limits of the quiet hours, or of a loss that nobody notices. They wait until a solution breaks them,
and HiGHS goes on from where it was. Source: Dantzig, Fulkerson and Johnson, "Solution of a large-scale traveling-salesman problem", 1954.
"""

from time import perf_counter

import highspy
import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.fluid.table import Bools, Floats, Ints, Table
from forge1sim.solvers import let_highs_greet

_BROKEN = 1e-7                      # by more than HiGHS's own tolerance


class Infeasible(Exception):  # noqa: N818
    """No values keep all rows."""


class Relaxation:
    """The table's program, whole numbers set aside; `rows` are those that matter so far."""

    def __init__(self, table: Table) -> None:
        self.table, self.matrix = table, table.matrix()
        self.cost, self.most, self.low, self.high = table.cost, table.most, table.low, table.high
        self.rows: Ints = np.flatnonzero(~table.waits)
        self._in: Bools = ~table.waits
        let_highs_greet()
        self._model = highspy.Highs()  # type: ignore[no-untyped-call]
        self._model.setOptionValue("output_flag", False)
        self._model.setOptionValue("threads", 1)
        self._model.passModel(self._as_lp())

    def solve(self, until: float) -> Floats:
        """The cheapest values that keep all rows of the table, shape (columns,). Raises Infeasible, or PlanError when time is out."""
        while True:
            values = self._run(until)
            broken = self.broken_by(values)
            broken = broken[~self._in[broken]]
            if not len(broken):
                return values
            self._add(broken)

    def bound(self, columns: Ints, low: Floats, high: Floats) -> None:
        """Other bounds for these columns, for a while."""
        self._model.changeColsBounds(len(columns), columns.astype(np.int32), low, high)

    def fix(self, columns: Ints, values: Floats) -> None:
        """Let these columns have these values only."""
        self.bound(columns, values, values)

    def release(self, columns: Ints) -> None:
        """Give these columns the table's bounds again."""
        self.bound(columns, self.low[columns], self.high[columns])

    def bind(self, values: Floats) -> Ints:
        """Rows that cannot wait, and those that `values` use up."""
        tight = self.matrix @ values - self.most > -_BROKEN
        return np.flatnonzero(~self.table.waits | (self._in & tight))

    def broken_by(self, values: Floats) -> Ints:
        """Rows that these values break."""
        return np.flatnonzero(self.matrix @ values - self.most > _BROKEN)

    def prices(self) -> Floats:
        """What a unit more of each row's right-hand side costs (0 or below), shape (rows,)."""
        found = np.zeros(len(self.most))
        found[self.rows] = np.array(self._model.getSolution().row_dual)
        return found

    def _run(self, until: float) -> Floats:
        self._model.setOptionValue("time_limit", self._model.getRunTime() + max(0.01, until - perf_counter()))
        self._model.run()
        status, statuses = self._model.getModelStatus(), highspy.HighsModelStatus
        if status in {statuses.kInfeasible, statuses.kUnboundedOrInfeasible}:       # bounds keep all that pays from growing
            raise Infeasible
        if status == statuses.kUnbounded:
            raise PlanError("cost falls without bound: a price or a fee in this problem pays for having more of something")
        if status != statuses.kOptimal:
            raise PlanError(f"no plan was found in time ({self._model.modelStatusToString(status)}); allow more")
        return np.array(self._model.getSolution().col_value)

    def _add(self, rows: Ints) -> None:
        part = self.matrix[rows]
        self._model.addRows(len(rows), np.full(len(rows), -np.inf), self.most[rows], part.nnz,
                            part.indptr[:-1].astype(np.int32), part.indices.astype(np.int32), part.data)  # fmt: skip
        self.rows = np.concatenate([self.rows, rows])
        self._in[rows] = True

    def _as_lp(self) -> highspy.HighsLp:
        lp, part = highspy.HighsLp(), self.matrix[self.rows]
        lp.num_col_, lp.num_row_ = len(self.cost), len(self.rows)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost, self.low, self.high
        lp.row_lower_, lp.row_upper_ = np.full(len(self.rows), -np.inf), self.most[self.rows]
        matrix = lp.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kRowwise
        matrix.start_, matrix.index_, matrix.value_ = part.indptr.astype(np.int32), part.indices.astype(np.int32), part.data
        return lp
