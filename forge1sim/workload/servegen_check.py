"""Does the generated ServeGen workload look like the published one? A table that answers.

The published side is computed from the statistics alone, without any code of the generator.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.workload.clients import LEVELS, WINDOW_S, Clients
from forge1sim.workload.servegen import ServeGenSource
from policies.compile import compiled

_TOPS = (1, 5, 10)
_CV_LEVELS = (0.5, 0.9)
_TOKEN_LEVELS = (0.5, 0.9, 0.99)
_CV_BINS_PER_E, _CV_BINS, _CV_ZERO = 200, 4000, 2000
_TOKEN_BINS_PER_E, _TOKEN_BINS = 400, 8000
_SAMPLES = 400_000


class CheckRow(NamedTuple):
    """One figure: `ratio` is generated over published, 1 at best."""

    source: str
    name: str
    published: float
    generated: float

    @property
    def ratio(self) -> float:
        """Generated over published."""
        return self.generated / self.published if self.published else float(self.generated == 0)


def servegen_check(source: ServeGenSource) -> list[CheckRow]:
    """Published and generated figures over the whole windows within the horizon and the file.

    Generates the workload once. Shares count clients as published, tenants as generated; both
    agree closely only without `resample`. Lengths leave out clients that borrow theirs.
    Raises WorkloadError if the horizon holds no whole window, or no client asks for anything in it.
    """
    windows = min(int(source.horizon_s // WINDOW_S), source.clients.span)
    if not (source.clients.windows["start"] < windows).any():
        raise WorkloadError(
            f"{source.owner}: nothing to compare within {source.horizon_s:g} s; the statistics are of windows of "
            f"{WINDOW_S:g} s, the first with traffic begins at {source.clients.windows['start'].min() * WINDOW_S:g} s"
        )
    published = _published(source, windows)
    generated = _generated(source, windows)
    return [CheckRow(source.owner, name, published[name], generated[name]) for name in published]


def _published(source: ServeGenSource, windows: int) -> dict[str, float]:
    clients = source.clients
    within = clients.windows[clients.windows["start"] < windows]
    requests = within["rate"] * WINDOW_S
    scale = 1.0
    if source.source.requests_per_s:
        scale = source.source.requests_per_s * clients.span * WINDOW_S / float(clients.requests().sum())
    figures = {"requests_per_s": float(requests.sum()) * scale / (windows * WINDOW_S)}
    figures |= _top_shares(np.asarray(np.bincount(within["client"], requests), np.float64))
    # A window with fewer than three requests has too few gaps for a CV.
    told = requests * scale > 2.5
    order = np.argsort(within["cv"][told])
    edges = np.cumsum(requests[told][order])
    for level in _CV_LEVELS:
        at = np.searchsorted(edges, level * edges[-1])
        figures[f"gap_cv_p{level * 100:.0f}"] = float(within["cv"][told][order][at])
    inputs, outputs = _sampled_lengths(clients, within, requests)
    return figures | _quantiles("input_tokens", inputs) | _quantiles("output_tokens", outputs)


def _sampled_lengths(
    clients: Clients, within: NDArray[np.void], requests: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pooled input and output tokens: each client and period weighted by its requests."""
    lengths, chance = clients.lengths, np.random.default_rng(0)
    periods = np.minimum((within["start"] * WINDOW_S / lengths.period_s).astype(np.int64), lengths.of.shape[1] - 1)
    rows = lengths.of[within["client"], periods]
    weights = np.where(rows >= 0, requests, 0.0)
    chosen = rows[chance.choice(rows.size, _SAMPLES, p=weights / weights.sum())]
    parts = []
    for part in range(lengths.logs.shape[1]):
        u = np.maximum(chance.random(_SAMPLES), LEVELS[0])
        upper = np.maximum(np.searchsorted(LEVELS, u), 1)
        share = (u - LEVELS[upper - 1]) / (LEVELS[upper] - LEVELS[upper - 1])
        low, high = lengths.logs[chosen, part, upper - 1], lengths.logs[chosen, part, upper]
        parts.append(np.rint(np.expm1(low + share * (high - low))))
    return np.sum(parts[1:], axis=0), parts[0]


def _quantiles(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    return {f"{name}_p{level * 100:.0f}": float(np.quantile(values, level)) for level in _TOKEN_LEVELS}


def _top_shares(sizes: NDArray[np.float64]) -> dict[str, float]:
    ranked = np.sort(sizes)[::-1]
    return {f"top_{top}_share": float(ranked[:top].sum() / ranked.sum()) for top in _TOPS}


def _generated(source: ServeGenSource, windows: int) -> dict[str, float]:
    clients = source.client_of_tenant
    borrowed = (clients < 0) | source.borrowed[clients]
    folds = _Folds(clients.size, borrowed)
    until_us = source.start_us + round(windows * WINDOW_S * 1e6)
    folds.add(source.chunks(), source.start_us, until_us)
    figures = {"requests_per_s": float(folds.sizes.sum()) / (windows * WINDOW_S)}
    figures |= _top_shares(folds.sizes)
    for level in _CV_LEVELS:
        cv_bin = _bin_at(folds.cv_weights, level)
        figures[f"gap_cv_p{level * 100:.0f}"] = float(np.exp((cv_bin + 0.5 - _CV_ZERO) / _CV_BINS_PER_E))
    for name, counts in zip(("input_tokens", "output_tokens"), folds.token_counts, strict=True):
        for level in _TOKEN_LEVELS:
            tokens = np.expm1((_bin_at(counts, level) + 0.5) / _TOKEN_BINS_PER_E)
            figures[f"{name}_p{level * 100:.0f}"] = float(np.rint(tokens))
    return figures


def _bin_at(counts: NDArray[np.float64], level: float) -> int:
    edges = np.cumsum(counts)
    return int(np.searchsorted(edges, level * edges[-1]))


class _Folds:
    """Counts that do not grow with the number of requests; all by tenant or by bin."""

    def __init__(self, tenants: int, borrowed: NDArray[np.bool_]) -> None:
        self.sizes = np.zeros(tenants)
        self.cv_weights = np.zeros(_CV_BINS)
        self.token_counts = np.zeros((2, _TOKEN_BINS))
        self._borrowed = borrowed
        # Of each tenant's current window: its number, gaps, their sum and sum of squares, the last time.
        self._open = np.zeros((tenants, 5))
        self._open[:, 0] = -1.0

    def add(self, chunks: Iterable[NDArray[np.void]], start_us: int, until_us: int) -> None:
        """Fold all rows before `until_us`."""
        for rows in chunks:
            _fold_rows(rows, start_us, until_us, self.sizes, self._borrowed, self._open, self.cv_weights, self.token_counts)
            if rows.size and rows["arrive_us"][-1] >= until_us:
                break
        _close_all(self._open, self.cv_weights)


@compiled
def _close(window: NDArray[np.float64], cv_weights: NDArray[np.float64]) -> None:
    """Book the CV of a tenant's window, weighted by its requests."""
    gaps = window[1]
    if gaps >= 2.0 and window[2] > 0.0:
        mean = window[2] / gaps
        variance = max(window[3] / gaps - mean * mean, 1e-12 * mean * mean)
        at = int(np.log(np.sqrt(variance) / mean) * _CV_BINS_PER_E) + _CV_ZERO
        cv_weights[min(max(at, 0), _CV_BINS - 1)] += gaps + 1.0


@compiled
def _close_all(windows: NDArray[np.float64], cv_weights: NDArray[np.float64]) -> None:
    for tenant in range(windows.shape[0]):
        _close(windows[tenant], cv_weights)


@compiled
def _fold_rows(
    rows: NDArray[np.void], start_us: int, until_us: int, sizes: NDArray[np.float64], borrowed: NDArray[np.bool_],
    windows: NDArray[np.float64], cv_weights: NDArray[np.float64], token_counts: NDArray[np.float64],
) -> None:  # fmt: skip
    for at in range(rows.size):
        row = rows[at]
        if row["arrive_us"] >= until_us:
            break
        tenant = row["tenant"]
        sizes[tenant] += 1.0
        if not borrowed[tenant]:
            token_counts[0, min(int(np.log1p(row["input_tokens"]) * _TOKEN_BINS_PER_E), _TOKEN_BINS - 1)] += 1.0
            token_counts[1, min(int(np.log1p(row["output_tokens"]) * _TOKEN_BINS_PER_E), _TOKEN_BINS - 1)] += 1.0
        own, now_s = windows[tenant], (row["arrive_us"] - start_us) / 1e6
        number = float(int(now_s / WINDOW_S))
        if number != own[0]:
            _close(own, cv_weights)
            own[0], own[1], own[2], own[3] = number, 0.0, 0.0, 0.0
        else:
            gap = now_s - own[4]
            own[1] += 1.0
            own[2] += gap
            own[3] += gap * gap
        own[4] = now_s
