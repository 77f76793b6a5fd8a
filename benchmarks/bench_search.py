"""The search of policies against random search and an even design, at equal numbers of simulated requests.

A small pool under contention (tuning_small.yaml, about 5,000 requests), six knobs, least cost under three conditions that the
scenario's own policies break. Each way to search has 80 runs, on the same draw; 20 draws make 20 pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forge1sim.ask import Ask
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.tuning.goals import total_violation
from forge1sim.experiments.tuning.search import Plan
from forge1sim.experiments.tuning.space import Knob, with_point
from forge1sim.experiments.tuning.tune import Tuning, tune
from forge1sim.experiments.workers import evaluate

RESULTS = ("search_against_sobol_p", "search_against_random_p")
SMALL, COST = Path(__file__).with_name("tuning_small.yaml"), "all.cost_usd"
PAIRS, BUDGET, BROKEN = 20, 80, 1000.0
SMALL_SPACE = (
    "policies.queue.aging_per_s=0:20", "policies.queue.max_waiting=5:2000:log:int", "policies.queue.max_waiting_per_tenant=1:200:log:int",
    "policies.tiers.enterprise.guaranteed_capacity=0:0.9", "policies.tiers.professional.guaranteed_capacity=0:0.9",
    "policies.tiers.standard.rate_limit_multiplier=0.1:4:log",
)  # fmt: skip
SMALL_KEPT = ("enterprise.wait_p95_s<=4", "professional.wait_p95_s<=12", "standard.served_ratio>=0.7")


def run() -> dict[str, float]:
    """One-sided p-values over 20 pairs."""
    sobol, random = p_values(compare_searches(range(PAIRS)))
    return {"search_against_sobol_p": sobol, "search_against_random_p": random}


@dataclass(frozen=True)
class Task:
    """What is searched: a scenario, the knobs, and what is to be kept."""

    scenario: str = str(SMALL)
    space: tuple[str | Knob, ...] = SMALL_SPACE
    kept: tuple[str, ...] = SMALL_KEPT


def compare_searches(seeds: Sequence[int] | range, budget: int = BUDGET, task: Task = Task()) -> dict[str, list[float]]:
    """What each way to search comes to at `budget` runs, one value for each seed: less is better.

    The cost of the best point that keeps the constraints; where none does, `BROKEN` and what is broken.
    """
    values: dict[str, list[float]] = {"tuner": [], "sobol": [], "random": []}
    for seed in seeds:
        for name, found in values.items():
            found.append(_search(name, task, seed, budget))
        print(f"seed {seed}: " + ", ".join(f"{name} {found[-1]:.4f}" for name, found in values.items()), flush=True)
    return values


def _search(name: str, task: Task, seed: int, budget: int) -> float:
    """The value that one way to search comes to; each begins with the scenario's own policies."""
    if name != "random":
        return _value(_tuned(task, seed, budget, budget if name == "sobol" else None))
    plan = _tuned(task, seed, 2, None).plan
    rng = np.random.default_rng([seed, 1])
    points = [{knob.path: knob.at(float(rng.random())) for knob in plan.space} for _ in range(budget - 1)]
    outcomes = evaluate([plan.ask, *(with_point(plan.ask, point) for point in points)], backend="serial")
    return min(_worth(plan, outcome, outcomes[0]) for outcome in outcomes)


def _tuned(task: Task, seed: int, budget: int, even: int | None) -> Tuning:
    ask = Ask(scenario=task.scenario, seed=1000 + seed)
    return tune(
        ask, task.space, minimize=[COST], subject_to=task.kept, defaults=False, trials=budget, seed=seed, even=even, draws=None,
        backend="serial",
    )  # fmt: skip


def _value(tuning: Tuning) -> float:
    return min(_worth(tuning.plan, one.outcome, tuning.found[0].outcome) for one in tuning.found)


def _worth(plan: Plan, outcome: Outcome, baseline: Outcome) -> float:
    broken = total_violation(plan.constraints, outcome, baseline)
    return outcome[COST] if broken <= 0 else BROKEN + broken


def p_values(values: dict[str, list[float]]) -> tuple[float, float]:
    """One-sided Wilcoxon signed-rank tests that the tuner comes to less than the even and the random design."""
    from scipy.stats import wilcoxon

    tuner = np.array(values["tuner"])
    sobol, random = (float(wilcoxon(tuner - np.array(values[name]), alternative="less").pvalue) for name in ("sobol", "random"))
    return sobol, random
