"""`forge1sim sensitivity`: which fields of a scenario move a number most."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    counting_bar,
    hint,
    print_json,
    print_table,
    to_json,
)
from forge1sim.cli.result_folder import MARK, check_free, result_folder

if TYPE_CHECKING:
    from forge1sim.experiments.sensitivity import Sensitivity


def sensitivity(
    scenario: ScenarioArgument,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", metavar="PATH=LOW:HIGH", help="What moves: accounts.openai.count=2:6:int. Two or more."),
    ] = None,
    numbers: Annotated[
        list[str] | None, typer.Option("--number", metavar="NUMBER", help="What is looked at (default: all.cost_usd). May be repeated.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="morris ranks with few runs, sobol shares out the variance.")] = "morris",
    samples: Annotated[int, typer.Option("--samples", help="Times the number of fields, about, for the runs; of sobol a power of 2.")] = 8,
    replications: Annotated[int, typer.Option("--replications", help="Draws for each point, the same for all.")] = 2,
    workers: Annotated[int | None, typer.Option("--workers", help="Runs at once (default: one for each processor).")] = None,
    backend: BackendOption = BackendName.PROCESSES,
    settings: SetOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the table and tornado charts here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder --out if it exists.")] = False,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Screen fields of a scenario over ranges. Exit status 0: done; 2: bad usage or input."""
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.experiments.sensitivity import sensitivity as screen  # noqa: PLC0415

    if out is not None:
        check_free(out, force=force)
    allow_for_workers(policy_folders, data_folders)
    seed = load(scenario, settings, seed=seed).seed
    with counting_bar("runs", quiet=quiet) as on_done:
        found = screen(
            Ask(scenario=str(scenario), overrides=tuple(settings or ()), seed=seed), ranges or (), numbers or ("all.cost_usd",),
            method=method, samples=samples, replications=replications, seed=seed, workers=workers, backend=backend.value, on_done=on_done,
        )  # fmt: skip
    rows = found.frame().to_dict("records")
    if out is not None:
        with result_folder(out, force=force) as folder:
            _write(found, folder)
            (folder / MARK).write_text(to_json({"runs": found.runs, "method": found.method, "fields": rows}), encoding="utf-8")
    if as_json:
        print_json({"runs": found.runs, "method": found.method, "base": {one: found.base[one] for one in found.columns}, "fields": rows})
    else:
        columns = [str(column) for column in rows[0]]
        print_table(columns, [[row[column] for column in columns] for row in rows], title=f"{method}, {found.runs} runs", no_color=no_color)
        for column in found.columns:
            print(found.tornado(column)[1])
    if out is None:
        hint("Next: the same with --out DIR, for tornado charts", quiet=quiet)


def _write(found: "Sensitivity", folder: Path) -> None:
    frame = found.frame()
    frame.to_parquet(folder / "fields.parquet", index=False)
    frame.to_csv(folder / "fields.csv", index=False)
    for column in found.columns:
        chart, sentence = found.tornado(column)
        chart.update_layout(title=sentence)
        chart.write_html(folder / f"tornado-{column}.html", include_plotlyjs=True)
