"""`forge1sim regret` and `run --regret`: a table, JSON, and one message for what cannot be."""

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from forge1sim.cli.main import app
from tests.conftest import ROOT

SCENARIO = ROOT / "tests" / "experiments" / "small_pools.yaml"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["regret", str(SCENARIO), "--set", "horizon_s=30", "--block-s", "10", *arguments])


def test_json_holds_every_line_and_nothing_else() -> None:
    run = invoke("--json", "--policy", "cheapest", "--policy", "any, random")
    assert run.exit_code == 0, run.stderr
    found = json.loads(run.stdout)
    assert [line["policy"] for line in found["lines"]] == ["cheapest", "any, random"]
    assert all(line["bound_usd"] <= line["cost_usd"] + 1e-6 for line in found["lines"])


def test_the_scenarios_own_policies_make_a_table_of_one() -> None:
    run = invoke("--as-is", "--quiet")
    assert run.exit_code == 0, run.stderr
    assert "of controllable" in run.stdout
    assert "default" in run.stdout


def test_what_cannot_be_is_one_message_and_status_2() -> None:
    wrong = (
        (("--policy", "nobody"), "'nobody' is none of"), (("--block-s", "-1"), "block_s is -1"),
        (("--set", "slos=[]", "--quality", "promised"), "quality_mean"),
    )  # fmt: skip
    for arguments, said in wrong:
        run = invoke(*arguments)
        assert run.exit_code == 2
        assert said in run.stderr
        assert "Traceback" not in run.stderr
        assert not run.stdout


def run_with_regret(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", str(SCENARIO), "--set", "horizon_s=5", "--regret", *arguments])


def test_a_run_adds_its_regret_to_the_report_and_says_how_far_it_is(tmp_path: Path) -> None:
    run = run_with_regret("--out", str(tmp_path / "run"), "--json", "--block-s", "1")
    assert run.exit_code == 0, run.stderr
    assert "1 of 11: default" in run.stderr
    assert "11 of 11: " in run.stderr
    lines = json.loads((tmp_path / "run" / "regret.json").read_text(encoding="utf-8"))["lines"]
    own = next(line for line in lines if line["policy"] == "default")
    assert own["cost_usd"] == json.loads(run.stdout)["cost_usd"]
    assert f"{own['regret_of_cost']:.1%} of what was paid" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_added_is_refused_before_anything_runs(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    wrong = (
        (run_with_regret(), "--regret adds to the report of a run folder, and there is none; name one with --out DIR"),
        (run_with_regret("--out", out, "--block-s", "-1"), "block_s is -1.0, must be between 0.001 and 10,000,000"),
        (
            CliRunner().invoke(app, ["run", str(SCENARIO), "--out", out, "--block-s", "5"]),
            "--block-s 5: cuts time for --regret, which is not asked for; add it or leave this out",
        ),
    )
    for run, said in wrong:
        assert run.exit_code == 2
        assert run.stderr == f"error: {said}\n"
        assert not run.stdout
    assert not list(tmp_path.iterdir())
