"""An invoice is the sum of its lines, invoices are the sum of the month, and nothing that a name holds gets into a page."""

import csv
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.billing.allocation import AllocationRules, SharedCost, allocate, tenant_uses
from live_adapter.billing.charges import Attempt, in_month
from live_adapter.billing.errors import BillingError
from live_adapter.billing.invoices import UNMETERED, Ended, Invoice, Line, invoice_html, invoices, write_invoice_csv
from live_adapter.billing.money import nano_usd_of
from tests.live_adapter.billing.attempts import TERMS, attempt, attempts

FEE = SharedCost(name="account fees", kind="fixed_fee", amount_nano_usd=10**9 + 1, rule="by-usage", otherwise="evenly")


@given(found=attempts(), month=st.sampled_from(("2026-12", "2027-01")))
def test_invoices_sum_to_what_the_ledger_booked_in_the_month(found: list[Attempt], month: str) -> None:
    made = invoices(found, TERMS, month)
    for invoice in made:
        booked = [row for row in in_month(found, month) if row["tenant"] == invoice.tenant]
        assert invoice.total_nano_usd == sum(row["cost_nano_usd"] for row in booked) == sum(one.cost_nano_usd for one in invoice.ended)
        assert sum(one.attempts for one in invoice.ended) == len(booked)
    assert [invoice.tenant for invoice in made] == sorted({row["tenant"] for row in in_month(found, month)})


@given(found=attempts(), pooled=st.sampled_from((None, "by-usage", "evenly")))
def test_with_shared_costs_each_invoice_is_the_total_of_the_allocation(found: list[Attempt], pooled: Any) -> None:
    found = list(in_month(found, "2026-12"))
    allocation = allocate(AllocationRules(costs=(FEE,), failed_attempts=pooled), tenant_uses(found, {"idle": 0}))
    made = invoices(found, TERMS, "2026-12", allocation)
    assert [one.tenant for one in made] == sorted(allocation.direct_nano_usd)
    assert all(one.total_nano_usd == allocation.total_nano_usd(one.tenant) for one in made)
    assert sum(one.total_nano_usd for one in made) == sum(row["cost_nano_usd"] for row in found) + FEE.amount_nano_usd


def test_lines_are_by_model_and_kind_of_token_and_attempts_that_failed_are_shown() -> None:
    found = [
        attempt(0, input_tokens=1_000_000, cached_tokens=400_000, output_tokens=10_000),
        attempt(1, after_s=9000, status="throttle"),
        attempt(1, attempt=2, after_s=9001, input_tokens=1_000_000),
        attempt(2, after_s=9002, attempt=2, status="cancelled", cost_nano_usd=77),
    ]
    invoice = invoices(found, TERMS, "2026-12")[0]
    assert [(line.kind, line.quantity, line.unit, line.nano_usd_per_1m, line.cost_nano_usd) for line in invoice.lines] == [
        (UNMETERED, 1, "attempts", None, 77), ("Cached Input Tokens", 400_000, "tokens", 75_000_000, 30_000_000),
        ("Input Tokens", 1_600_000, "tokens", 150_000_000, 240_000_000), ("Output Tokens", 10_000, "tokens", 600_000_000, 6_000_000),
    ]  # fmt: skip
    assert invoice.ended == (
        Ended(status="cancelled", attempts=1, repeated=1, cost_nano_usd=77),
        Ended(status="served", attempts=2, repeated=1, cost_nano_usd=276_000_000),
        Ended(status="throttle", attempts=1, repeated=0, cost_nano_usd=0),
    )


def test_an_allocation_of_other_attempts_is_an_error() -> None:
    found = [attempt(0, input_tokens=1000)]
    allocation = allocate(AllocationRules(), tenant_uses([*found, attempt(1, input_tokens=1)]))
    with pytest.raises(BillingError, match=r"tenant red, 2026-12: attempts cost .* made from other attempts"):
        invoices(found, TERMS, "2026-12", allocation)
    with pytest.raises(BillingError, match="must be as 2026-12"):
        invoices(found, TERMS, "December")


def test_csv_has_every_line_and_sums_to_the_total(tmp_path: Path) -> None:
    found = [attempt(n, input_tokens=n, output_tokens=1, tenant=("red", "blue")[n % 2]) for n in range(20)]
    made = invoices(found, TERMS, "2026-12")
    assert write_invoice_csv(tmp_path / "i.csv", made) == sum(len(one.lines) for one in made)
    rows = list(csv.DictReader((tmp_path / "i.csv").open(encoding="utf-8")))
    for invoice in made:
        assert sum(nano_usd_of(row["amount_usd"]) for row in rows if row["tenant"] == invoice.tenant) == invoice.total_nano_usd


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_says_all_and_is_complete_in_itself() -> None:
    hostile = "<script>alert(1)</script>"
    line = Line(item=hostile, kind="Input Tokens", quantity=1_234_567, unit="tokens", nano_usd_per_1m=5, cost_nano_usd=7)
    ended = (Ended(status="failed", attempts=3, repeated=2, cost_nano_usd=1),)
    page = invoice_html(Invoice(month="2026-12", tenant="a&b<i>", lines=(line,), ended=ended), issuer="Forge & Co")
    read = _Page()
    read.feed(page)
    assert not {"script", "i", "link", "img"} & set(read.tags)
    for told in ("Invoice 2026-12, a&b<i>", "From Forge & Co", hostile, "1,234,567", "0.000000007", "failed"):
        assert told in read.text
