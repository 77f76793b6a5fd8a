"""Shared costs are shared to the nano-USD, by the rule that was given, and never by a guess."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from live_adapter.billing.allocation import (
    FAILED,
    AllocationRules,
    SharedCost,
    TenantUse,
    allocate,
    idle_nano_usd,
    tenant_uses,
)
from live_adapter.billing.charges import Attempt
from live_adapter.billing.errors import BillingError
from tests.live_adapter.billing.attempts import attempt, attempts

RULES = st.sampled_from(("by-usage", "by-reserved-share", "by-peak", "evenly"))
USES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=12,
    values=st.builds(
        TenantUse, served_nano_usd=st.integers(0, 10**15), failed_nano_usd=st.integers(0, 10**12),
        peak_tokens=st.integers(0, 10**9), reserved_ppm=st.integers(0, 10**6),
    ),
)  # fmt: skip


def cost(name: str = "fee", amount: int = 100, rule: str = "by-usage", **given: Any) -> SharedCost:
    return SharedCost.model_validate({"name": name, "kind": "fixed_fee", "amount_nano_usd": amount, "rule": rule, **given})


@st.composite
def rules(draw: st.DrawFn) -> AllocationRules:
    amounts = draw(st.lists(st.tuples(st.integers(0, 10**17), RULES), max_size=6))
    costs = tuple(cost(f"cost {n}", amount, rule, otherwise="evenly") for n, (amount, rule) in enumerate(amounts))
    return AllocationRules(costs=costs, failed_attempts=draw(st.none() | RULES))


@given(given_rules=rules(), uses=USES)
def test_totals_sum_to_attempts_and_shared_costs_to_the_nano_usd(given_rules: AllocationRules, uses: dict[str, TenantUse]) -> None:
    found = allocate(given_rules, uses)
    of_attempts = sum(use.served_nano_usd + use.failed_nano_usd for use in uses.values())
    assert sum(found.total_nano_usd(tenant) for tenant in uses) == of_attempts + sum(one.amount_nano_usd for one in given_rules.costs)
    for one, shared in zip(given_rules.costs, found.shared, strict=False):
        assert sum(shared.nano_usd.values()) == one.amount_nano_usd
        assert min(shared.nano_usd.values()) >= 0
        assert shared.rule in (one.rule, "evenly")


@given(uses=USES, rule=RULES, amount=st.integers(0, 10**15))
def test_who_weighs_more_never_pays_less(uses: dict[str, TenantUse], rule: str, amount: int) -> None:
    shared = allocate(AllocationRules(costs=(cost("fee", amount, rule, otherwise="evenly"),)), uses).shared[0]
    order = sorted(uses, key=lambda tenant: shared.weights[tenant])
    for lighter, heavier in pairwise(order):
        assert shared.nano_usd[lighter] <= shared.nano_usd[heavier] + (shared.weights[lighter] == shared.weights[heavier])


@given(found=attempts(most_s=600))
def test_the_peak_is_the_busiest_minute_of_all(found: list[Attempt]) -> None:
    minutes: dict[int, dict[str, int]] = {}
    for row in found:
        of_minute = minutes.setdefault(row["sent_us"] // 60_000_000, {"red": 0, "blue": 0})
        of_minute[row["tenant"]] += row["input_tokens"] + row["output_tokens"]
    busiest = max(minutes.values(), key=lambda one: sum(one.values()), default={})
    uses = tenant_uses(found)
    assert {tenant: use.peak_tokens for tenant, use in uses.items()} == {tenant: busiest[tenant] for tenant in uses}
    assert sum(use.served_nano_usd + use.failed_nano_usd for use in uses.values()) == sum(row["cost_nano_usd"] for row in found)


def test_each_rule_shares_by_its_own_measure() -> None:
    found = [
        attempt(0, tenant="blue", input_tokens=100, cost_nano_usd=900),
        attempt(1, tenant="red", after_s=120, input_tokens=300, cost_nano_usd=100),
        attempt(2, tenant="red", after_s=121, status="failed", cost_nano_usd=10),
    ]
    uses = tenant_uses(found, {"red": 250_000, "blue": 250_000, "idle": 500_000})
    shares = {}
    for rule in ("by-usage", "by-peak", "by-reserved-share", "evenly"):
        shares[rule] = list(allocate(AllocationRules(costs=(cost("fee", 1000, rule),)), uses).shared[0].nano_usd.items())
    assert shares == {
        "by-usage": [("blue", 900), ("idle", 0), ("red", 100)], "by-peak": [("blue", 0), ("idle", 0), ("red", 1000)],
        "by-reserved-share": [("blue", 250), ("idle", 500), ("red", 250)], "evenly": [("blue", 334), ("idle", 333), ("red", 333)],
    }  # fmt: skip


def test_failed_attempts_are_borne_by_who_made_them_or_by_all() -> None:
    uses = {"red": TenantUse(served_nano_usd=90, failed_nano_usd=40), "blue": TenantUse(served_nano_usd=30)}
    own = allocate(AllocationRules(), uses)
    assert {tenant: own.total_nano_usd(tenant) for tenant in uses} == {"red": 130, "blue": 30}
    pooled = allocate(AllocationRules(failed_attempts="by-usage"), uses)
    assert {tenant: pooled.total_nano_usd(tenant) for tenant in uses} == {"red": 120, "blue": 40}
    assert pooled.shared[0].name == FAILED


@given(fee=st.integers(0, 10**15), used=st.integers(0, 10**9), capacity=st.integers(1, 10**9))
def test_the_idle_part_of_a_fee_and_the_used_one_sum_to_it(fee: int, used: int, capacity: int) -> None:
    parts = idle_nano_usd(fee, used, capacity)
    assert sum(parts) == fee
    assert min(parts) >= 0
    if used >= capacity:
        assert parts == (fee, 0)


def test_nobody_to_bear_a_cost_is_an_error_that_says_what_to_do() -> None:
    unused = {"red": TenantUse(), "blue": TenantUse()}
    with pytest.raises(BillingError, match="'fee': nobody to bear 100 nano-USD: by-usage weighs nothing for all 2 tenants"):
        allocate(AllocationRules(costs=(cost(),)), unused)
    with pytest.raises(BillingError, match="there is no tenant"):
        allocate(AllocationRules(costs=(cost(otherwise="evenly"),)), {})
    assert allocate(AllocationRules(costs=(cost(otherwise="evenly"),)), unused).shared[0].nano_usd == {"red": 50, "blue": 50}
    assert allocate(AllocationRules(costs=(cost(amount=0),)), unused).shared[0].nano_usd == {"red": 0, "blue": 0}


def test_negative_figures_are_errors() -> None:
    with pytest.raises(BillingError, match="tenant red weighs -5 by-usage"):
        allocate(AllocationRules(costs=(cost(),)), {"red": TenantUse(served_nano_usd=-5), "blue": TenantUse(served_nano_usd=9)})
    with pytest.raises(BillingError, match="red: reserved_ppm is -1"):
        tenant_uses([], {"red": -1})
    with pytest.raises(BillingError, match="capacity_units is 0, must be above 0"):
        idle_nano_usd(1, 1, 0)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        cost(amount=-1)


@pytest.mark.parametrize("names", [("fee", "fee"), (FAILED,)])
def test_a_cost_has_its_own_name(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="is taken, each cost needs its own"):
        AllocationRules(costs=tuple(cost(name) for name in names))


def test_attempts_out_of_order_are_an_error() -> None:
    with pytest.raises(BillingError, match="not in order"):
        tenant_uses([attempt(0, after_s=120), attempt(1)])
