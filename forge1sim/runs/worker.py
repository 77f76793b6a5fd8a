"""The worker process: `python -m forge1sim.runs.worker`. Reads jobs, a line of JSON each, and answers each by a line.

It ends, with all that it started, when nobody is left to send jobs.
"""

import errno
import json
import os
import queue
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from forge1sim.compile_ahead import SMALLEST
from forge1sim.errors import Forge1Error
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.store import write_json, write_run
from forge1sim.run import simulate
from forge1sim.runs.partial import series_so_far, tiers_so_far
from forge1sim.runs.process import STOP
from forge1sim.runs.record import Progress, Run, Status
from forge1sim.runs.store import ANSWERS, LOG, RunStore
from forge1sim.runs.tasks import QUESTIONS
from forge1sim.scenario.load import load_scenario
from policies.errors import PoliciesError

PROGRESS_EVERY_S = 0.3


class _StoppedError(Exception):
    """The pool asked for the job to be given up."""


class _Inbox:
    """Jobs from standard input, read on a thread of their own so that a stop is heard during one."""

    def __init__(self, source: TextIO) -> None:
        self.jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._source = source
        self._stop = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> dict[str, Any]:
        """The next job. A stop that came too late for the last one does not count."""
        job = self.jobs.get()
        self._stop.clear()
        return job

    def stop_if_asked(self) -> None:
        """Raises _StoppedError."""
        if self._stop.is_set():
            raise _StoppedError

    def _read(self) -> None:
        for line in self._source:
            if line.strip() == STOP:
                self._stop.set()
            else:
                self.jobs.put(json.loads(line))
        if os.getpgrp() == os.getpid():              # the pool is gone; nothing that we started may stay behind
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(0)


class _Watcher:
    """Notes now and then how far a run is, and ends it when asked to."""

    def __init__(self, store: RunStore, run_id: str, inbox: _Inbox) -> None:
        self._store, self._run_id, self._inbox = store, run_id, inbox
        self._began_s = time.monotonic()
        self._next_s = self._began_s + PROGRESS_EVERY_S
        self._where = (0.0, 0, 0)

    def on_progress(self, share: float, time_us: int, requests: int) -> None:
        """As `simulate` calls it."""
        self._inbox.stop_if_asked()
        self._where = (share, time_us, requests)

    def on_metrics(self, metrics: Metrics) -> None:
        """As `simulate` calls it."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        metrics.close()
        share, time_us, requests = self._where
        progress = Progress(
            share=share, simulated_us=time_us, requests=requests, elapsed_s=now_s - self._began_s,
            tiers=tiers_so_far(metrics), series=series_so_far(metrics),
        )  # fmt: skip
        self._store.set_progress(self._run_id, progress)
        self._next_s = time.monotonic() + PROGRESS_EVERY_S


def _do(job: dict[str, Any], inbox: _Inbox) -> dict[str, Any]:
    """One job's outcome, whatever happens."""
    store = RunStore(Path(job["store"]))
    try:
        run = store.get(job["run"])
        if job["question"]:
            _answer(run, job)
        else:
            _simulate(run, store, inbox)
        outcome = {"status": Status.DONE, "reason": ""}
    except _StoppedError:
        outcome = {"status": Status.CANCELLED, "reason": ""}
    except (Forge1Error, PoliciesError) as error:
        outcome = {"status": Status.FAILED, "reason": str(error)}
    except MemoryError:
        outcome = {"status": Status.FAILED, "reason": "Memory ran out. Try a shorter horizon or fewer tenants."}
    except OSError as error:
        outcome = {"status": Status.FAILED, "reason": _in_words(error)}
    except Exception as error:  # noqa: BLE001 - a fault of ours ends this job and no other
        _note_traceback(store.folder / job["run"])
        reason = f"A fault in the simulator ({type(error).__name__}: {error}). The run's folder has the details in {LOG}."
        outcome = {"status": Status.FAILED, "reason": reason}
    return outcome


def _simulate(run: Run, store: RunStore, inbox: _Inbox) -> None:
    loaded, ask = run.ask.load(), run.ask
    watcher = _Watcher(store, run.id, inbox)
    result = simulate(
        loaded, driver=ask.driver, seed=ask.seed, on_progress=watcher.on_progress, on_metrics=watcher.on_metrics,
        hash_log=run.kind == "run", second_core=True,
    )  # fmt: skip
    inbox.stop_if_asked()
    write_run(run.folder, loaded, result, driver=ask.driver, seed=ask.seed, command=loaded.command(ask.driver, ask.seed))


def _answer(run: Run, job: dict[str, Any]) -> None:
    folder = run.folder / ANSWERS
    folder.mkdir(exist_ok=True)
    write_json(folder / job["file"], QUESTIONS[job["question"]](run, folder / job["file"], **job["arguments"]))


def _in_words(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full. Delete some runs in the library, then start it again. Earlier results are untouched."
    return f"A file could not be read or written: {error}"


def _note_traceback(folder: Path) -> None:
    try:
        (folder / LOG).write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return


def _warm_up() -> None:
    """Import and compile all that a run needs, by making a small one."""
    loaded = load_scenario(SMALLEST)
    result = simulate(loaded, hash_log=False)
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), loaded, result, driver="compiled", seed=loaded.seed)


def main() -> None:
    """Serve jobs until there is nobody to send them."""
    answers, sys.stdout = sys.stdout, sys.stderr     # whatever else is printed must not be taken for an answer
    inbox = _Inbox(sys.stdin)

    def tell(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    _warm_up()
    tell({"warm": True})
    while True:
        tell(_do(inbox.take(), inbox))


if __name__ == "__main__":
    main()
