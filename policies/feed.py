"""Feeding a gateway with inputs (`policies.inputs`): one way in for traffic and for recordings of it.

`take` lets one input happen, `fire` one of the gateway's own timers; both leave what is to be done as orders and new
timers as planned events in `out`. Which of them is next, and when, is the clock's: `step` is that of real traffic, where
timers that fell due happen first, each at its own moment, however late the call comes. So the time at which a
process got around to something is in no decision.
"""

from typing import NamedTuple

import numpy as np

from policies import gateway, learning, leases, pools
from policies.agenda import EVENT, OUT_ROWS, Agenda, bring_up, drop_first, is_before, open_agenda, put
from policies.arena import allocate, opener
from policies.compile import compiled, inlined, leaf, rare
from policies.inputs import (
    ACCOUNT_CAME,
    ARRIVAL,
    GONE,
    INPUT,
    KEPT,
    KEYS,
    NOTHING,
    REFUSAL,
    SEEN,
    SERVED,
    SHARE,
    UNKNOWN,
    input_key,
)
from policies.log import ACCOUNT, CANCEL, EXPIRE, ORDERED, REJECT
from policies.order import EXPIRED, READY, RETRIED, TICKED, WOKEN, event_kind, event_request, tie_key
from policies.rows import Bytes, Handle, Plugged, Row, Rows
from policies.state import (
    DO_ABORT,
    DO_DISPATCH,
    DO_EXPIRE,
    DO_READY,
    DO_RETRY,
    DO_WAKE,
    IN_FLIGHT,
    LOG_ROWS,
    State,
    open_state,
)

# Orders: what a driver is to do. ENDED: a request that was not served; SET_ACCOUNT: an account is in another state.
SEND, ABORT, ENDED, SET_ACCOUNT = 1, 2, 3, 4
ORDER = np.dtype([(name, "<i8") for name in ("kind", "slot", "request", "a", "b", "c", "d")])
ORDER_ROWS, ORDER_SLACK = 16_384, 8_192
RECORD_ROWS = 4_096
# what `step` returns beside the number of orders: carry these out, empty the log, and call again with the same input
AGAIN, NEEDS_ROOM = 1 << 20, 1 << 21
_LOOK_AHEAD_US = 1_000_000
_HEADER_WORDS = 24

DESK = np.dtype([(name, "<i8") for name in ("order_count", "out_count", "record_count", "log_seen", "next_us", "slot")])


class Desk(NamedTuple):
    """What goes in and out of a gateway that is fed."""

    desk: Rows               # one row
    entry: Rows              # one row: the input at hand
    orders: Rows             # what came of it
    out: Rows                # timers that came of it
    record: Rows             # inputs taken and not yet kept


_SECTION_TYPES = (DESK, INPUT, ORDER, EVENT, INPUT)
open_desk = opener(Desk, _SECTION_TYPES)


def new_desk() -> Bytes:
    """An empty desk."""
    return allocate(list(zip(_SECTION_TYPES, (1, 1, ORDER_ROWS, OUT_ROWS, RECORD_ROWS), strict=True)), _HEADER_WORDS)[0]


@leaf
def _order(desk: Desk, kind: int, slot: int, request: int, a: int, b: int, c: int, d: int) -> None:
    row = desk.orders[desk.desk[0]["order_count"]]
    desk.desk[0]["order_count"] += 1
    row["kind"], row["slot"], row["request"] = kind, slot, request
    row["a"], row["b"], row["c"], row["d"] = a, b, c, d


@leaf
def _plan(desk: Desk, time_us: int, kind: int, request: int, row: int) -> None:
    event = desk.out[desk.desk[0]["out_count"]]
    desk.desk[0]["out_count"] += 1
    event["time_us"], event["key"], event["row"] = time_us, tie_key(kind, request, 0), row


@inlined
def carry_out(state: State, desk: Desk) -> None:
    """Turn the gateway's effects into orders and planned events."""
    for number in range(state.pulse[0]["effect_count"]):
        effect = state.effects[number]
        kind, row, at_us = effect["kind"], effect["row"], effect["time_us"]
        if kind == DO_DISPATCH:
            sent = state.requests[row]
            _order(desk, SEND, row, sent["request"], sent["deployment"], sent["key"], sent["attempt"], sent["reserved_output"])
        elif kind == DO_WAKE:
            _plan(desk, at_us, WOKEN, row, row)
        elif kind == DO_RETRY:
            _plan(desk, at_us, RETRIED, effect["request"], row)
        elif kind == DO_EXPIRE:
            _plan(desk, at_us, EXPIRED, 0, 0)
        elif kind == DO_ABORT:
            _order(desk, ABORT, row, effect["request"], 0, 0, 0, 0)
        elif kind != DO_READY:
            # An account that was ordered is there when somebody says so, not when it was hoped for.
            _plan(desk, at_us, TICKED, 0, 0)
    state.pulse[0]["effect_count"] = 0
    _tell_ends(state, desk)


@inlined
def _tell_ends(state: State, desk: Desk) -> None:
    """Orders for what only the log says: requests that ended unserved, accounts that changed."""
    for number in range(desk.desk[0]["log_seen"], state.pulse[0]["log_count"]):
        row = state.log[number]
        kind = row["kind"]
        if kind == REJECT or kind == EXPIRE or kind == CANCEL:
            _order(desk, ENDED, -1, row["request"], kind, row["code"], row["limit"], row["v0"])
        elif kind == ACCOUNT:
            _order(desk, SET_ACCOUNT, row["v0"], -1, row["code"], row["v1"] if row["code"] == ORDERED else 0, 0, 0)
    desk.desk[0]["log_seen"] = state.pulse[0]["log_count"]


@inlined
def ring(state: State, kind: int, request_number: int, row: int, now_us: int, user_policy: Plugged) -> None:
    """A timer of the gateway's own rings; what it asks for is left as effects."""
    if kind == WOKEN:
        gateway.wake(state, row, now_us, user_policy)
    elif kind == RETRIED:
        gateway.retry(state, row, request_number, now_us, user_policy)
    elif kind == EXPIRED:
        gateway.expire(state, now_us)
    elif kind == TICKED:
        pools.tick(state, now_us)
    elif kind == READY:
        pools.ready(state, row, now_us)


@inlined
def fire(state: State, desk: Desk, kind: int, request_number: int, row: int, now_us: int, user_policy: Plugged) -> None:
    """Let a timer of the gateway's own ring, and turn what it asks for into orders."""
    ring(state, kind, request_number, row, now_us, user_policy)
    carry_out(state, desk)


@inlined
def take(state: State, desk: Desk, entry: Row, user_policy: Plugged) -> None:
    """Let an input happen. One about a request that is no longer in flight says nothing any more."""
    kind, row, now_us = entry["kind"], entry["row"], entry["time_us"]
    if kind == ARRIVAL:
        desk.desk[0]["slot"] = gateway.arrive(
            state, row, entry["request"], entry["v0"], entry["v1"], entry["v2"], entry["v3"], entry["v4"], entry["v5"],
            entry["v6"], entry["v7"], now_us, user_policy,
        )  # fmt: skip
    elif kind == GONE:
        gateway.cancel(state, row, entry["request"], entry["v0"], entry["v1"], entry["v2"], entry["v3"], now_us, user_policy)
    elif kind == SERVED or kind == REFUSAL or kind == SEEN:
        request = state.requests[row]
        if request["request"] == entry["request"] and request["status"] == IN_FLIGHT:
            _answer(state, entry, kind, row, now_us, user_policy)
    elif kind == ACCOUNT_CAME:
        pools.ready(state, row, now_us)
    elif kind == KEYS:
        pools.change_keys(state, row, entry["v0"], now_us)
    elif kind == UNKNOWN:
        learning.know_nothing(state, now_us)
    elif kind == SHARE:
        leases.take_share(state, row, entry["v0"], entry["v1"], entry["v2"], entry["v3"], entry["v4"], now_us, user_policy)
    carry_out(state, desk)


@inlined
def _answer(state: State, entry: Row, kind: int, slot: int, now_us: int, user_policy: Plugged) -> None:
    request = state.requests[slot]
    scale_pm = state.accounts[state.deployments[request["deployment"]]["account"]]["scale_pm"]
    if kind == SERVED:
        gateway.complete(state, slot, entry["v0"], entry["v1"], entry["v2"], entry["v3"], scale_pm, now_us, user_policy)
    elif kind == REFUSAL:
        gateway.refuse(
            state, slot, entry["v0"], entry["v1"], entry["v2"], scale_pm, entry["v3"], entry["v4"], entry["v5"], now_us, user_policy
        )
    else:
        learning.see(state, slot, entry["v0"], entry["v1"], entry["v2"], entry["v3"], entry["v4"], now_us, user_policy)


@leaf
def is_short(state: State, desk: Desk) -> bool:
    """Whether log, record or orders must be emptied before anything else happens."""
    head = desk.desk[0]
    is_full = state.pulse[0]["log_count"] >= LOG_ROWS or head["record_count"] >= RECORD_ROWS
    return bool(is_full or head["order_count"] >= ORDER_ROWS - ORDER_SLACK)


@leaf
def _remember(desk: Desk, entry: Row) -> None:
    kept = desk.record[desk.desk[0]["record_count"]]
    desk.desk[0]["record_count"] += 1
    kept["time_us"], kept["kind"], kept["row"], kept["request"] = entry["time_us"], entry["kind"], entry["row"], entry["request"]
    kept["v0"], kept["v1"], kept["v2"], kept["v3"] = entry["v0"], entry["v1"], entry["v2"], entry["v3"]
    kept["v4"], kept["v5"], kept["v6"], kept["v7"] = entry["v4"], entry["v5"], entry["v6"], entry["v7"]


@inlined
def put_planned(desk: Desk, agenda: Agenda) -> None:
    """Move what was planned into the agenda."""
    for number in range(desk.desk[0]["out_count"]):
        event = desk.out[number]
        put(agenda, event["time_us"], event["key"], event["row"])
    desk.desk[0]["out_count"] = 0


@inlined
def advance(state: State, desk: Desk, agenda: Agenda, until_us: int, until_key: int, user_policy: Plugged) -> bool:
    """Let all timers ring that come before (time, key); False if log or orders must be emptied first."""
    while True:
        bring_up(agenda, until_us)
        if agenda.clip[0]["in_heap"] == 0 or not is_before(agenda.heap, 0, until_us, until_key):
            return True
        if is_short(state, desk):
            return False
        time_us, key, row = agenda.heap[0]["time_us"], agenda.heap[0]["key"], agenda.heap[0]["row"]
        drop_first(agenda)
        fire(state, desk, event_kind(key), event_request(key), row, time_us, user_policy)
        put_planned(desk, agenda)


@rare
def _next_us(agenda: Agenda, now_us: int) -> int:
    """When the clock must look again."""
    bring_up(agenda, now_us + _LOOK_AHEAD_US)
    return int(agenda.heap[0]["time_us"]) if agenda.clip[0]["in_heap"] > 0 else now_us + _LOOK_AHEAD_US


@compiled
def step(gateway_at: Handle, agenda_at: Handle, desk_at: Handle, user_policy: Plugged) -> int:
    """Let everything happen up to the input on the desk, and that; returns the number of orders, and flags.

    Leaves in `next_us` when to call again at the latest, with NOTHING as input. NOTHING about row KEPT is put on
    record: up to there the recording goes.
    """
    state, agenda, desk = open_state(gateway_at), open_agenda(agenda_at), open_desk(desk_at)
    head, entry = desk.desk[0], desk.entry[0]
    head["order_count"] = 0
    put_planned(desk, agenda)
    if agenda.clip[0]["in_heap"] + agenda.clip[0]["in_wheel"] + OUT_ROWS // 2 > agenda.heap.size:
        return NEEDS_ROOM
    if not advance(state, desk, agenda, entry["time_us"], input_key(entry), user_policy) or is_short(state, desk):
        return int(head["order_count"]) | AGAIN
    if entry["kind"] != NOTHING or entry["row"] == KEPT:
        take(state, desk, entry, user_policy)
        put_planned(desk, agenda)
        _remember(desk, entry)
    head["next_us"] = _next_us(agenda, entry["time_us"])
    return int(head["order_count"])


@compiled
def start(gateway_at: Handle, desk_at: Handle) -> None:
    """Plan what happens by itself: the first scaling tick."""
    state, desk = open_state(gateway_at), open_desk(desk_at)
    pools.plan_tick(state, state.settings[0]["start_us"])
    carry_out(state, desk)


@compiled
def plan_out(agenda_at: Handle, desk_at: Handle) -> None:
    """Move what was planned into the agenda."""
    put_planned(open_desk(desk_at), open_agenda(agenda_at))

