"""The SimPy clock: the reference, and the place for a user's own processes.

Every event of the gateway is an event of a `simpy.Environment`, with the tie key of
`policies.order` as its scheduling priority. A user's process sees the same clock, may cut an
account's limits or take it down, and is obeyed from that moment on.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from forge1sim.drivers.world import OUT_ROWS, happen, is_log_full, next_arrival_us, open_world
from forge1sim.providers import set_limit_scale, set_outage
from forge1sim.workload.table import NEVER_US
from policies.arena import handle
from policies.compile import compiled
from policies.order import ARRIVED, event_kind, event_request, tie_key
from policies.rows import Handle, Plugged
from policies.state import open_state

Process = Callable[["SimpyRun"], Generator[simpy.Event, Any, Any]]

LOG_IS_FULL, SHEET_IS_EMPTY = 1 << 40, 1 << 41
_COUNT = (1 << 40) - 1
_MOST_OUT = 1_024
_ARRIVAL_KEY = tie_key(ARRIVED, 0, 0)       # after all else at its moment; there is one at a time
_LAST, _NEXT = 3 * (OUT_ROWS - 2), 3 * (OUT_ROWS - 1)    # words at the end of `out`: times of arrivals


@compiled
def let_happen(gateway_at: Handle, providers_at: Handle, world_at: Handle, key: int, row: int, now_us: int, user_policy: Plugged) -> int:
    """One event that SimPy brought up. Returns the number of new events in `out`, and flags."""
    state, world = open_state(gateway_at), open_world(world_at)
    world.desk[0]["out_count"] = 0
    happen(state, world, providers_at, event_kind(key), event_request(key), row, now_us, user_policy)
    return int(world.desk[0]["out_count"] + (LOG_IS_FULL if is_log_full(state) else 0))


@compiled
def let_arrive(gateway_at: Handle, providers_at: Handle, world_at: Handle, before_us: int, user_policy: Plugged) -> int:
    """The next request arrives, and those after it up to whatever SimPy has to bring up first.

    That is an event planned at `before_us`, or one that came of these arrivals themselves.
    """
    state, world = open_state(gateway_at), open_world(world_at)
    desk = world.desk[0]
    desk["out_count"] = 0
    desk["earliest_us"] = before_us
    while True:
        now_us = next_arrival_us(world)
        row = desk["sheet_next"]
        desk["sheet_next"] += 1
        happen(state, world, providers_at, ARRIVED, 0, row, now_us, user_policy)
        if is_log_full(state) or desk["out_count"] > _MOST_OUT or next_arrival_us(world) >= desk["earliest_us"]:
            break
    world.out[_LAST // 3]["time_us"] = now_us
    world.out[_NEXT // 3]["time_us"] = next_arrival_us(world)
    flags = (LOG_IS_FULL if is_log_full(state) else 0) + (SHEET_IS_EMPTY if next_arrival_us(world) >= NEVER_US else 0)
    return int(desk["out_count"] + flags)


class _Planned:
    """The least that SimPy needs of an event: what to call, and that it went well."""

    __slots__ = ("_ok", "callbacks", "key", "row")

    def __init__(self, callback: Callable[[Any], None], key: int, row: int) -> None:
        self.callbacks: Any = (callback,)
        self._ok = True
        self.key = key
        self.row = row


class SimpyRun:
    """A run under SimPy's clock. `env.now` is in whole microseconds since the epoch."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.env = simpy.Environment(initial_time=stage.start_us)
        self._handles = (handle(stage.gateway), handle(stage.providers), handle(stage.world))
        self._user_policy = stage.user_policy
        self._last_us = stage.start_us
        self._world = open_world(stage.world)
        self._pulse = open_state(stage.gateway).pulse[0]
        self._out = memoryview(self._world.out.view(np.int64))  # type: ignore[arg-type]

    def limit_scale(self, account: str, scale: float) -> None:
        """From now on the provider enforces `scale` (0 to 1) of this account's limits."""
        set_limit_scale(self._stage.providers, self._stage.account_row(account), round(scale * 1000), int(self.env.now))

    def outage(self, account: str, on: bool) -> None:
        """From now on every attempt on this account fails (`on`), or no longer does."""
        set_outage(self._stage.providers, self._stage.account_row(account), on)

    def timeout_s(self, seconds: float) -> simpy.Timeout:
        """An event after `seconds` of simulated time."""
        return self.env.timeout(round(seconds * 1_000_000))

    def run(self, processes: tuple[Process, ...] = ()) -> None:
        """Run to the end: horizon reached and nobody in the system, or the time to drain is over."""
        for process in processes:
            self.env.process(process(self))
        self._plan(int(self._world.desk[0]["out_count"]))
        self._plan_arrival()
        env, pulse, stage = self.env, self._pulse, self._stage
        env.run(until=stage.end_us + 1)
        while pulse["in_system"] > 0 and env.peek() <= stage.drain_end_us:
            env.step()
        stage.empty_log()
        stage.finish(self._last_us)

    def _plan(self, count: int) -> None:
        """Hand the first `count` events of `out` to SimPy."""
        out, schedule, now_us = self._out, self.env.schedule, self.env.now
        for word in range(0, 3 * count, 3):
            schedule(_Planned(self._on_event, out[word + 1], out[word + 2]), out[word + 1], out[word] - now_us)  # type: ignore[arg-type]

    def _plan_arrival(self) -> None:
        desk, stage = self._world.desk[0], self._stage
        if desk["sheet_next"] >= desk["sheet_count"] and not stage.next_requests():
            return
        time_us = int(self._world.sheet[desk["sheet_next"]]["arrive_us"])
        self._schedule_arrival(time_us)

    def _schedule_arrival(self, time_us: int) -> None:
        self.env.schedule(_Planned(self._on_arrival, _ARRIVAL_KEY, 0), _ARRIVAL_KEY, time_us - self.env.now)  # type: ignore[arg-type]

    def _on_event(self, planned: _Planned) -> None:
        now_us = self._last_us = int(self.env.now)
        flags = let_happen(*self._handles, planned.key, planned.row, now_us, self._user_policy)
        if flags:
            self._follow_up(flags)

    def _on_arrival(self, _planned: _Planned) -> None:
        before_us = int(min(self.env.peek(), self._stage.end_us + 1))
        flags = let_arrive(*self._handles, before_us, self._user_policy)
        self._last_us = self._out[_LAST]
        self._follow_up(flags)
        if flags & SHEET_IS_EMPTY:
            self._plan_arrival()
        else:
            self._schedule_arrival(self._out[_NEXT])

    def _follow_up(self, flags: int) -> None:
        self._plan(flags & _COUNT)
        if flags & LOG_IS_FULL:
            self._stage.empty_log()
            self._stage.report(int(self.env.now))


def run_simpy(stage: Any, processes: tuple[Process, ...] = ()) -> None:
    """Run a `forge1sim.drivers.stage.Stage` to its end by SimPy's clock."""
    SimpyRun(stage).run(processes)
