"""Figures of waits and latencies by tier. Each takes tables of a run and returns the figure and its sentence."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table
from forge1sim.results.theme import DASHES, OTHER_COLOUR, colour, figure, label, names_in, seconds

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_QUANTILES = (("p50", "circle"), ("p95", "diamond"), ("p99", "square"))
_FLOOR_S = 1e-3


def wait_and_latency(tiers: Table) -> Shown:
    """Half, 95 % and 99 % of the answers came within these times, by tier, on a logarithmic axis."""
    import plotly.graph_objects as go  # noqa: PLC0415

    measures = (("wait", "wait for a place"), ("latency", "arrival to answer"))
    count = len(tiers["tier"])
    made = figure(
        130 + 60 * count,
        columns=2,
        shared_yaxes=True,
        subplot_titles=[title for _, title in measures],
        horizontal_spacing=0.06,
    )
    for panel, (measure, _) in enumerate(measures, start=1):
        gap = 10 ** (0.16 * _decades(np.concatenate([tiers[f"{measure}_{quantile}_s"] for quantile, _ in _QUANTILES])))
        for row in range(count):
            values = [float(tiers[f"{measure}_{quantile}_s"][row]) for quantile, _ in _QUANTILES]
            made.add_trace(
                go.Scatter(
                    x=[max(value, _FLOOR_S) for value in values], y=[label(tiers["tier"][row])] * 3, mode="lines+markers+text",
                    marker={"symbol": [symbol for _, symbol in _QUANTILES], "size": 11, "color": colour(row)},
                    line={"color": colour(row), "width": 2}, text=_apart(values, gap), textposition="top center",
                    hovertext=[f"{quantile} {seconds(value)}" for (quantile, _), value in zip(_QUANTILES, values, strict=True)],
                    hoverinfo="text", showlegend=False,
                ),
                row=1, col=panel,
            )  # fmt: skip
    for quantile, symbol in _QUANTILES:
        made.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=quantile,
                                  marker={"symbol": symbol, "size": 11, "color": OTHER_COLOUR}))  # fmt: skip
    for panel, (measure, _) in enumerate(measures, start=1):
        columns = [tiers[f"{measure}_{quantile}_s"] for quantile, _ in _QUANTILES]
        made.update_xaxes(type="log", **_seconds_axis(np.concatenate(columns)), col=panel)
    made.update_yaxes(type="category", range=[count - 0.5, -0.8], rangemode="normal")
    made.update_layout(hovermode="closest")
    worst = tiers["wait_p95_s"]
    if not np.isfinite(worst).any():
        return made, "No request was answered."
    row = int(np.nanargmax(worst))
    return made, (
        f"{tiers['tier'][row]} waits longest: 95 % of its answers waited at most {seconds(float(worst[row]))}. "
        f"Answered requests only; waits below 1 ms are drawn at 1 ms."
    )


def _apart(values: list[float], gap: float) -> list[str]:
    """Texts of markers, without those less than a factor `gap` above the last one written."""
    texts, last = [], 0.0
    for value in values:
        shown = np.isfinite(value) and (not last or max(value, _FLOOR_S) > gap * last)
        texts.append(seconds(value) if shown else "")
        last = max(value, _FLOOR_S) if shown else last
    return texts


def _decades(values: Any) -> float:
    """How many powers of ten an axis over these seconds spans."""
    drawn = np.maximum(values[np.isfinite(values)], _FLOOR_S)
    return float(np.log10(drawn.max() / drawn.min())) if drawn.size else 1.0


def _seconds_axis(values: Any) -> dict[str, Any]:
    """Ticks of a logarithmic axis over these seconds: at 1, 2 and 5 where it is short, else at powers of ten."""
    steps = (1, 2, 5) if _decades(values) < 1.8 else (1,)
    ticks = [step * 10.0**power for power in range(-3, 7) for step in steps]
    return {"tickvals": ticks, "ticktext": [f"{tick:,g} s" if tick >= 0.1 else f"{tick * 1e3:g} ms" for tick in ticks]}


def _distributions(tail: Table, shares: NDArray[np.float64], drawn: NDArray[np.bool_], most: int = 0) -> "go.Figure":
    """Shares of answers over their waits and latencies, a curve for each tier: the rows `drawn`, at most `most` of each if given."""
    import plotly.graph_objects as go  # noqa: PLC0415

    measures = (("wait", "wait for a place"), ("latency", "arrival to answer"))
    made = figure(
        380, columns=2, shared_yaxes=True, subplot_titles=[title for _, title in measures], horizontal_spacing=0.06
    )
    for panel, (measure, _) in enumerate(measures, start=1):
        for row, name in enumerate(names_in(tail, "tier")):
            mine = np.flatnonzero((tail["tier"] == name) & (tail["measure"] == measure) & drawn)
            mine = mine[:: max(1, -(-len(mine) // most))] if most else mine
            made.add_trace(
                go.Scatter(x=np.maximum(tail["seconds"][mine], _FLOOR_S), y=shares[mine], name=label(name),
                           line={"color": colour(row), "dash": DASHES[row % len(DASHES)], "width": 2, "shape": "hv"},
                           legendgroup=label(name), showlegend=panel == 1),
                row=1, col=panel,
            )  # fmt: skip
    for panel, (measure, _) in enumerate(measures, start=1):
        made.update_xaxes(type="log", **_seconds_axis(tail["seconds"][tail["measure"] == measure]), col=panel)
    made.update_layout(hovermode="closest")
    return made


def tails(tail: Table) -> Shown:
    """Share of answers that waited, or took, longer than so many seconds, on two logarithmic axes."""
    most = max(20, 2000 // max(1, len(names_in(tail, "tier"))))
    made = _distributions(tail, tail["share_above"], tail["share_above"] > 0, most)
    shares = [1, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]
    made.update_yaxes(
        type="log", rangemode="normal", tickvals=shares, ticktext=[f"{100 * share:g} %" for share in shares]
    )
    made.update_yaxes(title="share of answers above", col=1)
    return made, "Read: how large a share of a tier's answers waited, or took, longer than the time below."


def shares_within(tail: Table) -> Shown:
    """Share of answers that waited, or took, at most so many seconds (ECDF), on a logarithmic time axis."""
    made = _distributions(tail, 1 - tail["share_above"], np.ones(len(tail["tier"]), np.bool_))
    made.update_yaxes(tickformat=".0%", range=[0, 1.02])
    made.update_yaxes(title="share of answers within", col=1)
    at_once = {name: _share_at_once(tail, name) for name in names_in(tail, "tier")}
    known = {name: share for name, share in at_once.items() if np.isfinite(share)}
    if not known:
        return made, "No request was answered."
    told = ", ".join(f"{share:.0%} of {name}" for name, share in known.items())
    return made, f"Went through without a wait: {told}. Waits below 1 ms are drawn at 1 ms."


def _share_at_once(tail: Table, tier: str) -> float:
    mine = np.flatnonzero((tail["tier"] == tier) & (tail["measure"] == "wait"))
    if not len(mine):
        return float("nan")
    return float(1 - tail["share_above"][mine[0]]) if tail["seconds"][mine[0]] < _FLOOR_S else 0.0
