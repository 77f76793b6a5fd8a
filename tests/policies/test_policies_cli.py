"""`forge1sim policies`: list, new, check; and what `run` says to a policy that does not fit."""

import json
import os

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from forge1sim.cli.policies import Kind
from forge1sim.scenario.folders import Folders
from forge1sim.scenario.load import load_scenario
from policies.contracts import CONTRACTS
from policies.shipped import SHIPPED
from tests.scenario.examples import changed, write

GOOD = "def choose(request, candidates, deployments, tenant, params, memory, now_us):\n    return candidates[0]\n"
SPOILER = GOOD.replace("    return", "    deployments[0]['weight'] = 0.0\n    return")


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_names_every_policy():
    answer = json.loads(_run("policies", "list", "--json").stdout)
    assert [(row["field"], row["name"]) for row in answer["policies"]] == [(policy.field, policy.name) for policy in SHIPPED]
    assert {row["field"]: tuple(row["arguments"]) for row in answer["own"]} == {own.field: own.arguments for own in CONTRACTS.values()}
    text = _run("policies", "list").stdout
    assert all(policy.name in text for policy in SHIPPED)
    assert text.count("file.py:function") == len(CONTRACTS)


def test_every_kind_of_policy_can_be_named():
    assert {kind.value for kind in Kind} == set(CONTRACTS)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_new_writes_a_policy_that_passes_and_its_test(tmp_path, kind):
    made = _run("policies", "new", "mine", "--kind", kind, "--into", tmp_path, "--json")
    assert made.exit_code == 0
    assert json.loads(made.stdout)["written"] == [str(tmp_path / "mine.py"), str(tmp_path / "test_mine.py")]
    assert "NAME" not in (tmp_path / "mine.py").read_text() + (tmp_path / "test_mine.py").read_text()
    checked = _run("policies", "check", f"{tmp_path / 'mine.py'}:mine", "--json")
    answer = json.loads(checked.stdout)
    assert (checked.exit_code, answer["kind"], answer["passed"]) == (0, kind, True)
    assert f"policies.{CONTRACTS[kind].field}=mine.py:mine" in _run("policies", "check", f"{tmp_path / 'mine.py'}:mine").stderr


def test_a_policy_of_another_kind_than_said_is_told_where_it_belongs(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    result = _run("policies", "check", f"{tmp_path / 'mine.py'}:choose", "--kind", "scaling")
    assert result.exit_code == 1
    assert "or be named by `routing.policy`" in result.stdout


def test_new_never_replaces(tmp_path):
    for taken in ("mine.py", "test_mine.py"):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / taken).write_text("years of work")
        refused = _run("policies", "new", "mine", "--into", tmp_path)
        assert refused.exit_code == 2
        assert taken in refused.stderr
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(taken, "years of work")]


@pytest.mark.parametrize("name", ["two words", "class", "../out", "1st", ""])
def test_new_takes_python_names_only(tmp_path, name):
    refused = _run("policies", "new", name, "--into", tmp_path)
    assert refused.exit_code == 2
    assert "cheapest_first" in refused.stderr
    assert not any(tmp_path.iterdir())


def test_new_needs_a_folder_that_is_there(tmp_path):
    refused = _run("policies", "new", "mine", "--into", tmp_path / "nowhere")
    assert refused.exit_code == 2
    assert "cannot be written" in refused.stderr


def test_check_tells_the_rule_that_is_broken(tmp_path):
    (tmp_path / "mine.py").write_text(SPOILER)
    result = _run("policies", "check", f"{tmp_path / 'mine.py'}:choose")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    answer = json.loads(_run("policies", "check", f"{tmp_path / 'mine.py'}:choose", "--json").stdout)
    broken = [check for check in answer["checks"] if check["passed"] is False]
    assert (answer["passed"], [check["name"] for check in broken]) == (False, ["pure"])
    assert broken[0]["message"].startswith("mine.py:2: choose writes to `deployments`, field 'weight'")


@pytest.mark.parametrize("policy", ["mine.py", "mine.py:", ":choose", "mine.py:two words", "nowhere.py:choose"])
def test_check_of_no_policy_is_bad_usage(tmp_path, monkeypatch, policy):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(GOOD)
    result = _run("policies", "check", policy)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("error: ") == 1


def _scenario(folder, policy="mine.py:choose"):
    return write(folder / "scenarios", changed("{policy: headroom}", f"{{policy: '{policy}'}}"))


@pytest.mark.parametrize(
    ("text", "words"), [(SPOILER, "mine.py:2: choose writes to"), ("import os\n" + GOOD, "mine.py:1: choose imports os")]
)
def test_a_run_with_a_policy_that_does_not_fit_ends_with_its_line(tmp_path, text, words):
    (tmp_path / "mine.py").write_text(text)
    result = _run("run", _scenario(tmp_path), "--policy-folder", tmp_path, "--quiet", "--out", tmp_path / "results")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {words}")
    assert not (tmp_path / "results").exists()


def test_the_bundle_hash_covers_the_text_of_the_policy(tmp_path):
    hashes = []
    for text in (GOOD, GOOD + "\n", GOOD):
        (tmp_path / "mine.py").write_text(text)
        hashes.append(load_scenario(_scenario(tmp_path), folders=Folders.of(policies=[tmp_path])).bundle_hash)
    assert hashes[0] == hashes[2] != hashes[1]


def test_code_outside_the_allowed_folders_is_never_read(tmp_path):
    """Nor by a link: it is not even parsed, let alone run."""
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir()
    outside.mkdir()
    (outside / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + GOOD)
    os.symlink(outside / "mine.py", allowed / "link.py")
    for name in ("link.py:choose", "../outside/mine.py:choose"):
        result = _run("run", _scenario(tmp_path, name), "--policy-folder", allowed, "--quiet")
        assert result.exit_code == 2
        assert "policies.routing.policy" in result.stderr
    assert not (tmp_path / "ran").exists()
