"""Which plans to simulate, until none that is left could be cheaper.

A plan with no more capacity than one that broke a promise breaks it, too: that is what monotone cuts rest on, it is tested on
every pair that was simulated, and a single pair that speaks against it takes the word `proven` away. A plan whose bound is no lower
than the cost of a plan that keeps all promises cannot be cheaper. All others are simulated, as long as there is time for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forge1sim.planning.options import Options, Plan
from forge1sim.planning.simulated import Evaluate, Simulated

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
AT_ONCE = 4
_SAME_USD = 1e-9


@dataclass(frozen=True, kw_only=True)
class Round:
    """Plans that were simulated together, why, and what was known afterwards, in USD per month."""

    number: int
    why: str
    tried: tuple[Simulated, ...]
    best_usd: float
    bound_usd: float
    left: int


@dataclass
class Search:
    """The lattice of plans and what is known of each: simulated, cut off, or still open.

    `bounds_usd`, shape (plans,), is the least that each can cost per month. `seeds` are the draws that all are compared on.
    """

    options: Options
    evaluate: Evaluate
    bounds_usd: Floats
    seeds: Sequence[int]
    seen: dict[int, Simulated] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    exceptions: list[tuple[Plan, Plan]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plans = self.options.plans
        self.place = {plan: row for row, plan in enumerate(self.plans)}
        self.at = np.array([self.options.coordinates(plan) for plan in self.plans], dtype=np.int32)
        self.reservation = np.array([plan.reservation for plan in self.plans])
        self.cut = np.zeros(len(self.plans), dtype=bool)
        self.refused = np.zeros(len(self.plans), dtype=bool)

    @property
    def best(self) -> Simulated | None:
        """The cheapest plan that keeps all promises; of equal cost the one with fewer accounts."""
        kept = [(one.usd_per_month, sum(one.plan.counts), row) for row, one in self.seen.items() if one.holds and not self.refused[row]]
        return self.seen[min(kept)[2]] if kept else None

    @property
    def best_usd(self) -> float:
        """What it costs; infinite while there is none."""
        return self.best.usd_per_month if self.best else float("inf")

    @property
    def open(self) -> Bools:
        """Plans that could be cheaper than the best, shape (plans,)."""
        found = ~self.cut & (self.bounds_usd < self.best_usd - _SAME_USD)
        found[list(self.seen)] = False
        return np.asarray(found)

    @property
    def bound_usd(self) -> float:
        """The least that any plan can cost that keeps all promises on these draws."""
        left = self.bounds_usd[self.open]
        return min(self.best_usd, float(left.min())) if len(left) else self.best_usd

    def run(self, first: Sequence[Plan], until_s: float, on_round: Callable[[Round], None]) -> None:
        """Simulate until no plan is open, or the clock (`time.perf_counter`) says `until_s`."""
        for why, rows in self._questions([self.place[plan] for plan in first if plan in self.place]):
            self.look(rows, why, on_round)
            if time.perf_counter() > until_s:
                return

    def look(self, rows: Sequence[int], why: str, on_round: Callable[[Round], None]) -> None:
        """Simulate these plans, and draw conclusions."""
        found = self.evaluate([self.plans[row] for row in rows], self.seeds)
        for row, one in zip(rows, found, strict=True):
            self.seen[row] = one
            self._conclude(row, one)
        made = Round(
            number=len(self.rounds) + 1, why=why, tried=tuple(found), best_usd=self.best_usd, bound_usd=self.bound_usd,
            left=int(self.open.sum()),
        )  # fmt: skip
        self.rounds.append(made)
        on_round(made)

    def refuse(self, one: Simulated) -> None:
        """Take back a plan that broke a promise on other draws, and all below it."""
        row = self.place[one.plan]
        self.refused[row] = True
        self.cut |= self._below(row)

    def _conclude(self, row: int, one: Simulated) -> None:
        if one.impossible:
            return
        if one.keeps_promises:
            above = self._above(row)
            self.exceptions += [(self.plans[other], one.plan) for other, seen in self.seen.items() if above[other] and broke(seen)]
        else:
            below = self._below(row)
            self.exceptions += [(one.plan, seen.plan) for other, seen in self.seen.items() if below[other] and seen.keeps_promises]
            self.cut |= below

    def _below(self, row: int) -> Bools:
        """Plans with no more of anything and the same reservation, shape (plans,)."""
        return np.asarray((self.at <= self.at[row]).all(axis=1) & (self.reservation == self.reservation[row]))

    def _above(self, row: int) -> Bools:
        return np.asarray((self.at >= self.at[row]).all(axis=1) & (self.reservation == self.reservation[row]))

    def _questions(self, first: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
        """What to look at next, and why."""
        unseen = [row for row in dict.fromkeys(first) if row not in self.seen]
        if unseen:
            yield "proposed", unseen
        while self.open.any():
            if self.best is None:
                yield "is there one that keeps all promises", self._most_telling()
            elif fewer := self._fewer(self.best):
                yield "one account fewer than the best so far", fewer
            elif telling := self._most_telling():
                yield "could be cheaper", telling

    def _fewer(self, best: Simulated) -> list[int]:
        """The open plans one account below the best so far."""
        is_open = self.open
        rows = [self.place[plan] for _, plan in self.options.below(best.plan) if plan in self.place]
        return [row for row in rows if is_open[row]]

    def _most_telling(self) -> list[int]:
        """Open plans of which each would cut off most if it broke a promise; where one below kept all, that is unlikely: cheapest first."""
        is_open = np.flatnonzero(self.open)
        kept = [row for row, one in self.seen.items() if one.keeps_promises]
        likely = np.zeros(len(self.plans), dtype=bool)
        for row in kept:
            likely |= self._above(row)
        doubtful = [int(row) for row in is_open if not likely[row]]
        if not doubtful:
            return [int(row) for row in is_open[np.argsort(self.bounds_usd[is_open], kind="stable")][:AT_ONCE]]
        sizes = self.at.sum(axis=1)
        doubtful.sort(key=lambda row: (-int(sizes[row]), float(self.bounds_usd[row])))
        return doubtful[: AT_ONCE // 2]


def broke(one: Simulated) -> bool:
    """Whether it was simulated and broke a promise."""
    return not one.impossible and not one.keeps_promises
