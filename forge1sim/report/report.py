"""`write_report`: one HTML file from a run folder. It opens offline and asks the network for nothing."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forge1sim.errors import RunError
from forge1sim.metrics.store import SUMMARY, read_json, read_manifest, read_table
from forge1sim.metrics.tables import Table
from forge1sim.report import page
from forge1sim.report.assets import SCRIPT, STYLE
from forge1sim.results import by_part, flow, money, over_time

REPORT = "report.html"
_USED = (
    "tiers", "tenants", "flows", "tails", "marks", "tier_intervals", "deployment_intervals", "provider_intervals",
    "code_intervals",
)  # fmt: skip


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a finished run folder and return its path.

    Raises RunError if the folder is no finished run or cannot be written.
    """
    manifest, summary = read_manifest(run_folder), read_json(run_folder / SUMMARY)
    tables = {name: read_table(run_folder, name) for name in _USED}
    text = _render(manifest, summary, tables)
    path = run_folder / REPORT
    unfinished = run_folder / f".{REPORT}.unfinished"
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _render(manifest: Mapping[str, Any], summary: Mapping[str, Any], tables: Mapping[str, Table]) -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    slos = summary.get("slos", [])
    sections = "".join(
        page.section(number, title, shown, twin) for number, (title, shown, twin) in enumerate(_figures(tables))
    )
    body = (
        _head(manifest, summary)
        + f'<p class="verdict">{_verdict(slos)}</p>'
        + page.cards(summary["tiers"], slos)
        + "<h2>Promises</h2>"
        + page.slo_table(slos)
        + sections
        + "<h2>Assumptions this rests on</h2>"
        + page.assumptions(manifest["assumptions"])
        + _origin(manifest, summary)
    )
    return page.page(f"{manifest['scenario']} \u2013 Forge1 Sim", body, SCRIPT, STYLE, get_plotlyjs())


def _figures(tables: Mapping[str, Table]) -> list[tuple[str, over_time.Shown, Table]]:
    """Title, figure with sentence, and the table behind it, in the order of the page."""
    marks, tiers, tenants = tables["marks"], tables["tiers"], tables["tenants"]
    quantiles = [f"{measure}_{quantile}_s" for measure in ("wait", "latency") for quantile in ("p50", "p95", "p99")]
    costs = [
        "tier",
        "cost_nano_usd",
        "key_cost_nano_usd",
        "revenue_nano_usd",
        "margin_nano_usd",
        "cost_per_request_usd",
    ]
    loads, uses = tables["provider_intervals"], tables["deployment_intervals"]
    return [
        ("Load against capacity", over_time.load_against_capacity(loads, marks), loads),
        ("Wait and latency", by_part.wait_and_latency(tiers), _pick(tiers, ["tier", *quantiles])),
        ("How bad the tail is", by_part.tails(tables["tails"]), tables["tails"]),
        (
            "Rejections and refusals",
            over_time.rejections_over_time(tables["code_intervals"], marks),
            _without_zeros(tables["code_intervals"]),
        ),
        ("How full the limits are", over_time.utilization_heat_map(uses), uses),
        (
            "Who waits",
            over_time.queue_over_time(tables["tier_intervals"], marks),
            _pick(tables["tier_intervals"], ["start_us", "tier", "waiting_mean", "waiting_max", "in_system_mean"]),
        ),
        ("Cost", money.cost_by_tier_and_tenant(tiers, tenants), _pick(tiers, costs)),
        ("From tier to model to account", flow.answers_flow(tables["flows"]), tables["flows"]),
    ]


def _pick(table: Table, columns: list[str]) -> Table:
    return {name: table[name] for name in columns}


def _without_zeros(codes: Table) -> Table:
    """Only the intervals in which anything was rejected or refused."""
    counts = [column for name, column in codes.items() if name != "start_us"]
    some = sum(counts) > 0 if counts else codes["start_us"] < 0
    return {name: column[some] for name, column in codes.items()}


def _head(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    start = datetime.fromtimestamp(summary["start_us"] / 1e6, tz=UTC)
    requests = summary["requests"]
    ends = ", ".join(
        f"{requests[name]:,} {name.replace('_', ' ')}" for name in requests if name != "arrived" and requests[name]
    )
    return (
        f"<h1>{page.text(manifest['scenario'])}</h1>"
        f'<p class="soft">{requests["arrived"]:,} requests from {start:%Y-%m-%d %H:%M} UTC over '
        f"{page.text(_horizon(summary['horizon_s']))}: {page.text(ends or 'none')}. "
        f"One run, seed {manifest['seed']}, {page.text(manifest['driver'])} driver.</p>"
    )


def _horizon(horizon_s: float) -> str:
    for unit, length_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if horizon_s >= 2 * length_s:
            return f"{horizon_s / length_s:g} {unit}"
    return f"{horizon_s:g} s"


def _verdict(slos: list[Mapping[str, Any]]) -> str:
    if not slos:
        return "The scenario makes no promises, so there is nothing to pass or fail."
    kept = sum(bool(slo["met"]) for slo in slos)
    return f"{page.verdict_word(kept == len(slos))} {kept} of {len(slos)} promises held."


def _origin(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    law = summary["littles_law"]
    held = "equal to the microsecond" if law["equal"] else "NOT equal: please report this as a bug"
    known = {
        name: manifest[name] for name in ("scenario_sha256", "bundle_sha256", "event_log_sha256", "seed", "driver")
    }
    return (
        "<h2>Where it comes from</h2><p>This command makes the same run again:</p>"
        f"<pre>{page.text(manifest['command'])}</pre>"
        f"<p>Little's law: the integral of requests in the system and the time requests spent in it are {held} "
        f"({law['time_spent_us'] / 1e6:,.0f} s).</p>"
        f"<details><summary>Hashes and versions</summary><pre>{page.facts_json({**known, **manifest['versions']})}</pre></details>"
    )
