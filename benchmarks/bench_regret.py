"""Regret of every shipped policy at three loads of the quick start: a table for people, and how near a schedule comes to the bound.

`python -m benchmarks.bench_regret` prints the tables alone.
"""

from forge1sim.ask import Ask
from forge1sim.experiments.clairvoyant import clairvoyant_bound, realise
from forge1sim.experiments.clairvoyant.replay import replay
from forge1sim.experiments.regret import RegretTable, regret

RESULTS = ("regret_least_usd", "clairvoyant_replay_over_bound")
SCENARIO = "scenarios/quickstart.yaml"
# Three hours of the same Monday: few pools are short, the cheapest pool is, nearly all are.
LOADS = {"night (03:00)": "03", "morning (08:30)": "08:30", "peak (14:00)": "14"}
SPAN = "horizon_s=2min"
BLOCK_S, REPLAY_BLOCK_S = 10.0, 5.0


def overrides(hour: str) -> tuple[str, ...]:
    """The span of the quick start that begins at this time."""
    return (f"start=2026-11-02T{hour if ':' in hour else hour + ':00'}:00Z", SPAN)


def table(hour: str) -> RegretTable:
    """Regrets of all shipped policies."""
    return regret(Ask(scenario=SCENARIO, overrides=overrides(hour)), block_s=BLOCK_S)


def run() -> dict[str, float]:
    """Print a table for each load. The least regret in USD (below 0 a policy has beaten the bound), and the worst replay over the bound."""
    least, worst = float("inf"), 0.0
    for load, hour in LOADS.items():
        found = table(hour)
        _print(load, found)
        least = min([least, *(line.regret_usd for line in found.lines)])
        realised, _ = realise(Ask(scenario=SCENARIO, overrides=overrides(hour)).load())
        bound = clairvoyant_bound(realised, block_s=REPLAY_BLOCK_S)
        again = replay(realised, bound)
        ratio = again.cost_nano_usd / bound.bound_nano_usd
        print(f"  its own schedule replayed: {ratio:.3f} of the bound, {again.served} of {again.requests} served, "
              f"quality {again.quality_mean:.4f} of {bound.quality_mean:.4f}", flush=True)  # fmt: skip
        worst = max(worst, ratio)
    return {"regret_least_usd": least, "clairvoyant_replay_over_bound": worst}


def _print(load: str, found: RegretTable) -> None:
    print(f"\n{load}")
    print(f"  {'policy':24}{'served':>8}{'quality':>9}{'cost':>9}{'bound':>9}{'floor':>9}{'of cost':>9}{'of contr.':>10}{'gap':>7}")
    for one in found.summary():
        print(f"  {one.policy:24}{one.served_ratio:8.2%}{one.quality_mean:9.4f}{one.cost_usd:9.3f}{one.bound_usd:9.3f}{one.floor_usd:9.3f}"
              f"{one.regret_of_cost.value:9.1%}{one.regret_of_controllable.value:10.1%}{one.gap:7.2%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    run()
