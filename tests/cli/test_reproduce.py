"""The command in a manifest repeats the run."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app

SCENARIO = """
name: again
models: [{name: m, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 1}]
accounts: [{name: one, provider: p, limits: [{dimension: rpm, limit: 60}]}]
tenants: [{name: t, demand: {requests_per_s: 2}}]
horizon_s: 2min
"""


def run(*words):
    result = CliRunner().invoke(app, ["run", *words, "--quiet"])
    assert result.exit_code == 0, result.output


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("driver", ["compiled", "simpy"])
def test_the_command_of_a_manifest_repeats_the_run(tmp_path, monkeypatch, driver):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "again.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    sets = ("--set", "accounts.one.limits.0.limit=30", "--set", "description=two words; $HOME")
    run("cases/again.yaml", *sets, "--driver", driver, "--seed", "5", "--out", "first")
    first = manifest(tmp_path / "first")
    program, command, *words = shlex.split(first["command"])
    assert (program, command, words[0]) == ("forge1sim", "run", "cases/again.yaml")
    run(*words, "--out", "second")
    second = manifest(tmp_path / "second")
    assert second == first
    run("cases/again.yaml", "--seed", "5", "--out", "third")
    assert manifest(tmp_path / "third")["event_log_sha256"] != first["event_log_sha256"]


def test_folders_given_by_option_are_in_the_command_and_those_of_the_environment_are_not(tmp_path, monkeypatch):
    (tmp_path / "again.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORGE1SIM_POLICY_FOLDERS", "mine")
    run("again.yaml", "--policy-folder", "yours", "--data-folder", "data", "--out", "first")
    words = shlex.split(manifest(tmp_path / "first")["command"])
    assert words[-4:] == ["--data-folder", "data", "--policy-folder", "yours"]
    assert "mine" not in words
