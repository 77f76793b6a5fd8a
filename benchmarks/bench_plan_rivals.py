"""Plans against two usual ways of sizing, on generated platforms: simulated cost on the same draws, with the same verification.

Peak plus 30 %: the fluid program for the busiest minutes with 1 / 1.3 of every limit usable. Uniform factor: the fluid program for mean
demand with 1 / f of every limit usable, f the smallest of 1.0, 1.1, ... whose plan keeps all promises on the draws and on fresh ones.
A plan is dearer, or cheaper, where the 95 % paired interval of its cost over days says so. The numbers kept are mean ratios of
the plan's cost over the rival's where the rival keeps its promises; every platform is printed, failures included.
`python -m benchmarks.bench_plan_rivals SEED` draws other platforms.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.journal import Journal
from benchmarks.platforms import uneven, written
from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.planning.bound import arrived_per_day, draws_of
from forge1sim.planning.fluid import propose
from forge1sim.planning.from_scenario import Which, plan_of, problem_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.plan import FRESH_SEEDS, plan
from forge1sim.planning.planned import Planned
from forge1sim.planning.reach import Reach
from forge1sim.planning.simulated import Simulated, Simulator, prices_of
from forge1sim.statistics.means import paired_interval

RESULTS = ("plan_cost_over_peak_plus_30", "plan_cost_over_uniform_factor")
PLATFORMS, FIRST = 20, 100
_DEPENDS_ON = (
    "policies", "forge1sim/drivers", "forge1sim/experiments", "forge1sim/metrics", "forge1sim/planning", "forge1sim/providers",
    "forge1sim/statistics", "forge1sim/workload", "forge1sim/run.py", "benchmarks/platforms.py", "benchmarks/bench_plan_rivals.py",
)
FACTORS = tuple(np.round(np.arange(1.0, 4.01, 0.1), 1).tolist())


def run(first: int = FIRST) -> dict[str, float]:
    """Print a row for each platform, and how often a plan is dearer or cheaper. What the journal has is not made again."""
    journal = Journal("plan_rivals", _DEPENDS_ON)
    for seed in range(first, first + PLATFORMS):
        if str(seed) not in journal.done:
            journal.keep(str(seed), _compare(seed))
        for name, (told, ratio) in journal.done[str(seed)].items():
            print(f"{seed}: {name}: {told}{f', ratio {ratio:.3f}' if ratio else ''}", flush=True)
    found = [journal.done[str(seed)] for seed in range(first, first + PLATFORMS)]
    for name in RESULTS:
        told = [one[name][0] for one in found if name in one]
        counts = {word: sum(one.startswith(word) for one in told) for word in ("cheaper", "same", "dearer", "rival breaks", "rival found")}
        print(f"{name}: {', '.join(f'{word} {count}' for word, count in counts.items())} of {len(told)}", flush=True)
    return {name: float(np.mean([one[name][1] for one in found if name in one and one[name][1]])) for name in RESULTS}


def _compare(seed: int) -> dict[str, tuple[str, float | None]]:
    """By rival what is said of the plan for one platform, and the ratio of the costs."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), uneven(seed))
        try:
            planned = plan(path)
        except PlanError as error:
            return {"no plan": (str(error), None)}
        return {name: _compared(planned, rival) for name, rival in zip(RESULTS, _rivals(path), strict=True)}


def _rivals(path: Path) -> Iterator[Simulated | str]:
    """Peak plus 30 %, then the smallest uniform factor: each on the search's draws, or why there is none."""
    ask = Ask.of(path)
    options = Options(ask.load())
    terms = options.loaded.scenario.plan
    draws, demand = draws_of(Reach(options), range(ask.seed, ask.seed + terms.draws))
    prices = prices_of(options.loaded, arrived_per_day(draws))
    simulator = Simulator(ask=ask, options=options, prices=prices, confidence=terms.confidence)

    def judged(one: Plan) -> Simulated | str:
        seen = simulator([one], range(ask.seed, ask.seed + terms.draws))[0]
        first = ask.seed + FRESH_SEEDS
        fresh = simulator([one], range(first, first + terms.fresh_draws))[0] if seen.holds else seen
        return seen if fresh.holds else "rival breaks a promise"

    def sized(which: Which, usable: float) -> Plan | str:
        try:
            return plan_of(options, propose(problem_of(demand, prices, which, usable=usable, merged=True), gap=1e-3).counts)
        except PlanError:
            return "rival found no plan"

    peak = sized("proposal", 1 / 1.3)
    yield judged(peak) if isinstance(peak, Plan) else peak
    tried: set[Plan] = set()
    for factor in FACTORS:
        mean = sized("bound", 1 / factor)
        if isinstance(mean, Plan) and mean not in tried:
            tried.add(mean)
            found = judged(mean)
            if not isinstance(found, str):
                yield found
                return
    yield "rival breaks a promise at every factor"


def _compared(planned: Planned, rival: Simulated | str) -> tuple[str, float | None]:
    """What is said of the plan against the rival, and the ratio of their costs where the rival has one."""
    if isinstance(rival, str):
        return rival, None
    mine, its = planned.on_draws, rival
    ratio = mine.usd_per_month / its.usd_per_month
    if mine.plan.counts == its.plan.counts:
        return "same accounts", ratio
    interval = paired_interval(its.fixed_usd + its.running_usd, mine.fixed_usd + mine.running_usd)
    decided = (its.usd_per_month - planned.floor_usd) / max(1e-9, mine.usd_per_month - planned.floor_usd)
    word = "dearer" if interval.trusted and interval.low > 0 else "cheaper" if interval.trusted and interval.high < 0 else "same cost"
    return f"{word}: {mine.usd_per_month:,.0f} against {its.usd_per_month:,.0f} USD ({decided:.2f} times the controllable cost)", ratio


if __name__ == "__main__":
    print(run(*(int(seed) for seed in sys.argv[1:])))
