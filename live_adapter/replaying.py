"""A journal fed again, under any clock: equal decisions, or the first that differs.

The compiled and the SimPy clock come in as functions: whoever composes the program knows both packages.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from live_adapter.driver import Driver, Kept
from live_adapter.errors import LiveConfigError
from live_adapter.journal import BUNDLES, HEAD, INPUTS, LOG, JournalError, read_journal
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.change import changed_state
from policies.inputs import ARRIVAL, BUNDLE
from policies.layout import Layout, lay_out
from policies.log import KIND_NAMES, ROW
from policies.plug import plug
from policies.routing import unplugged
from policies.rows import Bytes, Plugged
from policies.schema import Platform

Sink = Callable[[NDArray[np.void]], None]
Change = Callable[[Bytes, int], tuple[Bytes, Plugged]]
Replay = Callable[..., None]
"""As `forge1sim.drivers.recorded.replay_compiled`: (gateway, inputs, sink, start_us=, user_policy=, change=)."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a journal holds of one run: where it began, what it was told, what it decided."""

    layout: Layout
    bundles: dict[int, PolicyBundle]
    start_us: int
    seed: int
    inputs: NDArray[np.void]
    log: NDArray[np.void]

    @property
    def bundle(self) -> PolicyBundle:
        """The one in force at the end."""
        changes = self.inputs["row"][self.inputs["kind"] == BUNDLE]
        return self.bundles[int(changes[-1]) if len(changes) else 0]

    @property
    def changes(self) -> int:
        """How often the bundle changed."""
        return int(np.count_nonzero(self.inputs["kind"] == BUNDLE))

    def requests_by_tenant(self) -> list[int]:
        """How many requests each tenant has made, by row."""
        tenants = self.inputs["row"][self.inputs["kind"] == ARRIVAL]
        return [int(count) for count in np.bincount(tenants, minlength=len(self.layout.tenant_names))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How far a replay agrees: rows that are the same, and the first that differs in words ("": none does)."""

    same_rows: int
    first_difference: str


def read_recording(folder: Path) -> Recording:
    """The last run of a journal. Raises JournalError; LiveConfigError where the run had policies of one's own."""
    head: dict[str, Any] | None = None
    bundles: dict[int, PolicyBundle] = {}
    inputs: list[NDArray[np.void]] = []
    log: list[NDArray[np.void]] = []
    for frame in read_journal(folder):
        if frame.kind == HEAD and (head is None or frame.head["start_us"] != head["start_us"]):
            head, inputs, log = frame.head, [], []
            bundles = {0: PolicyBundle.model_validate(head["bundle"], strict=False)}
        elif frame.kind == BUNDLES:
            bundles[frame.head["number"]] = PolicyBundle.model_validate(frame.head["bundle"], strict=False)
        elif frame.kind == INPUTS:
            inputs.append(frame.rows)
        elif frame.kind == LOG:
            log.append(frame.rows)
    if head is None or not inputs:
        raise JournalError(f"{folder}: nothing has happened yet")
    if bundles[0].own_policies():
        raise LiveConfigError(f"{folder}: the run had policies of one's own ({bundles[0].own_policies()}), which a journal does not hold")
    layout = lay_out(Platform.model_validate(head["platform"], strict=False), head["start_us"])
    return Recording(
        layout=layout, bundles=bundles, start_us=head["start_us"], seed=head["seed"], inputs=np.concatenate(inputs),
        log=np.concatenate(log) if log else np.empty(0, ROW),
    )  # fmt: skip


def decisions(recording: Recording, replay: Replay, first: PolicyBundle | None = None) -> NDArray[np.void]:
    """The log that a clock gives for the recorded inputs; `first` in place of the bundle that the run began with."""
    first = first or recording.bundles[0]
    rows: list[NDArray[np.void]] = []
    policy = plug(unplugged, "routing")
    gateway = build_state(recording.layout, first, recording.start_us, recording.seed)
    replay(
        gateway, iter([recording.inputs]), lambda part: rows.append(part.copy()), start_us=recording.start_us, user_policy=policy,
        change=_changes(recording, first, policy),
    )  # fmt: skip
    return np.concatenate(rows) if rows else np.empty(0, ROW)


def replay_live(
    gateway: Bytes, inputs: Iterator[NDArray[np.void]], sink: Sink, *, start_us: int, user_policy: Plugged, change: Change
) -> None:
    """The wall clock's own driver, its clock set by the recording."""
    def keep(kept: Kept) -> None:
        if len(kept.log):
            sink(kept.log)

    driver = Driver(gateway, lambda: start_us, lambda _: None, keep, start_us=start_us, user_policy=user_policy)
    for chunk in inputs:
        _feed(driver, chunk, change)
    driver.flush()


def feed(driver: Driver, recording: Recording) -> None:
    """Let a driver that has just begun do all that was recorded, and keep nothing of it."""
    with driver.silent():
        _feed(driver, recording.inputs, _changes(recording, recording.bundles[0], driver.user_policy))


def _changes(recording: Recording, first: PolicyBundle, policy: Plugged) -> Change:
    """What puts the bundles of a recording in force, one after the other, beginning with `first`."""
    now = first

    def change(gateway: Bytes, number: int) -> tuple[Bytes, Plugged]:
        nonlocal now
        before, now = now, recording.bundles[number]
        return changed_state(gateway, recording.layout, before, now, {}), policy

    return change


def _feed(driver: Driver, rows: NDArray[np.void], change: Change) -> None:
    """The recorded times are the clock's: the driver's own is not asked."""
    now_us = driver.now_us
    with driver.under(lambda: now_us):
        for time_us, kind, row, request, *values in rows.tolist():
            now_us = time_us
            if kind == BUNDLE:
                driver.change(row, partial(_as_build, change, row))
            else:
                driver.tell(kind, row, request, *values)


def _as_build(change: Change, number: int, gateway: Bytes) -> tuple[Bytes, Plugged]:
    return change(gateway, number)


def compared(recording: Recording, found: NDArray[np.void]) -> Compared:
    """Two logs, row by row."""
    count = min(len(recording.log), len(found))
    differs = np.flatnonzero(recording.log[:count] != found[:count])
    if len(differs):
        at = int(differs[0])
        return Compared(same_rows=at, first_difference=f"row {at:,}: {_shown(recording.log[at])} was {_shown(found[at])} here")
    if len(recording.log) != len(found):
        return Compared(same_rows=count, first_difference=f"{len(recording.log):,} rows were {len(found):,} here")
    return Compared(same_rows=count, first_difference="")


def _shown(row: NDArray[np.void]) -> str:
    values: Mapping[str, int] = dict(zip(ROW.names or (), row.item(), strict=True))
    shown = ", ".join(f"{name} {value}" for name, value in values.items() if name not in ("kind", "time_us"))
    return f"{KIND_NAMES.get(values['kind'], values['kind'])} at {values['time_us']} us ({shown})"
