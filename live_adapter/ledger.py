"""The ledger: a row for each attempt, folded from journals into a database. Folding again changes nothing.

Keys are the run (when its gateway began), the request and the attempt, so that whatever is folded twice, or by two at once, is there once.
Money is whole nano-USD. SQLite by default; PostgreSQL by address.
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql, sqlite

from live_adapter.billing.terms import Price, Terms, terms_of_head
from live_adapter.journal import FACTS, HEAD, LOG, Frame, read_journal
from live_adapter.tables import ATTEMPTS, METADATA, PRICES, PROVIDERS, LedgerError, demand_there, missing_tables
from policies.log import CANCEL, COMPLETE, DISPATCH, LOW_32, PREEMPTED, REFUSAL_NAMES, REFUSED, REJECT

_MOST_ROWS = 2_000
_DATABASES = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_WIRE = ("http_status", "first_token_us", "cache_write_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class _Sent:
    attempt: int
    deployment: int
    tenant: int
    tier: int
    time_us: int


class Ledger:
    """One database. `url` is SQLAlchemy's, such as `sqlite:///ledger.db`. Raises LedgerError."""

    def __init__(self, url: str, *, make: bool = True) -> None:
        try:
            self._engine = sa.create_engine(url)
            self._insert: Any = _DATABASES[self._engine.dialect.name]
            if make:
                METADATA.create_all(self._engine)
        except KeyError:
            raise LedgerError(f"{sa.make_url(url).drivername}: not one of {', '.join(_DATABASES)}") from None
        except (sa.exc.ArgumentError, sa.exc.SQLAlchemyError, ImportError) as error:
            raise LedgerError(f"the ledger cannot be opened: {str(error).splitlines()[0]}") from error

    @classmethod
    def existing(cls, url: str) -> "Ledger":
        """A ledger to read from: one that is not there is an error, not an empty one. Raises LedgerError."""
        demand_there(url)
        ledger = cls(url, make=False)
        if missing := missing_tables(ledger.engine):
            raise LedgerError(f"the ledger has no table {missing[0]!r}: fold its journal again (`forge1sim gateway ledger`)")
        return ledger

    @property
    def engine(self) -> sa.Engine:
        """The database, for those who ask it for sums of their own."""
        return self._engine

    def fold(self, folder: Path) -> int:
        """Take over what a journal holds; returns how many attempts of it have ended. Raises JournalError or LedgerError."""
        fold, count = _Fold(), 0
        runs: set[int] = set()
        try:
            for frame in read_journal(folder):
                if frame.kind == HEAD and frame.head["start_us"] not in runs:
                    runs.add(frame.head["start_us"])
                    self._write_terms(terms_of_head(frame.head))
                rows, facts = fold.take(frame)
                count += len(rows)
                self._write(rows, facts)
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"the ledger cannot be written: {str(error).splitlines()[0]}") from error
        return count

    def terms(self) -> Terms:
        """Prices and providers of all runs folded in, for `live_adapter.billing`."""
        with self._engine.connect() as connection:
            prices = {(run, model): Price(*per_1m) for run, model, *per_1m in connection.execute(sa.select(PRICES))}
            providers = {(run, account): provider for run, account, provider in connection.execute(sa.select(PROVIDERS))}
        return Terms(prices=prices, providers=providers)

    def span_us(self) -> tuple[int, int] | None:
        """When the first attempt was sent, and the last; None of an empty ledger."""
        with self._engine.connect() as connection:
            first, last = connection.execute(sa.select(sa.func.min(ATTEMPTS.c.sent_us), sa.func.max(ATTEMPTS.c.sent_us))).one()
        return None if first is None else (int(first), int(last))

    def rows(self, from_us: int = 0, to_us: int = 2**62) -> Iterator[dict[str, Any]]:
        """The attempts sent in [from, to), by when they were sent."""
        order = (ATTEMPTS.c.sent_us, ATTEMPTS.c.run_us, ATTEMPTS.c.request, ATTEMPTS.c.attempt)
        with self._engine.connect().execution_options(yield_per=_MOST_ROWS) as connection:
            asked = sa.select(ATTEMPTS).where(ATTEMPTS.c.sent_us >= from_us, ATTEMPTS.c.sent_us < to_us)
            for row in connection.execute(asked.order_by(*order)).mappings():
                yield dict(row)

    def spent_nano_usd(self, by: str, from_us: int = 0, to_us: int = 2**62) -> dict[str, int]:
        """What attempts sent in [from, to) cost, by `tenant`, `tier`, `model` or `account`."""
        column = ATTEMPTS.c[by]
        asked = sa.select(column, sa.func.sum(ATTEMPTS.c.cost_nano_usd)).where(ATTEMPTS.c.sent_us >= from_us, ATTEMPTS.c.sent_us < to_us)
        with self._engine.connect() as connection:
            return {str(name): int(cost) for name, cost in connection.execute(asked.group_by(column).order_by(column))}

    def write_csv(self, file: TextIO) -> None:
        """All attempts as CSV, row by row."""
        writer = csv.DictWriter(file, [column.name for column in ATTEMPTS.columns])
        writer.writeheader()
        writer.writerows(self.rows())

    def _write_terms(self, terms: Terms) -> None:
        prices = [{"run_us": run, "model": model, **asdict(price)} for (run, model), price in terms.prices.items()]
        providers = [{"run_us": run, "account": account, "provider": name} for (run, account), name in terms.providers.items()]
        with self._engine.begin() as connection:
            for table, rows in ((PRICES, prices), (PROVIDERS, providers)):
                connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def _write(self, rows: list[dict[str, Any]], facts: list[dict[str, Any]]) -> None:
        if not rows and not facts:
            return
        key = sa.and_(ATTEMPTS.c.run_us == sa.bindparam("of_run"), ATTEMPTS.c.request == sa.bindparam("of_request"),
                      ATTEMPTS.c.attempt == sa.bindparam("of_attempt"))  # fmt: skip
        with self._engine.begin() as connection:
            for at in range(0, len(rows), _MOST_ROWS):
                connection.execute(self._insert(ATTEMPTS).on_conflict_do_nothing(), rows[at : at + _MOST_ROWS])
            if facts:
                seen: Any = {name: sa.bindparam(f"of_{name}") for name in _WIRE}
                connection.execute(sa.update(ATTEMPTS).where(key).values(seen), facts)


class _Fold:
    """Rows of a journal become attempts that have ended, and facts about them."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._under_way: dict[int, _Sent] = {}

    def take(self, frame: Frame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if frame.kind == HEAD:
            if self._head.get("start_us") != frame.head["start_us"]:
                self._under_way = {}
            self._head = frame.head
        if frame.kind == LOG:
            return [found for row in frame.rows if (found := self._row(row)) is not None], []
        if frame.kind == FACTS:
            return [], [self._fact(row) for row in frame.rows]
        return [], []

    def _row(self, row: NDArray[np.void]) -> dict[str, Any] | None:
        kind, request = int(row["kind"]), int(row["request"])
        if kind == DISPATCH:
            where = (int(row[name]) for name in ("attempt", "deployment", "tenant", "limit", "time_us"))
            self._under_way[request] = _Sent(*where)
            return None
        if kind == COMPLETE:
            tokens, output, cost = int(row["v0"]), int(row["v1"]), int(row["v2"])
            return self._ended(row, "served", tokens & LOW_32, tokens >> 32, output, cost)
        if kind == REFUSED:
            return self._ended(row, REFUSAL_NAMES[int(row["code"])], 0, 0, 0, int(row["v2"]))
        if (kind == CANCEL and row["v0"] == 1) or (kind == REJECT and row["code"] == PREEMPTED):
            return self._ended(row, "cancelled" if kind == CANCEL else "preempted", 0, 0, 0, int(row["v4"]))
        return None

    def _ended(
        self, row: NDArray[np.void], status: str, input_tokens: int, cached_tokens: int, output_tokens: int, cost: int
    ) -> dict[str, Any] | None:
        sent = self._under_way.pop(int(row["request"]), None)
        if sent is None:
            return None
        head = self._head
        account, model = head["deployments"][sent.deployment]
        return {
            "run_us": head["start_us"], "request": int(row["request"]), "attempt": sent.attempt, "tenant": head["tenants"][sent.tenant],
            "tier": head["tiers"][sent.tier], "model": model, "account": account, "sent_us": sent.time_us, "ended_us": int(row["time_us"]),
            "status": status, "input_tokens": input_tokens, "cached_tokens": cached_tokens, "output_tokens": output_tokens,
            "cost_nano_usd": cost,
        }  # fmt: skip

    def _fact(self, row: NDArray[np.void]) -> dict[str, Any]:
        seen = {f"of_{name}": int(row[name]) if row[name] >= 0 else None for name in _WIRE}
        return {"of_run": self._head["start_us"], "of_request": int(row["request"]), "of_attempt": int(row["attempt"]), **seen}
