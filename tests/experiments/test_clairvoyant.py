"""The bound is never beaten: not by the cheapest of all schedules of tiny cases, not by any policy."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge1sim.errors import ExperimentError
from forge1sim.experiments.clairvoyant import Realised, clairvoyant_bound
from forge1sim.experiments.clairvoyant.bound import default_block_s
from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.experiments.clairvoyant.realised import answers_among, realised_of
from policies.bundle import Routing
from policies.layout import lay_out
from tests.experiments.tiny import CHOICES, cheapest_by_trial, make_tiny
from tests.parity.cases import SECOND_US, Case, log_of, make_case

MICRO_USD = 1_000                # 1e-6 USD in nano-USD: beyond it the bound is beaten
ROUTING = ("cost_efficiency", "headroom", "least_in_flight", "latency", "weighted", "round_robin", "random")


def realised(case: Case) -> Realised:
    return realised_of(
        case.requests, answers_among(log_of(case, "compiled")), layout=lay_out(case.platform, 0), bundle=case.bundle,
        faults=case.platform.faults, seed=case.seed, start_us=0, end_us=case.horizon_us + 600 * SECOND_US,
    )  # fmt: skip


@pytest.mark.parametrize("number", range(50))
def test_the_bound_is_below_the_cheapest_schedule_and_that_below_every_policy(number: int) -> None:
    tiny = make_tiny(number)
    for choice in CHOICES:
        mine = tiny.run(choice)
        bound = clairvoyant_bound(mine, block_s=(0.5, 1.0, 7.0)[number % 3])
        cheapest = cheapest_by_trial(mine, sorted({*mine.sent_us.tolist(), *mine.requests["arrive_us"].tolist()}))
        assert bound.floor_nano_usd - MICRO_USD <= bound.bound_nano_usd <= cheapest + MICRO_USD
        assert cheapest <= mine.paid_nano_usd


def test_the_bound_is_tight_where_nothing_is_short_and_sees_limits_where_something_is() -> None:
    """Of the fifty tiny cases many are met exactly, and in many the limit costs more than the cheapest answers."""
    bounds = [clairvoyant_bound(tiny.run("cheapest"), block_s=1.0) for tiny in map(make_tiny, range(50))]
    exact = [abs(one.bound_nano_usd - one.paid_nano_usd) <= MICRO_USD for one in bounds]
    above = [one.bound_nano_usd > one.floor_nano_usd + MICRO_USD for one in bounds]
    assert sum(exact) >= 10
    assert sum(above) >= 10


@settings(max_examples=25)
@given(number=st.integers(0, 10**6), block_s=st.sampled_from((1.0, 5.0, 17.0, 120.0)))
def test_no_policy_beats_the_bound_whatever_the_platform(number: int, block_s: float) -> None:
    """Every window and charge rule, faults, retries, scaling, budgets; shipped routing policies and model choices."""
    r = random.Random(number)
    case = make_case(r, 80)
    routing = Routing(policy=r.choice(ROUTING), model_choice=r.choice(CHOICES))
    mine = realised(replace(case, bundle=case.bundle.model_copy(update={"routing": routing})))
    if len(mine.requests):
        bound = clairvoyant_bound(mine, block_s=block_s)
        assert bound.bound_nano_usd <= mine.paid_nano_usd + MICRO_USD
        assert bound.floor_nano_usd <= bound.bound_nano_usd + MICRO_USD


@pytest.mark.parametrize("number", range(4))
def test_more_room_and_less_quality_never_cost_more(number: int) -> None:
    mine = make_tiny(number).run("cheapest")
    bound = clairvoyant_bound(mine, block_s=1.0)
    platform = mine.layout.platform
    account = platform.accounts[0].model_copy(update={"count": 3})
    roomy = replace(mine, layout=lay_out(platform.model_copy(update={"accounts": (account,)}), 0))
    assert clairvoyant_bound(roomy, block_s=1.0).bound_nano_usd <= bound.bound_nano_usd * (1 + 1e-6) + 1
    assert clairvoyant_bound(mine, block_s=1.0, quality_mean=0.0).bound_nano_usd <= bound.bound_nano_usd * (1 + 1e-6) + 1


@pytest.mark.parametrize("number", [0, 3, 8])
def test_prices_and_quality_are_those_of_the_log(number: int) -> None:
    mine = make_tiny(number).run("any")
    choices, rows = Choices(mine), np.arange(len(mine.requests))
    models = np.array([one.model for one in mine.layout.deployments])[mine.deployments]
    assert (choices.nano_usd[rows, models] == mine.answer_nano_usd).all()
    assert int(choices.quality_pm[rows, models].sum()) == mine.quality_pm
    assert choices.suited[rows, models].all()


def test_what_cannot_be_bounded_is_refused_with_the_reason() -> None:
    mine = make_tiny(0).run("cheapest")
    with pytest.raises(ExperimentError, match="served no request"):
        clairvoyant_bound(replace(mine, requests=mine.requests[:0]))
    with pytest.raises(ExperimentError, match=r"quality_mean is 1.5, must be between 0 and 1"):
        clairvoyant_bound(mine, quality_mean=1.5)
    with pytest.raises(ExperimentError, match="block_s is 0"):
        clairvoyant_bound(mine, block_s=0.0)


def test_blocks_are_short_for_short_runs_and_few_for_long_ones() -> None:
    assert default_block_s(600) == 2
    assert default_block_s(86_400) == 300
    assert default_block_s(1e9) == 7200
