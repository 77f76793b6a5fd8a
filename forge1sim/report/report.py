"""`write_report`: one HTML file from a run folder. It opens offline and asks the network for nothing."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forge1sim.errors import RunError
from forge1sim.report import page
from forge1sim.report.assets import SCRIPT, STYLE
from forge1sim.results.bottleneck import explain_bottleneck
from forge1sim.results.cards import promises, tier_cards, verdict
from forge1sim.results.figures import figures_of
from forge1sim.results.read import RunFolder, read_run

REPORT = "report.html"


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a finished run folder and return its path.

    Raises RunError if the folder is no finished run, holds a broken file, or cannot be written.
    """
    text = _render(read_run(run_folder))
    path = run_folder / REPORT
    unfinished = run_folder / f".{REPORT}.unfinished"
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _render(run: RunFolder) -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    manifest, summary = run.manifest, run.summary
    sections = "".join(page.section(number, one.title, one.draw(run), one.twin(run)) for number, one in enumerate(figures_of(run)))
    body = (
        _head(manifest, summary)
        + f'<p class="verdict">{page.text(verdict(run))}</p>'
        + page.cards(tier_cards(run))
        + "<h2>Promises</h2>"
        + page.slo_table(promises(run.slos))
        + "<h2>What was short</h2>"
        + page.bottleneck(explain_bottleneck(run))
        + sections
        + "<h2>Assumptions this rests on</h2>"
        + page.assumptions(manifest["assumptions"])
        + _origin(manifest, summary)
    )
    return page.page(f"{manifest['scenario']} \u2013 Forge1 Sim", body, SCRIPT, STYLE, get_plotlyjs())


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
