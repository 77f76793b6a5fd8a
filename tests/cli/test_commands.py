"""Commands that do not simulate: their tables, their JSON, how fast they start, and who may add more."""

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from forge1sim.cli import main as cli
from forge1sim.cli.output import BackendName
from forge1sim.experiments.backends import BACKENDS
from tests.scenario.examples import VALID, changed, write


def _invoke(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def _commands(name):
    """The command of this name, or those of its group."""
    command = cli.CommandGroup(name="forge1sim").get_command(None, name)
    return list(getattr(command, "commands", {"": command}).values())


def test_help_lists_every_command():
    result = _invoke("--help")
    assert result.exit_code == 0
    for name in cli.OWN_COMMANDS:
        assert name in result.stdout
    assert "Exit status" in result.stdout.replace("\n ", "")


@pytest.mark.parametrize("name", list(cli.OWN_COMMANDS))
def test_every_command_is_documented_with_every_option(name, root):
    text = (root / "docs/cli.md").read_text()
    assert f"## {name}" in text
    section = text.split(f"## {name}\n")[1].split("\n## ")[0]
    for command in _commands(name):
        for parameter in command.params:
            written = max(parameter.opts, key=len) if parameter.opts[0].startswith("-") else str(parameter.metavar)
            assert written in section, f"docs/cli.md, {name}: {written}"


@pytest.mark.parametrize("name", list(cli.OWN_COMMANDS))
def test_every_command_has_json(name):
    for command in _commands(name):
        assert any("--json" in parameter.opts for parameter in command.params)


def test_the_command_line_offers_every_backend_that_there_is():
    assert tuple(BackendName) == BACKENDS


@pytest.mark.parametrize("name", ["sweep", "tune", "sensitivity"])
def test_a_backend_that_there_is_not_is_refused_with_those_that_there_are(name):
    refused = _invoke(name, "any.yaml", *(["--out", "out"] if name == "sweep" else []), "--backend", "cloud")
    assert refused.exit_code == 2
    assert "'cloud' is not one of 'processes', 'serial', 'ray', 'dask'" in refused.stderr


def test_validate_says_what_a_scenario_describes(tmp_path):
    path = write(tmp_path)
    result = _invoke("validate", path)
    assert result.exit_code == 0
    assert "generated_requests" in result.stdout
    assert result.stderr == f"Next: forge1sim run {path}\n"


def test_validate_json(tmp_path):
    result = _invoke("validate", write(tmp_path), "--json", "--quiet", "--set", "accounts.openai.count=5", "--seed", 3)
    described = json.loads(result.stdout)
    assert described["valid"] is True
    assert (described["accounts"], described["deployments"], described["tenants"]) == (7, 7, 11)
    assert (described["seed"], described["generated_requests"]) == (3, 7200)
    assert {figure["grade"] for figure in described["assumptions"]} == {"assumption"}
    assert result.stderr == ""


def test_validate_json_of_a_broken_scenario(tmp_path):
    result = _invoke("validate", write(tmp_path, changed("seed: 7", "sed: 7")), "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["valid"] is False
    assert len(answer["problems"]) == 1
    assert "did you mean seed?" in answer["problems"][0]


def test_names_cannot_steer_the_terminal(tmp_path):
    result = _invoke("validate", write(tmp_path, "name: x\nmodels: ['\\e[31mred']\n\"bad\\e[31m\\nkey\": 1\n"))
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


def test_schema_is_printed_and_written(tmp_path):
    printed = json.loads(_invoke("schema").stdout)
    assert printed["properties"]["tenants"]
    out = tmp_path / "scenario.schema.json"
    result = _invoke("schema", "--out", out)
    assert json.loads(out.read_text()) == printed
    assert "yaml-language-server" in result.stderr
    assert _invoke("schema", "--out", tmp_path / "none" / "x.json").exit_code == 2


def test_diff_of_scenarios_names_fields_and_both_values(tmp_path):
    a, b = write(tmp_path), write(tmp_path, changed("count: 3,", "count: 6,").replace("seed: 7", "seed: 8"), "b.yaml")
    answer = json.loads(_invoke("diff", a, b, "--json").stdout)
    assert answer["inputs"] == [
        {"field": "platform.accounts.openai.count", "a": 3, "b": 6},
        {"field": "seed", "a": 7, "b": 8},
    ]
    table = _invoke("diff", a, b).stdout
    assert "platform.accounts.openai.count" in table
    assert "+100.0%" in table


def test_diff_of_equal_scenarios(tmp_path):
    a, b = write(tmp_path), write(tmp_path, VALID, "b.yaml")
    assert _invoke("diff", a, b).stdout == "no differences\n"


def test_diff_sees_what_is_added_and_removed(tmp_path):
    b = write(tmp_path, VALID + "description: more\n", "b.yaml")
    b.write_text(b.read_text().replace("slos:\n", "slos:\n  - {name: fast, metric: wait_p95_s, at_most: 1}\n"))
    inputs = json.loads(_invoke("diff", write(tmp_path), b, "--json").stdout)["inputs"]
    assert {row["field"] for row in inputs} == {f"slos.fast.{field}" for field in ("name", "metric", "tier", "at_most")}
    assert {row["a"] for row in inputs} == {None}


def test_diff_compares_two_of_the_same_sort(tmp_path):
    empty = tmp_path / "folder"
    empty.mkdir()
    assert "one is a run folder" in _invoke("diff", write(tmp_path), empty).stderr
    assert "is " in _invoke("diff", empty, empty).stderr
    (empty / "scenario.json").write_text("{")
    assert "cannot be read as JSON" in _invoke("diff", empty, empty).stderr


def test_catalog_lists_models_and_figures():
    models = json.loads(_invoke("catalog", "--json").stdout)["models"]
    assert len(models) >= 10
    assert {"openai", "anthropic", "google"} <= {model["provider"] for model in models}
    figures = json.loads(_invoke("catalog", models[0]["model"], "--json").stdout)["figures"]
    assert all(figure["source"] and figure["effective"] and figure["grade"] for figure in figures)
    assert models[0]["model"] in _invoke("catalog", "--no-color").stdout
    assert "gpt-4" in _invoke("catalog", "--catalogue", "legacy").stdout


def test_catalog_prices_need_a_readable_list(tmp_path):
    (tmp_path / "prices.json").write_text("{")
    result = _invoke("catalog", "--prices", tmp_path / "prices.json", "--effective", "2026-08-01")
    assert result.exit_code == 2
    assert "prices.json" in result.stderr


@pytest.mark.realdata
def test_catalog_prices_print_an_overlay(shared_data, tmp_path):
    listed = shared_data / "litellm_model_prices_2026-08-01.json.gz"
    result = _invoke("catalog", "--prices", listed, "--effective", "2026-08-01")
    assert result.exit_code == 0
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(result.stdout)
    assert _invoke("catalog", "--catalogue", overlay, "--json").exit_code == 0


LITELLM = """\
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_KEY, rpm: 100}
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_key: sk-live-not-to-be-shown, rpm: 200}
"""


def test_an_imported_gateway_is_a_valid_scenario(tmp_path):
    config = write(tmp_path, LITELLM, "config.yaml")
    out = tmp_path / "scenario.yaml"
    result = _invoke("import-litellm", config, "--out", out)
    assert result.exit_code == 0
    assert "sk-live" not in result.output + out.read_text()
    assert _invoke("validate", out).exit_code == 0
    assert _invoke("import-litellm", config, "--out", out).exit_code == 2
    assert json.loads(_invoke("import-litellm", config, "--json").stdout)["scenario"]["models"]


def test_another_package_adds_a_command(monkeypatch):
    greeter = SimpleNamespace(app=typer.Typer(add_completion=False), greet=lambda: print("hello"))

    @greeter.app.command()
    def one() -> None:
        """Say one."""
        print("one")

    @greeter.app.command()
    def two() -> None:
        """Say two."""
        print("two")

    monkeypatch.setitem(sys.modules, "greeter", greeter)
    found = [
        EntryPoint(name="hello", value="greeter:greet", group=cli.COMMANDS_GROUP),
        EntryPoint(name="count", value="greeter:app", group=cli.COMMANDS_GROUP),
        EntryPoint(name="lost", value="no_such_package:app", group=cli.COMMANDS_GROUP),
        EntryPoint(name="run", value="greeter:greet", group=cli.COMMANDS_GROUP),
    ]
    monkeypatch.setattr(cli, "entry_points", lambda group: found)
    assert _invoke("hello").stdout == "hello\n"
    assert _invoke("count", "two").stdout == "two\n"
    listing = _invoke("--help")
    assert "hello" in listing.stdout
    assert "Simulate a scenario" in listing.stdout, "a package cannot take the place of our own commands"
    lost = _invoke("lost")
    assert lost.exit_code == 2
    assert "no_such_package" in lost.stderr


def _process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "forge1sim.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


def test_a_true_process_exits_with_2_and_one_line(tmp_path):
    result = _process("validate", write(tmp_path, changed("count: 10", "count: ten")))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "tenants.1.count" in result.stderr


def test_a_true_process_without_a_command_exits_with_2():
    result = _process()
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_terminal_without_unicode_is_no_obstacle(tmp_path):
    text = "# ünïcödé\n" + changed("seed: 7", "sééd: 7")
    result = _process("validate", write(tmp_path, text), env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_light_commands_load_nothing_heavy(tmp_path):
    heavy = ["numba", "numpy", "scipy", "pandas", "pyarrow", "plotly", "simpy"]
    code = (
        "import sys\nfrom forge1sim.cli.main import app\n"
        f"app({['validate', str(write(tmp_path)), '--json']!r}, standalone_mode=False)\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.stderr.splitlines()[-1] == "[]"
