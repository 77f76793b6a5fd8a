"""Recorded inputs (`policies.inputs`) fed again under either clock: equal inputs, equal log.

The compiled clock goes through the rows in one loop. Under SimPy's every input and every timer of the gateway is an event
of a `simpy.Environment` with its tie key as priority, so that neither order rests on the other's code.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from forge1sim.errors import RunError
from policies.agenda import grown, new_agenda, open_agenda
from policies.arena import handle
from policies.change import enforce
from policies.compile import compiled
from policies.feed import advance, fire, is_short, new_desk, open_desk, plan_out, put_planned, start, take
from policies.inputs import BUNDLE, INPUT, input_key
from policies.order import event_kind, event_request
from policies.rows import Bytes, Handle, Ints, Plugged, Rows
from policies.state import LOG_ROWS, open_state

Inputs = Iterator[NDArray[np.void]]
Change = Callable[[Bytes, int], tuple[Bytes, Plugged]]
Sink = Callable[[NDArray[np.void]], None]
_FED, _ALL_FED, _NEEDS_ROOM, _CHANGES = 0, 1, 2, 3
_ROOM = 8_192                   # planned events that a few inputs may add
_INPUT = -2                     # as the row of a SimPy event: the next input


def no_change(gateway: Bytes, number: int) -> tuple[Bytes, Plugged]:
    """For recordings in which no bundle changes."""
    raise RunError(f"the recording changes to bundle {number}, which was not given")


@compiled
def _feed(gateway_at: Handle, agenda_at: Handle, desk_at: Handle, inputs: Rows, run: Ints, user_policy: Plugged) -> int:
    """Feed inputs from place `run[0]` on; returns why it stopped."""
    from_agenda, state, desk = open_agenda(agenda_at), open_state(gateway_at), open_desk(desk_at)
    head = desk.desk[0]
    put_planned(desk, from_agenda)
    while run[0] < inputs.size:
        head["order_count"] = 0
        clip = from_agenda.clip[0]
        if clip["in_heap"] + clip["in_wheel"] + _ROOM > from_agenda.heap.size:
            return _NEEDS_ROOM
        entry = inputs[run[0]]
        if not advance(state, desk, from_agenda, entry["time_us"], input_key(entry), user_policy) or is_short(state, desk):
            return _FED
        take(state, desk, entry, user_policy)
        put_planned(desk, from_agenda)
        run[0] += 1
        if entry["kind"] == BUNDLE:
            return _CHANGES
    return _ALL_FED


def replay_compiled(
    gateway: Bytes, inputs: Inputs, sink: Sink, *, start_us: int, user_policy: Plugged, change: Change = no_change
) -> None:  # fmt: skip
    """Feed a gateway, which is as it was at `start_us`, by the compiled clock. `sink` gets the rows of its log.

    `change` makes of a state the one by the bundle of a number (`policies.change`), and the number of its plugged policy.
    """
    agenda, desk, run = new_agenda(start_us), new_desk(), np.zeros(1, dtype=np.int64)
    start(handle(gateway), handle(desk))
    for chunk in inputs:
        run[0], why = 0, _FED
        while why != _ALL_FED:
            why = _feed(handle(gateway), handle(agenda), handle(desk), chunk, run, user_policy)
            _empty(gateway, desk, sink)
            if why == _NEEDS_ROOM:
                agenda = grown(agenda)
            if why == _CHANGES:
                gateway, user_policy = change(gateway, int(chunk[run[0] - 1]["row"]))
                enforce(
                    gateway, desk, int(chunk[run[0] - 1]["row"]), int(chunk[run[0] - 1]["time_us"]), user_policy,
                    partial(_take_portion, gateway, agenda, desk, sink),
                )  # fmt: skip


def _take_portion(gateway: Bytes, agenda: Bytes, desk: Bytes, sink: Sink) -> None:
    plan_out(handle(agenda), handle(desk))
    _empty(gateway, desk, sink)


@compiled
def _let_happen(gateway_at: Handle, desk_at: Handle, key: int, row: int, time_us: int, user_policy: Plugged) -> int:
    """One timer, or the input on the desk; returns how many new timers are in `out`."""
    state, desk = open_state(gateway_at), open_desk(desk_at)
    head = desk.desk[0]
    head["order_count"], head["out_count"] = 0, 0
    if row == _INPUT:
        take(state, desk, desk.entry[0], user_policy)
    else:
        fire(state, desk, event_kind(key), event_request(key), row, time_us, user_policy)
    return int(head["out_count"])


class _Replay:
    """A replay under SimPy's clock."""

    def __init__(self, gateway: Bytes, inputs: Inputs, sink: Sink, start_us: int, user_policy: Plugged, change: Change) -> None:
        self._env = simpy.Environment(initial_time=start_us)
        self._gateway, self._block, self._sink, self._user_policy = gateway, new_desk(), sink, user_policy
        self._pulse, self._desk, self._change = open_state(gateway).pulse[0], open_desk(self._block), change
        self._rows = (row for chunk in inputs for row in chunk)
        self._left = False

    def run(self) -> None:
        """Up to the last input."""
        start(handle(self._gateway), handle(self._block))
        self._plan(int(self._desk.desk[0]["out_count"]))
        self._plan_input()
        while self._left:
            self._env.step()
        _empty(self._gateway, self._block, self._sink)

    def _plan_input(self) -> None:
        row = next(self._rows, None)
        self._left = row is not None
        if row is not None:
            self._desk.entry[0] = row
            self._schedule(int(row["time_us"]), int(input_key_of(row)), _INPUT)

    def _plan(self, count: int) -> None:
        for event in self._desk.out[:count].tolist():
            self._schedule(*event)

    def _schedule(self, time_us: int, key: int, row: int) -> None:
        event: Any = simpy.Event(self._env)
        event._ok, event._value = True, None
        event.callbacks.append(lambda _: self._bring_about(time_us, key, row))
        self._env.schedule(event, cast(Any, key), time_us - int(self._env.now))

    def _bring_about(self, time_us: int, key: int, row: int) -> None:
        count = _let_happen(handle(self._gateway), handle(self._block), key, row, time_us, self._user_policy)
        if self._pulse["log_count"] >= LOG_ROWS:
            _empty(self._gateway, self._block, self._sink)
        self._plan(count)
        if row == _INPUT:
            if self._desk.entry[0]["kind"] == BUNDLE:
                self._change_bundle(int(self._desk.entry[0]["row"]), time_us)
            self._plan_input()

    def _change_bundle(self, number: int, now_us: int) -> None:
        _empty(self._gateway, self._block, self._sink)
        self._gateway, self._user_policy = self._change(self._gateway, number)
        self._pulse = open_state(self._gateway).pulse[0]
        self._desk.desk[0]["out_count"] = 0
        enforce(self._gateway, self._block, number, now_us, self._user_policy, self._take_portion)

    def _take_portion(self) -> None:
        self._plan(int(self._desk.desk[0]["out_count"]))
        self._desk.desk[0]["out_count"] = 0
        _empty(self._gateway, self._block, self._sink)


def replay_simpy(
    gateway: Bytes, inputs: Inputs, sink: Sink, *, start_us: int, user_policy: Plugged, change: Change = no_change
) -> None:  # fmt: skip
    """Feed a gateway, which is as it was at `start_us`, by SimPy's clock; the rest as for `replay_compiled`."""
    _Replay(gateway, inputs, sink, start_us, user_policy, change).run()


def _empty(gateway: Bytes, desk: Bytes, sink: Sink) -> None:
    pulse, head = open_state(gateway).pulse[0], open_desk(desk).desk[0]
    if pulse["log_count"]:
        sink(open_state(gateway).log[: pulse["log_count"]])
    pulse["log_count"] = head["log_seen"] = head["record_count"] = 0


@compiled
def _key_of(inputs: Rows) -> int:
    return input_key(inputs[0])


def input_key_of(row: NDArray[np.void]) -> int:
    """Where an input stands among what happens at its moment."""
    return _key_of(np.asarray([row], dtype=INPUT))
