"""Another bundle comes into force while requests are in the system: none is lost, and nothing that was learnt.

The state is built anew by the new bundle. What is known of providers, keys, budgets and requests is carried over; who
waits is placed again in order of arrival, by the new policies. What is in flight goes on where it is.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import int64
from numpy.typing import NDArray

from policies import capacity
from policies.arena import handle
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.capacity import counts_shares, limit_range
from policies.charge import LAST_AT_DISPATCH, held_until_end
from policies.compile import JIT_DISABLED, compiled, inlined
from policies.deadlines import forget_deadline
from policies.errors import SchemaError
from policies.feed import Desk, carry_out, is_short, open_desk
from policies.flights import add_flight
from policies.gateway import settle_in
from policies.layout import Layout
from policies.limits import IN_FLIGHT as CONCURRENCY
from policies.limits import PACED, lease, rescale
from policies.log import BUNDLE_CHANGED, CONTROL
from policies.notes import note
from policies.pools import plan_tick
from policies.rows import Bytes, Handle, Ints, Plugged
from policies.state import IN_FLIGHT, RESTING, WAITING, State, open_state

_KEPT: dict[str, tuple[str, ...]] = {
    "accounts": (
        "cool_until_us", "ready_us", "in_flight", "key", "keys_left", "state", "scale_pm", "alone",
        "trial_most", "trial_count", "trial_since_us", "trial_doublings", "in_doubt",
    ),
    "buckets": ("cool_until_us", "in_flight", "alone", "trial_most", "trial_count", "trial_since_us", "trial_doublings", "in_doubt"),
    "deployments": ("cool_until_us", "in_flight", "latency_us", "failures", "failures_since_us"),
    "tenants": ("budget_used", "budget_held", "budget_period", "tag"),
    "tiers": ("virtual",),
    "pools": ("changed_us",),
    "pulse": ("now_us", "arrived", "in_system", "in_flight", "free_slot", "deadlines", "expire_us"),
}  # fmt: skip


def changed_state(
    old: Bytes, layout: Layout, before: PolicyBundle, bundle: PolicyBundle, plugged: dict[str, int]
) -> NDArray[np.uint8]:
    """The state by another bundle, with the log empty; `enforce` must follow.

    Raises SchemaError if the bundle does not fit the platform, or has other tiers or fewer places: for that, start anew.
    """
    _demand_alike(before, bundle)
    was = open_state(old)
    settings = was.settings[0]
    block = build_state(layout, bundle, int(settings["start_us"]), int(settings["seed"]), plugged)
    state = open_state(block)
    for table, fields in _KEPT.items():
        for field in fields:
            getattr(state, table)[field] = getattr(was, table)[field]
    state.requests[:] = was.requests
    state.deadlines[:] = was.deadlines
    state.logs[:] = was.logs
    _keep_limits(state, was, len(layout.limits))
    if before.routing.policy == bundle.routing.policy:
        state.memory[:] = was.memory
    if before.scaling.policy == bundle.scaling.policy:
        state.scaling_memory[:] = was.scaling_memory
    return block


def _demand_alike(before: PolicyBundle, bundle: PolicyBundle) -> None:
    names, others = ([tier.name for tier in one.tiers] for one in (before, bundle))
    if names != others:
        raise SchemaError(f"tiers: {others} in place of {names}; the names of tiers, in order, change by a restart only")
    if before.queue.max_in_system != bundle.queue.max_in_system:
        raise SchemaError(
            f"queue.max_in_system: {bundle.queue.max_in_system} in place of {before.queue.max_in_system}; it changes by a restart only"
        )


def _keep_limits(state: State, was: State, of_providers: int) -> None:
    """Limits of accounts as they are; those of tenants, which a tier multiplies, as far as the new amount goes."""
    state.limits[:of_providers] = was.limits[:of_providers]
    mine, its = state.limits[of_providers:], was.limits[of_providers:]
    if len(mine) == len(its):
        mine["level"] = np.minimum(mine["capacity"], its["level"])
        mine["stamp_us"] = its["stamp_us"]
    for row in range(of_providers * state.tiers.size):
        if state.shares[row]["window"] <= PACED:
            state.shares[row]["stamp_us"] = was.shares[row]["stamp_us"]
        elif state.shares[row]["window"] == was.shares[row]["window"]:
            state.shares[row]["stamp_us"], state.shares[row]["offset_us"] = was.shares[row]["stamp_us"], was.shares[row]["offset_us"]
        if state.settings[0]["reservation"] == was.settings[0]["reservation"]:
            state.shares[row]["level"] = min(int(state.shares[row]["capacity"]), int(was.shares[row]["level"]))


def enforce(gateway: Bytes, desk: Bytes, number: int, now_us: int, user_policy: Plugged, on_portion: Callable[[], None]) -> None:
    """Put a changed state in force. `on_portion`, called at least once, must empty orders, log and what was planned."""
    _begin(handle(gateway), handle(desk), number, now_us)
    slots, place = _waiting_slots(gateway), 0
    while True:
        on_portion()
        if place == len(slots):
            return
        place = _requeue(handle(gateway), handle(desk), slots, place, now_us, user_policy)


def compile_changes() -> None:
    """Compile what a change needs, or find it compiled: when one comes, calls are waiting."""
    if not JIT_DISABLED:
        begin, requeue = cast(Any, _begin), cast(Any, _requeue)
        begin.compile((int64,) * 4)
        requeue.compile((int64, int64, int64[::1], int64, int64, int64))


def _waiting_slots(gateway: Bytes) -> Ints:
    """Slots of those who wait, in order of arrival."""
    requests = open_state(gateway).requests
    slots = np.flatnonzero(requests["status"] == WAITING)
    return np.ascontiguousarray(slots[np.argsort(requests["request"][slots])], dtype=np.int64)


@inlined
def _put_shares_in_force(state: State) -> None:
    """Shares of tiers are those of what is in force of each limit, as before."""
    tiers = state.tiers.size
    for place in range(state.shares.size):
        limit = state.limits[place // tiers]
        if limit["scale_pm"] < 1000 or limit["share_pm"] < 1000:
            rescale(state.shares, state.logs, place, limit["scale_pm"], state.pulse[0]["now_us"])
            lease(state.shares, state.logs, place, limit["share_pm"], state.pulse[0]["now_us"])


@inlined
def _hold_shares(state: State) -> None:
    """What those in flight hold of the shares of their tiers."""
    for slot in range(state.requests.size):
        request = state.requests[slot]
        if request["status"] != IN_FLIGHT:
            continue
        deployment = state.deployments[request["deployment"]]
        if state.settings[0]["reservation"] == capacity.PREEMPT:
            add_flight(state, slot)
        if not counts_shares(state, deployment):
            continue
        for part in range(2):
            lo, hi = limit_range(state, deployment, part)
            for row in range(lo, hi):
                limit = state.limits[row]
                held = 0
                if limit["window"] == CONCURRENCY:
                    held = 1
                elif limit["charge"] > LAST_AT_DISPATCH:
                    held = held_until_end(limit["charge"], request["input_tokens"], request["reserved_output"], request["held_nano_usd"])
                capacity.share_moves(state, row, request["tier"], 0, held, state.pulse[0]["now_us"])


@compiled
def _begin(gateway_at: Handle, desk_at: Handle, number: int, now_us: int) -> None:
    """The new bundle, which has this number, is in force."""
    state, desk = open_state(gateway_at), open_desk(desk_at)
    desk.desk[0]["order_count"] = 0
    state.pulse[0]["now_us"] = now_us
    note(state, CONTROL, BUNDLE_CHANGED, -1, 0, -1, -1, -1, -1, number, 0, 0, 0)
    _put_shares_in_force(state)
    _hold_shares(state)
    plan_tick(state, now_us)
    carry_out(state, desk)


@compiled
def _requeue(gateway_at: Handle, desk_at: Handle, slots: Ints, first: int, now_us: int, user_policy: Plugged) -> int:
    """Place those who wait again, from place `first` of `slots` on; returns the place of the first left over, for another call."""
    state, desk = open_state(gateway_at), open_desk(desk_at)
    desk.desk[0]["order_count"] = 0
    for place in range(first, slots.size):
        if is_short(state, desk) or desk.desk[0]["out_count"] > desk.out.size // 2:
            return place
        _place_again(state, desk, slots[place], now_us, user_policy)
    return int(slots.size)


@inlined
def _place_again(state: State, desk: Desk, slot: int, now_us: int, user_policy: Plugged) -> None:
    state.pulse[0]["now_us"] = now_us
    forget_deadline(state, slot)
    state.requests[slot]["status"] = RESTING
    settle_in(state, slot, now_us, user_policy)
    carry_out(state, desk)
