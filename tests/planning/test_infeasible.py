"""Where nothing keeps all promises: what conflicts is named, and ways out are ways out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.planning.infeasible import Infeasible, NoPlanError
from forge1sim.planning.plan import plan
from forge1sim.planning.ways_out import NOT_ACCOUNTS, sure_target
from tests.planning.waiting import waiting

FAST = {"name": "fast", "tier": "standard", "metric": "latency_p50_s", "at_most": 0.1}


def _why(folder: Path, ours: int = 1, cloud: int = 1, **changes: Any) -> tuple[Path, Infeasible]:
    scenario = waiting(**changes)
    scenario["plan"]["accounts"] = [{"name": "ours", "at_most": ours}, {"name": "cloud", "at_most": cloud}]
    for one in scenario["plan"]["accounts"]:
        one["permission"] = "by contract"
    path = written(folder, scenario)
    with pytest.raises(NoPlanError) as told:
        plan(Ask(scenario=str(path)), backend="serial")
    return path, told.value.found


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Infeasible]:
    """One account of each, which is too little."""
    return _why(tmp_path_factory.mktemp("short"))


def test_a_promise_conflicts_with_every_bound_that_alone_would_have_to_give(short: tuple[Path, Infeasible]) -> None:
    _, found = short
    (conflict,) = found.conflicts
    assert conflict.requirements == ("'served' (standard.served_ratio >= 0.97)", "at most 1 account of ours", "at most 1 account of cloud")
    assert conflict.any_one
    assert [one.name for one in found.broken] == ["served"]


def test_the_ways_out_are_sorted_and_each_makes_the_scenario_plannable(short: tuple[Path, Infeasible]) -> None:
    path, found = short
    costs = [one.usd_per_month for one in found.ways_out]
    assert costs == sorted(costs)
    kept = found.cheapest_keeping_promises
    assert kept is not None
    assert kept.words.startswith("1 more of ours")                          # 100 USD a month beside 3,000
    more = plan(Ask(scenario=str(path), overrides=("plan.accounts.ours.at_most=2",)), backend="serial")
    assert more.usd_per_month <= kept.usd_per_month * (1 + 1e-9)
    less = next(one for one in found.ways_out if one.words.startswith("promise less"))
    assert not less.keeps_promises
    lowered = plan(Ask(scenario=str(path), overrides=(less.setting,)), backend="serial")
    assert lowered.usd_per_month <= less.usd_per_month * (1 + 1e-9)


def test_turning_demand_away_is_priced_as_refusals_are(short: tuple[Path, Infeasible]) -> None:
    _, found = short
    away = next(one for one in found.ways_out if one.words.startswith("turn away"))
    share = 1 - float(away.setting.removeprefix("demand times "))
    assert 0 < share < 0.3
    tokens_usd = (1 - share) * 2.2 * 3600 * 730 * 0.0012
    assert away.usd_per_month == pytest.approx(3100 + tokens_usd + share * 2.2 * 3600 * 730 * 0.01, rel=0.1)


def test_what_accounts_cannot_change_is_not_blamed_on_them(tmp_path: Path) -> None:
    _, found = _why(tmp_path, ours=3, slos=[FAST])
    (conflict,) = found.conflicts
    assert conflict.requirements == ("'fast' (standard.latency_p50_s <= 0.1)", NOT_ACCOUNTS)
    assert not conflict.any_one
    assert found.cheapest_keeping_promises is None


def test_a_budget_conflicts_with_the_promises_and_less_of_either_is_a_way_out(tmp_path: Path) -> None:
    path, found = _why(tmp_path, ours=3, plan={"budget_usd_per_month": 5000.0})
    (conflict,) = found.conflicts
    assert "over the budget of 5,000" in conflict.requirements[0]
    assert conflict.requirements[1] == "'served' (standard.served_ratio >= 0.97)"
    kept = found.cheapest_keeping_promises
    assert kept is not None
    assert kept.setting == "plan.budget_usd_per_month=null"
    wider = plan(Ask(scenario=str(path), overrides=(kept.setting,)), backend="serial")
    assert wider.usd_per_month <= kept.usd_per_month * (1 + 1e-9)


def test_the_command_prints_it_and_ends_with_2(short: tuple[Path, Infeasible]) -> None:
    path, found = short
    made = CliRunner().invoke(app, ["plan", str(path), "--json", "--quiet", "--backend", "serial"])
    assert made.exit_code == 2
    told = json.loads(made.stdout)["infeasible"]
    assert told["conflicts"][0]["requirements"] == list(found.conflicts[0].requirements)
    assert told["cheapest_keeping_promises"] == found.cheapest_keeping_promises.words
    assert "In conflict (giving up any one of these would do):" in made.stderr
    assert "Ways out" in made.stderr


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0.01, 100), min_size=3, max_size=8), promises=st.integers(1, 6), is_least=st.booleans(),
    chance=st.sampled_from([0.05, 0.2]),
)  # fmt: skip
def test_a_lowered_target_is_kept_for_sure(values: list[float], promises: int, is_least: bool, chance: float) -> None:
    seen = np.array(values)
    target = sure_target(seen, "at_least" if is_least else "at_most", chance, promises)
    inside = seen - target if is_least else target - seen
    if is_least and target == 0.0:
        return                                                              # shares and times are never below it
    assert inside.mean() >= -1e-12
    if np.ptp(seen) > 1e-9 * seen.max():
        assert stats.ttest_1samp(inside, 0.0, alternative="greater").pvalue * promises <= chance * (1 + 1e-6)
