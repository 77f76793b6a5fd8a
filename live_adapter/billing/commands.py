"""`forge1sim gateway invoice`, `focus` and `reconcile`: a ledger becomes what is owed, what is reported, and what does not agree."""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from live_adapter.billing.invoices import Invoice
    from live_adapter.billing.reconciling import Compared, Used
    from live_adapter.ledger import Ledger

LedgerUrl = Annotated[str, typer.Option("--ledger", metavar="URL", help="The ledger: sqlite:///FILE or postgresql+psycopg://...")]
Month = Annotated[str, typer.Option(help="Month in UTC, such as 2026-11.")]
_DAY = timedelta(days=1)
_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000


def invoice(
    ledger: LedgerUrl,
    month: Month,
    tenant: Annotated[str | None, typer.Option(help="Whose invoice; without it, those of all tenants.")] = None,
    rules: Annotated[Path | None, typer.Option(help="YAML file of shared costs and how they are shared.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Lines as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Whole nano-USD as JSON.")] = False,
) -> None:
    """What tenants owe for a month: their own use, and their share of what is shared. Exact to the nano-USD."""
    from live_adapter.billing.errors import BillingError
    from live_adapter.billing.invoices import INVOICE_COLUMNS, invoice_rows
    from live_adapter.billing.money import written
    from live_adapter.ledger import Ledger

    if as_csv and as_json:
        raise BillingError("--csv and --json: give one of them")
    every, booked, shared = _invoices(Ledger.existing(ledger), month, rules)
    known = [one.tenant for one in every]
    if tenant is not None and tenant not in known:
        raise BillingError(f"--tenant is {tenant!r}, owes nothing for {month}; who does: {', '.join(known[:10])}")
    chosen = [one for one in every if tenant in (None, one.tenant)]
    owed = sum(one.total_nano_usd for one in every)
    if as_json:
        sums = {"booked_nano_usd": booked, "shared_nano_usd": shared, "all_invoices_nano_usd": owed}
        typer.echo(json.dumps({"month": month, "invoices": [_as_json(one) for one in chosen], "sums": sums}, indent=2))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, INVOICE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _unformulated(value) for name, value in row.items()} for one in chosen for row in invoice_rows(one))
    else:
        for one in chosen:
            _print(one)
    told = f"all {len(every)} invoices: {written(owed)} USD = attempts {written(booked)} + shared costs {written(shared)}"
    typer.echo(told, err=as_csv or as_json)


def focus(
    ledger: LedgerUrl,
    from_day: Annotated[str, typer.Option("--from", metavar="DAY", help="First day in UTC, such as 2026-11-01.")],
    to_day: Annotated[str, typer.Option("--to", metavar="DAY", help="The day that follows the last one.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
) -> None:
    """Write what was used and what it cost as FinOps FOCUS rows."""
    from live_adapter.billing.charges import hourly_charges
    from live_adapter.billing.errors import BillingError
    from live_adapter.billing.exports import write_focus_csv, write_focus_parquet
    from live_adapter.billing.focus import Provenance, focus_rows
    from live_adapter.billing.money import written
    from live_adapter.ledger import Ledger

    first, after = _day("--from", from_day), _day("--to", to_day)
    if first >= after:
        raise BillingError(f"--to is {to_day}, must be after --from, {from_day}: it is the first day that is left out")
    writers = {".csv": write_focus_csv, ".parquet": write_focus_parquet}
    if out.suffix not in writers:
        raise BillingError(f"--out is {out}, must end in .csv or .parquet")
    book = Ledger.existing(ledger)
    span = _us(first), _us(after)
    try:
        count = writers[out.suffix](out, focus_rows(hourly_charges(book.rows(*span), book.terms()), Provenance()))
    except OSError as error:
        raise BillingError(f"--out: {out} cannot be written: {error.strerror}") from error
    typer.echo(f"{out}: {count:,} rows, {written(sum(book.spent_nano_usd('tenant', *span).values()))} USD")


def reconcile(
    ledger: LedgerUrl,
    usage: Annotated[Path, typer.Option(help="The provider's usage export, a CSV file.")],
    month: Month,
    account: Annotated[list[str] | None, typer.Option(help="Account that the export is of; may be repeated. Without it, all.")] = None,
    columns: Annotated[Path | None, typer.Option(help="YAML file: names of the export's `columns`, and the `tolerance`.")] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of the export's days.")] = "UTC",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Compare a month of the ledger with a provider's usage export; exit status 1 if a day and model differ."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from live_adapter.billing.errors import BillingError
    from live_adapter.billing.money import month_span_us
    from live_adapter.billing.reconciling import read_export
    from live_adapter.billing.reconciling import reconcile as reconciled
    from live_adapter.billing.settings import read_export_rules
    from live_adapter.ledger import Ledger

    begins_us, ends_us = month_span_us(month)
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BillingError(f"--timezone is {timezone!r}, is none, such as America/Los_Angeles") from error
    rules, book = read_export_rules(columns), Ledger.existing(ledger)
    known = sorted({name for _, name in book.terms().providers})
    for name in account or ():
        if name not in known:
            raise BillingError(f"--account is {name!r}, the ledger has {', '.join(known)}")
    try:
        export = read_export(usage, rules.columns)
    except OSError as error:
        raise BillingError(f"--usage: {usage} cannot be read: {error.strerror}") from error
    days = _EPOCH + begins_us // _DAY_US * _DAY, _EPOCH + (ends_us // _DAY_US - 1) * _DAY
    # Days of another time zone begin and end elsewhere; `days` leaves out what is too much.
    attempts = book.rows(begins_us - _DAY_US, ends_us + _DAY_US)
    found = reconciled(attempts, export, accounts=account or known, timezone=timezone, tolerance=rules.tolerance, days=days)
    if not found:
        raise BillingError(f"neither {usage} nor the ledger has anything in {month}")
    typer.echo(json.dumps([asdict(one) for one in found], default=str, indent=2) if as_json else _compared_text(found))
    if any(one.verdict != "agrees" for one in found):
        raise typer.Exit(1)


def _invoices(book: "Ledger", month: str, rules: Path | None) -> tuple[list["Invoice"], int, int]:
    """Invoices of all tenants; what the ledger booked, and what was shared on top of it, in nano-USD. They sum up, or it is an error."""
    from live_adapter.billing.allocation import allocate, tenant_uses
    from live_adapter.billing.errors import BillingError
    from live_adapter.billing.invoices import invoices
    from live_adapter.billing.money import moment, month_span_us
    from live_adapter.billing.settings import read_month_rules

    span = month_span_us(month)
    shares = None if rules is None else read_month_rules(rules)
    allocation = None if shares is None else allocate(shares, tenant_uses(book.rows(*span), shares.reserved_ppm))
    found = invoices(book.rows(*span), book.terms(), month, allocation)
    if not found:
        there = book.span_us()
        has = f"from {moment(there[0]):%Y-%m} to {moment(there[1]):%Y-%m}" if there else "none at all"
        raise BillingError(f"--month is {month}: the ledger has no attempts in it, but {has}")
    booked, owed = sum(book.spent_nano_usd("tenant", *span).values()), sum(one.total_nano_usd for one in found)
    shared = 0 if shares is None else sum(cost.amount_nano_usd for cost in shares.costs)
    if owed != booked + shared:
        told = f"invoices sum to {owed} nano-USD, attempts and shared costs to {booked + shared}"
        raise BillingError(f"{month}: {told}: the ledger has grown meanwhile, ask again")
    return found, booked, shared


def _print(one: "Invoice") -> None:
    from live_adapter.billing.money import written

    typer.echo(f"{one.tenant}, {one.month}")
    for line in one.lines:
        typer.echo(f"  {line.item}, {line.kind}: {line.quantity:,} {line.unit}, {written(line.cost_nano_usd)} USD")
    for ended in one.ended:
        told = f"{ended.attempts:,} attempts {ended.status}, {ended.repeated:,} of them repeated"
        typer.echo(f"  ({told}: {written(ended.cost_nano_usd)} USD)")
    typer.echo(f"  total: {written(one.total_nano_usd)} USD")


def _as_json(one: "Invoice") -> dict[str, Any]:
    return {**asdict(one), "total_nano_usd": one.total_nano_usd}


def _compared_text(found: Sequence["Compared"]) -> str:
    lines = [
        f"{one.day} {one.model}: {one.verdict}{' in ' + ', '.join(one.differing) if one.differing else ''}; "
        f"ledger {_used_text(one.ledger)}; provider {_used_text(one.provider)}"
        for one in found
    ]
    agree = sum(one.verdict == "agrees" for one in found)
    return "\n".join([*lines, f"{agree} of {len(found)} days and models agree"])


def _used_text(used: "Used | None") -> str:
    from live_adapter.billing.money import written

    if used is None:
        return "nothing"
    cost = None if used.cost_nano_usd is None else f"{written(used.cost_nano_usd)} USD"
    counts = [None if count is None else f"{count:,} {what}" for count, what in ((used.input_tokens, "in"), (used.output_tokens, "out"))]
    return ", ".join(text for text in (*counts, cost) if text is not None)


def _unformulated(value: object) -> object:
    """Spreadsheets run what begins like this as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _day(option: str, text: str) -> date:
    from live_adapter.billing.errors import BillingError

    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise BillingError(f"{option} is {text!r}, must be a day, such as 2026-11-01") from error


def _us(day: date) -> int:
    return (day - _EPOCH).days * _DAY_US
