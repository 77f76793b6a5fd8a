"""`forge1sim check`: the independent checker on the event log of a run folder."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.output import JsonOption, NoColorOption, QuietOption, hint, print_json, print_table
from forge1sim.cli.result_folder import MARK
from forge1sim.errors import RunError

if TYPE_CHECKING:
    from forge1sim.check import Report
    from policies.bundle import PolicyBundle
    from policies.schema import Platform

FOUND_SOMETHING = 1


def check(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="A folder that `run --out` wrote with `--log`.")],
    no_refusals: Annotated[
        bool, typer.Option("--expect-no-refusals", help="Nothing goes wrong in this run: a provider's refusal for a limit is a finding.")
    ] = False,
    idle: Annotated[
        bool, typer.Option("--idle/--no-idle", help="Look for deployments that stand idle while somebody waits (slow where many wait).")
    ] = True,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, help="Stop after so many findings.")] = 100,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Check a run's event log against its rules. Exit status 0: nothing found; 1: a rule is broken; 2: bad input."""
    from forge1sim.check import check_log
    from forge1sim.metrics.log_file import LOG, read_log
    from forge1sim.metrics.store import read_json

    if not (folder / LOG).is_file():
        raise RunError(f"{folder / LOG}: no such file; run the scenario with --out {folder} --log")
    platform, bundle, start_us, estimated = _scenario(folder / "scenario.json")
    hint(f"Checking {folder / LOG} ...", quiet=quiet)
    report = check_log(
        read_log(folder / LOG), platform, bundle, start_us=start_us, expect_no_refusals=no_refusals,
        work_conservation=idle, estimated=estimated, most_findings=most,
    )  # fmt: skip
    rows = [
        {"rule": finding.rule, "row": finding.row, "time_us": finding.time_us, "message": finding.message}
        for finding in report.findings
    ]
    rows += _against_summary(report, read_json(folder / MARK)) if report.complete else []
    if as_json:
        print_json({"findings": rows, "complete": report.complete, "rows": report.rows, **_counts(report)})
    else:
        _print(rows, report, no_color)
    if rows:
        raise typer.Exit(FOUND_SOMETHING)


def _counts(report: "Report") -> dict[str, Any]:
    """What the checker counted itself, by the names of a run's summary."""
    requests = {
        "arrived": report.requests, "served": report.served, "rejected": report.rejected, "expired": report.expired,
        "cancelled": report.cancelled, "in_system": report.in_system,
    }  # fmt: skip
    return {"requests": requests, "refused_attempts": report.refused, "cost_usd": report.cost_nano_usd / 1e9}


def _against_summary(report: "Report", summary: Any) -> list[dict[str, Any]]:
    """Findings where the summary of the run says something else than its log."""
    counts = _counts(report)
    pairs = [(f"requests.{name}", summary.get("requests", {}).get(name), right) for name, right in counts["requests"].items()]
    wrong = [(name, seen, right) for name, seen, right in pairs if seen is not None and seen != right]
    seen = summary.get("cost_usd")
    if seen is not None and not math.isclose(seen, counts["cost_usd"], rel_tol=1e-9, abs_tol=1e-6):
        wrong.append(("cost_usd", seen, counts["cost_usd"]))
    return [
        {"rule": "summary", "row": -1, "time_us": -1, "message": f"{name} is {seen}, the log says {right}"} for name, seen, right in wrong
    ]


def _print(rows: list[dict[str, Any]], report: "Report", no_color: bool) -> None:
    if rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows], title="findings", no_color=no_color)
    counts = _counts(report)
    figures = [("rows", report.rows), *counts["requests"].items(), ("refused attempts", report.refused), ("cost_usd", counts["cost_usd"])]
    print_table(("checked", "count"), figures, no_color=no_color)
    if not report.complete:
        print("stopped early: too many findings")
    elif not rows:
        print("no rule is broken")


def _scenario(path: Path) -> "tuple[Platform, PolicyBundle, int, bool]":
    """What the run was given: platform, bundle, when it began, and whether the gateway had estimates only."""
    from datetime import datetime

    from pydantic import ValidationError

    from forge1sim.metrics.store import read_json
    from forge1sim.workload.spec import Estimation
    from policies.bundle import PolicyBundle
    from policies.schema import Platform

    written = read_json(path)
    try:
        platform = Platform.model_validate_json(json.dumps(written["platform"]))
        bundle = PolicyBundle.model_validate_json(json.dumps(written["policies"]))
        start_us = round(datetime.fromisoformat(written["start"]).timestamp() * 1_000_000)
        estimation = Estimation.model_validate_json(json.dumps(written["workload"].get("estimation", {})))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise RunError(f"{path}: is not the scenario of a run that this version wrote: {error}") from error
    return platform, bundle, start_us, not estimation.is_exact
