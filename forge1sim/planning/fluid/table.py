"""A program as a table: columns with bounds and cost, and rows that say "at most". Filled in bulk, then made one of PuLP's."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Table:
    """Columns and rows so far. `cost` is what is minimized."""

    def __init__(self) -> None:
        self._low: list[Floats] = []
        self._high: list[Floats] = []
        self._cost: list[Floats] = []
        self._whole: list[Bools] = []
        self._entries: list[tuple[Ints, Ints, Floats]] = []
        self._most: list[Floats] = []
        self._waits: list[Bools] = []
        self.column_count = self.row_count = 0

    def columns(self, count: int, *, low: ArrayLike = 0.0, high: ArrayLike = np.inf, cost: ArrayLike = 0.0, whole: bool = False) -> Ints:
        """New columns; their numbers, shape (count,)."""
        for kept, value in ((self._low, low), (self._high, high), (self._cost, cost)):
            kept.append(np.broadcast_to(np.asarray(value, np.float64), (count,)))
        self._whole.append(np.full(count, whole))
        self.column_count += count
        return np.arange(self.column_count - count, self.column_count)

    def rows(self, at: ArrayLike, column: ArrayLike, factor: ArrayLike, most: ArrayLike, *, waits: ArrayLike = False) -> Ints:
        """New rows: for each of `most`, shape (rows,), the factors of entries that stand `at` it are at most that. Their numbers.

        A row that `waits`, shape (rows,), likely holds by itself: a solver may leave it out until a solution breaks it.
        """
        limits = np.atleast_1d(np.asarray(most, np.float64))
        columns = np.asarray(column, np.int64)
        factors = np.broadcast_to(np.asarray(factor, np.float64), columns.shape)
        places = np.broadcast_to(np.asarray(at, np.int64), columns.shape)
        self._entries.append((places.ravel() + self.row_count, columns.ravel(), factors.ravel()))
        self._most.append(limits)
        self._waits.append(np.broadcast_to(np.asarray(waits, np.bool_), limits.shape))
        self.row_count += len(limits)
        return np.arange(self.row_count - len(limits), self.row_count)

    def enter(self, row: ArrayLike, column: ArrayLike, factor: ArrayLike) -> None:
        """More entries, in rows that there are."""
        rows, columns = np.asarray(row, np.int64), np.asarray(column, np.int64)
        factors = np.asarray(factor, np.float64)
        shape = np.broadcast_shapes(rows.shape, columns.shape, factors.shape)
        self._entries.append((np.broadcast_to(rows, shape).ravel(), np.broadcast_to(columns, shape).ravel(),
                              np.broadcast_to(factors, shape).ravel()))  # fmt: skip

    def set_cost(self, cost: Floats) -> None:
        """Minimize this instead; shape (columns,)."""
        self._cost = [cost]

    def set_bounds(self, columns: Ints, low: ArrayLike, high: ArrayLike) -> None:
        """Other bounds for some columns."""
        lows, highs = self.low.copy(), self.high.copy()
        lows[columns], highs[columns] = low, high
        self._low, self._high = [lows], [highs]

    @property
    def low(self) -> Floats:
        """Lower bounds, shape (columns,)."""
        return _joined(self._low)

    @property
    def high(self) -> Floats:
        """Upper bounds, shape (columns,)."""
        return _joined(self._high)

    @property
    def cost(self) -> Floats:
        """Shape (columns,)."""
        return _joined(self._cost)

    @property
    def whole(self) -> Bools:
        """Which columns must be chosen among whole numbers, shape (columns,). Where bounds leave one value, nothing is chosen."""
        return np.concatenate(self._whole) & (self.low < self.high) if self._whole else np.zeros(0, np.bool_)

    @property
    def most(self) -> Floats:
        """Right-hand sides, shape (rows,)."""
        return _joined(self._most)

    @property
    def waits(self) -> Bools:
        """Which rows a solver may leave out until a solution breaks them, shape (rows,)."""
        return np.concatenate(self._waits) if self._waits else np.zeros(0, np.bool_)

    def matrix(self) -> "csr_array":
        """All entries, shape (rows, columns); what is entered twice is added."""
        from scipy.sparse import csr_array

        rows = np.concatenate([entry[0] for entry in self._entries] or [np.zeros(0, np.int64)])
        columns = np.concatenate([entry[1] for entry in self._entries] or [np.zeros(0, np.int64)])
        factors = _joined([entry[2] for entry in self._entries])
        made: csr_array[np.float64] = csr_array((factors, (rows, columns)), shape=(self.row_count, self.column_count))
        made.eliminate_zeros()
        return made


def in_pulp(table: Table, matrix: "csr_array", rows: Ints) -> tuple[Any, list[Any], list[Any]]:
    """The table as a problem of PuLP with these of its rows, its variables and its constraints, each in the table's order."""
    import pulp

    problem = pulp.LpProblem("plan", pulp.LpMinimize)
    figures = zip(_or_none(table.low), _or_none(table.high), table.whole.tolist(), strict=True)
    # PuLP sorts variables by name.
    variables = [
        problem.add_variable(f"v{number:07}", low, high, pulp.LpInteger if whole else pulp.LpContinuous)
        for number, (low, high, whole) in enumerate(figures)
    ]
    costs = zip(variables, table.cost.tolist(), strict=True)
    problem.setObjective(pulp.LpAffineExpression({variable: cost for variable, cost in costs if cost}))
    chosen = matrix[rows]
    ends, factors = chosen.indptr.tolist(), chosen.data.tolist()
    named = [variables[column] for column in chosen.indices.tolist()]
    constraints = []
    for number, most in enumerate(table.most[rows].tolist()):
        terms = slice(ends[number], ends[number + 1])
        expression = pulp.LpAffineExpression(zip(named[terms], factors[terms], strict=True))
        constraint = pulp.LpConstraint(expression, pulp.LpConstraintLE, f"r{number:07}", most)
        problem.addConstraint(constraint)
        constraints.append(constraint)
    return problem, variables, constraints


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _or_none(bounds: Floats) -> list[float | None]:
    return [bound if -np.inf < bound < np.inf else None for bound in bounds.tolist()]
