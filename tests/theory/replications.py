"""Replications of a theory scenario: what must hold in each, and what over all of them.

Over all: the 99.9 % t-interval of a figure's mean holds the truth, and lies within 2 % of it
(0.3 points of a probability). docs/theory.md says why that many replications of that length.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from forge1sim.run import simulate
from forge1sim.scenario.load import LoadedScenario, load_scenario
from policies import log
from tests.conftest import ROOT

FOLDER = ROOT / "scenarios" / "theory"
REPLICATIONS = 20
CONFIDENCE = 0.999
RELATIVE_WIDTH = 0.02
PROBABILITY_WIDTH = 0.003

Figures = dict[str, float]
Summary = dict[str, Any]
Sink = Callable[[NDArray[np.void]], None]


@dataclass(frozen=True)
class Truth:
    """What theory says of a figure. A probability is judged by points, anything else by per cent."""

    value: float
    is_probability: bool = False

    @property
    def tolerance(self) -> float:
        return PROBABILITY_WIDTH if self.is_probability else RELATIVE_WIDTH * self.value


@dataclass(frozen=True)
class Case:
    """A scenario of `scenarios/theory`, its true figures, and how one replication's are read."""

    scenario: str
    truths: dict[str, Truth]
    read: Callable[[Summary], Figures]

    def __str__(self) -> str:
        return self.scenario

    def load(self, seed: int, *overrides: str) -> LoadedScenario:
        return load_scenario(FOLDER / f"{self.scenario}.yaml", overrides, seed=seed)

    def replicate(self, seed: int) -> Figures:
        return self.read(run(self.load(seed)))


def problems(case: Case, *base: int) -> list[str]:
    """What is wrong with each figure over the replications whose seeds `base` leads to; empty if nothing."""
    rows = [case.replicate(seed) for seed in seeds(case, *base)]
    found = (_problem(case, name, [row[name] for row in rows]) for name in case.truths)
    return [problem for problem in found if problem]


def seeds(case: Case, *base: int) -> list[int]:
    """Seeds of the replications, others for each scenario, so that scenarios do not fail together."""
    root = np.random.SeedSequence([zlib.crc32(case.scenario.encode()), *base])
    return [int(seed) for seed in root.generate_state(REPLICATIONS)]


def _problem(case: Case, name: str, sample: list[float]) -> str:
    truth = case.truths[name]
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, len(sample) - 1) * np.std(sample, ddof=1) / np.sqrt(len(sample))
    low, high = np.mean(sample) - half, np.mean(sample) + half
    told = f"{case.scenario}: {name} is {low:.5g} to {high:.5g}, theory says {truth.value:.5g}"
    if not low <= truth.value <= high:
        return f"{told}: not inside"
    if max(high - truth.value, truth.value - low) > truth.tolerance:
        return f"{told}: wider than {truth.tolerance:.3g} on a side"
    return ""


def run(loaded: LoadedScenario, sinks: Iterable[Sink] = ()) -> Summary:
    """One replication, in which Little's law and work conservation must hold."""
    watch = Watch(loaded)
    summary = simulate(loaded, hash_log=False, sinks=(watch.take, *sinks)).summary
    law = summary["littles_law"]
    assert law["equal"], f"{loaded.name}, seed {loaded.seed}: Little's law does not hold: {law}"
    assert summary["requests"]["in_system"] == 0
    assert watch.idle_moments == 0, f"{loaded.name}, seed {loaded.seed}: somebody waited while a slot was free"
    assert watch.idle_refusals == 0, f"{loaded.name}, seed {loaded.seed}: refused for want of a slot that was free"
    return summary


class Watch:
    """Work conservation by the log alone: nobody waits, or is refused for want of capacity, while a slot is free."""

    def __init__(self, loaded: LoadedScenario) -> None:
        (account,) = loaded.platform.accounts
        limit = account.limits[0]
        counted = limit.dimension == "concurrency" and not loaded.faults
        self._slots = round(limit.limit) if counted else 0
        self._state = np.zeros(5, dtype=np.int64)

    def take(self, rows: NDArray[np.void]) -> None:
        """See the next rows of the log."""
        _watch(rows["time_us"], rows["kind"], rows["code"], self._slots, self._state)

    @property
    def idle_moments(self) -> int:
        """Moments after which somebody waited beside a free slot."""
        return int(self._state[3])

    @property
    def idle_refusals(self) -> int:
        """Refusals for want of capacity beside a free slot."""
        return int(self._state[4])


@numba.njit(cache=False)  # type: ignore[untyped-decorator]
def _watch(
    time_us: NDArray[np.int64], kind: NDArray[np.uint8], code: NDArray[np.uint8], slots: int, state: NDArray[np.int64]
) -> None:
    now_us, waiting, in_flight, idle_moments, idle_refusals = state
    for row in range(time_us.size):
        if time_us[row] != now_us:
            if waiting > 0 and in_flight < slots:
                idle_moments += 1
            now_us = time_us[row]
        if kind[row] == log.QUEUE:
            waiting += 1
        elif kind[row] == log.DISPATCH:
            in_flight += 1
            waiting -= code[row]
        elif kind[row] == log.EXPIRE:
            waiting -= 1
        elif kind[row] == log.COMPLETE or kind[row] == log.REFUSED:
            in_flight -= 1
        elif kind[row] == log.REJECT:
            if code[row] == log.PREEMPTED:
                in_flight -= 1
            elif in_flight < slots and (code[row] == log.NO_CAPACITY or code[row] == log.QUEUE_FULL):
                idle_refusals += 1
    state[:] = (now_us, waiting, in_flight, idle_moments, idle_refusals)
