"""Tables of limits: how full each was and when, and whom it held up.

A limit is full in a window when at least 90 % of it is used there on average; windows last a
quarter of an hour, less in runs of under a day. Waiting time is that of answers, and belongs to
the limit that was full longest among those of the deployment that answered. What the log's rows
name (QUEUE and REJECT) is counted beside it: it covers limits whose use is not measured.
"""

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.static import MINUTE_US, LimitFacts, MetricsStatic
from forge1sim.metrics.tables import FLOW, Table, names_of
from forge1sim.metrics.utilization import busiest_minute

FULL_RATIO = 0.9
_LONGEST_WINDOW_US = 15 * MINUTE_US
_WINDOWS = 96


def window_us(static: MetricsStatic) -> int:
    """Length of a window: a 96th of the horizon, between a minute and a quarter of an hour; whole intervals."""
    wanted = min(_LONGEST_WINDOW_US, max(MINUTE_US, static.horizon_us // _WINDOWS))
    return max(1, wanted // static.interval_us) * static.interval_us


def limit_use(metrics: Metrics) -> NDArray[np.float64]:
    """Mean use of each limit in each window, shape (windows, limits); NaN where use is not measured."""
    static = metrics.static
    step = window_us(static) // static.interval_us
    starts = np.arange(0, static.intervals, step)
    lengths = np.diff([*starts, static.intervals])
    use = np.full((len(starts), len(static.limits)), np.nan)
    dimensions = {limit.dimension for limit in static.limits if limit.dimension >= 0}
    by_dimension = {dimension: busiest_minute(metrics, dimension) for dimension in dimensions}
    for row, limit in enumerate(static.limits):
        if limit.dimension >= 0:
            minutes = by_dimension[limit.dimension][: static.intervals, limit.group] / limit.per_min
            use[:, row] = np.add.reduceat(minutes, starts) / lengths
    return use


def _names(static: MetricsStatic) -> NDArray[np.str_]:
    return names_of([limit.name for limit in static.limits])


def _full_s(static: MetricsStatic, use: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((np.nan_to_num(use) >= FULL_RATIO).sum(axis=0) * (window_us(static) / 1e6))


def _binding_limit(metrics: Metrics, use: NDArray[np.float64]) -> NDArray[np.int64]:
    """By deployment, the limit that its waits belong to: full longest, else named most by the log; -1 for none."""
    static = metrics.static
    full_s, named = _full_s(static, use), metrics.state.named[:, :, :-1].sum(axis=(0, 1), dtype=np.int64)
    found = np.full(len(static.deployment_names), -1)
    for deployment, groups in enumerate(static.groups_of_deployment.tolist()):
        mine = [row for row, limit in enumerate(static.limits) if limit.group in groups and (full_s[row] > 0 or named[row] > 0)]
        if mine:
            found[deployment] = max(mine, key=lambda row: (full_s[row], named[row]))
    return found


def _waited_s(metrics: Metrics, use: NDArray[np.float64]) -> NDArray[np.float64]:
    """Waiting time by limit and tier, shape (limits, tiers)."""
    binding = _binding_limit(metrics, use)
    waits = metrics.state.flow[:, :, FLOW("wait_us")] / 1e6
    waited = np.zeros((len(metrics.static.limits) + 1, len(waits)))
    np.add.at(waited, binding, waits.T)           # row -1: no limit was full
    return waited[:-1]


def limit_table(metrics: Metrics) -> Table:
    """One row for each limit: what it allows, its use, how long it was full, and what it held up.

    `mean_use` and `peak_use` (of a window) are NaN where use is not measured. `named` counts the
    QUEUE and REJECT rows that name the limit.
    """
    static, use = metrics.static, limit_use(metrics)
    accounts = [static.account_of_group[limit.group] for limit in static.limits]
    return {
        "limit": _names(static),
        "account": names_of([static.account_names[account] for account in accounts]),
        "provider": names_of([static.account_provider[account] for account in accounts]),
        "model_class": names_of([limit.model_class for limit in static.limits]),
        "allows": names_of([limit.allows for limit in static.limits]),
        "mean_use": use.mean(axis=0),
        "peak_use": use.max(axis=0),
        "full_s": _full_s(static, use),
        "waited_s": _waited_s(metrics, use).sum(axis=1),
        "named": metrics.state.named[:, :, :-1].sum(axis=(0, 1), dtype=np.int64),
    }


def limit_tier_table(metrics: Metrics) -> Table:
    """One row for each limit and tier that it held up."""
    static = metrics.static
    waited = _waited_s(metrics, limit_use(metrics))
    named = metrics.state.named[:, :, :-1].sum(axis=0, dtype=np.int64).T
    limit, tier = np.nonzero((waited > 0) | (named > 0))
    return {
        "limit": _names(static)[limit],
        "tier": names_of(static.tier_names)[tier],
        "waited_s": waited[limit, tier],
        "named": named[limit, tier],
    }


def limit_span_table(metrics: Metrics) -> Table:
    """When each limit was full, from `start_us` to `end_us`; where use is not measured, the hours in which it was named."""
    static, use = metrics.static, limit_use(metrics)
    named = metrics.state.named[:-1, :, :-1].sum(axis=1, dtype=np.int64)
    parts = [_spans_of(static, limit, use[:, row], named[:, row]) for row, limit in enumerate(static.limits)]
    names = [limit.name for limit, spans in zip(static.limits, parts, strict=True) for _ in spans]
    starts, ends = (np.array([span[side] for spans in parts for span in spans], np.int64) for side in (0, 1))
    return {"limit": names_of(names), "start_us": starts, "end_us": ends}


def _spans_of(
    static: MetricsStatic, limit: LimitFacts, use: NDArray[np.float64], named: NDArray[np.int64]
) -> list[tuple[int, int]]:
    full, length_us = (use >= FULL_RATIO, window_us(static)) if limit.dimension >= 0 else (named > 0, static.hour_us)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(np.int8), [0]])))
    end_us = static.start_us + static.horizon_us
    return [
        (int(static.start_us + begin * length_us), int(min(static.start_us + end * length_us, end_us)))
        for begin, end in edges.reshape(-1, 2)
    ]
