"""Every comparison that this tool vouches for, on scenarios that nobody has chosen: drawn from a seed when they are checked.

`python -m benchmarks.drawn` draws the seed, says it, and reports on five scenarios, failures included; `--seed` repeats a report.
Reported of each scenario: how many intervals held the truth; the variance that common draws save; whether the best of four was
selected; the search against an even and a random one; what it saves on fresh draws; regrets, and how near to the bound its own
schedule comes. A few minutes a scenario on two cores, so the numbers are small: what fails now and then is chance, what fails
each time is not.
"""

import argparse
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench_crn import pair_ratios
from benchmarks.bench_search import Task, compare_searches
from benchmarks.coverage import Full
from benchmarks.draw import drawn_scenario
from forge1sim.ask import Ask
from forge1sim.errors import Forge1Error
from forge1sim.experiments.clairvoyant import clairvoyant_bound, realise
from forge1sim.experiments.clairvoyant.replay import replay
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.regret import regret, shipped_policies
from forge1sim.experiments.replications import select_best
from forge1sim.experiments.tuning.proof import Draws
from forge1sim.experiments.tuning.space import default_space, overrides_of
from forge1sim.experiments.tuning.tune import Tuning, tune
from forge1sim.experiments.workers import evaluate
from policies.shipped import shipped_names

SCENARIOS = 5
EXPERIMENTS, TRUTH_REPLICATIONS = 12, 400
CRN_SEEDS, BEST_SEEDS = 8, 60
PAIRS, BUDGET = 3, 60
TRIALS = 80
BLOCK_S = 5.0
REGRET_SPAN = "horizon_s=4min"       # program and bound of the whole half hour would take most of the time
COST, WAIT = "all.cost_usd", "all.wait_mean_s"
KEPT = ("all.served_ratio>=baseline",)
BROKEN_USD = 1e-6                    # a regret below minus this has beaten the bound


def coverage(file: Path) -> tuple[str, bool]:
    """How many of the tool's own intervals at their own stop hold the truth. Fails below 75 % of those that are given at all."""
    case = Full(name=file.stem, scenario=str(file), relative=0.25, truth_replications=TRUTH_REPLICATIONS)
    truth = case.truth()
    found = [(figure, one) for number in range(EXPERIMENTS) for figure, one in case.experiment(number).items()]
    given = [(figure, one) for figure, one in found if one.trusted]
    held = sum(one.holds(truth[figure]) for figure, one in given)
    return f"{held} of {len(given)} intervals hold the truth, {len(found) - len(given)} were not given", held >= 0.75 * len(given)


def common_draws(file: Path) -> tuple[str, bool]:
    """Variance of paired differences over that of independent ones: medians over pairs of policies that differ. Fails above 1.1."""
    pairs = pair_ratios(Ask(scenario=str(file), seed=1), CRN_SEEDS, (WAIT, COST))
    found = [ratios for ratios in pairs.values() if ratios is not None]
    medians = {column: float(np.nanmedian([ratios[column] for ratios in found])) for column in (WAIT, COST)} if found else {}
    told = ", ".join(f"{column} {value:.3f}" for column, value in medians.items())
    return f"{len(found)} of {len(pairs)} pairs differ; {told}", not any(value > 1.1 for value in medians.values())


def best_of_four(file: Path) -> tuple[str, bool]:
    """Whether the cheapest model choice is selected, or one within the indifference of 1 % of it."""
    choices = shipped_names("routing.model_choice")
    asks = {name: Ask(scenario=str(file), overrides=(f"policies.routing.model_choice={name}",), seed=1) for name in choices}
    truth = {name: float(np.mean([day[COST] for day in _outcomes(file, asks[name].overrides, BEST_SEEDS)])) for name in choices}
    best = min(truth, key=lambda name: truth[name])
    indifference = 0.01 * truth[best]
    found = select_best(asks, COST, indifference).name
    return f"{found} selected, {best} is best", truth[found] <= truth[best] + indifference


def searches(file: Path) -> tuple[str, bool]:
    """The search against a Sobol design and random points of as many runs. Fails if it loses more pairs than it wins."""
    space = default_space(Ask(scenario=str(file)).load())
    values = compare_searches(range(PAIRS), BUDGET, Task(str(file), space, KEPT))
    won = [sum(a < b for a, b in zip(values["tuner"], values[other], strict=True)) for other in ("sobol", "random")]
    lost = [sum(a > b for a, b in zip(values["tuner"], values[other], strict=True)) for other in ("sobol", "random")]
    told = f"better than Sobol in {won[0]} of {PAIRS} (worse in {lost[0]}), than random in {won[1]} (worse in {lost[1]})"
    return told, all(win >= loss for win, loss in zip(won, lost, strict=True))


def tuned(file: Path) -> tuple[Tuning, str, bool]:
    """What a search saves on fresh draws. Fails if nothing better than the best shipped default was found."""
    found = tune(Ask(scenario=str(file)), minimize=[COST], subject_to=KEPT, trials=TRIALS, draws=Draws(pick=3, proof=8))
    return found, " ".join(found.sentences), found.winner is not None


def regrets(file: Path, tuning: Tuning) -> tuple[str, bool]:
    """Whether anybody beat the bound, how near its schedule comes, and what share of the way to it the tuned policies go."""
    ask = Ask(scenario=str(file), overrides=(REGRET_SPAN,), seed=77)
    table = regret(ask, {**shipped_policies(), "tuned": overrides_of(tuning.front[0].point)}, block_s=BLOCK_S)
    least = min(line.regret_usd for line in table.lines)
    by_policy = {one.policy: one.regret_usd for one in table.summary()}
    default = min(usd for name, usd in by_policy.items() if name != "tuned")
    realised, _ = realise(ask.load(), seed=ask.seed)
    bound = clairvoyant_bound(realised, block_s=BLOCK_S)
    ratio = replay(realised, bound).cost_nano_usd / bound.bound_nano_usd
    closed = 1 - by_policy["tuned"] / default if default > 0 else float("nan")
    told = f"least {least:.6f} USD, schedule replayed {ratio:.3f} of the bound, tuned closes {closed:.0%} of the best default's way to it"
    return told, least >= -BROKEN_USD and ratio <= 1.05


def _outcomes(file: Path, overrides: tuple[str, ...], seeds: int) -> list[Outcome]:
    return evaluate([Ask(scenario=str(file), overrides=overrides, seed=1 + seed) for seed in range(seeds)])


def report(file: Path) -> int:
    """Print what every comparison comes to on a scenario. Returns how many failed."""
    loaded = Ask(scenario=str(file)).load()
    models = ", ".join(model.name for model in loaded.platform.models)
    print(f"\n{file.stem}: {models}; about {loaded.expected_requests:,.0f} requests", flush=True)
    failed = 0
    checks: dict[str, Callable[[Path], tuple[str, bool]]] = {
        "coverage": coverage, "common draws": common_draws, "best of four": best_of_four, "searches": searches,
    }  # fmt: skip
    for name, check in checks.items():
        failed += _told(name, *check(file))
    tuning, told, good = tuned(file)
    failed += _told("tuned", told, good)
    return failed + _told("regret", *regrets(file, tuning))


def _told(name: str, told: str, good: bool) -> int:
    print(f"  {'ok    ' if good else 'FAILED'} {name:14}{told}", flush=True)
    return int(not good)


def main(arguments: Sequence[str] | None = None) -> int:
    """Report on drawn scenarios. Exit status 0, or 1 if a comparison failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawn", description="Comparisons on scenarios drawn by chance.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the scenarios; drawn if left out")
    parser.add_argument("--scenarios", type=int, default=SCENARIOS)
    chosen = parser.parse_args(arguments)
    print(f"seed {chosen.seed}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.scenarios):
            try:
                failed += report(drawn_scenario(chosen.seed, number, Path(folder)))
            except Forge1Error as error:
                failed += _told("scenario", str(error), good=False)
    print(f"\n{failed} of {6 * chosen.scenarios} comparisons failed (seed {chosen.seed})")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
