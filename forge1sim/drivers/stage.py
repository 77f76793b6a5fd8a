"""A stage: gateway, providers and world of one run, with where requests come from and rows go to."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from forge1sim.drivers.world import build_world, load_sheet, open_world, start
from forge1sim.errors import RunError
from forge1sim.providers import build_emulator
from forge1sim.workload.spec import EXACT, Estimation
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.layout import Layout
from policies.plug import plug
from policies.routing import unplugged
from policies.rows import Plugged
from policies.schema import Fault
from policies.state import open_state

SLICE_EVENTS = 40_000

Sink = Callable[[NDArray[np.void]], None]
Report = Callable[[int, int], None]


def _no_report(_now_us: int, _requests: int) -> None:
    """Nobody watches."""


class Stage:
    """What a driver runs. A driver calls `next_requests`, `empty_log`, `report` and `finish`."""

    def __init__(
        self,
        layout: Layout,
        bundle: PolicyBundle,
        faults: tuple[Fault, ...],
        requests: Iterator[NDArray[np.void]],
        *,
        start_us: int,
        horizon_us: int,
        drain_us: int,
        seed: int,
        sink: Sink,
        own_policies: Mapping[str, Callable[..., int]] = MappingProxyType({}),
        estimation: Estimation = EXACT,
        on_report: Report = _no_report,
    ) -> None:
        self.layout = layout
        self.start_us, self.end_us = start_us, start_us + horizon_us
        self.drain_end_us = self.end_us + drain_us
        self.slice_events = SLICE_EVENTS
        plugged = {kind: plug(policy, kind) for kind, policy in own_policies.items()}
        self.gateway = build_state(layout, bundle, start_us, seed, plugged)
        self.providers = build_emulator(layout, faults, start_us, seed)
        self.world = build_world(bundle.queue.max_in_system, estimation)
        self.user_policy = plugged["routing"] if "routing" in plugged else unplugged_policy()
        self.finished_us = start_us
        self._state, self._world = open_state(self.gateway), open_world(self.world)
        self._requests, self._sink, self._on_report = requests, sink, on_report
        start(self.gateway, self.world)

    def next_requests(self) -> bool:
        """Put the next requests on the sheet; False if there are none."""
        for chunk in self._requests:
            if len(chunk):
                load_sheet(self._world, chunk)
                return True
        return False

    def empty_log(self) -> None:
        """Hand the rows written so far to the sink. They are valid during that call only."""
        pulse = self._state.pulse[0]
        count = int(pulse["log_count"])
        if count:
            self._sink(self._state.log[:count])
            pulse["log_count"] = 0

    def report(self, now_us: int) -> None:
        """Tell whoever watches how far the run is."""
        self._on_report(now_us, int(self._state.pulse[0]["arrived"]))

    def finish(self, now_us: int) -> None:
        """Note when the last event happened."""
        self.finished_us = max(now_us, self.start_us)

    @property
    def in_system(self) -> int:
        """Requests that have arrived and not ended."""
        return int(self._state.pulse[0]["in_system"])

    def account_row(self, name: str) -> int:
        """Row of the account called `name`."""
        for row, account in enumerate(self.layout.accounts):
            if account.name == name:
                return row
        raise RunError(f"account {name!r} is none of {[account.name for account in self.layout.accounts]}")


@cache
def unplugged_policy() -> Plugged:
    """What stands for a routing policy of one's own where there is none."""
    return plug(unplugged, "routing")
