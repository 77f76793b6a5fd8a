"""How full limits are: by limit group, deployment, account and provider, in each interval.

The use of a limit in an interval is its busiest minute there (minutes counted from the start of
the run) over the limit; where intervals are shorter than a minute it is the minute that ends
with the interval. In flight is the largest number at once. A limit that charges input plus the
most output, or input, is compared with what was dispatched; one that charges uncached input,
output or both with what answers really used, counted when they ended. A utilization above 1 is
possible where a limiter lets unused minutes be caught up, or where what is used in a minute was
sent in others. The last row, after the horizon, is left out of peaks.
"""

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import columns as c
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.static import MINUTE_US, MetricsStatic

Floats = NDArray[np.float64]


def busiest_minute(metrics: Metrics, dimension: int) -> NDArray[np.int64]:
    """Use of a dimension in the busiest minute, shape (intervals + 1, groups)."""
    static, rows = metrics.static, metrics.state.group_intervals
    if static.interval_us >= MINUTE_US or dimension == c.IN_FLIGHT:
        return rows[:, :, c.PEAK + dimension]
    window = MINUTE_US // static.interval_us
    sums = np.cumsum(rows[:, :, dimension], axis=0)
    sums[window:] -= sums[:-window].copy()
    return np.asarray(sums)


def group_utilization(metrics: Metrics) -> Floats:
    """Share of its tightest limit that each group uses, shape (intervals + 1, groups)."""
    limits = metrics.static.group_limits
    use = np.zeros(metrics.state.group_intervals.shape[:2])
    for dimension in np.flatnonzero(np.isfinite(limits).any(axis=0)).tolist():
        np.maximum(use, busiest_minute(metrics, dimension) / limits[:, dimension], out=use)
    return use


def deployment_utilization(metrics: Metrics, groups: Floats | None = None) -> Floats:
    """Use of the tightest limit that each deployment draws on, shape (intervals + 1, deployments); `groups` if known."""
    groups = group_utilization(metrics) if groups is None else groups
    padded = np.concatenate([groups, np.zeros((len(groups), 1))], axis=1)  # group -1: none
    first, second = metrics.static.groups_of_deployment.T
    return np.asarray(np.maximum(padded[:, first], padded[:, second]))


def account_utilization(metrics: Metrics, groups: Floats | None = None) -> Floats:
    """Use of the tightest limit of each account, shape (intervals + 1, accounts); `groups` as above."""
    groups = group_utilization(metrics) if groups is None else groups
    found = np.zeros((len(groups), len(metrics.static.account_names)))
    for group, account in enumerate(metrics.static.account_of_group.tolist()):
        np.maximum(found[:, account], groups[:, group], out=found[:, account])
    return found


def account_limits(static: MetricsStatic) -> Floats:
    """What each account allows: the sum over its model classes, at most its own limit. Shape (accounts, DIMENSIONS)."""
    classes = np.zeros((len(static.account_names), len(c.DIMENSIONS)))
    np.add.at(classes, static.account_of_group[~static.whole_account], static.group_limits[~static.whole_account])
    has_class = np.isin(np.arange(len(static.account_names)), static.account_of_group[~static.whole_account])
    classes[~has_class] = np.inf
    np.minimum.at(classes, static.account_of_group[static.whole_account], static.group_limits[static.whole_account])
    return classes


def provider_load(metrics: Metrics) -> dict[str, dict[str, Floats]]:
    """By provider: `requests`, `tokens` reserved per minute and `in_flight`, and `..._limit` of active accounts.

    Arrays have shape (intervals,). Means over each interval; the limit follows the share of it in
    which each account was active and is infinite if one of them has none.
    """
    static, state = metrics.static, metrics.state
    minutes = static.interval_us / MINUTE_US
    active = state.account_active[:-1] / static.interval_us
    limits = account_limits(static)
    rows = state.deployment_intervals[:-1]
    loads = {
        "requests": (rows[:, :, c.D_ATTEMPTS] / minutes, limits[:, c.REQUESTS]),
        "tokens": (rows[:, :, c.D_RESERVED] / minutes, np.minimum(limits[:, c.TOKENS], limits[:, c.TOTAL])),
        "in_flight": (rows[:, :, c.D_BUSY_US] / static.interval_us, limits[:, c.IN_FLIGHT]),
    }
    provider_of_account = np.array(static.account_provider)
    provider_of_deployment = provider_of_account[static.account_of_deployment]
    found: dict[str, dict[str, Floats]] = {}
    for provider in dict.fromkeys(static.account_provider):
        mine = provider_of_account == provider
        found[provider] = {}
        for name, (load, limit) in loads.items():
            found[provider][name] = load[:, provider_of_deployment == provider].sum(axis=1)
            share = active[:, mine]
            available = np.where(share > 0, share * np.where(share > 0, limit[mine], 0.0), 0.0)
            found[provider][f"{name}_limit"] = available.sum(axis=1)
    return found
