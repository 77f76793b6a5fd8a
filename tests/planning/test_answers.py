"""What a plan is asked besides what to buy: figures that must add up, and levers that must be pulled on the same draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.planning.answers import Answers, answers_of, as_json, difference, try_levers
from forge1sim.planning.bound import arrived_per_day, draws_of
from forge1sim.planning.cash import cash
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.reach import Reach
from forge1sim.planning.simulated import Day, Prices, Simulated, Simulator, prices_of

SEEDS = (1, 2, 3)


def scenario() -> dict[str, Any]:
    """One model, two accounts of which a third may be had, too little for the peak, demand that grows."""
    return {
        "name": "asked", "start": "2026-11-02T00:00:00Z", "horizon_s": 1200,
        "models": [{"name": "one", "provider": "p", "input_usd_per_1m": 2.0, "output_usd_per_1m": 6.0, "max_output_tokens": 500}],
        "accounts": [
            {"name": "ours", "provider": "p", "count": 2, "usd_per_month": 100, "limits": [{"dimension": "tpm", "limit": 20_000}]}
        ],
        "tenants": [{
            "name": "clients", "count": 4, "tier": "standard",
            "demand": {
                "requests_per_s": 1.0, "max_output_tokens": 400, "growth_per_week": 0.1, "diurnal": {"peak_over_mean": 1.5, "peak_hour": 0},
                "input_tokens": {"kind": "deterministic", "mean": 300}, "output_tokens": {"kind": "deterministic", "mean": 100},
                "deadline_s": {"kind": "deterministic", "mean": 20},
            },
        }],
        "slos": [{"name": "served", "tier": "all", "metric": "served_ratio", "at_least": 0.2}],
        "plan": {
            "draws": 3, "refusal_usd": {"standard": 1.0},
            "accounts": [
                {"name": "ours", "at_most": 3, "permission": "ours", "lead_time_days": 45, "setup_usd": 70, "notice_days": 15.2},
            ],
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Options, Simulated, Answers]:
    ask = Ask(scenario=str(written(tmp_path_factory.mktemp("asked"), scenario())))
    options = Options(ask.load())
    draws, demand = draws_of(Reach(options), SEEDS)
    prices = prices_of(options.loaded, arrived_per_day(draws))
    simulator = Simulator(ask=ask, options=options, prices=prices, confidence=0.95, backend="serial")
    seen = simulator([Plan(counts=(count,), states=(0,)) for count in (1, 2)], SEEDS)
    return options, seen[1], answers_of(demand, seen[1], seen, simulator, SEEDS, levers=True)


def test_unit_costs_add_up_to_the_bill(asked: tuple[Options, Simulated, Answers]) -> None:
    _, best, answers = asked
    assert sum(one.usd_per_month for one in answers.unit_costs) == pytest.approx(best.usd_per_month, rel=1e-9)
    standard = next(one for one in answers.unit_costs if one.name == "standard")
    assert standard.tenants == 4
    assert standard.tokens == pytest.approx(400 * standard.requests)
    assert standard.per(standard.requests) == pytest.approx(standard.usd_per_month / standard.requests)


def test_an_account_is_worth_something_where_it_is_short(asked: tuple[Options, Simulated, Answers]) -> None:
    """Rent, one more and one fewer point the same way, and one fewer costs more than one more saves."""
    _, _, answers = asked
    (worth,) = answers.worth
    assert worth.rents[0].limit == "ours: * tpm"
    assert worth.rent_usd_per_month > 100
    assert worth.more is not None
    assert worth.fewer is not None
    assert worth.more.proven
    assert worth.more.usd_per_month < 0 < -worth.more.usd_per_month < worth.fewer.usd_per_month


def test_levers_are_ranked_and_smaller_reservations_help_where_they_are_what_fills_up(
    asked: tuple[Options, Simulated, Answers],
) -> None:
    """The limit counts max_tokens: 300 + 400 a request. Half of it, or more of the limit, lets more requests through."""
    _, _, answers = asked
    savings = [one.difference.usd_per_month for one in answers.levers]
    assert savings == sorted(savings)
    by_name = {one.name.split(":")[0].split()[0]: one for one in answers.levers}
    assert by_name["max_tokens"].difference.proven
    assert by_name["max_tokens"].difference.usd_per_month < 0
    assert by_name["ours"].difference.usd_per_month < 0


def test_deferrable_work_as_batches_costs_half_and_leaves_the_limits(tmp_path: Path) -> None:
    """Half of the work may wait; what is left fits, so nothing is refused, and batches are paid at half of what their answers cost."""
    given = scenario()
    given["tenants"][0]["demand"] |= {"batch_share": 0.5, "requests_per_s": 0.2}
    given["accounts"][0]["limits"][0]["limit"] = 1_000_000
    ask = Ask(scenario=str(written(tmp_path, given)))
    options = Options(ask.load())
    draws, demand = draws_of(Reach(options), SEEDS)
    prices = prices_of(options.loaded, arrived_per_day(draws))
    simulator = Simulator(ask=ask, options=options, prices=prices, confidence=0.95, backend="serial")
    best = simulator([Plan(counts=(2,), states=(0,))], SEEDS)[0]
    (lever,) = [one for one in try_levers(demand, best, simulator, SEEDS, ((),)) if one.name.startswith("deferrable")]
    assert lever.difference.usd_per_month == pytest.approx(-best.tokens_usd / 4, rel=0.15)
    assert lever.keeps_promises


def test_what_the_same_days_do_not_tell_apart_has_no_proven_value() -> None:
    assert difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.1])).shown() == "no proven value"
    assert difference(np.array([1.0, 2.0]), np.array([1.0, 2.0]), fixed_usd=-50.0).shown() == "50 USD a month cheaper"
    assert not difference(np.array([1.0]), np.array([9.0])).proven


def test_cash_follows_lead_times_notice_and_growth(asked: tuple[Options, Simulated, Answers]) -> None:
    options, best, _ = asked
    more = Simulated(plan=Plan(counts=(3,), states=(0,)), days=best.days, fixed_usd=300, prices=best.prices, promises=())
    months = cash(options, more)
    assert [round(one.accounts_usd, 2) for one in months[:3]] == [200, round(200 + 100 * (2 - 45 / (730 / 24)), 2), 300]
    assert [one.setup_usd for one in months[:3]] == [0, 70, 0]
    assert months[1].tokens_usd == pytest.approx(months[0].tokens_usd * 1.1 ** (730 / 24 / 7))
    fewer = Simulated(plan=Plan(counts=(1,), states=(0,)), days=best.days, fixed_usd=100, prices=best.prices, promises=())
    assert [round(one.accounts_usd) for one in cash(options, fewer)[:2]] == [150, 100]


def test_answers_are_ready_for_json(asked: tuple[Options, Simulated, Answers]) -> None:
    told = as_json(asked[2])
    assert set(told) == {"worth", "levers", "unit_costs", "cash_by_month", "credits", "exhaustion", "interim", "tornado"}
    assert told["worth"][0]["one_more"]["proven"]
    assert len(told["cash_by_month"]) == 12


def test_cash_rises_with_the_usage_tier_on_its_day(tmp_path: Path) -> None:
    """The tier comes after twenty days; its fee is twice the one before."""
    content = scenario()
    content["models"], content["accounts"] = ["gpt-5.4-mini"], [
        {"name": "ours", "provider": "openai", "usage_tier": "tier-1", "usd_per_month": 100}
    ]  # fmt: skip
    content["plan"]["accounts"] = [{"name": "ours", "usage_tiers": [{"usage_tier": "tier-2", "after_days": 20, "usd_per_month": 200}]}]
    options = Options(Ask(scenario=str(written(tmp_path, content))).load())
    day = Day(arrived=(0, 0, 1), refused=(0, 0, 0), own=(0, 0, 0), tokens_usd=0.0, slo=(1.0,), served={}, usd_by_tier=(0.0, 0.0, 0.0))
    prices = Prices(refusal_usd=(0.0, 0.0, 0.0), days_per_month=2190.0)
    risen = Simulated(plan=Plan(counts=(1,), states=(1,)), days=(day,), fixed_usd=200, prices=prices, promises=())
    first, second = cash(options, risen)[:2]
    assert first.accounts_usd == pytest.approx(100 + 100 * (1 - 20 / (730 / 24)))
    assert second.accounts_usd == 200
