"""From the command to the end of a one-minute simulation, with an empty and with a filled compile cache."""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.common import ROOT

RESULTS = ("cold_start_s", "warm_start_s")
_COMMAND = (sys.executable, "-m", "forge1sim.cli", "run", "scenarios/quickstart.yaml", "--set", "horizon_s=60", "--quiet", "--json")


def _seconds(cache: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(_COMMAND, cwd=ROOT, env=dict(os.environ, FORGE1SIM_CACHE=cache), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode())
    return time.perf_counter() - began


def run() -> dict[str, float]:
    """Wall seconds of the whole process: first run in a new cache, then the best of three."""
    with tempfile.TemporaryDirectory() as cache:
        cold = _seconds(cache)
        warm = min(_seconds(cache) for _ in range(3))
    return {"cold_start_s": cold, "warm_start_s": warm}
