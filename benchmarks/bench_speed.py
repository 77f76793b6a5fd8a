"""Requests per second of both clocks on the scenario with every rule active, and against a bare SimPy loop."""

import simpy

from benchmarks.common import BIG, cpu_s, load, requests_per_cpu_s
from forge1sim.run import simulate

RESULTS = (
    "compiled_requests_per_cpu_s", "compiled_requests_per_cpu_s_log_on", "compiled_over_simpy",
    "simpy_requests_per_cpu_s", "simpy_requests_per_bare_event", "bare_simpy_events_per_cpu_s",
    "big_queued_ratio", "big_retried_ratio", "big_peak_utilization",
)  # fmt: skip
_BARE_EVENTS = 1_000_000
_TURNS = 3


def _bare_loop() -> None:
    env = simpy.Environment()

    def ticks() -> "simpy.events.ProcessGenerator":
        for _ in range(_BARE_EVENTS):
            yield env.timeout(1)

    env.process(ticks())
    env.run()


def run() -> dict[str, float]:
    """All in one run, on one core, compilation excluded; in turns, so that a machine that slows down slows all of them."""
    loaded = load(BIG)
    off = on = simpy_rate = bare = 0.0
    for _ in range(_TURNS):
        off = max(off, requests_per_cpu_s(loaded, "compiled", runs=3, log=False))
        on = max(on, requests_per_cpu_s(loaded, "compiled", runs=3, log=True))
        simpy_rate = max(simpy_rate, requests_per_cpu_s(loaded, "simpy", runs=1, log=False))
        bare = max(bare, *(_BARE_EVENTS / cpu_s(_bare_loop)[1] for _ in range(2)))
    summary = simulate(loaded).summary
    arrived, everybody = summary["requests"]["arrived"], summary["all"]
    return {
        "compiled_requests_per_cpu_s": off,
        "compiled_requests_per_cpu_s_log_on": on,
        "compiled_over_simpy": off / simpy_rate,
        "simpy_requests_per_cpu_s": simpy_rate,
        "simpy_requests_per_bare_event": simpy_rate / bare,
        "bare_simpy_events_per_cpu_s": bare,
        "big_queued_ratio": everybody["queued"] / arrived,
        "big_retried_ratio": everybody["retries"] / arrived,
        "big_peak_utilization": min(summary["peak_utilization"].values()),
    }
