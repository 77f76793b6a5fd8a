"""The command `sweep`: what it prints, and that ending it at any moment loses the runs in flight and no more."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from forge1sim.cli.main import main
from forge1sim.experiments.journal import JOURNAL
from forge1sim.experiments.sweeps import TABLE, Progress, sweep
from tests.small import SMALL

RATE = "tenants.client.demand.requests_per_s"
LONG = SMALL.replace("10min", "30min").replace("limit: 300", "limit: 100000")
WORKERS = 2


@pytest.fixture
def scenario(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL, encoding="utf-8")
    Path("long.yaml").write_text(LONG, encoding="utf-8")
    return "small.yaml"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *arguments])
    return int(ended.value.code or 0)


def test_a_grid_as_a_table_and_as_json(scenario, capsys):
    arguments = (scenario, "--set", f"{RATE}=4:6:2", "--set", "accounts.openai.count=2", "-r", "3", "--out", "out", "--backend", "serial")
    assert run(*arguments, "--quiet") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert RATE in said.out
    assert "±" in said.out
    assert "accounts.openai.count" not in said.out, "it has one value"
    assert run(*arguments, "--json", "--measure", "all.arrived") == 0
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert [point["fields"] for point in printed["points"]] == [{RATE: 4}, {RATE: 6}]
    assert all(point["measures"]["all.arrived"]["runs"] == 3 for point in printed["points"])
    assert (printed["runs"], printed["failed"]) == (6, 0)
    assert "Next: " in said.err


def test_failed_points_are_told_and_change_the_exit_status(scenario, capsys):
    assert run(scenario, "--set", "accounts.openai.count=-1,1", "--out", "out", "--backend", "serial") == 1
    assert "1 of 2 runs failed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing is swept"),
        (("--set", f"{RATE}=0.9:0.5:0.1"), "steps of 0.1 do not lead from 0.9 to 0.5"),
        (("--set", f"{RATE}=1:2:0"), "the step is 0"),
        (("--set", f"{RATE}=1:2:0.00001"), "more than 10,000 values"),
        (("--set", f"{RATE}=1:2:1", "--set", f"{RATE}=3"), "is set twice"),
        (("--set", "tenants.client.dmeand=1:2:1"), "did you mean demand"),
        (("--set", f"{RATE}=1,2", "--measure", "client.wait_p95_s"), "--measure 'client.wait_p95_s' is no number of the outcome"),
        (("--set", f"{RATE}=a,b"), f"{RATE.replace('client', '0')} is 'a'"),
        (("--set", f"{RATE}=1,2", "--workers", "0"), "workers is 0"),
        (("--set", f"{RATE}=1,2", "--cluster", "x"), "knows no clusters"),
        (("--set", f"{RATE}=1,2", "--backend", "spark"), "spark"),
        (("--set", f"{RATE}=1,2", "--replications", "0"), "replications"),
        (("--set", f"{RATE}=uniform(1,2)"), "add --random N"),
        (("--set", f"{RATE}=uniform(1,2)", "--random", "0"), "random is 0"),
        (("--set", f"{RATE}=uniform(1,2)", "--random", "3", "--design", "sobol"), "power of 2"),
    ],
)
def test_bad_usage_is_told_and_leaves_nothing(scenario, capsys, arguments, said):
    assert run(scenario, *arguments, "--out", "out") == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert not Path("out").exists()


def test_a_scenario_that_is_missing_and_a_folder_that_is_a_file(scenario, capsys):
    assert run("none.yaml", "--set", f"{RATE}=1,2", "--out", "out") == 2
    assert "none.yaml" in capsys.readouterr().err
    assert run(scenario, "--set", f"{RATE}=1,2", "--out", scenario, "--backend", "serial") == 2
    assert f"--out {scenario}: cannot be written" in capsys.readouterr().err
    assert Path(scenario).read_text(encoding="utf-8") == SMALL


def test_killed_and_then_interrupted_at_work_it_goes_on_and_the_table_is_that_of_an_uninterrupted_sweep(scenario, root, tmp_path):
    # Whoever starts the tests in the background may have them ignore SIGINT.
    hearing = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    hearing += "from forge1sim.cli.main import main\nmain(sys.argv[1:])"
    command = [
        sys.executable, "-c", hearing, "sweep", "long.yaml", "--set", f"{RATE}=4:7:1", "-r", "6", "--out", "out",
        "--workers", str(WORKERS), "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(root)}
    journal, kept = tmp_path / "out" / JOURNAL, 0
    for how in (signal.SIGKILL, signal.SIGINT):
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
            wait_for_runs(running, journal, kept + 2)
            family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
            running.send_signal(how)
            if how == signal.SIGINT:
                assert b"finished runs are kept in out, the same command goes on" in running.communicate(timeout=60)[1]
                assert running.returncode == 130
            assert not psutil.wait_procs(family, timeout=30)[1], "a process is left behind"
        kept = journal.read_bytes().count(b"\n") - 1
        assert 2 <= kept < 24
        assert not (tmp_path / "out" / TABLE).exists()
    done: list[Progress] = []
    sweep("long.yaml", {RATE: "4:7:1"}, replications=6, backend="serial", out="out", on_progress=done.append)
    made = sum(progress.phase == "running" for progress in done) - 1
    assert made == 24 - kept, "no finished run is made again"
    sweep("long.yaml", {RATE: "4:7:1"}, replications=6, backend="serial", out="whole")
    assert (tmp_path / "whole" / TABLE).read_bytes() == (tmp_path / "out" / TABLE).read_bytes()


def wait_for_runs(command: "subprocess.Popen[bytes]", journal: Path, runs: int) -> None:
    until_s = time.monotonic() + 200
    while time.monotonic() < until_s:
        if journal.exists() and journal.read_bytes().count(b"\n") > runs:
            return
        assert command.poll() is None, "it ended too soon"
        time.sleep(0.01)
    raise AssertionError("no run has ended")
