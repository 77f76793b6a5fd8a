"""Who waits: one queue per segment, ordered by fair-share tag, kept inside the request rows.

A segment is (tier, access class, model wanted): requests that the same deployments may serve.
The queue is a pairing heap over slots (`child`, `next`, `previous` links), keyed by (tag,
request number): push and removal anywhere without allocation. `previous` of a first child is
its parent. Source: Fredman, Sedgewick, Sleator and Tarjan, Algorithmica 1, 1986.

Fair shares between the tenants of a tier are start-time fair queueing: a tenant's next start
tag is no earlier than where its last request ended in virtual time, so a noisy tenant delays
itself. Source: Goyal, Vin and Cheng, SIGCOMM 1996.
"""

from policies.compile import inlined, leaf
from policies.rows import Row, Rows
from policies.state import NO_SLOT, State


@leaf
def is_ahead(requests: Rows, one: int, other: int) -> bool:
    """Whether `one` is ahead of `other` inside a tier."""
    tag, other_tag = requests[one]["tag"], requests[other]["tag"]
    if tag != other_tag:
        return bool(tag < other_tag)
    return bool(requests[one]["request"] < requests[other]["request"])


@leaf
def _meld(requests: Rows, one: int, other: int) -> int:
    """Join two roots (either may be NO_SLOT); the earlier one becomes the parent."""
    if one == NO_SLOT:
        return other
    if other == NO_SLOT:
        return one
    if is_ahead(requests, other, one):
        one, other = other, one
    child = requests[one]["child"]
    requests[other]["next"] = child
    requests[other]["previous"] = one
    if child != NO_SLOT:
        requests[child]["previous"] = other
    requests[one]["child"] = other
    return one


@inlined
def _meld_children(requests: Rows, first: int) -> int:
    """The two-pass merge of a list of siblings into one root."""
    pairs = NO_SLOT
    while first != NO_SLOT:
        second = requests[first]["next"]
        requests[first]["next"] = NO_SLOT
        requests[first]["previous"] = NO_SLOT
        following = NO_SLOT
        if second != NO_SLOT:
            following = requests[second]["next"]
            requests[second]["next"] = NO_SLOT
            requests[second]["previous"] = NO_SLOT
        pair = _meld(requests, first, second)
        requests[pair]["next"] = pairs
        pairs = pair
        first = following
    root = NO_SLOT
    while pairs != NO_SLOT:
        following = requests[pairs]["next"]
        requests[pairs]["next"] = NO_SLOT
        root = _meld(requests, root, pairs)
        pairs = following
    return root


@inlined
def push(state: State, segment_row: int, slot: int) -> None:
    """Let `slot` wait in its segment."""
    segment = state.segments[segment_row]
    request = state.requests[slot]
    request["child"] = NO_SLOT
    request["next"] = NO_SLOT
    request["previous"] = NO_SLOT
    segment["head"] = _meld(state.requests, segment["head"], slot)
    if segment["count"] == 0:
        pulse = state.pulse[0]
        segment["place"] = pulse["waiting_segments"]
        state.waiting[pulse["waiting_segments"]] = segment_row
        pulse["waiting_segments"] += 1
        _tell_places(state, segment_row, 1)
    segment["count"] += 1
    state.pulse[0]["waiting"] += 1
    state.tenants[request["tenant"]]["waiting"] += 1


@inlined
def remove(state: State, segment_row: int, slot: int) -> None:
    """Take `slot` out of its queue, wherever it stands."""
    requests = state.requests
    segment = state.segments[segment_row]
    request = requests[slot]
    below = _meld_children(requests, request["child"])
    if segment["head"] == slot:
        segment["head"] = below
    else:
        _cut(requests, slot)
        segment["head"] = _meld(requests, segment["head"], below)
    request["child"] = NO_SLOT
    segment["count"] -= 1
    state.pulse[0]["waiting"] -= 1
    state.tenants[request["tenant"]]["waiting"] -= 1
    if segment["count"] == 0:
        _forget_segment(state, segment)
        _tell_places(state, segment_row, -1)


@inlined
def _cut(requests: Rows, slot: int) -> None:
    following, previous = requests[slot]["next"], requests[slot]["previous"]
    if requests[previous]["child"] == slot:
        requests[previous]["child"] = following
    else:
        requests[previous]["next"] = following
    if following != NO_SLOT:
        requests[following]["previous"] = previous
    requests[slot]["next"] = NO_SLOT
    requests[slot]["previous"] = NO_SLOT


@leaf
def _tell_places(state: State, segment_row: int, change: int) -> None:
    """Count, on every deployment that serves it, a segment in which somebody began to wait, or nobody waits any more."""
    lo = segment_row * state.deployments.size
    for place in range(lo, lo + state.segments[segment_row]["places"]):
        deployment = state.deployments[state.places[place]]
        deployment["waiting_segments"] += change
        if deployment["waiting_segments"] == 0:
            # Nobody is first there, seen or unseen: no other deployment has to yield to it.
            deployment["armed_for"] = NO_SLOT


@inlined
def _forget_segment(state: State, segment: Row) -> None:
    pulse = state.pulse[0]
    last = state.waiting[pulse["waiting_segments"] - 1]
    state.waiting[segment["place"]] = last
    state.segments[last]["place"] = segment["place"]
    pulse["waiting_segments"] -= 1


@leaf
def show_tag(state: State, slot: int) -> None:
    """Let a request that is not waiting be compared with those that are: the tag it would get now."""
    request = state.requests[slot]
    if request["tagged"] == 0:
        fair = state.settings[0]["fair_share"] != 0
        tenant = state.tenants[request["tenant"]]
        request["tag"] = max(state.tiers[request["tier"]]["virtual"], tenant["tag"]) if fair else 0


@inlined
def fix_tag(state: State, slot: int) -> None:
    """Keep the start tag of a request that begins to wait; one that waited before has its own already.

    Without fair shares every tag is 0, so that the request number decides: first come, first served.
    """
    request = state.requests[slot]
    if request["tagged"] == 1:
        return
    show_tag(state, slot)
    request["tagged"] = 1
    tenant = state.tenants[request["tenant"]]
    work = request["input_tokens"] + request["max_output_tokens"] + 1
    tenant["tag"] = request["tag"] + work * 1000 // tenant["weight_milli"]


@inlined
def advance(state: State, slot: int) -> None:
    """Move the tier's virtual time to the request that leaves the queue for service."""
    request = state.requests[slot]
    tier = state.tiers[request["tier"]]
    if request["tag"] > tier["virtual"]:
        tier["virtual"] = request["tag"]
