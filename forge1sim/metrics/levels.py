"""Levels over time: how many wait, are in the system or in flight, and which accounts are active.

A level is integrated when it changes, in whole microseconds and cut at the ends of intervals. An
integral therefore does not depend on when else it was brought up to date.
"""

# isort: off
from forge1sim.metrics.columns import (
    ACCOUNT_SIZE, AT_ACCOUNT, AT_ACCOUNT_ACTIVE, AT_DEPLOYMENT, AT_DEPLOYMENT_INTERVALS, AT_GROUP,
    AT_GROUP_INTERVALS, AT_GROUPS_OF_DEPLOYMENT, AT_TIER, AT_TIER_INTERVALS, BEGIN_US, D_BUSY_US, D_IN_FLIGHT_MAX,
    DEPLOYMENT_INTERVAL_SIZE, DEPLOYMENT_SIZE, END_US, FLIGHT_NOW, GROUP_INTERVAL_SIZE, GROUP_SIZE, HORIZON_END_US,
    HOUR, HOUR_US, IN_FLIGHT, IN_SYSTEM_NOW, INTERVAL, LENGTH_US, MINUTE, MINUTE_END_US, N_ACCOUNTS, N_DEPLOYMENTS,
    N_GROUPS, N_HOURS, N_INTERVALS, N_TIERS, NOW_US, PAID_US, PEAK, SINCE, START_US, STATE, STATE_SINCE_US,
    T_SYSTEM_MAX, T_SYSTEM_US, T_WAITING_MAX, T_WAITING_US, TIER_INTERVAL_SIZE, TIER_SIZE, WAITING_NOW,
)  # fmt: skip

# isort: on
from forge1sim.metrics.helper import entry, helper
from forge1sim.metrics.state import Ints
from forge1sim.metrics.static import MINUTE_US
from policies.log import ACTIVE, DRAINING, NO_KEYS

_NEVER_US = 2**62
_PLACE_BITS = (1 << 40) - 1


@helper
def place(b: Ints, part: int, row: int, size: int) -> int:
    """Where row `row` of a part begins. The mask tells the compiler that it is not negative, which spares it a test at every use."""
    return int((b[part] + row * size) & _PLACE_BITS)


@helper
def advance(b: Ints, now_us: int) -> None:
    """Move the clock; past the horizon all is one last interval."""
    b[NOW_US] = now_us
    if now_us >= b[MINUTE_END_US]:
        b[MINUTE] = (now_us - b[START_US]) // MINUTE_US
        b[MINUTE_END_US] = b[START_US] + (b[MINUTE] + 1) * MINUTE_US
    if now_us >= b[END_US]:
        b[INTERVAL] = min((now_us - b[START_US]) // b[LENGTH_US], b[N_INTERVALS])
        inside = b[INTERVAL] < b[N_INTERVALS]
        b[BEGIN_US] = b[START_US] + b[INTERVAL] * b[LENGTH_US]
        b[END_US] = b[BEGIN_US] + b[LENGTH_US] if inside else _NEVER_US
        b[HOUR] = b[INTERVAL] * b[LENGTH_US] // b[HOUR_US] if inside else b[N_HOURS]


@helper
def _change(b: Ints, level: int, by: int, total: int, largest: int, stride: int, now_us: int) -> None:
    """Change the level at `b[level]`; its integral and its maximum are kept for every interval up to now."""
    number, since_us = b[level], b[level + SINCE]
    if number != 0:
        while since_us < b[BEGIN_US]:
            passed = (since_us - b[START_US]) // b[LENGTH_US]
            until_us = b[START_US] + (passed + 1) * b[LENGTH_US]
            b[total + passed * stride] += number * (until_us - since_us)
            b[largest + passed * stride] = max(b[largest + passed * stride], number)
            since_us = until_us
    interval = (b[INTERVAL] * stride) & _PLACE_BITS
    b[total + interval] += number * (now_us - since_us)
    b[largest + interval] = max(b[largest + interval], number, number + by)
    b[level] = number + by
    b[level + SINCE] = now_us


@helper
def change_waiting(b: Ints, tier: int, by: int, now_us: int) -> None:
    """Change how many requests of a tier wait."""
    during = place(b, AT_TIER_INTERVALS, tier, TIER_INTERVAL_SIZE)
    level = place(b, AT_TIER, tier, TIER_SIZE) + WAITING_NOW
    _change(b, level, by, during + T_WAITING_US, during + T_WAITING_MAX, b[N_TIERS] * TIER_INTERVAL_SIZE, now_us)


@helper
def change_system(b: Ints, tier: int, by: int, now_us: int) -> None:
    """Change how many requests of a tier are in the system."""
    during = place(b, AT_TIER_INTERVALS, tier, TIER_INTERVAL_SIZE)
    level = place(b, AT_TIER, tier, TIER_SIZE) + IN_SYSTEM_NOW
    _change(b, level, by, during + T_SYSTEM_US, during + T_SYSTEM_MAX, b[N_TIERS] * TIER_INTERVAL_SIZE, now_us)


@helper
def change_flight(b: Ints, deployment: int, by: int, now_us: int) -> None:
    """Change how many requests are in flight at a deployment and in its limit groups."""
    during = place(b, AT_DEPLOYMENT_INTERVALS, deployment, DEPLOYMENT_INTERVAL_SIZE)
    level = place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE) + FLIGHT_NOW
    stride = b[N_DEPLOYMENTS] * DEPLOYMENT_INTERVAL_SIZE
    _change(b, level, by, during + D_BUSY_US, during + D_IN_FLIGHT_MAX, stride, now_us)
    groups = place(b, AT_GROUPS_OF_DEPLOYMENT, deployment, 2)
    for which in range(2):
        group = b[groups + which]
        if group >= 0:
            during = place(b, AT_GROUP_INTERVALS, group, GROUP_INTERVAL_SIZE) + IN_FLIGHT
            level = place(b, AT_GROUP, group, GROUP_SIZE) + FLIGHT_NOW
            _change(b, level, by, during, during + PEAK, b[N_GROUPS] * GROUP_INTERVAL_SIZE, now_us)


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


@entry
def flush(b: Ints, now_us: int) -> None:
    """Bring every level up to `now_us`. May be called at any time; folding can go on afterwards."""
    advance(b, now_us)
    for tier in range(b[N_TIERS]):
        change_waiting(b, tier, 0, now_us)
        change_system(b, tier, 0, now_us)
    for deployment in range(b[N_DEPLOYMENTS]):
        change_flight(b, deployment, 0, now_us)
    for account in range(b[N_ACCOUNTS]):
        pay_account(b, account, now_us)
