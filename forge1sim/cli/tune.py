"""`forge1sim tune`: let the computer search policies, and prove the best on fresh draws."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    SetOption,
    hint,
    print_json,
    print_table,
    to_json,
)
from forge1sim.cli.result_folder import MARK, check_free, result_folder

if TYPE_CHECKING:
    from forge1sim.experiments.tuning.tune import Progress, Tuning

MOST_ROWS = 12


def tune(
    scenario: ScenarioArgument,
    minimize: Annotated[
        list[str] | None, typer.Option("--minimize", metavar="NUMBER", help="Make this small, e.g. all.cost_usd. May be repeated.")
    ] = None,
    maximize: Annotated[
        list[str] | None, typer.Option("--maximize", metavar="NUMBER", help="Make this large, e.g. all.jain_index. May be repeated.")
    ] = None,
    subject_to: Annotated[
        list[str] | None,
        typer.Option(
            "--subject-to", metavar="CONDITION",
            help="What must hold: slo.attained>=baseline, enterprise.wait_p95_s<=1, or slos for each promise. May be repeated.",
        ),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            "--space", metavar="KNOB",
            help="What may change: policies.retry.backoff_s=0.1:5:log, policies.routing.policy=latency,headroom. May be repeated.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="Points in all, shipped defaults included.")] = 200,
    replications: Annotated[int, typer.Option("--replications", help="Draws for each point, the same for all.")] = 1,
    batch: Annotated[int, typer.Option("--batch", help="Points asked for at once; the result depends on it, not on --workers.")] = 4,
    search_on: Annotated[
        list[str] | None,
        typer.Option(
            "--search-on", metavar="PATH=VALUE",
            help="For the search alone, e.g. the busy hours: horizon_s=4h; the last stage runs the whole. May be repeated.",
        ),
    ] = None,
    short: Annotated[
        list[str] | None,
        typer.Option(
            "--short", metavar="PATH=VALUE",
            help="Makes a run short, e.g. horizon_s=2h: points that do worse there than the median are dropped. May be repeated.",
        ),
    ] = None,
    finalists: Annotated[int, typer.Option("--finalists", help="Points that are run again on fresh draws.")] = 5,
    final_replications: Annotated[int, typer.Option("--final-replications", help="Fresh draws for the final comparison.")] = 10,
    defaults: Annotated[
        bool, typer.Option("--defaults/--no-defaults", help="Compare with all shipped defaults, or with the scenario's own policies only.")
    ] = True,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="URL", help="Keep the search in an SQLite file or PostgreSQL, to go on.")
    ] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="NAME", help="The search's name in --storage.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Runs at once (default: one for each processor).")] = None,
    backend: BackendOption = BackendName.PROCESSES,
    settings: SetOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write ready bundles, all points and a picture here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder --out if it exists.")] = False,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:  # fmt: skip
    """Search the policies of a scenario. Exit status 0: done, whether something better was found or not; 2: bad usage or input."""
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.experiments.tuning.bundles import write_tuning  # noqa: PLC0415
    from forge1sim.experiments.tuning.proof import Draws  # noqa: PLC0415
    from forge1sim.experiments.tuning.tune import tune as search  # noqa: PLC0415

    if out is not None:
        check_free(out, force=force)
    allow_for_workers(policy_folders, data_folders)
    seed = load(scenario, settings, seed=seed).seed
    with _progress(quiet) as on_progress:
        tuning = search(
            Ask(scenario=str(scenario), overrides=tuple(settings or ()), seed=seed), space,
            minimize=minimize or (), maximize=maximize or (), subject_to=subject_to or (),
            trials=trials, replications=replications, batch=batch, search_on=search_on or (), short=short or (),
            defaults=defaults, draws=Draws(finalists=finalists, proof=final_replications), storage=storage, study=study,
            workers=workers, backend=backend.value, on_progress=on_progress,
        )  # fmt: skip
    if out is not None:
        with result_folder(out, force=force) as folder:
            write_tuning(tuning, folder)
            (folder / MARK).write_text(to_json(tuning.as_json()), encoding="utf-8")
    if as_json:
        print_json(tuning.as_json())
    else:
        _print(tuning, no_color)
    hint(_next_command(tuning, out, storage), quiet=quiet)


@contextmanager
def _progress(quiet: bool) -> Iterator["Callable[[Progress], None] | None"]:
    """A bar on standard error with the best so far and the time left."""
    if quiet:
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[best]}"))
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(now: "Progress") -> None:
            best = "" if now.best is None else f"best: point {now.best.number}, {abs(now.best.losses[0]):.6g}"
            if now.stage not in tasks:
                tasks[now.stage] = bars.add_task(now.stage, total=now.total, best="")
            bars.update(tasks[now.stage], completed=now.done, total=now.total, best=best)

        yield show


def _print(tuning: "Tuning", no_color: bool) -> None:
    """The front, or the best points of one objective; then what was proved."""
    single = len(tuning.plan.objectives) == 1
    feasible = sorted((one for one in tuning.found if one.feasible), key=lambda one: one.rank)
    shown = feasible[:MOST_ROWS] if single else tuning.front[:MOST_ROWS]
    numbers = list(dict.fromkeys([one.column for one in tuning.plan.objectives] + [one.column for one in tuning.plan.constraints]))
    rows = [
        [one.number, "yes" if one.reference else "", *(one.outcome[number] for number in numbers), tuning.changes(one)] for one in shown
    ]
    title = f"{'best' if single else 'Pareto front'}: {len(rows)} of {len(tuning.found)} points"
    print_table(("point", "shipped", *numbers, "policies that differ"), rows, title=title, no_color=no_color)
    for sentence in tuning.sentences:
        print(sentence)


def _next_command(tuning: "Tuning", out: Path | None, storage: str | None) -> str:
    if out is not None:
        front = [f"point-{one.number}.yaml" for one in tuning.front[:1]]
        file = ["tuned.yaml"] if tuning.winner is not None else front or ["scenario.yaml"]
        return f"Next: forge1sim run {out / file[0]}"
    return "Next: the same with --out DIR, for ready bundles" + ("" if storage else ", and --storage FILE, to go on from here")
