"""The scenario, what-if, run and library pages without a browser: forms, their checks, and what they ask for."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from forge1sim.runs import Ask, RunStore
from forge1sim.runs.document import as_values
from forge1sim.workbench import session

ROOT = Path(__file__).parents[2]
SCREENS = "forge1sim/workbench/screens"
OWNER = "b" * 32


@pytest.fixture
def open_page(tmp_path, monkeypatch):
    """Open a page of the app as somebody who was never here before."""
    monkeypatch.setenv("FORGE1SIM_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(ROOT)
    kept = (session.store, session.pool, session.shelf)
    for one in kept:
        one.clear()
    monkeypatch.setattr(session, "owner", lambda: OWNER)      # AppTest has no cookies

    def open_(page: str, **address: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
        app.switch_page(f"{SCREENS}/{page}.py")
        for name, value in address.items():
            app.query_params[name] = value
        return app.run()

    yield open_
    session.pool().close()
    for one in kept:
        one.clear()


def texts(app: AppTest) -> str:
    kinds = ("markdown", "caption", "error", "info", "warning", "success")
    return "\n".join(str(element.value) for kind in kinds for element in app.get(kind))


def field(app: AppTest, kind: str, label: str):
    """The first widget of a kind with this label."""
    return next(widget for widget in app.get(kind) if widget.label == label)


def draft_of(app: AppTest):
    return as_values(app.session_state["draft"].text)


def test_every_page_opens_for_a_newcomer(open_page):
    for page in ("home", "scenario", "run", "library"):
        app = open_page(page)
        assert not app.exception, page
        assert not app.error, page


def test_the_first_scenario_is_the_quick_start_as_shipped(open_page):
    app = open_page("scenario")
    assert "It holds together: 2,000 tenants, 11 accounts, 10 models" in texts(app)
    assert app.session_state["draft"].text == (ROOT / "scenarios" / "quickstart.yaml").read_text()
    assert app.query_params["scenario"] == "quickstart"


def test_fields_change_the_scenario_and_its_link(open_page):
    app = open_page("scenario", scenario="quickstart")
    field(app, "text_input", "Horizon (s, or 1d)").set_value("2h").run()
    field(app, "text_input", "Seed").set_value("7").run()
    field(app, "selectbox", "model choice").set_value("cheapest").run()
    field(app, "number_input", "max attempts").set_value(2).run()
    field(app, "checkbox", "fallback models").uncheck().run()
    document = draft_of(app)
    assert (document["horizon_s"], document["seed"]) == ("2h", 7)
    assert document["policies"]["routing"] == {"policy": "cost_efficiency", "model_choice": "cheapest"}
    assert document["policies"]["retry"] == {"max_attempts": 2, "fallback_models": False}
    assert "in 2 h" in texts(app)
    ref = app.query_params["scenario"]
    assert ref.startswith("quickstart@")
    again = open_page("scenario", scenario=ref)
    assert draft_of(again) == document


def test_a_bad_value_is_named_with_its_field_and_nothing_can_be_run(open_page):
    app = open_page("scenario")
    field(app, "text_input", "Start (with zone)").set_value("tomorrow").run()
    assert not app.exception
    assert "start is" in texts(app).replace("\\", "")
    assert "tomorrow" in texts(app)
    assert not [button for button in app.button if button.label == "Simulate"]
    field(app, "text_input", "Start (with zone)").set_value("2026-11-02T00:00:00Z").run()
    assert [button for button in app.button if button.label == "Simulate"]


def test_yaml_can_be_changed_as_text_and_broken_yaml_can_be_mended(open_page):
    app = open_page("scenario")
    area = field(app, "text_area", "The scenario as a file")
    area.set_value(area.value.replace("count: 20\n", "count: 25\n")).run()
    assert draft_of(app)["tenants"][0]["count"] == 25
    assert "2,005 tenants" in texts(app)
    whole = field(app, "text_area", "The scenario as a file").value
    field(app, "text_area", "The scenario as a file").set_value(whole + "\n  broken: [").run()
    assert not app.exception
    assert "not YAML" in texts(app)
    field(app, "text_area", "The scenario as a file").set_value(whole).run()
    assert "2,005 tenants" in texts(app)


def test_sliders_ask_for_the_baseline_and_the_change(open_page, tmp_path):
    app = open_page("what_if")
    assert not app.exception
    slider = field(app, "slider", "Accounts of openai")
    slider.set_value(6).run()
    store = RunStore(tmp_path / "runs")
    before, after = store.runs(OWNER)[0], store.runs(OWNER, kind="what-if")[0]
    assert before.ask == Ask(scenario="scenarios/quickstart.yaml")
    assert after.ask == Ask(scenario="scenarios/quickstart.yaml", overrides=("accounts.openai.count=6",))


def test_the_library_names_tags_and_finds_runs(open_page, tmp_path):
    store = RunStore(tmp_path / "runs")
    for name in ("first", "second"):
        store.create(Ask(scenario="scenarios/quickstart.yaml"), owner=OWNER, name=name, kind="run", key=name, pool="gone")
    app = open_page("library")
    assert list(app.dataframe[0].value["run"]) == ["second", "first"]
    field(app, "text_input", "Search names, scenarios and tags").set_value("fir").run()
    assert list(app.dataframe[0].value["run"]) == ["first"]
    assert "stopped before the end" in store.runs(OWNER)[0].reason


def test_a_failed_run_says_why_and_offers_to_start_again(open_page, tmp_path):
    store = RunStore(tmp_path / "runs")
    run = store.create(Ask(scenario="scenarios/quickstart.yaml"), owner=OWNER, name="mine", kind="run", key="k", pool="gone")
    app = open_page("run", run=run.id)
    assert "stopped before the end" in texts(app)
    assert [button for button in app.button if button.label == "Start it again"]


def test_results_of_a_changed_scenario_are_called_stale(open_page):
    app = open_page("scenario")
    draft = app.session_state["draft"]
    draft.run, draft.ran = "some-run", draft.text
    field(app, "text_input", "Seed").set_value("9").run()
    assert "whose results are stale" in texts(app)
