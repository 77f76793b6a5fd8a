"""A plan as files: the scenario that it makes, ready to simulate, the list of purchases, and everything as JSON."""

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

from forge1sim.ask import Ask
from forge1sim.planning.planned import Item, Planned, as_json
from forge1sim.report.export import safe_cell
from forge1sim.scenario.whole import whole_yaml

SCENARIO, PURCHASES, PLAN = "planned.yaml", "purchases.csv", "plan.json"
_COLUMNS = (
    "account", "provider", "usage_tier", "held", "planned", "change", "usd_per_month_each", "setup_usd", "act_by", "in_force_from",
    "permission", "one_fewer",
)  # fmt: skip


def write_plan(planned: Planned, ask: Ask, folder: Path) -> None:
    """Into an existing folder: `planned.yaml` extends nothing and has no terms, `purchases.csv` a row for each entry, `plan.json` all.

    Raises OSError.
    """
    head = f"# A plan for {planned.name}: {planned.options.shown(planned.plan)}\n"
    text = whole_yaml(Path(ask.scenario), (*ask.overrides, *planned.overrides))
    (folder / SCENARIO).write_text(head + text, encoding="utf-8")
    (folder / PURCHASES).write_text(purchases_csv(planned), encoding="utf-8")
    (folder / PLAN).write_text(json.dumps(as_json(planned), indent=2) + "\n", encoding="utf-8")


def purchases_csv(planned: Planned) -> str:
    """What to contract and what to give up, with the day by which to act so that it is in force when the scenario starts."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for one in planned.items:
        act_by, in_force = dates(planned, one)
        rows.writerow(safe_cell(cell) for cell in (
            one.name, one.provider, one.usage_tier or "", one.held, one.planned, one.change, one.usd_per_month,
            one.setup_usd * max(0, one.change), act_by, in_force, one.permission, one.one_fewer,
        ))  # fmt: skip
    for taken in planned.on_draws.taken:
        rows.writerow(safe_cell(cell) for cell in _commitment_row(planned, taken.name))
    return text.getvalue()


def _commitment_row(planned: Planned, name: str) -> tuple[str | int | float, ...]:
    """A commitment in the columns of purchases; to be signed by the start, unless it is held."""
    loaded = planned.options.loaded
    one = next(one for one in loaded.scenario.plan.commitments if one.name == name)
    start = "" if one.held else loaded.scenario.start.date().isoformat()
    words = f"{one.discount:.0%} off the tokens of {one.provider} for {one.months} months"
    held = int(one.held)
    return (f"commitment {name}", one.provider, "", held, 1, 1 - held, one.usd_per_month, 0.0, start, start, "", words)


def dates(planned: Planned, one: Item) -> tuple[str, str]:
    """By when to order, or to give notice, and when it takes effect; empty where nothing changes. ISO dates, UTC."""
    start = planned.options.loaded.scenario.start
    if one.change == 0:
        return "", ""
    days = one.lead_time_days if one.change > 0 else one.notice_days
    return (start - timedelta(days=days)).date().isoformat(), start.date().isoformat()
