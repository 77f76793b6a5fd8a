"""Results of a run that is not over: few numbers, read while it goes on."""

from typing import Any

import numpy as np

from forge1sim.metrics import columns as c
from forge1sim.metrics.histogram import quantiles_us
from forge1sim.metrics.metrics import Metrics

MOST_POINTS = 144


def tiers_so_far(metrics: Metrics) -> dict[str, dict[str, float | None]]:
    """By tier: requests that arrived and were served, the share served of those that ended, p95 of the wait in seconds."""
    state = metrics.state
    totals = state.tier_intervals.sum(axis=0)
    found: dict[str, dict[str, float | None]] = {}
    for row, name in enumerate(metrics.static.tier_names):
        arrived, served = int(totals[row, c.T_ARRIVED]), int(totals[row, c.T_SERVED])
        ended = served + int(totals[row, [c.T_REJECTED, c.T_EXPIRED, c.T_CANCELLED]].sum())
        wait_us = quantiles_us(state.tier_histograms[row, : c.LATENCY_BINS], (0.95,))[0]
        found[name] = {
            "arrived": arrived,
            "served": served,
            "served_ratio": served / ended if ended else None,
            "wait_p95_s": None if wait_us is None else wait_us / 1e6,
        }
    return found


def series_so_far(metrics: Metrics) -> dict[str, Any]:
    """Means over at most 144 equal spans of the horizon, those that are over.

    `start_us` has the begin of each span (microseconds since the epoch); `arrived_per_s`,
    `served_per_s` and `waiting` (requests in line) have a list by tier.
    """
    static = metrics.static
    intervals_each = -(-static.intervals // MOST_POINTS)
    span_us = intervals_each * static.interval_us
    spans = max(0, min(metrics.now_us - static.start_us, static.horizon_us)) // span_us
    rows = metrics.state.tier_intervals[: spans * intervals_each]
    sums = rows.reshape(spans, intervals_each, *rows.shape[1:]).sum(axis=1)
    per_s = sums / (span_us / 1e6)

    def by_tier(column: int, scale: float = 1.0) -> dict[str, list[float]]:
        return {name: np.round(per_s[:, row, column] * scale, 4).tolist() for row, name in enumerate(static.tier_names)}

    return {
        "start_us": [static.start_us + span * span_us for span in range(spans)],
        "arrived_per_s": by_tier(c.T_ARRIVED),
        "served_per_s": by_tier(c.T_SERVED),
        "waiting": by_tier(c.T_WAITING_US, 1e-6),
    }
