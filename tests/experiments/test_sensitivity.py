"""Laws of screening: known functions get their known indices, and a run of the real thing holds together."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.errors import ExperimentError
from forge1sim.experiments.sensitivity import sensitivity
from tests.experiments.searches import luck, scenario_in, settings_of

RANGES = ["policies.retry.backoff_s=1:3", "policies.queue.aging_per_s=0:10", "policies.cooldown.cooldown_s=1:100:log"]
COST = "all.cost_usd"


def linear(ask):
    """Cost 5 + 3 a + b over shares a, b of the first two ranges, plus a day's luck that all points share; the third does nothing."""
    settings = settings_of(ask)
    a, b = (float(settings["policies.retry.backoff_s"]) - 1) / 2, float(settings["policies.queue.aging_per_s"]) / 10
    return {COST: 5 + 3 * a + b + luck(type(ask)(scenario=ask.scenario, seed=ask.seed)), "all.wait_p95_s": a * b, "slo.attained": 1.0}


def screen(folder, columns=(COST,), **options):
    return sensitivity(scenario_in(folder), RANGES, columns, work=linear, backend="serial", **options)


def test_morris_finds_the_slopes_of_a_plane_whatever_the_luck_of_the_day(tmp_path):
    found = screen(tmp_path, samples=6, replications=3)
    effects = {path: found.screened[COST, path] for _, path in found.screened}
    assert [effects[one.path]["effect"] for one in found.ranges] == pytest.approx([3, 1, 0])
    assert [effects[one.path]["interaction"] for one in found.ranges] == pytest.approx([0, 0, 0], abs=1e-9)
    assert found.runs == 3 * (1 + 2 * 3 + 6 * 4)


def test_a_scenario_is_drawn_with_its_own_seed_and_an_ask_with_its(tmp_path):
    file = Path(scenario_in(tmp_path).scenario)
    file.write_text(file.read_text(encoding="utf-8") + "\nseed: 5\n", encoding="utf-8")
    seeds = []

    def noted(ask):
        seeds.append(ask.seed)
        return linear(ask)

    for scenario in (file, Ask(scenario=str(file), seed=8)):
        sensitivity(scenario, RANGES, work=noted, backend="serial", samples=2, replications=2)
    assert seeds == sorted(seeds, key=lambda seed: seed > 6)
    assert set(seeds) == {5, 6, 8, 9}


def test_morris_sees_an_interaction(tmp_path):
    found = screen(tmp_path, ["all.wait_p95_s"], samples=8, replications=1)
    spreads = [found.screened["all.wait_p95_s", one.path]["interaction"] for one in found.ranges]
    assert min(spreads[:2]) > 0.1
    assert spreads[2] == 0


def test_sobol_shares_out_the_variance_of_a_plane(tmp_path):
    """Of 3 a + b with a and b uniform, a explains 9/10 and b 1/10 (variances of 9/12 and 1/12)."""
    found = screen(tmp_path, method="sobol", samples=512, replications=1)
    assert [found.screened[COST, one.path]["alone"] for one in found.ranges] == pytest.approx([0.9, 0.1, 0], abs=0.03)
    assert [found.screened[COST, one.path]["total"] for one in found.ranges] == pytest.approx([0.9, 0.1, 0], abs=0.03)


def test_the_tornado_shows_the_ends_from_where_it_stands_widest_on_top(tmp_path):
    found = screen(tmp_path, samples=2)
    figure, sentence = found.tornado(COST)
    low, high = figure.data
    assert list(high.y)[-1] == "policies.retry.backoff_s"
    base = found.base[COST]
    at_low = dict(zip(low.y, low.x, strict=True))
    assert at_low["policies.queue.aging_per_s"] == pytest.approx(-0.1)      # as it stands it is 1 of 0 to 10
    assert low.base == pytest.approx(base)
    assert "policies.retry.backoff_s moves it most" in sentence
    frame = found.frame()
    assert frame["field"].iloc[0] == "policies.retry.backoff_s"
    assert (np.diff(frame["effect"]) <= 0).all()


def test_what_nothing_moves_has_no_effect(tmp_path):
    for method in ("morris", "sobol"):
        found = screen(tmp_path, ["slo.attained"], method=method, samples=4)
        assert {number for figures in found.screened.values() for number in figures.values()} == {0.0}


def test_more_demand_costs_more(tmp_path):
    ask = scenario_in(tmp_path)
    ranges = ["tenants.client.demand.requests_per_s=1:4", "policies.retry.backoff_s=0.1:5:log"]
    found = sensitivity(ask, ranges, [COST, "all.served"], samples=3, replications=1, backend="serial")
    for column in found.columns:
        assert found.screened[column, "tenants.client.demand.requests_per_s"]["effect"] > 0
        assert found.frame().query("number == @column")["field"].iloc[0] == "tenants.client.demand.requests_per_s"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--range", RANGES[0]], "two or more"),
        (["--range", RANGES[0], "--range", "policies.queue.aging_per_s=5"], "is no range"),
        (["--range", RANGES[0], "--range", RANGES[0]], "is given twice"),
        (["--range", RANGES[0], "--range", "policies.queue.agin_per_s=1:5"], "did you mean aging_per_s"),
        (["--range", RANGES[0], "--range", "accounts.openai.count=1:3"], "low:high:int"),
        ([*["--range", RANGES[0], "--range", RANGES[1]], "--number", "all.costs_usd"], "did you mean all.cost_usd"),
        ([*["--range", RANGES[0], "--range", RANGES[1]], "--method", "guess"], "morris or sobol"),
        ([*["--range", RANGES[0], "--range", RANGES[1]], "--method", "sobol", "--samples", "12"], "a power of 2"),
    ],
)
def test_wrong_input_ends_with_one_message(tmp_path, options, told):
    done = CliRunner().invoke(app, ["sensitivity", scenario_in(tmp_path).scenario, *options])
    assert done.exit_code == 2, done.output
    assert len(done.stderr.strip().splitlines()) == 1
    assert told in done.stderr


def test_the_command_writes_a_table_and_charts(tmp_path):
    out = tmp_path / "out"
    options = ["--range", "tenants.client.demand.requests_per_s=1:4", "--range", RANGES[0], "--samples", "2", "--replications", "1"]
    options += ["--backend", "serial", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, ["sensitivity", scenario_in(tmp_path).scenario, *options])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["fields"][0]["field"] == "tenants.client.demand.requests_per_s"
    assert {file.name for file in out.iterdir()} == {"fields.parquet", "fields.csv", "summary.json", "tornado-all.cost_usd.html"}


def test_a_number_that_is_never_measured_is_told(tmp_path):
    def nothing(ask):
        return {**linear(ask), COST: float("nan")}

    with pytest.raises(ExperimentError, match="nothing was measured"):
        sensitivity(scenario_in(tmp_path), RANGES, [COST], work=nothing, backend="serial", samples=2)
