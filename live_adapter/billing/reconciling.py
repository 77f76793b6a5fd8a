"""The ledger against what a provider says was used: line by line of day and model, with a tolerance.

A provider's export is a CSV file with a day, a model, tokens and a cost in each row; which columns those are is told by `Columns`.
Rows of one day and model are summed, as exports split them by key, project or kind of token.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from live_adapter.billing.charges import Attempt, tokens_of
from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import moment, nano_usd_of

Verdict = Literal["agrees", "differs", "ledger only", "provider only"]
_MOST_TOKENS = 10**18
_SECONDS = 10**11
_Key = tuple[date, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a provider's export calls its columns; None for what it does not tell, which is then not compared.

    `input_tokens` has the cached ones in it, unless `cached_is_apart`. `models` turns a provider's names of models into ours.
    Days are dates (`2026-12-01`, with or without a time after it) or seconds since the epoch.
    """

    day: str = "date"
    model: str = "model"
    input_tokens: str | None = "input_tokens"
    cached_tokens: str | None = None
    output_tokens: str | None = "output_tokens"
    cost_usd: str | None = "cost_usd"
    cached_is_apart: bool = False
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Used:
    """Of a day and model: input tokens (cached ones in it), output tokens, nano-USD. None: not told.

    The ledger has the cost alone of `untold` attempts: its tokens are then the least that there were.
    """

    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    untold: int = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            _sum(self.input_tokens, other.input_tokens), _sum(self.output_tokens, other.output_tokens),
            _sum(self.cost_nano_usd, other.cost_nano_usd), self.untold + other.untold,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What still agrees: a difference up to `ppm` parts per million of the provider's figure, or up to so many tokens or nano-USD."""

    ppm: int = 1_000
    tokens: int = 0
    nano_usd: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("ppm", "tokens", "nano_usd"):
            if getattr(self, name) < 0:
                raise BillingError(f"tolerance.{name} is {getattr(self, name)}, must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One day and model as both have it. `differing` names the figures beyond tolerance."""

    day: date
    model: str
    verdict: Verdict
    ledger: Used | None
    provider: Used | None
    differing: tuple[str, ...] = ()


def reconcile(
    attempts: Iterable[Attempt], export: Mapping[_Key, Used], *, accounts: Iterable[str], timezone: str = "UTC",
    tolerance: Tolerance | None = None, days: tuple[date, date] | None = None,
) -> list[Compared]:  # fmt: skip
    """Every day and model that either has, in order. `accounts` are those that the export is of, `timezone` the one of its days.

    `days` are the first and the last to compare, both included. Without it all are: mind that a day cut off at either end differs.
    An attempt is of the day on which it was sent. Where the ledger has the cost alone of some attempts, more tokens at the provider agree.
    """
    ledger = _ledger(attempts, frozenset(accounts), ZoneInfo(timezone))
    allowed = tolerance or Tolerance()
    keys = sorted(key for key in ledger.keys() | export.keys() if days is None or days[0] <= key[0] <= days[1])
    return [_compared(key, ledger.get(key), export.get(key), allowed) for key in keys]


def read_export(path: Path, columns: Columns) -> dict[_Key, Used]:
    """A provider's export by day and model. Raises BillingError naming file, line, column and value; OSError."""
    found: dict[_Key, Used] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            _demand_columns(path, columns, tuple(reader.fieldnames or ()))
            for row in reader:
                key, used = _read(_Line(f"{path.name}, line {reader.line_num}", row), columns)
                found[key] = found[key] + used if key in found else used
        except (csv.Error, UnicodeDecodeError) as error:
            raise BillingError(f"{path.name}, after line {reader.line_num}: is no CSV in UTF-8: {error}") from error
    return found


def _demand_columns(path: Path, columns: Columns, there: tuple[str, ...]) -> None:
    asked = (columns.day, columns.model, columns.input_tokens, columns.cached_tokens, columns.output_tokens, columns.cost_usd)
    missing = [name for name in asked if name is not None and name not in there]
    if missing:
        raise BillingError(f"{path.name}: has no column {missing[0]!r}, only {', '.join(there) or 'none'}")


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    row: Mapping[str, str | None]

    def text(self, column: str) -> str:
        found = (self.row[column] or "").strip()
        if not found:
            raise BillingError(f"{self.where}: {column} is empty")
        return found

    def tokens(self, column: str | None) -> int | None:
        """Nothing between commas is no tokens, as in exports that have a row for each kind."""
        if column is None:
            return None
        text = (self.row[column] or "0").strip().replace(",", "") or "0"
        if not text.isascii() or not text.removesuffix(".0").isdigit() or len(text) > 20 or int(text.removesuffix(".0")) > _MOST_TOKENS:
            raise BillingError(f"{self.where}: {column} is {text[:40]!r}, must be a whole number of tokens")
        return int(text.removesuffix(".0"))

    def cost_nano_usd(self, column: str | None) -> int | None:
        if column is None:
            return None
        try:
            return nano_usd_of(self.row[column] or "0")
        except BillingError as error:
            raise BillingError(f"{self.where}: {column}: {error}") from error

    def day(self, column: str) -> date:
        text = self.text(column)
        try:
            if text.isdigit() and len(text) > 8 and int(text) < _SECONDS:
                return datetime.fromtimestamp(int(text), tz=UTC).date()
            return datetime.fromisoformat(text).date()
        except (ValueError, OverflowError) as error:
            raise BillingError(f"{self.where}: {column} is {text[:40]!r}, must be a day, such as 2026-12-01") from error


def _read(line: _Line, columns: Columns) -> tuple[_Key, Used]:
    name = line.text(columns.model)
    tokens, cached = line.tokens(columns.input_tokens), line.tokens(columns.cached_tokens)
    if columns.cached_is_apart:
        tokens = _sum(tokens, cached or 0)
    used = Used(tokens, line.tokens(columns.output_tokens), line.cost_nano_usd(columns.cost_usd))
    return (line.day(columns.day), columns.models.get(name, name)), used


def _ledger(attempts: Iterable[Attempt], accounts: frozenset[str], zone: ZoneInfo) -> dict[_Key, Used]:
    found: dict[_Key, Used] = {}
    for attempt in attempts:
        if attempt["account"] in accounts:
            plain, cached, output = tokens_of(attempt)
            cost: int = attempt["cost_nano_usd"]
            if plain or cached or output or cost:
                key = moment(attempt["sent_us"]).astimezone(zone).date(), attempt["model"]
                used = Used(plain + cached, output, cost, untold=int(not (plain or cached or output)))
                found[key] = found[key] + used if key in found else used
    return found


def _compared(key: _Key, ledger: Used | None, provider: Used | None, tolerance: Tolerance) -> Compared:
    differing: tuple[str, ...] = ()
    if ledger is None or provider is None:
        verdict: Verdict = "provider only" if ledger is None else "ledger only"
    else:
        differing = tuple(_differing(ledger, provider, tolerance))
        verdict = "differs" if differing else "agrees"
    return Compared(day=key[0], model=key[1], verdict=verdict, ledger=ledger, provider=provider, differing=differing)


def _differing(ledger: Used, provider: Used, tolerance: Tolerance) -> Iterator[str]:
    pairs = (
        ("input_tokens", ledger.input_tokens, provider.input_tokens, tolerance.tokens),
        ("output_tokens", ledger.output_tokens, provider.output_tokens, tolerance.tokens),
        ("cost_nano_usd", ledger.cost_nano_usd, provider.cost_nano_usd, tolerance.nano_usd),
    )
    for name, ours, theirs, least in pairs:
        if ours is None or theirs is None:
            continue
        apart = abs(ours - theirs)
        may_be_more = ledger.untold > 0 and name != "cost_nano_usd" and theirs > ours
        if apart > least and apart * 1_000_000 > abs(theirs) * tolerance.ppm and not may_be_more:
            yield name


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
