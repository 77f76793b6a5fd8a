"""The first run: a second process helps to compile, and whatever becomes of it, the run goes on and it is gone."""

import subprocess
import sys

import psutil
import pytest

from forge1sim import compile_ahead as ahead
from forge1sim.drivers import compiled_driver
from forge1sim.metrics import fold
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from forge1sim.workload import synthetic


def _sleeper(seconds: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_the_second_process_is_waited_for(seconds, monkeypatch) -> None:
    monkeypatch.setattr(ahead, "_processors", lambda: 2)
    monkeypatch.setattr(ahead, "_start", lambda: _sleeper(seconds))
    before = psutil.Process().children()
    with ahead._second_process():
        pass
    assert psutil.Process().children() == before


def test_an_interrupted_run_leaves_no_process(monkeypatch) -> None:
    monkeypatch.setattr(ahead, "_processors", lambda: 2)
    monkeypatch.setattr(ahead, "_start", lambda: _sleeper(60))
    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt), ahead._second_process():
        raise KeyboardInterrupt
    assert psutil.Process().children() == before


@pytest.mark.parametrize(("name", "value"), [("is_kept", lambda: False), ("_processors", lambda: 1)])
def test_where_it_would_not_help_none_is_started(name, value, monkeypatch) -> None:
    monkeypatch.setattr(ahead, name, value)
    monkeypatch.setattr(ahead, "_start", lambda: pytest.fail("started"))
    with ahead._second_process():
        pass


def test_a_process_that_cannot_start_is_done_without(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert ahead._start() is None


def test_nothing_is_started_once_all_is_compiled(monkeypatch) -> None:
    monkeypatch.setattr(ahead, "is_warm", lambda _function: True)
    monkeypatch.setattr(ahead, "_start", lambda: pytest.fail("started"))
    ahead.compile_ahead("compiled")
    ahead.compile_ahead("simpy")


def test_what_is_compiled_ahead_is_what_a_run_calls(root) -> None:
    """Else a first run would compile twice."""
    ahead._compile_workload_and_metrics()
    compiled_driver.compile_slices()
    functions = (fold.fold_rows, synthetic._arrivals, synthetic._describe, compiled_driver.run_slice)
    before = [list(function.signatures) for function in functions]
    assert all(len(signatures) == 1 for signatures in before)
    simulate(load_scenario(root / "scenarios" / "quickstart.yaml", ["horizon_s=60"]))
    assert [list(function.signatures) for function in functions] == before
