"""The first run on a machine: all that has to be compiled, on two processors at once.

The gateway inside its driver takes most of the time. Meanwhile a second process compiles workload and
metrics into the same cache. It is a help and no more: what it has not done, this process does
when it gets there.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from policies.compile import is_kept, is_warm

_LARGEST_FUNCTION = {"compiled": "run_slice", "simpy": "let_happen"}
SMALLEST = Path(__file__).with_name("smallest.yaml")


def is_compiled(driver: str) -> bool:
    """Whether a run under this clock starts at once."""
    return is_warm(_LARGEST_FUNCTION[driver])


def compile_ahead(driver: str) -> None:
    """Compile what a run under this clock needs, unless it is there."""
    if is_compiled(driver):
        return
    with _second_process():
        if driver == "simpy":
            from forge1sim.drivers.simpy_driver import compile_simpy

            compile_simpy()
        else:
            from forge1sim.drivers.compiled_driver import compile_slices

            compile_slices()


@contextmanager
def _second_process() -> Iterator[None]:
    """Let another process compile workload and metrics, where that helps. It is gone when this is over."""
    process = _start() if is_kept() and _processors() > 1 and sys.executable else None
    try:
        yield
        if process is not None:
            process.wait()
    finally:
        if process is not None:
            process.kill()
            process.wait()


def _start() -> "subprocess.Popen[bytes] | None":
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    nothing = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "forge1sim.compile_ahead"], env={**os.environ, "PYTHONPATH": path},
            stdin=nothing, stdout=nothing, stderr=nothing,
        )  # fmt: skip
    except OSError:
        return None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compile_workload_and_metrics() -> None:
    """Call each of their functions once."""
    from forge1sim.metrics.metrics import Metrics
    from forge1sim.metrics.summary import summarise
    from forge1sim.run import static_of, workload_of
    from forge1sim.scenario.load import load_scenario
    from policies.layout import lay_out
    from policies.log import ARRIVE, ROW

    loaded = load_scenario(SMALLEST)
    layout = lay_out(loaded.platform, loaded.start_us)
    metrics = Metrics(static_of(layout, loaded.bundle, loaded))
    row = np.zeros(1, ROW)
    row["kind"], row["time_us"], row["deployment"], row["limit"] = ARRIVE, loaded.start_us, -1, -1
    metrics.fold(row)
    metrics.close(loaded.start_us + loaded.horizon_us)
    summarise(metrics)
    for _ in workload_of(loaded, layout, loaded.seed).chunks():
        pass


if __name__ == "__main__":
    _compile_workload_and_metrics()
