"""Deadlines of those who wait or rest: a heap of slots, so that one timer serves them all.

A four-ary heap by (deadline, request number). Each request knows its place in it, so that who
is sent leaves at once and its deadline never rings.
"""

from policies.compile import inlined, leaf
from policies.notes import ask
from policies.state import DO_EXPIRE, NEVER_US, State

NO_PLACE = -1


@leaf
def _is_earlier(state: State, one: int, other: int) -> bool:
    first, second = state.requests[one], state.requests[other]
    if first["deadline_us"] != second["deadline_us"]:
        return bool(first["deadline_us"] < second["deadline_us"])
    return bool(first["request"] < second["request"])


@leaf
def _put(state: State, place: int, slot: int) -> None:
    state.deadlines[place] = slot
    state.requests[slot]["deadline_place"] = place


@inlined
def _rise(state: State, place: int, slot: int) -> None:
    while place > 0:
        above = (place - 1) >> 2
        other = state.deadlines[above]
        if not _is_earlier(state, slot, other):
            break
        _put(state, place, other)
        place = above
    _put(state, place, slot)


@inlined
def _sink(state: State, place: int, slot: int) -> None:
    count = state.pulse[0]["deadlines"]
    while True:
        child = 4 * place + 1
        if child >= count:
            break
        best = child
        for other in range(child + 1, min(child + 4, count)):
            if _is_earlier(state, state.deadlines[other], state.deadlines[best]):
                best = other
        if not _is_earlier(state, state.deadlines[best], slot):
            break
        _put(state, place, state.deadlines[best])
        place = best
    _put(state, place, slot)


@inlined
def watch_deadline(state: State, slot: int) -> None:
    """Let a request that begins to wait or rest be ended at its deadline."""
    request = state.requests[slot]
    pulse = state.pulse[0]
    if request["deadline_place"] == NO_PLACE and request["deadline_us"] < NEVER_US:
        pulse["deadlines"] += 1
        _rise(state, pulse["deadlines"] - 1, slot)
        set_timer(state)


@inlined
def forget_deadline(state: State, slot: int) -> None:
    """A request was sent or has ended: its deadline no longer rings."""
    place = state.requests[slot]["deadline_place"]
    if place == NO_PLACE:
        return
    state.requests[slot]["deadline_place"] = NO_PLACE
    pulse = state.pulse[0]
    pulse["deadlines"] -= 1
    count = pulse["deadlines"]
    if place == count:
        return
    last = state.deadlines[count]
    if place > 0 and _is_earlier(state, last, state.deadlines[(place - 1) >> 2]):
        _rise(state, place, last)
    else:
        _sink(state, place, last)


@inlined
def set_timer(state: State) -> None:
    """Ask to be called at the earliest deadline, unless that is asked for already."""
    pulse = state.pulse[0]
    if pulse["deadlines"] > 0:
        at_us = max(state.requests[state.deadlines[0]]["deadline_us"], pulse["now_us"])
        if at_us < pulse["expire_us"]:
            pulse["expire_us"] = at_us
            ask(state, DO_EXPIRE, -1, -1, at_us)
