"""Experiments on the tool's own intervals: does an interval at its own stop hold the truth?

One experiment replicates a case, on seeds that no other experiment has, until one figure is known to the precision of the
case, and looks whether the interval holds the truth; mean, p95 and p99 of the wait each have a stop of their own. Precisions
are coarse and horizons short, so that ten to thirty replications suffice: where the rule has least to go by. Steady-state
cases find their own warm-up by MSER-5. The truth of M/M/2 and M/D/1 is a formula's. That of the full scenario is a mean over
many replications on other seeds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import ROOT
from forge1sim.ask import Ask
from forge1sim.experiments.outcome import outcome_of
from forge1sim.experiments.replications import Replicating
from forge1sim.experiments.steady_state import Waits, measured, settle, waits_in
from forge1sim.run import simulate
from forge1sim.scenario.load import LoadedScenario, load_scenario
from forge1sim.statistics import Interval, Precision
from forge1sim.theory.erlang import mmc_wait_s
from forge1sim.theory.general import mg1_wait_s
from forge1sim.theory.quantiles import md1_wait_quantile_s, mmc_wait_quantile_s

FIGURES = {"mean": "all.wait_mean_s", "p95": "all.wait_p95_s", "p99": "all.wait_p99_s"}
MOST = 200                               # replications of one experiment, and seeds that it owns
FULL = "tests/experiments/full.yaml"
KNOWN_TRUTH = "tests/experiments/full_truth.json"
TRUTH_SEED = 1_000_000_000               # far from the seeds of experiments
Truth = Mapping[str, float]


@dataclass(frozen=True)
class Queue:
    """M/M/2 or M/D/1 in the steady state, with a horizon of about so many requests."""

    name: str
    scenario: str
    servers: int
    load: float
    requests: int
    relative: float

    @property
    def requests_per_s(self) -> float:
        """Service takes a second."""
        return self.load * self.servers

    def truth(self) -> Truth:
        """By formula."""
        rate = self.requests_per_s
        if self.scenario == "md1":
            quantiles = {"p95": md1_wait_quantile_s(rate, 1.0, 0.95), "p99": md1_wait_quantile_s(rate, 1.0, 0.99)}
            return {"mean": mg1_wait_s(rate, 1.0, 0.0), **quantiles}
        quantiles = {"p95": mmc_wait_quantile_s(rate, 1.0, self.servers, 0.95), "p99": mmc_wait_quantile_s(rate, 1.0, self.servers, 0.99)}
        return {"mean": mmc_wait_s(rate, 1.0, self.servers), **quantiles}

    known_truth = truth

    def experiment(self, number: int) -> dict[str, Interval]:
        """The intervals of one experiment, each at its own stop."""
        first = seed_of(number)
        settled = settle(self._draw, first, self.requests / self.requests_per_s)
        taken = list(settled.pilots)

        def draws() -> Iterator[Waits]:
            for place in range(MOST):
                if place == len(taken):
                    taken.extend(self._draw([first + place], settled.horizon_s))
                yield taken[place]

        found = {}
        for figure, name in FIGURES.items():
            precision = Precision(name, relative=self.relative)
            found[figure] = measured(settled, draws(), [name], [precision]).intervals()[name]
        return found

    def _draw(self, seeds: Sequence[int], horizon_s: float) -> list[Waits]:
        loaded = _loaded(f"scenarios/theory/{self.scenario}.yaml", (
            f"tenants.callers.demand.requests_per_s={self.requests_per_s}", f"horizon_s={horizon_s}",
            "policies.queue.max_in_system=2048",
        ))  # fmt: skip
        return [waits_in(loaded, seed) for seed in seeds]


@dataclass(frozen=True)
class Full:
    """A whole scenario over its own horizon; its truth is the mean over `truth_replications`."""

    name: str = "full"
    scenario: str = FULL
    relative: float = 0.2
    truth_replications: int = 1_000

    def truth(self) -> Truth:
        """Means over replications that no experiment sees: so many that their standard error is a tenth of a half-width, or less."""
        found = outcomes(self.scenario, TRUTH_SEED, self.truth_replications)
        return {figure: float(values.mean()) for figure, values in found.items()}

    def known_truth(self) -> Truth:
        """As it was found last (`python -m benchmarks.coverage` finds it anew, after anything changed the results of runs)."""
        return dict(json.loads((ROOT / KNOWN_TRUTH).read_text()))

    def experiment(self, number: int) -> dict[str, Interval]:
        """The intervals of one experiment, each at its own stop."""
        kept: dict[int, dict[str, float]] = {}

        def evaluate(asks: Sequence[Ask]) -> list[dict[str, float]]:
            kept.update({ask.seed: _outcome(self.scenario, ask.seed) for ask in asks if ask.seed not in kept})
            return [kept[ask.seed] for ask in asks]

        found = {}
        for figure, name in FIGURES.items():
            ask, until = Ask(scenario=self.scenario, seed=seed_of(number)), Precision(name, relative=self.relative)
            plan = Replicating((ask,), until=(until,), most=MOST)
            found[figure] = plan.run(evaluate, 1)[0].interval(name)
        return found


Case = Queue | Full
CASES: tuple[Case, ...] = (
    Queue("M/M/2, load 0.5", "mmc", 2, 0.5, 2_500, 0.15), Queue("M/M/2, load 0.8", "mmc", 2, 0.8, 8_000, 0.2),
    Queue("M/M/2, load 0.9", "mmc", 2, 0.9, 35_000, 0.2), Queue("M/D/1, load 0.5", "md1", 1, 0.5, 2_000, 0.15),
    Queue("M/D/1, load 0.8", "md1", 1, 0.8, 6_000, 0.2), Queue("M/D/1, load 0.9", "md1", 1, 0.9, 20_000, 0.2), Full(),
)  # fmt: skip


def seed_of(experiment: int) -> int:
    """The first of the seeds that an experiment owns."""
    return 1 + experiment * MOST


def hits(case: Case, experiments: range, truth: Truth) -> dict[str, int]:
    """How many of the experiments hold the truth, by figure. An interval without bounds does not."""
    found = dict.fromkeys(FIGURES, 0)
    for number in experiments:
        for figure, interval in case.experiment(number).items():
            found[figure] += interval.holds(truth[figure])
    return found


def outcomes(scenario: str, seed: int, count: int) -> dict[str, NDArray[np.float64]]:
    """Each figure of a scenario in replications on the seeds from `seed` on, shape (count,)."""
    rows = [_outcome(scenario, seed + number) for number in range(count)]
    return {figure: np.array([row[name] for row in rows]) for figure, name in FIGURES.items()}


@cache
def _loaded(scenario: str, overrides: tuple[str, ...]) -> LoadedScenario:
    return load_scenario(ROOT / scenario, overrides)


def _outcome(scenario: str, seed: int) -> dict[str, float]:
    return outcome_of(simulate(_loaded(scenario, ()), seed=seed, hash_log=False))


if __name__ == "__main__":
    (ROOT / KNOWN_TRUTH).write_text(json.dumps(Full().truth(), indent=2) + "\n")
