"""The compiled clock: one loop over an agenda of events, in slices that a caller can interrupt."""

from typing import Any

import numpy as np
from numba import int64

from forge1sim.drivers.world import World, happen, is_log_full, next_arrival_us, open_world, take_arrival
from forge1sim.workload.table import NEVER_US
from policies.agenda import (
    Agenda,
    bring_up,
    drop_first,
    grown,
    is_before,
    is_short_of_room,
    new_agenda,
    open_agenda,
    put,
)
from policies.arena import handle
from policies.compile import JIT_DISABLED, inlined, unlocked
from policies.order import ARRIVED, event_kind, event_request, tie_key
from policies.rows import Handle, Ints, Plugged
from policies.state import open_state

# why a slice ended
NEEDS_REQUESTS, NEEDS_LOG_SPACE, NEEDS_AGENDA_SPACE, SLICE_OVER, FINISHED = 1, 2, 3, 4, 5

# words of the run's own record
NOW_US, END_US, DRAIN_END_US, NO_MORE_REQUESTS, EVENTS = range(5)
RUN_WORDS = 8

_ARRIVAL_KEY = tie_key(ARRIVED, 0, 0)       # after all else at its moment; there is one at a time


@inlined
def _take_over(world: World, agenda: Agenda) -> None:
    """Plan what came of the last event."""
    desk = world.desk[0]
    for number in range(desk["out_count"]):
        event = world.out[number]
        put(agenda, event["time_us"], event["key"], event["row"])
    desk["out_count"] = 0


@unlocked
def run_slice(
    gateway_at: Handle, providers_at: Handle, world_at: Handle, agenda_at: Handle, run: Ints, most_events: int, user_policy: Plugged
) -> int:
    """Let at most `most_events` happen; returns why it stopped. Call again to go on."""
    state, world, agenda = open_state(gateway_at), open_world(world_at), open_agenda(agenda_at)
    _take_over(world, agenda)
    for _ in range(most_events):
        now_us, key = next_arrival_us(world), _ARRIVAL_KEY
        if now_us >= NEVER_US and run[NO_MORE_REQUESTS] == 0:
            return NEEDS_REQUESTS
        bring_up(agenda, min(now_us, run[DRAIN_END_US]))
        is_planned = agenda.clip[0]["in_heap"] > 0 and is_before(agenda.heap, 0, now_us, key)
        if is_planned:
            now_us, key = agenda.heap[0]["time_us"], agenda.heap[0]["key"]
        idle = state.pulse[0]["in_system"] == 0
        if now_us > run[DRAIN_END_US] or (now_us > run[END_US] and idle):
            return FINISHED
        if is_log_full(state):
            return NEEDS_LOG_SPACE
        if is_short_of_room(agenda):
            return NEEDS_AGENDA_SPACE
        run[EVENTS] += 1
        run[NOW_US] = now_us
        if is_planned:
            row = agenda.heap[0]["row"]
            drop_first(agenda)
        else:
            row = take_arrival(world)
        happen(state, world, providers_at, event_kind(key), event_request(key), row, now_us, user_policy)
        _take_over(world, agenda)
    return SLICE_OVER


def compile_slices() -> None:
    """Compile the loop, or find it compiled."""
    if not JIT_DISABLED:
        compiled_slice: Any = run_slice
        compiled_slice.compile((int64, int64, int64, int64, int64[::1], int64, int64))


def run_compiled(world: Any) -> None:
    """Run a `forge1sim.drivers.stage.Stage` to its end by the compiled clock."""
    agenda, run = new_agenda(world.start_us), np.zeros(RUN_WORDS, dtype=np.int64)
    run[END_US], run[DRAIN_END_US] = world.end_us, world.drain_end_us
    blocks = handle(world.gateway), handle(world.providers), handle(world.world)
    while True:
        why = run_slice(*blocks, handle(agenda), run, world.slice_events, world.user_policy)
        world.empty_log()
        world.report(int(run[NOW_US]))
        if why == FINISHED:
            world.finish(int(run[NOW_US]))
            return
        if why == NEEDS_REQUESTS:
            run[NO_MORE_REQUESTS] = not world.next_requests()
        elif why == NEEDS_AGENDA_SPACE:
            agenda = grown(agenda)
