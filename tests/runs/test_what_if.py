"""What people ask becomes overrides that load and mean it."""

from dataclasses import replace

import pytest

from forge1sim.errors import ScenarioError
from forge1sim.runs.what_if import WhatIf, in_words, overrides_of
from forge1sim.scenario.load import load_scenario
from forge1sim.workload.spec import WorkloadSpec


@pytest.fixture
def quick_start(root):
    return load_scenario(root / "scenarios" / "quickstart.yaml")


@pytest.fixture
def changed(quick_start):
    """The quick start after a question."""

    def change(**asked):
        return load_scenario(quick_start.path, overrides_of(WhatIf(**asked), quick_start))

    return change


def test_no_question_changes_nothing(quick_start):
    assert overrides_of(WhatIf(), quick_start) == ()
    same = WhatIf(
        accounts={"openai": 4}, more_tenants={"trial": 0}, price_factors={"openai": 1.0}, outage_provider="openai",
        routing_policy="cost_efficiency", model_choice="cost_efficiency",
    )  # fmt: skip
    assert overrides_of(same, quick_start) == ()
    assert in_words(same, quick_start) == ""


def test_a_question_in_words(quick_start):
    asked = WhatIf(
        demand_factor=1.25, accounts={"openai": 6, "google": 3}, limits_factor=0.5, more_tenants={"standard": 1500},
        price_factors={"google": 2.0}, outage_provider="openai", outage_hours=(12.0, 13.5), model_choice="any",
    )  # fmt: skip
    assert in_words(asked, quick_start) == (
        "demand 1.25x, 6 accounts of openai, limits 0.5x, 1,500 more standard tenants, google prices 2x, "
        "openai out from 12 h to 13.5 h, routing model choice any"
    )


def test_demand_grows_by_its_factor(quick_start, changed):
    assert changed(demand_factor=2.5).expected_requests == pytest.approx(2.5 * quick_start.expected_requests)


def test_more_tenants_ask_as_much_each(quick_start, changed):
    after = changed(more_tenants={"standard": 750}, demand_factor=2.0)
    before, group = (next(group for group in loaded.groups if group.name == "standard") for loaded in (quick_start, after))
    assert group.count == 2250
    assert group.demand.requests_per_s == pytest.approx(before.demand.requests_per_s * 1.5 * 2)
    assert [other.count for other in after.groups if other.name != "standard"] == [20, 180, 300]


def test_accounts_and_their_limits(quick_start, changed):
    after = changed(accounts={"openai": 2, "google": 5}, limits_factor=0.5)
    assert [account.count for account in after.platform.accounts] == [2, 1, 3, 5]
    for before, now in zip(quick_start.platform.accounts, after.platform.accounts, strict=True):
        assert [limit.limit for limit in now.limits] == [max(1, limit.limit / 2) for limit in before.limits]


def test_prices_of_one_provider(quick_start, changed):
    after = changed(price_factors={"anthropic": 1.5})
    for before, now in zip(quick_start.platform.models, after.platform.models, strict=True):
        factor = 1.5 if before.provider == "anthropic" else 1
        assert now.output_usd_per_1m == pytest.approx(factor * before.output_usd_per_1m)
        assert now.input_usd_per_1m == pytest.approx(factor * before.input_usd_per_1m)


def test_an_outage_joins_the_faults_that_there_are(root):
    loaded = load_scenario(root / "scenarios" / "outage_at_peak.yaml")
    asked = WhatIf(outage_provider="google", outage_hours=(1.5, 2.0))
    after = load_scenario(loaded.path, overrides_of(asked, loaded))
    assert after.faults[0] == loaded.faults[0]
    assert (after.faults[1].provider, after.faults[1].start_s, after.faults[1].duration_s) == ("google", 5400, 1800)


def test_routing(changed):
    after = changed(routing_policy="random", model_choice="any")
    assert (after.bundle.routing.policy, after.bundle.routing.model_choice) == ("random", "any")


def test_demand_as_published_says_what_to_do(quick_start):
    published = WorkloadSpec.model_validate({"sources": [{"kind": "servegen", "path": "a.csv", "lengths": "b.csv"}]})
    scenario = quick_start.scenario.model_copy(update={"workload": published})
    with pytest.raises(ScenarioError, match="give it requests_per_s"):
        overrides_of(WhatIf(demand_factor=2.0), replace(quick_start, scenario=scenario))
