"""`forge1sim run`: simulate a scenario and say what would happen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import allow_for_workers, load
from forge1sim.cli.output import (
    BlockOption,
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    counting_hints,
    hint,
    print_json,
    print_table,
    to_json,
)
from forge1sim.cli.result_folder import MARK, check_free, result_folder
from forge1sim.errors import RunError

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario

SLO_MISSED = 1
# What people read first; `--json` and the report have every figure.
_COLUMNS = {
    "tiers": (
        "tenants", "arrived", "served", "rejected", "expired", "cancelled", "wait_p50_s", "wait_p95_s", "latency_p95_s",
        "quality_mean", "cost_usd", "satisfaction",
    ),
    "accounts": (
        "provider", "attempts", "served", "rate_limited", "wait_p95_s", "mean_busiest_minute_utilization",
        "peak_utilization", "cost_usd",
    ),
}  # fmt: skip
Progress = Callable[[float, int, int], None]
"""Called with the share done (0 to 1), the simulated time in microseconds, and the requests so far."""


class Driver(StrEnum):
    """Which clock runs the gateway. Both give the same log."""

    SIMPY = "simpy"
    COMPILED = "compiled"


def run(
    scenario: ScenarioArgument,
    driver: Annotated[Driver, typer.Option(help="compiled is fast, simpy is the reference; the log is the same.")] = (
        Driver.COMPILED
    ),
    seed: SeedOption = None,
    settings: SetOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write tables and a report to this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the run folder --out if it exists.")] = False,
    explain: Annotated[
        int | None, typer.Option("--explain", metavar="REQUEST", min=0, help="Print the life of one request, by its number.")
    ] = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="Keep the event log in --out.")] = False,
    with_regret: Annotated[
        bool, typer.Option("--regret", help="Add to --out how far these and all shipped policies are from the least possible cost.")
    ] = False,
    block_s: BlockOption = None,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Simulate a scenario. Exit status 0: SLOs met; 1: an SLO missed; 2: bad usage or input."""
    if out is not None:
        check_free(out, force=force)
    _demand_sense(with_regret, block_s, out)
    loaded = load(scenario, settings, seed=seed, policy_folders=policy_folders, data_folders=data_folders)
    _say_if_cold(driver, quiet)
    if explain is not None:
        _explain(loaded, driver, explain, as_json)
        return
    with result_folder(out, force=force) if out else nullcontext() as folder:
        summary = _simulate(loaded, driver, folder, log, quiet)
        if folder is not None:
            (folder / MARK).write_text(to_json(summary), encoding="utf-8")
            (folder / "scenario.json").write_text(loaded.resolved_json(), encoding="utf-8")
            if with_regret:
                allow_for_workers(policy_folders, data_folders)
                _add_regret(folder, loaded, driver, block_s, quiet)
    if as_json:
        print_json(summary)
    else:
        _print_summary(summary, no_color)
    hint(_next_command(scenario, loaded, out), quiet=quiet)
    if not all(slo["met"] for slo in summary["slos"]):
        raise typer.Exit(SLO_MISSED)


def _simulate(loaded: "LoadedScenario", driver: Driver, out: Path | None, keep_log: bool, quiet: bool) -> dict[str, Any]:
    """Run, and return the summary with what identifies the run."""
    from forge1sim.run import simulate  # noqa: PLC0415

    with _progress(loaded.name, quiet) as on_progress:
        result = simulate(
            loaded, driver=driver.value, seed=loaded.seed, on_progress=on_progress, out=out, keep_log=keep_log
        )
    identity = {
        "scenario": loaded.name,
        "driver": driver.value,
        "seed": loaded.seed,
        "scenario_sha256": loaded.hash,
        "bundle_sha256": loaded.bundle_hash,
    }
    return {**identity, **result.summary, "slos": list(result.slos)}


def _demand_sense(with_regret: bool, block_s: float | None, out: Path | None) -> None:
    """What --regret cannot do is told before the simulation."""
    if with_regret and out is None:
        raise RunError("--regret adds to the report of a run folder, and there is none; name one with --out DIR")
    if block_s is not None and not with_regret:
        raise RunError(f"--block-s {block_s:g}: cuts time for --regret, which is not asked for; add it or leave this out")
    if with_regret:
        from forge1sim.experiments.clairvoyant import check_block_s  # noqa: PLC0415

        check_block_s(block_s)


def _add_regret(folder: Path, loaded: "LoadedScenario", driver: Driver, block_s: float | None, quiet: bool) -> None:
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.experiments.regret import add_regret  # noqa: PLC0415

    ask = Ask(scenario=str(loaded.path), overrides=tuple(loaded.overrides), seed=loaded.seed, driver=driver.value)
    add_regret(folder, ask, block_s=block_s, on_progress=counting_hints(quiet))


def _say_if_cold(driver: Driver, quiet: bool) -> None:
    """Say what the first run waits for: tens of seconds of compilation."""
    from forge1sim.compile_ahead import is_compiled  # noqa: PLC0415

    if not is_compiled(driver.value):
        hint("Compiling the policies for this machine; this happens once and takes up to a minute.", quiet=quiet)


def _explain(loaded: "LoadedScenario", driver: Driver, request: int, as_json: bool) -> None:
    from forge1sim.run import explain  # noqa: PLC0415

    lines = explain(loaded, driver.value, loaded.seed, request)
    if as_json:
        print_json({"request": request, "life": lines})
    else:
        print("\n".join(lines))


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Progress]:
    """A bar on standard error with the simulated time and the time left."""
    if quiet:
        yield lambda _share, _time_us, _requests: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=1.0, now="")

        def show(share: float, time_us: int, requests: int) -> None:
            moment = datetime.fromtimestamp(time_us / 1_000_000, tz=UTC)
            bar.update(task, completed=share, now=f"{moment:%Y-%m-%d %H:%M}, {requests:,} requests")

        yield show


def _print_summary(summary: dict[str, Any], no_color: bool) -> None:
    print_table(("requests", "count"), summary["requests"].items(), no_color=no_color)
    for part in _COLUMNS:
        _print_part(part, summary[part], no_color)
    if summary["slos"]:
        columns = ("name", "tier", "metric", "value", "at_least", "at_most", "met")
        rows = [[slo.get(column) for column in columns] for slo in summary["slos"]]
        print_table(columns, rows, title="promises", no_color=no_color)
    figures = ("cost_usd", "seconds", "driver", "seed", "event_log_sha256", "scenario_sha256")
    print_table(("run", summary["scenario"]), [(figure, summary[figure]) for figure in figures], no_color=no_color)


def _print_part(part: str, entries: dict[str, dict[str, Any]], no_color: bool) -> None:
    """The main figures of each tier or account."""
    if entries:
        columns = [column for column in _COLUMNS[part] if any(column in figures for figures in entries.values())]
        lines = [[name, *(figures.get(column) for column in columns)] for name, figures in entries.items()]
        print_table((part, *(column.replace("_", " ") for column in columns)), lines, no_color=no_color)


def _next_command(scenario: Path, loaded: "LoadedScenario", out: Path | None) -> str:
    if out is None:
        return f"Next: forge1sim run {scenario} --out runs/{loaded.name.replace(' ', '-')}"
    return f"Next: forge1sim run {scenario} --set PATH=VALUE --out {out}-2 && forge1sim diff {out} {out}-2"
