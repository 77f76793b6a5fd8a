"""Results, tenant, compare and explain pages, without a browser: what they show is what the run came to."""

import json

import pytest

from forge1sim.results.bottleneck import explain_bottleneck
from forge1sim.results.read import read_run
from forge1sim.results.regret import REGRET
from forge1sim.runs import RunStore, Status
from forge1sim.workbench.show import words
from tests.workbench.finished import Finished, finished_runs, texts


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Finished:
    return finished_runs(tmp_path_factory.mktemp("workbench"))


def test_the_overview_tells_promises_cards_and_what_was_short(open_page, finished):
    app = open_page("results", run=finished.base)
    run = read_run(finished.folder / finished.base)
    assert not app.exception
    assert words(explain_bottleneck(run).headline) in texts(app)
    assert "60 requests per minute" in explain_bottleneck(run).headline
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["standard, served"] == f"{run.summary['tiers']['standard']['served_ratio']:.2%}"
    assert "MISSED" in texts(app)
    assert run.command in [code.value for code in app.code]


@pytest.mark.parametrize("view", ["Load", "Waits", "Money", "Files"])
def test_every_view_opens_by_link(open_page, finished, view):
    app = open_page("results", run=finished.base, view=view)
    assert not app.exception
    assert not app.error
    if view != "Files":
        figures = app.get("plotly_chart")
        assert any(json.loads(one.proto.spec)["data"] for one in figures)


def test_money_shows_the_distance_from_the_best_possible_where_it_was_computed(open_page, finished):
    line = {"policy": "default", "served_ratio": 1, "quality_mean": 0.9, "cost_usd": 10, "bound_usd": 7, "floor_usd": 4, "regret_usd": 3,
            "regret_of_cost": 0.3, "regret_of_controllable": 0.5, "gap": 0}  # fmt: skip
    kept = finished.folder / finished.roomy / REGRET
    kept.write_text(json.dumps({"own": "default", "lines": [line]}), encoding="utf-8")
    shown, without = (open_page("results", run=run, view="Money") for run in (finished.roomy, finished.base))
    assert words("50.0% of what choices decide") in texts(shown)
    assert "Distance from the best possible" in [one.value for one in shown.subheader]
    assert "Distance from the best possible" not in [one.value for one in without.subheader]


def test_the_tenant_table_has_all_tenants_and_can_be_searched(open_page, finished):
    app = open_page("results", run=finished.base, view="Tenants")
    assert len(app.dataframe[0].value) == 32
    app.text_input(key="tenant_search").set_value("gold").run()
    assert sorted(app.dataframe[0].value["tenant"]) == ["gold-1", "gold-2"]


def test_one_tenant_opens_by_link(open_page, finished):
    app = open_page("tenant", run=finished.base, tenant="gold-2")
    assert not app.exception
    assert "gold\\-2" in texts(app)
    facts = {metric.label: metric.value for metric in app.metric}
    table = read_run(finished.folder / finished.base).table("tenants")
    assert facts["requests"] == f"{table['arrived'][table['tenant'] == 'gold-2'][0]:,}"


def test_a_link_to_no_tenant_is_answered_in_words(open_page, finished):
    app = open_page("tenant", run=finished.base, tenant="nobody")
    assert not app.exception
    assert "This run has no tenant 'nobody'; pick another." in texts(app).replace("\\", "")


def test_the_same_run_twice_is_no_comparison(open_page, finished):
    assert "Pick 2 to 6 runs" in texts(open_page("compare", runs=f"{finished.base},{finished.base}"))


def test_without_runs_the_page_says_what_to_do(open_page):
    app = open_page("results", owner="b" * 32)
    assert not app.exception
    assert "No finished run yet" in texts(app)


def test_a_link_opens_a_run_of_somebody_else(open_page, finished):
    app = open_page("results", owner="b" * 32, run=finished.base)
    assert not app.exception
    assert "What was short" in [subheader.value for subheader in app.subheader]


def test_a_link_to_no_run_is_answered_in_words(open_page):
    app = open_page("results", run="20200101-000000-nothing")
    assert not app.exception
    assert "there is no run" in texts(app).replace("\\", "")


def test_compare_names_the_input_and_judges_the_outcome(open_page, finished):
    app = open_page("compare", runs=f"{finished.base},{finished.roomy}")
    assert not app.exception
    assert app.dataframe[0].value["field"].str.contains("limit").any()
    assert app.dataframe[1].value["more room, difference"].str.startswith("▲ better").any()
    assert "every request meets the same luck" in texts(app)


def test_compare_warns_of_different_seeds(open_page, finished):
    app = open_page("compare", runs=f"{finished.base},{finished.other_seed}")
    assert not app.exception
    assert "different seeds" in texts(app)


def test_compare_asks_for_a_second_run(open_page, finished):
    app = open_page("compare", runs=finished.base)
    assert not app.exception
    assert "Pick 2 to 6 runs" in texts(app)
    app.multiselect(key="picked").set_value([finished.base, finished.roomy]).run()
    assert "What came of it" in [subheader.value for subheader in app.subheader]


def test_explain_asks_the_pool_and_says_that_it_waits(open_page, finished):
    app = open_page("explain", run=finished.base)
    assert not app.exception
    assert app.number_input(key="request").max == read_run(finished.folder / finished.base).summary["requests"]["arrived"] - 1


def test_after_a_long_run_nothing_is_simulated_unasked(open_page, finished):
    store = RunStore(finished.folder)
    store.set_state(finished.other_seed, Status.DONE, seconds=300.0)
    app = open_page("explain", run=finished.other_seed)
    assert not app.exception
    assert [button.label for button in app.button] == ["Find them: takes about 5 min"]
    assert not (finished.folder / finished.other_seed / "answers").exists()


def test_names_from_scenarios_are_no_markdown():
    assert words("[x](y) $5 **b** <b>") == r"\[x\]\(y\) \$5 \*\*b\*\* \<b\>"


@pytest.mark.parametrize("name", ["http://evil.example", "HTTPS://evil.example", "www.evil.example", "a@evil.example"])
def test_names_from_scenarios_are_no_links(name):
    shown = words(name).replace("\\", "")
    assert name not in shown
    assert shown.replace("\u2060", "") == name


def test_tune_says_how_long_it_takes_and_asks_before_it_searches(open_page, finished):
    app = open_page("tune", run=finished.base)
    assert not app.exception
    assert "runs of" in texts(app)
    assert not (finished.folder / finished.base / "answers").exists()
    assert list(app.selectbox(key="tune-tier").options) == ["all", "enterprise", "standard"]
