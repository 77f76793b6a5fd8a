"""Figures of a sweep: a number over one field, with intervals, or over two, as colours."""

from typing import TYPE_CHECKING, Any

import numpy as np

from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import measure_named
from forge1sim.results.theme import colour, figure, label
from forge1sim.scenario.problems import nearest, shown_value

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from forge1sim.experiments.sweeps import Sweep
    from forge1sim.statistics import Interval


def figure_of(done: "Sweep", measure: str, where: dict[str, Any]) -> "go.Figure":
    """See `Sweep.figure`."""
    means, points = done.means(measure), done.points()
    for name, value in where.items():
        if name not in done.varied:
            raise ExperimentError(f"where: {shown_value(name)} is no field of this sweep; {nearest(name, done.varied, 'fields')}")
        if value not in [point[name] for point in points]:
            known = ", ".join(dict.fromkeys(str(point[name]) for point in points))
            raise ExperimentError(f"where: {name} is never {shown_value(value)}; it is {known[:200]}")
    shown = [place for place, point in enumerate(points) if all(point[name] == value for name, value in where.items())]
    free = [name for name in done.varied if name not in where]
    if not 1 <= len(free) <= 2:
        raise ExperimentError(
            f"a figure has one or two fields, here are {len(free)} ({', '.join(free) or 'none'}); "
            "leave one or two by where={field: value}"
        )
    title = _title(measure)
    picked, spots = [means[place] for place in shown], [points[place] for place in shown]
    if len(free) == 1:
        return _over_one(free[0], [spot[free[0]] for spot in spots], picked, title, lines=not done.random)
    return _over_two(free, spots, np.array([mean.value for mean in picked]), title, drawn=done.random)


def _over_one(name: str, values: list[Any], means: "list[Interval]", title: str, *, lines: bool) -> "go.Figure":
    import plotly.graph_objects as go

    made = figure(380)
    bars = [mean.half_width if mean.trusted else None for mean in means]
    made.add_trace(
        go.Scatter(
            x=values, y=[mean.value for mean in means], mode="lines+markers" if lines else "markers", line={"color": colour(0)},
            error_y={"type": "data", "array": bars, "thickness": 1.2, "width": 4}, name=title,
            customdata=[[mean.count] for mean in means], hovertemplate="%{y:.4g} (%{customdata[0]} runs)<extra></extra>",
        )
    )  # fmt: skip
    note = "bars: 95% intervals over the seeds" if any(bar is not None for bar in bars) else "one run a point says nothing of chance"
    made.update_layout(title={"text": f"{title}<br><sub>{note}</sub>"}, showlegend=False, margin_t=60)
    made.update_xaxes(title=label(name, 60))
    made.update_yaxes(title=title)
    return made


def _over_two(names: list[str], spots: list[dict[str, Any]], values: Any, title: str, *, drawn: bool) -> "go.Figure":
    import plotly.graph_objects as go

    made = figure(420)
    across, up = ([spot[name] for spot in spots] for name in names)
    bar = {"title": {"text": title, "side": "right"}}
    if drawn:
        marker = {"color": values, "colorscale": "Cividis", "colorbar": bar, "size": 11}
        told = "%{customdata:.4g}<extra></extra>"
        trace = go.Scatter(x=across, y=up, mode="markers", marker=marker, customdata=values, hovertemplate=told)
    else:
        columns, rows = list(dict.fromkeys(across)), list(dict.fromkeys(up))
        cells = np.full((len(rows), len(columns)), np.nan)
        for x, y, value in zip(across, up, values, strict=True):
            cells[rows.index(y), columns.index(x)] = value
        trace = go.Heatmap(x=[str(x) for x in columns], y=[str(y) for y in rows], z=cells, colorscale="Cividis", colorbar=bar)
        made.update_xaxes(type="category")
        made.update_yaxes(type="category")
    made.add_trace(trace)
    made.update_layout(title={"text": f"{title}<br><sub>mean over the seeds</sub>"}, hovermode="closest", margin_t=60)
    made.update_xaxes(title=label(names[0], 60))
    made.update_yaxes(title=label(names[1], 60), rangemode="normal")
    return made


def _title(measure: str) -> str:
    """`enterprise: wait p95`; the name itself where the number is no measure."""
    tier, known = measure_named(measure)
    return label(f"{tier}: {known.title}" if known else measure, 60)
