"""A worker process as its pool sees it: jobs in, outcomes out, a line of JSON each."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from forge1sim.errors import Forge1Error

STOP = "stop"
NICE = 10                   # pages go first: somebody waits for them


class WorkerDiedError(Forge1Error):
    """The worker process ended before its job did."""


class WorkerProcess:
    """One process that runs a job at a time and stays warm between them. It ends when its pool does."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "forge1sim.runs.worker"], env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,      # a group of its own, which can be ended as a whole
        )  # fmt: skip
        with suppress(ProcessLookupError):      # here, since its imports are half of what it does until it is warm
            os.setpriority(os.PRIO_PROCESS, self._process.pid, NICE)

    @property
    def is_alive(self) -> bool:
        """The process has not ended."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number that the system knows it by."""
        return self._process.pid

    def wait_until_warm(self) -> None:
        """Return when everything is imported and compiled. Raises WorkerDiedError."""
        self._read()

    def do(self, job: dict[str, Any]) -> dict[str, Any]:
        """Send a job and wait for its outcome. Raises WorkerDiedError."""
        try:
            self._write(json.dumps(job))
        except OSError as error:
            raise WorkerDiedError(self._how_it_died()) from error
        return self._read()

    def stop_job(self) -> None:
        """Ask the worker to give up its job; it then has an outcome."""
        with suppress(OSError):
            self._write(STOP)

    def kill(self) -> None:
        """End the process and all that it started, now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerDiedError(self._how_it_died())
        return dict(json.loads(line))

    def _how_it_died(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "The process that ran it was killed from outside, most often because memory ran out. Other runs are not affected."
        how = signal.strsignal(-code) if code < 0 else f"exit status {code}"
        return f"The process that ran it ended in the middle ({how}). Other runs are not affected."
