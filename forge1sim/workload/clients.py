"""The published statistics of ServeGen clients: rate and burstiness per window, token quantiles.

Source: Xiang et al., ServeGen, arXiv 2505.09999; files as described in docs/workloads.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError
from forge1sim.workload.columns import read_table
from forge1sim.workload.files import TraceFile

WINDOW_S = 600.0
LEVELS = np.array([0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0])
_QUANTILES = ("p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max")
_INPUTS = ("input_tokens", "text_tokens", "image_tokens", "audio_tokens", "video_tokens")
_OUTPUT = "output_tokens"
_RATE_MAX, _CV_MAX = 1e6, 1e4

WINDOW = np.dtype([
    ("start", "<i8"),                                  # window number from the start of the file
    ("client", "<i8"),                                 # position among the sorted client ids
    ("rate", "<f8"), ("cv", "<f8"),
    ("weibull", "<i8"), ("shape", "<f8"),              # the fitted distribution of gaps
])  # fmt: skip


@dataclass(frozen=True)
class Lengths:
    """Token quantiles. `of[client, period]` is a row of `logs` (-1: none published for the client).

    `logs[row, part]` are log(1 + tokens) at LEVELS; part 0 is the output, the others are
    parts of the input, added up. A period lasts `period_s`.
    """

    of: NDArray[np.int64]
    logs: NDArray[np.float64]
    period_s: float


@dataclass(frozen=True)
class Clients:
    """Statistics of all clients: `windows` (dtype WINDOW) by client and time, and `lengths`.

    Client k has `windows[first[k]:first[k + 1]]`; the file lasts `span` windows.
    """

    windows: NDArray[np.void]
    first: NDArray[np.int64]
    span: int
    lengths: Lengths

    @property
    def count(self) -> int:
        """How many clients."""
        return int(self.first.size - 1)

    def requests(self) -> NDArray[np.float64]:
        """Requests of each client over the whole span."""
        return np.asarray(np.bincount(self.windows["client"], self.windows["rate"] * WINDOW_S, self.count), np.float64)


def read_clients(arrivals: TraceFile, lengths: TraceFile) -> Clients:
    """Both files of one model. Raises TraceError if they are malformed."""
    windows, ids = _read_windows(arrivals)
    first = np.searchsorted(windows["client"], np.arange(ids.size + 1))
    span = int(windows["start"].max()) + 1
    # A file of days ends with a day, even if nobody asked in its last minutes.
    span = -(-span // 144) * 144
    return Clients(windows, first, span, _read_lengths(lengths, ids, span * WINDOW_S))


def _read_windows(file: TraceFile) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    parts, ids = [], []
    for batch in read_table(file, ("client_id", "window_start_s", "rate", "cv", "pattern_arg1"), ("pattern",)):
        rows = np.zeros(len(batch), WINDOW)
        ids.append(batch.tokens("client_id"))
        starts = batch.tokens("window_start_s")
        batch.refuse(starts % int(WINDOW_S) != 0, "window_start_s", f"must be a multiple of {WINDOW_S:.0f}")
        rows["start"] = starts // int(WINDOW_S)
        for field, column, most in (("rate", "rate", _RATE_MAX), ("cv", "cv", _CV_MAX), ("shape", "pattern_arg1", 1e6)):
            values = batch.numbers(column)
            batch.refuse((values <= 0) | (values > most), column, f"must be above 0 and at most {most:.0e}")
            rows[field] = values
        patterns = np.array(batch.labels("pattern"))
        batch.refuse(~np.isin(patterns, ("Gamma", "Weibull")), "pattern", "must be Gamma or Weibull")
        rows["weibull"] = patterns == "Weibull"
        parts.append(rows)
    windows, all_ids = np.concatenate(parts), np.concatenate(ids)
    known = np.unique(all_ids)
    windows["client"] = np.searchsorted(known, all_ids)
    windows = windows[np.lexsort((windows["start"], windows["client"]))]
    twice = (np.diff(windows["start"]) == 0) & (np.diff(windows["client"]) == 0)
    if twice.any():
        row = windows[twice.argmax()]
        raise TraceError(f"{file.name}: client {known[row['client']]} has two rows for the window at "
                         f"{row['start'] * WINDOW_S:.0f} s; one is right")  # fmt: skip
    return windows, known


def _read_lengths(file: TraceFile, ids: NDArray[np.int64], span_s: float) -> Lengths:
    clients, starts, fields, logs = [], [], [], []
    for batch in read_table(file, ("client_id", "window_start_s", *_QUANTILES), ("field",)):
        values = np.stack([batch.numbers(column) for column in _QUANTILES], axis=1)
        for at, column in enumerate(_QUANTILES):
            falls = values[:, at] < (values[:, at - 1] if at else 0.0)
            batch.refuse(falls, column, "must be 0 or more and no less than the quantile before")
        clients.append(batch.tokens("client_id"))
        starts.append(batch.tokens("window_start_s"))
        fields.append(np.array(batch.labels("field")))
        logs.append(np.log1p(values))
    client, start, field, log = (np.concatenate(each) for each in (clients, starts, fields, logs))
    parts = [_OUTPUT, *(name for name in _INPUTS if (field == name).any())]
    known = np.isin(field, parts) & np.isin(client, ids)
    if _OUTPUT not in field or len(parts) == 1 or not known.any():
        raise TraceError(f"{file.name}: needs rows with field {_OUTPUT} and one of {', '.join(_INPUTS)}, for clients "
                         "of the arrivals file")  # fmt: skip
    client, start, field, log = client[known], start[known], field[known], log[known]
    distinct = np.unique(start)
    period_s = float(np.diff(distinct).min()) if distinct.size > 1 else max(span_s, WINDOW_S)
    places, row_of = np.unique(np.stack([client, (start / period_s).astype(np.int64)]), axis=1, return_inverse=True)
    table = np.zeros((places.shape[1], len(parts), LEVELS.size))
    for part, name in enumerate(parts):
        chosen = field == name
        table[row_of.reshape(-1)[chosen], part] = log[chosen]
    return Lengths(_nearest_periods(places, ids, int(np.ceil(span_s / period_s))), table, period_s)


def _nearest_periods(places: NDArray[np.int64], ids: NDArray[np.int64], periods: int) -> NDArray[np.int64]:
    """For every client and period the row of its own nearest one; -1 for clients without any."""
    of = np.full((ids.size, periods), -1, np.int64)
    for client, name in enumerate(ids):
        own = np.flatnonzero(places[0] == name)
        if own.size:
            away = np.abs(places[1][own][None, :] - np.arange(periods)[:, None])
            of[client] = own[away.argmin(axis=1)]
    return of
