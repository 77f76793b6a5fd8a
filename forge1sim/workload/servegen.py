"""Tenants that ask as real clients did: rate, burstiness and token lengths by window.

In each window of ten minutes a tenant sends rate x 600 requests, whose gaps have the published
coefficient of variation; token lengths follow the published quantiles of that client and time.
Source: docs/workloads.md, "ServeGen".
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.workload.assign import Describer, Tenants
from forge1sim.workload.clients import LEVELS, WINDOW_S, Clients, read_clients
from forge1sim.workload.draws import gamma_draw, keyed, purpose, spawned_seed, uniform, uniforms
from forge1sim.workload.files import TraceFile, resolve
from forge1sim.workload.order import CHUNK_ROWS, doubled, ordered, window_ends
from forge1sim.workload.spec import TOKENS_MAX, ServeGen
from forge1sim.workload.synthetic import Group
from forge1sim.workload.table import NEVER_US, REQUESTS
from policies.compile import compiled, inlined

_CLIENT, _SHIFT, _BORROW = purpose("client"), purpose("shift"), purpose("borrow")
_WINDOW, _COUNT, _GAP, _BURST, _TOKENS = (
    purpose("window"), purpose("count"), purpose("gap"), purpose("burst"), purpose("tokens")
)  # fmt: skip
_NEAREST = 5
_SHAPE_MIN, _SHAPE_MAX = 1e-4, 1e6

STREAM = np.dtype(
    [
        ("seed", "<u8"), ("key", "<u8"),                 # key: of the current window
        ("scale", "<f8"), ("shift", "<i8"),              # rate multiplier; windows by which it is moved
        ("first", "<i8"), ("last", "<i8"),               # its client's rows of windows, last exclusive
        ("at", "<i8"), ("cycle", "<i8"),                 # current row, and how often the file was begun
        ("size", "<i8"), ("sent", "<i8"),                # requests of the window, and how many are out
        ("total", "<f8"), ("done", "<f8"),               # sum of the window's gaps, and of those past
        ("number", "<i8"), ("lengths", "<i8"), ("tenant", "<i8"),
    ]
)  # fmt: skip


class ServeGenSource:
    """The generator. `owner` names it in messages and keys its draws."""

    def __init__(
        self, source: ServeGen, groups: Sequence[Group], model_names: Sequence[str], start_us: int,
        horizon_s: float, seed: int, folders: tuple[Path, ...], owner: str, chunk_rows: int = CHUNK_ROWS,
    ) -> None:  # fmt: skip
        self.source, self.owner, self._chunk_rows = source, owner, chunk_rows
        self._start_us = start_us + round(source.start_at_s * 1e6)
        self.horizon_s = max(0.0, horizon_s - source.start_at_s)
        max_bytes = round(source.max_gib * 2**30)
        arrivals, lengths = (TraceFile(resolve(path, folders), max_bytes) for path in (source.path, source.lengths))
        self.clients = read_clients(arrivals, lengths)
        self._seed = spawned_seed(seed, owner)
        tenants = Tenants(groups, source.assign, owner)
        self._describer = Describer(groups, source.requests, model_names, seed, owner)
        self.clients.windows["shape"] = gap_shapes(self.clients, source.gaps == "cv")
        self.borrowed, lenders = _lenders(self.clients, self._seed)
        self._streams = self._begin(tenants, lenders)
        self._expected = self._expect()

    @property
    def expected_requests(self) -> int:
        """Mean of the number of requests."""
        return round(float(self._expected.sum()))

    @property
    def start_us(self) -> int:
        """When the file's time 0 is."""
        return self._start_us

    @property
    def client_of_tenant(self) -> NDArray[np.int64]:
        """Position of the client that each tenant of the platform plays; -1: none. Without resampling, exact."""
        clients = np.full(self._describer.tenants, -1, np.int64)
        clients[self._streams["tenant"]] = self.clients.windows["client"][self._streams["first"]]
        return clients

    def _begin(self, tenants: Tenants, lenders: NDArray[np.int64]) -> NDArray[np.void]:
        clients, seeds = self.clients, self._describer.seeds
        if self.source.resample:
            rows = tenants.rows
            zero = np.zeros(rows.size, np.int64)
            chosen = (uniforms(seeds[rows], _CLIENT, zero) * clients.count).astype(np.int64)
            step = max(1, round(self.source.shift_step_s / WINDOW_S))
            steps = max(1, clients.span // step)
            shifts = (uniforms(seeds[rows], _SHIFT, zero) * steps).astype(np.int64) * step
        else:
            if tenants.rows.size < clients.count:
                raise WorkloadError(
                    f"{self.owner}: {self.source.path} has {clients.count} clients for {tenants.rows.size} tenants; "
                    "give the groups as many tenants, or set resample: true"
                )
            rows, chosen = tenants.rows[: clients.count], np.arange(clients.count)
            shifts = np.zeros(clients.count, np.int64)
        published = float(clients.requests().sum()) / (clients.span * WINDOW_S)
        wanted = self.source.requests_per_s or published
        streams = np.zeros(rows.size, STREAM)
        streams["seed"], streams["tenant"], streams["shift"] = seeds[rows], rows, shifts
        streams["scale"] = wanted * clients.span * WINDOW_S / float(clients.requests()[chosen].sum())
        streams["first"], streams["last"] = clients.first[chosen], clients.first[chosen + 1]
        streams["lengths"] = lenders[chosen]
        return streams

    def _expect(self) -> NDArray[np.float64]:
        """Expected requests in each window up to the horizon."""
        streams, clients = self._streams, self.clients
        keys = np.stack([streams["first"], streams["last"], streams["shift"]])
        kinds, kind = np.unique(keys, axis=1, return_inverse=True)
        scales = np.bincount(kind.reshape(-1), streams["scale"], kinds.shape[1])
        cycle = np.zeros(clients.span)
        for (first, last, shift), scale in zip(kinds.T, scales, strict=True):
            own = clients.windows[first:last]
            cycle[(own["start"] - shift) % clients.span] += own["rate"] * scale * WINDOW_S
        windows = int(np.ceil(self.horizon_s / WINDOW_S))
        expected = cycle[np.arange(windows) % clients.span]
        if windows:
            expected[-1] *= self.horizon_s / WINDOW_S - (windows - 1)
        return expected

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Sorted rows of dtype REQUESTS."""
        streams, lengths = self._streams.copy(), self.clients.lengths
        next_us = np.empty(streams.size, np.int64)
        _begin_streams(streams, next_us, self.clients.windows, self.clients.span)
        counts = np.zeros(self._describer.tenants, np.int32)
        rows = np.zeros(2 * self._chunk_rows, REQUESTS)
        for until_us in window_ends(self._expected, WINDOW_S, self.horizon_s, self._chunk_rows):
            count, at = 0, 0
            while at < streams.size:
                rows = rows if count < rows.size else doubled(rows)
                count, at = _requests(
                    streams, next_us, at, until_us, self._start_us, rows, count,
                    self.clients.windows, self.clients.span, lengths.of, lengths.logs, lengths.period_s,
                )  # fmt: skip
            chunk = ordered(rows[:count])
            self._describer.describe(chunk, counts)
            yield chunk


def gap_shapes(clients: Clients, by_cv: bool) -> NDArray[np.float64]:
    """Shape of the gaps in each window: as fitted (positive: Gamma, negative: Weibull), or Gamma by CV.

    M gaps of Gamma shape k, given their sum, have an expected squared CV of (M - 1) / (M k + 1)
    (Dirichlet moments); the shape by CV solves this for the published CV and number of gaps.
    """
    windows = clients.windows
    if not by_cv:
        return np.where(windows["weibull"] == 1, -windows["shape"], windows["shape"])
    gaps = np.rint(windows["rate"] * WINDOW_S) - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        shapes = ((gaps - 1.0) / windows["cv"] ** 2 - 1.0) / gaps
    return np.where(gaps >= 2, np.clip(shapes, _SHAPE_MIN, _SHAPE_MAX), 1.0)


def _lenders(clients: Clients, seed: np.uint64) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which clients have no lengths of their own, and whose each client uses: one of the nearest in size."""
    own = clients.lengths.of[:, 0] >= 0
    sizes = np.log(clients.requests())
    owners = np.flatnonzero(own)
    lenders = np.arange(clients.count)
    for client in np.flatnonzero(~own):
        nearest = owners[np.argsort(np.abs(sizes[owners] - sizes[client]), kind="stable")[:_NEAREST]]
        lenders[client] = nearest[int(uniforms(seed, _BORROW, np.array([client]))[0] * nearest.size)]
    return ~own, lenders


@inlined
def _gap(stream: np.void, windows: NDArray[np.void]) -> float:
    """Gap before the next request of the window, in a unit of its own; negative shapes are Weibull."""
    shape = windows[stream["at"]]["shape"]
    word = keyed(stream["key"], _GAP, stream["sent"])
    if shape == 1.0:
        return -math.log(uniform(word))
    if shape > 0.0:
        return gamma_draw(word, shape)
    return math.exp(math.log(-math.log(uniform(word))) / -shape)


@inlined
def _window_number(stream: np.void, windows: NDArray[np.void], span: int) -> int:
    """Number of the stream's window since the start of the run."""
    return int(windows[stream["at"]]["start"] + stream["cycle"] * span - stream["shift"])


@inlined
def _open_window(stream: np.void, windows: NDArray[np.void], span: int) -> None:
    """Draw how many requests the window has, and add up their gaps."""
    stream["key"] = keyed(stream["seed"], _WINDOW, _window_number(stream, windows, span))
    mean = windows[stream["at"]]["rate"] * stream["scale"] * WINDOW_S
    stream["size"] = int(mean + uniform(keyed(stream["key"], _COUNT, 0)))
    stream["sent"], stream["total"], stream["done"] = 0, 0.0, 0.0
    if stream["size"] > 0:
        # One gap more than requests: the last reaches to the end of the window.
        for _ in range(stream["size"] + 1):
            stream["total"] += _gap(stream, windows)
            stream["sent"] += 1
        stream["sent"] = 0


@inlined
def _next(stream: np.void, windows: NDArray[np.void], span: int, rounds: int) -> int:
    """Time (us) of the stream's next request; NEVER_US if it stays silent for `rounds` windows."""
    for _ in range(rounds):
        if stream["sent"] < stream["size"]:
            part = uniform(keyed(stream["key"], _BURST, 0))  # gaps all too small to tell apart: one burst
            if stream["total"] > 0.0:
                stream["done"] += _gap(stream, windows)
                part = min(stream["done"] / stream["total"], 1.0)
            stream["sent"] += 1
            return int((_window_number(stream, windows, span) + part) * (WINDOW_S * 1e6))
        stream["at"] += 1
        if stream["at"] == stream["last"]:
            stream["at"] = stream["first"]
            stream["cycle"] += 1
        _open_window(stream, windows, span)
    return int(NEVER_US)


@compiled
def _begin_streams(
    streams: NDArray[np.void], next_us: NDArray[np.int64], windows: NDArray[np.void], span: int
) -> None:
    for at in range(streams.size):
        stream = streams[at]
        stream["at"] = stream["first"]
        while stream["at"] < stream["last"] and windows[stream["at"]]["start"] < stream["shift"]:
            stream["at"] += 1
        if stream["at"] == stream["last"]:
            stream["at"] = stream["first"]
            stream["cycle"] = 1
        _open_window(stream, windows, span)
        next_us[at] = _next(stream, windows, span, 4 * span)


@inlined
def _tokens(logs: NDArray[np.float64], row: int, part: int, u: float) -> int:
    """Tokens at level `u`: quantiles are joined by straight lines in log(1 + tokens)."""
    at = 0
    while LEVELS[at] < u:
        at += 1
    log = logs[row, part, at]
    if at > 0:
        share = (u - LEVELS[at - 1]) / (LEVELS[at] - LEVELS[at - 1])
        log = logs[row, part, at - 1] + share * (log - logs[row, part, at - 1])
    return int(math.expm1(log) + 0.5)


@compiled
def _requests(
    streams: NDArray[np.void], next_us: NDArray[np.int64], first: int, until_us: int, start_us: int,
    rows: NDArray[np.void], count: int, windows: NDArray[np.void], span: int,
    of: NDArray[np.int64], logs: NDArray[np.float64], period_s: float,
) -> tuple[int, int]:  # fmt: skip
    """Write the requests before `until_us`, stream by stream; stop where `rows` is full.

    Returns rows written in all and the stream to go on with.
    """
    for at in range(first, streams.size):
        stream = streams[at]
        while next_us[at] < until_us:
            if count == rows.size:
                return count, at
            row, number, seed = rows[count], stream["number"], stream["seed"]
            period = int(windows[stream["at"]]["start"] * WINDOW_S / period_s)
            published = of[stream["lengths"], min(period, of.shape[1] - 1)]
            row["arrive_us"] = start_us + next_us[at]
            row["tenant"] = stream["tenant"]
            row["output_tokens"] = _tokens(logs, published, 0, uniform(keyed(seed, _TOKENS, number * 8)))
            tokens = 0
            for part in range(1, logs.shape[1]):
                tokens += _tokens(logs, published, part, uniform(keyed(seed, _TOKENS, number * 8 + part)))
            row["input_tokens"] = min(tokens, TOKENS_MAX)
            row["cached_tokens"] = -1
            row["number"] = 0
            stream["number"] += 1
            count += 1
            next_us[at] = _next(stream, windows, span, 4 * span)
    return count, streams.size

