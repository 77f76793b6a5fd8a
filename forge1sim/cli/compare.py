"""`forge1sim compare`: alternatives on the same seeds, and which differences are more than luck."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import allow_for_workers, load
from forge1sim.cli.output import (
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    SeedOption,
    SetOption,
    counting_bar,
    hint,
    print_json,
    print_table,
)
from forge1sim.errors import ExperimentError

if TYPE_CHECKING:
    from forge1sim.ask import Ask
    from forge1sim.experiments.replications import Compared, Difference
    from forge1sim.statistics import Precision

NOT_REACHED = 1
_IN_SHORT = (
    "all.served_ratio", "all.wait_mean_s", "all.wait_p95_s", "all.wait_p99_s", "all.latency_p95_s", "all.quality_mean",
    "all.cost_per_request_usd", "all.cost_usd", "slo.attained",
)  # fmt: skip


def compare(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="Scenario files; the first is the baseline.")],
    settings: SetOption = None,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="'PATH=VALUE ...'", help="One more alternative: the first scenario, so changed. May be repeated."
        ),
    ] = None,
    replications: Annotated[int | None, typer.Option("--replications", metavar="N", min=2, help="Seeds of each (10).")] = None,
    until: Annotated[
        list[str] | None,
        typer.Option(
            "--until", metavar="MEASURE=PRECISION",
            help="Go on until each alternative is known so well: all.wait_p99_s=5% or slo.attained=0.01. May be repeated.",
        ),
    ] = None,
    most: Annotated[int, typer.Option("--most", metavar="N", min=2, help="Most seeds, where --until is not reached.")] = 500,
    confidence: Annotated[float, typer.Option("--confidence", help="Of intervals and verdicts.")] = 0.95,
    measures: Annotated[
        list[str] | None, typer.Option("--measure", metavar="MEASURE", help="Compare this alone, e.g. all.cost_usd. May be repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Runs at once (one for each processor).")] = None,
    seed: SeedOption = None,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:  # fmt: skip
    """Compare alternatives on the same seeds. Exit status 0: done; 1: a precision of --until is not reached; 2: bad input."""
    from forge1sim.experiments.replications import compare as compare_asks  # noqa: PLC0415

    precisions = [_precision(text, confidence) for text in until or ()]
    allow_for_workers(policy_folders, data_folders)
    asks = _asks(scenarios, settings or (), variants or (), seed)
    with counting_bar("replications", quiet=quiet) as on_replication:
        found = compare_asks(
            asks, replications, until=precisions, measures=measures or None, confidence=confidence, most=most, workers=workers,
            on_replication=on_replication,
        )  # fmt: skip
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found, measures or _IN_SHORT, no_color)
    hint(f"Next: forge1sim run {scenarios[0]} --out runs/first", quiet=quiet)
    if not found.reached:
        raise typer.Exit(NOT_REACHED)


def _asks(scenarios: Sequence[Path], settings: Sequence[str], variants: Sequence[str], seed: int | None) -> "dict[str, Ask]":
    """The alternatives by name. Each is loaded once here, so that bad input ends the command before anything is simulated."""
    from forge1sim.ask import Ask  # noqa: PLC0415

    seed = load(scenarios[0], settings).seed if seed is None else seed
    changed = [(scenario, ()) for scenario in scenarios] + [(scenarios[0], _changes(text)) for text in variants]
    asks: dict[str, Ask] = {}
    for scenario, changes in changed:
        ask = Ask(scenario=str(scenario), overrides=(*settings, *changes), seed=seed)
        ask.load()
        name = " ".join(changes) or str(scenario)
        if name in asks:
            raise ExperimentError(f"{name} is given twice; alternatives must differ")
        asks[name] = ask
    return asks


def _changes(text: str) -> tuple[str, ...]:
    try:
        changes = tuple(shlex.split(text))
    except ValueError as error:
        raise ExperimentError(f"--with {text}: {error}") from error
    if not changes:
        raise ExperimentError("--with is empty; give PATH=VALUE, and more of them after a space")
    return changes


def _precision(text: str, confidence: float) -> "Precision":
    """`all.wait_p99_s=5%` is relative, `slo.attained=0.01` absolute."""
    from forge1sim.statistics import Precision  # noqa: PLC0415

    measure, _, size = text.partition("=")
    try:
        number = float(size.removesuffix("%"))
    except ValueError:
        raise ExperimentError(f"--until {text}: should be MEASURE=PRECISION, as all.wait_p99_s=5% or slo.attained=0.01") from None
    if size.endswith("%"):
        return Precision(measure, relative=number / 100, confidence=confidence)
    return Precision(measure, absolute=number, confidence=confidence)


def _print(found: "Compared", measures: Sequence[str], no_color: bool) -> None:
    columns = ("measure", "baseline", "difference", "from", "to", "verdict", "adjusted p", "note")
    for name in found.names[1:]:
        mine = {one.measure: one for one in found.differences if one.alternative == name}
        rows = [_row(mine[measure]) for measure in measures if measure in mine]
        title = f"{name} against {found.names[0]}: {len(found.replications[0].seeds)} seeds, {found.confidence:.0%}"
        print_table(columns, rows, title=title, no_color=no_color)
    for one in found.replications[0].until:
        kept = "is reached" if found.reached else "is not reached by all"
        print(f"{one.text}: {kept}")


def _row(one: "Difference") -> tuple[object, ...]:
    found = one.interval
    return (one.measure, one.baseline, found.value, found.low, found.high, one.verdict, one.adjusted, found.why)


def _as_json(found: "Compared") -> dict[str, Any]:
    from forge1sim.experiments.shown import difference_row  # noqa: PLC0415

    return {
        "baseline": found.names[0],
        "alternatives": list(found.names[1:]),
        "seeds": list(found.replications[0].seeds),
        "confidence": found.confidence,
        "correction": found.correction,
        "until": [one.text for one in found.replications[0].until],
        "reached": found.reached,
        "differences": [difference_row(one) for one in found.differences],
    }
