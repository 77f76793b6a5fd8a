"""Figure of a forecast: what was recorded, bands by hour, and some paths."""

from typing import TYPE_CHECKING, Any

import numpy as np

from forge1sim.forecast.history import HOUR_S
from forge1sim.results.theme import LEGEND_ABOVE, MUTED, colour, figure, label

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from forge1sim.forecast.forecasts import Forecast

_PATHS_SHOWN = 3
_FILLS = ("rgba(0,114,178,0.16)", "rgba(0,114,178,0.30)")


def figure_of(made: "Forecast", measure: str) -> "go.Figure":
    """See `Forecast.figure`."""
    import plotly.graph_objects as go

    shown = figure(400)
    past = made.history.measures[measure]
    shown.add_trace(go.Scatter(y=past, name="recorded", line={"color": MUTED}, **_clock(made, made.history.start_us)))
    ahead = _clock(made, made.history.ends_us)
    bands = made.quantiles[measure]
    for depth, fill in enumerate(_FILLS[: len(made.levels) // 2]):
        low, high = _pair(made.levels, depth)
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", **ahead}
        shown.add_trace(go.Scatter(y=bands[low], showlegend=False, **edge))
        name = f"{made.levels[low]:.0%} to {made.levels[high]:.0%}"
        shown.add_trace(go.Scatter(y=bands[high], fill="tonexty", fillcolor=fill, name=name, **edge))
    paths = made.scenarios[measure]
    for number, place in enumerate(np.unique(np.linspace(0, len(paths) - 1, _PATHS_SHOWN).astype(int)), 1):
        line = {"color": colour(number), "width": 1}
        shown.add_trace(go.Scatter(y=paths[place], name=f"path {place + 1}", line=line, **ahead))
    words = measure.replace("_", " ")
    note = "; ".join(sentence.partition(":")[0].lower() for sentence in made.unidentified)
    title = f"{label(words)} an hour<br><sub>{label('not told by the data: ' + note, 140)}</sub>"
    shown.update_layout(title={"text": title, "y": 0.96, "yanchor": "top"}, margin_t=90, legend=LEGEND_ABOVE)
    shown.update_xaxes(title="" if made.history.dated else "hours from the data's own 0", type="date" if made.history.dated else "linear")
    shown.update_yaxes(title=f"{label(words)} an hour")
    return shown


def _clock(made: "Forecast", first_us: int) -> dict[str, Any]:
    """Where the hours of a line lie: dates in milliseconds, or hours."""
    if made.history.dated:
        return {"x0": first_us / 1e3, "dx": HOUR_S * 1e3}
    return {"x0": first_us / 1e6 / HOUR_S, "dx": 1}


def _pair(levels: tuple[float, ...], depth: int) -> tuple[int, int]:
    """Places of the widest (0) or next symmetric pair of levels."""
    pairs = [
        (low, high) for low, one in enumerate(levels) for high, other in enumerate(levels) if one < 0.5 and abs(one + other - 1) < 1e-9
    ]
    return pairs[min(depth * 2, len(pairs) - 1)] if pairs else (0, len(levels) - 1)
