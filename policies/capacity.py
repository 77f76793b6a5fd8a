"""Room on a deployment: all its limits at once, with what tiers have reserved.

A deployment draws on the limits of its account and of its bucket (account x model class).
One reserve covers them all, and one settle ends it. Reserved shares are limiters of their
own, one per (limit, tier), that are charged alongside (docs/tiers.md).
"""

from policies.charge import (
    CHARGE_RULES,
    LAST_AT_DISPATCH,
    REQUESTS,
    UNCACHED_INPUT,
    charged_at_dispatch,
    charged_at_end,
    held_until_end,
    needed,
)
from policies.claims import ASKED_AGAIN_US, kept_limit
from policies.compile import inlined, leaf, rare
from policies.limits import (
    ACCELERATION,
    IN_FLIGHT,
    PACED,
    bring_up,
    charge,
    confirm,
    correct,
    fits,
    hold,
    may_ever_fit,
    ready_us,
    release,
)
from policies.log import NO_CAPACITY, NO_REASON, RESERVED
from policies.prices import most_of
from policies.rows import Row
from policies.state import NEVER_US, State

# what a guaranteed share means; USER asks a registered function
NONE, FLOOR, PARTITION, TRUNK, CAP, PREEMPT, USER = range(7)

# where the end of an attempt gave room back
FREED_OF_ACCOUNT, FREED_OF_BUCKET, FREED_OF_TRIAL = 1, 2, 4


@leaf
def limit_range(state: State, deployment: Row, part: int) -> tuple[int, int]:
    """Limit rows of the account (part 0) or the bucket (part 1)."""
    if part == 0:
        return deployment["own_lo"], deployment["own_hi"]
    return deployment["bucket_lo"], deployment["bucket_hi"]


@leaf
def _kept(state: State, row: int, tier: int) -> int:
    """Scaled units of a limit that trunk reservation keeps free for higher tiers."""
    return int(state.limits[row]["capacity"] * state.tiers[tier]["above_pm"] // 1000)


@rare
def _share_fits(state: State, row: int, tier: int, units: int, now_us: int) -> bool:
    """Whether the reservations of tiers leave room for `tier` on one limit row."""
    mode = state.settings[0]["reservation"]
    tiers = state.tiers.size
    if mode == PARTITION:
        return bool(fits(state.shares, state.logs, row * tiers + tier, units, now_us))
    if mode == TRUNK:
        limit, kept = state.limits[row], _kept(state, row, tier)
        return bool(kept == 0 or units * limit["unit"] + kept <= limit["level"] - limit["held"])
    if mode == CAP:
        rank = state.tiers[tier]["rank"]
        for other in range(tiers):
            above = state.tiers[other]["rank"]
            if 0 < above <= rank and not fits(state.shares, state.logs, row * tiers + other, units, now_us):
                return False
    return True


@inlined
def fill_needs(state: State, slot: int, offer: Row) -> None:
    """Write down what the request would take with a model, for every charge rule."""
    input_tokens, output, worst = state.requests[slot]["input_tokens"], offer["output_tokens"], offer["worst_nano_usd"]
    for rule in range(CHARGE_RULES):
        state.needs[rule] = needed(rule, input_tokens, output, worst)


@inlined
def why_not(state: State, slot: int, deployment_row: int, now_us: int) -> int:
    """NO_REASON if the deployment has room for this request now, else what stands in the way.

    `needs` are of this request and model. Leaves the row of the limit that refused in
    `pulse.why_limit`, and in `free_ratio` of the deployment the smallest free share among its
    limits, 0 to 1; 1 where nothing is limited.
    """
    deployment = state.deployments[deployment_row]
    reserved = state.settings[0]["reservation"] >= PARTITION and deployment["shared"] == 1
    least = 1.0
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            limit = state.limits[row]
            units = state.needs[limit["charge"]]
            if not fits(state.limits, state.logs, row, units, now_us):
                state.pulse[0]["why_limit"] = row
                return NO_CAPACITY
            if reserved and not _share_fits(state, row, state.requests[slot]["tier"], units, now_us):
                state.pulse[0]["why_limit"] = row
                return RESERVED
            if limit["capacity"] > 0:
                least = min(least, (limit["level"] - limit["held"]) / limit["capacity"])
    deployment["free_ratio"] = least
    if reserved and state.settings[0]["reservation"] == USER:
        kept = kept_limit(state, slot, deployment, now_us)
        if kept >= 0:
            state.pulse[0]["why_limit"] = kept
            return RESERVED
    return NO_REASON


@inlined
def is_kept_out(state: State, slot: int, deployment: Row, now_us: int) -> bool:
    """Whether what tiers have reserved keeps this request from the deployment, room or not."""
    request = state.requests[slot]
    if state.settings[0]["reservation"] < PARTITION or deployment["shared"] == 0:
        return False
    if state.settings[0]["reservation"] == USER:
        return kept_limit(state, slot, deployment, now_us) >= 0
    max_output, worst_nano_usd = most_of(state, slot, deployment)
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            units = needed(state.limits[row]["charge"], request["input_tokens"], max_output, worst_nano_usd)
            bring_up(state.limits, state.logs, row, now_us)
            if not _share_fits(state, row, request["tier"], units, now_us):
                return True
    return False


@inlined
def never_fits(state: State, slot: int, deployment: Row, max_output: int, worst_nano_usd: int) -> int:
    """Row of a limit of the deployment that this request never passes, however idle it is; -1 if there is none."""
    input_tokens = state.requests[slot]["input_tokens"]
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            units = needed(state.limits[row]["charge"], input_tokens, max_output, worst_nano_usd)
            if not may_ever_fit(state.limits, row, units):
                return row
    return -1


@inlined
def is_owed(state: State, slot: int, deployment: Row, max_output: int, worst_nano_usd: int, now_us: int) -> bool:
    """Whether this request's tier, which has a floor, is below its share on every limit of a shared deployment."""
    request = state.requests[slot]
    tier = request["tier"]
    tiers = state.tiers.size
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            units = needed(state.limits[row]["charge"], request["input_tokens"], max_output, worst_nano_usd)
            if not fits(state.shares, state.logs, row * tiers + tier, units, now_us):
                return False
    return True


@inlined
def owed_at_us(state: State, slot: int, deployment: Row, max_output: int, worst_nano_usd: int, now_us: int) -> int:
    """Earliest time at which this request's tier is owed room on the deployment, if it takes nothing more; NEVER_US: not by time."""
    request = state.requests[slot]
    tier = request["tier"]
    tiers = state.tiers.size
    latest = now_us
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            units = needed(state.limits[row]["charge"], request["input_tokens"], max_output, worst_nano_usd)
            latest = max(latest, ready_us(state.shares, state.logs, row * tiers + tier, units, now_us))
    return latest


@inlined
def room_at_us(state: State, slot: int, deployment: Row, part: int, max_output: int, worst_nano_usd: int, now_us: int) -> int:
    """Earliest time at which this request fits the limits of the account (part 0) or the bucket (part 1).

    If nothing else is taken. NEVER_US: only an end will help.
    """
    request = state.requests[slot]
    mode = state.settings[0]["reservation"]
    reserved = mode >= PARTITION and deployment["shared"] == 1
    latest = now_us
    lo, hi = limit_range(state, deployment, part)
    for row in range(lo, hi):
        units = needed(state.limits[row]["charge"], request["input_tokens"], max_output, worst_nano_usd)
        kept = _kept(state, row, request["tier"]) if reserved and mode == TRUNK else 0
        state.limits[row]["held"] += kept
        latest = max(latest, ready_us(state.limits, state.logs, row, units, now_us))
        state.limits[row]["held"] -= kept
        if reserved and mode != TRUNK:
            latest = max(latest, _share_ready_us(state, row, request["tier"], units, now_us))
        if latest >= NEVER_US:
            return NEVER_US
    if reserved and mode == USER and kept_limit(state, slot, deployment, now_us) >= 0:
        return max(latest, now_us + ASKED_AGAIN_US)
    return latest


@rare
def _share_ready_us(state: State, row: int, tier: int, units: int, now_us: int) -> int:
    tiers = state.tiers.size
    if state.settings[0]["reservation"] == PARTITION:
        return int(ready_us(state.shares, state.logs, row * tiers + tier, units, now_us))
    latest = now_us
    if state.settings[0]["reservation"] == CAP:
        rank = state.tiers[tier]["rank"]
        for other in range(tiers):
            above = state.tiers[other]["rank"]
            if 0 < above <= rank:
                latest = max(latest, ready_us(state.shares, state.logs, row * tiers + other, units, now_us))
    return latest


@leaf
def share_moves(state: State, row: int, tier: int, charged: int, held: int, now_us: int) -> None:
    """Count a request against the share limiters of one limit row; `held` below 0 gives back."""
    tiers = state.tiers.size
    if state.settings[0]["reservation"] != CAP:
        _share_move(state, row * tiers + tier, charged, held, now_us)
        return
    rank = state.tiers[tier]["rank"]
    for other in range(tiers):
        if 0 < state.tiers[other]["rank"] <= rank:
            _share_move(state, row * tiers + other, charged, held, now_us)


@leaf
def _share_move(state: State, share_row: int, charged: int, held: int, now_us: int) -> None:
    share = state.shares[share_row]
    if share["capacity_configured"] == 0:
        return
    share["held"] += held * share["unit"]
    if charged > 0:
        bring_up(state.shares, state.logs, share_row, now_us)
        charge(state.shares, state.logs, share_row, charged, now_us)
        mode = state.settings[0]["reservation"]
        if (mode == FLOOR or mode == PREEMPT) and share["window"] <= PACED:
            # What was borrowed while idle is not owed back out of the guarantee.
            share["level"] = max(share["level"], 0)


@leaf
def counts_shares(state: State, deployment: Row) -> bool:
    """Whether share limiters are kept for this deployment."""
    mode = state.settings[0]["reservation"]
    return bool(mode != NONE and mode != TRUNK and deployment["shared"] == 1)


@inlined
def reserve(state: State, slot: int, deployment_row: int, now_us: int) -> None:
    """Charge and hold a request on all limits of a deployment. `why_not` has just said it fits; `needs` are of it."""
    tier = state.requests[slot]["tier"]
    deployment = state.deployments[deployment_row]
    shared = counts_shares(state, deployment)
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            limit = state.limits[row]
            units = state.needs[limit["charge"]]
            if limit["window"] == IN_FLIGHT:
                now_units, held_units = 0, 1
            elif limit["charge"] > LAST_AT_DISPATCH:
                now_units, held_units = 0, units
            else:
                now_units, held_units = units, 0
                charge(state.limits, state.logs, row, units, now_us)
            hold(state.limits, row, held_units)
            if shared:
                share_moves(state, row, tier, now_units, held_units, now_us)


@inlined
def settle(
    state: State, slot: int, input_tokens: int, cached_tokens: int, output_tokens: int, nano_usd: int, now_us: int
) -> int:
    """End what `reserve` began, once: give back what was held, charge what was really used.

    An attempt that the provider did not serve has used nothing: all zeros. Limits that were charged
    by an estimate of the input are corrected. Returns where room came free: FREED_OF_ACCOUNT,
    FREED_OF_BUCKET, their sum or 0.
    """
    freed = 0
    request = state.requests[slot]
    deployment = state.deployments[request["deployment"]]
    shared = counts_shares(state, deployment)
    max_output, worst_nano_usd = request["reserved_output"], request["held_nano_usd"]
    missed = input_tokens - request["input_tokens"] if input_tokens > 0 else 0
    for part in range(2):
        lo, hi = limit_range(state, deployment, part)
        for row in range(lo, hi):
            rule = state.limits[row]["charge"]
            if missed != 0 and REQUESTS < rule <= LAST_AT_DISPATCH:
                _correct(state, row, request["tier"], shared, missed, request["dispatch_us"], now_us)
                freed |= FREED_OF_ACCOUNT if part == 0 else FREED_OF_BUCKET
            if rule <= LAST_AT_DISPATCH and state.limits[row]["window"] < IN_FLIGHT:
                continue
            held_units = held_until_end(rule, request["input_tokens"], max_output, worst_nano_usd)
            used = 0
            if state.limits[row]["window"] == IN_FLIGHT:
                held_units = 1
            else:
                used = charged_at_end(rule, input_tokens, cached_tokens, output_tokens, nano_usd)
            if held_units > 0:
                # Even if all of it was used: what is used comes back with time, what is held does not.
                freed |= FREED_OF_ACCOUNT if part == 0 else FREED_OF_BUCKET
                release(state.limits, row, held_units)
                if used > 0:
                    bring_up(state.limits, state.logs, row, now_us)
                    charge(state.limits, state.logs, row, used, now_us)
            if shared and (held_units > 0 or used > 0):
                share_moves(state, row, request["tier"], used, -held_units, now_us)
            if state.limits[row]["window"] == ACCELERATION and input_tokens + output_tokens > 0:
                counted = used if rule >= UNCACHED_INPUT else charged_at_dispatch(rule, input_tokens, max_output)
                # Output and what follows from it a provider counts at the end, all else when the attempt comes in.
                counted_us = request["dispatch_us"] if rule <= UNCACHED_INPUT else now_us
                confirm(state.limits, state.logs, row, counted, counted_us, now_us)
                if shared:
                    _share_confirms(state, row, request["tier"], counted, counted_us, now_us)
                # An allowance may have grown.
                freed |= FREED_OF_ACCOUNT if part == 0 else FREED_OF_BUCKET
    return freed


@rare
def _correct(state: State, row: int, tier: int, shared: bool, missed: int, counted_us: int, now_us: int) -> None:
    """Count on a limit, and on the shares that the tier counts against, what the estimate of the input missed."""
    correct(state.limits, state.logs, row, missed, counted_us, now_us)
    if not shared:
        return
    tiers = state.tiers.size
    mode = state.settings[0]["reservation"]
    for other in range(tiers):
        share = state.shares[row * tiers + other]
        if share["capacity_configured"] > 0 and _counts_against(state, tier, other):
            correct(state.shares, state.logs, row * tiers + other, missed, counted_us, now_us)
            if (mode == FLOOR or mode == PREEMPT) and share["window"] <= PACED:
                share["level"] = max(share["level"], 0)


@leaf
def _counts_against(state: State, tier: int, other: int) -> bool:
    """Whether what one tier uses counts against the share of another: its own; under CAP all from rank 1 to its own."""
    if state.settings[0]["reservation"] != CAP:
        return bool(tier == other)
    return bool(0 < state.tiers[other]["rank"] <= state.tiers[tier]["rank"])


@rare
def _share_confirms(state: State, row: int, tier: int, counted: int, counted_us: int, now_us: int) -> None:
    """Tell the share limiters of one acceleration limit what the provider has served."""
    tiers = state.tiers.size
    for other in range(tiers):
        if _counts_against(state, tier, other) and state.shares[row * tiers + other]["capacity_configured"] > 0:
            confirm(state.shares, state.logs, row * tiers + other, counted, counted_us, now_us)


@rare
def refusal_clears_us(state: State, row: int, now_us: int) -> int:
    """When a limit that refused will have room for the least unit; -1 if no limit is to blame."""
    if row < 0:
        return -1
    at_us = ready_us(state.limits, state.logs, row, 1, now_us)
    return -1 if at_us >= NEVER_US else at_us
