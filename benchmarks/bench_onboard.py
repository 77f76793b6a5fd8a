"""Answers to "can we take this client?" against simulation: 200 random clients on each of two platforms.

Small: ten minutes of 2,350 requests on five models and six accounts, whose limits bind at a third more (`onboard_small.yaml`); the
method was chosen on it. Check: a quarter of an hour of the quick start's afternoon at half its load, ten models, eleven accounts of
which one is dedicated; nothing was chosen on it. Slack is prepared as by `forge1sim onboard --prepare`. Clients are drawn as probes
are, from another seed: tier, models, tokens, peak and number of tenants by chance, sizes log-uniform from 1% to 300% of all that the
platform is asked for. Each is then simulated with the platform on as many draws as the probes had, seen by none of them: it fits if
all promises hold.

False yes are of the clients that do not fit, false no of those that do, not sure of all; of milliseconds the 95th percentile. Kept is
the worse platform; required: at most 2%, 10% and 15%, and 200 ms. `python -m benchmarks.bench_onboard` prints the tables and whom it
misjudged.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.bench_crn import at_load
from benchmarks.common import ROOT
from forge1sim.ask import Ask
from forge1sim.planning.client import Busy, Client, at_rate, checked, client_node
from forge1sim.planning.onboard import Answer, onboard
from forge1sim.planning.probes import asks_of, drawn, verdicts
from forge1sim.planning.slack import DRAWS, prepare
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.schema import ScenarioTenants

RESULTS = ("onboard_ms", "onboard_false_yes", "onboard_false_no", "onboard_not_sure")
CLIENTS, CLIENT_SEED, TRUTH_SEEDS = 200, 77, 9_000_000
SMALLEST, LARGEST = 0.01, 3.0
WORKERS = 2
SMALL = Ask(scenario=str(ROOT / "benchmarks" / "onboard_small.yaml"), seed=1)
CHECK = Ask(
    scenario=str(ROOT / "scenarios" / "quickstart.yaml"), seed=1,
    overrides=("start=2026-11-02T14:00:00Z", "horizon_s=15min", *at_load(0.5)),
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A client, its size over what the platform is asked for, whether it fits by simulation and what breaks most if not."""

    group: ScenarioTenants
    size: float
    fits: bool
    broken: str


def clients(ask: Ask, busy: Busy) -> list[tuple[ScenarioTenants, float]]:
    """By chance, with their sizes."""
    loaded, rng = ask.load(), np.random.default_rng(CLIENT_SEED)
    found: list[tuple[ScenarioTenants, float]] = []
    while len(found) < CLIENTS:
        group, size = drawn(loaded, rng), float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
        client = Client.of(ask, client_node(at_rate(group, busy.requests_per_s), "client"))
        found.append((at_rate(group, size * busy.requests_per_s / float(client.factors.mean())), size))
    return found


def judged(ask: Ask, loaded: LoadedScenario, asked: Sequence[tuple[ScenarioTenants, float]]) -> list[Judged]:
    """Each client simulated with the platform, on draws of its own."""
    first = range(TRUTH_SEEDS, TRUTH_SEEDS + len(asked) * DRAWS, DRAWS)
    wanted = [asks_of(ask, loaded, group, range(at, at + DRAWS)) for at, (group, _) in zip(first, asked, strict=True)]
    worst = [max(promises, key=lambda one: one.p_value) for promises in verdicts(loaded, wanted, WORKERS, "processes")]
    return [
        Judged(group=group, size=size, fits=one.holds, broken="" if one.holds else one.name)
        for (group, size), one in zip(asked, worst, strict=True)
    ]


def run() -> dict[str, float]:
    """Print a table for each platform."""
    worst: Counter[str] = Counter()
    for name, ask in (("small", SMALL), ("check", CHECK)):
        began_s = time.perf_counter()
        slack = prepare(ask, workers=WORKERS)
        print(f"\n{name}: {slack.measured_on}; {time.perf_counter() - began_s:.0f} s", flush=True)
        truth = judged(ask, slack.loaded, clients(ask, slack.busy))
        nodes = [checked(client_node(one.group, "client")) for one in truth]
        onboard(slack, nodes[0])                                # loads compiled code: part of a command's start
        answers = [onboard(slack, node) for node in nodes]
        worst |= Counter(told(truth, answers))
    return {name: float(worst[name]) for name in RESULTS}


def told(truth: Sequence[Judged], answers: Sequence[Answer]) -> dict[str, float]:
    """Print the confusion table and the misjudged; the four numbers."""
    counts = Counter((one.fits, answer.answer) for one, answer in zip(truth, answers, strict=True))
    print(f"{'':16}{'yes':>8}{'not sure':>10}{'no':>8}")
    for fits, label in ((True, "fits"), (False, "does not fit")):
        print(f"{label:16}{counts[fits, 'yes']:8}{counts[fits, 'not_sure']:10}{counts[fits, 'no']:8}")
    for one, answer in zip(truth, answers, strict=True):
        if (one.fits, answer.answer) in ((True, "no"), (False, "yes")):
            demand = one.group.demand
            assert demand is not None
            truth_said = "it fits" if one.fits else f"{one.broken!r} breaks"
            tokens = f"{demand.input_tokens.mean:.0f} and {demand.output_tokens.mean:.0f} tokens"
            print(f"  {answer.answer}, but {truth_said}: {one.group.tier} {demand.models}, size {one.size:.3f}, {tokens}: {answer.why}")
    fit, unsure = sum(one.fits for one in truth), sum(answer.answer == "not_sure" for answer in answers)
    ms = float(np.quantile([answer.ms for answer in answers], 0.95))
    return {
        "onboard_ms": ms, "onboard_false_yes": counts[False, "yes"] / max(1, len(truth) - fit),
        "onboard_false_no": counts[True, "no"] / max(1, fit), "onboard_not_sure": unsure / len(truth),
    }  # fmt: skip


if __name__ == "__main__":
    print(run())
