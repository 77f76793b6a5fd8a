"""What the README and the issue say of the quick start."""

import pytest

from tests.scenarios.shipped import load, missed, run


@pytest.fixture(scope="module")
def whole_day():
    return run("quickstart")


def test_its_size(whole_day):
    loaded = load("quickstart")
    assert 500_000 <= whole_day.summary["requests"]["arrived"] <= 1_200_000
    assert len(loaded.platform.models) >= 8
    assert sum(account.count for account in loaded.platform.accounts) >= 10
    assert len({account.provider for account in loaded.platform.accounts}) == 3
    assert sum(group.count for group in loaded.platform.tenants) == 2_000
    assert len(whole_day.summary["tiers"]) == 3


def test_limits_of_every_provider_bind_at_peak(whole_day):
    assert min(whole_day.summary["peak_utilization"].values()) > 0.85
    assert whole_day.summary["all"]["queued"] > 0.05 * whole_day.summary["requests"]["arrived"]


def test_its_limits_are_known_so_nothing_is_refused_for_them(whole_day):
    assert set(whole_day.summary["refusals"]) == {"failed", "overload"}


def test_as_shipped_it_keeps_its_promises(whole_day):
    assert missed(whole_day) == []


def test_the_tier_decides_who_waits(whole_day):
    waits = [whole_day.summary["tiers"][tier]["wait_p95_s"] for tier in ("enterprise", "professional", "standard")]
    assert waits == sorted(waits)
    assert waits[2] > 5 * waits[0]


def test_something_of_everything_happens(whole_day):
    assert {"tenant_limit", "tenant_budget"} <= set(whole_day.summary["rejections"])
    assert whole_day.summary["all"]["retries"] > 0
    assert whole_day.summary["all"]["cancelled"] > 0
    assert whole_day.summary["all"]["expired"] > 0


def test_the_best_model_each_time_costs_twice_as_much_and_breaks_promises(whole_day):
    """As the README says."""
    best = run("quickstart", "policies.routing.model_choice=best_quality")
    assert {"answers are cheap", "standard is served"} <= set(missed(best))
    cost = [result.summary["all"]["cost_per_request_usd"] for result in (best, whole_day)]
    assert cost[0] == pytest.approx(2 * cost[1], rel=0.1)
