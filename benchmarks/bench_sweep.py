"""What a second worker gives, against what a second bare process gives in the same minutes on the same machine.

Two busy cores slow each other, so the plain speed-up says more of the machine than of us. Both sides make the same
runs, warm; they take turns, and the figure is the median over the rounds.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.common import ROOT
from forge1sim.ask import Ask
from forge1sim.experiments.outcome import replicate
from forge1sim.experiments.workers import evaluate

RESULTS = ("sweep_speedup_over_bare",)
_SCENARIO = str(ROOT / "scenarios" / "quickstart.yaml")
_RUNS, _ROUNDS = 12, 5


def _asks(seeds: range, horizon: str = "2h") -> list[Ask]:
    return [Ask(scenario=_SCENARIO, overrides=(f"horizon_s={horizon}",), seed=seed) for seed in seeds]


def warm(ask: Ask) -> int:
    """A run that loads everything; gives the process that made it."""
    replicate(ask)
    return os.getpid()


def bare(first: int, last: int) -> None:
    """The plain process: simulates whenever a line comes in, and says so when it has."""
    warm(_asks(range(1), "60s")[0])
    print("ready", flush=True)
    for _line in sys.stdin:
        for ask in _asks(range(first, last)):
            replicate(ask)
        print("done", flush=True)


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _workers_s(workers: int) -> float:
    """Seconds that this many warm workers take for all runs."""
    seen: set[int] = set()
    while len(seen) < workers:
        seen |= set(evaluate(_asks(range(4 * workers), "60s"), workers=workers, work=warm))
    return _seconds(lambda: evaluate(_asks(range(_RUNS)), workers=workers))


def _bare(first: int, last: int) -> "subprocess.Popen[str]":
    code = f"from benchmarks.bench_sweep import bare; bare({first}, {last})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    _await(process, "ready")
    return process


def _await(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != word:
        raise RuntimeError("a bare process ended before its runs")


def _bare_s(processes: "list[subprocess.Popen[str]]") -> float:
    """Seconds until all of these have made their runs."""

    def work() -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            _await(process, "done")

    return _seconds(work)


def run() -> dict[str, float]:
    """Speed-up of two workers over one, divided by that of two bare processes over one; the median of five rounds."""
    half = _RUNS // 2
    processes = [_bare(0, _RUNS), _bare(0, half), _bare(half, _RUNS)]
    ratios = []
    try:
        for _ in range(_ROUNDS):
            bare_1 = _bare_s(processes[:1])
            workers_1 = _workers_s(1)
            workers_2 = _workers_s(2)
            bare_2 = _bare_s(processes[1:])
            ratios.append((workers_1 / workers_2) / (bare_1 / bare_2))
            print(
                f"two workers {workers_1 / workers_2:.3f} times as fast as one, two bare processes {bare_1 / bare_2:.3f} times; "
                f"ratio {ratios[-1]:.3f}", flush=True,
            )  # fmt: skip
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return {"sweep_speedup_over_bare": statistics.median(ratios)}
