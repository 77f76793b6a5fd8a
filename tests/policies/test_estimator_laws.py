"""Laws of the estimators: what they may say, and what makes them say more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.estimators import TOKEN_RULES, USUAL, TokenRule, estimate_complexity, estimate_input_tokens, token_rule

rules = st.sampled_from(sorted(TOKEN_RULES.values()))
sizes = st.integers(0, 10**8)
counts = st.integers(0, 10_000)
calls = st.fixed_dictionaries(
    {"input_tokens": sizes, "max_output_tokens": st.integers(1, 10**6), "turns": counts, "tools": counts, "has_code": st.booleans()}
)


@given(text_bytes=sizes, messages=counts, rule=rules)
def test_tokens_are_bytes_by_the_ratio_rounded_up_and_the_overhead(text_bytes, messages, rule):
    tokens = estimate_input_tokens(text_bytes, messages, rule) - messages * rule.per_message - rule.per_request
    assert (tokens - 1) * rule.bytes_per_token_pm < text_bytes * 1000 <= tokens * rule.bytes_per_token_pm


@given(text_bytes=sizes, more=sizes, messages=counts, rule=rules)
def test_more_text_is_never_fewer_tokens(text_bytes, more, messages, rule):
    assert estimate_input_tokens(text_bytes + more, messages, rule) >= estimate_input_tokens(text_bytes, messages, rule)


def test_a_letter_of_three_bytes_counts_as_three_letters_of_one():
    rule = TokenRule(4000, 0, 0)
    assert estimate_input_tokens(len("漢字漢字".encode()), 1, rule) == estimate_input_tokens(12, 1, rule) == 3


def test_a_model_has_its_own_rule_else_its_providers_else_the_usual_one():
    mine = {**TOKEN_RULES, "m": TokenRule(3000, 4, 0)}
    assert token_rule("openai", "m", mine) == mine["m"]
    assert token_rule("openai", "other", mine) == mine["openai"]
    assert token_rule("unheard-of") == TOKEN_RULES[USUAL]


@pytest.mark.parametrize(("text_bytes", "messages"), [(-1, 1), (1, -1)])
def test_less_than_nothing_is_refused(text_bytes, messages):
    with pytest.raises(ValueError, match="0 or more"):
        estimate_input_tokens(text_bytes, messages, TOKEN_RULES[USUAL])


@given(call=calls)
def test_complexity_is_per_mille(call):
    assert 0 <= estimate_complexity(**call) <= 1000
    assert 0 <= estimate_complexity(**{**call, "max_output_tokens": 0}) <= 1000


@given(call=calls, feature=st.sampled_from(["input_tokens", "max_output_tokens", "turns", "tools"]), more=st.integers(0, 10**6))
def test_more_of_anything_is_never_easier(call, feature, more):
    assert estimate_complexity(**{**call, feature: call[feature] + more}) >= estimate_complexity(**call)
    assert estimate_complexity(**{**call, "has_code": True}) >= estimate_complexity(**{**call, "has_code": False})


def test_the_easiest_and_the_hardest():
    assert estimate_complexity(10, 16, 1, 0, False) == 0
    assert estimate_complexity(10**6, 10**6, 100, 100, True) == 1000
