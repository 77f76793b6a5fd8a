"""Charges sum to the ledger to the nano-USD, whatever was rounded."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.billing.charges import HOUR_US, MILLION, hourly_charges, in_month
from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import apportion, month_of, month_span_us, nano_usd_of, usd, written
from live_adapter.billing.terms import CACHED, INPUT, OUTPUT, read_terms
from live_adapter.ledger import Ledger
from tests.live_adapter.billing.attempts import RUN_US, TERMS, attempt, attempts
from tests.live_adapter.test_journal import fill


@given(total=st.integers(0, 10**21), weights=st.lists(st.integers(0, 10**15), min_size=1, max_size=40))
def test_shares_sum_to_the_whole_and_are_within_one_of_their_quota(total: int, weights: list[int]) -> None:
    if not sum(weights):
        weights[0] = 1
    shares = apportion(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * sum(weights) - total * weight) < sum(weights)
        assert share == 0 or weight > 0


@pytest.mark.parametrize(("total", "weights"), [(1, [0, 0]), (1, []), (-1, [1]), (1, [2, -1])])
def test_what_cannot_be_shared_is_an_error(total: int, weights: list[int]) -> None:
    with pytest.raises(BillingError, match="cannot share"):
        apportion(total, weights)


def test_nothing_is_shared_among_nobody() -> None:
    assert apportion(0, [0, 0]) == [0, 0]
    assert apportion(0, []) == []


@given(nano_usd=st.integers(-(10**17), 10**17))
def test_money_is_written_and_read_without_loss(nano_usd: int) -> None:
    assert nano_usd_of(written(nano_usd)) == nano_usd == usd(nano_usd) * 10**9


@pytest.mark.parametrize("text", ["", "much", "nan", "inf", "1e300", "-1e12"])
def test_what_is_no_money_is_an_error(text: str) -> None:
    with pytest.raises(BillingError, match="no amount of USD"):
        nano_usd_of(text)


@given(time_us=st.integers(0, 4 * 10**15))
def test_a_time_lies_in_its_month(time_us: int) -> None:
    begins_us, ends_us = month_span_us(month_of(time_us))
    assert begins_us <= time_us < ends_us
    assert month_of(begins_us - 1) < month_of(begins_us) < month_of(ends_us) if begins_us else True


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "december", "0000-01", "9999-12"])
def test_what_is_no_month_is_an_error(month: str) -> None:
    with pytest.raises(BillingError, match="must be as 2026-12"):
        month_span_us(month)


@given(rows=attempts())
def test_charges_sum_to_what_the_ledger_booked(rows: list[dict[str, Any]]) -> None:
    charges = list(hourly_charges(rows, TERMS))
    for by in ("tenant", "account", "model"):
        for name in {row[by] for row in rows}:
            booked = sum(row["cost_nano_usd"] for row in rows if row[by] == name)
            assert sum(charge.cost_nano_usd for charge in charges if getattr(charge, by) == name) == booked
    metered = {meter: sum(charge.tokens for charge in charges if charge.meter == meter) for meter in (INPUT, CACHED, OUTPUT)}
    assert metered[INPUT] + metered[CACHED] == sum(row["input_tokens"] for row in rows)
    assert metered[OUTPUT] == sum(row["output_tokens"] for row in rows)


@given(rows=attempts())
def test_a_charge_is_its_tokens_at_its_price_but_for_the_rounding_of_its_attempts(rows: list[dict[str, Any]]) -> None:
    for charge in hourly_charges(rows, TERMS):
        assert charge.hour_us % HOUR_US == 0
        if charge.nano_usd_per_1m is not None:
            exact = Decimal(charge.tokens * charge.nano_usd_per_1m) / MILLION
            assert -1 < charge.cost_nano_usd - exact < charge.attempts + 1


def test_what_an_attempt_cost_without_tokens_is_charged_apart() -> None:
    cut_short, refused = attempt(1, status="cancelled", cost_nano_usd=77), attempt(2, status="throttle")
    rows = [attempt(0, input_tokens=1000, output_tokens=10), cut_short, refused]
    last = list(hourly_charges(rows, TERMS))[-1]
    assert (last.meter, last.nano_usd_per_1m, last.tokens, last.attempts, last.cost_nano_usd) == (None, None, 0, 1, 77)


def test_prices_that_are_not_those_of_the_ledger_are_an_error() -> None:
    rows = [attempt(0, input_tokens=1_000_000, cost_nano_usd=1)]
    with pytest.raises(BillingError, match=r"small, tenant red.*not the prices they were booked at"):
        list(hourly_charges(rows, TERMS))


def test_an_unknown_price_is_never_nothing() -> None:
    with pytest.raises(BillingError, match="no account 'o-1' in the run"):
        list(hourly_charges([attempt(0, run_us=RUN_US + 1)], TERMS))
    with pytest.raises(BillingError, match="no price of model 'medium'"):
        TERMS.price(RUN_US, "medium")


def test_attempts_out_of_order_are_an_error() -> None:
    with pytest.raises(BillingError, match="not in order"):
        list(hourly_charges([attempt(0, after_s=7200), attempt(1)], TERMS))


@pytest.mark.parametrize("wrong", [{"cached_tokens": 5}, {"input_tokens": -1}, {"cost_nano_usd": -1}])
def test_less_than_nothing_is_an_error(wrong: dict[str, int]) -> None:
    with pytest.raises(BillingError, match="request 0, attempt 1: less than nothing"):
        list(hourly_charges([{**attempt(0), **wrong}], TERMS))


def test_a_month_ends_where_the_next_begins() -> None:
    last_us = month_span_us("2026-12")[1]
    rows = [attempt(0), attempt(1, sent_us=last_us - 1), attempt(2, sent_us=last_us)]
    assert [row["request"] for row in in_month(rows, "2026-12")] == [0, 1]
    assert [row["request"] for row in in_month(rows, "2027-01")] == [2]


def test_a_real_journal_is_charged_at_its_own_prices(tmp_path: Path) -> None:
    fill(tmp_path / "j", 8)
    fill(tmp_path / "j", 4)
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.fold(tmp_path / "j")
    charges = list(hourly_charges(ledger.rows(), read_terms(tmp_path / "j")))
    assert sum(charge.cost_nano_usd for charge in charges) == sum(ledger.spent_nano_usd("tenant").values()) > 0
    assert {(charge.provider, charge.tenant) for charge in charges} == {("openai", "acme")}
