"""Rows into files, a batch at a time, so that memory does not grow with how many there are. A file is there whole or not at all."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from live_adapter.billing import focus
from live_adapter.billing.charges import Attempt
from live_adapter.tables import ATTEMPTS

_MOST_ROWS = 10_000
# The smallest digit is a nano-USD per million tokens, for one token.
_PRECISION, _SCALE = 38, 15


def write_attempts_parquet(path: Path, attempts: Iterable[Attempt]) -> int:
    """All attempts with the ledger's columns and types; returns how many. Raises OSError."""
    import pyarrow as pa

    kinds = {sa.BigInteger: pa.int64(), sa.Integer: pa.int32(), sa.String: pa.string()}
    fields = [pa.field(column.name, kinds[type(column.type)], nullable=bool(column.nullable)) for column in ATTEMPTS.columns]
    return _write_parquet(path, pa.schema(fields), attempts)


def write_focus_parquet(path: Path, rows: Iterable[focus.FocusRow]) -> int:
    """FOCUS rows with exact decimals and times in UTC; returns how many. Raises OSError."""
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(focus.DECIMALS, pa.decimal128(_PRECISION, _SCALE)), **dict.fromkeys(focus.TIMES, pa.timestamp("us", tz="UTC")),
    }  # fmt: skip
    return _write_parquet(path, pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in focus.COLUMNS]), rows)


def write_focus_csv(path: Path, rows: Iterable[focus.FocusRow]) -> int:
    """FOCUS rows with decimals written out and times as `2026-12-01T10:00:00Z`; nothing between commas is null. Raises OSError."""
    return write_csv(path, focus.COLUMNS, rows)


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Rows as CSV (UTF-8, lines end with CR LF); returns how many. Raises OSError."""
    names, count = tuple(columns), 0
    with _in_place_of(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in rows:
            writer.writerow([_plain(row[name]) for name in names])
            count += 1
    return count


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        # Readers guess types: a column of whole numbers would be no decimals.
        return f"{value:f}" if value % 1 else f"{value:.1f}"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def _write_parquet(path: Path, schema: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    with _in_place_of(path) as draft, pq.ParquetWriter(draft, schema) as writer:
        for batch in _batches(rows):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, _MOST_ROWS)):
        yield batch


@contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
