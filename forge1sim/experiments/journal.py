"""Finished runs on disk, one line of JSON each, as soon as they end: what is in it survives `kill -9` and a power cut.

A line is written at once and then synced. The last one may be half-written; it is cut off when the
file is opened again, and its run is made again.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forge1sim.errors import ExperimentError

JOURNAL = "runs.jsonl"
_HEADER = {"forge1sim": "finished runs of a sweep", "version": 1}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A finished run. `key` marks scenario, policies and code (`content_key`); `outcome` is None where it failed."""

    key: str
    seed: int
    overrides: tuple[str, ...]
    outcome: dict[str, float] | None
    failure: str = ""


class Journal:
    """The file of one folder, held by one process at a time. Use it in a `with` block.

    Raises ExperimentError: the folder holds something else, another process writes to it, or the disk objects.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._descriptor = -1
        self._last: dict[tuple[str, int], Entry] = {}
        self._key_of_ask: dict[tuple[tuple[str, ...], int], str] = {}

    def __enter__(self) -> "Journal":
        try:
            self._open()
        except OSError as error:
            raise ExperimentError(f"--out {self.path.parent}: cannot be written: {error.strerror or error}") from error
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._descriptor)

    def get(self, key: str, seed: int) -> Entry | None:
        """The run of this content and seed, if it has ended."""
        return self._last.get((key, seed))

    def key_of(self, overrides: tuple[str, ...], seed: int) -> str | None:
        """The content that a run asked for in these words had when it was last made."""
        return self._key_of_ask.get((overrides, seed))

    def add(self, entry: Entry) -> None:
        """Keep a run for good."""
        self._note(entry)
        self._write(asdict(entry))

    def _open(self) -> None:
        folder = self.path.parent
        if folder.is_dir() and not self.path.exists() and any(folder.iterdir()):
            raise ExperimentError(f"--out {folder}: exists, is not empty and holds no sweep; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise ExperimentError(f"--out {folder}: another sweep writes to it now; wait for it, or name another folder") from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def _read(self) -> None:
        lines = self.path.read_bytes().split(b"\n")
        whole, half = lines[:-1], lines[-1]
        values = [_value(line) for line in whole]
        if values and values[-1] is None:            # a power cut may leave a line of zeros
            half = whole.pop() + b"\n" + half
            values.pop()
        if not whole and half and not json.dumps(_HEADER).encode().startswith(half.rstrip(b"\n\0")):
            raise ExperimentError(f"{self.path}: is no journal of a sweep; name another folder")
        for number, value in enumerate(values, 1):
            self._take(number, value)
        if half:
            os.ftruncate(self._descriptor, sum(len(line) + 1 for line in whole))
        if not whole:
            self._write(_HEADER)
            _sync_folder(self.path.parent)

    def _take(self, number: int, value: Any) -> None:
        if number == 1:
            if value != _HEADER:
                raise ExperimentError(f"{self.path}: is no journal of a sweep of this version; name another folder")
            return
        try:
            self._note(Entry(**{**value, "overrides": tuple(value["overrides"])}))
        except (TypeError, KeyError) as error:
            raise ExperimentError(f"{self.path}:{number}: is no finished run; remove this line, or name another folder") from error

    def _note(self, entry: Entry) -> None:
        self._last[entry.key, entry.seed] = entry
        self._key_of_ask[entry.overrides, entry.seed] = entry.key

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise ExperimentError(f"{self.path}: cannot be written: {error.strerror}; what is in it stays") from error


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
