"""The SimPy clock: the reference, and the place for a user's own processes.

Every event of the gateway is an event of a `simpy.Environment`, with the tie key of
`policies.order` as its scheduling priority. A user's process sees the same clock, may cut an
account's limits or take it down, and is obeyed from that moment on.
"""

from collections.abc import Callable, Generator
from typing import Any, cast

import numpy as np
import simpy

from forge1sim.drivers.world import happen, is_log_full, next_arrival_us, open_world
from forge1sim.providers import set_limit_scale, set_outage
from forge1sim.workload.table import NEVER_US
from policies.compile import compiled
from policies.order import ARRIVED, event_kind, event_request, tie_key
from policies.rows import Bytes
from policies.state import open_state

Process = Callable[["SimpyRun"], Generator[simpy.Event, Any, Any]]

OUT_IS_LONG, LOG_IS_FULL, SHEET_IS_EMPTY = 1 << 40, 1 << 41, 1 << 42
_MOST_OUT = 1_024
_COUNT = (1 << 40) - 1


@compiled
def let_happen(gateway_block: Bytes, providers: Bytes, world_block: Bytes, key: int, row: int, now_us: int, user_policy) -> int:  # type: ignore[no-untyped-def]
    """One event that SimPy brought up. Returns the number of new events in `out`, and flags."""
    state, world = open_state(gateway_block), open_world(world_block)
    world.desk[0]["out_count"] = 0
    happen(state, world, providers, event_kind(key), event_request(key), row, now_us, user_policy)
    return int(world.desk[0]["out_count"] + (LOG_IS_FULL if is_log_full(state) else 0))


@compiled
def let_arrive(gateway_block: Bytes, providers: Bytes, world_block: Bytes, before_us: int, user_policy) -> int:  # type: ignore[no-untyped-def]
    """The next request arrives, and those after it up to whatever SimPy has to bring up first.

    That is an event planned at `before_us`, or one that came of these arrivals themselves.
    """
    state, world = open_state(gateway_block), open_world(world_block)
    desk = world.desk[0]
    desk["out_count"] = 0
    desk["earliest_us"] = before_us
    while True:
        now_us = next_arrival_us(world)
        row = desk["sheet_next"]
        desk["sheet_next"] += 1
        happen(state, world, providers, ARRIVED, 0, row, now_us, user_policy)
        if is_log_full(state) or desk["out_count"] > _MOST_OUT or next_arrival_us(world) >= desk["earliest_us"]:
            break
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
        self._blocks = (stage.gateway, stage.providers, stage.world)
        self._world = open_world(stage.world)
        self._pulse = open_state(stage.gateway).pulse[0]
        self._out = self._world.out.view(np.int64).reshape(-1, 3)

    def limit_scale(self, account: str, scale: float) -> None:
        """From now on the provider enforces `scale` (0 to 1) of this account's limits."""
        set_limit_scale(self._blocks[1], self._stage.account_row(account), round(scale * 1000), int(self.env.now))

    def outage(self, account: str, on: bool) -> None:
        """From now on every attempt on this account fails (`on`), or no longer does."""
        set_outage(self._blocks[1], self._stage.account_row(account), on)

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
        step, peek = env.step, env.peek
        end_us, drain_end_us = stage.end_us, stage.drain_end_us
        while (at_us := peek()) <= end_us:
            step()
        while (at_us := peek()) <= drain_end_us and pulse["in_system"] > 0:
            step()
        del at_us
        stage.empty_log()
        stage.finish(int(env.now))

    def _plan(self, count: int) -> None:
        """Hand the first `count` events of `out` to SimPy."""
        schedule, now = self.env.schedule, self.env.now
        for time_us, key, row in self._out[:count].tolist():
            schedule(cast(simpy.Event, _Planned(self._on_event, key, row)), cast(Any, key), time_us - now)

    def _plan_arrival(self) -> None:
        desk, stage = self._world.desk[0], self._stage
        if desk["sheet_next"] >= desk["sheet_count"] and not stage.next_requests():
            return
        time_us = int(self._world.sheet[desk["sheet_next"]]["arrive_us"])
        key = tie_key(ARRIVED, int(self._pulse["arrived"]), 0)
        self.env.schedule(cast(simpy.Event, _Planned(self._on_arrival, key, 0)), cast(Any, key), time_us - self.env.now)

    def _on_event(self, planned: _Planned) -> None:
        flags = let_happen(*self._blocks, planned.key, planned.row, self.env.now, self._stage.user_policy)
        self._follow_up(flags)

    def _on_arrival(self, _planned: _Planned) -> None:
        before_us = min(self.env.peek(), self._stage.end_us + 1)
        self._follow_up(let_arrive(*self._blocks, int(min(before_us, NEVER_US)), self._stage.user_policy))
        self._plan_arrival()

    def _follow_up(self, flags: int) -> None:
        count = flags & _COUNT
        if count:
            self._plan(count)
        if flags & LOG_IS_FULL:
            self._stage.empty_log()
            self._stage.report(int(self.env.now))


def run_simpy(stage: Any, processes: tuple[Process, ...] = ()) -> None:
    """Run a `forge1sim.drivers.stage.Stage` to its end by SimPy's clock."""
    SimpyRun(stage).run(processes)
