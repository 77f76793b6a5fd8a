"""Hours of demand from the statistics of ServeGen clients."""

import numpy as np

from forge1sim.forecast.history import HOUR_S, Floats, History, trimmed
from forge1sim.workload.clients import LEVELS, WINDOW_S, Clients


def history_of_clients(clients: Clients, source: str, client: int | None = None) -> History:
    """Requests and mean tokens of all clients, or of the one in this position.

    A window in which no client asks at all was not recorded: single clients pause, a platform does not. Tokens of clients whose
    lengths are not published are taken as those of the others in the same hour; if none are, there are no tokens.
    """
    windows = clients.windows
    per_hour = int(HOUR_S / WINDOW_S)
    size = clients.span
    seen = np.bincount(windows["start"], minlength=size) > 0
    if client is not None:
        windows = windows[clients.first[client] : clients.first[client + 1]]
    requests = windows["rate"] * WINDOW_S
    lengths = clients.lengths
    periods = np.minimum((windows["start"] * WINDOW_S / lengths.period_s).astype(np.int64), lengths.of.shape[1] - 1)
    rows = lengths.of[windows["client"], periods]
    published = np.where(rows >= 0, requests, 0.0)
    hours = (windows["start"] // per_hour, size // per_hour)
    told = np.bincount(hours[0], published, hours[1])
    counts = np.where(seen, np.bincount(windows["start"], requests, size), np.nan).reshape(-1, per_hour)
    tokens = {}
    means_of = mean_tokens(lengths.logs)
    for name, means in (("input_tokens", means_of[:, 1:].sum(axis=1)), ("output_tokens", means_of[:, 0])):
        sums = np.bincount(hours[0], published * means[rows], hours[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            tokens[name] = np.where(told > 0, counts.sum(axis=1) * sums / told, np.nan)
    missing = 1.0 - published.sum() / requests.sum()
    notes = (f"Tokens: lengths of clients with {missing:.0%} of the requests are not published; taken as those of the others.",)
    counts, tokens, start_us = trimmed(counts, tokens if told.any() else {}, 0)
    return History(source=source, start_us=start_us, dated=False, counts=counts, tokens=tokens, notes=notes if 0.0 < missing < 1.0 else ())


def mean_tokens(logs: Floats) -> Floats:
    """Mean tokens from log(1 + tokens) at LEVELS, shape (..., levels), as forge1sim.workload.servegen draws them but for rounding.

    Between two levels log(1 + tokens) is a straight line in the level: its mean is (exp(b) - exp(a)) / (b - a) - 1.
    """
    low, high = logs[..., :-1], logs[..., 1:]
    rise = high - low
    flat = rise < 1e-9
    between = np.where(flat, np.exp(low), (np.exp(high) - np.exp(low)) / np.where(flat, 1.0, rise))
    return np.asarray(LEVELS[0] * np.exp(logs[..., 0]) + (between * np.diff(LEVELS)).sum(axis=-1) - 1.0)
