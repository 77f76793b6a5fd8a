"""Requests of synthetic tenants, chunk by chunk, from the `demand` of each group."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.prefetch import prefetch
from forge1sim.workload.arrivals import KINDS, STREAM, advance, begin
from forge1sim.workload.draws import (
    keyed,
    mean_of_at_least_one,
    member_seeds,
    purpose,
    sample_tokens,
    spawned_seed,
    uniforms,
)
from forge1sim.workload.order import CHUNK_ROWS, FORESIGHT, doubled, ordered, places, window_ends
from forge1sim.workload.profile import CELL_S, cell_factors, profile_cells
from forge1sim.workload.sessions import SESSION, SessionTable, begin_sessions, session_turns
from forge1sim.workload.spec import Demand
from forge1sim.workload.table import REQUESTS
from forge1sim.workload.traits import TraitTable, describe
from policies.compile import unlocked

_INPUT, _OUTPUT, _JOINS = purpose("input"), purpose("output"), purpose("joins")
_MEAN_DRAWS = 65_536


class Group(Protocol):
    """What the workload needs to know of a tenant group."""

    @property
    def name(self) -> str:
        """Unique among the groups."""
        ...

    @property
    def count(self) -> int:
        """How many tenants, at least 1."""
        ...

    @property
    def timezone(self) -> str:
        """IANA name."""
        ...

    @property
    def request_budget_usd(self) -> float | None:
        """Most that one request may cost."""
        ...

    @property
    def demand(self) -> Demand | None:
        """What its tenants ask for, if anything."""
        ...


class SyntheticSource:
    """The generator. Its stream depends on seed, groups and start; never on the length of chunks."""

    def __init__(self, groups: Sequence[Group], model_names: Sequence[str], start_us: int, horizon_s: float,
                 seed: int, chunk_rows: int = CHUNK_ROWS) -> None:  # fmt: skip
        self._start_us, self._horizon_s, self._chunk_rows = start_us, horizon_s, chunk_rows
        self._table = TraitTable(model_names)
        self._session_table = SessionTable(self._table.distributions)
        self._factors: list[NDArray[np.float64]] = []
        self._profile_rows: dict[tuple[object, ...], int] = {}
        parts = list(_demanding(groups))
        if not parts:
            raise WorkloadError("workload: no tenant group has a demand with requests_per_s above 0; give one, "
                                "or name a trace under sources")  # fmt: skip
        built = [self._streams(group, demand, first, seed) for group, demand, first in parts]
        self._streams_at_start = np.concatenate([streams for streams, _, _ in built])
        self._starts_s = np.concatenate([starts for _, starts, _ in built])
        self._burst_shares = np.concatenate([shares for _, _, shares in built])
        self._cells = self._lay_out_profiles()
        self._tables = self._table.tables()
        self._kinds = self._session_table.array()
        self._has_sessions = bool((self._streams_at_start["sessions"] >= 0).any())
        self._expected_by_cell = self._expect()

    @property
    def expected_requests(self) -> int:
        """Mean of the number of requests; with sessions an upper bound, for some go on past the end."""
        return round(float(self._expected_by_cell.sum()))

    def _streams(
        self, group: Group, demand: Demand, first_tenant: int, seed: int
    ) -> tuple[NDArray[np.void], NDArray[np.float64], NDArray[np.float64]]:
        arrivals, count = demand.arrivals, group.count
        seeds = member_seeds(spawned_seed(seed, "tenant group", group.name), count)
        distributions = self._table.distributions
        tokens = (distributions.row(demand.input_tokens), distributions.row(demand.output_tokens))
        streams = np.zeros(count, STREAM)
        streams["seed"] = seeds
        streams["rate"] = tenant_rates(demand, count)
        streams["tenant"] = first_tenant + np.arange(count)
        streams["profile"] = self._profile(group, demand)
        streams["traits"] = self._table.add(demand, f"tenant group {group.name}", group.request_budget_usd, tokens)
        streams["kind"] = KINDS[arrivals.kind]
        streams["shape"] = arrivals.cv**-2
        share, factor = arrivals.burst_share, arrivals.burst_factor
        streams["calm_factor"] = 1.0 / (1.0 - share + share * factor)
        streams["burst_factor"] = factor / (1.0 - share + share * factor)
        streams["burst_s"] = arrivals.burst_s
        streams["calm_s"] = arrivals.burst_s * (1.0 - share) / share
        streams["sessions"] = -1
        if demand.sessions is not None:
            streams["sessions"] = self._session_table.add(demand.sessions)
            turns = distributions.row(demand.sessions.requests)
            streams["rate"] /= mean_of_at_least_one(distributions.array(), turns, _MEAN_DRAWS)
        joins = uniforms(seeds, _JOINS, np.zeros(count, np.int64))
        starts_s = np.minimum(demand.starts_after_s + joins * demand.onboarding_over_s, self._horizon_s)
        return streams, starts_s, np.full(count, share)

    def _profile(self, group: Group, demand: Demand) -> int:
        key = (demand.diurnal, demand.weekend_factor, demand.growth_per_week, group.timezone)
        if key not in self._profile_rows:
            self._profile_rows[key] = len(self._factors)
            self._factors.append(cell_factors(demand, group.timezone, self._start_us, self._horizon_s))
        return self._profile_rows[key]

    def _lay_out_profiles(self) -> NDArray[np.void]:
        """All profiles end to end; each stream learns where its own lies."""
        parts, first, streams = [], 0, self._streams_at_start
        for profile, factors in enumerate(self._factors):
            cells, cell_s = profile_cells(factors, self._horizon_s)
            chosen = streams["profile"] == profile
            streams["first_cell"][chosen] = first
            streams["cells"][chosen] = factors.size
            streams["cell_s"][chosen] = cell_s
            parts.append(cells)
            first += cells.size
        return np.concatenate(parts)

    def _expect(self) -> NDArray[np.float64]:
        """Expected requests in each cell of CELL_S (the last may be shorter)."""
        edges = np.minimum(np.arange(int(np.ceil(self._horizon_s / CELL_S)) + 1) * CELL_S, self._horizon_s)
        expected = np.zeros(edges.size - 1)
        streams = self._streams_at_start
        for profile, factors in enumerate(self._factors):
            chosen = streams["profile"] == profile
            starts_s, rates = self._starts_s[chosen], streams["rate"][chosen] * self._turns(streams[chosen])
            # Seconds that a tenant is there, summed by rate: whole cells after its start, a part of its own.
            own = np.minimum(np.searchsorted(edges, starts_s, side="right") - 1, expected.size - 1)
            begun = np.cumsum(np.bincount(own, rates, expected.size))
            missed = np.bincount(own, rates * (starts_s - edges[own]), expected.size)
            expected += factors * (begun * np.diff(edges) - missed)
        return expected

    def _turns(self, streams: NDArray[np.void]) -> NDArray[np.float64]:
        if not self._has_sessions:
            return np.ones(streams.size)
        means = np.array([1.0, *(
            mean_of_at_least_one(self._tables.distributions, row, _MEAN_DRAWS)
            for row in self._kinds["requests"].tolist()
        )])  # fmt: skip
        turns: NDArray[np.float64] = means[streams["sessions"] + 1]
        return turns

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Sorted rows of dtype REQUESTS; the last field to be filled, `number`, is left 0."""
        streams = self._streams_at_start.copy()
        next_us = np.empty(streams.size, np.int64)
        begin(streams, self._starts_s, next_us, self._cells, self._burst_shares)
        times_us, counts = np.empty(2 * self._chunk_rows, np.int64), np.zeros(streams.size, np.int64)
        sessions = np.empty(1024, SESSION)
        open_sessions, from_us = 0, 0
        for until_us in window_ends(self._expected_by_cell, CELL_S, self._horizon_s, self._chunk_rows):
            times_us, count = self._arrive(streams, next_us, until_us, times_us, counts)
            rows = np.empty(count, REQUESTS)
            _describe(streams, counts, times_us, places(times_us[:count], from_us), self._start_us, rows, *self._tables)
            if self._has_sessions:
                sessions, open_sessions = self._begin_sessions(streams, next_us, until_us, sessions, open_sessions)
                turns = self._session_turns(sessions[:open_sessions], until_us)
                rows = ordered(np.concatenate([rows, turns]))
                going = sessions[:open_sessions][sessions["turn"][:open_sessions] < sessions["turns"][:open_sessions]]
                open_sessions = going.size
                sessions[:open_sessions] = going
            from_us = until_us
            yield rows

    def _arrive(
        self, streams: NDArray[np.void], next_us: NDArray[np.int64], until_us: int,
        times_us: NDArray[np.int64], counts: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], int]:  # fmt: skip
        """Times of the requests before `until_us`, stream by stream, and how many; `counts` are by stream."""
        counts[:] = 0
        count, at = 0, 0
        while at < streams.size:
            times_us = times_us if count < times_us.size else doubled(times_us)
            count, at = _arrivals(streams, next_us, counts, at, until_us, times_us, count, self._cells)
        return times_us, count

    def _begin_sessions(
        self, streams: NDArray[np.void], next_us: NDArray[np.int64], until_us: int,
        sessions: NDArray[np.void], count: int,
    ) -> tuple[NDArray[np.void], int]:  # fmt: skip
        at = 0
        while at < streams.size:
            sessions = sessions if count < sessions.size else doubled(sessions)
            count, at = begin_sessions(
                streams, next_us, at, until_us, sessions, count, self._cells, self._kinds,
                self._tables.traits, self._tables.distributions,
            )
        return sessions, count

    def _session_turns(self, sessions: NDArray[np.void], until_us: int) -> NDArray[np.void]:
        rows = np.zeros(self._chunk_rows, REQUESTS)
        count, at = 0, 0
        while at < sessions.size:
            rows = rows if count < rows.size else doubled(rows)
            count, at = session_turns(
                sessions, at, until_us, self._start_us, rows, count, self._kinds, *self._tables
            )
        return rows[:count]


def _demanding(groups: Sequence[Group]) -> Iterator[tuple[Group, Demand, int]]:
    """Groups that ask for something, with the row of their first tenant."""
    first = 0
    for group in groups:
        demand = group.demand
        if demand is not None and (demand.requests_per_s or demand.requests_per_s_each):
            yield group, demand, first
        first += group.count


def tenant_rates(demand: Demand, count: int) -> NDArray[np.float64]:
    """Mean requests per second of each tenant, shape (count,): Zipf shares of the group's rate."""
    total = demand.requests_per_s if demand.requests_per_s is not None else (demand.requests_per_s_each or 0) * count
    rates: NDArray[np.float64] = total * zipf_shares(count, demand.zipf)
    return rates


def zipf_shares(count: int, exponent: float) -> NDArray[np.float64]:
    """Shares proportional to rank ** -exponent, adding up to 1."""
    weights = np.power(np.arange(1, count + 1, dtype=np.float64), -exponent)
    return np.asarray(weights / weights.sum(), np.float64)


@unlocked
def _arrivals(
    streams: NDArray[np.void], next_us: NDArray[np.int64], counts: NDArray[np.int64], first: int, until_us: int,
    times_us: NDArray[np.int64], count: int, cells: NDArray[np.void],
) -> tuple[int, int]:  # fmt: skip
    """Write the times of arrivals before `until_us`, stream by stream; stop where `times_us` is full.

    Returns times written in all and the stream to go on with.
    """
    for at in range(first, streams.size):
        now_us = next_us[at]
        if now_us >= until_us or streams[at]["sessions"] >= 0:
            continue
        stream = streams[at]
        begun = count
        while now_us < until_us and count < times_us.size:
            times_us[count] = now_us
            count += 1
            now_us = advance(stream, cells)
        next_us[at] = now_us
        counts[at] += count - begun
        if now_us < until_us:
            return count, at
    return count, streams.size


@unlocked
def _describe(
    streams: NDArray[np.void], counts: NDArray[np.int64], times_us: NDArray[np.int64], places: NDArray[np.int64],
    start_us: int, rows: NDArray[np.void],
    traits: NDArray[np.void], distributions: NDArray[np.void], complexity_pm: NDArray[np.int16], models: NDArray[np.void],
) -> None:  # fmt: skip
    """Write the requests of which `_arrivals` gave the times, each to its place and all of its bytes."""
    done = 0
    for at in range(streams.size):
        if counts[at] == 0:
            continue
        stream = streams[at]
        own, seed, tenant = traits[stream["traits"]], stream["seed"], stream["tenant"]
        for number in range(stream["number"] - counts[at], stream["number"]):
            prefetch(rows, places[min(done + FORESIGHT, places.size - 1)])
            row = rows[places[done]]
            row["arrive_us"] = start_us + times_us[done]
            row["tenant"] = tenant
            row["number"] = row["_pad"] = row["_pad_2"] = 0
            row["input_tokens"] = sample_tokens(distributions, own["input"], keyed(seed, _INPUT, number))
            row["output_tokens"] = sample_tokens(distributions, own["output"], keyed(seed, _OUTPUT, number))
            row["cached_tokens"] = int(row["input_tokens"] * own["cached_share"])
            describe(row, seed, number, own, distributions, complexity_pm, models)
            done += 1
