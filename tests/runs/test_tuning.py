"""A search of a run's policies by a worker: it says how far it is, what it found is kept, and its command means the same."""

import shlex

import pytest

from forge1sim.ask import Ask
from forge1sim.runs import Status
from forge1sim.runs.store import ANSWERS
from forge1sim.runs.tuning import tune_command
from forge1sim.scenario.load import load_scenario
from tests.asked import until_answered

TWO_MODELS = """\
name: two models
horizon_s: 10min
models: [gpt-5.4-mini, gpt-6.1-sol]
accounts: [{name: openai, provider: openai}]
tenants: [{name: client, count: 5, demand: {requests_per_s: 2}}]
policies: {routing: {model_choice: best_quality}}
"""


@pytest.fixture
def two_models(tmp_path):
    """Much room, and the dear model asked for: any search finds a cheaper choice."""
    path = tmp_path / "two.yaml"
    path.write_text(TWO_MODELS)
    return str(path)


def test_a_search_says_how_far_it_is_and_its_answer_is_kept(pool, two_models, wait_for):
    run = wait_for(pool.start(Ask(scenario=two_models, seed=5), owner="anna"))
    asked = {"minimize": "all.cost_usd", "subject_to": ["all.served_ratio>=baseline"], "trials": 20}
    answer, seen = until_answered(pool, run.id, "tune", **asked)
    assert answer.status is Status.DONE, answer.reason
    assert any(progress["told"].startswith("search: ") and " of 20" in progress["told"] for progress in seen)
    assert len(answer.value["points"]["point"]) >= 1
    costs = answer.value["points"]["all.cost_usd"]
    assert costs == sorted(costs)
    assert costs[0] < run.summary()["cost_usd"]
    assert pool.ask(run.id, "tune", **asked) == answer
    assert list((run.folder / ANSWERS).glob("tune-*.db"))


def test_what_does_not_exist_is_told(pool, two_models, wait_for):
    run = wait_for(pool.start(Ask(scenario=two_models, seed=6), owner="anna"))
    answer, _ = until_answered(pool, run.id, "tune", minimize="all.happiness", subject_to=[], trials=20)
    assert answer.status is Status.FAILED
    assert "all.happiness" in answer.reason


def test_the_command_names_all_that_was_asked(two_models):
    ask = Ask(scenario=two_models, overrides=("tenants.client.count=7",), seed=9)
    words = shlex.split(tune_command(ask, "all.cost_usd", ["slo.attained>=baseline"], 40))
    assert words[:3] == ["forge1sim", "tune", two_models]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {
        "--set": "tenants.client.count=7", "--minimize": "all.cost_usd", "--subject-to": "slo.attained>=baseline",
        "--trials": "40", "--seed": "9", "--out": "tuned",
    }  # fmt: skip
    assert load_scenario(words[2], [options["--set"]]).scenario.name == "two models"
