"""The linear program, solved by HiGHS through PuLP: which mix of proposals serves everybody at the least cost.

A proposal says for every request of a group where and when it is served. The program weighs the proposals of each group
so that all limits hold and quality is delivered; its dual prices lead to better proposals (`bound`). Source: Dantzig and
Wolfe, "Decomposition principle for linear programs", Operations Research 8 (1960).
"""

from dataclasses import dataclass

import numpy as np
import pulp
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.rooms import Room
from forge1sim.solvers import let_highs_greet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_PENALTY = 50.0                     # of who is left out, or of all quality that is missed, in mean answers


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a unit of room is worth, and a per mille of quality, in nano-USD.

    `levels[r]` has shape (blocks,), `windows[r]` shape (windows,); either is empty where a room has none.
    """

    levels: list[Floats]
    windows: list[Floats]
    quality: float

    def towards(self, other: "Prices", part: float) -> "Prices":
        """Part of the way from these prices to others."""
        return Prices(
            levels=[one + part * (two - one) for one, two in zip(self.levels, other.levels, strict=True)],
            windows=[one + part * (two - one) for one, two in zip(self.windows, other.windows, strict=True)],
            quality=self.quality + part * (other.quality - self.quality),
        )


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """One proposal for each group of `groups`, shape (k,): cost in nano-USD and quality per mille, in sum, shape (k,) each.

    `taken` are rows of (place in `groups`, room, block, units), shape (uses,) each.
    """

    groups: Ints
    nano_usd: Floats
    quality_pm: Floats
    taken: tuple[Ints, Ints, Ints, Floats]


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The program's value in nano-USD, its prices, what each group is worth, shape (groups,), and the weight of each proposal."""

    nano_usd: float
    prices: Prices
    worth: Floats
    weights: list[Floats]
    is_optimal: bool


class Program:
    """The program over proposals so far."""

    def __init__(self, rooms: list[Room], blocks: int, groups: int, asked_pm: float, requests: int, money: float) -> None:
        self.rooms, self.blocks, self.groups = rooms, blocks, groups
        self.asked, self.scale_pm, self.money = asked_pm, 1000.0 * requests, money
        self.proposals: list[Proposals] = []
        self.unit = [max(1e-9, float(max(room.gain.max(initial=0.0), *[0.0, *(w[2] for w in room.windows)]))) for room in rooms]

    def add(self, proposals: Proposals) -> None:
        """Take more proposals into account."""
        self.proposals.append(proposals)

    @property
    def size(self) -> int:
        """Proposals so far."""
        return sum(len(one.groups) for one in self.proposals)

    def solve(self, time_limit_s: float) -> Solution:
        """Solve it anew. Somebody left out, or quality out of reach, costs a penalty: there are prices in any case."""
        made = _Made(self)
        let_highs_greet()
        solver = pulp.HiGHS(msg=False, threads=1, timeLimit=max(1.0, time_limit_s), solver="ipm", run_crossover="off")
        made.problem.solve(solver)
        return made.solution()


class _Made:
    """The program in PuLP's terms."""

    def __init__(self, program: Program) -> None:
        self.program, self.number = program, 0
        self.problem = pulp.LpProblem("clairvoyant", pulp.LpMinimize)
        self.cost: dict[pulp.LpVariable, float] = {}
        self.weights = [[self._variable() for _ in one.groups] for one in program.proposals]
        self.short = self._variable()
        self.cost[self.short] = _PENALTY * program.scale_pm / 1000
        served: list[dict[pulp.LpVariable, float]] = [{} for _ in range(program.groups)]
        quality: dict[pulp.LpVariable, float] = {self.short: 1.0}
        used: list[list[dict[pulp.LpVariable, float]]] = [[{} for _ in range(program.blocks)] for _ in program.rooms]
        for one, weights in zip(program.proposals, self.weights, strict=True):
            figures = zip(weights, one.groups.tolist(), one.nano_usd.tolist(), one.quality_pm.tolist(), strict=True)
            for weight, group, cost, delivered in figures:
                served[group][weight] = 1.0
                self.cost[weight] = cost / program.money
                quality[weight] = delivered / program.scale_pm
            for place, room, block, units in zip(*(part.tolist() for part in one.taken), strict=True):
                used[room][block][weights[place]] = units / program.unit[room]
        for terms in served:
            left_out = self._variable()
            terms[left_out] = 1.0
            self.cost[left_out] = _PENALTY * program.scale_pm / 1000 / program.groups
        self.served = [self._row(terms, pulp.LpConstraintEQ, 1.0) for terms in served]
        self.delivered = self._row(quality, pulp.LpConstraintGE, program.asked / program.scale_pm)
        self.levels = [self._level(row, used[row]) if room.has_level else [] for row, room in enumerate(program.rooms)]
        self.windows = [self._windows(row, used[row]) for row in range(len(program.rooms))]
        self.problem.setObjective(pulp.LpAffineExpression(self.cost))

    def solution(self) -> Solution:
        program = self.program
        prices = Prices(
            levels=[np.array([self._price(one, program.unit[row]) for one in rows]) for row, rows in enumerate(self.levels)],
            windows=[np.array([self._price(one, program.unit[row]) for one in rows]) for row, rows in enumerate(self.windows)],
            quality=max(0.0, float(self.delivered.pi or 0.0)) * program.money / program.scale_pm,
        )
        return Solution(
            nano_usd=float(pulp.value(self.problem.objective) or 0.0) * program.money, prices=prices,
            worth=np.array([float(one.pi or 0.0) for one in self.served]) * program.money,
            weights=[np.array([max(0.0, float(one.varValue or 0.0)) for one in weights]) for weights in self.weights],
            is_optimal=self.problem.sol_status == pulp.LpSolutionOptimal,
        )  # fmt: skip

    def _price(self, row: pulp.LpConstraint | None, unit: float) -> float:
        """Nano-USD for a unit of what the row bounds from above."""
        return 0.0 if row is None else max(0.0, -float(row.pi or 0.0)) * self.program.money / unit

    def _variable(self, low: float = 0.0, high: float | None = None) -> pulp.LpVariable:
        self.number += 1
        return self.problem.add_variable(f"v{self.number}", low, high)

    def _row(self, terms: dict[pulp.LpVariable, float], sense: int, value: float) -> pulp.LpConstraint:
        row = pulp.LpConstraint(pulp.LpAffineExpression(terms), sense, rhs=value)
        self.problem.addConstraint(row)
        return row

    def _level(self, row: int, used: list[dict[pulp.LpVariable, float]]) -> list[pulp.LpConstraint]:
        """use[j] + level[j] - level[j-1] <= gain[j]."""
        room, unit = self.program.rooms[row], self.program.unit[row]
        found: list[pulp.LpConstraint] = []
        before: pulp.LpVariable | None = None
        for block, terms in enumerate(used):
            after = self._variable(-room.over / unit, float(room.cap[block]) / unit)
            given = float(room.gain[block]) / unit + (room.opening / unit if before is None else 0.0)
            carried = {} if before is None else {before: -1.0}
            found.append(self._row({**terms, after: 1.0, **carried}, pulp.LpConstraintLE, given))
            before = after
        return found

    def _windows(self, row: int, used: list[dict[pulp.LpVariable, float]]) -> list[pulp.LpConstraint | None]:
        found: list[pulp.LpConstraint | None] = []
        for lo, hi, amount in self.program.rooms[row].windows:
            terms: dict[pulp.LpVariable, float] = {}
            for block in range(lo, hi + 1):
                for variable, units in used[block].items():
                    terms[variable] = terms.get(variable, 0.0) + units
            found.append(self._row(terms, pulp.LpConstraintLE, amount / self.program.unit[row]) if terms else None)
        return found
