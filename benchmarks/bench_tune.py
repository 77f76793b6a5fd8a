"""What a search of policies is worth: on the quick start, and against random search and an even design.

On the quick start 200 evaluations, shipped defaults included, look for the least cost such that every promise is kept
and no fewer requests are served than by the scenario's own policies. They run the busy hours only, where limits bind; the last
stage, and the figure, are of whole days that the search never saw.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forge1sim.ask import Ask
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.statistics.means import mean_interval
from forge1sim.experiments.tuning.goals import total_violation
from forge1sim.experiments.tuning.proof import Draws
from forge1sim.experiments.tuning.search import Plan
from forge1sim.experiments.tuning.space import Point, shipped_defaults, with_point
from forge1sim.experiments.tuning.tune import Tuning, tune
from forge1sim.experiments.workers import evaluate

RESULTS = (
    "tuned_over_best_default_cost", "tuned_over_best_default_cost_high", "tune_quickstart_minutes",
    "tuner_against_sobol_p", "tuner_against_random_p",
)  # fmt: skip
ROOT = Path(__file__).parents[1]
QUICKSTART, SMALL = ROOT / "scenarios" / "quickstart.yaml", Path(__file__).with_name("tuning_small.yaml")
COST, ATTAINED, SERVED = "all.cost_usd", "slo.attained", "all.served_ratio"
BUSY = ("start=2026-11-02T12:00:00Z", "horizon_s=4h")
FRESH_SEED, FRESH_DRAWS = 5_000_000, 10
PAIRS, BUDGET, BROKEN = 20, 80, 1000.0
SMALL_SPACE = (
    "policies.queue.aging_per_s=0:20", "policies.queue.max_waiting=5:2000:log:int", "policies.queue.max_waiting_per_tenant=1:200:log:int",
    "policies.tiers.enterprise.guaranteed_capacity=0:0.9", "policies.tiers.professional.guaranteed_capacity=0:0.9",
    "policies.tiers.standard.rate_limit_multiplier=0.1:4:log",
)  # fmt: skip
SMALL_KEPT = ("enterprise.wait_p95_s<=4", "professional.wait_p95_s<=12", "standard.served_ratio>=0.7")


def run() -> dict[str, float]:
    """The quick start first, then the comparison of ways to search."""
    began_s = time.perf_counter()
    tuning = tune_quickstart()
    minutes = (time.perf_counter() - began_s) / 60
    print(f"{minutes:.1f} minutes: {' '.join(tuning.sentences)}", flush=True)
    ratio, high = over_best_default(tuning)
    sobol, random = p_values(compare_searches(range(PAIRS)))
    return {
        "tuned_over_best_default_cost": ratio, "tuned_over_best_default_cost_high": high, "tune_quickstart_minutes": minutes,
        "tuner_against_sobol_p": sobol, "tuner_against_random_p": random,
    }  # fmt: skip


def tune_quickstart(trials: int = 200) -> Tuning:
    """The search on the quick start: least cost, promises and served share as good as they are."""
    return tune(
        Ask(scenario=str(QUICKSTART)), minimize=[COST], subject_to=["slos", f"{SERVED}>=baseline"], trials=trials, search_on=BUSY,
        draws=Draws(pick=4, proof=10),
    )  # fmt: skip


def over_best_default(tuning: Tuning) -> tuple[float, float]:
    """Cost of the tuned policies over that of the best shipped default, and the upper end of its 95% interval, on fresh whole days.

    All shipped defaults are run, and those that choose blindly; the best is the cheapest that attains no less than the scenario's own.
    Prints each. NaN is never returned: 1 means that the search found nothing better.
    """
    ask = tuning.plan.ask
    winner = tuning.winner.finalist.point if tuning.winner is not None else {}
    blind = [{"policies.routing.policy": name, "policies.routing.model_choice": "any"} for name in ("random", "round_robin")]
    points: list[Point] = [winner, *shipped_defaults(ask.load()), *blind]
    days = _days(ask, points, FRESH_DRAWS)
    own, mine = days[1], days[0]
    rows = []
    for point, its in zip(points[1:], days[1:], strict=True):
        ratios = [a[COST] / b[COST] for a, b in zip(mine, its, strict=True)]
        attains = np.mean([a[ATTAINED] for a in its]) >= np.mean([a[ATTAINED] for a in own])
        rows.append((np.mean([a[COST] for a in its]), attains, mean_interval(ratios), point, np.mean([a[ATTAINED] for a in its])))
        print(f"cost {rows[-1][0]:8.2f} USD, attained {rows[-1][4]:.3f}, tuned over it {rows[-1][2]}: {dict(point) or 'own'}", flush=True)
    print(f"tuned: cost {np.mean([a[COST] for a in mine]):.2f}, attained {np.mean([a[ATTAINED] for a in mine]):.3f}, "
          f"served {np.mean([a[SERVED] for a in mine]):.5f} against {np.mean([a[SERVED] for a in own]):.5f}: {dict(winner)}")
    best = min((row for row in rows if row[1]), key=lambda row: row[0])[2]
    return (best.value, best.high) if best.trusted else (1.0, 1.0)


def _days(ask: Ask, points: Sequence[Point], draws: int) -> list[list[Outcome]]:
    asks = [replace(with_point(ask, point), seed=FRESH_SEED + draw) for point in points for draw in range(draws)]
    found = evaluate(asks)
    return [found[row * draws : (row + 1) * draws] for row in range(len(points))]


def compare_searches(seeds: Sequence[int] | range, budget: int = BUDGET) -> dict[str, list[float]]:
    """What each way to search comes to at `budget` runs, one value for each seed: less is better.

    The cost of the best point that keeps the constraints; where none does, `BROKEN` and what is broken.
    """
    values: dict[str, list[float]] = {"tuner": [], "sobol": [], "random": []}
    for seed in seeds:
        ask = Ask(scenario=str(SMALL), seed=1000 + seed)
        for name, found in values.items():
            found.append(_search(name, ask, seed, budget))
        print(f"seed {seed}: " + ", ".join(f"{name} {found[-1]:.4f}" for name, found in values.items()), flush=True)
    return values


def _search(name: str, ask: Ask, seed: int, budget: int) -> float:
    """The value that one way to search comes to; each begins with the scenario's own policies."""
    if name != "random":
        return _value(_tuned(ask, seed, budget, budget if name == "sobol" else None))
    plan = _tuned(ask, seed, 2, None).plan
    rng = np.random.default_rng([seed, 1])
    points = [{knob.path: knob.at(float(rng.random())) for knob in plan.space} for _ in range(budget - 1)]
    outcomes = evaluate([ask, *(with_point(ask, point) for point in points)], backend="serial")
    return min(_worth(plan, outcome, outcomes[0]) for outcome in outcomes)


def _tuned(ask: Ask, seed: int, budget: int, even: int | None) -> Tuning:
    return tune(
        ask, SMALL_SPACE, minimize=[COST], subject_to=SMALL_KEPT, defaults=False, trials=budget, seed=seed, even=even, draws=None,
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
