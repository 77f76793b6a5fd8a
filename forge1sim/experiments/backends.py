"""Where runs are made: in this process, in processes of this machine, on a Ray or a Dask cluster.

A backend is told to start runs and says which have ended. It knows nothing of their order or of trying again.
"""

import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from types import ModuleType
from typing import Any, Protocol

from forge1sim.errors import ExperimentError
from forge1sim.scenario.folders import DATA_FOLDERS_VARIABLE, POLICY_FOLDERS_VARIABLE

CLUSTERS = ("ray", "dask")
BACKENDS = ("processes", "serial", *CLUSTERS)
IDLE_S = 300.0                  # a process that had nothing to do for so long ends
WATCH_S = 0.5                   # how often a process looks whether it is still wanted
QUEUED_PER_WORKER = 2           # one runs, one waits beside it: no worker waits for this process
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}


class LostError(Exception):
    """A worker was killed, or died, with a run in it."""


Job = Callable[[], Any]
Ended = tuple[int, Any]         # the number that a run was started with; what it gave, or a LostError


class Backend(Protocol):
    """What `evaluate` needs of a place where runs are made."""

    slots: int                  # runs that it takes before the first of them has ended

    def start(self, number: int, job: Job) -> None:
        """Begin a run as soon as a worker is free."""

    def ended(self) -> Iterable[Ended]:
        """Wait until a run has ended, and give all that have. Raises what the run itself raised."""

    def close(self) -> None:
        """All runs have ended; workers may stay warm for the next ones."""

    def kill(self) -> None:
        """End every worker that was started here, at once."""


def demand_backend(name: str, cluster: str | None) -> None:
    """Raise ExperimentError for a backend that there is not, and for a cluster that it does not know."""
    if name not in BACKENDS:
        raise ExperimentError(f"backend is {name!r}, should be one of {', '.join(BACKENDS)}")
    if cluster is not None and name not in CLUSTERS:
        raise ExperimentError(f"cluster is {cluster!r}, but backend {name!r} knows no clusters; take {' or '.join(CLUSTERS)}")


def backend_named(name: str, workers: int, cluster: str | None) -> Backend:
    """Make a backend ready. Raises ExperimentError: not installed, or the cluster does not answer."""
    match name:
        case "serial":
            return _Serial()
        case "processes":
            return _Processes(workers)
        case "ray":
            return _Ray(workers, cluster)
        case _:
            return _Dask(workers, cluster)


class _Serial:
    """One run after the other, in this process."""

    slots = 1

    def __init__(self) -> None:
        self._jobs: list[tuple[int, Job]] = []

    def start(self, number: int, job: Job) -> None:
        self._jobs.append((number, job))

    def ended(self) -> Iterable[Ended]:
        number, job = self._jobs.pop()
        return [(number, job())]

    def close(self) -> None:
        """Nothing was started."""

    kill = close


class _Processes:
    """Processes of joblib's loky. They are shared by all calls of this process, and so stay warm.

    The pool is our own: the one that loky shares belongs to the user's `joblib.Parallel`, which demands its own settings.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._running: dict[Future[Any], int] = {}
        self._pool = _warm_pool(workers)
        # A larger pool from an earlier call must not run more than was asked for.
        self.slots = workers * QUEUED_PER_WORKER if self._pool.workers == workers else workers

    def start(self, number: int, job: Job) -> None:
        from joblib.externals.loky.process_executor import ShutdownExecutorError

        try:
            future = self._pool.executor.submit(job)
        except (BrokenProcessPool, ShutdownExecutorError):      # by a death, or by another call
            self._pool.usable = False
            self._pool = _warm_pool(self._workers)
            future = self._pool.executor.submit(job)
        self._running[future] = number

    def ended(self) -> Iterable[Ended]:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [(self._running.pop(future), _given(future)) for future in done]

    def close(self) -> None:
        """They wait for the next call, or end after a while."""

    def kill(self) -> None:
        self._pool.end()


class _Pool:
    """Processes with the settings that they were started with."""

    def __init__(self, workers: int, settings: Mapping[str, str]) -> None:
        from joblib.externals.loky import ProcessPoolExecutor

        self.workers, self.settings, self.usable = workers, settings, True
        self.executor = ProcessPoolExecutor(
            max_workers=workers, timeout=IDLE_S, initializer=_become_worker, initargs=(os.getpid(),), env={**ONE_THREAD, **settings}
        )

    def serves(self, workers: int, settings: Mapping[str, str]) -> bool:
        return self.usable and self.workers >= workers and self.settings == settings

    def end(self) -> None:
        self.usable = False
        self.executor.shutdown(wait=True, kill_workers=True)


_POOL_LOCK = threading.Lock()
_pools: dict[int, _Pool] = {}           # by the process that started it: a fork has none yet


def _warm_pool(workers: int) -> _Pool:
    """The pool of this process, or a new one where it does not fit.

    Folders that were named meanwhile must reach the workers: other folders, other processes.
    """
    settings = {name: os.environ.get(name, "") for name in (DATA_FOLDERS_VARIABLE, POLICY_FOLDERS_VARIABLE)}
    with _POOL_LOCK:
        pool = _pools.get(os.getpid())
        if pool is None or not pool.serves(workers, settings):
            if pool is not None:
                pool.executor.shutdown(wait=False)      # what another call still runs there comes to its end
            pool = _pools[os.getpid()] = _Pool(workers, settings)
        return pool


def _given(future: "Future[Any]") -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:      # loky ends all processes when one dies
        return LostError(str(error).partition(".")[0])


def _become_worker(parent: int) -> None:
    """Ctrl-C is for the parent, which ends its workers; and nobody outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


class _Ray:
    """Tasks of Ray: of the cluster that this process has joined or that is named, else of one of its own."""

    def __init__(self, workers: int, cluster: str | None) -> None:
        self._ray = _imported("ray", "ray")
        self._ours = not self._ray.is_initialized()
        if self._ours:
            address = cluster or os.environ.get("RAY_ADDRESS")
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            where = {"address": address} if address else {"address": "local", "num_cpus": workers, "include_dashboard": False}
            try:
                self._ray.init(**where, log_to_driver=False, logging_level="error")
            except (OSError, RuntimeError, ValueError) as error:
                raise ExperimentError(f"Ray cluster {address or 'on this machine'} cannot be used: {error}") from error
        self.slots = max(1, int(self._ray.cluster_resources().get("CPU", 1))) * QUEUED_PER_WORKER
        self._call = self._ray.remote(num_cpus=1, max_retries=0)(_call)
        self._running: dict[Any, int] = {}

    def start(self, number: int, job: Job) -> None:
        self._running[self._call.remote(job)] = number

    def ended(self) -> Iterable[Ended]:
        done, _ = self._ray.wait(list(self._running), num_returns=1)
        return [(self._running.pop(reference), self._given(reference)) for reference in done]

    def _given(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:       # what the run raised
            raise
        except self._ray.exceptions.RayError as error:
            return LostError(str(error).partition("\n")[0])

    def close(self) -> None:
        """The cluster stays as long as this process."""

    def kill(self) -> None:
        if self._ours:
            self._ray.shutdown()
            return
        for reference in self._running:
            self._ray.cancel(reference, force=True)


class _Dask:
    """Tasks of Dask: of the cluster that this process has joined or that is named, else of one of its own."""

    def __init__(self, workers: int, cluster: str | None) -> None:
        distributed = _imported("distributed", "distributed")
        import dask

        self._distributed = distributed
        self._own_cluster: Any = None
        address = cluster or dask.config.get("scheduler-address", None)
        try:
            self._client = distributed.default_client() if cluster is None else self._joined(workers, address)
        except ValueError:                              # none yet
            self._client = self._joined(workers, address)
        self.slots = max(1, sum(self._client.nthreads().values())) * QUEUED_PER_WORKER
        self._running: dict[Any, int] = {}

    def _joined(self, workers: int, address: str | None) -> Any:
        import dask

        try:
            if address is None:
                # Each death is told here, where runs are tried again.
                with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                    self._own_cluster = self._distributed.LocalCluster(
                        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
                    )
            return self._distributed.Client(self._own_cluster or address)
        except RuntimeError as error:                   # its processes import the script that started them
            raise _no_dask(address, f"{error} In a script, stand under: if __name__ == '__main__'") from error
        except (OSError, ValueError) as error:
            raise _no_dask(address, error) from error

    def start(self, number: int, job: Job) -> None:
        self._running[self._client.submit(_call, job, pure=False)] = number

    def ended(self) -> Iterable[Ended]:
        done = self._distributed.wait(list(self._running), return_when="FIRST_COMPLETED").done
        return [(self._running.pop(future), self._given(future)) for future in done]

    def _given(self, future: Any) -> Any:
        try:
            return future.result()
        except (self._distributed.KilledWorker, self._distributed.CancelledError) as error:
            return LostError(str(error).partition("\n")[0])

    def close(self) -> None:
        """The cluster stays as long as this process."""

    def kill(self) -> None:
        self._client.cancel(list(self._running))
        if self._own_cluster is not None:
            self._client.close()
            self._own_cluster.close()


def _no_dask(address: str | None, error: Exception | str) -> ExperimentError:
    return ExperimentError(f"Dask cluster {address or 'on this machine'} cannot be used: {error}")


_ONE_RUN = threading.Lock()


def _call(job: Job) -> Any:
    """A process makes one run at a time, however many threads its cluster gives it."""
    with _ONE_RUN:
        return job()


def _imported(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ExperimentError(
            f"backend {'dask' if module == 'distributed' else module} needs the package {package}, which is not installed; "
            "install it by: pip install 'forge1sim[cluster]'"
        ) from error
