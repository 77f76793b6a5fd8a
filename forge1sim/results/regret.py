"""How far a run's own policies and the shipped ones are from the best possible: what `regret.json` of its folder says.

`forge1sim.experiments.regret.add_regret` computes and writes it; run folders may be without.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forge1sim.errors import RunError
from forge1sim.metrics.store import read_json
from forge1sim.metrics.tables import Table
from forge1sim.results.theme import BAD_COLOUR, COLOURS, OTHER_COLOUR, figure, label, usd

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
REGRET = "regret.json"
_COLUMNS = {
    "served_ratio": "served_ratio", "quality_mean": "quality_mean", "cost_usd": "cost_usd", "bound_usd": "bound_usd",
    "floor_usd": "floor_usd", "regret_usd": "regret_usd", "regret_of_cost": "of_cost_ratio",
    "regret_of_controllable": "of_controllable_ratio",    "gap": "gap_ratio",
}  # fmt: skip
_REMEDY = "run the scenario again with --regret"
_WORTH_TELLING = 0.01       # of the bound: a gap that changes what the figures say


def has_regret(folder: Path) -> bool:
    """Whether regrets were computed for this run."""
    return (folder / REGRET).is_file()


def regret_table(folder: Path) -> Table:
    """A row for each policy, the least regret of what choices decide first; `is_own` marks the run's own.

    Columns in USD and, named `_ratio`, as shares, 0 to 1 (docs/regret.md). Raises RunError if the file is missing or broken.
    """
    path = folder / REGRET
    found = read_json(path)
    lines = found.get("lines") if isinstance(found, dict) else None
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise RunError(f"{path}: lines is not a list of policies with their regret; {_REMEDY}")
    names, own = [line.get("policy") for line in lines], found.get("own")
    if not all(isinstance(name, str) for name in names) or names.count(own) != 1:
        raise RunError(f"{path}: own is {own!r}, must be the policy of one of the lines; {_REMEDY}")
    table: Table = {"policy": np.array(names, np.str_)}
    for field, column in _COLUMNS.items():
        table[column] = np.array([_number(path, row, field, line.get(field)) for row, line in enumerate(lines)], np.float64)
    table["gap_ratio"] = table["gap_ratio"].round(6)        # less is the solver's rounding
    table["is_own"] = np.array([name == own for name in names], np.bool_)
    return table


def _number(path: Path, row: int, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RunError(f"{path}: lines[{row}].{field} is {value!r}, must be a number; {_REMEDY}")
    return float(value)


def distance_from_best(table: Table) -> Shown:
    """What each policy paid, cut into floor, the rest of the bound, and regret; and regret as a share of cost."""
    import plotly.graph_objects as go  # noqa: PLC0415

    names = [f"<b>{label(name)}</b>" if own else label(name) for name, own in zip(table["policy"], table["is_own"], strict=True)]
    titles = ["paid", "regret as a share"]
    made = figure(
        150 + 34 * len(names), columns=2, shared_yaxes=True, subplot_titles=titles, column_widths=[0.6, 0.4], horizontal_spacing=0.05
    )
    for part, values, shade in (
        ("cheapest answers, the floor", table["floor_usd"], OTHER_COLOUR),
        ("limits and quality, up to the bound", table["bound_usd"] - table["floor_usd"], COLOURS[0]),
        ("regret", table["regret_usd"], BAD_COLOUR),
    ):
        made.add_trace(
            go.Bar(x=np.maximum(0.0, values), y=names, orientation="h", name=part, marker_color=shade, textposition="none",
                   text=[usd(value) for value in values.tolist()], hovertemplate="%{y}: %{text}<extra>" + part + "</extra>"),
            row=1, col=1,
        )  # fmt: skip
    for part, column, symbol in (("of all cost", "of_cost_ratio", "circle"), ("of controllable cost", "of_controllable_ratio", "diamond")):
        made.add_trace(
            go.Scatter(x=np.maximum(0.0, table[column]), y=names, mode="markers", name=part, cliponaxis=False,
                       marker={"symbol": symbol, "size": 11, "color": BAD_COLOUR, "opacity": 1 if symbol == "diamond" else 0.55},
                       hovertemplate="%{y}: %{x:.1%}<extra>" + part + "</extra>"),
            row=1, col=2,
        )  # fmt: skip
    made.update_xaxes(tickprefix="$", tickformat=",.3~g", nticks=6, col=1)
    made.update_xaxes(tickformat=".0%", dtick=0.25, range=[-0.03, 1.03], col=2)
    made.update_yaxes(type="category", autorange="reversed", rangemode="normal")
    made.update_layout(barmode="stack", hovermode="closest", legend_traceorder="normal")
    return made, _sentence(table)


def _sentence(table: Table) -> str:
    """The finding in words: the own policies' distance, who is nearest, and how sure the bound is."""
    own = int(np.argmax(table["is_own"]))
    if not table["cost_usd"][own] > 0:
        return "The run's own policies paid nothing, and nothing can cost less."
    of_cost, of_choices = table["of_cost_ratio"], table["of_controllable_ratio"]
    paid, least = usd(float(table["cost_usd"][own])), usd(float(table["bound_usd"][own]))
    told = (
        f"This run's policies ({table['policy'][own]}) paid {paid}; whoever had known everything beforehand would have paid at least "
        f"{least} for these answers. The difference is {of_cost[own]:.1%} of what was paid and "
        f"{of_choices[own]:.1%} of what choices decide."
    )
    if len(of_choices) > 1:
        told += f" {_nearest(table, own)} Each policy has a bound of its own, by what it served and how well: compare regrets, not costs."
    widest = float(table["gap_ratio"].max())
    return told + (f" With better prices a bound might rise by up to {widest:.1%}." if widest >= _WORTH_TELLING else "")


def _nearest(table: Table, own: int) -> str:
    of_choices, quality = table["of_controllable_ratio"], table["quality_mean"]
    best = int(np.argmin(of_choices))
    if of_choices[best] >= of_choices[own]:
        return f"Of {len(of_choices)} compared, none comes nearer."
    return (
        f"Of {len(of_choices)} compared, {table['policy'][best]} comes nearest, with {of_choices[best]:.1%}; it paid "
        f"{usd(float(table['cost_usd'][best]))} at quality {quality[best]:.3f}, against {quality[own]:.3f}."
    )
