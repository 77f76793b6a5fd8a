"""Invoices: what a tenant owes for a month, by model and kind of token, with what failed or was repeated shown, and shared costs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from live_adapter.billing.allocation import FAILED, Allocation
from live_adapter.billing.charges import Attempt, hourly_charges, in_month
from live_adapter.billing.errors import BillingError
from live_adapter.billing.exports import write_csv
from live_adapter.billing.money import month_span_us, written
from live_adapter.billing.terms import Terms

UNMETERED, SHARED = "Attempts Without Token Counts", "Shared Cost"
INVOICE_COLUMNS = ("month", "tenant", "item", "kind", "quantity", "unit", "usd_per_1m_tokens", "amount_usd")
_STYLE = (
    "body{font:14px/1.4 sans-serif;max-width:52em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;width:100%;margin:1em 0}"
    "th,td{padding:.3em .6em;border-bottom:1px solid #bbb;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tfoot td{font-weight:bold;border-top:2px solid #000}tr{break-inside:avoid}@media print{body{margin:0}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One item: tokens of a model at a price; what attempts cost whose tokens are not known; or a share of a shared cost.

    `quantity` counts tokens, or attempts, or is 1.
    """

    item: str
    kind: str
    quantity: int
    unit: str
    nano_usd_per_1m: int | None
    cost_nano_usd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How attempts ended, for information: their cost is in the lines already. `repeated` were not the first of their request."""

    status: str
    attempts: int
    repeated: int
    cost_nano_usd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A tenant's month (UTC, such as `2026-12`). The total is the sum of the lines."""

    month: str
    tenant: str
    lines: tuple[Line, ...]
    ended: tuple[Ended, ...]

    @property
    def total_nano_usd(self) -> int:
        """All that is owed."""
        return sum(line.cost_nano_usd for line in self.lines)


_Item = tuple[str, str, int | None]


@dataclass(slots=True)
class _Account:
    """What is summed up for a tenant: by item quantity and cost, by status attempts, repeated ones and cost."""

    items: dict[_Item, list[int]] = field(default_factory=dict)
    ended: dict[str, list[int]] = field(default_factory=dict)


def invoices(attempts: Iterable[Attempt], terms: Terms, month: str, allocation: Allocation | None = None) -> list[Invoice]:
    """Invoices of a month, in order of tenants. Attempts come in order of `sent_us`; those of other months are left out.

    Without `allocation` they sum to what the ledger booked in the month. With one, made from the same attempts, each sums to the tenant's
    total there: shares become lines, and attempts that failed leave the tenant's own lines where all bear them.
    Raises BillingError if the month is none, a price is not known, or the allocation is of other attempts.
    """
    month_span_us(month)
    accounts: dict[str, _Account] = {}
    of_month = _noted(in_month(attempts, month), accounts)
    if allocation and any(one.name == FAILED for one in allocation.shared):
        of_month = (attempt for attempt in of_month if attempt["status"] == "served")
    for charge in hourly_charges(of_month, terms):
        key = (charge.model, charge.meter or UNMETERED, charge.nano_usd_per_1m)
        _add(accounts[charge.tenant].items, key, (charge.tokens if charge.meter else charge.attempts, charge.cost_nano_usd))
    if allocation:
        for tenant in allocation.direct_nano_usd:
            accounts.setdefault(tenant, _Account())
    return [_invoice(month, tenant, account, allocation) for tenant, account in sorted(accounts.items())]


def write_invoice_csv(path: Path, found: Iterable[Invoice]) -> int:
    """A row for each line of each invoice; returns how many. Raises OSError."""
    return write_csv(path, INVOICE_COLUMNS, (row for invoice in found for row in invoice_rows(invoice)))


def invoice_html(invoice: Invoice, *, issuer: str) -> str:
    """One page to be printed, complete in itself."""
    lines = "".join(
        f"<tr><td>{escape(line.item)}</td><td>{escape(line.kind)}</td><td class=n>{line.quantity:,}</td><td>{escape(line.unit)}</td>"
        f"<td class=n>{_price(line)}</td><td class=n>{written(line.cost_nano_usd)}</td></tr>\n"
        for line in invoice.lines
    )
    ended = "".join(
        f"<tr><td>{escape(one.status)}</td><td class=n>{one.attempts:,}</td><td class=n>{one.repeated:,}</td>"
        f"<td class=n>{written(one.cost_nano_usd)}</td></tr>\n"
        for one in invoice.ended
    )
    title = escape(f"Invoice {invoice.month}, {invoice.tenant}")
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>\n<h1>{title}</h1>\n"
        f"<p>From {escape(issuer)} to {escape(invoice.tenant)}, for {escape(invoice.month)} (UTC). Amounts in USD.</p>\n"
        "<table><thead><tr><th>Item<th>Kind<th class=n>Quantity<th>Unit<th class=n>USD per 1,000,000<th class=n>Amount</thead>\n"
        f"<tbody>{lines}</tbody>\n<tfoot><tr><td colspan=5>Total<td class=n>{written(invoice.total_nano_usd)}</tfoot></table>\n"
        "<h2>How attempts ended</h2>\n<p>For information: what they cost is in the lines above, or shared by all.</p>\n"
        "<table><thead><tr><th>Status<th class=n>Attempts<th class=n>Of them repeated<th class=n>Cost</thead>\n"
        f"<tbody>{ended}</tbody></table>\n</html>\n"
    )


def _noted(attempts: Iterable[Attempt], accounts: dict[str, _Account]) -> Iterator[Attempt]:
    for attempt in attempts:
        account = accounts.setdefault(attempt["tenant"], _Account())
        _add(account.ended, attempt["status"], (1, int(attempt["attempt"] > 1), attempt["cost_nano_usd"]))
        yield attempt


def _add(sums: dict[Any, list[int]], key: object, more: tuple[int, ...]) -> None:
    sums[key] = [have + one for have, one in zip(sums.get(key, [0] * len(more)), more, strict=True)]


def _invoice(month: str, tenant: str, account: _Account, allocation: Allocation | None) -> Invoice:
    lines = [
        Line(
            item=model, kind=kind, quantity=quantity, unit="attempts" if per_1m is None else "tokens",
            nano_usd_per_1m=per_1m, cost_nano_usd=cost,
        )
        for (model, kind, per_1m), (quantity, cost) in sorted(account.items.items(), key=lambda item: (*item[0][:2], item[0][2] or 0))
    ]  # fmt: skip
    if allocation:
        own = sum(line.cost_nano_usd for line in lines)
        if own != (direct := allocation.direct_nano_usd.get(tenant)):
            told = f"attempts cost {own} nano-USD, the allocation says {direct}"
            raise BillingError(f"tenant {tenant}, {month}: {told}: it was made from other attempts")
        lines += [
            Line(item=one.name, kind=SHARED, quantity=1, unit=one.rule, nano_usd_per_1m=None, cost_nano_usd=one.nano_usd[tenant])
            for one in allocation.shared
        ]
    ended = [
        Ended(status=status, attempts=count, repeated=repeated, cost_nano_usd=cost)
        for status, (count, repeated, cost) in sorted(account.ended.items())
    ]
    return Invoice(month=month, tenant=tenant, lines=tuple(lines), ended=tuple(ended))


def invoice_rows(invoice: Invoice) -> Iterator[Mapping[str, object]]:
    """A row for each line, by INVOICE_COLUMNS; amounts are decimal USD, to the nano."""
    for line in invoice.lines:
        values = (invoice.month, invoice.tenant, line.item, line.kind, line.quantity, line.unit, _price(line), written(line.cost_nano_usd))
        yield dict(zip(INVOICE_COLUMNS, values, strict=True))


def _price(line: Line) -> str:
    return "" if line.nano_usd_per_1m is None else written(line.nano_usd_per_1m)
