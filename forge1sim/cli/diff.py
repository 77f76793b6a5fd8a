"""`forge1sim diff A B`: what differs between two scenarios, or between two runs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from forge1sim.cli.loading import load
from forge1sim.cli.output import (
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    hint,
    print_json,
    print_table,
)
from forge1sim.cli.result_folder import MARK
from forge1sim.errors import RunError
from forge1sim.results.inputs import ABSENT, differing

MAX_SUMMARY_BYTES = 256 * 1024 * 1024
_NOT_COMPARED = ("seconds",)       # wall clock, never twice the same


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A scenario file or a run folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same sort.")],
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Show what differs between two scenarios (catalogue figures included) or two run folders."""
    if a.is_dir() != b.is_dir():
        raise RunError(f"{a} and {b}: one is a run folder and the other is not; compare two of the same sort")
    if a.is_dir():
        inputs = differences(*(_read(folder / "scenario.json") for folder in (a, b)))
        results = differences(*(_read(folder / MARK) for folder in (a, b)))
    else:
        loaded = [load(path, policy_folders=policy_folders, data_folders=data_folders) for path in (a, b)]
        one, other = (json.loads(scenario.resolved_json()) for scenario in loaded)
        inputs, results = differences(one, other), []
    if as_json:
        print_json({"a": str(a), "b": str(b), "inputs": inputs, "results": results})
    else:
        for title, found in (("inputs", inputs), ("results", results)):
            rows = [(row["field"], row["a"], row["b"], _change(row["a"], row["b"])) for row in found]
            if rows:
                print_table((title, "A", "B", "change"), rows, no_color=no_color)
        if not inputs and not results:
            print("no differences")
    if not a.is_dir():
        hint(f"Next: forge1sim run {a} --out runs/a && forge1sim run {b} --out runs/b && forge1sim diff runs/a runs/b", quiet=quiet)


def differences(a: Any, b: Any) -> list[dict[str, Any]]:
    """Fields that differ: their dotted path and both values; null where a side has none."""
    found = [(one.field, *(None if value is ABSENT else value for value in one.values)) for one in differing([a, b])]
    return [{"field": field, "a": mine, "b": other} for field, mine, other in found if field not in _NOT_COMPARED]


def _change(a: object, b: object) -> str:
    """By how much a figure changed, in per cent of A."""
    numbers = isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool)
    return f"{(b - a) / abs(a):+.1%}" if numbers and a else ""  # type: ignore[operator,arg-type]


def _read(path: Path) -> Any:
    from forge1sim.metrics.store import read_json

    return read_json(path, MAX_SUMMARY_BYTES, "summary")
