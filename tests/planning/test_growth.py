"""How demand grows: points and days belong together, and what says so is read or refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.errors import PlanError, ScenarioError
from forge1sim.planning.growth import MOST_FACTOR, MOST_POINTS, Alike, Apart, growth_of
from forge1sim.planning.scaling import demand_times, limits_times, prices_times
from forge1sim.run import simulate
from forge1sim.workload.spec import WorkloadSpec
from tests.planning.waiting import waiting


def _loaded(folder: Path, *overrides: str, **changes):
    return Ask(scenario=str(written(folder, waiting(**changes))), overrides=overrides).load()


@given(rate=st.floats(-0.2, 0.3), more=st.floats(0.0, 0.3), days=st.integers(1, 500))
def test_points_rise_from_the_start_and_are_reached_in_order(rate: float, more: float, days: int) -> None:
    weeks = np.arange(days + 1) / 7
    growth = Alike(words="", tail=0.0, factors=np.array([np.maximum((1 + one) ** weeks, 1.0) for one in (rate, rate + more)]))
    points = growth.points()
    assert points[0] == 1.0
    assert points == sorted(set(points))
    assert len(points) <= MOST_POINTS + 1
    assert points[-1] <= MOST_FACTOR * (1 + 1e-12)
    reached = np.array([growth.days_to(point) for point in points])
    assert (reached[0] == 0).all()
    assert (reached[1:] >= reached[:-1]).all()
    assert (reached[:, 1] <= reached[:, 0]).all()               # the faster path is never later
    for point, of_paths in zip(points, reached, strict=True):
        if np.isfinite(of_paths[0]) and point > 1:
            assert growth.factors[0, int(of_paths[0])] >= point * (1 - 1e-9)
            assert growth.factors[0, int(of_paths[0]) - 1] < point


def test_two_percent_a_week_double_in_35_weeks(tmp_path: Path) -> None:
    growth = growth_of(_loaded(tmp_path, "plan.growth.per_week=0.02", "plan.growth.high=0.04"))
    assert growth.days_to(2.0).tolist() == [246.0, 124.0]       # ln 2 / ln 1.02 = 35.003 weeks, ln 2 / ln 1.04 = 17.67
    assert growth.overrides(_loaded(tmp_path), 2.0) == ("tenants.clients.demand.requests_per_s=4.4",)


def test_without_terms_each_group_grows_as_its_demand_says(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "tenants.clients.demand.growth_per_week=0.1", "plan.months=3")
    growth = growth_of(loaded)
    assert isinstance(growth, Apart)
    assert growth.overrides(loaded, 14.0) == ("tenants.clients.demand.requests_per_s=2.662",)
    assert growth.points()[-1] == growth.days == pytest.approx(91.25)


def test_demand_that_does_not_grow_is_looked_at_once(tmp_path: Path) -> None:
    growth = growth_of(_loaded(tmp_path))
    assert growth.points() == [0.0]
    assert "does not grow" in growth.words
    assert growth.until(0.0) == growth.days


def test_a_forecast_is_read_by_its_busiest_hours(tmp_path: Path) -> None:
    hours = np.full((3, 24 * 14), 10.0)
    hours[1, 24 * 9 + 5], hours[2, 24 * 3 + 5] = 20.0, 40.0
    (tmp_path / "summary.json").write_text(json.dumps({"scenarios": {"requests": hours.tolist()}}))
    growth = growth_of(_loaded(tmp_path), tmp_path)
    assert growth.days_to(2.0).tolist() == [10.0, np.inf, 4.0]              # the middle path first
    assert (growth.days, growth.tail) == (14.0, 0.05)


@pytest.mark.parametrize("text", ["", "[]", '{"scenarios": {}}', '{"scenarios": {"requests": [[1, 2]]}}', '{"scenarios": {"requests": 3}}'])
def test_what_is_no_forecast_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(PlanError, match=r"summary\.json: (is no forecast|needs paths)"):
        growth_of(_loaded(tmp_path), tmp_path)
    with pytest.raises(PlanError, match="cannot be read"):
        growth_of(_loaded(tmp_path), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("growth", "said"),
    [("{low: 0.1}", "not per_week"), ("{per_week: 0.1, low: 0.2}", "low is 0.2"), ("{per_week: 0.1, high: 0}", "high is 0")],
)
def test_contradictory_growth_is_refused(tmp_path: Path, growth: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        _loaded(tmp_path, f"plan.growth={growth}")


def test_scaled_scenarios_have_so_much_more_of_one_thing_and_nothing_else(tmp_path: Path) -> None:
    before = _loaded(tmp_path)
    dear = _loaded(tmp_path, *prices_times(before, 1.5)).platform
    assert [(model.input_usd_per_1m, model.output_usd_per_1m) for model in dear.models] == [(3.0, 9.0)]
    wide = _loaded(tmp_path, *limits_times(before, 0.5, without={"cloud"})).platform
    assert [account.limits[0].limit for account in wide.accounts] == [30.0, 60.0]
    busy = simulate(_loaded(tmp_path, *demand_times(before, 2.0)), hash_log=False).summary["requests"]["arrived"]
    assert busy == pytest.approx(2 * simulate(before, hash_log=False).summary["requests"]["arrived"], rel=0.1)


def test_the_catalogues_limits_are_scaled_too(tmp_path: Path) -> None:
    account = "accounts: [{name: a, provider: openai, usage_tier: tier-1}]"
    tenant = "tenants: [{name: t, tier: standard, demand: {requests_per_s: 1}}]"
    (tmp_path / "one.yaml").write_text(f"name: one\nmodels: [gpt-5.4-mini]\n{account}\n{tenant}\n")
    whole, half = (
        Ask(scenario=str(tmp_path / "one.yaml"), overrides=changed).load().platform.accounts[0].limits
        for changed in ((), ("accounts.a.limit_factor=0.5",))
    )
    assert [limit.limit for limit in half] == [0.5 * limit.limit for limit in whole]
    assert len(whole) > 1


def test_every_kind_of_source_is_scaled_or_refused_by_place(tmp_path: Path) -> None:
    """Recordings by their rows, sessions and clients by their rate; clients as published not at all."""
    loaded = _loaded(tmp_path)

    def scaled(**source: Any) -> tuple[str, ...]:
        spec = WorkloadSpec.model_validate({"sources": [source]})
        return demand_times(replace(loaded, scenario=loaded.scenario.model_copy(update={"workload": spec})), 1.5)

    assert scaled(kind="burstgpt", path="a.csv", rate_scale=0.4) == ("workload.sources.0.rate_scale=0.6",)
    sessions = scaled(kind="agent_sessions", path="a.csv", sessions_per_s=0.00002)
    assert sessions == ("workload.sources.0.sessions_per_s=0.00003",)
    clients = {"kind": "servegen", "path": "a.csv", "lengths": "b.csv"}
    assert scaled(**clients, requests_per_s=2.0) == ("workload.sources.0.requests_per_s=3.0",)
    with pytest.raises(PlanError, match=r"workload\.sources\.0: demand as published cannot be scaled; give requests_per_s"):
        scaled(**clients)
