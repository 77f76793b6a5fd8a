"""`forge1sim compare`: tables and JSON of what differs, and one message for bad input."""

import json

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from tests.small import SMALL

FEWER = "accounts.openai.limits.0.limit=200"
SIZE = ("--set", "policies.queue.max_in_system=4096", "--workers", 1, "--quiet")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "small.yaml"
    path.write_text(SMALL)
    return path


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *(str(argument) for argument in arguments)])


def test_a_change_is_told_from_luck(scenario):
    measures = ("--measure", "all.wait_mean_s", "--measure", "all.cost_usd")
    result = invoke(scenario, "--with", FEWER, "--replications", 4, "--seed", 7, "--json", *measures, *SIZE)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["baseline"], found["alternatives"], found["seeds"]) == (str(scenario), [FEWER], [7, 8, 9, 10])
    by_measure = {row["measure"]: row for row in found["differences"]}
    assert by_measure["all.wait_mean_s"]["verdict"] == "worse"
    assert by_measure["all.wait_mean_s"]["low"] > 0


def test_the_table_says_what_cannot_be_told_and_a_missed_precision_is_status_1(scenario):
    result = invoke(scenario, "--with", FEWER, "--until", "all.wait_mean_s=0.1%", "--most", 10, *SIZE)
    assert result.exit_code == 1, result.output
    assert "all values are equal" in result.stdout
    assert "all.wait_mean_s to within 0.1 % at 95 %: is not reached by all" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "at least 2"), (("--with", ""), "--with is empty"), (("--with", FEWER, "--with", FEWER), "given twice"),
        (("--with", "'"), "No closing quotation"), (("--with", FEWER, "--until", "all.wait_p99_s"), "should be MEASURE=PRECISION"),
        (("--with", FEWER, "--until", "all.cost_usd=5%", "--replications", 3), "either count or until"),
        (("--with", "accounts.openai.limits.0.limit=x"), "should be a valid number"),
        (("--with", FEWER, "--confidence", 95, "--until", "all.cost_usd=5%"), "confidence is 95"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_status_2(scenario, arguments, told):
    result = invoke(scenario, *arguments, *SIZE)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
