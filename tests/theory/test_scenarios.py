"""The theory scenarios as users meet them: documented, obeyed to the letter, and judged by tests that can fail."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from forge1sim.check import check_log
from forge1sim.run import simulate
from policies import log
from tests.conftest import ROOT
from tests.theory.cases import LIMITERS, ONE_SLOT, RESERVATIONS, SEVERAL_SLOTS
from tests.theory.replications import FOLDER, Case, Truth, Watch, problems, seeds
from tests.theory.test_exact import OUTAGE

CASES = (*ONE_SLOT, *SEVERAL_SLOTS, *RESERVATIONS, *LIMITERS, OUTAGE)
SCENARIOS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
FEW_REQUESTS = 1500


def test_every_scenario_is_tested() -> None:
    assert sorted(case.scenario for case in CASES) == sorted(set(SCENARIOS) - {"trace"})


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_log_keeps_every_rule(scenario: str) -> None:
    """The independent checker finds nothing in a log, and no provider refuses for a limit."""
    loaded = Case(scenario, {}, lambda summary: {}).load(1)
    kept: list[NDArray[np.void]] = []
    simulate(loaded, most_requests=FEW_REQUESTS, sinks=(lambda rows: kept.append(rows.copy()),))
    report = check_log(kept, loaded.platform, loaded.bundle, start_us=loaded.start_us, expect_no_refusals=True)
    assert not report.findings
    assert report.requests == report.served + report.rejected + report.expired


def test_the_guide_lists_every_figure() -> None:
    text = (ROOT / "docs" / "theory.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for case in CASES:
        told = " ".join(line for line in lines if f"`{case.scenario}`" in line)
        assert told, f"docs/theory.md says nothing of {case.scenario}"
        for name, truth in case.truths.items():
            if truth.value:
                assert f"{truth.value:.4f}".rstrip("0") in told, f"docs/theory.md: {case.scenario}: {name} is {truth.value:.4f}"


def test_the_guide_can_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "theory.md").read_text()
    scope: dict[str, float] = {}
    exec(text.partition("```python")[2].partition("```")[0], scope)  # noqa: S102  (the guide is ours)
    assert scope["low"] < scope["truth"] < scope["high"]


class Drawn(Case):
    """Replications that are drawn from a normal distribution of mean 1 instead of simulated."""

    def replicate(self, seed: int) -> dict[str, float]:
        rng = np.random.default_rng(seed)
        return {"narrow": rng.normal(1.0, 0.005), "wide": rng.normal(1.0, 0.05)}


def test_a_wrong_truth_and_too_short_runs_are_noticed() -> None:
    case = Drawn("drawn", {"narrow": Truth(1.0)}, lambda summary: {})
    assert not problems(case, 0)
    assert "not inside" in problems(replace(case, truths={"narrow": Truth(1.015)}), 0)[0]
    assert "wider" in problems(replace(case, truths={"wide": Truth(1.0)}), 0)[0]
    assert "wider" in problems(replace(case, truths={"narrow": Truth(1.0, True)}), 0)[0]


def test_replications_have_seeds_of_their_own() -> None:
    drawn = [seed for case in CASES for base in range(3) for seed in seeds(case, base)]
    assert len(set(drawn)) == len(drawn)


def test_the_watch_notices_an_idle_slot() -> None:
    loaded = CASES[0].load(1)
    rows = np.zeros(6, dtype=log.ROW)
    rows["kind"] = (log.DISPATCH, log.QUEUE, log.COMPLETE, log.ARRIVE, log.DISPATCH, log.ARRIVE)
    rows["time_us"] = (1, 2, 3, 4, 5, 6)
    rows["code"][4] = 1
    watch = Watch(loaded)
    watch.take(rows)
    assert watch.idle_moments == 2                        # after the end at 3, and still at 4
    refused = np.zeros(1, dtype=log.ROW)
    refused["kind"], refused["code"] = log.REJECT, log.NO_CAPACITY
    watch = Watch(loaded)
    watch.take(refused)
    assert watch.idle_refusals == 1
