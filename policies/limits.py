"""Limiters: how much of a limit is free now, when it will be, and what taking does to it.

A limiter row has a `level` and a `held` amount. What may still be taken is `level - held`:
the level mirrors what the provider has counted, `held` sets aside the worst case of attempts
in flight. Both are whole numbers in scaled units: for token buckets a unit is 60,000,000, so
that `rate_per_min * elapsed_us` is an exact refill whenever it is computed; elsewhere 1.

window         level                          what changes it with time
TOKEN_BUCKET   what the bucket holds          refills at `rate` per minute up to `capacity`
PACED          the same; one oversized charge overdraws a full bucket
FIXED          capacity less this window's    a new window starts full
SLIDING        capacity less the log's sum    entries older than `window_us` leave
IN_FLIGHT      capacity                       nothing: concurrency is all `held`
ACCELERATION   allowance less this window's   the allowance grows with the window before

What was sent in an acceleration window counts against its allowance at once, but it enlarges the
next one only when it is known that the provider served it (`confirm`): a provider does not count
what it failed or refused, and the gateway must not hope for more than it will get.
"""

import numpy as np

from policies.compile import leaf, rare

TOKEN_BUCKET, PACED, FIXED, SLIDING, DAY, IN_FLIGHT, ACCELERATION = 0, 1, 2, 3, 4, 5, 6
BUCKET_UNIT = 60_000_000
NEVER_US = 2**62
MOST = 2**62                    # no limit in force is above it
_LONGEST_REFILL_US = 1 << 33

LIMIT = np.dtype(
    [
        # what every check touches, in one cache line
        ("level", "<i8"), ("held", "<i8"), ("stamp_us", "<i8"),     # stamp: last refill, or start of the window
        ("capacity", "<i8"), ("rate", "<i8"),                       # in force now, after `scale_pm` and `share_pm`
        ("window", "<i8"), ("charge", "<i8"), ("unit", "<i8"),
        ("period_used", "<i8"),                                     # since the last scaling tick, for utilization
        ("capacity_configured", "<i8"), ("rate_configured", "<i8"),
        ("window_us", "<i8"), ("offset_us", "<i8"),
        ("previous", "<i8"), ("used", "<i8"),                       # acceleration: served of last and this window
        ("log_start", "<i8"), ("log_size", "<i8"), ("log_head", "<i8"), ("log_count", "<i8"), ("grid_us", "<i8"),
        ("growth_pm", "<i8"), ("scale_pm", "<i8"), ("dimension", "<i8"), ("share_pm", "<i8"),
    ]
)  # fmt: skip

LOG_ENTRY = np.dtype([("time_us", "<i8"), ("amount", "<i8")])


@leaf
def scaled(amount, per_mille):  # type: ignore[no-untyped-def]
    """`amount * per_mille / 1000`, rounded down, at most MOST; never overflows."""
    if amount // 1000 >= MOST // max(per_mille, 1):
        return MOST
    return min(MOST, amount // 1000 * per_mille + amount % 1000 * per_mille // 1000)


@leaf
def allowance(limit):  # type: ignore[no-untyped-def]
    """Scaled units that a window gives in all."""
    if limit["window"] != ACCELERATION:
        return limit["capacity"]
    return max(limit["capacity"], scaled(limit["previous"], limit["growth_pm"]))


@rare
def _forget_old_entries(limits, logs, row, now_us):  # type: ignore[no-untyped-def]
    limit = limits[row]
    start, size = limit["log_start"], limit["log_size"]
    while limit["log_count"] > 0:
        entry = logs[start + limit["log_head"]]
        if entry["time_us"] + limit["window_us"] > now_us:
            return
        limit["level"] += entry["amount"]
        limit["log_head"] = (limit["log_head"] + 1) % size
        limit["log_count"] -= 1


@rare
def _start_window(limit, now_us):  # type: ignore[no-untyped-def]
    """Move a fixed or acceleration limit, whose window is over, into the one that `now_us` lies in."""
    window_us = limit["window_us"]
    start_us = now_us - (now_us - limit["offset_us"]) % window_us
    if limit["window"] == ACCELERATION:
        was_last = start_us == limit["stamp_us"] + window_us
        limit["previous"] = limit["used"] if was_last else 0
        limit["used"] = 0
    limit["level"] = allowance(limit)
    limit["stamp_us"] = start_us


@leaf
def bring_up(limits, logs, row, now_us):  # type: ignore[no-untyped-def]
    """Let time pass for one row, up to `now_us`. Exact: how often it is called changes nothing."""
    limit = limits[row]
    window = limit["window"]
    if window <= PACED:
        elapsed_us = now_us - limit["stamp_us"]
        if elapsed_us > 0:
            rate, missing = limit["rate"], limit["capacity"] - limit["level"]
            # After so long the product might overflow; it is taken only where it fills less than is missing.
            if elapsed_us > _LONGEST_REFILL_US and rate > 0 and missing // rate < elapsed_us:
                limit["level"] = limit["capacity"]
            else:
                limit["level"] = min(limit["capacity"], limit["level"] + elapsed_us * rate)
            limit["stamp_us"] = now_us
    elif window == SLIDING:
        _forget_old_entries(limits, logs, row, now_us)
    elif window != IN_FLIGHT and now_us >= limit["stamp_us"] + limit["window_us"]:
        _start_window(limit, now_us)


@leaf
def free(limits, logs, row, now_us):  # type: ignore[no-untyped-def]
    """Scaled units that may be taken now."""
    bring_up(limits, logs, row, now_us)
    return limits[row]["level"] - limits[row]["held"]


@leaf
def fits(limits, logs, row, units, now_us):  # type: ignore[no-untyped-def]
    """Whether `units` (not scaled) may be taken now."""
    available = free(limits, logs, row, now_us)
    limit = limits[row]
    need = units * limit["unit"]
    if need <= available:
        return True
    return limit["window"] == PACED and need > limit["capacity"] and available >= limit["capacity"] > 0


@leaf
def may_ever_fit(limits, row, units):  # type: ignore[no-untyped-def]
    """Whether `units` could pass an idle limiter as configured."""
    limit = limits[row]
    return limit["window"] == PACED or limit["window"] == ACCELERATION or units * limit["unit"] <= limit["capacity_configured"]


@leaf
def charge(limits, logs, row, units, now_us):  # type: ignore[no-untyped-def]
    """Count `units` now. The caller has let time pass by `fits` or `bring_up`."""
    limit = limits[row]
    amount = units * limit["unit"]
    limit["period_used"] += units
    window = limit["window"]
    if window == IN_FLIGHT:
        return
    limit["level"] -= amount
    if window == SLIDING and amount > 0:
        _remember(limits, logs, row, amount, now_us)


@rare
def correct(limits, logs, row, units, counted_us, now_us):  # type: ignore[no-untyped-def]
    """What was charged at `counted_us` was `units` more than that, or fewer if below 0.

    Of an earlier window nothing is left to correct. What a sliding limit counted too much stays in its log.
    """
    limit = limits[row]
    window = limit["window"]
    if window == SLIDING:
        if units > 0:
            bring_up(limits, logs, row, now_us)
            charge(limits, logs, row, units, now_us)
        return
    if window == IN_FLIGHT:
        return
    bring_up(limits, logs, row, now_us)
    if window <= PACED:
        limit["level"] = min(limit["capacity"], limit["level"] - units * limit["unit"])
    elif counted_us >= limit["stamp_us"]:
        limit["level"] -= units * limit["unit"]
    limit["period_used"] += units


@rare
def confirm(limits, logs, row, units, counted_us, now_us):  # type: ignore[no-untyped-def]
    """The provider served what it has counted as `units` at `counted_us`: let it enlarge the next allowance.

    Changes acceleration limits alone. The window after may have begun: its allowance grows then.
    """
    limit = limits[row]
    if limit["window"] != ACCELERATION:
        return
    bring_up(limits, logs, row, now_us)
    amount = units * limit["unit"]
    if counted_us >= limit["stamp_us"]:
        limit["used"] += amount
    elif counted_us >= limit["stamp_us"] - limit["window_us"]:
        before = allowance(limit)
        limit["previous"] += amount
        limit["level"] += allowance(limit) - before


@rare
def _remember(limits, logs, row, amount, now_us):  # type: ignore[no-untyped-def]
    """Append to the sliding log; entries of one grid cell, or beyond its size, are joined later-dated."""
    limit = limits[row]
    grid_us = limit["grid_us"]
    time_us = now_us if grid_us <= 1 else now_us + (-now_us) % grid_us
    start, size, count = limit["log_start"], limit["log_size"], limit["log_count"]
    if count > 0:
        last = logs[start + (limit["log_head"] + count - 1) % size]
        if last["time_us"] == time_us or count == size:
            last["time_us"] = time_us
            last["amount"] += amount
            return
    entry = logs[start + (limit["log_head"] + count) % size]
    entry["time_us"] = time_us
    entry["amount"] = amount
    limit["log_count"] += 1


@leaf
def hold(limits, row, units):  # type: ignore[no-untyped-def]
    """Set aside `units` until `release`."""
    limits[row]["held"] += units * limits[row]["unit"]


@leaf
def release(limits, row, units):  # type: ignore[no-untyped-def]
    """Give back what `hold` set aside."""
    limits[row]["held"] -= units * limits[row]["unit"]


@leaf
def ready_us(limits, logs, row, units, now_us):  # type: ignore[no-untyped-def]
    """Earliest time at which `units` fit if nothing else is taken; NEVER_US if time alone will not do."""
    if fits(limits, logs, row, units, now_us):
        return now_us
    limit = limits[row]
    window = limit["window"]
    need = units * limit["unit"]
    if window == PACED and need > limit["capacity"]:
        need = limit["capacity"]
    if need + limit["held"] > limit["capacity"] and window != ACCELERATION:
        return NEVER_US
    missing = need + limit["held"] - limit["level"]
    if window <= PACED:
        rate = limit["rate"]
        return now_us + (missing + rate - 1) // rate if rate > 0 else NEVER_US
    if window == SLIDING:
        return _sliding_ready_us(limits, logs, row, missing)
    if window == IN_FLIGHT:
        return NEVER_US
    return limit["stamp_us"] + limit["window_us"]


@rare
def _sliding_ready_us(limits, logs, row, missing):  # type: ignore[no-untyped-def]
    limit = limits[row]
    for step in range(limit["log_count"]):
        entry = logs[limit["log_start"] + (limit["log_head"] + step) % limit["log_size"]]
        missing -= entry["amount"]
        if missing <= 0:
            return entry["time_us"] + limit["window_us"]
    return NEVER_US


@rare
def rescale(limits, logs, row, scale_pm, now_us):  # type: ignore[no-untyped-def]
    """Set the share of the configured limit that is in force: what headers showed, at most all of it."""
    limits[row]["scale_pm"] = min(int(scale_pm), 1000)
    _put_in_force(limits, logs, row, now_us)


@rare
def lease(limits, logs, row, share_pm, now_us):  # type: ignore[no-untyped-def]
    """Set the share of what is in force that is ours, others having the rest. A bucket gets no more tokens by it, only more room."""
    limits[row]["share_pm"] = min(max(int(share_pm), 1), 1000)
    _put_in_force(limits, logs, row, now_us)


@leaf
def _put_in_force(limits, logs, row, now_us):  # type: ignore[no-untyped-def]
    bring_up(limits, logs, row, now_us)
    limit = limits[row]
    per_mille = limit["scale_pm"] * limit["share_pm"] // 1000
    before = allowance(limit)
    limit["capacity"] = _in_force(limit["capacity_configured"], per_mille)
    limit["rate"] = _in_force(limit["rate_configured"], per_mille)
    if limit["window"] <= PACED:
        limit["level"] = min(limit["level"], limit["capacity"])
    else:
        limit["level"] += allowance(limit) - before


@leaf
def _in_force(configured, scale_pm):  # type: ignore[no-untyped-def]
    """A share of a limit. Providers leave at least 1 of what is there."""
    return max(1, scaled(configured, scale_pm)) if configured > 0 else 0
