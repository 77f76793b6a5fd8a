"""Until a plan is in force: dates follow from lead times, paid spend and days; what breaks least is told beside doing nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.planning.interim import Made, interim_of, overrides_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.schedule import Cohort, cohorts_of, days_of_change, in_force_on, paid_per_day_usd, tier_dates
from forge1sim.planning.simulated import Prices, Promise, Simulated, Simulator
from forge1sim.planning.told import interim_json, interim_sentences, interim_table, usage_tier_table
from tests.planning.waiting import waiting

SEEDS = (1, 2, 3)
PRICES = Prices(refusal_usd=(0.0, 0.0, 0.01), days_per_month=4380.0)
DAYS_PER_MONTH = 730 / 24

RISING = """
name: rising
start: 2026-11-02T00:00:00Z
horizon_s: 600
models: [gpt-5.4-mini]
accounts:
  - {name: org, provider: openai, count: 1, usage_tier: tier-1, usd_per_month: 304.1666666666667}
tenants:
  - name: t
    tier: standard
    demand:
      requests_per_s: 15
      max_output_tokens: 400
      input_tokens: {kind: deterministic, mean: 1000}
      output_tokens: {kind: deterministic, mean: 100}
      deadline_s: {kind: deterministic, mean: 20}
slos:
  - {name: served, tier: standard, metric: served_ratio, at_least: 0.95}
plan:
  draws: 3
  refusal_usd: {standard: 0.01}
  accounts:
    - name: org
      at_most: 2
      permission: yes
      lead_time_days: 5
      paid_usd: 20
      paying_for_days: 3
      usage_tiers: [{usage_tier: tier-2, paid_usd: 50, after_days: 7}]
"""


def _simulator(path: Path) -> Simulator:
    ask = Ask(scenario=str(path))
    return Simulator(ask=ask, options=Options(ask.load()), prices=PRICES, confidence=0.95, backend="serial")


@pytest.fixture
def pool(tmp_path: Path) -> Simulator:
    return _simulator(written(tmp_path, waiting()))


def _rising(folder: Path, **terms: Any) -> Simulator:
    content = yaml.safe_load(RISING)
    content["plan"]["accounts"][0] |= {"permission": "by contract"} | terms
    return _simulator(written(folder, content))


def test_what_can_be_had_at_once_gets_through_the_lead_time(pool: Simulator) -> None:
    """Two more of ours take ten days; one more of cloud, at once, keeps the promise that doing nothing breaks."""
    best, held = pool([Plan(counts=(3, 0), states=(0, 0)), pool.options.held], SEEDS)
    told = interim_of(pool, SEEDS, best, held)
    assert told.in_force == "2026-11-12"
    (step,) = told.steps
    assert (step.begins, step.ends, step.days) == ("2026-11-02", "2026-11-12", 10.0)
    assert step.best.accounts == "ours 1, cloud 2"
    assert step.best.keeps_promises
    assert step.nothing.accounts == "ours 1, cloud 1"
    assert step.nothing.breaks == ("served",)
    assert step.nothing.refused["standard"] > 1000 > step.best.refused["standard"]
    cheaper = pool([Plan(counts=(1, 2), states=(0, 0))], SEEDS)[0]
    assert step.best.usd == pytest.approx(cheaper.usd_per_month * 10 / DAYS_PER_MONTH)
    assert step.nothing.usd == pytest.approx(held.usd_per_month * 10 / DAYS_PER_MONTH)
    assert told.setup_usd == 40                                             # of the cloud account that is had for ten days only
    assert told.notice_usd == pytest.approx(3000 * 30 / DAYS_PER_MONTH)
    assert told.usd == pytest.approx(step.best.usd + told.setup_usd + told.notice_usd)


def test_where_nothing_helps_at_once_the_fewest_misses_win(tmp_path: Path) -> None:
    scenario = waiting()
    scenario["plan"]["accounts"][1] |= {"at_most": 1}
    simulator = _simulator(written(tmp_path, scenario))
    best, held = simulator([Plan(counts=(3, 0), states=(0, 0)), simulator.options.held], SEEDS)
    (step,) = interim_of(simulator, SEEDS, best, held).steps
    assert step.best.accounts == step.nothing.accounts == "ours 1, cloud 1"
    assert step.best.breaks == step.nothing.breaks == ("served",)


def test_a_plan_of_what_is_held_is_in_force_at_once(pool: Simulator) -> None:
    held = pool([pool.options.held], SEEDS)[0]
    told = interim_of(pool, SEEDS, held, held)
    assert (told.in_force, told.steps, told.usd) == ("2026-11-02", (), 0.0)
    assert list(interim_sentences(told)) == ["The plan is in force from 2026-11-02 on: nothing has to be waited for."]


def test_a_usage_tier_is_reached_by_paid_spend_and_days_account_by_account(tmp_path: Path) -> None:
    """The one held has 20 of 50 USD and 3 of 7 days; a new one begins after five days with nothing. Fees are 10 USD a day."""
    simulator = _rising(tmp_path)
    options = simulator.options
    nothing_asked = Simulated(plan=Plan(counts=(1,), states=(0,)), days=(), fixed_usd=0.0, prices=PRICES, promises=())
    assert paid_per_day_usd(options, 0, nothing_asked) == pytest.approx(10.0)
    plan = Plan(counts=(2,), states=(1,))
    cohorts = cohorts_of(options, plan, nothing_asked)
    old, new = tier_dates(options, cohorts, nothing_asked, plan)
    assert (old.date, old.is_held) == ("2026-11-06", True)                  # 30 USD take three days, the 7 days four
    assert (new.date, new.is_held) == ("2026-11-14", False)                 # five to arrive, five for 50 USD, but seven days
    assert days_of_change(cohorts, plan) == ([0.0, 4.0, 5.0], 12.0)
    in_force = [in_force_on(options, cohorts, day, (1,)) for day in (0.0, 4.0, 5.0, 12.0)]
    assert in_force == [((1, 0),), ((0, 1),), ((1, 1),), ((0, 2),)]


def test_what_accounts_pay_for_tokens_brings_the_tier_forward(tmp_path: Path) -> None:
    simulator = _rising(tmp_path, paid_usd=0, paying_for_days=30)
    held = simulator([simulator.options.held], SEEDS)[0]
    per_day = paid_per_day_usd(simulator.options, 0, held)
    tokens = float(np.mean([day.tokens_usd for day in held.days])) * 144
    assert per_day == pytest.approx(10 + tokens)
    plan = Plan(counts=(1,), states=(1,))
    (date,) = tier_dates(simulator.options, cohorts_of(simulator.options, plan, held), held, plan)
    assert date.date == f"2026-11-{2 + int(np.ceil(50 / per_day)):02d}"


def test_until_a_tier_is_reached_its_limits_are_the_lower_ones(tmp_path: Path) -> None:
    """15 requests a second at 1,400 tokens want 1.26 million a minute: more than tier 1 allows, less than tier 2 does."""
    simulator = _rising(tmp_path, lead_time_days=0, at_most=1)
    best, held = simulator([Plan(counts=(1,), states=(1,)), simulator.options.held], SEEDS)
    assert best.holds
    assert not held.holds
    told = interim_of(simulator, SEEDS, best, held)
    assert told.in_force == "2026-11-06"
    (step,) = told.steps
    assert step.nothing.breaks == ("served",)
    assert step.nothing.refused["standard"] > 100
    assert usage_tier_table(told)["reached"] == ["2026-11-06"]
    found = interim_json(told)
    assert found["steps"][0]["nothing"]["keeps_promises"] is False
    assert interim_table(told)["way"] == ["breaks least", "do nothing"]
    assert "from 2026-11-06 on" in " ".join(interim_sentences(told))


def test_accounts_of_one_entry_in_two_tiers_are_simulated_apart(tmp_path: Path) -> None:
    simulator = _rising(tmp_path)
    options = simulator.options
    mixed = simulator.ask.load().path
    changed = Ask(scenario=str(mixed), overrides=("plan={}", *overrides_of(options, ((1, 1),)))).load().platform
    apart = Ask(scenario=str(mixed), overrides=("plan={}", "accounts.org.usage_tier=tier-2")).load().platform
    assert [(account.name, account.count) for account in changed.accounts] == [("org", 1), ("org: tier-2", 1)]
    assert changed.accounts[1].limits == apart.accounts[0].limits != changed.accounts[0].limits
    assert overrides_of(options, ((0, 2),)) == ()


def test_a_tier_that_is_never_paid_for_is_never_reached(tmp_path: Path) -> None:
    content = yaml.safe_load(RISING)
    content["accounts"][0] |= {"usd_per_month": 0}
    content["plan"]["accounts"][0] |= {"permission": "by contract", "at_most": 1}
    content["plan"]["months"] = 2
    simulator = _simulator(written(tmp_path, content))
    nothing_asked = Simulated(plan=Plan(counts=(1,), states=(1,)), days=(), fixed_usd=0.0, prices=PRICES, promises=())
    told = interim_of(simulator, SEEDS, nothing_asked, None)
    assert told.in_force is None
    assert told.tiers[0].date is None
    assert sum(step.days for step in told.steps) == pytest.approx(2 * DAYS_PER_MONTH)
    assert "org never reaches tier-2" in next(interim_sentences(told))


@given(lead=st.integers(0, 400), held=st.integers(0, 3), planned=st.integers(0, 5))
def test_what_is_in_force_in_the_end_is_the_plan(lead: int, held: int, planned: int) -> None:
    parts = (
        (min(held, planned), True, 0.0, np.inf), (max(0, held - planned), True, 0.0, 30.0), (max(0, planned - held), False, lead, np.inf),
    )  # fmt: skip
    cohorts = [
        Cohort(entry=0, count=count, is_held=old, from_day=begins, until_day=ends, reached=(-np.inf,))
        for count, old, begins, ends in parts if count
    ]  # fmt: skip
    changes, whole = days_of_change(cohorts, Plan(counts=(planned,), states=(0,)))
    assert whole == (lead if planned > held else 0.0)
    assert changes == sorted(changes)
    assert all(day < whole for day in changes)


def test_what_is_given_up_is_there_until_notice_has_run(pool: Simulator) -> None:
    options, plan = pool.options, Plan(counts=(3, 0), states=(0, 0))
    nothing_asked = Simulated(plan=plan, days=(), fixed_usd=0.0, prices=PRICES, promises=())
    cohorts = cohorts_of(options, plan, nothing_asked)
    assert in_force_on(options, cohorts, 0.0, (0, 0)) == ((1,), (1,))
    assert in_force_on(options, cohorts, 29.9, (0, 0)) == ((3,), (1,))
    assert in_force_on(options, cohorts, 30.0, (0, 0)) == ((3,), (0,))


def _made(misses: Sequence[float], usd: float) -> Made:
    promises = tuple(
        Promise(name="p", tier="t", metric="served_ratio", target=">= 1", mean=1 - miss, low=0.0, high=1.0, p_value=0.5, holds=miss == 0,
                kept_on_average=miss == 0)
        for miss in misses
    )  # fmt: skip
    return Made(counts=((1,),), reservation=0, days=(), promises=promises, fixed_usd=usd, running_usd=0.0)


def test_fewer_broken_promises_come_before_smaller_misses_and_these_before_money() -> None:
    ranked = [_made((0.0, 0.0), 5.0), _made((0.0, 0.0), 9.0), _made((0.9, 0.0), 1.0), _made((0.1, 0.1), 1.0), _made((0.2, 0.1), 0.0)]
    ranks = [one.rank for one in ranked]
    assert ranks == sorted(set(ranks))
