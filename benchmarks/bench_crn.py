"""What common random numbers save: variance of a paired difference over that of one on seeds of its own.

All pairs of the shipped routing policies on the whole day of the quick start, at its own load and at three quarters of it, on
twelve seeds each. Pairs that decide alike in every run are left out: they would flatter the median. Required: a median over pairs
and loads of at most 0.2 for mean wait and for cost, none above 1.1. The number kept is the larger of the two medians. At the lower
load hardly anybody waits, and there is less for common luck to cancel out.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from benchmarks.common import ROOT, load
from forge1sim.ask import Ask
from forge1sim.experiments.replications import variance_ratio
from forge1sim.experiments.workers import evaluate
from policies.routing import ROUTING_CODES

SHIPPED_ROUTING = tuple(ROUTING_CODES)
RESULTS = ("crn_variance_ratio_median",)
SCENARIO, SEEDS, LOADS = "scenarios/quickstart.yaml", 12, (1.0, 0.75)
JUDGED = ("all.wait_mean_s", "all.cost_usd")
SHOWN = (*JUDGED, "all.wait_p95_s", "all.latency_mean_s", "all.served_ratio", "all.cost_per_request_usd", "all.quality_mean")


def at_load(factor: float) -> tuple[str, ...]:
    """Overrides that multiply every tenant group's demand."""
    demands = [(group.name, group.demand.requests_per_s) for group in load(SCENARIO).scenario.tenants if group.demand]
    return tuple(f"tenants.{name}.demand.requests_per_s={factor * rate:.6g}" for name, rate in demands if rate)


def pair_ratios(ask: Ask, seeds: int, columns: Sequence[str]) -> dict[tuple[str, str], dict[str, float] | None]:
    """The variance ratio of each column for every pair of shipped routing policies; None for a pair that decides alike in every run."""
    asks = [
        replace(ask, overrides=(*ask.overrides, f"policies.routing.policy={policy}"), seed=ask.seed + number)
        for policy in SHIPPED_ROUTING for number in range(seeds)
    ]  # fmt: skip
    outcomes = evaluate(asks)
    values = {
        policy: {name: np.array([one[name] for one in outcomes[place * seeds : (place + 1) * seeds]]) for name in columns}
        for place, policy in enumerate(SHIPPED_ROUTING)
    }
    found: dict[tuple[str, str], dict[str, float] | None] = {}
    for one, other in combinations(SHIPPED_ROUTING, 2):
        alike = all(np.array_equal(values[one][name], values[other][name]) for name in columns)
        found[one, other] = None if alike else {name: variance_ratio(values[one][name], values[other][name]) for name in columns}
    return found


def run() -> dict[str, float]:
    """Prints the ratio of every pair, load and measure."""
    ratios: dict[str, list[float]] = {name: [] for name in SHOWN}
    print("load  " + f"{'pair':36}" + "".join(f"{name.removeprefix('all.'):>22}" for name in SHOWN))
    for factor in LOADS:
        for pair, found in pair_ratios(Ask(scenario=str(ROOT / SCENARIO), overrides=at_load(factor), seed=1), SEEDS, SHOWN).items():
            if found is None:
                print(f"{factor:<6g}{', '.join(pair):36}  decide alike")
                continue
            for name, ratio in found.items():
                ratios[name].append(ratio)
            print(f"{factor:<6g}{', '.join(pair):36}" + "".join(f"{ratio:22.3f}" for ratio in found.values()), flush=True)
        print(f"{factor:<6g}{'median up to here':36}" + "".join(f"{np.nanmedian(mine):22.3f}" for mine in ratios.values()))
    for name, mine in ratios.items():
        print(f"{name}: median {np.nanmedian(mine):.3f}, largest {np.nanmax(mine):.3f}, over {len(mine)} pairs and loads")
    return {"crn_variance_ratio_median": max(float(np.nanmedian(ratios[name])) for name in JUDGED)}


if __name__ == "__main__":
    print(run())
