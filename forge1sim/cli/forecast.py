"""`forge1sim forecast`: demand of the coming hours, from what was recorded."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.output import JsonOption, NoColorOption, QuietOption, hint, print_json, print_table, shown, to_json
from forge1sim.cli.result_folder import MARK, check_free, result_folder
from forge1sim.errors import WorkloadError

if TYPE_CHECKING:
    from forge1sim.forecast import Forecast

_HOURS = {"h": 1, "d": 24, "w": 168}
_SHOWN_LEVELS = ("p05", "p50", "p95", "p99")


def forecast(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recorded trace, ServeGen arrivals, or a ledger (CSV, Parquet, JSONL).")],
    form: Annotated[
        str | None,
        typer.Option("--format", help="azure, burstgpt, mooncake, bailian, arena, servegen or ledger (default: told by its columns)."),
    ] = None,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DURATION", help="Hours, days or weeks ahead: 36h, 7d, 2w.")] = "7d",
    paths: Annotated[int, typer.Option("--paths", help="Sample paths to keep.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of the paths.", min=0)] = 0,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=NAME", help="What a ledger calls timestamp, requests, input_tokens ... May be repeated."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="FIELD=VALUE", help="Rows of this tenant or model alone. May be repeated.")
    ] = None,
    lengths: Annotated[Path | None, typer.Option("--lengths", metavar="FILE", help="Token quantiles of the ServeGen clients.")] = None,
    missing: Annotated[str, typer.Option("--missing", help="A minute or hour without a row in a ledger of counts: gap or zero.")] = "gap",
    backtest: Annotated[bool, typer.Option("--backtest", help="Also forecast from past moments and say how that went.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write tables, a figure, and each path as a workload.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder --out if it exists.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Forecast requests and tokens an hour: sample paths, bands, bursts. Exit status 0: done; 2: bad usage or input."""
    from forge1sim.forecast import backtest as look_back
    from forge1sim.forecast import forecast as look_ahead
    from forge1sim.forecast import read_history

    if out is not None:
        check_free(out, force=force)
    hours = _hours(horizon)
    history = read_history(
        file, format=form, columns=_pairs("--column", columns), only=_pairs("--only", only), lengths=lengths, missing_rows=missing
    )
    made = look_ahead(history, hours, paths=paths, seed=seed)
    summary = _summary(made)
    if backtest:
        past = look_back(history, hours, first_hours=max(72, hours))
        summary["backtest"] = {
            "origins": len(past.origins), "band_cover": past.band_cover,
            "pinball_over": {name: past.pinball_over(name) for name in past.origins[0].naive_pinball},
        }  # fmt: skip
    if out is not None:
        _write(made, summary, out, force=force)
    if as_json:
        print_json(summary)
    else:
        _print(summary, no_color)
    hint(f"Next: docs/forecast.md says how a scenario takes a path of {out}" if out else
         "Next: the same with --out DIR, for tables, a figure and paths that a scenario can take", quiet=quiet)  # fmt: skip


def _hours(horizon: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})\s*([hdw])", horizon.strip())
    if not found:
        raise WorkloadError(f"--horizon {horizon!r}: must be whole hours, days or weeks, as 36h, 7d or 2w")
    return int(found[1]) * _HOURS[found[2]]


def _pairs(option: str, settings: list[str] | None) -> dict[str, str]:
    pairs = {}
    for setting in settings or ():
        field, equals, value = setting.partition("=")
        if not (field and equals and value):
            raise WorkloadError(f"{option} {setting!r}: must be FIELD=NAME, as {option} tenant=acme")
        pairs[field] = value
    return pairs


def _summary(made: "Forecast") -> dict[str, Any]:
    """What `--json` prints; quantiles and paths are by hour, from `starts_us` on."""
    names = [f"p{level * 100:02g}" for level in made.levels]
    return {
        "source": made.history.source, "seed": made.seed, "dated": made.history.dated, "starts_us": int(made.starts_us[0]),
        "hours_seen": made.history.hours, "hours": made.hours, "paths": len(made.scenarios["requests"]),
        "unidentified": list(made.unidentified),
        "bursts": None if made.bursts is None else {
            "bin_s": made.bursts.bin_s, "hours": made.bursts.hours, "index_of_dispersion": made.bursts.index_of_dispersion,
            "peak_over_mean": _by_level(made.bursts.peak_over_mean),
        },
        "quantiles": {measure: dict(zip(names, rows.tolist(), strict=True)) for measure, rows in made.quantiles.items()},
        "scenarios": {measure: rows.tolist() for measure, rows in made.scenarios.items()},
    }  # fmt: skip


def _by_level(peaks: tuple[float, ...]) -> dict[str, float]:
    from forge1sim.forecast import BURST_LEVELS

    return {f"p{level * 100:02g}": peak for level, peak in zip(BURST_LEVELS, peaks, strict=True)}


def _write(made: "Forecast", summary: dict[str, Any], out: Path, *, force: bool) -> None:
    from forge1sim.forecast.files import write_forecast

    with result_folder(out, force=force) as folder:
        write_forecast(made, folder)
        for measure in made.scenarios:
            made.figure(measure).write_html(folder / f"{measure}.html", include_plotlyjs=True)
        (folder / MARK).write_text(to_json(summary), encoding="utf-8")


def _print(summary: dict[str, Any], no_color: bool) -> None:
    rows = [
        [measure.replace("_", " "), *(sum(bands[level]) / len(bands[level]) for level in _SHOWN_LEVELS), max(bands["p95"])]
        for measure, bands in summary["quantiles"].items()
    ]
    columns = ("an hour", *(f"{level}, mean hour" for level in _SHOWN_LEVELS), "p95, busiest hour")
    title = f"{summary['hours']} hours after the {summary['hours_seen']} of {summary['source']}"
    print_table(columns, rows, title=title, no_color=no_color)
    bursts = summary["bursts"]
    if bursts:
        peaks = ", ".join(f"{level} {shown(peak)}" for level, peak in bursts["peak_over_mean"].items())
        print(f"Bursts: index of dispersion {shown(bursts['index_of_dispersion'])} in {shown(bursts['bin_s'])} s; "
              f"busiest over mean {shown(bursts['bin_s'])} s of an hour: {peaks}")  # fmt: skip
    if "backtest" in summary:
        past = summary["backtest"]
        ratios = ", ".join(f"{shown(ratio)} of {name.replace('_', ' ')} repeated" for name, ratio in past["pinball_over"].items())
        print(f"Backtest: {past['origins']} origins, {past['band_cover']:.0%} of held-out hours in the 90% band, pinball loss {ratios}")
    print("What the data does not tell:")
    for sentence in summary["unidentified"]:
        print(f"- {sentence}")
