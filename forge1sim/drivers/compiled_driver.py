"""The compiled clock: one loop over a heap of events, in slices that a caller can interrupt."""

from typing import Any

import numpy as np

from forge1sim.drivers.world import EVENT, OUT_ROWS, OUT_SLACK, World, happen, is_log_full, next_arrival_us, open_world
from forge1sim.workload.table import NEVER_US
from policies.compile import compiled, inlined
from policies.order import ARRIVED, event_kind, event_request, tie_key
from policies.rows import Bytes, Ints, Plugged, Rows
from policies.state import State, open_state

# why a slice ended
NEEDS_REQUESTS, NEEDS_LOG_SPACE, NEEDS_HEAP_SPACE, SLICE_OVER, FINISHED = 1, 2, 3, 4, 5

# words of the run's own record
HEAP_COUNT, NOW_US, END_US, DRAIN_END_US, NO_MORE_REQUESTS, EVENTS = 0, 1, 2, 3, 4, 5
RUN_WORDS = 8


@inlined
def _is_before(heap: Rows, one: int, time_us: int, key: int) -> bool:
    at_us = heap[one]["time_us"]
    return bool(at_us < time_us or (at_us == time_us and heap[one]["key"] < key))


@inlined
def _push(heap: Rows, run: Ints, time_us: int, key: int, row: int) -> None:
    place = run[HEAP_COUNT]
    run[HEAP_COUNT] += 1
    while place > 0:
        parent = (place - 1) >> 2
        if _is_before(heap, parent, time_us, key):
            break
        heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = (
            heap[parent]["time_us"], heap[parent]["key"], heap[parent]["row"],
        )  # fmt: skip
        place = parent
    heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = time_us, key, row


@inlined
def _drop_first(heap: Rows, run: Ints) -> None:
    """Remove the first event of the four-ary heap."""
    run[HEAP_COUNT] -= 1
    count = run[HEAP_COUNT]
    if count == 0:
        return
    time_us, key, row = heap[count]["time_us"], heap[count]["key"], heap[count]["row"]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= count:
            break
        best = child
        for other in range(child + 1, min(child + 4, count)):
            if _is_before(heap, other, heap[best]["time_us"], heap[best]["key"]):
                best = other
        if not _is_before(heap, best, time_us, key):
            break
        heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = (
            heap[best]["time_us"], heap[best]["key"], heap[best]["row"],
        )  # fmt: skip
        place = best
    heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = time_us, key, row


@inlined
def _take_over(world: World, heap: Rows, run: Ints) -> None:
    desk = world.desk[0]
    for number in range(desk["out_count"]):
        event = world.out[number]
        _push(heap, run, event["time_us"], event["key"], event["row"])
    desk["out_count"] = 0


@inlined
def _one_event(state: State, world: World, providers: Bytes, heap: Rows, run: Ints, user_policy: Plugged) -> None:
    """Let the earlier of next event and next arrival happen."""
    arrival_us = next_arrival_us(world)
    arrival_key = tie_key(ARRIVED, state.pulse[0]["arrived"], 0)
    desk = world.desk[0]
    if run[HEAP_COUNT] > 0 and _is_before(heap, 0, arrival_us, arrival_key):
        now_us, key, row = heap[0]["time_us"], heap[0]["key"], heap[0]["row"]
        _drop_first(heap, run)
    else:
        now_us, key, row = arrival_us, arrival_key, desk["sheet_next"]
        desk["sheet_next"] += 1
    run[NOW_US] = now_us
    happen(state, world, providers, event_kind(key), event_request(key), row, now_us, user_policy)
    _take_over(world, heap, run)


@compiled
def run_slice(
    gateway_block: Bytes, providers: Bytes, world_block: Bytes, heap: Rows, run: Ints, most_events: int, user_policy: Plugged
) -> int:
    """Let at most `most_events` happen; returns why it stopped. Call again to go on."""
    state, world = open_state(gateway_block), open_world(world_block)
    _take_over(world, heap, run)
    for _ in range(most_events):
        next_us = next_arrival_us(world)
        if next_us >= NEVER_US and run[NO_MORE_REQUESTS] == 0:
            return NEEDS_REQUESTS
        if run[HEAP_COUNT] > 0:
            next_us = min(next_us, heap[0]["time_us"])
        idle = state.pulse[0]["in_system"] == 0
        if next_us > run[DRAIN_END_US] or (next_us > run[END_US] and idle):
            return FINISHED
        if is_log_full(state):
            return NEEDS_LOG_SPACE
        if run[HEAP_COUNT] + OUT_SLACK > heap.size:
            return NEEDS_HEAP_SPACE
        run[EVENTS] += 1
        _one_event(state, world, providers, heap, run, user_policy)
    return SLICE_OVER


def new_heap(rows: int = 2 * OUT_ROWS) -> Rows:
    """Space for pending events."""
    return np.zeros(rows, dtype=EVENT)


def grown(heap: Rows) -> Rows:
    """The same events with twice the space."""
    larger = np.zeros(2 * heap.size, dtype=EVENT)
    larger[: heap.size] = heap
    return larger


def run_compiled(world: Any) -> None:
    """Run a `forge1sim.drivers.stage.Stage` to its end by the compiled clock."""
    heap, run = new_heap(), np.zeros(RUN_WORDS, dtype=np.int64)
    run[END_US], run[DRAIN_END_US] = world.end_us, world.drain_end_us
    while True:
        why = run_slice(world.gateway, world.providers, world.world, heap, run, world.slice_events, world.user_policy)
        world.empty_log()
        world.report(int(run[NOW_US]))
        if why == FINISHED:
            world.finish(int(run[NOW_US]))
            return
        if why == NEEDS_REQUESTS:
            run[NO_MORE_REQUESTS] = not world.next_requests()
        elif why == NEEDS_HEAP_SPACE:
            heap = grown(heap)
