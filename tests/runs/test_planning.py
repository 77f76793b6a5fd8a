"""Planning by a worker: forms say terms, it tells how far it is, its answer is kept, its command and files mean the same plan."""

import copy
import json
import shlex

import pytest
import yaml

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.runs import Status
from forge1sim.runs.planning import Wanted, form_of, overrides_of, wanted_of_text
from forge1sim.scenario.load import load_scenario
from tests.asked import until_answered
from tests.planning.pool import POOL


@pytest.fixture
def pool_file(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(POOL)
    return str(path)


def test_a_form_that_nobody_changed_says_nothing(pool_file):
    loaded = load_scenario(pool_file)
    form = form_of(loaded)
    assert form["accounts"][0] | {"held": 3, "at_most": 4, "provider": "openai", "lead_time_days": 14} == form["accounts"][0]
    assert overrides_of(loaded, form) == []


def test_what_a_form_changes_is_what_the_scenario_then_says(pool_file):
    loaded = load_scenario(pool_file)
    form = copy.deepcopy(form_of(loaded))
    form["accounts"][0] |= {"at_least": 1, "at_most": 6, "lead_time_days": 21}
    form |= {"draws": 6, "budget_usd_per_month": 9000.0}
    overrides = overrides_of(loaded, form)
    changed = load_scenario(pool_file, overrides)
    terms = changed.scenario.plan
    assert (terms.draws, terms.budget_usd_per_month, terms.fresh_draws) == (6, 9000.0, 3)
    entry = terms.accounts[0]
    assert (entry.at_least, entry.at_most, entry.lead_time_days, entry.setup_usd, entry.permission) == (1, 6, 21.0, 50.0, "by contract")
    assert overrides_of(loaded, form_of(changed)) == overrides


def test_terms_for_an_account_that_had_none(tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text(POOL[: POOL.index("plan:")])
    loaded = load_scenario(path)
    form = form_of(loaded)
    assert form["accounts"][0]["at_most"] == 3
    form["accounts"][0]["at_most"] = 5
    assert overrides_of(loaded, form) == ['plan.accounts=[{"name":"alpha","at_most":5}]']


def test_an_address_says_what_was_wanted():
    wanted = Wanted(overrides=("plan.draws=6",), minutes=7)
    assert wanted_of_text(wanted.text) == wanted


@pytest.mark.parametrize("text", ["", "7", "[]", "[0]", '["plan.draws=6"]', '[5,"seed=3"]', "[5,6]", "[5", '{"a":1}', "[true]", "[121]"])
def test_an_address_changes_nothing_but_terms(text):
    with pytest.raises(PlanError, match="minutes, then settings of plan"):
        wanted_of_text(text)


def test_a_plan_tells_its_rounds_and_its_answer_is_kept(pool, pool_file, wait_for, tmp_path):
    run = wait_for(pool.start(Ask(scenario=pool_file, seed=5), owner="anna"))
    asked = {"overrides": ["plan.fresh_draws=4"], "minutes": 5}
    answer, seen = until_answered(pool, run.id, "plan", **asked)
    assert answer.status is Status.DONE, answer.reason
    assert any(progress.get("rounds", {}).get("why", [""])[0] == "proposed" for progress in seen)
    assert pool.ask(run.id, "plan", **asked) == answer
    value = answer.value
    plan = json.loads(value["files"]["plan.json"])
    assert value["tables"]["purchases"]["planned"] == [one["planned"] for one in plan["purchases"]]
    assert value["tables"]["costs"]["planned_usd"][-1] == plan["cost_usd_per_month"]
    assert value["tables"]["rounds"]["best_usd"][-1] == plan["cost_usd_per_month"]
    assert set(value["files"]) == {"plan.json", "planned.yaml", "purchases.csv"}
    words = shlex.split(value["command"])
    assert words[:3] == ["forge1sim", "plan", pool_file]
    assert words[words.index("--set") + 1] == "plan.fresh_draws=4"
    assert words[words.index("--minutes") + 1] == "5"
    planned = load_scenario(pool_file, value["best"])
    assert planned.scenario.accounts[0].count == plan["purchases"][0]["planned"]
    assert yaml.safe_load(value["files"]["planned.yaml"])["accounts"][0]["count"] == plan["purchases"][0]["planned"]


def test_terms_that_no_plan_keeps_are_told_with_the_ways_out(pool, pool_file, wait_for):
    run = wait_for(pool.start(Ask(scenario=pool_file, seed=6), owner="anna"))
    answer, _ = until_answered(pool, run.id, "plan", overrides=['plan.accounts=[{"name":"alpha","at_most":1}]'], minutes=5)
    assert answer.status is Status.DONE, answer.reason
    value = answer.value
    assert value["infeasible"]
    assert "no plan that the terms allow keeps all promises" in value["told"][0]
    assert value["tables"]["conflicts"]["requirement"] == ["'iron is served' (standard.served_ratio >= 0.7)", "at most 1 account of alpha"]
    assert any(words.startswith("1 more of alpha") for words in value["tables"]["ways out"]["way out"])


def test_growth_and_what_is_moved_are_terms_of_the_form(pool_file):
    loaded = load_scenario(pool_file)
    form = copy.deepcopy(form_of(loaded))
    assert (form["months"], form["growth"], form["tornado"]) == (12, {}, {"demand": 0.0, "price": 0.0, "limits": 0.0})
    form |= {"months": 6, "growth": {"per_week": 0.02, "low": None, "high": 0.05}, "tornado": {"demand": 0.2, "price": 0.0, "limits": 0.0}}
    terms = load_scenario(pool_file, overrides_of(loaded, form)).scenario.plan
    assert (terms.months, terms.growth.per_week, terms.growth.low, terms.growth.high, terms.tornado.demand) == (6, 0.02, None, 0.05, 0.2)
