"""Peak memory of 10,000 tenants for a week."""

import json
import os
import subprocess
import sys
import time

from benchmarks.common import ROOT

RESULTS = ("peak_rss_week_gib", "week_requests", "week_wall_s")
_COMMAND = (sys.executable, "-m", "forge1sim.cli", "run", "scenarios/ten_thousand_tenants_week.yaml", "--quiet", "--json")


def run() -> dict[str, float]:
    """The whole command, as the operating system accounted for it."""
    began = time.perf_counter()
    process = subprocess.Popen(_COMMAND, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"the run ended with status {process.returncode}")
    return {
        "peak_rss_week_gib": usage.ru_maxrss / 1024**2,
        "week_requests": float(json.loads(told)["requests"]["arrived"]),
        "week_wall_s": time.perf_counter() - began,
    }
