"""Many runs at once: the same outcomes, bit for bit, wherever and however many at a time they are made.

A worker that is killed loses the runs that it had; they are made again. A run whose worker dies
time after time is made once more alone, so that it is known which one it was, and is then given up.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, Forge1Error
from forge1sim.experiments.backends import CLUSTERS, Backend, LostError, backend_named, demand_backend
from forge1sim.experiments.outcome import replicate
from policies.errors import PoliciesError

Value = TypeVar("Value")
MOST_DEATHS = 3
MOST_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class Finished(Generic[Value]):
    """A run that is over: `value` is what `work` gave, or None with the reason in `failure`. `number` counts asks from 0.

    `lost` says that its worker died time after time: tried another day, it may well succeed.
    """

    number: int
    ask: Ask
    value: Value | None
    failure: str = ""
    lost: bool = False


def evaluate(
    asks: Sequence[Ask],
    *,
    workers: int | None = None,
    backend: str = "processes",
    cluster: str | None = None,
    work: Callable[[Ask], Any] | None = None,
    on_done: Callable[[Finished[Any]], None] | None = None,
) -> list[Any]:
    """The outcome of each ask (`outcome.replicate`), or what `work` gives for it, in the order of the asks.

    `backend` is `processes` (of this machine; they stay warm between calls), `serial`, `ray` or `dask`;
    the last two use the cluster at the address `cluster`, or the one that this process has joined, or start
    one here. `workers` is how many runs are made at once (default: one for each processor). `on_done`
    is called in this process after each run, in the order in which they end. `work` must be importable.

    Raises ExperimentError, naming the ask: a run failed, or its worker died time after time.
    """
    values: list[Any] = [None] * len(asks)
    for done in as_finished(asks, workers=workers, backend=backend, cluster=cluster, work=work):
        if done.failure:
            raise ExperimentError(f"{named(done.ask)}: {done.failure}")
        values[done.number] = done.value
        if on_done is not None:
            on_done(done)
    return values


def as_finished(
    asks: Sequence[Ask],
    *,
    workers: int | None = None,
    backend: str = "processes",
    cluster: str | None = None,
    work: Callable[[Ask], Any] | None = None,
) -> Iterator[Finished[Any]]:
    """Like `evaluate`, one by one as they end. A run that fails is told, and the others go on.

    When the caller stops early, or is interrupted, all workers are ended.
    Raises ExperimentError: bad arguments, or no such cluster.
    """
    at_once = workers_of(workers)
    demand_backend(backend, cluster)
    if not asks:
        return
    _compile_once(asks, backend)
    here = backend_named(backend, at_once if backend in CLUSTERS else min(at_once, len(asks)), cluster)
    try:
        yield from _run_all(asks, here, work or replicate)
    except BaseException:
        here.kill()
        raise
    here.close()


def workers_of(workers: int | None) -> int:
    """How many workers are meant: one for each processor by default. Raises ExperimentError."""
    if workers is None:
        from joblib import cpu_count

        return int(cpu_count())
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise ExperimentError(f"workers is {workers!r}, should be a whole number from 1 to {MOST_WORKERS}")
    return workers


def named(ask: Ask) -> str:
    """An ask in the words of the command line."""
    return " ".join([ask.scenario, *(f"--set {override}" for override in ask.overrides), f"--seed {ask.seed}"])


def _compile_once(asks: Sequence[Ask], backend: str) -> None:
    """Compile before there are workers: each of them would do the same."""
    if backend == "processes":
        from forge1sim.compile_ahead import compile_ahead

        for driver in sorted({ask.driver for ask in asks}):
            compile_ahead(driver)


def _run_all(asks: Sequence[Ask], here: Backend, work: Callable[[Ask], Any]) -> Iterator[Finished[Any]]:
    waiting, deaths, running = deque(range(len(asks))), Counter[int](), set[int]()
    while waiting or running:
        while waiting and _may_start(waiting[0], running, deaths, here.slots):
            number = waiting.popleft()
            path = str(Path(asks[number].scenario).absolute())      # a worker's current folder may be another
            here.start(number, partial(_attempt, work, number, asks[number], path))
            running.add(number)
        for number, given in here.ended():
            running.discard(number)
            if not isinstance(given, LostError):
                yield given
                continue
            deaths[number] += 1
            if deaths[number] < MOST_DEATHS:
                waiting.appendleft(number)
                continue
            failure = f"its worker died {deaths[number]} times; the last time: {given}"
            yield Finished(number=number, ask=asks[number], value=None, failure=failure, lost=True)


def _may_start(number: int, running: set[int], deaths: Counter[int], slots: int) -> bool:
    """Whether there is room: a run at its last attempt is alone, since workers may die together."""
    last = MOST_DEATHS - 1
    alone = deaths[number] == last or any(deaths[other] == last for other in running)
    return not running if alone else len(running) < slots


def _attempt(work: Callable[[Ask], Value], number: int, ask: Ask, path: str) -> Finished[Value]:
    """In the worker."""
    try:
        value = work(replace(ask, scenario=path))
    except (Forge1Error, PoliciesError) as error:
        return Finished(number=number, ask=ask, value=None, failure=str(error))
    return Finished(number=number, ask=ask, value=value)
