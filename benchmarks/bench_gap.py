"""What share of the way from the best shipped default to the clairvoyant bound tuned policies go.

Half an hour of the quick start's afternoon at three loads: its own, at which nearly all limits are reached, seven eighths and three
quarters of it. At each load 500 evaluations look for the least cost at no less served and no fewer
promises kept than the scenario's own policies; then the tuned policies and every shipped one meet a day that the search never saw, and
the regret of each is printed. The share is one less the tuned policies' regret over the least of any shipped policy. The number kept
is that of the smallest share; required: 0.4 at each load. `python -m benchmarks.bench_gap 0.5 1.1` prints other loads.
"""

import sys
from collections.abc import Sequence

from benchmarks.bench_crn import at_load
from forge1sim.ask import Ask
from forge1sim.experiments.regret import regret, shipped_policies
from forge1sim.experiments.tuning.space import Point, overrides_of
from forge1sim.experiments.tuning.tune import tune

RESULTS = ("tuned_closes_gap_share",)
SCENARIO, LOADS = "scenarios/quickstart.yaml", (1.0, 0.875, 0.75)
WHEN = ("start=2026-11-02T14:00:00Z", "horizon_s=30min")
TRIALS, BLOCK_S, FRESH_SEED = 500, 30.0, 5_000_001
TUNED, KEPT = "tuned", ("slo.attained>=baseline", "all.served_ratio>=baseline")


def run(loads: Sequence[float] = LOADS) -> dict[str, float]:
    """Print a table for each load."""
    return {"tuned_closes_gap_share": min(_share(factor) for factor in loads)}


def _share(factor: float) -> float:
    ask = Ask(scenario=SCENARIO, overrides=(*WHEN, *at_load(factor)))
    point = _tuned(ask)
    fresh = Ask(scenario=SCENARIO, overrides=ask.overrides, seed=FRESH_SEED)
    found = regret(fresh, {**shipped_policies(), TUNED: overrides_of(point)}, block_s=BLOCK_S).summary()
    print(f"\nload {factor:g}; tuned: {' '.join(overrides_of(point))}")
    for one in found:
        print(f"  {one.policy:24}{one.served_ratio:8.2%}{one.quality_mean:9.4f}{one.cost_usd:9.3f}{one.bound_usd:9.3f}{one.regret_usd:9.3f}"
              f"{one.regret_of_cost.value:9.1%}{one.regret_of_controllable.value:9.1%}{one.gap:7.2%}", flush=True)  # fmt: skip
    best = min(one.regret_usd for one in found if one.policy != TUNED)
    share = 1 - next(one.regret_usd for one in found if one.policy == TUNED) / best
    print(f"  tuned policies go {share:.0%} of the way from the best shipped policy to the bound", flush=True)
    return share


def _tuned(ask: Ask) -> Point:
    """The best point of the search that keeps what is to be kept; the scenario's own policies where none does."""
    tuning = tune(ask, minimize=["all.cost_usd"], subject_to=KEPT, trials=TRIALS, draws=None)
    return (tuning.front or tuning.found)[0].point


if __name__ == "__main__":
    print(run([float(load) for load in sys.argv[1:]] or LOADS))
