"""The providers' own arithmetic of limits, written from their rules, not from the gateway's.

window          a request passes if                               afterwards
token bucket    the level covers it                               it leaves the level
paced           the level covers it, or the bucket is full        it leaves the level, which may fall below zero
fixed, day      used + request <= allowed in this window          it is used until the window ends
sliding         used in (now - window, now] + request <= allowed  it is used for one window
acceleration    used + request <= max(least, growth * last use)   it is used until the window ends
in flight       attempts in flight + 1 <= allowed                 it is in flight until it ends

What is only known when the attempt ends (output, total, cost) is charged then; until then a
request needs no more than that the limit is not used up. A request that charges nothing passes.
Levels of buckets are in units of 1/60,000,000, so that a refill of `per minute * microseconds`
is a whole number and does not depend on how often it is computed.
"""

from policies.compile import leaf, rare
from policies.rows import Ints, Row, Rows

TOKEN_BUCKET, PACED, FIXED, SLIDING, DAY, IN_FLIGHT, ACCELERATION = range(7)
REQUESTS, MAX_TOKENS, INPUT, UNCACHED_INPUT, OUTPUT, TOTAL, COST = range(7)
UNIT = 60_000_000
DEEPEST = 2**61                 # no level is above it, or below its negative
MOST = 2**62                    # no allowance is above it
_REFILL_MOST = 2**62


@leaf
def work_out_charges(charges: Ints, input_tokens: int, cached_tokens: int, most_output_tokens: int) -> None:
    """What an attempt costs at once under each charge rule; under those known at its end, that one unit must be left."""
    charges[REQUESTS] = 1
    charges[MAX_TOKENS] = input_tokens + most_output_tokens
    charges[INPUT] = input_tokens
    charges[UNCACHED_INPUT] = input_tokens - cached_tokens
    charges[OUTPUT] = 1
    charges[TOTAL] = 1
    charges[COST] = 1


@leaf
def charge_at_end(charge: int, model: Row, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Units that an attempt costs under a charge rule known at its end."""
    if charge == OUTPUT:
        return output_tokens
    if charge == TOTAL:
        return input_tokens + output_tokens
    return cost_nano_usd(model, input_tokens, cached_tokens, output_tokens)


@leaf
def cost_nano_usd(model: Row, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Price in whole nano-USD, rounded up; whole and broken nano-USD per token apart, so that nothing overflows."""
    million = 1_000_000
    fresh_tokens = input_tokens - cached_tokens
    whole = fresh_tokens * model["fresh_nano_usd"] + cached_tokens * model["cached_nano_usd"]
    broken = fresh_tokens * model["fresh_millionths"] + cached_tokens * model["cached_millionths"]
    whole += output_tokens * model["output_nano_usd"]
    broken += output_tokens * model["output_millionths"]
    return int(whole + (broken + million - 1) // million)


@leaf
def bring_up(limit: Row, entries: Rows, now_us: int) -> None:
    """Let time pass for one limit."""
    kind = limit["window"]
    if kind <= PACED:
        _refill(limit, now_us)
    elif kind == SLIDING:
        _forget(limit, entries, now_us)
    elif now_us >= limit["until_us"]:
        _turn_window(limit, now_us)


@leaf
def _refill(limit: Row, now_us: int) -> None:
    elapsed_us = now_us - limit["since_us"]
    if elapsed_us <= 0:
        return
    limit["since_us"] = now_us
    per_min = limit["allowed"]
    # Beyond this time any bucket is full; the product would overflow.
    if elapsed_us > 4_000_000 and elapsed_us > _REFILL_MOST // per_min:
        limit["level"] = limit["room"]
    else:
        limit["level"] = min(limit["room"], limit["level"] + per_min * elapsed_us)


@rare
def _forget(limit: Row, entries: Rows, now_us: int) -> None:
    gone_us = now_us - limit["window_us"]
    while limit["ring_count"] > 0:
        entry = entries[limit["ring_lo"] + limit["ring_first"]]
        if entry["time_us"] > gone_us:
            return
        limit["used"] -= entry["amount"]
        limit["ring_first"] = _wrapped(limit["ring_first"] + 1, limit["ring_size"])
        limit["ring_count"] -= 1


@leaf
def _wrapped(position: int, size: int) -> int:
    return position - size if position >= size else position


@rare
def _turn_window(limit: Row, now_us: int) -> None:
    window_us, ended_us = limit["window_us"], limit["until_us"]
    begun_us = now_us - (now_us - limit["offset_us"]) % window_us
    limit["previous"] = limit["used"] if begun_us == ended_us else 0
    limit["used"] = 0
    limit["until_us"] = begun_us + window_us
    if limit["window"] == ACCELERATION:
        limit["allowed"] = max(limit["scaled"], scaled(limit["previous"], limit["growth_pm"], MOST))


@leaf
def scaled(amount: int, per_mille: int, most: int) -> int:
    """`amount * per_mille / 1000`, rounded down, at most `most`; never overflows."""
    if amount // 1000 >= most // max(per_mille, 1):
        return most
    return min(most, amount // 1000 * per_mille + amount % 1000 * per_mille // 1000)


@leaf
def need_of(limit: Row, charge: int) -> int:
    """What must be free for an attempt to pass: units of buckets, else of the window."""
    kind = limit["window"]
    if kind > PACED:
        return charge
    need = charge * limit["unit"]
    return int(min(need, limit["room"])) if kind == PACED else int(need)


@leaf
def has_room(limit: Row, need: int) -> bool:
    """Whether an attempt passes this limit, which was brought up to now."""
    if need == 0:
        return True
    if limit["window"] <= PACED:
        return bool(limit["level"] >= need)
    return bool(limit["used"] + need <= limit["allowed"])


@leaf
def take(limit: Row, entries: Rows, charge: int, now_us: int) -> None:
    """Charge a limit, which was brought up to now."""
    kind = limit["window"]
    if kind <= PACED:
        limit["level"] = max(-DEEPEST, limit["level"] - charge * UNIT)
        return
    limit["used"] += charge
    if kind == SLIDING and charge > 0:
        _remember(limit, entries, charge, now_us)


@rare
def _remember(limit: Row, entries: Rows, charge: int, now_us: int) -> None:
    """Log a charge. Charges within `grid_us` of the newest entry, and those that no entry is left for, count as of its time.

    They leave the window a little early, never late: the emulator is never stricter than the rule.
    """
    lo, size, first, count = limit["ring_lo"], limit["ring_size"], limit["ring_first"], limit["ring_count"]
    if count > 0:
        newest = entries[lo + _wrapped(first + count - 1, size)]
        if count == size or now_us - newest["time_us"] < limit["grid_us"]:
            newest["amount"] += charge
            return
    entry = entries[lo + _wrapped(first + count, size)]
    entry["time_us"] = now_us
    entry["amount"] = charge
    limit["ring_count"] = count + 1


@leaf
def is_overdrawn(limit: Row, charge: int) -> bool:
    """Whether more is used than allowed, after `charge` at an end. A charge above the depth may overdraw a paced limit."""
    kind = limit["window"]
    if kind == TOKEN_BUCKET:
        return bool(limit["level"] < 0)
    if kind == PACED:
        return bool(limit["level"] < 0 and charge * UNIT <= limit["room"])
    return bool(limit["used"] > limit["allowed"])


@rare
def clears_in_us(limit: Row, entries: Rows, need: int, now_us: int) -> int:
    """Microseconds until a refused attempt would pass if nothing else came; 0 if time alone does not help."""
    kind = limit["window"]
    if kind <= PACED:
        if need > limit["room"]:
            return 0
        return int((need - limit["level"] + limit["allowed"] - 1) // limit["allowed"])
    if kind == IN_FLIGHT:
        return 0
    if kind == SLIDING:
        return _log_clears_in_us(limit, entries, need, now_us)
    next_allowed = limit["allowed"]
    if kind == ACCELERATION:
        next_allowed = max(limit["scaled"], scaled(limit["used"], limit["growth_pm"], MOST))
    return int(limit["until_us"] - now_us) if need <= next_allowed else 0


@leaf
def _log_clears_in_us(limit: Row, entries: Rows, need: int, now_us: int) -> int:
    excess = limit["used"] + need - limit["allowed"]
    for step in range(limit["ring_count"]):
        entry = entries[limit["ring_lo"] + _wrapped(limit["ring_first"] + step, limit["ring_size"])]
        excess -= entry["amount"]
        if excess <= 0:
            return int(entry["time_us"] + limit["window_us"] - now_us)
    return 0


@leaf
def rescale(limit: Row, entries: Rows, scale_pm: int, now_us: int) -> None:
    """Put a share of the configured limit in force from now on; until now the old one refilled."""
    bring_up(limit, entries, now_us)
    limit["scaled"] = max(1, scaled(limit["amount"], scale_pm, MOST))
    limit["allowed"] = limit["scaled"]
    if limit["window"] <= PACED:
        limit["room"] = max(1, scaled(limit["depth"] * UNIT, scale_pm, DEEPEST))
        limit["level"] = min(limit["level"], limit["room"])
    elif limit["window"] == ACCELERATION:
        limit["allowed"] = max(limit["scaled"], scaled(limit["previous"], limit["growth_pm"], MOST))
