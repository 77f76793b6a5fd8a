"""The plan page, without a browser: the form says the terms, and the page what the plan came to."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.runs import RunPool, RunStore, Status
from forge1sim.runs.planning import Wanted
from forge1sim.workbench.show import words
from tests.asked import until_answered
from tests.planning.pool import POOL
from tests.planning.waiting import waiting
from tests.workbench.finished import finish, texts

WANTED = Wanted(overrides=("plan.fresh_draws=4",), minutes=5)


@dataclass(frozen=True)
class Planned:
    """A store with two finished runs of the pool, and the answer to what was WANTED of the first."""

    folder: Path
    run: str
    other: str
    answer: dict


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Planned:
    folder = tmp_path_factory.mktemp("plan")
    file = folder / "pool.yaml"
    file.write_text(POOL)
    store = RunStore(folder / "runs")
    run, other = (finish(store, Ask(scenario=str(file), seed=seed), name) for seed, name in ((1, "the pool"), (2, "other luck")))
    pool = RunPool(store, workers=1)
    try:
        answer, _ = until_answered(pool, run, "plan", overrides=list(WANTED.overrides), minutes=WANTED.minutes)
    finally:
        pool.close()
    assert answer.status is Status.DONE, answer.reason
    return Planned(store.folder, run, other, answer.value)


def field(app, label):
    """A number field, by how its label begins."""
    return next(one for one in app.number_input if one.label.startswith(label))


def press(app, label):
    next(one for one in app.button if one.label == label).click().run()


def test_nothing_is_searched_unasked(open_page, finished):
    app = open_page("plan", run=finished.run)
    assert not app.exception
    assert not app.error
    assert "3 runs of" in texts(app)
    assert field(app, "Draws").value == 3
    assert "What to contract" not in [subheader.value for subheader in app.subheader]


def test_the_form_says_what_is_asked(open_page, finished):
    app = open_page("plan", run=finished.run)
    field(app, "Draws").set_value(5)
    field(app, "Budget").set_value(7000.0)
    press(app, "Plan")
    asked = json.loads(app.query_params["asked"])
    assert asked == [5, "plan.draws=5", "plan.budget_usd_per_month=7000.0"]
    assert field(app, "Draws").value == 5


def test_a_link_shows_the_plan(open_page, finished):
    app = open_page("plan", owner="b" * 32, run=finished.run, asked=WANTED.text)
    assert not app.exception
    told, answer = texts(app) + "\n".join(one.value for one in app.success), finished.answer
    assert all(words(sentence) in told for sentence in answer["told"])
    assert app.dataframe[1].value["planned"].tolist() == answer["tables"]["purchases"]["planned"]
    assert app.dataframe[2].value["promise"].tolist() == ["gold is served", "iron is served"]
    assert len([one for one in app.get("plotly_chart") if json.loads(one.proto.spec)["data"]]) == 4
    assert answer["command"] in [code.value for code in app.code]
    assert field(app, "Fresh draws").value == 4
    assert {one.proto.label for one in app.get("download_button")} >= {"plan.json", "planned.yaml", "purchases.csv"}


def test_a_change_after_the_answer_is_told(open_page, finished):
    app = open_page("plan", run=finished.run, asked=WANTED.text)
    assert "The fields were changed" not in texts(app)
    field(app, "Draws").set_value(7).run()
    assert "The fields were changed" in texts(app)
    assert app.query_params["asked"] == WANTED.text


def test_another_run_is_not_planned_unasked(open_page, finished):
    app = open_page("plan", run=finished.run, asked=WANTED.text)
    app.selectbox(key=f"pick-{finished.run}").select(finished.other).run()
    assert not app.exception
    assert app.query_params["run"] == finished.other
    assert "asked" not in app.query_params
    assert not (finished.folder / finished.other / "answers").exists()
    assert "What to contract" not in [subheader.value for subheader in app.subheader]


def test_the_plan_is_simulated_on_demand(open_page, finished):
    app = open_page("plan", run=finished.run, asked=WANTED.text)
    press(app, "Simulate this plan")
    assert not app.exception
    started = [run for run in RunStore(finished.folder).runs("a" * 32) if run.name == "the pool, planned"]
    assert started[0].ask.overrides == tuple(finished.answer["best"])


def test_an_address_that_is_no_plan_is_answered_in_words(open_page, finished):
    app = open_page("plan", run=finished.run, asked='[5,"seed=3"]')
    assert not app.exception
    assert "minutes, then settings of plan" in texts(app)


def test_terms_that_contradict_are_answered_in_words(open_page, finished):
    wanted = Wanted(overrides=('plan.accounts=[{"name":"alpha","at_least":3,"at_most":1}]',), minutes=5)
    app = open_page("plan", run=finished.run, asked=wanted.text)
    assert not app.exception
    assert words("at_least is 3, more than at_most") in texts(app)
    assert field(app, "Draws").value == 3
    field(app, "Draws").set_value(4)
    press(app, "Plan")
    assert app.query_params["asked"] == '[5,"plan.draws=4"]'


@dataclass(frozen=True)
class Asked:
    """What was asked of a run, and the answer."""

    run: str
    wanted: Wanted
    answer: dict


@pytest.fixture(scope="module")
def further(finished) -> dict[str, Asked]:
    """The pool with what it rests on, and with too little of everything; another with something to wait for."""
    store = RunStore(finished.folder)
    waits = finish(store, Ask(scenario=str(written(finished.folder.parent, waiting()))), "waiting")
    wanted = {
        "moved": (finished.run, ('plan.tornado={"price":0.2,"demand":0.2}', 'plan.growth={"per_week":0.01,"high":0.03}')),
        "waits": (waits, ()),
        "none": (finished.run, ('plan.accounts=[{"name":"alpha","at_most":1}]',)),
    }
    pool = RunPool(store, workers=1)
    found = {}
    try:
        for name, (run, overrides) in wanted.items():
            one = Wanted(overrides=overrides, minutes=5)
            answer, _ = until_answered(pool, run, "plan", overrides=list(overrides), minutes=5)
            assert answer.status is Status.DONE, answer.reason
            found[name] = Asked(run, one, answer.value)
    finally:
        pool.close()
    return found


def test_dates_and_bars_are_on_the_page(open_page, finished, further):
    app = open_page("plan", run=finished.run, asked=further["moved"].wanted.text)
    assert not app.exception
    headings = [subheader.value for subheader in app.subheader]
    assert {"When limits are full", "What the plan rests on"} <= set(headings)
    assert field(app, "Move price").value == 0.2
    assert field(app, "Growth a week, at most").value == 0.03
    tables = further["moved"].answer["tables"]
    for name, column in (("exhaustion", "planned: full"), ("tornado", "moved")):
        (shown,) = (table.value for table in app.dataframe if column in table.value)
        assert shown[column].tolist() == tables[name][column]
    assert len([one for one in app.get("plotly_chart") if json.loads(one.proto.spec)["data"]]) == 5


def test_the_meantime_is_on_the_page_beside_doing_nothing(open_page, further):
    waits = further["waits"]
    app = open_page("plan", run=waits.run, asked=waits.wanted.text)
    assert not app.exception
    assert "Until the plan is in force" in {subheader.value for subheader in app.subheader}
    (table,) = (table.value for table in app.dataframe if "way" in table.value)
    assert table["way"].tolist() == ["breaks least", "do nothing"]
    assert table["accounts"].tolist() == ["ours 1, cloud 2", "ours 1, cloud 1"]


def test_growth_and_what_is_moved_are_asked_by_the_form(open_page, finished):
    app = open_page("plan", run=finished.run)
    field(app, "Growth a week, likely").set_value(0.02)
    field(app, "Move limits").set_value(0.25)
    press(app, "Plan")
    asked = json.loads(app.query_params["asked"])[1:]
    assert asked == ['plan.growth={"per_week":0.02}', 'plan.tornado={"demand":0.0,"price":0.0,"limits":0.25}']


def test_where_nothing_fits_the_page_tells_conflicts_and_ways_out(open_page, finished, further):
    app = open_page("plan", run=finished.run, asked=further["none"].wanted.text)
    assert not app.exception
    assert {"What is in conflict", "Ways out"} <= {subheader.value for subheader in app.subheader}
    assert "What to contract" not in [subheader.value for subheader in app.subheader]
    assert words("no plan that the terms allow keeps all promises") in texts(app)
    (shown,) = (table.value for table in app.dataframe if "requirement" in table.value)
    assert "at most 1 account of alpha" in shown["requirement"].tolist()
