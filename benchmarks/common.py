"""What the benchmarks share: scenarios in the repository, CPU time, a run without the wait for compilation."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forge1sim.run import simulate
from forge1sim.scenario.load import LoadedScenario, load_scenario

ROOT = Path(__file__).parents[1]
BIG = "scenarios/big.yaml"


def load(name: str, *overrides: str) -> LoadedScenario:
    """A scenario of the repository."""
    return load_scenario(ROOT / name, overrides)


def cpu_s(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returned, and the CPU seconds of this process that it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def best_of(runs: int, work: Callable[[], Any]) -> tuple[Any, float]:
    """The last result and the least CPU seconds of several runs: other work on the machine only adds."""
    timed = [cpu_s(work) for _ in range(runs)]
    return timed[-1][0], min(seconds for _, seconds in timed)


def warm_up(loaded: LoadedScenario, driver: str) -> None:
    """Compile what a run needs."""
    simulate(loaded, driver=driver, most_requests=2_000)


def requests_per_cpu_s(loaded: LoadedScenario, driver: str, *, runs: int = 7, log: bool = True) -> float:
    """Requests per second of CPU, from generation to metrics; `log` adds hashing the event log."""
    warm_up(loaded, driver)
    result, seconds = best_of(runs, lambda: simulate(loaded, driver=driver, hash_log=log))
    return float(result.summary["requests"]["arrived"]) / seconds
