"""The ledger's tables, for those who write it and those who only read its sums."""

from pathlib import Path

import sqlalchemy as sa

from live_adapter.errors import LiveError

METADATA = sa.MetaData()
ATTEMPTS = sa.Table(
    "attempts", METADATA,
    sa.Column("run_us", sa.BigInteger, primary_key=True), sa.Column("request", sa.BigInteger, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("tenant", sa.String, nullable=False, index=True), sa.Column("tier", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False), sa.Column("account", sa.String, nullable=False),
    sa.Column("sent_us", sa.BigInteger, nullable=False, index=True), sa.Column("ended_us", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False), sa.Column("cached_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False), sa.Column("cost_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("http_status", sa.Integer), sa.Column("first_token_us", sa.BigInteger), sa.Column("cache_write_tokens", sa.BigInteger),
    sa.Column("reasoning_tokens", sa.BigInteger),
)  # fmt: skip
PRICES = sa.Table(
    "prices", METADATA,
    sa.Column("run_us", sa.BigInteger, primary_key=True), sa.Column("model", sa.String, primary_key=True),
    sa.Column("input_nano_usd_per_1m", sa.BigInteger, nullable=False), sa.Column("cached_nano_usd_per_1m", sa.BigInteger, nullable=False),
    sa.Column("output_nano_usd_per_1m", sa.BigInteger, nullable=False),
)  # fmt: skip
PROVIDERS = sa.Table(
    "providers", METADATA,
    sa.Column("run_us", sa.BigInteger, primary_key=True), sa.Column("account", sa.String, primary_key=True),
    sa.Column("provider", sa.String, nullable=False),
)  # fmt: skip


class LedgerError(LiveError):
    """A ledger that cannot be opened, read or written."""


def demand_there(url: str) -> None:
    """Raise LedgerError unless `url` is an address, and of a file that exists if it is of a file: to open would make one."""
    try:
        known = sa.make_url(url)
        kind = known.get_backend_name()
    except sa.exc.ArgumentError as error:
        raise LedgerError("the ledger's address is none, must be such as sqlite:///ledger.db") from error
    if kind == "sqlite" and (not known.database or not Path(known.database).is_file()):
        raise LedgerError(f"ledger {known.database}: there is no such file; `forge1sim gateway ledger JOURNAL --url {url}` makes it")


def missing_tables(engine: sa.Engine) -> list[str]:
    """Names of the ledger's tables that a database does not have. Raises LedgerError."""
    try:
        there = set(sa.inspect(engine).get_table_names())
    except sa.exc.SQLAlchemyError as error:
        raise LedgerError(f"the ledger cannot be read: {str(error).splitlines()[0]}") from error
    return [name for name in METADATA.tables if name not in there]
