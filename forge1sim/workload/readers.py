"""The formats of recorded traces, read into one record: `RECORD` rows in batches."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.workload.columns import BATCH_ROWS, SECONDS_MAX, Batch, read_table
from forge1sim.workload.files import TraceFile
from forge1sim.workload.spec import (
    ROWS_MAX,
    TOKENS_MAX,
    Arena,
    Azure,
    Bailian,
    BurstGPT,
    Columns,
    FileTrace,
    Mooncake,
)

RECORD = np.dtype(
    [
        ("row", "<i8"), ("time_us", "<i8"),              # data row from 1; the trace's own clock
        ("input_tokens", "<i8"), ("output_tokens", "<i8"),
        ("cached_tokens", "<i8"), ("max_output_tokens", "<i8"), ("complexity_pm", "<i8"),  # -1: not said
        ("tenant", "<i8"), ("model", "<i8"),             # number of the label; -1: none
        ("together", "<i8"),                             # rows of equal number go to one tenant
        ("failed", "<i8"),                               # 1: the recorded call failed
    ]
)  # fmt: skip
LABELS_MAX = 5_000_000
_CHATS_MAX = 2_000_000


class Labels:
    """Texts numbered in order of first appearance."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, texts: list[str], file: TraceFile) -> list[int]:
        """A number for each text. Raises TraceError beyond LABELS_MAX different ones."""
        result = [self.numbers.setdefault(text, len(self.numbers)) for text in texts]
        if len(self.numbers) > LABELS_MAX:
            raise TraceError(f"{file.name}: has more than {LABELS_MAX:,} different tenants or models")
        return result


class Reader:
    """Reads one trace; labels stay numbered alike over repeated readings."""

    def __init__(self, source: FileTrace, file: TraceFile) -> None:
        self.source, self.file = source, file
        self.tenants, self.models = Labels(), Labels()

    def batches(self) -> Iterator[NDArray[np.void]]:
        """Arrays of dtype RECORD in the order of the file, none empty. Raises TraceError."""
        source = self.source
        if isinstance(source, Mooncake | Bailian):
            return self._blocks(source)
        if isinstance(source, Azure):
            return self._azure(source)
        if isinstance(source, BurstGPT):
            return self._burstgpt()
        if isinstance(source, Arena):
            return self._table(_ARENA)
        return self._table(source.columns)

    def _azure(self, source: Azure) -> Iterator[NDArray[np.void]]:
        names = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
        for batch in read_table(self.file, names[1:], names[:1], source.limit_rows):
            rows = _blank(batch)
            rows["time_us"] = batch.stamps_us("TIMESTAMP")
            rows["input_tokens"], rows["output_tokens"] = batch.tokens("ContextTokens"), batch.tokens("GeneratedTokens")
            if "NumImages" in batch:
                images = batch.tokens("NumImages") * source.tokens_per_image
                rows["input_tokens"] = np.minimum(rows["input_tokens"] + images, TOKENS_MAX)
            yield rows

    def _burstgpt(self) -> Iterator[NDArray[np.void]]:
        names = ("Timestamp", "Request tokens", "Response tokens")
        for batch in read_table(self.file, names, ("Model",), self.source.limit_rows):
            rows = _blank(batch)
            rows["time_us"] = batch.seconds_us("Timestamp")
            rows["input_tokens"], rows["output_tokens"] = batch.tokens(names[1]), batch.tokens(names[2])
            rows["model"] = self.models.number(batch.labels("Model"), self.file)
            rows["failed"] = rows["output_tokens"] == 0
            yield rows

    def _table(self, columns: Columns) -> Iterator[NDArray[np.void]]:
        time, numbers, texts = columns.arrive_s, [columns.input_tokens, columns.output_tokens], []
        numbers += [each for each in (time, columns.cached_tokens, columns.max_output_tokens, columns.complexity) if each]
        texts += [each for each in (columns.timestamp, columns.tenant, columns.model) if each]
        for batch in read_table(self.file, tuple(numbers), tuple(texts), self.source.limit_rows):
            rows = _blank(batch)
            rows["time_us"] = batch.seconds_us(time) if time else batch.stamps_us(columns.timestamp or "")
            rows["input_tokens"] = batch.tokens(columns.input_tokens)
            rows["output_tokens"] = batch.tokens(columns.output_tokens)
            if columns.cached_tokens:
                rows["cached_tokens"] = batch.tokens(columns.cached_tokens)
                _refuse_cached_above_input(self.file, rows, columns.cached_tokens)
            if columns.max_output_tokens:
                rows["max_output_tokens"] = batch.tokens(columns.max_output_tokens)
            if columns.complexity:
                rows["complexity_pm"] = np.rint(batch.ratios(columns.complexity) * 1000)
            if columns.tenant:
                rows["tenant"] = self.tenants.number(batch.labels(columns.tenant), self.file)
            if columns.model:
                rows["model"] = self.models.number(batch.labels(columns.model), self.file)
            yield rows

    def _blocks(self, source: Mooncake | Bailian) -> Iterator[NDArray[np.void]]:
        """JSON lines whose prompts are lists of block hashes; a hash stands for its whole prefix."""
        cache = PrefixCache(source.cache_blocks)
        chats = Chats() if isinstance(source, Bailian) else None
        per_second = 1.0 if chats else 1e3
        kept: list[tuple[int, ...]] = []
        row = 0
        for row, (line, text) in enumerate(self.file.lines(), 1):
            if row > min(source.limit_rows or ROWS_MAX, ROWS_MAX):
                break
            entry = JsonRow(self.file, line, text)
            time_us = round(entry.number("timestamp", SECONDS_MAX * per_second) / per_second * 1e6)
            input_tokens = entry.tokens("input_length")
            cached = min(input_tokens, cache.leading(entry.hashes("hash_ids")) * source.block_tokens)
            together = chats.root(entry.whole("chat_id"), entry.whole("parent_chat_id")) if chats else -1
            kept.append((row, time_us, input_tokens, entry.tokens("output_length"), cached, -1, -1, -1, -1, together, 0))
            if len(kept) == BATCH_ROWS:
                yield np.array(kept, RECORD)
                kept = []
        if kept:
            yield np.array(kept, RECORD)
        if row == 0:
            raise TraceError(f"{self.file.name}: has no rows; a trace needs at least one")


_ARENA = Columns(arrive_s="req_time", input_tokens="prompt_len", output_tokens="output_len", tenant="adapter_dir")


def _blank(batch: Batch) -> NDArray[np.void]:
    rows = np.zeros(len(batch), RECORD)
    rows["row"] = batch.first_row + np.arange(len(batch))
    for field in ("cached_tokens", "max_output_tokens", "complexity_pm", "tenant", "model", "together"):
        rows[field] = -1
    return rows


def _refuse_cached_above_input(file: TraceFile, rows: NDArray[np.void], column: str) -> None:
    wrong = rows["cached_tokens"] > rows["input_tokens"]
    if wrong.any():
        row = rows[wrong][0]
        raise TraceError(
            f"{file.name}: row {row['row']}, column {column!r}: {row['cached_tokens']} is more than the "
            f"{row['input_tokens']} input tokens, which include the cached ones"
        )


class PrefixCache:
    """Blocks seen before, the most recently used `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._seen: dict[int, None] = {}
        self._capacity = capacity

    def leading(self, hashes: list[int]) -> int:
        """How many leading blocks were seen before; all are then remembered."""
        count = next((at for at, block in enumerate(hashes) if block not in self._seen), len(hashes))
        for block in hashes:
            self._seen.pop(block, None)
            self._seen[block] = None
        while len(self._seen) > self._capacity:
            del self._seen[next(iter(self._seen))]
        return count


class Chats:
    """The conversation that each chat belongs to: that of its parent."""

    def __init__(self) -> None:
        self._roots: dict[int, int] = {}

    def root(self, chat: int, parent: int) -> int:
        """Number of the conversation's first chat, as far as it is remembered."""
        root = self._roots.get(parent, chat if parent < 0 else parent)
        self._roots[chat] = root
        if len(self._roots) > _CHATS_MAX:
            del self._roots[next(iter(self._roots))]
        return root & 0x7FFF_FFFF_FFFF_FFFF


class JsonRow:
    """One line of a JSONL trace, its fields checked."""

    def __init__(self, file: TraceFile, line: int, text: str) -> None:
        self._where = f"{file.name}: line {line}"
        try:
            self._entry: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TraceError(f"{self._where}: is no JSON object: {error}") from error
        if not isinstance(self._entry, dict):
            raise TraceError(f"{self._where}: is no JSON object but {text.strip():.60}")

    def _field(self, name: str) -> Any:
        if name not in self._entry:
            raise TraceError(f"{self._where}: has no field {name!r}; its fields are {', '.join(self._entry):.300}")
        return self._entry[name]

    def _refuse(self, name: str, right: str) -> TraceError:
        return TraceError(f"{self._where}, field {name!r}: {self._field(name)!r:.60} {right}")

    def number(self, name: str, most: float) -> float:
        """A finite number between -most and most."""
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
            raise self._refuse(name, f"must be a number of at most {most:.0e}")
        return float(value)

    def whole(self, name: str) -> int:
        """A whole number of 64 bits."""
        value = self._field(name)
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise self._refuse(name, "must be a whole number")
        return value

    def tokens(self, name: str) -> int:
        """A whole number in [0, TOKENS_MAX]."""
        value = self.whole(name)
        if not 0 <= value <= TOKENS_MAX:
            raise self._refuse(name, f"must be a number of tokens, 0 to {TOKENS_MAX:,}")
        return value

    def hashes(self, name: str) -> list[int]:
        """A list of whole numbers."""
        value = self._field(name)
        if not isinstance(value, list) or not all(isinstance(each, int) for each in value):
            raise self._refuse(name, "must be a list of whole numbers")
        return value

