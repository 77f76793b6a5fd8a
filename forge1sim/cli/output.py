"""What all commands share: options, tables on standard output, messages on standard error, JSON."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

WIDE = 160      # columns where the output is no terminal, so that nothing is cut in a pipe


class BackendName(StrEnum):
    """Where runs are made."""

    PROCESSES = "processes"
    SERIAL = "serial"
    RAY = "ray"
    DASK = "dask"


ScenarioArgument = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML).")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one field, e.g. accounts.openai.count=3. May be repeated."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Replace the scenario's seed.", min=0)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints.")]
NoColorOption = Annotated[bool, typer.Option("--no-color", help="No colours.")]
PolicyFolderOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy-folder", metavar="DIR", help="Allow scenarios to name policies in here (also FORGE1SIM_POLICY_FOLDERS)."
    ),
]
DataFolderOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data-folder", metavar="DIR", help="Where shared:FILE of a scenario is found (also FORGE1SIM_DATA_FOLDERS)."
    ),
]
BlockOption = Annotated[
    float | None, typer.Option("--block-s", help="Seconds by which the bound on cost cuts time (default: 300 blocks).")
]
BackendOption = Annotated[BackendName, typer.Option("--backend", help="Where runs are made; the results are the same.")]


def complain(message: str) -> None:
    """An error, on standard error: one line for each problem."""
    for line in message.splitlines() or [""]:
        print(f"error: {printable(line)}", file=sys.stderr)


def hint(message: str, *, quiet: bool) -> None:
    """A message that is no result, on standard error."""
    if not quiet:
        print(printable(message), file=sys.stderr)


def counting_hints(quiet: bool) -> Callable[[str, int, int], None]:
    """To be told what begins, how many are done and how many there are; says `3 of 11: cheapest`."""
    return lambda what, done, total: hint(f"{done + 1} of {total}: {what}", quiet=quiet)


def printable(text: str) -> str:
    """Text without control characters: a scenario must not steer the terminal that shows it."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


@contextmanager
def counting_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with the time left, to be told how many are done and how many there are."""
    if quiet:
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Any) -> None:
    """JSON on standard output."""
    print(to_json(value))


def to_json(value: Any) -> str:
    """Strict JSON: figures that do not exist (NaN) are null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", no_color: bool) -> None:
    """A table on standard output; numbers are set to the right."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(no_color=no_color, width=None if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table(
        title=escape(printable(title)) or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    lines = [list(row) for row in rows]
    for number, column in enumerate(columns):
        numeric = bool(lines) and all(isinstance(row[number], int | float) or row[number] is None for row in lines)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in lines:
        table.add_row(*(escape(printable(shown(value))) for value in row))
    console.print(table)


def shown(value: object) -> str:
    """A value as people read it: thousands set apart, few decimals, a dash for nothing."""
    match value:
        case None:
            text = "-"
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}"
        case float() if not math.isfinite(value):
            text = "-"
        case float():
            text = f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:.4g}"
        case list() | tuple() | dict():
            text = json.dumps(value, ensure_ascii=False, default=str)
        case _:
            text = str(value)
    return text
