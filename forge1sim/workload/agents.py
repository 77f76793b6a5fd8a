"""Recorded agent sessions, started by an arrival process and then played at their recorded times."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.workload.assign import Describer, Tenants, blank_requests, model_of_labels, overrule
from forge1sim.workload.columns import read_table
from forge1sim.workload.draws import purpose, spawned_seed, uniforms
from forge1sim.workload.files import TraceFile, resolve
from forge1sim.workload.readers import RECORD, Labels
from forge1sim.workload.replay import ROWS_IN_MEMORY, Account
from forge1sim.workload.spec import AgentSessions
from forge1sim.workload.synthetic import Group

_GAP, _ORDER, _PICK, _WHO = purpose("gap"), purpose("order"), purpose("pick"), purpose("who")
_BLOCK = 64
_CACHED = "prefix_tokens_shared_with_previous"


class AgentSource:
    """Plays sessions of a recording. `owner` names it in messages and keys its draws."""

    def __init__(
        self, source: AgentSessions, groups: Sequence[Group], model_names: Sequence[str], start_us: int,
        horizon_s: float, seed: int, folders: tuple[Path, ...], owner: str,
    ) -> None:  # fmt: skip
        self._source, self._start_us, self._horizon_us = source, start_us, round(horizon_s * 1e6)
        self._seed = spawned_seed(seed, owner)
        file = TraceFile(resolve(source.path, folders), round(source.max_gib * 2**30))
        models = Labels()
        self._records = _read(file, source.limit_rows, models)
        self._models = model_of_labels(models, source.models, model_names, owner)
        # `tenant` holds the session's number until a play of it is given to a tenant.
        self._first = np.searchsorted(self._records["tenant"], np.arange(self._records["tenant"][-1] + 2))
        self._tenants = Tenants(groups, source.assign, owner)
        self._describer = Describer(groups, source.requests, model_names, seed, owner)
        self.account = Account(f"{owner} {source.path}")

    @property
    def expected_requests(self) -> int:
        """About how many requests, if all sessions that start also end in time."""
        plays = self._source.sessions_per_s * max(0.0, self._horizon_us / 1e6 - self._source.start_at_s)
        if self._source.order == "shuffled" and not self._source.loop:
            plays = min(plays, self._first.size - 1)
        return round(plays * self._records.size / (self._first.size - 1))

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Sorted rows of dtype REQUESTS."""
        self.account = account = Account(self.account.source)
        counts = np.zeros(self._describer.tenants, np.int32)
        played = np.zeros(self._first.size - 1, np.bool_)
        held = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, RECORD))
        for starts_us, sessions, tenants in self._plays():
            played[sessions] = True
            more = self._rows(starts_us, sessions, tenants)
            arrive_us, who, records = (np.concatenate(pair) for pair in zip(held, more, strict=True))
            # Sessions still to come start no earlier than the last one of this block.
            ready = arrive_us < starts_us[-1]
            yield self._finished(arrive_us[ready], who[ready], records[ready], counts)
            held = (arrive_us[~ready], who[~ready], records[~ready])
        yield self._finished(*held, counts)
        never = int(np.diff(self._first)[~played].sum())
        account.rows_read += never
        account.skipped["session_not_started"] += never

    def _plays(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Blocks of plays within the horizon: start (us), session and tenant of each."""
        sessions = self._first.size - 1
        once = self._source.order == "shuffled" and not self._source.loop
        now_s, play = self._source.start_at_s, 0
        while now_s * 1e6 < self._horizon_us and not (once and play >= sessions):
            numbers = np.arange(play, min(play + _BLOCK, sessions) if once else play + _BLOCK)
            starts_s = now_s + np.cumsum(-np.log(uniforms(self._seed, _GAP, numbers)) / self._source.sessions_per_s)
            starts_us = np.asarray(starts_s * 1e6, np.int64)
            within = starts_us < self._horizon_us
            if within.any():
                tenants = self._tenants.by_share(uniforms(self._seed, _WHO, numbers))
                yield starts_us[within], self._chosen(numbers)[within], tenants[within]
            now_s, play = float(starts_s[-1]), play + numbers.size

    def _chosen(self, plays: NDArray[np.int64]) -> NDArray[np.int64]:
        """The session of each play."""
        sessions = self._first.size - 1
        if self._source.order == "random":
            return np.asarray(uniforms(self._seed, _PICK, plays) * sessions, np.int64)
        rounds = {int(each): self._shuffled(int(each)) for each in np.unique(plays // sessions)}
        return np.array([rounds[int(play // sessions)][play % sessions] for play in plays], np.int64)

    def _shuffled(self, cycle: int) -> NDArray[np.intp]:
        sessions = self._first.size - 1
        return np.argsort(uniforms(self._seed, _ORDER, cycle * sessions + np.arange(sessions)), kind="stable")

    def _rows(
        self, starts_us: NDArray[np.int64], sessions: NDArray[np.int64], tenants: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.void]]:
        """Time, tenant and record of every request of these plays within the horizon."""
        sizes = self._first[sessions + 1] - self._first[sessions]
        at = np.repeat(self._first[sessions] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        arrive_us = np.repeat(starts_us, sizes) + self._records["time_us"][at]
        within = arrive_us < self._horizon_us
        self.account.rows_read += at.size
        self.account.rows_used += int(within.sum())
        self.account.skipped["after_horizon"] += int((~within).sum())
        self.account.notes["sessions_started"] += sessions.size
        return arrive_us[within], np.repeat(tenants, sizes)[within], self._records[at[within]]

    def _finished(
        self, arrive_us: NDArray[np.int64], tenants: NDArray[np.int64], records: NDArray[np.void],
        counts: NDArray[np.int32],
    ) -> NDArray[np.void]:  # fmt: skip
        order = np.lexsort((tenants, arrive_us))
        rows = blank_requests(records[order], self._start_us + arrive_us[order], tenants[order])
        self._describer.describe(rows, counts)
        overrule(rows, records[order], self._models)
        self.account.requests += rows.size
        return rows


def _read(file: TraceFile, limit_rows: int | None, models: Labels) -> NDArray[np.void]:
    """All rows, session by session and by time inside each."""
    sessions, parts, size = Labels(), [], 0
    for batch in read_table(file, ("t", "in", "out", _CACHED), ("session_id", "model"), limit_rows):
        rows = np.zeros(len(batch), RECORD)
        rows["row"] = batch.first_row + np.arange(len(batch))
        rows["time_us"] = batch.seconds_us("t")
        for field, column in (("input_tokens", "in"), ("output_tokens", "out"), ("cached_tokens", _CACHED)):
            rows[field] = batch.tokens(column)
        wrong = np.flatnonzero(rows["cached_tokens"] > rows["input_tokens"])
        if wrong.size:
            raise TraceError(f"{file.name}: row {rows['row'][wrong[0]]}, column {_CACHED!r}: "
                             f"{rows['cached_tokens'][wrong[0]]} is more than all {rows['input_tokens'][wrong[0]]} "
                             "input tokens, which include the cached ones")  # fmt: skip
        early = np.flatnonzero(rows["time_us"] < 0)
        if early.size:
            raise TraceError(f"{file.name}: row {rows['row'][early[0]]}, column 't': {rows['time_us'][early[0]] / 1e6} "
                             "must be seconds since the session's start, 0 or more")  # fmt: skip
        rows["tenant"] = sessions.number(batch.labels("session_id"), file)
        rows["model"] = models.number(batch.labels("model"), file)
        rows["max_output_tokens"] = rows["complexity_pm"] = -1
        parts.append(rows)
        size += rows.size
        if size > ROWS_IN_MEMORY:
            raise TraceError(f"{file.name}: has more than {ROWS_IN_MEMORY:,} rows; set limit_rows")
    records = np.concatenate(parts)
    return records[np.lexsort((records["time_us"], records["tenant"]))]
