"""Figures over time. Each takes tables of a run and returns the figure and the sentence it shows."""

from typing import TYPE_CHECKING, Any

import numpy as np

from forge1sim.metrics.tables import Table
from forge1sim.results.theme import (
    COLOURS,
    LIMIT_COLOUR,
    add_faults,
    clock,
    coarser,
    colour,
    figure,
    label,
    names_in,
    seconds,
    short,
    time_axis,
    wide,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_MOST_PROVIDERS = 6
_LOAD_POINTS = 180
_NO_LINE = {"line": {"width": 0}, "hoverinfo": "skip"}
_BAND: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("min", "lowest to highest interval", _NO_LINE),
    ("max", "lowest to highest interval", {**_NO_LINE, "fill": "tonexty", "fillcolor": "rgba(86,180,233,0.35)"}),
    ("mean", "mean load", {"line": {"color": COLOURS[0], "width": 1.5}}),
)
_MOST_HEAT_ROWS, _MOST_HEAT_COLUMNS = 40, 168
_UNITS = {
    "requests_per_min": "requests per minute",
    "tokens_per_min": "tokens per minute",
    "in_flight": "requests in flight",
}


def _span(starts_us: Any, step: int) -> str:
    length_s = (starts_us[1] - starts_us[0]) / 1e6 * step if len(starts_us) > 1 else 60.0
    return seconds(float(length_s))


def _tightest(table: Table, mine: Any) -> tuple[str, float]:
    """The limit that a provider comes closest to, and how close (NaN if it has none)."""
    best, share = "requests_per_min", float("nan")
    for unit in _UNITS:
        limits = table[f"{unit}_limit"][mine]
        bounded = np.isfinite(limits) & (limits > 0)
        peak = float((table[unit][mine][bounded] / limits[bounded]).max(initial=-1.0))
        if bounded.any() and not peak <= share:
            best, share = unit, peak
    return best, share


def load_against_capacity(providers: Table, marks: Table) -> Shown:
    """Load of each provider and what its active accounts allow, in the dimension that is tightest."""
    import plotly.graph_objects as go  # noqa: PLC0415

    loads = {name: _tightest(providers, providers["provider"] == name) for name in names_in(providers, "provider")}
    shown = sorted(loads, key=lambda name: -np.nan_to_num(loads[name][1], nan=-1.0))[:_MOST_PROVIDERS]
    titles = [
        f"{label(name)}: {_UNITS[loads[name][0]]}"
        + (f", at most {loads[name][1]:.0%} of the limit" if np.isfinite(loads[name][1]) else ", no limit")
        for name in shown
    ]
    rows = max(1, len(shown))
    made = figure(90 + 170 * rows, rows=rows, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.28 / rows)
    step, starts = 1, np.zeros(0, np.int64)
    for row, name in enumerate(shown, start=1):
        mine, unit = providers["provider"] == name, loads[name][0]
        starts = providers["start_us"][mine]
        loads_seen = providers[unit][mine].astype(np.float64)
        limit, step = coarser(providers[f"{unit}_limit"][mine].astype(np.float64), "mean", _LOAD_POINTS)
        at = time_axis(starts, step)
        for how, means, look in _BAND:
            load, _ = coarser(loads_seen, how, _LOAD_POINTS)
            made.add_trace(
                go.Scatter(y=load.astype(np.float32), **at, name=means, legendgroup=means, showlegend=row == 1 and how != "min", **look),
                row=row, col=1,
            )  # fmt: skip
        if np.isfinite(limit).all():
            line = {"color": LIMIT_COLOUR, "width": 2, "dash": "dash", "shape": "hv"}
            made.add_trace(
                go.Scatter(y=limit.astype(np.float32), **at, name="limit of active accounts", line=line,
                           legendgroup="limit", showlegend=row == 1),
                row=row, col=1,
            )  # fmt: skip
    made.update_xaxes(type="date")
    add_faults(made, marks, rows)
    return made, _load_sentence(shown, loads, starts, step)


def _load_sentence(shown: list[str], loads: dict[str, tuple[str, float]], starts: Any, step: int) -> str:
    if not shown or not np.isfinite(loads[shown[0]][1]):
        return "No provider has a limit on requests, tokens or requests in flight."
    unit, share = loads[shown[0]]
    left_out = f" The {_MOST_PROVIDERS} fullest of {len(loads)} providers are shown." if len(loads) > len(shown) else ""
    over = "A limiter that was full lets a little more than its limit pass in one minute. " if 1 < share < 2 else ""
    return (
        f"{shown[0]} comes closest to its limit: {share:.0%} of its {_UNITS[unit]}. {over}"
        f"Tokens are those reserved at dispatch. "
        f"Each point is the mean over {_span(starts, step)}, the band its lowest and highest interval.{left_out}"
    )


def queue_over_time(tiers: Table, marks: Table) -> Shown:
    """Requests waiting by tier, stacked in order of priority as the scenario gives them."""
    import plotly.graph_objects as go  # noqa: PLC0415

    names = names_in(tiers, "tier")
    starts = tiers["start_us"][tiers["tier"] == names[0]][:-1]
    waiting, step = coarser(wide(tiers, "waiting_mean", "tier", names)[:-1], "mean", 360)
    made = figure(330)
    for row, name in enumerate(names):
        made.add_trace(
            go.Scatter(y=waiting[:, row].astype(np.float32), **time_axis(starts, step), name=label(name), stackgroup="all",
                       line={"width": 1, "color": colour(row)})
        )  # fmt: skip
    made.update_xaxes(type="date")
    made.update_yaxes(title="requests waiting")
    add_faults(made, marks)
    most = tiers["waiting_max"].reshape(-1, len(names))
    if not most.max(initial=0):
        return made, "No request ever waited in a queue."
    interval, tier = np.unravel_index(int(most.argmax()), most.shape)
    when = clock(int(tiers["start_us"][interval * len(names)]))
    return made, (
        f"The longest queue of a tier was {short(float(most.max()))} requests of {names[tier]}, at {when} UTC. "
        f"The figure shows means over {_span(starts, step)}."
    )


def rejections_over_time(codes: Table, marks: Table) -> Shown:
    """Requests rejected by reason, and attempts that providers refused by class (429 and others)."""
    import plotly.graph_objects as go  # noqa: PLC0415

    kinds = (("rejected_", "requests rejected, by reason"), ("refused_", "attempts refused by providers, by class"))
    made = figure(460, rows=2, shared_xaxes=True, subplot_titles=[title for _, title in kinds], vertical_spacing=0.12)
    starts, totals, step = codes["start_us"][:-1], [], 1
    for panel, (prefix, _) in enumerate(kinds, start=1):
        columns = [name for name in codes if name.startswith(prefix)]
        totals.append({name.removeprefix(prefix): int(codes[name].sum()) for name in columns})
        for row, name in enumerate(columns):
            counts, step = coarser(codes[name][:-1].astype(np.float64), "sum", 180)
            made.add_trace(
                go.Scatter(y=counts.astype(np.float32), **time_axis(starts, step), stackgroup=prefix,
                           name=label(name.replace("_", ": ", 1).replace("_", " ")),
                           line={"width": 1, "shape": "hv", "color": colour(row + 5 * panel)}),
                row=panel, col=1,
            )  # fmt: skip
    made.update_xaxes(type="date")
    add_faults(made, marks, 2)
    rejected, refused = (_most_of(total) for total in totals)
    return made, f"Rejected: {rejected}. Refused attempts: {refused}. Counts for every {_span(starts, step)}."


def _most_of(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "none"
    most = max(counts, key=lambda name: counts[name])
    return f"{total:,}, most often for {most.replace('_', ' ')} ({counts[most] / total:.0%})"


def utilization_heat_map(deployments: Table) -> Shown:
    """How full each deployment's tightest limit is, in the busiest minute of each hour or longer."""
    import plotly.graph_objects as go  # noqa: PLC0415

    names = names_in(deployments, "deployment")
    starts = deployments["start_us"][:: max(1, len(names))][:-1]
    use = deployments["utilization"].reshape(-1, max(1, len(names)))[:-1].astype(np.float64)
    length_us = int(starts[1] - starts[0]) if len(starts) > 1 else 60_000_000
    columns = min(_MOST_HEAT_COLUMNS, max(24, -(-len(starts) * length_us // 3_600_000_000)))
    use, step = coarser(use, "max", columns)
    order = np.argsort(-use.max(axis=0, initial=0.0), kind="stable")[:_MOST_HEAT_ROWS][::-1]
    made = figure(max(220, 110 + 18 * len(order)))
    at = time_axis(starts, step)
    at["x0"] += at["dx"] / 2  # cells are placed by their middle
    made.add_trace(
        go.Heatmap(z=(100 * use[:, order].T).astype(np.float32), y=[label(names[row], 40) for row in order], **at,
                   zmin=0, zmax=100, colorscale="Cividis", hovertemplate="%{y}<br>%{x}<br>%{z:.0f} %<extra></extra>",
                   colorbar={"title": {"text": "% of limit"}, "thickness": 12})
    )  # fmt: skip
    made.update_xaxes(type="date")
    made.update_yaxes(type="category", rangemode="normal")
    made.update_layout(hovermode="closest")
    full = int((use.max(axis=0, initial=0.0) >= 0.9).sum())
    left_out = f" The {_MOST_HEAT_ROWS} fullest are shown." if len(names) > _MOST_HEAT_ROWS else ""
    return made, (
        f"{full} of {len(names)} deployments reach 90 % of their tightest limit. "
        f"Each cell is the busiest minute within {_span(starts, step)}.{left_out}"
    )
