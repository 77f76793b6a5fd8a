"""One look for all figures: font, margins, colours of tiers, and how names and numbers are written.

Backgrounds are transparent and the page gives text and lines the colours of its light or dark
mode. Tier colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#8C6BB1")
LIMIT_COLOUR = BAD_COLOUR = "#D55E00"
GOOD_COLOUR = "#0072B2"
OTHER_COLOUR = "#999999"
MUTED = "#7a828e"
INKS = {"light": "#3b434f", "dark": "#c4cbd6"}
PAPERS = {"light": "#ffffff", "dark": "#171614"}      # as Streamlit has them; a figure saved as PNG takes its paper along
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_POINTS = 240
LEGEND_ABOVE = {"y": 1.02, "yanchor": "bottom"}     # where the axis has a title below
_LONGEST_LABEL = 32


def colour(row: int) -> str:
    """Colour of the tier, provider or code in this row; the same wherever it appears."""
    return COLOURS[row % len(COLOURS)]


def label(name: object, longest: int = _LONGEST_LABEL) -> str:
    """A name from outside as figure text: printable, short, and nothing in it taken for markup."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(name))
    return html.escape(text if len(text) <= longest else text[: longest - 1] + "\u2026", quote=False)


def short(value: float) -> str:
    """A number with three digits that matter and a thousands separator: 0.0123, 12.3, 12,346."""
    if not np.isfinite(value):
        return "unlimited" if value > 0 else "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"


def seconds(value: float) -> str:
    """A duration in the unit that suits it: 0 s, 35 ms, 2.4 s, 3.1 min, 2 h."""
    if not np.isfinite(value):
        return "not measured"
    if value < 1e-3:
        return "0 s" if value == 0 else "under 1 ms"
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    if value < 120:
        return f"{value:.3g} s"
    return f"{value / 60:.3g} min" if value < 3600 else f"{value / 3600:,.4g} h"


def inked(made: "go.Figure", background: str | None) -> "go.Figure":
    """A copy of a figure whose texts stand out on a `light` or `dark` background; as it is where that is not known."""
    import plotly.graph_objects as go  # noqa: PLC0415

    if background not in INKS:
        return made
    copy = go.Figure(made)
    copy.update_layout(font_color=INKS[background], paper_bgcolor=PAPERS[background])
    copy.update_traces(textfont={"color": INKS[background], "shadow": "none"}, selector={"type": "sankey"})
    return copy


def clock(moment_us: int, after: int | None = None) -> str:
    """A moment as `2026-11-02 11:15` (UTC); of the same day as `after`, the time alone."""
    moment = datetime.fromtimestamp(moment_us / 1e6, tz=UTC)
    same_day = after is not None and datetime.fromtimestamp(after / 1e6, tz=UTC).date() == moment.date()
    return f"{moment:%H:%M}" if same_day else f"{moment:%Y-%m-%d %H:%M}"


def usd(value: float) -> str:
    """Money with its sign before the currency: $1,551, -$12.3."""
    return f"-${short(-value)}" if value < 0 else f"${short(value)}"


def template() -> Any:
    """The Plotly template of every figure."""
    import plotly.graph_objects as go  # noqa: PLC0415

    axis = {"gridcolor": "rgba(128,136,148,0.25)", "zeroline": False, "linecolor": MUTED, "automargin": True}
    layout = go.Layout(
        font={"family": FONT, "size": 13, "color": MUTED}, colorway=list(COLOURS),
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 56, "r": 16, "t": 34, "b": 40}, hovermode="x unified",
        legend={"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "top"},
        xaxis=axis, yaxis={**axis, "rangemode": "tozero"},
    )  # fmt: skip
    return go.layout.Template(layout=layout)


def figure(height: int = 320, rows: int = 1, columns: int = 1, **options: Any) -> "go.Figure":
    """An empty figure of the house, with subplots if asked for."""
    from plotly.subplots import make_subplots  # noqa: PLC0415

    made = make_subplots(rows=rows, cols=columns, **options)
    below_axis = -46 / max(60, height - 74)  # legends are placed in plot heights
    made.update_layout(template=template(), height=height, legend_y=below_axis)
    made.update_annotations(font={"size": 13})
    return made


def wide(table: Table, column: str, by: str, names: list[str]) -> NDArray[np.float64]:
    """Column of a table that has a row for each time and name, as shape (times, names)."""
    rows = [table[column][table[by] == name] for name in names]
    return np.stack(rows, axis=1).astype(np.float64) if rows else np.zeros((0, 0))


def names_in(table: Table, column: str) -> list[str]:
    """Distinct names of a column in the order in which they first appear."""
    return list(dict.fromkeys(table[column].tolist()))


def coarser(values: NDArray[np.float64], how: str, most: int = MOST_POINTS) -> tuple[NDArray[np.float64], int]:
    """At most `most` rows: `sum`, `mean`, `min` or `max` over so many neighbours, and how many those are."""
    step = max(1, -(-len(values) // most))
    starts = np.arange(0, len(values), step)
    if step == 1 or not len(values):
        return values, 1
    if how in ("min", "max"):
        extreme = np.minimum if how == "min" else np.maximum
        return extreme.reduceat(values, starts, axis=0), step
    sums = np.add.reduceat(values, starts, axis=0)
    counts = np.diff([*starts, len(values)]).reshape(-1, *[1] * (values.ndim - 1))
    return (sums if how == "sum" else sums / counts), step


def time_axis(starts_us: NDArray[np.int64], step: int) -> dict[str, Any]:
    """`x0` and `dx` of a scatter over equal intervals: two numbers instead of a column."""
    length_us = int(starts_us[1] - starts_us[0]) if len(starts_us) > 1 else 60_000_000
    first_us = int(starts_us[0]) if len(starts_us) else 0
    return {"x0": first_us / 1e3, "dx": step * length_us / 1e3}


def add_faults(shown: "go.Figure", marks: Table, rows: int = 1) -> None:
    """A band behind the lines for each planned fault, named at its top in the first row."""
    for place in np.flatnonzero(marks["is_fault"])[:12]:
        for row in range(1, rows + 1):
            shown.add_vrect(
                x0=int(marks["start_us"][place]) / 1e3, x1=int(marks["end_us"][place]) / 1e3, row=row, col=1,
                fillcolor=LIMIT_COLOUR, opacity=0.14, line_width=0,
            )  # fmt: skip
        shown.add_annotation(
            x=int(marks["start_us"][place]) / 1e3, y=1.0, xref="x", yref="y domain", showarrow=False, xanchor="left",
            yanchor="top", text=label(marks["label"][place]), font={"size": 11, "color": LIMIT_COLOUR},
        )  # fmt: skip
