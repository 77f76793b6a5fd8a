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


def busiest_minutes(metrics: Metrics) -> Floats:
    """Use of each dimension in the busiest minute, shape (intervals + 1, groups, DIMENSIONS)."""
    static, rows = metrics.static, metrics.state.group_intervals
    peaks = rows[:, :, c.PEAK :].astype(np.float64)
    if static.interval_us < MINUTE_US:
        window = MINUTE_US // static.interval_us
        sums = np.cumsum(rows[:, :, : c.IN_FLIGHT], axis=0)
        sums[window:] -= sums[:-window].copy()
        peaks[:, :, : c.IN_FLIGHT] = sums
    return peaks


def group_utilization(metrics: Metrics) -> Floats:
    """Share of its tightest limit that each group uses, shape (intervals + 1, groups)."""
    use = busiest_minutes(metrics) / metrics.static.group_limits
    return np.asarray(use.max(axis=2, initial=0.0))


def deployment_utilization(metrics: Metrics) -> Floats:
    """Use of the tightest limit that each deployment draws on, shape (intervals + 1, deployments)."""
    groups = group_utilization(metrics)
    padded = np.concatenate([groups, np.zeros((len(groups), 1))], axis=1)  # group -1: none
    return np.asarray(padded[:, metrics.static.groups_of_deployment].max(axis=2, initial=0.0))


def account_utilization(metrics: Metrics) -> Floats:
    """Use of the tightest limit of each account, shape (intervals + 1, accounts)."""
    groups = group_utilization(metrics)
    found = np.zeros((len(groups), len(metrics.static.account_names)))
    np.maximum.at(found.T, metrics.static.account_of_group, groups.T)
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
