"""Waiting: into the queue, out of it, and what a deployment does when it has room again."""

from policies import capacity
from policies.compile import inlined, rare
from policies.deadlines import forget_deadline, watch_deadline
from policies.lines import SHORT_OF_ACCOUNT, YIELDS, YIELDS_FOR_NOW, armed_for, has_floor, must_yield
from policies.log import NO_REASON, POLICY_WAITS, QUEUE, REJECT, TENANT_BUDGET
from policies.notes import note_request
from policies.placing import (
    dispatch,
    make_offer,
    never_fits,
    offer_terms,
    open_budget_period,
    pick,
    suited_models,
    unsuited,
)
from policies.queues import advance, push, remove
from policies.refusals import resting_until_us
from policies.rows import Plugged, Row
from policies.state import FREE, NO_SLOT, NOWHERE, WAITING, State
from policies.timers import arm, arm_for, arm_segment, disarm, first_to_serve, ring_by, ring_owed, ring_yielding

MOST_OFFERS_PER_EVENT = 16
POLICY_ASKED_AGAIN_US = 100_000
_MISFITS = 36_028_797_018_963_913       # 2**55 - 55, a prime


@inlined
def _misfits(state: State, slot: int, bits: int) -> int:
    """A number for the set of deployments that are too small for this request whatever happens; 0 for none."""
    if state.requests[slot]["most_tokens"] <= state.settings[0]["fits_anywhere_tokens"]:
        return 0
    number = 0
    for row in range(state.deployments.size):
        deployment = state.deployments[row]
        if bits >> deployment["model"] & 1 and never_fits(state, slot, deployment) >= 0:
            number = (number * 31 + row + 1) % _MISFITS
    return number


@rare
def _list_places(state: State, slot: int, segment_row: int, bits: int) -> None:
    """Write down which deployments may serve the requests of a new segment, of which `slot` is one."""
    width = state.deployments.size
    access = state.tenants[state.requests[slot]["tenant"]]["access"]
    segment = state.segments[segment_row]
    for row in range(width):
        suited = bits >> state.deployments[row]["model"] & 1 and never_fits(state, slot, state.deployments[row]) < 0
        if suited and state.open[access * width + row] > 0:
            state.eligible[segment_row * width + row] = 1
            state.places[segment_row * width + segment["places"]] = row
            segment["places"] += 1


@inlined
def find_segment(state: State, slot: int, bits: int) -> int:
    """The segment of requests that the same deployments may serve; made if new. -1: no row left.

    They have access, wanted model, suited models and misfits in common. Open addressing by a hash
    of the four. Rows are never given back: their number is bounded by the kinds of request there are.
    """
    request = state.requests[slot]
    access = state.tenants[request["tenant"]]["access"]
    size = state.segments.size
    misfits = _misfits(state, slot, bits)
    place = (access * 1_000_003 + (request["wanted"] + 1) * 8_191 + bits % 2_147_483_647 + misfits) % size
    for _ in range(size):
        segment = state.segments[place]
        if segment["used"] == 0:
            segment["used"] = 1
            segment["access"], segment["wanted"], segment["models"] = access, request["wanted"], bits
            segment["misfits"] = misfits
            segment["tier"] = request["tier"]
            segment["head"], segment["count"] = NO_SLOT, 0
            _list_places(state, slot, place, bits)
            return int(place)
        same = segment["access"] == access and segment["wanted"] == request["wanted"] and segment["models"] == bits
        if same and segment["misfits"] == misfits:
            return int(place)
        place = (place + 1) % size
    return -1


@inlined
def begin_waiting(state: State, slot: int, segment_row: int, reason: int, limit: int) -> None:
    """Put a request, which has its fair-share tag, into its segment's queue."""
    request = state.requests[slot]
    request["segment"] = segment_row
    request["status"] = WAITING
    request["why"] = reason
    request["deployment"] = NOWHERE
    push(state, segment_row, slot)
    note_request(state, QUEUE, reason, slot, limit, segment_row, state.pulse[0]["waiting"], 0, 0, 0)
    watch_deadline(state, slot)


@inlined
def stop_waiting(state: State, slot: int) -> None:
    """Take a request out of its queue."""
    remove(state, state.requests[slot]["segment"], slot)


@inlined
def finish(state: State, slot: int) -> None:
    """Give the slot of an ended request back."""
    pulse = state.pulse[0]
    forget_deadline(state, slot)
    state.requests[slot]["status"] = FREE
    state.requests[slot]["next"] = pulse["free_slot"] - (slot + 1)
    pulse["free_slot"] = slot
    pulse["in_system"] -= 1


@rare
def end_unserved(state: State, slot: int, kind: int, reason: int, limit: int) -> None:
    """Write the last row of a request that is rejected or expires, and forget it."""
    request = state.requests[slot]
    now_us = state.pulse[0]["now_us"]
    clears_us = capacity.refusal_clears_us(state, limit, now_us)
    latency_us = now_us - request["arrive_us"]
    note_request(state, kind, reason, slot, limit, clears_us, latency_us, request["billed_nano_usd"], request["tier"], 0)
    finish(state, slot)


@rare
def _suit_again(state: State, slot: int, now_us: int) -> None:
    """The tenant's budget no longer covers a model: wait for the others, or end where none is left."""
    before = state.requests[slot]["segment"]
    stop_waiting(state, slot)
    bits = suited_models(state, slot)
    segment_row = find_segment(state, slot, bits) if bits != 0 else -1
    if segment_row < 0 or state.segments[segment_row]["places"] == 0:
        end_unserved(state, slot, REJECT, TENANT_BUDGET, -1)
    else:
        begin_waiting(state, slot, segment_row, TENANT_BUDGET, -1)
        if state.segments[segment_row]["head"] == slot:
            arm_segment(state, segment_row, now_us)
    arm_segment(state, before, now_us)


@inlined
def offer(state: State, deployment_row: int, now_us: int, user_policy: Plugged) -> None:
    """Serve who is first in line on a deployment while it has room, then set its timer."""
    _serve_line(state, deployment_row, now_us, user_policy)
    deployment = state.deployments[deployment_row]
    if deployment["yields"] != YIELDS_FOR_NOW:
        # Who yielded until this deployment had looked need not any more.
        ring_yielding(state, deployment["account"], YIELDS_FOR_NOW, now_us)


@inlined
def _serve_line(state: State, deployment_row: int, now_us: int, user_policy: Plugged) -> None:
    deployment = state.deployments[deployment_row]
    offer = state.offers[deployment["model"]]
    left = 0
    while state.pulse[0]["waiting"] > 0 and resting_until_us(state, deployment) <= now_us:
        slot = first_to_serve(state, deployment_row, now_us)
        if slot == NO_SLOT:
            disarm(state, deployment_row, now_us)
            return
        if left == MOST_OFFERS_PER_EVENT:
            ring_by(state, deployment_row, now_us)
            return
        left += 1
        request = state.requests[slot]
        open_budget_period(state, state.tenants[request["tenant"]])
        if unsuited(state, slot, deployment["model"]) == TENANT_BUDGET:
            _suit_again(state, slot, now_us)
            continue
        make_offer(state, slot, deployment["model"])
        capacity.fill_needs(state, slot, offer)
        why = capacity.why_not(state, slot, deployment_row, now_us)
        if why != NO_REASON or must_yield(state, slot, deployment_row, now_us) > 0:
            arm_for(state, deployment_row, slot, now_us)
            return
        offer_terms(deployment, offer)
        state.candidates[0] = deployment_row
        if pick(state, slot, 1, now_us, user_policy) == NOWHERE:
            request["why"] = POLICY_WAITS
            disarm(state, deployment_row, now_us)
            ring_by(state, deployment_row, now_us + POLICY_ASKED_AGAIN_US)
            return
        _serve(state, slot, deployment_row, now_us)
    arm(state, deployment_row, now_us)


@inlined
def _serve(state: State, slot: int, deployment_row: int, now_us: int) -> None:
    """Send who waited; the other deployments it waited for look at who is first there now."""
    segment_row = state.requests[slot]["segment"]
    advance(state, slot)
    stop_waiting(state, slot)
    dispatch(state, slot, deployment_row, 1, now_us)
    account_row = state.deployments[deployment_row]["account"]
    ring_yielding(state, account_row, YIELDS, now_us)
    arm_segment(state, segment_row, now_us)
    ring_owed(state, account_row, state.requests[slot]["tier"], now_us)


@inlined
def offer_freed(state: State, deployment_row: int, tier: int, freed: int, now_us: int, user_policy: Plugged) -> None:
    """Offer room that an attempt of a tier gave back to the deployments where it may be of use."""
    if state.pulse[0]["waiting"] == 0 or freed == 0:
        return
    deployment = state.deployments[deployment_row]
    account = state.accounts[deployment["account"]]
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        row = state.account_deployments[place]
        other = state.deployments[row]
        of_bucket = freed & capacity.FREED_OF_BUCKET and other["bucket"] == deployment["bucket"]
        if of_bucket or freed & capacity.FREED_OF_TRIAL or (freed & capacity.FREED_OF_ACCOUNT and _may_use(state, other, tier)):
            offer(state, row, now_us, user_policy)


@inlined
def _may_use(state: State, deployment: Row, tier: int) -> bool:
    """Whether room on the account's limits, and in a tier's share of them, may change whom a deployment serves."""
    if deployment["short"] == SHORT_OF_ACCOUNT or deployment["yields"] > 0:
        return True
    if state.settings[0]["reservation"] >= capacity.PARTITION:
        return True
    first = armed_for(state, deployment)
    return bool(first != NO_SLOT and has_floor(state, tier) and state.requests[first]["tier"] != tier)


@rare
def offer_account(state: State, account_row: int, now_us: int, user_policy: Plugged) -> None:
    """All limits of an account have changed: every deployment looks again."""
    account = state.accounts[account_row]
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        offer(state, state.account_deployments[place], now_us, user_policy)
