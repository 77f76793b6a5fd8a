"""What a search of policies saves on the quick start.

200 evaluations of a whole day, shipped defaults included, look for the least cost such that every promise is kept and no fewer requests
are served than by the scenario's own policies. The figure comes from days that neither the search nor its last stage ever saw, with
all shipped defaults and those that choose blindly beside it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forge1sim.ask import Ask
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.tuning.proof import Draws
from forge1sim.experiments.tuning.space import Point, shipped_defaults, with_point
from forge1sim.experiments.tuning.tune import Tuning, tune
from forge1sim.experiments.workers import evaluate
from forge1sim.statistics.interval import Interval
from forge1sim.statistics.means import mean_interval

RESULTS = ("tuned_over_best_default_cost", "tuned_over_best_default_cost_high", "tune_quickstart_minutes")
ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "scenarios" / "quickstart.yaml"
COST, ATTAINED, SERVED = "all.cost_usd", "slo.attained", "all.served_ratio"
FRESH_SEED, FRESH_DRAWS = 5_000_000, 10


def run() -> dict[str, float]:
    """Search, then run the tuned policies and every shipped default on fresh days."""
    began_s = time.perf_counter()
    tuning = tune_quickstart()
    minutes = (time.perf_counter() - began_s) / 60
    print(f"{minutes:.1f} minutes: {' '.join(tuning.sentences)}", flush=True)
    ratio, high = over_best_default(tuning)
    return {"tuned_over_best_default_cost": ratio, "tuned_over_best_default_cost_high": high, "tune_quickstart_minutes": minutes}


def tune_quickstart(trials: int = 200) -> Tuning:
    """The search on the quick start: least cost, promises and served share as good as they are."""
    kept = ["slos", f"{SERVED}>=baseline"]
    return tune(Ask(scenario=str(QUICKSTART)), minimize=[COST], subject_to=kept, trials=trials, draws=Draws(pick=4, proof=10))


def over_best_default(tuning: Tuning) -> tuple[float, float]:
    """Cost of the tuned policies over that of the best shipped default, and the upper end of its 95% interval, on fresh days.

    All shipped defaults are run, and those that choose blindly, and each is printed. The best is the cheapest that attains no less than
    the scenario's own policies. 1 means that nothing better was found, or that what was found attains less.
    """
    ask = tuning.plan.ask
    winner = tuning.winner.finalist.point if tuning.winner is not None else {}
    blind = [{"policies.routing.policy": name, "policies.routing.model_choice": "any"} for name in ("random", "round_robin")]
    points: list[Point] = [winner, *shipped_defaults(ask.load()), *blind]
    days = _days(ask, points, FRESH_DRAWS)
    tuned, own = days[0], days[1]
    best: tuple[float, Interval] | None = None
    for point, its in zip(points, days, strict=True):
        over = mean_interval([a[COST] / b[COST] for a, b in zip(tuned, its, strict=True)])
        cost, attained, served = (float(np.mean([day[column] for day in its])) for column in (COST, ATTAINED, SERVED))
        print(f"cost {cost:8.2f} USD, attained {attained:.3f}, served {served:.5f}, tuned over it {over}: {dict(point)}", flush=True)
        if its is not tuned and attained >= _attained(own) and (best is None or cost < best[0]):
            best = cost, over
    if best is None or not winner or _attained(tuned) < _attained(own) or not best[1].trusted:
        return 1.0, 1.0
    return best[1].value, best[1].high


def _attained(days: Sequence[Outcome]) -> float:
    return float(np.mean([day[ATTAINED] for day in days]))


def _days(ask: Ask, points: Sequence[Point], draws: int) -> list[list[Outcome]]:
    asks = [replace(with_point(ask, point), seed=FRESH_SEED + draw) for point in points for draw in range(draws)]
    found = evaluate(asks)
    return [found[row * draws : (row + 1) * draws] for row in range(len(points))]
