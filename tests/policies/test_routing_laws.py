"""Laws of the shipped routing policies, through compiled code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import routing, samples
from policies.plain import plain
from policies.state import POINTS_PER_MODEL
from tests.policies.contract import check_contract

POLICIES = {
    "cost_efficiency": routing.cheapest_deployment, "headroom": routing.headroom, "least_in_flight": routing.least_in_flight,
    "latency": routing.latency, "weighted": routing.weighted, "round_robin": routing.round_robin, "random": routing.uniform_choice,
}  # fmt: skip
questions = st.builds(samples.routing_question, st.integers(0, 2**32), st.integers(1, 60), alike=st.booleans())


def ask(policy, question):
    return policy(*question.arguments)


def test_every_shipped_name_is_tried_here():
    assert set(POLICIES) == set(routing.ROUTING_CODES)


@pytest.mark.parametrize("name", POLICIES)
def test_shipped_policies_hold_the_contract_that_a_users_must(name):
    check_contract("routing", POLICIES[name], routing.__file__)


def _switch(code, request, candidates, deployments, tenant, params, memory, now_us):
    return plain(routing.choose)(code, request, candidates, deployments, tenant, params, memory, now_us)


@pytest.mark.parametrize("name", POLICIES)
def test_the_name_leads_to_the_policy(name):
    for question in samples.questions("routing"):
        one, other = question.copy(), question.copy()
        assert _switch(routing.ROUTING_CODES[name], *one.arguments) == ask(POLICIES[name], other)


@pytest.mark.parametrize(
    ("name", "field", "best"),
    [("headroom", "free_ratio", np.max), ("least_in_flight", "in_flight", np.min), ("latency", "latency_us", np.min)],
)
@given(question=questions)
def test_the_best_candidate_is_taken_and_of_equals_the_first(name, field, best, question):
    values = question.deployments[field][question.candidates]
    assert ask(POLICIES[name], question) == question.candidates[np.flatnonzero(values == best(values))[0]]


@given(question=questions)
def test_cost_efficiency_gives_the_best_performance_for_the_money(question):
    rows = question.deployments[question.candidates]
    value = rows["performance_pm"] / (rows["expected_nano_usd"] + 1.0)
    most = question.candidates[value == value.max()]
    chosen = ask(POLICIES["cost_efficiency"], question)
    assert chosen in most
    assert question.deployments["free_ratio"][chosen] == question.deployments["free_ratio"][most].max()


@given(question=questions)
def test_cost_efficiency_inside_one_model_is_headroom(question):
    question.deployments["performance_pm"], question.deployments["expected_nano_usd"] = 700, 5_000_000
    assert ask(POLICIES["cost_efficiency"], question) == ask(POLICIES["headroom"], question)


@given(question=questions)
def test_cost_efficiency_never_pays_more_for_the_same(question):
    question.deployments["performance_pm"] = 700
    chosen = ask(POLICIES["cost_efficiency"], question)
    assert question.deployments["expected_nano_usd"][chosen] == question.deployments["expected_nano_usd"][question.candidates].min()


@given(question=questions, u=st.floats(0.001, 0.999))
def test_a_weight_of_zero_takes_nothing_while_others_weigh(question, u):
    question.memory[routing.UNIFORM] = u
    weights = question.deployments["weight"][question.candidates]
    chosen = ask(POLICIES["weighted"], question)
    assert question.deployments["weight"][chosen] > 0 or not weights.any()


def test_weights_are_shares_of_the_draw():
    question = samples.routing_question(1, 3)
    question.deployments["weight"] = [1.0, 2.0, 1.0]
    asked = samples.RoutingQuestion(
        question.requests, np.arange(3), question.deployments, question.tenants, question.params, question.memory, question.now_us
    )
    counts = np.zeros(3, dtype=int)
    for step in range(1000):
        asked.memory[routing.UNIFORM] = (step + 0.5) / 1000
        counts[ask(POLICIES["weighted"], asked)] += 1
    assert counts.tolist() == [250, 500, 250]


@given(question=questions, u=st.floats(0.0, 1.0, exclude_max=True))
def test_random_divides_the_draw_into_equal_parts(question, u):
    question.memory[routing.UNIFORM] = u
    assert ask(POLICIES["random"], question) == question.candidates[int(u * question.candidates.size)]


@given(question=questions)
def test_round_robin_visits_every_candidate_once_a_round(question):
    count = question.candidates.size
    first = [ask(POLICIES["round_robin"], question) for _ in range(count)]
    assert sorted(first) == question.candidates.tolist()
    assert [ask(POLICIES["round_robin"], question) for _ in range(count)] == first


@given(
    points=st.lists(st.integers(0, 1000), min_size=5, max_size=5), complexity=st.integers(0, 1000)
)
def test_performance_is_linear_between_its_points(points, complexity):
    known = np.array([0] * POINTS_PER_MODEL + [*points, points[-1]])
    exact = np.interp(complexity, [0, 250, 500, 750, 1000], points)
    assert exact - 1 < plain(routing.performance_pm)(known, 1, complexity) <= exact


SCORED = {
    "cost_efficiency": ((900, 100), (900, 101)), "cheapest": ((1, 100), (999, 101)),
    "best_quality": ((900, 10**9), (899, 1)), "any": ((900, 5), (900, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORED)
def test_model_choice_prefers_what_its_name_says(name):
    first, second = (plain(routing.model_score)(routing.MODEL_CHOICE_CODES[name], *offer) for offer in SCORED[name])
    assert first > second or name == "any"


def test_every_model_choice_is_tried_here():
    assert set(SCORED) == set(routing.MODEL_CHOICE_CODES)


@given(seed=st.integers(0, 2**62), tenant=st.integers(0, 10**6), number=st.integers(0, 10**9), attempt=st.integers(1, 32))
def test_backoff_doubles_up_to_its_most_and_keeps_at_least_half(seed, tenant, number, attempt):
    base_us, most_us = 500_000, 30_000_000
    ceiling = min(base_us * 2 ** (attempt - 1), most_us)
    with np.errstate(over="ignore"):
        delay_us = plain(routing.backoff_delay_us)(seed, base_us, most_us, tenant, number, attempt)
    assert ceiling // 2 <= delay_us <= ceiling
