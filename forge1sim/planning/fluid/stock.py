"""How many accounts there are, by kind and state: whole numbers that say "in this state or a higher one"."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from forge1sim.planning.fluid.table import Floats, Ints, Table
from forge1sim.planning.problem import Counts, Kind

Coordinate = tuple[int, int]


@dataclass(frozen=True)
class Terms:
    """Sum of factors times columns, plus a constant. Never below `least`, by its bounds."""

    columns: tuple[int, ...]
    factors: tuple[float, ...]
    constant: float
    least: float


class Stock:
    """Columns of accounts at or above each state, with their bounds, and marks [accounts >= count] where something asks for them."""

    def __init__(self, table: Table, kinds: tuple[Kind, ...], fixed: Counts | None) -> None:
        self.table = table
        self.low, self.high = _bounds(kinds, fixed)
        self.columns: list[Ints] = []
        for low, high in zip(self.low, self.high, strict=True):
            self.columns.append(table.columns(len(low), low=low, high=high, whole=True))
        for of_kind in self.columns:
            steps = np.arange(len(of_kind) - 1)
            if len(steps):
                higher_then_lower = np.concatenate([of_kind[1:], of_kind[:-1]])
                table.rows(np.tile(steps, 2), higher_then_lower, np.repeat([1.0, -1.0], len(steps)), np.zeros(len(steps)))
        self._marks: dict[Coordinate, dict[int, int]] = {}

    def all_of(self, kind: int) -> list[Terms]:
        """Accounts of a kind at or above each state."""
        return [Terms((int(column),), (1.0,), 0.0, low) for column, low in zip(self.columns[kind], self.low[kind], strict=True)]

    def one_less(self, kind: int) -> list[Terms]:
        """The same after one account in the highest state that there is was lost; none stay none."""
        return [self._one_less(kind, state) for state in range(len(self.columns[kind]))]

    def _one_less(self, kind: int, state: int) -> Terms:
        column, low, high = int(self.columns[kind][state]), self.low[kind][state], self.high[kind][state]
        if low >= 1:
            return Terms((column,), (1.0,), -1.0, low - 1.0)
        if high <= 1:
            return Terms((), (), 0.0, 0.0)
        return Terms((column, self.mark(kind, state, 1)), (1.0, -1.0), 0.0, 0.0)

    def mark(self, kind: int, state: int, count: int) -> int:
        """Column that is 1 if there are `count` accounts or more at or above the state, else 0. `count` lies within the bounds."""
        marks = self._marks.setdefault((kind, state), {})
        if count not in marks:
            marks[count] = int(self.table.columns(1, high=1.0, whole=True)[0])
        return marks[count]

    def tie_marks(self) -> None:
        """Rows that make marks true. Call it when all have been asked for."""
        for (kind, state), marks in sorted(self._marks.items()):
            self._tie(int(self.columns[kind][state]), sorted(marks.items()), self.low[kind][state], self.high[kind][state])

    def _tie(self, column: int, marks: list[tuple[int, int]], low: float, high: float) -> None:
        """low + sum of (count - count before) * mark <= accounts <= first count - 1 + sum of (next count - count) * mark."""
        counts, columns = np.array([count for count, _ in marks], np.float64), [mark for _, mark in marks]
        here = np.zeros(len(marks) + 1, np.int64)
        self.table.rows(here, [column, *columns], [-1.0, *np.diff(counts, prepend=low)], -low)
        self.table.rows(here, [column, *columns], [1.0, *-np.diff(counts, append=high + 1)], counts[0] - 1)
        for lower, higher in pairwise(columns):
            self.table.rows([0, 0], [higher, lower], [1.0, -1.0], 0.0)


def _bounds(kinds: tuple[Kind, ...], fixed: Counts | None) -> tuple[list[Floats], list[Floats]]:
    """Fewest and most accounts by kind, at or above each state."""
    if fixed is not None:
        exact = [np.array(counts, np.float64) for counts in fixed.at_or_above]
        return exact, exact
    low = [np.array([kind.at_least] + [0] * (len(kind.states) - 1), np.float64) for kind in kinds]
    high = [np.minimum.accumulate([min(kind.at_most, state.most) for state in kind.states]).astype(np.float64) for kind in kinds]
    return low, high
