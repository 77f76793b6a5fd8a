"""The wall clock's driver: what happened goes in as one row, what is to be done comes out as orders.

It holds no rule. Which timer of the gateway rings, and when, and what a refusal or a header means is `policies`' to say.
"""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.agenda import grown, new_agenda
from policies.arena import handle
from policies.change import compile_changes, enforce
from policies.compile import JIT_DISABLED, quick
from policies.feed import AGAIN, DESK, NEEDS_ROOM, ORDER, new_desk, open_desk, plan_out, start, step
from policies.inputs import BUNDLE, KEPT, NOTHING, VALUES
from policies.rows import Bytes, Plugged
from policies.state import LOG_ROWS, PULSE, open_state

_COUNT = AGAIN - 1
_ENTRY = struct.Struct(f"<{4 + VALUES}q")
_ORDER = struct.Struct(f"<{len(ORDER.names or ())}q")
_ARRIVED, _LOG_COUNT = ((PULSE.names or ()).index(name) for name in ("arrived", "log_count"))
_NEXT_US, _SLOT = ((DESK.names or ()).index(name) for name in ("next_us", "slot"))
_FLUSH_ROWS = LOG_ROWS // 2

Order = tuple[int, int, int, int, int, int, int]
OnOrder = Callable[[Order], None]


@dataclass(frozen=True, slots=True)
class WallClock:
    """Microseconds since the epoch that never go back: the wall as it was once, and the monotonic clock since."""

    wall_us: int
    monotonic_ns: int

    @classmethod
    def now(cls) -> "WallClock":
        """Anchored now."""
        return cls(time.time_ns() // 1000, time.monotonic_ns())

    def __call__(self) -> int:
        """The time, in microseconds since the epoch."""
        return self.wall_us + (time.monotonic_ns() - self.monotonic_ns) // 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be kept of what happened: rows of `policies.log.ROW` and of `policies.inputs.INPUT`, in order."""

    log: NDArray[np.void]
    inputs: NDArray[np.void]


class Driver:
    """One gateway under one clock. Not for several threads.

    `on_order` gets each order, as a row of `policies.feed.ORDER`; it may tell the gateway of more. `keep` gets copies of
    log and inputs when `flush` is called, or by itself before either is full.
    """

    def __init__(
        self, gateway: Bytes, clock: Callable[[], int], on_order: OnOrder, keep: Callable[[Kept], None], *, start_us: int,
        user_policy: Plugged,
    ) -> None:  # fmt: skip
        self.clock, self._on_order, self._keep, self.user_policy = clock, on_order, keep, user_policy
        self._agenda, self._block = new_agenda(start_us), new_desk()
        self.desk = open_desk(self._block)
        self._step: Any = step if JIT_DISABLED else quick(step, 4)
        self._take(gateway)
        self._head: Any = memoryview(self.desk.desk.view(np.int64))     # type: ignore[arg-type]
        self._entry = memoryview(self.desk.entry.view(np.uint8)).cast("B")      # type: ignore[arg-type]
        self._orders = memoryview(self.desk.orders.view(np.uint8)).cast("B")    # type: ignore[arg-type]
        self.now_us, self.next_us = start_us, start_us
        compile_changes()
        start(handle(gateway), handle(self._block))
        plan_out(*self._blocks[1:])

    @property
    def next_request(self) -> int:
        """The number that the next request to arrive gets."""
        return int(self._pulse[_ARRIVED])

    @property
    def slot(self) -> int:
        """Where the request that arrived last is, or NO_SLOT if it has ended already."""
        return int(self._head[_SLOT])

    def tell(
        self, kind: int, row: int = 0, request: int = -1, v0: int = 0, v1: int = 0, v2: int = 0, v3: int = 0, v4: int = 0, v5: int = 0,
        v6: int = 0, v7: int = 0,
    ) -> None:  # fmt: skip
        """Let an input (`policies.inputs`) happen now, after all timers that fell due; its orders are carried out."""
        # No two inputs happen at one moment, so that their order is in their times alone.
        now_us = self.now_us = max(self.clock(), self.now_us + 1)
        while True:
            _ENTRY.pack_into(self._entry, 0, now_us, kind, row, request, v0, v1, v2, v3, v4, v5, v6, v7)
            flags = self._step(*self._blocks, self.user_policy)
            orders = self._first_orders(flags & _COUNT) if flags & _COUNT else ()
            self.next_us = self._head[_NEXT_US]
            if flags & NEEDS_ROOM:
                self._grow()
            if flags > _COUNT or self._pulse[_LOG_COUNT] >= _FLUSH_ROWS:
                self.flush()
            for order in orders:
                self._on_order(order)
            if flags <= _COUNT:
                return

    @contextmanager
    def under(self, clock: Callable[[], int]) -> Iterator[None]:
        """Meanwhile another clock tells the time."""
        before, self.clock = self.clock, clock
        try:
            yield
        finally:
            self.clock = before

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Meanwhile nothing is kept and no order carried out: all of it has been, before."""
        keep, on_order = self._keep, self._on_order
        self._keep, self._on_order = lambda _: None, lambda _: None
        try:
            yield
            self.flush()
        finally:
            self._keep, self._on_order = keep, on_order

    def ring(self) -> None:
        """Let timers that fell due happen."""
        logged = self._pulse[_LOG_COUNT]
        self.tell(NOTHING)
        if self._pulse[_LOG_COUNT] != logged:
            # What timers decided is on record only with a row that says how far it went: no input may follow, ever.
            self.tell(NOTHING, KEPT)

    def change(self, number: int, build: Callable[[Bytes], tuple[Bytes, Plugged]]) -> None:
        """Put another bundle in force, which has this number: `build` makes its state of the one so far (`policies.change`)."""
        self.tell(BUNDLE, number)
        self.flush()
        gateway, self.user_policy = build(self.gateway)
        self._take(gateway)
        enforce(gateway, self._block, number, self.now_us, self.user_policy, self._take_portion)
        self.ring()

    def _take_portion(self) -> None:
        orders = self._first_orders(int(self.desk.desk[0]["order_count"]))
        plan_out(*self._blocks[1:])
        self.flush()
        self.desk.desk[0]["order_count"] = 0
        for order in orders:
            self._on_order(order)

    def _first_orders(self, count: int) -> list[Order]:
        """Copies: whoever carries one out may bring about others."""
        return list(_ORDER.iter_unpack(self._orders[: _ORDER.size * count]))

    def _take(self, gateway: Bytes) -> None:
        self.gateway, self.state = gateway, open_state(gateway)
        self._blocks = (handle(gateway), handle(self._agenda), handle(self._block))
        self._pulse: Any = memoryview(self.state.pulse.view(np.int64))  # type: ignore[arg-type]

    def close(self) -> None:
        """Put on record how far it went, and hand over the rest."""
        self.tell(NOTHING, KEPT)
        self.flush()

    def flush(self) -> None:
        """Hand over what happened since the last time."""
        pulse, head = self.state.pulse[0], self.desk.desk[0]
        logged, told = int(pulse["log_count"]), int(head["record_count"])
        if logged or told:
            kept = Kept(self.state.log[:logged].copy(), self.desk.record[:told].copy())
            pulse["log_count"] = head["log_seen"] = head["record_count"] = 0
            self._keep(kept)

    def _grow(self) -> None:
        self._agenda = grown(self._agenda)
        self._blocks = (self._blocks[0], handle(self._agenda), self._blocks[2])
