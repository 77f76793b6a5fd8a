"""The world of a simulated gateway: requests come from a sheet, providers are emulated.

`happen` carries one event to the gateway and the gateway's effects to the providers, and
leaves new events in `out`. It knows no clock and no order: a driver decides what happens
next and when. Both drivers call the same function; neither knows the other.
"""

from typing import NamedTuple

import numpy as np

from forge1sim.prefetch import prefetch
from forge1sim.providers import OK, begin, cancel, end, partial_output
from forge1sim.providers.tables import ANSWER
from forge1sim.workload.estimation import ERRORS, errors_of, guessed_complexity_pm, guessed_tokens
from forge1sim.workload.spec import Estimation
from forge1sim.workload.table import NEVER_US, REQUESTS
from policies import gateway, pools
from policies.agenda import EVENT, OUT_ROWS
from policies.arena import allocate, opener
from policies.compile import compiled, inlined, leaf, rare
from policies.feed import ring
from policies.log import CLIENT_GONE, PREEMPTED
from policies.order import ANSWERED, ARRIVED, CANCELLED, EXPIRED, READY, RETRIED, TICKED, WOKEN, tie_key
from policies.rows import Bytes, Handle, Plugged, Rows
from policies.state import (
    DO_ABORT,
    DO_DISPATCH,
    DO_EXPIRE,
    DO_READY,
    DO_RETRY,
    DO_WAKE,
    IN_FLIGHT,
    LOG_ROWS,
    NO_SLOT,
    State,
    open_state,
)

HEADER_WORDS = 24
SHEET_ROWS = 131_072

TRUTH = np.dtype(
    [
        ("input_tokens", "<i8"), ("cached_tokens", "<i8"), ("output_tokens", "<i8"), ("complexity_pm", "<i8"),
    ]
)  # fmt: skip
# `arrival_us` is when the next request on the sheet arrives, NEVER_US if the sheet is used up
DESK = np.dtype(
    [
        (name, "<i8")
        for name in ("arrival_us", "sheet_count", "sheet_next", "out_count", "last_us")
    ]
)  # fmt: skip


class World(NamedTuple):
    """What is outside the gateway and not a provider."""

    desk: Rows
    sheet: Rows              # the next requests to arrive
    flights: Rows            # by slot: the answer that is under way
    truths: Rows             # by slot: what policies may not see
    errors: Rows             # one row: of the gateway's estimates
    out: Rows                # events that came of the last one


SECTION_TYPES = (DESK, REQUESTS, ANSWER, TRUTH, ERRORS, EVENT)


open_world = opener(World, SECTION_TYPES)


def build_world(slots: int, estimation: Estimation) -> Bytes:
    """An empty world for a gateway with so many request slots."""
    sections = list(zip(SECTION_TYPES, (1, SHEET_ROWS, slots, slots, 1, OUT_ROWS), strict=True))
    block = allocate(sections, HEADER_WORDS)[0]
    world = open_world(block)
    world.desk[0]["arrival_us"] = NEVER_US
    world.errors[0] = errors_of(estimation)
    return block


@inlined
def plan(world: World, time_us: int, kind: int, request: int, attempt: int, row: int) -> None:
    """Leave an event for the driver."""
    desk = world.desk[0]
    event = world.out[desk["out_count"]]
    desk["out_count"] += 1
    event["time_us"] = time_us
    event["key"] = tie_key(kind, request, attempt)
    event["row"] = row


@inlined
def _send(state: State, world: World, providers: Handle, slot: int, now_us: int) -> None:
    """Hand a dispatched request to its provider and plan the answer."""
    request = state.requests[slot]
    answer = world.flights[slot]
    truth = world.truths[slot]
    begin(
        providers, request["deployment"], request["tenant"], request["number"], request["attempt"], request["key"],
        truth["input_tokens"], truth["cached_tokens"], truth["output_tokens"], request["reserved_output"], now_us, answer,
    )  # fmt: skip
    plan(world, now_us + answer["duration_us"], ANSWERED, request["request"], request["attempt"], slot)


@inlined
def _answer(state: State, world: World, providers: Handle, slot: int, request_number: int, now_us: int, user_policy: Plugged) -> None:
    """The provider's answer reaches the gateway, unless the request has ended meanwhile."""
    request = state.requests[slot]
    if request["request"] != request_number or request["status"] != IN_FLIGHT:
        return
    answer = world.flights[slot]
    ok = answer["outcome"] == OK
    used = (answer["input_tokens"], answer["cached_tokens"], answer["output_tokens"])
    end(providers, request["deployment"], ok, used[0], used[1], used[2], now_us)
    if ok:
        complexity_pm = world.truths[slot]["complexity_pm"]
        gateway.complete(state, slot, used[0], used[1], used[2], complexity_pm, answer["limit_scale_pm"], now_us, user_policy)
    else:
        gateway.refuse(
            state, slot, answer["outcome"], answer["limit"], answer["retry_after_us"], answer["limit_scale_pm"],
            used[0], used[1], used[2], now_us, user_policy,
        )  # fmt: skip


@rare
def _hang_up(
    state: State, world: World, providers: Handle, slot: int, request_number: int, reason: int, now_us: int, user_policy: Plugged
) -> None:
    """The client or a preemption ends a request, wherever it is."""
    request = state.requests[slot]
    input_tokens, cached_tokens, said = 0, 0, 0
    if request["request"] == request_number and request["status"] == IN_FLIGHT:
        answer = world.flights[slot]
        if answer["outcome"] == OK:
            elapsed_us = now_us - request["dispatch_us"]
            input_tokens, cached_tokens = answer["input_tokens"], answer["cached_tokens"]
            said = partial_output(answer["output_tokens"], answer["duration_us"], elapsed_us)
            cancel(providers, request["deployment"], input_tokens, cached_tokens, said, now_us)
    gateway.cancel(state, slot, request_number, input_tokens, cached_tokens, said, reason, now_us, user_policy)


@inlined
def _arrive(state: State, world: World, row: int, now_us: int, user_policy: Plugged) -> None:
    request = world.sheet[row]
    last = world.desk[0]["sheet_count"] - 1
    prefetch(state.tenants, world.sheet[min(row + 8, last)]["tenant"])
    prefetch(state.limits, state.tenants[world.sheet[min(row + 4, last)]["tenant"]]["limit_lo"])
    number = state.pulse[0]["arrived"]
    free = state.pulse[0]["free_slot"]
    input_tokens, cached_tokens, complexity_pm = int(request["input_tokens"]), int(request["cached_tokens"]), int(request["complexity_pm"])
    if free != NO_SLOT:
        truth = world.truths[free]
        truth["input_tokens"], truth["cached_tokens"], truth["complexity_pm"] = input_tokens, cached_tokens, complexity_pm
        truth["output_tokens"] = request["output_tokens"]
    errors = world.errors[0]
    if errors["has_any"]:
        seed, tenant, own_number = state.settings[0]["seed"], request["tenant"], request["number"]
        guess = guessed_tokens(errors, seed, tenant, own_number, input_tokens)
        cached_tokens = cached_tokens * guess // max(input_tokens, 1)
        input_tokens = guess
        complexity_pm = guessed_complexity_pm(errors, seed, tenant, own_number, complexity_pm)
    slot = gateway.arrive(
        state, request["tenant"], request["number"], request["wanted"], request["service_class"], complexity_pm,
        input_tokens, cached_tokens, request["max_output_tokens"], request["deadline_us"],
        request["budget_nano_usd"], now_us, user_policy,
    )  # fmt: skip
    if slot != NO_SLOT and request["cancel_us"] < NEVER_US:
        plan(world, max(request["cancel_us"], now_us), CANCELLED, number, 0, slot)


@inlined
def _carry_out(state: State, world: World, providers: Handle, now_us: int, user_policy: Plugged) -> None:
    """Turn the gateway's effects into calls and planned events."""
    done = 0
    while done < state.pulse[0]["effect_count"]:
        effect = state.effects[done]
        done += 1
        kind, row, at_us = effect["kind"], effect["row"], effect["time_us"]
        if kind == DO_DISPATCH:
            _send(state, world, providers, row, now_us)
        elif kind == DO_WAKE:
            plan(world, at_us, WOKEN, row, 0, row)
        elif kind == DO_RETRY:
            plan(world, at_us, RETRIED, effect["request"], 0, row)
        elif kind == DO_EXPIRE:
            plan(world, at_us, EXPIRED, 0, 0, 0)
        elif kind == DO_READY:
            plan(world, at_us, READY, row, 0, row)
        elif kind == DO_ABORT:
            _hang_up(state, world, providers, row, effect["request"], PREEMPTED, now_us, user_policy)
        else:
            plan(world, at_us, TICKED, 0, 0, 0)
    state.pulse[0]["effect_count"] = 0


@inlined
def happen(
    state: State, world: World, providers: Handle, kind: int, request_number: int, row: int, now_us: int, user_policy: Plugged
) -> None:
    """Let one event happen at `now_us`. New events are appended to `world.out`."""
    if kind == ARRIVED:
        _arrive(state, world, row, now_us, user_policy)
    elif kind == ANSWERED:
        _answer(state, world, providers, row, request_number, now_us, user_policy)
    elif kind == CANCELLED:
        _hang_up(state, world, providers, row, request_number, CLIENT_GONE, now_us, user_policy)
    else:
        ring(state, kind, request_number, row, now_us, user_policy)
    _carry_out(state, world, providers, now_us, user_policy)


@leaf
def next_arrival_us(world: World) -> int:
    """When the next request on the sheet arrives; NEVER_US if the sheet is used up."""
    return int(world.desk[0]["arrival_us"])


@leaf
def take_arrival(world: World) -> int:
    """The next row of the sheet, which arrives now."""
    desk = world.desk[0]
    row = desk["sheet_next"]
    desk["sheet_next"] += 1
    desk["arrival_us"] = world.sheet[row + 1]["arrive_us"] if row + 1 < desk["sheet_count"] else NEVER_US
    return int(row)


@inlined
def is_log_full(state: State) -> bool:
    """Whether the log must be emptied before the next event."""
    return bool(state.pulse[0]["log_count"] >= LOG_ROWS)


def load_sheet(world: World, requests: Rows) -> None:
    """Put the next requests on the sheet. The one before must be used up."""
    # As bytes: NumPy would copy field by field.
    world.sheet[: len(requests)].view(np.uint8)[:] = requests.view(np.uint8)
    world.desk[0]["sheet_count"] = len(requests)
    world.desk[0]["sheet_next"] = 0
    world.desk[0]["arrival_us"] = requests[0]["arrive_us"]


@compiled
def start(gateway_block: Bytes, world_block: Bytes) -> None:
    """Plan what happens by itself: the first scaling tick."""
    state, world = open_state(gateway_block), open_world(world_block)
    world.desk[0]["out_count"] = 0
    pools.plan_tick(state, state.settings[0]["start_us"])
    if state.pulse[0]["effect_count"] > 0:
        plan(world, state.effects[0]["time_us"], TICKED, 0, 0, 0)
    state.pulse[0]["effect_count"] = 0
