"""Accounts: limits all or none, what each charge rule counts and when, draws that depend on nothing but their key."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_emulator.accounts import Account, Answer, Asked
from provider_emulator.config import AccountSpec, Draw
from provider_emulator.draws import Chance

RULES = ("requests", "max_tokens", "input", "uncached_input", "output", "total", "cost")
MODEL = {"name": "m", "input_usd_per_1m": 2.0, "cached_input_usd_per_1m": 1.0, "output_usd_per_1m": 10.0, "cached_share": 0.25}


def account(*limits: dict[str, Any], **model: Any) -> Account:
    given = [{"dimension": "tpm", "window": "token_bucket", "charge": "total", "amount": 1e9, **limit} for limit in limits]
    models = [{**MODEL, **model}, {**MODEL, "name": "other", "model_class": "else"}]
    told = {"name": "a", "provider": "p", "protocol": "openai", "keys": ["k"], "models": models, "limits": given}
    return Account(AccountSpec.model_validate(told), 0.0, 1, 1_800_000_000.0)


def answer_of(of: Account, input_tokens: int = 100, most: int | None = 50, output: int | None = 20) -> Answer:
    asked = Asked(model="m", input_tokens=input_tokens, most_output_tokens=most, output_tokens=output)
    return of.answer_to(asked, of.models["m"], "1", 1.0)


def test_each_rule_counts_its_own_units_and_output_only_as_it_is_produced() -> None:
    of = account(*({"charge": rule} for rule in RULES))
    model, answer = of.models["m"], answer_of(of)
    used = {held.spec.charge: held for held in of.limits}
    assert of.begin(model, answer, 0.0, 1.0) is None
    at_start = {rule: held.used for rule, held in used.items()}
    assert at_start == pytest.approx({
        "requests": 1, "max_tokens": 150, "input": 100, "uncached_input": 75, "output": 0, "total": 100, "cost": (75 * 2 + 25) / 1e6,
    })  # fmt: skip
    of.produce(model, 8, 1.0, 1.0)
    of.produce(model, 12, 2.0, 1.0)
    of.end(model)
    assert {rule: held.used - at_start[rule] for rule, held in used.items()} == pytest.approx({
        "requests": 0, "max_tokens": 0, "input": 0, "uncached_input": 0, "output": 20, "total": 20, "cost": 200 / 1e6,
    })  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 60)), max_size=40), st.integers(1, 100), st.integers(1, 20))
def test_a_request_counts_against_all_limits_or_none(steps: list[tuple[float, int]], tokens: int, requests: int) -> None:
    of = account({"charge": "input", "amount": tokens}, {"dimension": "rpm", "charge": "requests", "window": "fixed", "amount": requests})
    model, now_s = of.models["m"], 0.0
    for wait_s, units in steps:
        now_s += wait_s
        before = [held.used for held in of.limits]
        could = all(
            held.limiter.fits(need, now_s) for held, need in zip(of.limits, (units, 1), strict=True) if held.limiter is not None
        )  # fmt: skip
        turned = of.begin(model, answer_of(of, units), now_s, 1.0)
        assert (turned is None) == could
        gone = [held.used - was for held, was in zip(of.limits, before, strict=True)]
        assert gone == pytest.approx([units, 1] if could else [0, 0])


def test_of_two_limits_in_the_way_the_one_that_clears_last_is_told() -> None:
    of = account({"charge": "input", "amount": 60, "burst_s": 60}, {"dimension": "rpm", "charge": "requests", "amount": 6, "burst_s": 1})
    model = of.models["m"]
    assert of.begin(model, answer_of(of, 60), 0.0, 1.0) is None
    turned = of.begin(model, answer_of(of, 30), 0.0, 1.0)
    assert turned is not None
    assert turned.held.spec.charge == "input"
    assert turned.wait_s == pytest.approx(30.0)
    turned = of.begin(model, answer_of(of, 1), 0.0, 1.0)
    assert turned is not None
    assert turned.held.spec.charge == "requests"
    assert turned.wait_s == pytest.approx(10.0)


def test_a_class_draws_on_its_own_limits_and_on_the_accounts() -> None:
    of = account({"model_class": "else", "charge": "requests"}, {"model_class": "m", "charge": "requests"}, {"charge": "requests"})
    for model in of.models.values():
        assert of.begin(model, answer_of(of), 0.0, 1.0) is None
    assert [held.used for held in of.limits] == [1, 1, 2]


def test_refused_and_failed_requests_cost_a_request_only_where_limits_say_so_and_never_a_token() -> None:
    strict = {"dimension": "rpm", "charge": "requests", "amount": 10, "window": "fixed", "counts_failed": True}
    of = account(strict, {**strict, "counts_failed": False}, {"charge": "input", "amount": 10})
    model = of.models["m"]
    for _ in range(20):
        assert of.begin(model, answer_of(of, 11), 0.0, 1.0) is not None
    assert [held.used for held in of.limits] == [10, 0, 0]
    of.failed(model, 60.0, 1.0)
    assert [held.used for held in of.limits] == [11, 0, 0]


def test_places_are_held_while_requests_are_in_flight() -> None:
    of = account({"dimension": "concurrency", "window": "none", "charge": "requests", "amount": 2})
    model = of.models["m"]
    assert [of.begin(model, answer_of(of), 0.0, 1.0) is None for _ in range(3)] == [True, True, False]
    of.end(model)
    assert of.begin(model, answer_of(of), 0.0, 1.0) is None
    assert of.begin(model, answer_of(of), 0.0, 0.5) is not None


@given(st.floats(0.05, 1.0), st.lists(st.floats(0, 5), min_size=5, max_size=80))
def test_a_limit_that_is_scaled_down_refills_slower_and_holds_less(scale: float, waits: list[float]) -> None:
    of = account({"dimension": "rpm", "charge": "requests", "amount": 120, "burst_s": 30})
    model, now_s, passed = of.models["m"], 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        while of.begin(model, answer_of(of), now_s, scale) is None:
            passed += 1
    assert passed <= scale * (60 + 2 * now_s) + 1e-6
    held = of.limits[0]
    assert held.limiter is not None
    assert held.used == passed
    assert held.drawn == pytest.approx(passed / scale)
    assert held.drawn <= held.limiter.allowed(now_s) + 1e-6


def test_output_that_overdraws_a_limit_is_paid_back_before_anything_passes() -> None:
    of = account({"dimension": "otpm", "charge": "output", "amount": 60, "burst_s": 60})
    model = of.models["m"]
    assert of.begin(model, answer_of(of), 0.0, 1.0) is None
    of.produce(model, 90, 0.0, 1.0)
    turned = of.begin(model, answer_of(of), 0.0, 1.0)
    assert turned is not None
    assert turned.wait_s == pytest.approx(30.0, abs=1e-3)
    assert of.begin(model, answer_of(of), 30.1, 1.0) is None


def test_answers_are_capped_and_say_so() -> None:
    of = account()
    assert (answer_of(of, most=10, output=20).output_tokens, answer_of(of, most=10, output=20).cut_short) == (10, True)
    assert (answer_of(of, most=20, output=20).output_tokens, answer_of(of, most=20, output=20).cut_short) == (20, False)
    assert answer_of(of, most=None, output=5000).output_tokens == 4096


def test_latency_is_first_token_input_and_output_divided_by_the_speed_up() -> None:
    of = account(ttft_s=0.5, s_per_1k_input=0.2, tokens_per_s=10.0)
    asked = Asked(model="m", input_tokens=2000, most_output_tokens=50, output_tokens=20)
    answer = of.answer_to(asked, of.models["m"], "1", 10.0)
    assert answer.first_s == pytest.approx(0.09)
    assert answer.total_s == pytest.approx(0.29)


def test_draws_are_the_same_for_the_same_key_whatever_was_drawn_before() -> None:
    one, other = account(noise_sigma=0.3), account(noise_sigma=0.3)
    asked = Asked(model="m", input_tokens=10, seed="s")
    for _ in range(5):
        other.answer_to(Asked(model="m", input_tokens=10), other.models["m"], other.next_key(asked), 1.0)
    assert one.next_key(asked) == other.next_key(asked) == "m|s"
    assert one.answer_to(asked, one.models["m"], "m|s", 1.0) == other.answer_to(asked, other.models["m"], "m|s", 1.0)
    plain = Asked(model="m", input_tokens=10)
    lengths = {one.answer_to(plain, one.models["m"], one.next_key(plain), 1.0).output_tokens for _ in range(50)}
    assert len(lengths) > 20


@pytest.mark.parametrize(("kind", "cv"), [("deterministic", 0.0), ("exponential", 1.0), ("lognormal", 0.8), ("gamma", 0.5), ("gamma", 2.0)])
def test_distributions_have_the_mean_and_variation_that_they_say(kind: Any, cv: float) -> None:
    chance, draws = Chance(1, "a"), 20_000
    found = [chance.draw(Draw(kind=kind, mean=200, cv=cv), "x", str(number)) for number in range(draws)]
    mean = math.fsum(found) / draws
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in found) / draws)
    assert mean == pytest.approx(200, rel=0.06)
    assert deviation / mean == pytest.approx(cv, rel=0.12, abs=1e-9)
    assert min(found) >= 0
