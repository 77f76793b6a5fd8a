"""What a scenario claims is so: each story by the comparison that its description invites to."""

import numpy as np
import pytest

from tests.scenarios.shipped import missed, run, waits_p95_s


def tier(result, name):
    return result.summary["tiers"][name]


def test_a_noisy_neighbour_waits_for_itself():
    fair = run("noisy_neighbour")
    queue = run("noisy_neighbour", "policies.queue.fair_share=false")
    assert np.median(waits_p95_s(fair, "neighbour")) < 0.1 * np.median(waits_p95_s(queue, "neighbour"))
    assert waits_p95_s(fair, "noisy")[0] > 10 * np.median(waits_p95_s(fair, "neighbour"))
    assert missed(fair) == []
    assert missed(queue) != []


def test_a_limit_of_its_own_refuses_the_noisy_one_at_the_door():
    limited = run("noisy_neighbour", "tenants.noisy.requests_per_min=120")
    assert limited.summary["rejections"]["tenant_limit"] > 0
    assert limited.summary["requests"]["expired"] == 0
    assert waits_p95_s(limited, "neighbour").max() < 1


def test_a_dedicated_account_is_paid_for_by_the_others():
    own = run("dedicated_vs_shared")
    shared = run("dedicated_vs_shared", "accounts.own.dedicated_to=null")
    assert tier(own, "enterprise")["wait_p95_s"] < 0.5 * tier(shared, "enterprise")["wait_p95_s"]
    assert tier(own, "standard")["served_ratio"] < tier(shared, "standard")["served_ratio"] - 0.1
    assert missed(own) == []
    assert missed(shared) == ["enterprise hardly waits"]


def test_a_dedicated_account_alone_is_worse_than_with_overflow():
    own = run("dedicated_vs_shared")
    alone = run("dedicated_vs_shared", "policies.reservation.dedicated_overflow=false")
    assert tier(alone, "enterprise")["wait_p99_s"] > 5 * tier(own, "enterprise")["wait_p99_s"]


def test_in_an_outage_requests_move_to_other_providers_enterprise_first():
    outage = run("outage_at_peak")
    calm = run("outage_at_peak", "faults=[]")
    assert missed(outage) == []
    assert outage.summary["refusals"]["failed"] > 5 * calm.summary["refusals"]["failed"]
    # The others are full at noon anyway: what moves is whom they serve.
    assert tier(outage, "enterprise")["other_model"] > 1.05 * tier(calm, "enterprise")["other_model"]
    ratios = [tier(outage, name)["served_ratio"] for name in ("enterprise", "professional", "standard")]
    assert ratios == sorted(ratios, reverse=True)
    assert tier(calm, "enterprise")["served_ratio"] > 0.999
    assert ratios[0] < 0.995


def test_who_names_a_model_needs_fallbacks_in_an_outage():
    outage = run("outage_at_peak")
    stubborn = run("outage_at_peak", "policies.retry.fallback_models=false")
    for name in ("enterprise", "professional"):
        assert tier(stubborn, name)["served_ratio"] < tier(outage, name)["served_ratio"]


@pytest.fixture(scope="module")
def black_friday():
    return {
        policy: run("black_friday", f"policies.scaling.policy={policy}") for policy in ("threshold", "predictive", "none")
    }


def test_on_black_friday_scaling_keeps_promises_that_nothing_else_does(black_friday):
    assert missed(black_friday["threshold"]) == []
    assert missed(black_friday["predictive"]) == []
    assert missed(black_friday["none"]) == ["shops are served"]


def test_standby_accounts_help_and_ordered_ones_follow(black_friday):
    accounts = black_friday["threshold"].summary["accounts"]
    assert accounts["openai-standby-1"]["served"] > accounts["openai-to-order-1"]["served"] > 0
    assert black_friday["none"].summary["accounts"]["openai-standby-1"]["served"] == 0


@pytest.fixture(scope="module")
def noon():
    settings = ("start=2026-11-02T11:30:00Z", "horizon_s=1h")
    modes = ("floor", "partition", "trunk", "cap", "none")
    return {mode: run("design_pool", *settings, f"policies.reservation.mode={mode}") for mode in modes}


def test_the_design_guarantees_protect_enterprise_however_they_are_meant(noon):
    assert all(tier(result, "enterprise")["wait_p95_s"] < 1 for result in noon.values())


def test_only_shares_that_are_lent_when_idle_leave_room_for_the_others(noon):
    """80% and 40% granted by rank leave standard nothing of its own: it lives on what is lent."""
    served = {mode: tier(result, "standard")["served_ratio"] for mode, result in noon.items()}
    assert served["floor"] > 0.5
    assert max(served["partition"], served["trunk"], served["cap"]) < 0.1


def test_a_week_of_ten_thousand_tenants_keeps_its_promises_on_monday_morning():
    result = run("ten_thousand_tenants_week", "start=2026-11-02T14:00:00Z", "horizon_s=30min")
    assert result.summary["requests"]["arrived"] > 200_000
    assert missed(result) == []
