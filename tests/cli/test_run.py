"""`forge1sim run` around the simulation: what it passes on, prints, writes, and with which status it exits.

The simulation itself is replaced here by one that answers at once; `tests/drivers` run the real one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import ModuleType

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from forge1sim.errors import RunError
from tests.scenario.examples import write

SUMMARY = {
    "requests": {"arrived": 10, "served": 7, "rejected": 1, "expired": 1, "cancelled": 1, "in_system": 0},
    "event_log_sha256": "ab" * 32,
    "tiers": {"enterprise": {"arrived": 10, "wait_p95_s": 0.5, "rejected_by_reason": {}, "nothing": float("nan")}},
    "deployments": {"openai-1/gpt-5.6-sol": {"attempts": 10}},
    "accounts": {"openai-1": {"utilization": 0.5}},
    "cost_usd": 1.25,
    "seconds": 0.1,
}
SLO = {"name": "served", "tier": "all", "metric": "served_ratio", "value": 0.7, "at_least": 0.6, "at_most": None, "met": True}


@dataclass
class FakeSimulation:
    """Stands in for `forge1sim.run`; remembers what it was asked for."""

    slos: list = field(default_factory=lambda: [SLO])
    fails: BaseException | None = None
    asked: dict = field(default_factory=dict)

    def simulate(self, loaded, **options):
        self.asked = {"name": loaded.name, **options}
        options["on_progress"](0.5, loaded.start_us, 5)
        if options["out"] is not None:
            (options["out"] / "report.html").write_text("<html>")
        if self.fails is not None:
            raise self.fails
        return type("RunResult", (), {"summary": SUMMARY, "slos": self.slos})

    def explain(self, loaded, driver, seed, request):
        if request >= 10:
            raise RunError(f"--explain {request}: the run has 10 requests")
        return [f"{driver} {seed}: request {request} arrives"]


@pytest.fixture
def simulation(monkeypatch):
    fake, module = FakeSimulation(), ModuleType("forge1sim.run")
    module.simulate, module.explain = fake.simulate, fake.explain
    monkeypatch.setitem(sys.modules, "forge1sim.run", module)
    return fake


def _run(*arguments):
    return CliRunner().invoke(app, ["run", *map(str, arguments)])


def test_the_options_reach_the_simulation(simulation, tmp_path):
    assert _run(write(tmp_path), "--driver", "simpy", "--seed", 5, "--log").exit_code == 0
    asked = {key: simulation.asked[key] for key in ("name", "driver", "seed", "out", "keep_log")}
    assert asked == {"name": "small", "driver": "simpy", "seed": 5, "out": None, "keep_log": True}


def test_the_scenarios_seed_and_the_compiled_driver_are_the_default(simulation, tmp_path):
    _run(write(tmp_path))
    assert (simulation.asked["driver"], simulation.asked["seed"]) == ("compiled", 7)


def test_json_holds_the_contract_and_nothing_else_is_on_standard_output(simulation, tmp_path):
    result = _run(write(tmp_path), "--json")
    answer = json.loads(result.stdout, parse_constant=pytest.fail)
    requests = answer["requests"]
    assert requests["arrived"] == sum(count for name, count in requests.items() if name != "arrived")
    assert {"event_log_sha256", "tiers", "deployments", "accounts", "cost_usd", "seconds"} <= set(answer)
    assert (answer["driver"], answer["seed"], answer["slos"]) == ("compiled", 7, [SLO])
    assert len(answer["scenario_sha256"]) == len(answer["bundle_sha256"]) == 64
    assert answer["tiers"]["enterprise"]["nothing"] is None


def test_tables_show_requests_tiers_and_promises(simulation, tmp_path):
    result = _run(write(tmp_path), "--no-color")
    for part in ("arrived", "enterprise", "openai-1", "served_ratio", "ab" * 32):
        assert part in result.stdout
    assert "Next: forge1sim run" in result.stderr
    assert "\x1b" not in result.stdout


def test_quiet_leaves_standard_error_empty(simulation, tmp_path):
    assert _run(write(tmp_path), "--quiet").stderr == ""


def test_a_missed_promise_is_status_1_and_results_are_kept(simulation, tmp_path):
    simulation.slos = [SLO, {**SLO, "name": "fast", "met": False}]
    out = tmp_path / "results"
    assert _run(write(tmp_path), "--out", out).exit_code == 1
    assert (out / "summary.json").is_file()


def test_a_run_folder_has_summary_scenario_and_what_the_simulation_wrote(simulation, tmp_path):
    out = tmp_path / "runs" / "deep" / "one"
    result = _run(write(tmp_path), "--out", out, "--json")
    assert json.loads((out / "summary.json").read_text()) == json.loads(result.stdout)
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "scenario.json", "summary.json"]
    assert [path.name for path in out.parent.iterdir()] == ["one"]


def test_an_empty_folder_may_be_filled(simulation, tmp_path):
    (tmp_path / "results").mkdir()
    assert _run(write(tmp_path), "--out", tmp_path / "results").exit_code == 0


def test_a_filled_folder_is_not_replaced_unless_forced(simulation, tmp_path):
    scenario, out = write(tmp_path), tmp_path / "results"
    _run(scenario, "--out", out)
    (out / "note.txt").write_text("mine")
    refused = _run(scenario, "--out", out)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert simulation.asked["out"] is not None
    assert (out / "note.txt").is_file()
    assert _run(scenario, "--out", out, "--force").exit_code == 0
    assert not (out / "note.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "small.yaml"]


def test_force_replaces_run_folders_only(simulation, tmp_path):
    scenario, out = write(tmp_path), tmp_path / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    refused = _run(scenario, "--out", out, "--force")
    assert refused.exit_code == 2
    assert "summary.json" in refused.stderr
    assert (out / "thesis.txt").is_file()


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_run(simulation, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert _run(write(tmp_path), "--out", out).exit_code == 2
    assert simulation.asked == {}


@pytest.mark.parametrize(("fails", "status"), [(RunError("row 3: unsorted"), 2), (KeyboardInterrupt(), 130)])
def test_a_run_that_ends_early_leaves_nothing(simulation, tmp_path, fails, status):
    simulation.fails = fails
    scenario = write(tmp_path)
    result = _run(scenario, "--out", tmp_path / "runs" / "one")
    assert result.exit_code == status
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == [scenario]


def test_a_failed_replacement_keeps_the_old_results(simulation, tmp_path):
    scenario, out = write(tmp_path), tmp_path / "results"
    _run(scenario, "--out", out)
    simulation.fails = KeyboardInterrupt()
    assert _run(scenario, "--out", out, "--force").exit_code == 130
    assert (out / "summary.json").is_file()


def test_explain_prints_one_life(simulation, tmp_path):
    result = _run(write(tmp_path), "--explain", 3, "--driver", "simpy")
    assert (result.exit_code, result.stdout) == (0, "simpy 7: request 3 arrives\n")
    assert json.loads(_run(write(tmp_path), "--explain", 3, "--json").stdout)["life"] == ["compiled 7: request 3 arrives"]
    assert _run(write(tmp_path), "--explain", 10).exit_code == 2


def test_two_runs_are_compared(simulation, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    _run(write(tmp_path), "--out", a)
    _run(write(tmp_path), "--out", b, "--seed", 8)
    answer = json.loads(CliRunner().invoke(app, ["diff", str(a), str(b), "--json"]).stdout)
    assert [row["field"] for row in answer["inputs"]] == ["seed"]
    assert {row["field"] for row in answer["results"]} == {"seed", "scenario_sha256"}


# Whoever starts the tests in the background may have them ignore SIGINT.
SLOW_RUN = """
import signal, sys, time, types
signal.signal(signal.SIGINT, signal.default_int_handler)
module = types.ModuleType("forge1sim.run")
def simulate(loaded, *, out, **options):
    (out / "half").write_text("x")
    print("started", file=sys.stderr, flush=True)
    time.sleep(60)
module.simulate = simulate
sys.modules["forge1sim.run"] = module
from forge1sim.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_process_exits_with_130_and_leaves_nothing(tmp_path, sent):
    scenario = write(tmp_path)
    command = [sys.executable, "-c", SLOW_RUN, "run", str(scenario), "--out", str(tmp_path / "results"), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "started" in line:
            break
    time.sleep(0.5)
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "error: interrupted; nothing was written\n"
    assert list(tmp_path.iterdir()) == [scenario]
