"""The journal: what happened, appended to files that survive the end of the process, whatever ends it.

A frame is `length, CRC-32 of what follows, kind` and rows as they are in memory; inputs and the decisions that they led to are in one.
Frames are written in batches. `settle` hands what there is to the operating system, which outlives `kill -9`: at once, since a copy into
its cache is quicker than to wake a thread. What may take time is a thread's: `sync=True` (on the disk, which outlives a power cut), and
to try again where there was no room. A torn last frame is left out when reading, as it was never
acknowledged; damage before it is an error.
"""

import asyncio
import json
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from live_adapter.driver import Kept
from live_adapter.errors import LiveError
from live_adapter.keeping import Fact
from live_adapter.site import Site
from policies.bundle import PolicyBundle
from policies.inputs import INPUT
from policies.log import ROW

SCHEMA_VERSION = 1
HEAD, LOG, INPUTS, FACTS, BUNDLES, KEPT = 1, 2, 3, 4, 5, 6
FACT = np.dtype([(name, "<i8") for name in Fact._fields])
_FRAME, _COUNT = struct.Struct("<IIB"), struct.Struct("<I")
_MOST_FRAME = 1 << 30
_SEGMENT_BYTES = 256 * 1024 * 1024
_RETRY_S = 0.5
_JOIN_S = 5.0


class JournalError(LiveError):
    """A journal that cannot be read or is in use: names file and offset."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A batch of rows of one kind; or the head of a segment, or a bundle that came into force, as `head`."""

    kind: int
    rows: NDArray[np.void]
    head: dict[str, Any]


class Journal:
    """Writes the journal of one run of a gateway into a folder. It is a `live_adapter.keeping.Keeper`."""

    def __init__(self, folder: Path, site: Site, *, sync: bool = False, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self._folder, self._sync, self._segment_bytes = folder, sync, segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._head = _framed(HEAD, json.dumps(head_of(site)).encode())
        self._facts: list[Fact] = []
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._batch: list[tuple[int, bytes]] = []
        self.error: str | None = None
        self._number = max((int(path.stem) for path in folder.glob("*.journal")), default=0)
        self._file: Any = None
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="forge1-journal", daemon=True)
        self._thread.start()

    def keep(self, kept: Kept) -> None:
        """Take over rows of log and inputs."""
        self._batch.append((KEPT, _COUNT.pack(len(kept.inputs)) + kept.inputs.tobytes() + kept.log.tobytes()))

    def changed(self, number: int, bundle: PolicyBundle) -> None:
        """From now on this bundle is in force."""
        self._batch.append((BUNDLES, json.dumps({"number": number, "bundle": bundle.model_dump(mode="json")}).encode()))

    def fact(self, fact: Fact) -> None:
        """Take over what the wire saw."""
        self._facts.append(fact)

    def settle(self) -> "asyncio.Future[None] | None":
        """See Keeper. With the disk full it is done when there is room again."""
        if self._facts:
            self._batch.append((FACTS, np.array(self._facts, dtype=FACT).tobytes()))
            self._facts = []
        data = b"".join(_framed(kind, payload) for kind, payload in self._batch)
        self._batch = []
        if not self._sync and self._is_written(data):
            return None
        done = asyncio.get_running_loop().create_future()
        self._queue.put((data, done))
        return done

    def close(self) -> None:
        """End the thread. What was settled is safe; what was not is let go."""
        self._queue.put(None)
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            data, done = work
            while not self._is_written(data):
                time.sleep(_RETRY_S)
            with suppress(RuntimeError):                # the loop is closed: nobody waits any more
                done.get_loop().call_soon_threadsafe(_finish, done)

    def _is_written(self, data: bytes) -> bool:
        """Write a batch whole, or none of it. By the thread only while somebody waits for it."""
        if not data:
            return True
        try:
            if self._file is None or self._written > self._segment_bytes:
                self._open_segment()
            self._append(data)
            self._written += len(data)
            self.error = None
        except OSError as error:
            # Nothing is acknowledged meanwhile. A frame half written is cut off again.
            self.error = f"{self._folder}: {error.strerror}"
            self._cut_back()
            return False
        return True

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        if self._sync:
            os.fsync(self._file)

    def _cut_back(self) -> None:
        if self._file is not None:
            try:
                os.ftruncate(self._file, self._written)
                os.lseek(self._file, self._written, os.SEEK_SET)
            except OSError:
                self._file = None

    def _open_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / f"{self._number + 1:08d}.journal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._written = 0
        self._append(self._head)
        self._written = len(self._head)
        self._number += 1


def head_of(site: Site) -> dict[str, Any]:
    """What rows mean: names by row, and what the gateway started from."""
    layout = site.layout
    accounts, models = [one.name for one in layout.accounts], [one.name for one in layout.models]
    return {
        "schema_version": SCHEMA_VERSION, "start_us": site.start_us, "seed": site.seed,
        "platform": layout.platform.model_dump(mode="json"), "bundle": site.bundle.model_dump(mode="json"),
        "bundle_hash": site.bundle.content_hash(), "tenants": layout.tenant_names, "models": models, "accounts": accounts,
        "deployments": [(accounts[one.account], models[one.model]) for one in layout.deployments], "limits": site.limit_names,
        "tiers": [tier.name for tier in site.bundle.tiers],
    }  # fmt: skip


def read_journal(folder: Path) -> Iterator[Frame]:
    """All frames of a folder in order. Raises JournalError for damage, and for a version that is newer than this program."""
    paths = sorted(folder.glob("*.journal"))
    if not paths:
        raise JournalError(f"{folder}: has no *.journal file")
    for place, path in enumerate(paths):
        yield from _frames(path, is_last=place == len(paths) - 1)


def _frames(path: Path, *, is_last: bool) -> Iterator[Frame]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        end = at + _FRAME.size
        whole = end <= len(data)
        length, crc, kind = _FRAME.unpack_from(data, at) if whole else (0, 0, 0)
        payload = data[end : end + length]
        if not whole or len(payload) < length or length > _MOST_FRAME:
            if is_last:
                return
            raise JournalError(f"{path.name}: breaks off at byte {at:,}, and is not the last of its folder")
        if zlib.crc32(payload, kind) != crc:
            if is_last and end + length == len(data):
                return
            raise JournalError(f"{path.name}: damaged at byte {at:,}")
        yield from _parts(path, at, kind, payload)
        at = end + length


def _parts(path: Path, at: int, kind: int, payload: bytes) -> Iterator[Frame]:
    if kind != KEPT:
        yield _frame(path, at, kind, payload)
        return
    inputs = _COUNT.size + _COUNT.unpack_from(payload)[0] * INPUT.itemsize
    if inputs > _COUNT.size:
        yield Frame(INPUTS, np.frombuffer(payload[_COUNT.size : inputs], INPUT), {})
    if len(payload) > inputs:
        yield Frame(LOG, np.frombuffer(payload[inputs:], ROW), {})


def _frame(path: Path, at: int, kind: int, payload: bytes) -> Frame:
    if kind == HEAD:
        head = json.loads(payload)
        if head.get("schema_version") != SCHEMA_VERSION:
            found = head.get("schema_version")
            raise JournalError(f"{path.name}: schema version {found}, this program reads {SCHEMA_VERSION}; read it with a newer one")
        return Frame(kind, np.empty(0, ROW), head)
    if kind == BUNDLES:
        return Frame(kind, np.empty(0, ROW), json.loads(payload))
    if kind != FACTS or len(payload) % FACT.itemsize:
        raise JournalError(f"{path.name}: no rows of a known kind at byte {at:,}")
    return Frame(kind, np.frombuffer(payload, FACT), {})


def _framed(kind: int, payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload, kind), kind) + payload


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
