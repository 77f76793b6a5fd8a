"""The SimPy clock: the reference, and the place for a user's own processes.

Every event of the gateway is an event of a `simpy.Environment`, with the tie key of
`policies.order` as its scheduling priority. A user's process sees the same clock, may cut an
account's limits or take it down, and is obeyed from that moment on.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numba.extending import overload

from forge1sim.drivers.world import World, happen, is_log_full, next_arrival_us, open_world, plan, take_arrival
from forge1sim.providers import set_limit_scale, set_outage
from forge1sim.workload.table import NEVER_US
from policies.arena import WORDS_PER_TABLE, OpenBlock, allocate, handle, tables_in, tables_of
from policies.compile import JIT_DISABLED, compiled, inlined, quick
from policies.order import ARRIVED, event_kind, event_request, tie_key
from policies.rows import Handle, Plugged
from policies.state import State, open_state

Process = Callable[["SimpyRun"], Generator[simpy.Event, Any, Any]]

LOG_IS_FULL, SHEET_IS_EMPTY = 1 << 20, 1 << 21
_COUNT = LOG_IS_FULL - 1
_MOST_OUT = 1_024
_ARRIVAL_KEY = tie_key(ARRIVED, 0, 0)       # after all else at its moment; there is one at a time


PARTS = np.dtype([("gateway", "<i8"), ("providers", "<i8"), ("world", "<i8"), ("user_policy", "<i8")])


class _OpenParts(OpenBlock):
    """The parts of a run, in compiled code."""


_open_block = tables_of(_OpenParts, ("parts",), (PARTS,))


def _bundle(gateway: Handle, providers: Handle, world: Handle, user_policy: Plugged) -> Any:
    """The parts of a run in one block, since every argument of a call from Python takes its time; uncompiled, a tuple."""
    parts = (gateway, providers, world, user_policy)
    if JIT_DISABLED:
        return parts
    block, _ = allocate([(PARTS, 1)], WORDS_PER_TABLE)
    tables_in(block, (PARTS,))[0][0] = parts
    return block


def _unbundle(run: Any) -> Any:
    return run


@overload(_unbundle)  # type: ignore[untyped-decorator]  # Numba leaves its decorators untyped
def _compiled_unbundle(run: Any) -> Any:
    def implementation(run: Any) -> Any:
        parts = _open_block(run).parts[0]
        return parts["gateway"], parts["providers"], parts["world"], parts["user_policy"]

    return implementation


@compiled
def let_happen(run: Handle, key: int, row: int, at_us: int) -> int:
    """What SimPy brought up. Returns the number of new events in `out`, and flags.

    That is one event at `at_us`; or, by the key of an arrival, as many arrivals as come before an event at `at_us`.
    One function, since each that lets something happen holds all compiled policies.
    """
    gateway_at, providers_at, world_at, user_policy = _unbundle(run)
    state, world = open_state(gateway_at), open_world(world_at)
    desk = world.desk[0]
    desk["out_count"] = 0
    if key == _ARRIVAL_KEY:
        return _let_arrive(state, world, providers_at, at_us, user_policy)
    desk["last_us"] = at_us
    happen(state, world, providers_at, event_kind(key), event_request(key), row, at_us, user_policy)
    return int(desk["out_count"] + (LOG_IS_FULL if is_log_full(state) else 0))


@inlined
def _let_arrive(state: State, world: World, providers_at: Handle, before_us: int, user_policy: Plugged) -> int:
    """The next request arrives, and those after it up to whatever SimPy has to bring up first.

    That is an event planned at `before_us`, or one that came of these arrivals themselves. The
    arrival after those is the last of the new events in `out`, unless the sheet is used up.
    """
    desk = world.desk[0]
    seen = 0
    while True:
        now_us = next_arrival_us(world)
        row = take_arrival(world)
        happen(state, world, providers_at, ARRIVED, 0, row, now_us, user_policy)
        for number in range(seen, desk["out_count"]):
            before_us = min(before_us, world.out[number]["time_us"])
        seen = desk["out_count"]
        if is_log_full(state) or seen > _MOST_OUT or next_arrival_us(world) >= before_us:
            break
    desk["last_us"] = now_us
    flags = LOG_IS_FULL if is_log_full(state) else 0
    if next_arrival_us(world) >= NEVER_US:
        flags += SHEET_IS_EMPTY
    else:
        plan(world, next_arrival_us(world), ARRIVED, 0, 0, 0)
    return int(desk["out_count"] + flags)


class _Planned:
    """The least that SimPy needs of an event: what to call, and that it went well. Used again and again."""

    __slots__ = ("callbacks", "key", "row", "time_us")

    _ok = True

    def __init__(self) -> None:
        self.callbacks: Any = None
        self.time_us = self.key = self.row = 0


class SimpyRun:
    """A run under SimPy's clock. `env.now` is in whole microseconds since the epoch."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.env = simpy.Environment(initial_time=stage.start_us)
        self._parts = _bundle(handle(stage.gateway), handle(stage.providers), handle(stage.world), stage.user_policy)
        self._world = open_world(stage.world)
        self._pulse = open_state(stage.gateway).pulse[0]
        self._plan = self._planner()

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
        desk, pulse, env, stage = self._world.desk[0], self._pulse, self.env, self._stage
        desk["last_us"] = stage.start_us
        self._plan(int(desk["out_count"]), stage.start_us)
        self._plan_arrival()
        env.run(until=stage.end_us + 1)
        while pulse["in_system"] > 0 and env.peek() <= stage.drain_end_us:
            env.step()
        stage.empty_log()
        stage.finish(int(desk["last_us"]))

    def _planner(self) -> Callable[[int, int], None]:
        """The function that hands the first events of `out` to SimPy, with the one that SimPy calls for each.

        They run for every event. What they need therefore stands in local names, and events are used again.
        """
        run, end_us = self._parts if JIT_DISABLED else handle(self._parts), self._stage.end_us + 1
        happen_now = quick(let_happen, 4)
        schedule, peek, follow_up = self.env.schedule, self.env.peek, self._follow_up
        out: Any = memoryview(self._world.out.view(np.int64))  # type: ignore[arg-type]
        used: list[_Planned] = []

        def plan(count: int, now_us: int) -> None:
            for word in range(0, 3 * count, 3):
                planned: Any = used.pop() if used else _Planned()
                planned.callbacks = callbacks
                planned.time_us = time_us = out[word]
                planned.key = key = out[word + 1]
                planned.row = out[word + 2]
                schedule(planned, key, time_us - now_us)

        def bring_about(planned: _Planned) -> None:
            key, now_us = planned.key, planned.time_us
            used.append(planned)
            if key != _ARRIVAL_KEY:
                flags = happen_now(run, key, planned.row, now_us)
            else:
                before_us: Any = peek()
                flags = happen_now(run, key, 0, before_us if before_us < end_us else end_us)
            if flags:
                plan(flags & _COUNT, now_us)
                if flags > _COUNT:
                    follow_up(flags)

        callbacks = (bring_about,)
        return plan

    def _plan_arrival(self) -> None:
        """Plan the next arrival, if there is one, from a fresh sheet."""
        desk = self._world.desk[0]
        if desk["arrival_us"] >= NEVER_US and not self._stage.next_requests():
            return
        time_us = int(desk["arrival_us"])
        self._world.out[0] = (time_us, _ARRIVAL_KEY, 0)
        self._plan(1, int(self.env.now))

    def _follow_up(self, flags: int) -> None:
        if flags & LOG_IS_FULL:
            self._stage.empty_log()
            self._stage.report(int(self.env.now))
        if flags & SHEET_IS_EMPTY:
            self._plan_arrival()


def compile_simpy() -> None:
    """Compile what SimPy calls, or find it compiled."""
    quick(let_happen, 4)


def run_simpy(stage: Any, processes: tuple[Process, ...] = ()) -> None:
    """Run a `forge1sim.drivers.stage.Stage` to its end by SimPy's clock."""
    SimpyRun(stage).run(processes)
