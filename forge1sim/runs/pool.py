"""Worker processes that stay warm, and the line of jobs before them.

A job is a run, or a question about a run for which it has to be simulated again. Cancelling asks
the worker first, which answers within a slice of the simulation and stays warm; one that does
not is killed and replaced.
"""

import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from forge1sim.ask import Ask, content_key
from forge1sim.errors import RunError
from forge1sim.metrics.store import read_json
from forge1sim.runs.alive import staying_alive
from forge1sim.runs.process import WorkerDiedError, WorkerProcess
from forge1sim.runs.record import Kind, Run, Status
from forge1sim.runs.store import ANSWERS, POOLS, RunStore
from forge1sim.runs.tasks import progress_of

KILL_AFTER_S = 0.4
ONE_IS_ENOUGH_S = 20.0
MOST_WAITING = 100
LEAST_FREE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a question stands, and its answer once the status is DONE; `reason` says why it failed.

    `progress`, while it is worked on, holds a `share` from 0 to 1 and what is `told`, for questions that take long.
    """

    status: Status
    value: Any = None
    reason: str = ""
    progress: dict[str, Any] | None = None


@dataclass(eq=False)
class _Job:
    run_id: str
    question: str = ""
    file: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    worker: WorkerProcess | None = None     # while it is in work


class RunPool:
    """Starts and cancels the runs of one store. Threads may share it; `close` it in the end."""

    def __init__(self, store: RunStore, workers: int | None = None) -> None:
        self.store = store
        self._id = uuid.uuid4().hex
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._working: list[_Job] = []
        self._workers: dict[int, WorkerProcess] = {}      # by slot
        self._failed_questions: dict[tuple[str, str], str] = {}
        self._last_words: dict[str, Run] = {}     # of runs whose end could not be written down
        self._closed = False
        self._warm = threading.Event()
        self._alive = ExitStack()
        self._alive.enter_context(staying_alive(store.folder / POOLS / self._id))
        for slot in range(workers or max(1, os.cpu_count() or 1)):
            threading.Thread(target=self._serve, args=(slot,), daemon=True).start()

    @property
    def is_warm(self) -> bool:
        """A worker has everything imported and compiled: runs start at once."""
        return self._warm.is_set()

    @property
    def worker_pids(self) -> list[int]:
        """The processes that work for this pool."""
        return [worker.pid for worker in self._workers.values() if worker.is_alive]

    def start(self, ask: Ask, *, owner: str, name: str = "", kind: Kind = "run") -> str:
        """Start a run and return its id; the same run again is the earlier one, which costs nothing.

        Raises ScenarioError for a scenario that does not load, and RunError if the disk is full
        or too many runs wait.
        """
        loaded = ask.load()
        key = content_key(loaded, ask.driver)
        own = self.store.with_key(key, owner)
        if own is not None and own.status not in (Status.FAILED, Status.CANCELLED):
            if kind == "run" and own.kind == "what-if":
                self.store.keep(own.id, name or loaded.name)
            return own.id
        earlier = self.store.with_key(key)
        self._check_room()
        run = self.store.create(ask, owner=owner, name=name or loaded.name, kind=kind, key=key, pool=self._id)
        if earlier is not None and earlier.status is Status.DONE:
            self.store.copy_results(earlier, run)
        else:
            self._put(_Job(run.id))
        self.store.clear_what_ifs(owner)
        return run.id

    def get(self, run_id: str) -> Run:
        """The run as the store has it, or as this pool knows better. Raises RunError."""
        return self._last_words.get(run_id) or self.store.get(run_id)

    def cancel(self, run_id: str) -> None:
        """Take a run out of the line, or stop it. Harmless if it is over. Returns at once."""
        with self._changed:
            for job in [job for job in self._waiting if job.run_id == run_id]:
                self._waiting.remove(job)
                if not job.question:
                    self._note_end(job, Status.CANCELLED, "")
            for job in [job for job in self._working if job.run_id == run_id and not job.cancelled]:
                job.cancelled = True
                if job.worker is not None:
                    job.worker.stop_job()
                threading.Timer(KILL_AFTER_S, self._kill_if_still, (job,)).start()

    def wait(self, run_id: str, timeout_s: float) -> bool:
        """Wait until a run of this pool is over, or for so long; whether it is over."""
        until_s = time.monotonic() + timeout_s
        with self._changed:
            while self._has_job(run_id) and (left_s := until_s - time.monotonic()) > 0:
                self._changed.wait(left_s)
            return not self._has_job(run_id)

    def has(self, run_id: str) -> bool:
        """Whether this pool has the run in its line or in work: no other can cancel it."""
        with self._changed:
            return self._has_job(run_id)

    def _has_job(self, run_id: str) -> bool:
        return any(job.run_id == run_id and not job.question for job in (*self._waiting, *self._working))

    def place_in_queue(self, run_id: str) -> int:
        """1 for the run that is next, and so on; 0 for one that does not wait."""
        with self._changed:
            places = [place for place, job in enumerate(self._waiting, 1) if job.run_id == run_id]
        return places[0] if places else 0

    def ask(self, run_id: str, question: str, **arguments: Any) -> Answer:
        """Ask something of `forge1sim.runs.tasks.QUESTIONS` about a run. Ask again to see how it stands.

        Raises RunError if there is no such run.
        """
        run = self.store.get(run_id)
        name = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:16]
        job = _Job(run_id, question, f"{question}-{name}.json", arguments)
        known = run.folder / ANSWERS / job.file
        if known.is_file():
            return Answer(status=Status.DONE, value=read_json(known))
        with self._changed:
            if any(other.run_id == run_id and other.file == job.file for other in self._working):
                noted = progress_of(known)
                return Answer(status=Status.RUNNING, progress=read_json(noted) if noted.is_file() else None)
            if any(other.run_id == run_id and other.file == job.file for other in self._waiting):
                return Answer(status=Status.QUEUED)
            reason = self._failed_questions.pop((run_id, job.file), None)
        if reason is not None:
            return Answer(status=Status.FAILED, reason=reason)
        self._put(job)
        return Answer(status=Status.QUEUED)

    def close(self) -> None:
        """End all workers now. Runs in work are lost, and say so."""
        with self._changed:
            self._closed = True
            for worker in self._workers.values():
                worker.kill()
            self._changed.notify_all()
        self._alive.close()

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.store.folder).free
        if free < LEAST_FREE_BYTES:
            raise RunError(
                f"{self.store.folder}: only {free / 1e6:.0f} MB are free, a run needs {LEAST_FREE_BYTES / 1e6:.0f} MB; "
                "delete some runs in the library"
            )
        if len(self._waiting) >= MOST_WAITING:
            raise RunError(f"{MOST_WAITING} runs wait already; cancel some or come back later")

    def _put(self, job: _Job) -> None:
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()

    def _serve(self, slot: int) -> None:
        """A worker's place: keep one process warm and give it a job at a time."""
        if slot:
            self._warm.wait()       # the first one compiles for all
            with self._changed:     # and has the machine for itself as long as one is enough
                self._changed.wait_for(lambda: self._closed or (self._waiting and self._working), timeout=ONE_IS_ENOUGH_S)
        while not self._closed:
            worker = self._workers.get(slot)
            if worker is None or not worker.is_alive:
                self._replace(slot)
            elif (job := self._next_job(worker)) is not None:
                self._work(job, worker)

    def _replace(self, slot: int) -> None:
        """Put a new, warm process into a slot."""
        try:
            with self._changed:
                if self._closed:
                    return
                worker = self._workers[slot] = WorkerProcess()
            worker.wait_until_warm()
            self._warm.set()
        except (WorkerDiedError, OSError):
            time.sleep(1.0)         # killed while it warmed up, or no memory for a process: it is tried again

    def _next_job(self, worker: WorkerProcess) -> _Job | None:
        """The next job, which is then in work; None if the pool is closed or the worker has died meanwhile."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait(timeout=1.0)
                if not worker.is_alive:
                    return None
            if self._closed:
                return None
            job = self._waiting.popleft()
            job.worker = worker
            self._working.append(job)
            return job

    def _work(self, job: _Job, worker: WorkerProcess) -> None:
        began_s = time.monotonic()
        if not job.question:
            with suppress(OSError):
                self.store.set_state(job.run_id, Status.RUNNING, pool=self._id)
        order = {"store": str(self.store.folder), "run": job.run_id, "question": job.question, "file": job.file}
        try:
            outcome = worker.do({**order, "arguments": job.arguments})
            status, reason = Status(outcome["status"]), str(outcome["reason"])
        except WorkerDiedError as error:
            worker.kill()           # with whatever it had started
            status, reason = (Status.CANCELLED, "") if job.cancelled else (Status.FAILED, str(error))
        with self._changed:
            self._working.remove(job)
            self._changed.notify_all()
            if not job.question:
                self._note_end(job, status, reason, time.monotonic() - began_s)
            elif status is not Status.DONE:
                self._failed_questions[job.run_id, job.file] = reason or "It was cancelled."

    def _note_end(self, job: _Job, status: Status, reason: str, seconds: float | None = None) -> None:
        try:
            self.store.set_state(job.run_id, status, reason=reason, seconds=seconds)
        except OSError:
            with suppress(RunError):
                self._last_words[job.run_id] = replace(self.store.get(job.run_id), status=status, reason=reason, seconds=seconds)

    def _kill_if_still(self, job: _Job) -> None:
        with self._changed:
            still = job in self._working
        if still and job.worker is not None:
            job.worker.kill()
