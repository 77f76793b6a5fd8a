"""Runs on disk: a folder each, which anybody may copy, read with `forge1sim diff`, or throw away.

    <folder>/<run id>/   request.json   what was asked for, by whom, when; never changes
                         label.json     name, tags and kind; people change them
                         state.json     how it stands; its pool writes it
                         progress.json  how far it is; its worker writes it
                         answers/       questions that were asked of it later
                         manifest.json, summary.json, *.parquet ...    as of `forge1sim run --out`
    <folder>/.keys/      content key -> run id: the same run is not made twice
    <folder>/.pools/     a lock for each process that has runs in work
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forge1sim.ask import Ask
from forge1sim.errors import RunError
from forge1sim.metrics.store import MANIFEST, read_json, write_json
from forge1sim.runs.alive import is_alive
from forge1sim.runs.record import Kind, Progress, Run, Status

REQUEST, LABEL, STATE, PROGRESS, ANSWERS, LOG = "request.json", "label.json", "state.json", "progress.json", "answers", "log.txt"
OUR_FILES = (REQUEST, LABEL, STATE, PROGRESS, ANSWERS, LOG)
KEYS, POOLS = ".keys", ".pools"
MOST_NAME_LETTERS, MOST_TAGS = 120, 12
MOST_WHAT_IFS = 60           # of one owner; older ones go, unless they were kept
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_STOPPED = "The program that ran it was stopped before the end. Start it again."


class RunStore:
    """The runs in one folder. Safe for several threads and processes: every file appears whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / KEYS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot keep runs there: {error.strerror}") from error

    def get(self, run_id: str) -> Run:
        """One run. Raises RunError if there is none of this id."""
        folder = self._folder_of(run_id)
        request, label, state = (read_json(folder / name, what="file") for name in (REQUEST, LABEL, STATE))
        status, reason = self._status(folder, state)
        return Run(
            id=run_id, folder=folder, name=label["name"], tags=tuple(label["tags"]), kind=label["kind"],
            owner=request["owner"], ask=Ask.of_json(request["ask"]), status=status, reason=reason,
            started_utc=datetime.fromisoformat(request["started_utc"]), seconds=state.get("seconds"),
        )  # fmt: skip

    def runs(self, owner: str, *, kind: Kind = "run", text: str = "", tag: str = "") -> list[Run]:
        """The runs of one owner that match, newest first."""
        found = [run for run in self._all() if run.owner == owner and run.kind == kind and run.matches(text, tag)]
        return sorted(found, key=lambda run: run.started_utc, reverse=True)

    def progress(self, run_id: str) -> Progress | None:
        """How far a run is; None before it has said so."""
        with suppress(RunError, TypeError):
            return Progress(**read_json(self._folder_of(run_id) / PROGRESS))
        return None

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name. Raises RunError for an empty or overlong one."""
        self._relabel(run_id, name=_proper_name(name))

    def set_tags(self, run_id: str, tags: Sequence[str]) -> None:
        """Give a run these tags and no others. Raises RunError for too many or overlong ones."""
        if len(tags) > MOST_TAGS:
            raise RunError(f"{len(tags)} tags, should be at most {MOST_TAGS}")
        self._relabel(run_id, tags=list(dict.fromkeys(_proper_name(tag) for tag in tags)))

    def keep(self, run_id: str, name: str) -> None:
        """Turn a what-if into a run, which the library lists and nothing clears away."""
        self._relabel(run_id, name=_proper_name(name), kind="run")

    def delete(self, run_id: str) -> None:
        """Remove a run and its results. Raises RunError while it is in work."""
        run = self.get(run_id)
        if not run.is_over:
            raise RunError(f"{run.name!r} is {run.status}; cancel it first")
        doomed = run.folder.with_name(f".{run_id}.deleted")
        run.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    # What follows is for pools.

    def create(self, ask: Ask, *, owner: str, name: str, kind: Kind, key: str, pool: str) -> Run:
        """A new run that waits in `pool`. Raises RunError if it cannot be written down."""
        now = datetime.now(UTC)
        scenario = re.sub(r"[^A-Za-z0-9]+", "-", Path(ask.scenario).stem).strip("-")[:40] or "run"
        run_id = f"{now:%Y%m%d-%H%M%S}-{scenario}-{uuid.uuid4().hex[:12]}"
        folder = self.folder / run_id
        request = {"ask": ask.as_json(), "owner": owner, "started_utc": now.isoformat(), "key": key}
        try:
            folder.mkdir()
            write_json(folder / STATE, {"status": Status.QUEUED, "pool": pool})
            write_json(folder / LABEL, {"name": _proper_name(name), "tags": [], "kind": kind})
            write_json(folder / REQUEST, request)
            for kept in (key, _own_key(key, owner)):
                write_json(self.folder / KEYS / f"{kept}.json", run_id)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RunError(f"{folder}: cannot be written: {error.strerror}; no run was started") from error
        return self.get(run_id)

    def with_key(self, key: str, owner: str = "") -> Run | None:
        """The run that was last started under this content key, by one owner if one is given, if it is still there."""
        with suppress(RunError):
            return self.get(str(read_json(self.folder / KEYS / f"{_own_key(key, owner) if owner else key}.json")))
        return None

    def copy_results(self, source: Run, target: Run) -> None:
        """Give `target` the results of `source`. Result files never change, so both may be the same on disk."""
        for path in source.folder.iterdir():
            if path.name not in OUR_FILES and path.name != MANIFEST:
                os.link(path, target.folder / path.name)
        os.link(source.folder / MANIFEST, target.folder / MANIFEST)
        self.set_state(target.id, Status.DONE, seconds=source.seconds)

    def set_state(
        self, run_id: str, status: Status, *, reason: str = "", seconds: float | None = None, pool: str = ""
    ) -> None:
        """Note how a run stands. A run that failed or was cancelled loses what it had begun to write."""
        folder = self.folder / run_id
        if status in (Status.FAILED, Status.CANCELLED):
            _drop_results(folder)
        write_json(folder / STATE, {"status": status, "reason": reason, "seconds": seconds, "pool": pool})

    def set_progress(self, run_id: str, progress: Progress) -> None:
        """Note how far a run is, if the disk has room for that."""
        with suppress(OSError):
            write_json(self.folder / run_id / PROGRESS, asdict(progress))

    def clear_what_ifs(self, owner: str) -> None:
        """Remove the oldest what-ifs of an owner beyond the number that is kept."""
        for run in self.runs(owner, kind="what-if")[MOST_WHAT_IFS:]:
            if run.is_over:
                self.delete(run.id)

    def _folder_of(self, run_id: str) -> Path:
        folder = self.folder / run_id
        if not _RUN_ID.fullmatch(run_id) or not (folder / REQUEST).is_file():
            raise RunError(f"there is no run {run_id[:100]!r} here; it may have been deleted")
        return folder

    def _all(self) -> Iterator[Run]:
        for folder in self.folder.iterdir():
            with suppress(RunError):     # being made or deleted at this moment, or no run at all
                yield self.get(folder.name)

    def _status(self, folder: Path, state: dict[str, Any]) -> tuple[Status, str]:
        """The manifest is written last, so it has the last word; a run in work needs somebody who works."""
        if (folder / MANIFEST).is_file():
            return Status.DONE, ""
        status = Status(state["status"])
        if not status.is_over and not is_alive(self.folder / POOLS / state["pool"]):
            return Status.FAILED, _STOPPED
        return status, state.get("reason", "")

    def _relabel(self, run_id: str, **changes: Any) -> None:
        path = self._folder_of(run_id) / LABEL
        try:
            write_json(path, read_json(path) | changes)
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def _own_key(key: str, owner: str) -> str:
    """The name under which an owner's own run of a content key is found; owners are secret."""
    return f"{key}-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


def _proper_name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= MOST_NAME_LETTERS:
        raise RunError(f"a name has 1 to {MOST_NAME_LETTERS} letters, this one has {len(name)}")
    return name


def _drop_results(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in OUR_FILES:
            with suppress(OSError):
                path.unlink()
