"""`--policy-folder` and `--data-folder` of commands that make many runs: what the command itself may read, its runs may read."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from forge1sim.scenario.folders import DATA_FOLDERS_VARIABLE, POLICY_FOLDERS_VARIABLE
from tests.small import SMALL

# Each ends with a complaint that it can only make of a scenario whose runs it has loaded.
COMMANDS = {
    "tune": (["--minimize", "all.cost_usdd"], "did you mean all.cost_usd"),
    "sensitivity": (["--range", "horizon_s=60:120", "--range", "seed=1:2:int", "--number", "all.cost_usdd"], "did you mean all.cost_usd"),
    "regret": (["--as-is", "--quality", "promised"], "promises no quality_mean"),
}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_folders_are_allowed_to_the_runs_too(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (POLICY_FOLDERS_VARIABLE, DATA_FOLDERS_VARIABLE):
        monkeypatch.setenv(variable, "")        # and as it was afterwards
    (tmp_path / "mine").mkdir()
    source = "def first(request, candidates, deployments, tenant, params, memory, now_us):\n    return candidates[0]\n"
    (tmp_path / "mine" / "own.py").write_text(source, encoding="utf-8")
    scenario = tmp_path / "own.yaml"
    scenario.write_text(SMALL + "policies: {routing: {policy: 'own.py:first'}}\n", encoding="utf-8")
    options, complaint = COMMANDS[command]
    refused = CliRunner().invoke(app, [command, str(scenario), *options])
    assert refused.exit_code == 2
    assert "--policy-folder" in refused.stderr
    allowed = CliRunner().invoke(app, [command, str(scenario), *options, "--policy-folder", str(tmp_path / "mine")])
    assert allowed.exit_code == 2
    assert complaint in allowed.stderr
