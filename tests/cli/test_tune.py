"""`forge1sim tune`: what it writes and says, and that wrong input ends with one message and exit status 2."""

import json

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from tests.small import SMALL

QUICK = ["--trials", "6", "--no-defaults", "--finalists", "1", "--final-replications", "2", "--backend", "serial", "--batch", "2"]


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.replace("10min", "2min"))
    return str(file)


def run(*arguments):
    return CliRunner().invoke(app, ["tune", *arguments])


def test_it_writes_bundles_that_run_and_says_what_was_proved(small, tmp_path):
    out = tmp_path / "out"
    goal = ["--minimize", "all.wait_mean_s", "--space", "policies.queue.max_waiting=1:50:int"]
    done = run(small, *goal, *QUICK, "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["trials"] == 6
    assert told["told"][0].startswith(("No better than", "Point"))
    written = json.loads((out / "summary.json").read_text())
    assert written == told
    bundles = list(out.glob("point-*.yaml"))
    assert bundles
    assert f"Next: forge1sim run {out}" in done.stderr
    again = CliRunner().invoke(app, ["run", str(bundles[0]), "--json"])
    assert again.exit_code == 0, again.output
    number = int(bundles[0].stem.removeprefix("point-"))
    outcome = next(one["outcome"] for one in told["front"] if one["number"] == number)
    assert json.loads(again.stdout)["all"]["wait_mean_s"] == pytest.approx(outcome["all.wait_mean_s"])
    assert len(list(tmp_path.glob(".out*"))) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "nothing is to be minimized"),
        (["--minimize", "all.cost_usdd"], "did you mean all.cost_usd"),
        (["--minimize", "all.cost_usd", "--maximize", "all.cost_usd"], "twice"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.backof_s=1:5"], "did you mean backoff_s"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.backoff_s=5:1"], "5 is not below 1"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.backoff_s=1:many"], "'many' is no finite number"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.backoff_s=0:1:log"], "begins above 0"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.max_attempts=1:4"], "low:high:int"),
        (["--minimize", "all.cost_usd", "--space", "policies.retry.max_attempts=0:4:int"], "greater than or equal to 1"),
        (["--minimize", "all.cost_usd", "--space", "policies.routing.policy=headroom,headrom"], "headrom"),
        (["--minimize", "all.cost_usd", "--space", "policies.routing.policy=headroom"], "one value is no choice"),
        (["--minimize", "all.cost_usd", "--space", "accounts.openai.count=1:3:int"], "forge1sim sweep"),
        (["--minimize", "all.cost_usd", *["--space", "policies.retry.backoff_s=1:5"] * 2], "is given twice"),
        (["--minimize", "all.cost_usd", "--subject-to", "slo.attained"], "number>=bound"),
        (["--minimize", "all.cost_usd", "--subject-to", "slo.attaned>=1"], "did you mean slo.attained"),
        (["--minimize", "all.cost_usd", "--subject-to", "slo.attained>=much"], "'much' is no bound"),
        (["--minimize", "all.cost_usd", "--subject-to", "slos"], "promises nothing"),
        (["--minimize", "all.cost_usd", "--trials", "1"], "--trials 1"),
        (["--minimize", "all.cost_usd", "--batch", "0"], "--batch 0"),
        (["--minimize", "all.cost_usd", "--workers", "0"], "workers is 0"),
        (["--minimize", "all.cost_usd", "--short", "horizon=1"], "horizon"),
        (["--minimize", "all.cost_usd", "--final-replications", "1"], "2 or more"),
        (["--minimize", "all.cost_usd", "--storage", "mysql://here/there"], "'mysql' is no kind of storage"),
        (["--minimize", "all.cost_usd", "--storage", "sqlite:////nowhere/at/all.db"], "unable to open database file"),
        (["--minimize", "all.cost_usd", "--storage", "postgresql://nobody@127.0.0.1:1/none"], "cannot be used"),
        (["--minimize", "all.cost_usd", "--out", "small.yaml"], "not a folder"),
    ],
)
def test_wrong_input_ends_with_one_message(small, tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = run(small, *options)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert told in lines[0]
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before
