"""A recorded trace as a source of requests: checked, scaled, warped, repeated, given to tenants.

Every row read is accounted for: used, or skipped with a reason.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.workload.assign import Describer, Tenants, blank_requests, model_of_labels, overrule
from forge1sim.workload.bootstrap import blocks
from forge1sim.workload.columns import BATCH_ROWS
from forge1sim.workload.draws import GOLDEN, hash_words, purpose, spawned_seed, uniforms
from forge1sim.workload.files import TraceFile, resolve
from forge1sim.workload.readers import RECORD, Reader
from forge1sim.workload.spec import Bootstrap, BurstGPT, FileTrace
from forge1sim.workload.synthetic import Group

ROWS_IN_MEMORY = 5_000_000
_KEEP, _COPIES, _JITTER, _WHO = purpose("keep"), purpose("copies"), purpose("jitter"), purpose("who")
_COPIES_MAX = 1 << 14
_PERIOD_US_MIN = 1000
_Played = tuple[NDArray[np.void], NDArray[np.int64], int]
"""Rows by time, when each is due after the start (microseconds), and the how-manieth cycle or block it is."""


@dataclass
class Account:
    """What became of the rows of a source: `rows_read` is `rows_used` plus all of `skipped`.

    `requests` came out, copies of rows included. `notes` counts what else is worth knowing.
    """

    source: str
    rows_read: int = 0
    rows_used: int = 0
    requests: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


@dataclass
class _Due:
    """Rows with their time and tenant, not yet in order."""

    arrive_us: NDArray[np.int64]
    tenants: NDArray[np.int64]
    records: NDArray[np.void]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "_Due":
        return _Due(self.arrive_us[chosen], self.tenants[chosen], self.records[chosen])

    def __add__(self, other: "_Due") -> "_Due":
        return _Due(
            np.concatenate([self.arrive_us, other.arrive_us]),
            np.concatenate([self.tenants, other.tenants]),
            np.concatenate([self.records, other.records]),
        )


_NOTHING = _Due(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, RECORD))


class ReplaySource:
    """Replays a trace file. `owner` names it in messages and keys its draws."""

    expected_requests = 0

    def __init__(
        self, source: FileTrace, groups: Sequence[Group], model_names: Sequence[str], start_us: int,
        horizon_s: float, seed: int, folders: tuple[Path, ...], owner: str,
    ) -> None:  # fmt: skip
        self._source, self._models = source, tuple(model_names)
        self._start_us, self._horizon_us = start_us, round(horizon_s * 1e6)
        self._owner, self._seed, self._scenario_seed = owner, spawned_seed(seed, owner), seed
        self._file = TraceFile(resolve(source.path, folders), round(source.max_gib * 2**30))
        self._reader = Reader(source, self._file)
        self._tenants = Tenants(groups, source.assign, owner)
        self._describer = Describer(groups, source.requests, model_names, seed, owner)
        model_of_labels(self._reader.models, source.models, self._models, owner)
        next(self._reader.batches())
        self.account = Account(f"{owner} {source.path}")

    def check(self) -> None:
        """Read the whole trace once. Raises TraceError."""
        for _ in self._in_order():
            pass

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Sorted rows of dtype REQUESTS."""
        self.account = Account(self.account.source)
        counts, held = np.zeros(self._describer.tenants, np.int32), _NOTHING
        for records, warped_us, cycle in self._drawn(self._source.bootstrap) if self._source.bootstrap else self._straight():
            self.account.rows_read += records.size
            held += self._due(records, warped_us, cycle)
            # Copies come later than their row, so what lies before the last row is complete.
            ready = held.arrive_us < self._start_us + warped_us[-1]
            yield self._finished(held.take(ready), counts)
            held = held.take(~ready)
        yield self._finished(held, counts)

    def _straight(self) -> Iterator[_Played]:
        """The recording from its first row on, with `loop` over and over until the horizon."""
        offset_us, cycle = round(self._source.start_at_s * 1e6), 0
        while True:
            first_us = last_us = None
            rows = 0
            for records in self._portions(self._in_order()):
                first_us = int(records["time_us"][0]) if first_us is None else first_us
                last_us = int(records["time_us"][-1])
                rows += records.size
                yield records, self._scaled(records["time_us"] - first_us) + offset_us, cycle
            if first_us is None or last_us is None or not self._source.loop:
                return
            offset_us += self._period_us(last_us - first_us, rows)
            cycle += 1
            if offset_us >= self._horizon_us:
                return

    def _drawn(self, bootstrap: Bootstrap) -> Iterator[_Played]:
        """Blocks of the recording, one after the other; a row of another block is another request."""
        records = self._all()
        first_us = int(records["time_us"][0])
        offset_us = round(self._source.start_at_s * 1e6)
        span_us = int(records["time_us"][-1]) - first_us + 1
        length_us = max(0, math.ceil((self._horizon_us - offset_us) / self._source.time_scale))
        if not self._source.loop:
            length_us = min(length_us, span_us)
        for block in blocks(bootstrap, first_us, span_us, length_us, self._scenario_seed):
            first, last = np.searchsorted(records["time_us"], (block.from_us, block.until_us))
            for part in self._portions([records[first:last]]):
                yield part, self._scaled(part["time_us"] - block.from_us + block.at_us) + offset_us, block.number

    def _scaled(self, after_us: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(np.rint(after_us * self._source.time_scale), np.int64)

    def _period_us(self, span_us: int, rows: int) -> int:
        """From one beginning of a repeated trace to the next: its length and one mean gap."""
        period_us = round(span_us * self._source.time_scale * rows / max(rows - 1, 1))
        if period_us < _PERIOD_US_MIN:
            raise TraceError(f"{self._file.name}: lasts {period_us / 1e6} s; only a trace of at least a millisecond can loop")
        return period_us

    def _portions(self, parts: Iterable[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
        """The same rows, few enough at a time that their copies fit a batch."""
        size = max(1, int(BATCH_ROWS / max(1.0, self._source.rate_scale)))
        for records in parts:
            for start in range(0, records.size, size):
                yield records[start : start + size]

    def _in_order(self) -> Iterator[NDArray[np.void]]:
        """The file's rows by time. Raises TraceError if it is unsorted and `sort` is not set."""
        if self._source.sort:
            yield from self._sorted()
            return
        before: NDArray[np.void] = np.empty(0, RECORD)
        for records in self._reader.batches():
            joined = np.concatenate([before, records])
            wrong = np.flatnonzero(np.diff(joined["time_us"]) < 0)
            if wrong.size:
                earlier, later = joined[wrong[0]], joined[wrong[0] + 1]
                raise TraceError(
                    f"{self._file.name}: row {later['row']} is {(earlier['time_us'] - later['time_us']) / 1e6} s earlier "
                    f"than row {earlier['row']}; rows must be in order of time, or set sort: true"
                )
            before = records[-1:]
            yield records

    def _sorted(self) -> Iterator[NDArray[np.void]]:
        records = self._whole(self._reader.batches(), "sort: true; sort the file itself")
        records = records[np.argsort(records["time_us"], kind="stable")]
        for start in range(0, records.size, BATCH_ROWS):
            yield records[start : start + BATCH_ROWS]

    def _all(self) -> NDArray[np.void]:
        return self._whole(self._in_order(), "bootstrap; keep the first with limit_rows")

    def _whole(self, batches: Iterable[NDArray[np.void]], what: str) -> NDArray[np.void]:
        """All rows at once. Raises TraceError where they are too many for `what`."""
        parts, size = [], 0
        for records in batches:
            parts.append(records)
            size += records.size
            if size > ROWS_IN_MEMORY:
                raise TraceError(f"{self._file.name}: has more than {ROWS_IN_MEMORY:,} rows, too many for {what}")
        return np.concatenate(parts)

    def _due(self, records: NDArray[np.void], warped_us: NDArray[np.int64], cycle: int) -> _Due:
        """Rows that are used and their copies, within the horizon, with their tenants."""
        account = self.account
        failed = records["failed"] == 1
        seed, rows = hash_words(self._seed + np.array([cycle], np.uint64) * GOLDEN)[0], records["row"]
        if isinstance(self._source, BurstGPT) and self._source.failed == "skip":
            account.skipped["failed"] += int(failed.sum())
        else:
            account.notes["failed_kept"] += int(failed.sum())
            failed = np.zeros(records.size, np.bool_)
        late = ~failed & (warped_us >= self._horizon_us)
        account.skipped["after_horizon"] += int(late.sum())
        copies = self._copies(seed, rows)
        thinned = ~failed & ~late & (copies == 0)
        account.skipped["thinned"] += int(thinned.sum())
        used = ~failed & ~late & ~thinned
        account.rows_used += int(used.sum())
        at = np.repeat(np.flatnonzero(used), copies[used])
        which = np.arange(at.size) - np.repeat(np.cumsum(copies[used]) - copies[used], copies[used])
        keys = rows[at] * _COPIES_MAX + which
        jitter = uniforms(seed, _JITTER, keys) * self._source.jitter_s * 1e6
        arrive_us = warped_us[at] + np.where(which > 0, jitter, 0.0).astype(np.int64)
        kept = arrive_us < self._horizon_us
        account.notes["copies_after_horizon"] += int((~kept).sum())
        due = _Due(self._start_us + arrive_us, self._who(seed, records[at], keys), records[at])
        return due.take(kept)

    def _copies(self, seed: np.uint64, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many requests each row becomes: `rate_scale` on average."""
        whole, part = divmod(self._source.rate_scale, 1.0)
        chance = uniforms(seed, _COPIES if whole else _KEEP, rows) < part
        return np.asarray(int(whole) + chance, np.int64)

    def _who(self, seed: np.uint64, records: NDArray[np.void], keys: NDArray[np.int64]) -> NDArray[np.int64]:
        if records.size and records["tenant"][0] >= 0:
            return np.asarray(self._tenants.of_labels(self._reader.tenants)[records["tenant"]], np.int64)
        together = np.where(records["together"] >= 0, records["together"], keys)
        return self._tenants.by_share(uniforms(seed, _WHO, together))

    def _finished(self, due: _Due, counts: NDArray[np.int32]) -> NDArray[np.void]:
        due = due.take(np.lexsort((due.tenants, due.arrive_us)))
        rows = blank_requests(due.records, due.arrive_us, due.tenants)
        self._describer.describe(rows, counts)
        overrule(rows, due.records, model_of_labels(self._reader.models, self._source.models, self._models, self._owner))
        self.account.requests += rows.size
        self.account.notes["tenant_labels"] = len(self._reader.tenants.numbers)
        self.account.notes["labels_sharing_a_tenant"] = self._tenants.sharing_labels
        return rows
