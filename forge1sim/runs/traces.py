"""A recorded trace that somebody uploads: which format it has, and the scenario that replays it."""

import csv
import json
from pathlib import Path
from typing import Any

from forge1sim.errors import TraceError
from forge1sim.runs.forms import Document

SUFFIXES = (".csv", ".jsonl", ".parquet")
_MOST_HEADER_BYTES = 1024 * 1024
_FORMATS = (
    ("azure", {"TIMESTAMP", "ContextTokens", "GeneratedTokens"}),
    ("burstgpt", {"Timestamp", "Request tokens", "Response tokens"}),
    ("arena", {"adapter_dir", "prompt_len", "output_len", "req_time"}),
    ("bailian", {"timestamp", "input_length", "output_length", "hash_ids", "chat_id"}),
    ("mooncake", {"timestamp", "input_length", "output_length", "hash_ids"}),
)
_OPTIONAL = ("cached_tokens", "max_output_tokens", "complexity", "tenant", "model")


def source_of(path: Path, name: str) -> dict[str, Any]:
    """The workload source that replays a trace file called `name`.

    Raises TraceError if its columns are those of no format that is known.
    """
    columns = _columns(path, name)
    for kind, needed in _FORMATS:
        if needed <= columns:
            return {"kind": kind, "path": name}
    times = [column for column in ("arrive_s", "timestamp") if column in columns]
    if times and {"input_tokens", "output_tokens"} <= columns:
        mapped = {times[0]: times[0]} | {column: column for column in _OPTIONAL if column in columns}
        return {"kind": "table", "path": name, "columns": mapped}
    shown = ", ".join(sorted(columns)[:12])
    raise TraceError(
        f"{name}: its columns ({shown}) are those of no known trace; rename them to arrive_s (seconds) or timestamp, "
        "input_tokens and output_tokens, or write a workload source with a map of columns"
    )


def replaying(document: Document, path: Path, name: str) -> Document:
    """A scenario's document with its requests taken from a trace, everything else as it is. Raises TraceError."""
    workload = document.get("workload")
    workload = dict(workload) if isinstance(workload, dict) else {}
    return {**document, "name": Path(name).stem.replace("_", " "), "workload": {**workload, "sources": [source_of(path, name)]}}


def _columns(path: Path, name: str) -> set[str]:
    """The names of a file's columns; of a JSON line's fields."""
    suffix = Path(name).suffix.lower()
    try:
        if suffix == ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415

            return set(pq.read_schema(path).names)
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(_MOST_HEADER_BYTES)
        if suffix == ".jsonl":
            first = json.loads(line)
            return set(first) if isinstance(first, dict) else set()
        return set(next(csv.reader([line]), []))
    except (OSError, ValueError, csv.Error) as error:
        kind = suffix.removeprefix(".").upper() or "trace"
        raise TraceError(f"{name}: cannot be read as {kind}: {' '.join(str(error).split())[:200]}") from error
