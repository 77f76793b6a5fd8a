"""Law: the two clocks give the same log, to the bit, whatever the scenario and however it is compiled."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from tests.parity.cases import digest_of, log_of, make_case, seeded

MOST_REQUESTS = 500_000
UNCOMPILED = 20
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHIPPED = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "scenarios").rglob("*.yaml"))


def _load(name: str) -> Any:
    loaded = load_scenario(ROOT / name)
    return loaded


def _needs_data(name: str) -> bool:
    return "shared:" in (ROOT / name).read_text(encoding="utf-8")


def _skip_without_data(name: str) -> None:
    if _needs_data(name) and not (ROOT.parent / "shared" / "data").is_dir():
        pytest.skip("the real traces are not on this machine")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_have_one_log(name: str) -> None:
    _skip_without_data(name)
    loaded = _load(name)
    hashes = {
        driver: simulate(loaded, driver=driver, most_requests=MOST_REQUESTS).summary["event_log_sha256"]
        for driver in ("compiled", "simpy")
    }
    assert hashes["compiled"] == hashes["simpy"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_have_one_log_as_a_whole(name: str) -> None:
    _skip_without_data(name)
    loaded = _load(name)
    if loaded.expected_requests > 5_000_000:
        pytest.skip("more than five million requests: the first 500,000 are compared")
    hashes = {driver: simulate(loaded, driver=driver).summary["event_log_sha256"] for driver in ("compiled", "simpy")}
    assert hashes["compiled"] == hashes["simpy"]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_random_scenarios_have_one_log(r: Any) -> None:
    case = make_case(r)
    compiled, simpy = log_of(case, "compiled"), log_of(case, "simpy")
    assert np.array_equal(compiled, simpy)


@pytest.mark.parametrize("flag", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_uncompiled_and_bounds_checked_code_gives_the_same_log(flag: str, tmp_path: Path) -> None:
    environment = dict(os.environ, **{flag: "1"}, FORGE1SIM_CACHE=str(tmp_path), PYTHONPATH=str(ROOT))
    command = [sys.executable, str(HERE / "cases.py"), str(UNCOMPILED)]
    told = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for number, line in enumerate(told.splitlines()):
        simpy, compiled = line.split()
        assert simpy == compiled == digest_of(seeded(number), "compiled"), f"case {number} under {flag}"
    assert len(told.splitlines()) == UNCOMPILED


MUTANTS = {
    "the compiled clock forgets the tie key": (
        "import policies.agenda as d\n"
        "d.is_before = lambda heap, one, time_us, key: bool(heap[one]['time_us'] < time_us)\n"
    ),
    "SimPy's clock forgets the tie key": (
        "import forge1sim.drivers.simpy_driver as d\n"
        "class Environment(d.simpy.Environment):\n"
        "    def schedule(self, event, priority=1, delay=0):\n"
        "        super().schedule(event, 1, delay)\n"
        "d.simpy.Environment = Environment\n"
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_broken_tie_break_in_either_clock_shows(mutant: str) -> None:
    """Both clocks order for themselves: were one the other in disguise, breaking it would change both."""
    script = MUTANTS[mutant] + (
        "from cases import digest_of, seeded\n"
        "print(any(digest_of(seeded(n), 'simpy') != digest_of(seeded(n), 'compiled') for n in range(12)))\n"
    )
    environment = dict(os.environ, NUMBA_DISABLE_JIT="1", PYTHONPATH=f"{ROOT}{os.pathsep}{HERE}")
    told = subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"


def test_a_users_process_that_cuts_a_limit_changes_decisions() -> None:
    loaded = load_scenario(ROOT / "scenarios" / "design_pool.yaml", ["horizon_s=600"])

    def cut(run: Any) -> Any:
        yield run.timeout_s(120)
        run.limit_scale(loaded.platform.accounts[0].name + "-1", 0.05)

    plain = simulate(loaded, driver="simpy")
    with_cut = simulate(loaded, driver="simpy", processes=(cut,))
    assert plain.summary["event_log_sha256"] == simulate(loaded, driver="compiled").summary["event_log_sha256"]
    assert with_cut.summary["event_log_sha256"] != plain.summary["event_log_sha256"]
    assert sum(with_cut.summary["refusals"].values()) > sum(plain.summary["refusals"].values())
