"""`forge1sim sweep`: a scenario at many points, as one table."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import allow_for_workers, load
from forge1sim.cli.output import (
    BackendName,
    BackendOption,
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    complain,
    hint,
    print_json,
    print_table,
    shown,
)
from forge1sim.cli.run import Driver

if TYPE_CHECKING:
    from forge1sim.experiments.sweeps import Progress, Sweep
    from forge1sim.scenario.load import LoadedScenario

SOME_FAILED = 1
INTERRUPTED = 130
MOST_LINES = 40
SAY_EVERY_S = 10.0
_MEASURES = ("all.served_ratio", "all.wait_p95_s", "all.cost_usd", "slo.attained")


class Design(StrEnum):
    """How random points are spread."""

    LHS = "lhs"
    SOBOL = "sobol"


def sweep(
    scenario: ScenarioArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The table goes here; the same command goes on after a kill.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUES", help="start:stop:step, a,b,c or uniform(a,b). Several make all combinations."),
    ] = None,
    replications: Annotated[int, typer.Option("--replications", "-r", help="Runs of each point, with the same seeds.", min=1)] = 1,
    random: Annotated[int | None, typer.Option("--random", metavar="N", help="Draw N points instead of all combinations.")] = None,
    design: Annotated[Design, typer.Option(help="How random points are spread.")] = Design.LHS,
    seed: SeedOption = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Runs at once (default: one a processor).")] = None,
    backend: BackendOption = BackendName.PROCESSES,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="Of a Ray or Dask cluster (default: one is started here).")
    ] = None,
    driver: Annotated[Driver, typer.Option(help="As for run.")] = Driver.COMPILED,
    measures: Annotated[
        list[str] | None, typer.Option("--measure", metavar="NAME", help="A number to print, e.g. enterprise.wait_p95_s. May be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make runs anew whose scenario or code has changed since.")] = False,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Simulate a scenario at many points. Exit status 0: done; 1: some runs failed; 2: bad usage or input; 130: interrupted."""
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.experiments.design import axis_of_setting, checked  # noqa: PLC0415
    from forge1sim.experiments.sweeps import sweep_axes  # noqa: PLC0415

    axes = checked([axis_of_setting(setting) for setting in settings or ()])
    allow_for_workers(policy_folders, data_folders)
    loaded = load(scenario)
    _demand_known(measures or (), loaded)
    try:
        with _progress(quiet) as on_progress:
            done = sweep_axes(
                Ask(scenario=str(scenario), seed=loaded.seed if seed is None else seed, driver=driver.value), axes,
                replications=replications, random=random, design=design.value, out=out, anew=force,
                workers=workers, backend=backend.value, cluster=cluster, on_progress=on_progress,
            )  # fmt: skip
    except KeyboardInterrupt as error:
        complain(f"interrupted; finished runs are kept in {out}, the same command goes on")
        raise typer.Exit(INTERRUPTED) from error
    chosen = tuple(measures or ()) or _worth_showing(done)
    if as_json:
        print_json(_as_json(done, chosen))
    else:
        _print(done, chosen, no_color)
    for failure in done.failures[:5]:
        complain(f"{sum(one == failure for one in done.columns['failure'])} of {len(done)} runs failed: {failure}")
    hint(f"Next: python -c \"import pandas; print(pandas.read_parquet('{out}/sweep.parquet'))\"", quiet=quiet)
    if done.failed:
        raise typer.Exit(SOME_FAILED)


def _demand_known(measures: Sequence[str], loaded: "LoadedScenario") -> None:
    """A number that no run will have is told before the first one."""
    from forge1sim.errors import ExperimentError  # noqa: PLC0415
    from forge1sim.experiments.outcome import columns_of  # noqa: PLC0415
    from forge1sim.scenario.problems import nearest, shown_value  # noqa: PLC0415

    known = columns_of(loaded)
    for measure in measures:
        if measure not in known:
            raise ExperimentError(f"--measure {shown_value(measure)} is no number of the outcome; {nearest(measure, known, 'numbers')}")


def _worth_showing(done: "Sweep") -> tuple[str, ...]:
    return tuple(name for name in _MEASURES if not all(math.isnan(value) for value in done.columns.get(name, ())))


def _print(done: "Sweep", measures: Sequence[str], no_color: bool) -> None:
    """A line for each point: means over its runs, with their intervals where there are any."""
    means = [done.means(name) for name in measures]
    lines = []
    for place, values in enumerate(done.points()[:MOST_LINES]):
        numbers = [column[place] for column in means]
        texts = [f"{shown(one.value)} ± {shown(one.half_width)}" if one.trusted else shown(one.value) for one in numbers]
        lines.append([*values.values(), *texts])
    print_table((*done.varied, *measures), lines, title=f"{len(done)} runs", no_color=no_color)
    if len(done.points()) > MOST_LINES:
        print(f"and {len(done.points()) - MOST_LINES} points more in {done.folder}/sweep.parquet")


def _as_json(done: "Sweep", measures: Sequence[str]) -> dict[str, Any]:
    means = {name: done.means(name) for name in measures}
    points = [
        {
            "fields": values,
            "measures": {
                name: {"mean": ones[place].value, "low": ones[place].low, "high": ones[place].high, "runs": ones[place].count}
                for name, ones in means.items()
            },
        }
        for place, values in enumerate(done.points())
    ]
    return {
        "scenario": done.scenario, "folder": str(done.folder), "runs": len(done), "failed": done.failed,
        "failures": done.failures, "points": points,
    }  # fmt: skip


@contextmanager
def _progress(quiet: bool) -> "Iterator[Callable[[Progress], None]]":
    """On standard error: a bar on a terminal, else a line every ten seconds."""
    if quiet:
        yield lambda _progress: None
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        with Bar(TextColumn("{task.description}"), BarColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1)
            yield lambda now: bar.update(task, total=max(1, now.total), completed=now.done, description=_in_words(now))
    else:
        last_s = time.monotonic()

        def say(now: "Progress") -> None:
            nonlocal last_s
            if time.monotonic() - last_s >= SAY_EVERY_S:
                last_s = time.monotonic()
                print(_in_words(now), file=sys.stderr, flush=True)

        yield say


def _in_words(now: "Progress") -> str:
    from forge1sim.results.theme import seconds  # noqa: PLC0415

    if now.phase == "checking":
        return f"checking point {now.done:,} of {now.total:,}"
    failed = f", {now.failed:,} failed" if now.failed else ""
    left = "" if math.isnan(now.left_s) or now.done == now.total else f", {seconds(now.left_s)} left"
    return f"{now.done:,} of {now.total:,} runs{failed}{left}"
