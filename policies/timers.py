"""Timers: each deployment keeps one for the moment at which its first in line could fit.

A timer is never later than that moment; an early one only looks and is set again. It is
looked at when the first of a segment changes, when room comes free, and when it rings.
"""

from policies import capacity
from policies.compile import inlined, leaf
from policies.lines import (
    SHORT_OF_ACCOUNT,
    SHORT_OF_BUCKET,
    UNSEEN,
    YIELDS,
    armed_for,
    best_champion,
    find_champions,
    goes_before,
    has_floor,
    is_owed,
    must_yield,
)
from policies.notes import ask
from policies.prices import most_of
from policies.refusals import resting_until_us
from policies.rows import Row
from policies.state import DO_WAKE, NEVER_US, NO_SLOT, State


@leaf
def ring_by(state: State, deployment_row: int, at_us: int) -> None:
    """Let the deployment's timer ring at `at_us`, unless it is set earlier."""
    deployment = state.deployments[deployment_row]
    if at_us < deployment["wake_us"]:
        deployment["wake_us"] = at_us
        ask(state, DO_WAKE, deployment_row, -1, at_us)


@inlined
def first_to_serve(state: State, deployment_row: int, now_us: int) -> int:
    """Slot of the waiting request that this deployment would serve next, or NO_SLOT.

    Whom only a reservation keeps out is passed over; the timer is set for when it no longer does.
    """
    deployment = state.deployments[deployment_row]
    if deployment["waiting_segments"] == 0:
        return NO_SLOT
    find_champions(state, deployment_row)
    best = best_champion(state, deployment, now_us)
    while best != NO_SLOT and capacity.is_kept_out(state, best, deployment, now_us):
        ring_by(state, deployment_row, _room_at_us(state, best, deployment_row, now_us))
        state.tiers[state.requests[best]["tier"]]["champion"] = NO_SLOT
        best = best_champion(state, deployment, now_us)
    return best


@inlined
def _room_at_us(state: State, slot: int, deployment_row: int, now_us: int) -> int:
    deployment = state.deployments[deployment_row]
    output, worst = most_of(state, slot, deployment)
    own_us = capacity.room_at_us(state, slot, deployment, 0, output, worst, now_us)
    return max(own_us, capacity.room_at_us(state, slot, deployment, 1, output, worst, now_us))


@inlined
def _owed_room_at_us(state: State, slot: int, deployment_row: int, now_us: int) -> int:
    """When a request will be owed its tier's share, and fit; NEVER_US if time alone will not do."""
    deployment = state.deployments[deployment_row]
    if not has_floor(state, state.requests[slot]["tier"]) or deployment["shared"] == 0:
        return NEVER_US
    output, worst = most_of(state, slot, deployment)
    owed_us = capacity.owed_at_us(state, slot, deployment, output, worst, now_us)
    if owed_us <= now_us or owed_us >= NEVER_US:
        return NEVER_US
    return max(owed_us, _room_at_us(state, slot, deployment_row, now_us))


@inlined
def _mark_short(state: State, deployment_row: int, short: int, now_us: int) -> None:
    """Note what the first in line is short of; those who yielded to who stood here look again."""
    deployment = state.deployments[deployment_row]
    before = deployment["short"]
    deployment["short"] = short
    if before > 0:
        ring_yielding(state, deployment["account"], YIELDS, now_us)


@inlined
def ring_yielding(state: State, account_row: int, least: int, now_us: int) -> None:
    """Let those look again who yielded to the first of another deployment of the account; YIELDS_FOR_NOW: only for now."""
    account = state.accounts[account_row]
    if account["yielding"] == 0:
        return
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        row = state.account_deployments[place]
        if state.deployments[row]["yields"] >= least:
            ring_by(state, row, now_us)


@inlined
def ring_owed(state: State, account_row: int, tier: int, now_us: int) -> None:
    """A tier took of its share on an account: where its first came first for that, another may do so now."""
    if not has_floor(state, tier):
        return
    account = state.accounts[account_row]
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        row = state.account_deployments[place]
        deployment = state.deployments[row]
        if deployment["owed"] == 0:
            continue
        first = armed_for(state, deployment)
        if first != NO_SLOT and state.requests[first]["tier"] == tier and not is_owed(state, first, deployment, now_us):
            deployment["armed_for"] = UNSEEN
            ring_by(state, row, now_us)


@inlined
def _mark_yielding(state: State, deployment: Row, yields: int) -> None:
    state.accounts[deployment["account"]]["yielding"] += int(yields > 0) - int(deployment["yields"] > 0)
    deployment["yields"] = yields


@inlined
def disarm(state: State, deployment_row: int, now_us: int) -> None:
    """Nobody is first in line here, or the deployment rests: nobody else has to wait for that."""
    deployment = state.deployments[deployment_row]
    deployment["armed_for"] = NO_SLOT
    if deployment["yields"] > 0:
        _mark_yielding(state, deployment, 0)
    if deployment["short"] > 0:
        _mark_short(state, deployment_row, 0, now_us)


@inlined
def arm_for(state: State, deployment_row: int, slot: int, now_us: int) -> None:
    """Set the timer for this request, which comes first here and cannot be sent now."""
    deployment = state.deployments[deployment_row]
    request = state.requests[slot]
    stood_first = armed_for(state, deployment) == slot
    deployment["armed_for"] = slot
    deployment["armed_request"] = request["request"]
    deployment["armed_segment"] = request["segment"]
    deployment["owed"] = _owed_before_rivals(state, slot, deployment, now_us)
    rests_us = resting_until_us(state, deployment)
    output, worst = most_of(state, slot, deployment)
    # Who is short of its own bucket has no use for the account's limits yet: one after the other.
    short, at_us = SHORT_OF_BUCKET, capacity.room_at_us(state, slot, deployment, 1, output, worst, now_us)
    if at_us <= now_us:
        short, at_us = SHORT_OF_ACCOUNT, capacity.room_at_us(state, slot, deployment, 0, output, worst, now_us)
    if at_us <= now_us:
        short = 0
    if short != deployment["short"] or (short > 0 and not stood_first):
        _mark_short(state, deployment_row, short, now_us)
    at_us = max(rests_us, at_us, now_us)
    yields = must_yield(state, slot, deployment_row, now_us) if at_us <= now_us else 0
    if yields != deployment["yields"]:
        _mark_yielding(state, deployment, yields)
    if yields > 0:
        # It looks again when who comes first there has left; or once its own tier is owed room.
        at_us = max(rests_us, _owed_room_at_us(state, slot, deployment_row, now_us))
    if at_us > now_us:
        at_us = min(at_us, max(rests_us, _next_owed_us(state, slot, deployment_row, now_us)))
    ring_by(state, deployment_row, at_us)


@inlined
def _owed_before_rivals(state: State, first: int, deployment: Row, now_us: int) -> int:
    """1 if the first in line is owed its tier's share, and the first of another tier was found beside it."""
    for tier in range(state.tiers.size):
        slot = state.tiers[tier]["champion"]
        if slot != NO_SLOT and slot != first:
            return int(is_owed(state, first, deployment, now_us))
    return 0


@inlined
def _next_owed_us(state: State, first: int, deployment_row: int, now_us: int) -> int:
    """When the first of another tier will be owed a share, and fit: it then comes before `first`."""
    earliest_us = NEVER_US
    for tier in range(state.tiers.size):
        slot = state.tiers[tier]["champion"]
        if slot != NO_SLOT and slot != first:
            earliest_us = min(earliest_us, _owed_room_at_us(state, slot, deployment_row, now_us))
    return earliest_us


@inlined
def arm(state: State, deployment_row: int, now_us: int) -> None:
    """Find who is first in line, and set the timer for it."""
    deployment = state.deployments[deployment_row]
    known = deployment["short"] > 0 or deployment["yields"] > 0 or deployment["waiting_segments"] == 0
    if not known and resting_until_us(state, deployment) >= deployment["wake_us"]:
        deployment["armed_for"] = UNSEEN
        return
    slot = first_to_serve(state, deployment_row, now_us)
    if slot == NO_SLOT:
        disarm(state, deployment_row, now_us)
    else:
        arm_for(state, deployment_row, slot, now_us)


@inlined
def arm_segment(state: State, segment_row: int, now_us: int) -> None:
    """Look at the timers of all deployments that serve a segment, after its first in line changed."""
    if state.pulse[0]["waiting"] == 0:
        return
    segment = state.segments[segment_row]
    floor = has_floor(state, segment["tier"])
    lo = segment_row * state.deployments.size
    for place in range(lo, lo + segment["places"]):
        row = state.places[place]
        deployment = state.deployments[row]
        first = armed_for(state, deployment)
        if first == NO_SLOT or _matters(state, segment, floor, first, deployment, now_us):
            arm(state, row, now_us)
        elif segment["tier"] != state.requests[first]["tier"]:
            # It may come first for its share alone, now that it has a rival.
            deployment["owed"] = int(is_owed(state, first, deployment, now_us))


@inlined
def _matters(state: State, segment: Row, floor: bool, first: int, deployment: Row, now_us: int) -> bool:
    """Whether a change in a segment may change the timer of a deployment where `first` is first in line."""
    if segment["tier"] != state.requests[first]["tier"] and floor and deployment["shared"] == 1:
        # Whoever of that tier comes first there now may be owed room sooner.
        return True
    return bool(segment["head"] != NO_SLOT and goes_before(state, segment["head"], deployment, first, deployment, now_us))
