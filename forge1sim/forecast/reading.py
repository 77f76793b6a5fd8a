"""Files that a forecast can start from: recorded traces, ServeGen clients, ledgers of counts or of requests."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.forecast.history import HOUR_S, MINUTE_S, TOKENS, Floats, History, Tally, trimmed
from forge1sim.forecast.servegen import history_of_clients
from forge1sim.workload.clients import read_clients
from forge1sim.workload.columns import Batch, read_table
from forge1sim.workload.files import TraceFile
from forge1sim.workload.readers import Labels, Reader
from forge1sim.workload.spec import Arena, Azure, Bailian, BurstGPT, FileTrace, Mooncake

TRACES: dict[str, type[Azure] | type[BurstGPT] | type[Mooncake] | type[Bailian] | type[Arena]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in (Azure, BurstGPT, Mooncake, Bailian, Arena)
}
FORMATS = (*TRACES, "servegen", "ledger")
LEDGER_COLUMNS = ("timestamp", "arrive_s", "requests", *TOKENS, "tenant", "model")
_DATED = ("azure",)
_MAX_BYTES = 4 * 2**30
_REQUESTS_MAX = 1e15
# The columns that tell a format; the first that the file has all of.
_MARKS = {
    "azure": {"TIMESTAMP", "ContextTokens"}, "burstgpt": {"Timestamp", "Request tokens"}, "arena": {"adapter_dir", "req_time"},
    "servegen": {"client_id", "window_start_s", "rate"}, "bailian": {"parent_chat_id", "input_length"},
    "mooncake": {"timestamp", "input_length"}, "agent_sessions": {"session_id", "t", "prefix_tokens_shared_with_previous"},
}  # fmt: skip


def read_history(
    path: str | Path, *, format: str | None = None, columns: Mapping[str, str] | None = None, only: Mapping[str, str] | None = None,
    lengths: str | Path | None = None, missing_rows: str = "gap",
) -> History:  # fmt: skip
    """Demand by hour from a file, plain or gzip. Rows may be in any order of time.

    Args:
        path: the file; of `servegen` the arrivals.
        format: one of FORMATS; by default told by its columns, and a ledger if these are of no known trace.
        columns: of a ledger, what LEDGER_COLUMNS are called in the file; by default by their own names. With `requests` a row counts
            the requests of a minute, an hour or another part of an hour that begins at its time; without, a row is a request.
        only: count rows of this `tenant` or `model` alone.
        lengths: of `servegen` the file of token quantiles.
        missing_rows: what a minute or hour without any row means in a ledger of counts: `gap`, not recorded, or `zero`, no request.

    Raises:
        TraceError: a file that is missing, malformed, too short, or of no use; the message names file, field and value.
    """
    file = TraceFile(Path(path), _MAX_BYTES)
    if not file.path.is_file():
        raise TraceError(f"{file.name}: there is no such file")
    found = format or _told_format(file)
    if found not in FORMATS:
        extra = "; recorded sessions have no time of day" if found == "agent_sessions" else ""
        raise TraceError(f"{file.name}: format {found!r} cannot be forecast{extra}; there are {', '.join(FORMATS)}")
    if missing_rows not in ("gap", "zero"):
        raise TraceError(f"{file.name}: missing_rows is {missing_rows!r}, must be gap or zero")
    if columns and found != "ledger":
        raise TraceError(f"{file.name}: columns are given for format {found}; only a ledger's can be named")
    if only and found == "servegen":
        raise TraceError(f"{file.name}: only={dict(only)} cannot be told apart in format servegen; leave it out")
    if found == "servegen":
        if lengths is None:
            raise TraceError(f"{file.name}: format servegen needs the file of lengths, too (lengths=..., --lengths FILE)")
        return history_of_clients(read_clients(file, TraceFile(Path(lengths), _MAX_BYTES)), file.name)
    if found == "ledger":
        return _Ledger(file, dict(columns or {}), dict(only or {}), missing_rows).history()
    return _trace_history(file, TRACES[found](kind=found, path=file.name), dict(only or {}), found in _DATED)


def column_names(file: TraceFile) -> list[str]:
    """Names of the columns of a table, or of the fields of the first JSON line. Raises TraceError."""
    if file.is_parquet:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(file.path).names)
        except (pa.ArrowException, OSError) as error:
            raise TraceError(f"{file.name}: is no readable Parquet file ({error})") from error
    for _, line in file.lines():
        if line.lstrip().startswith("{"):
            import json

            try:
                return list(json.loads(line))
            except ValueError as error:
                raise TraceError(f"{file.name}: line 1: is no JSON object: {error}") from error
        return next(csv.reader([line]))
    raise TraceError(f"{file.name}: is empty")


def _told_format(file: TraceFile) -> str:
    names = set(column_names(file))
    return next((name for name, marks in _MARKS.items() if marks <= names), "ledger")


def _trace_history(file: TraceFile, source: FileTrace, only: dict[str, str], dated: bool) -> History:
    """A trace of requests: each row is one. Its first and last hours count only if it fills them."""
    reader = Reader(source, file)
    tally = Tally(file.name, MINUTE_S, ("requests", *TOKENS))
    for rows in reader.batches():
        used = rows["failed"] == 0
        for field, labels in (("tenant", reader.tenants), ("model", reader.models)):
            if field in only:
                used = used & (rows[field] == labels.numbers.get(only[field], -2))
        values = {"requests": np.ones(rows.size), **{name: rows[name].astype(np.float64) for name in TOKENS}}
        tally.add(rows["time_us"], values, used)
    for field, labels in (("tenant", reader.tenants), ("model", reader.models)):
        _demand_label(file, field, only, labels)
    return _of_requests(tally, file.name, dated, TOKENS)


def _of_requests(tally: Tally, source: str, dated: bool, tokens: tuple[str, ...]) -> History:
    """From rows that are requests: a minute without any had none, but what lies before the first and after the last is not known."""
    bins = tally.bins()
    first_us = int(bins[0]) * MINUTE_S // HOUR_S * HOUR_S * 1_000_000
    sums, seen = tally.table(MINUTE_S, first_us)
    flat = seen.ravel()
    sums[:, ~_between(flat).reshape(seen.shape)] = np.nan
    return _history(sums, tokens, first_us, source, dated)


def _between(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which places lie between the first and the last seen, both included."""
    places = np.flatnonzero(seen)
    inside = np.zeros(seen.size, np.bool_)
    inside[places[0] : places[-1] + 1] = True
    return inside


def _history(sums: Floats, tokens: tuple[str, ...], first_us: int, source: str, dated: bool) -> History:
    counts, by_hour, start_us = trimmed(sums[0], {name: sums[1 + at].sum(axis=1) for at, name in enumerate(tokens)}, first_us)
    return History(source=source, start_us=start_us, dated=dated, counts=counts, tokens=by_hour)


def _demand_label(file: TraceFile, field: str, only: Mapping[str, str], labels: Labels) -> None:
    if field in only and only[field] not in labels.numbers:
        known = ", ".join(list(labels.numbers)[:20]) or f"none, for this format has no {field}"
        raise TraceError(f"{file.name}: no row has {field} {only[field]!r}; there are {known:.300}")


@dataclass
class _Ledger:
    """A table of counts, or of requests, by a map of columns."""

    file: TraceFile
    columns: dict[str, str]
    only: dict[str, str]
    missing_rows: str

    def history(self) -> History:
        """Read it. Raises TraceError."""
        names = self._named()
        tokens = tuple(name for name in TOKENS if name in names)
        counted = "requests" in names
        tally = Tally(self.file.name, MINUTE_S, ("requests", *tokens))
        labels = {field: Labels() for field in self.only}
        numbers = tuple(names[field] for field in ("arrive_s", "requests", *tokens) if field in names)
        texts = tuple(names[field] for field in ("timestamp", *self.only) if field in names)
        for batch in read_table(self.file, numbers, texts):
            times_us = self._times(batch, names, counted)
            used = np.ones(len(batch), np.bool_)
            for field, wanted in self.only.items():
                found = batch.labels(names[field])
                labels[field].number(found, self.file)
                used &= np.array([label == wanted for label in found])
            values = {"requests": _amounts(batch, names["requests"]) if counted else np.ones(len(batch))}
            values |= {name: _amounts(batch, names[name]) for name in tokens}
            tally.add(times_us, values, used)
        for field in self.only:
            _demand_label(self.file, field, self.only, labels[field])
        dated = "timestamp" in names
        return self._of_counts(tally, dated, tokens) if counted else _of_requests(tally, self.file.name, dated, tokens)

    def _named(self) -> dict[str, str]:
        """Column of each field that the ledger has. Raises TraceError for unknown fields, missing columns, no or two times."""
        found = column_names(self.file)
        for field, column in self.columns.items():
            if field not in LEDGER_COLUMNS:
                raise TraceError(f"{self.file.name}: {field!r} is no field of a ledger; there are {', '.join(LEDGER_COLUMNS)}")
            if column not in found:
                raise TraceError(f"{self.file.name}: has no column {column!r} for {field}; its columns are {', '.join(found):.500}")
        timed = any(field in self.columns for field in ("timestamp", "arrive_s"))
        own = [field for field in LEDGER_COLUMNS if field in found and not (timed and field in ("timestamp", "arrive_s"))]
        names = {**{field: field for field in own}, **self.columns}
        if ("timestamp" in names) == ("arrive_s" in names):
            raise TraceError(
                f"{self.file.name}: needs one column of times, timestamp (date and time) or arrive_s (seconds); say which by "
                f"columns={{'timestamp': NAME}} or --column timestamp=NAME. Its columns are {', '.join(found):.400}"
            )
        for field in self.only:
            if field not in ("tenant", "model") or field not in names:
                raise TraceError(f"{self.file.name}: only {field!r}: there is no such column to choose by; name it by columns or --column")
        return names

    def _times(self, batch: Batch, names: Mapping[str, str], counted: bool) -> NDArray[np.int64]:
        field = "timestamp" if "timestamp" in names else "arrive_s"
        times_us = batch.stamps_us(names[field]) if field == "timestamp" else batch.seconds_us(names[field])
        if counted:
            batch.refuse(times_us % (MINUTE_S * 1_000_000) != 0, names[field], "must begin a minute, an hour or another whole part "
                         "of an hour, as rows are counts; without a column of requests each row is one")  # fmt: skip
        return times_us

    def _of_counts(self, tally: Tally, dated: bool, tokens: tuple[str, ...]) -> History:
        minutes = tally.bins()
        step = math.gcd(*(int(each) for each in np.diff(minutes)), 60) if minutes.size > 1 else 60
        if minutes.size > 1 and int(np.diff(minutes).min()) > 60:
            raise TraceError(f"{self.file.name}: its rows are {int(np.diff(minutes).min())} minutes apart or more; a forecast needs "
                             "counts of hours or of parts of an hour")  # fmt: skip
        # Hours are as the ledger has them, even if they begin at half past.
        first_us = (int(minutes[0]) if step == 60 else int(minutes[0]) // 60 * 60) * MINUTE_S * 1_000_000
        sums, seen = tally.table(step * MINUTE_S, first_us)
        if self.missing_rows == "gap":
            sums[:, ~seen] = np.nan
        else:
            sums[:, ~_between(seen.ravel()).reshape(seen.shape)] = np.nan
        try:
            return _history(sums, tokens, first_us, self.file.name, dated)
        except TraceError as error:
            if seen.all() or self.missing_rows == "zero":
                raise
            raise TraceError(f"{error}. {int((~seen).sum())} of {seen.size} intervals of {step} min have no row; if nobody asked in "
                             "them, say missing_rows='zero' or --missing zero") from error  # fmt: skip


def _amounts(batch: Batch, column: str) -> Floats:
    """Numbers from 0 on, fractions allowed."""
    values = batch.numbers(column)
    batch.refuse((values < 0) | (values > _REQUESTS_MAX), column, f"must be 0 or more, and at most {_REQUESTS_MAX:.0e}")
    return values
