"""Levels over time: how many wait, are in the system or in flight, and which accounts are active.

The integral of a level from when it was settled, r, up to now is (level now) x (now - r), less
the sum of every change x (time of the change - r): a change costs an addition, and all levels are
settled together, at the ends of intervals. In whole microseconds, so that an integral does not depend
on when else levels were settled.
"""

# isort: off
from forge1sim.metrics.columns import (
    ACCOUNT_SIZE, AREA_US, AT_ACCOUNT, AT_ACCOUNT_ACTIVE, AT_DEPLOYMENT, AT_DEPLOYMENT_INTERVALS, AT_GROUP,
    AT_GROUP_INTERVALS, AT_GROUPS_OF_DEPLOYMENT, AT_TIER, AT_TIER_INTERVALS, D_BUSY_US, D_IN_FLIGHT_MAX,
    DEPLOYMENT_INTERVAL_SIZE, DEPLOYMENT_SIZE, FLIGHT_NOW, GROUP_INTERVAL_SIZE, GROUP_SIZE, HORIZON_END_US, IN_FLIGHT,
    IN_SYSTEM_NOW, INTERVAL, LENGTH_US, MOST, N_ACCOUNTS, N_DEPLOYMENTS, N_GROUPS, N_INTERVALS, N_TIERS, PAID_US, PEAK,
    SETTLED_US, START_US, STATE, STATE_SINCE_US, T_SYSTEM_MAX, T_SYSTEM_US, T_WAITING_MAX, T_WAITING_US,
    TIER_INTERVAL_SIZE, TIER_SIZE, WAITING_NOW,
)  # fmt: skip

# isort: on
from forge1sim.metrics.helper import helper
from forge1sim.metrics.state import Ints
from policies.log import ACTIVE, DRAINING, NO_KEYS


@helper
def place(b: Ints, part: int, row: int, size: int) -> int:
    """Where row `row` of a part begins."""
    return int(b[part] + row * size)


@helper
def rise(b: Ints, level: int, since_us: int) -> None:
    """One more; `since_us` is how long ago levels were settled."""
    number = b[level] + 1
    b[level] = number
    b[level + MOST] = max(b[level + MOST], number)
    b[level + AREA_US] -= since_us


@helper
def fall(b: Ints, level: int, since_us: int) -> None:
    """One less."""
    b[level] -= 1
    b[level + AREA_US] += since_us


@helper
def take_off(b: Ints, deployment: int, since_us: int) -> None:
    """One more in flight at a deployment and in its limit groups."""
    rise(b, place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE) + FLIGHT_NOW, since_us)
    groups = place(b, AT_GROUPS_OF_DEPLOYMENT, deployment, 2)
    for which in range(2):
        level = place(b, AT_GROUP, b[groups + which], GROUP_SIZE)
        number = b[level] + 1
        b[level] = number
        b[level + MOST] = max(b[level + MOST], number)


@helper
def land(b: Ints, deployment: int, since_us: int) -> None:
    """One less in flight at a deployment and in its limit groups."""
    fall(b, place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE) + FLIGHT_NOW, since_us)
    groups = place(b, AT_GROUPS_OF_DEPLOYMENT, deployment, 2)
    for which in range(2):
        b[place(b, AT_GROUP, b[groups + which], GROUP_SIZE)] -= 1


@helper
def _settle(b: Ints, level: int, passed_us: int, total: int, largest: int) -> int:
    """Add the integral of a level since it was settled to `b[total]`; returns it."""
    area_us = b[level + AREA_US] + b[level] * passed_us
    b[total] += area_us
    b[largest] = max(b[largest], b[level + MOST])
    b[level + MOST] = b[level]
    b[level + AREA_US] = 0
    return int(area_us)


@helper
def settle_levels(b: Ints, now_us: int) -> None:
    """Add all levels up to now, at most the end of the present interval, to this interval."""
    passed_us = now_us - b[SETTLED_US]
    for tier in range(b[N_TIERS]):
        own = place(b, AT_TIER, tier, TIER_SIZE)
        during = place(b, AT_TIER_INTERVALS, b[INTERVAL] * b[N_TIERS] + tier, TIER_INTERVAL_SIZE)
        _settle(b, own + WAITING_NOW, passed_us, during + T_WAITING_US, during + T_WAITING_MAX)
        _settle(b, own + IN_SYSTEM_NOW, passed_us, during + T_SYSTEM_US, during + T_SYSTEM_MAX)
    for deployment in range(b[N_DEPLOYMENTS]):
        level = place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE) + FLIGHT_NOW
        during = place(b, AT_DEPLOYMENT_INTERVALS, b[INTERVAL] * b[N_DEPLOYMENTS] + deployment, DEPLOYMENT_INTERVAL_SIZE)
        busy_us = _settle(b, level, passed_us, during + D_BUSY_US, during + D_IN_FLIGHT_MAX)
        groups = place(b, AT_GROUPS_OF_DEPLOYMENT, deployment, 2)
        for which in range(2):
            if b[groups + which] < b[N_GROUPS]:
                row = b[INTERVAL] * b[N_GROUPS] + b[groups + which]
                b[place(b, AT_GROUP_INTERVALS, row, GROUP_INTERVAL_SIZE) + IN_FLIGHT] += busy_us
    for group in range(b[N_GROUPS]):
        level = place(b, AT_GROUP, group, GROUP_SIZE)
        most = place(b, AT_GROUP_INTERVALS, b[INTERVAL] * b[N_GROUPS] + group, GROUP_INTERVAL_SIZE) + PEAK + IN_FLIGHT
        b[most] = max(b[most], b[level + MOST])
        b[level + MOST] = b[level]
    b[SETTLED_US] = now_us


@helper
def pay_account(b: Ints, account: int, now_us: int) -> None:
    """Add the time since the account's last change to its active time, and within the horizon to its paid time."""
    own = place(b, AT_ACCOUNT, account, ACCOUNT_SIZE)
    state, since_us = b[own + STATE], b[own + STATE_SINCE_US]
    from_us = since_us
    while state == ACTIVE and from_us < now_us:
        interval = min((from_us - b[START_US]) // b[LENGTH_US], b[N_INTERVALS])
        until_us = min(now_us, b[START_US] + (interval + 1) * b[LENGTH_US]) if interval < b[N_INTERVALS] else now_us
        b[b[AT_ACCOUNT_ACTIVE] + interval * b[N_ACCOUNTS] + account] += until_us - from_us
        from_us = until_us
    if state in (ACTIVE, DRAINING, NO_KEYS):
        b[own + PAID_US] += max(0, min(now_us, b[HORIZON_END_US]) - since_us)
    b[own + STATE_SINCE_US] = now_us
