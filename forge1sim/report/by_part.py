"""Figures by tier, tenant, model and account. Each takes tables of a run and returns the figure and its sentence."""

from typing import TYPE_CHECKING, Any

import numpy as np

from forge1sim.metrics.tables import Table
from forge1sim.report.theme import COLOURS, DASHES, OTHER_COLOUR, colour, figure, label, names_in, seconds, short

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_QUANTILES = (("p50", "circle"), ("p95", "diamond"), ("p99", "square"))
_FLOOR_S = 1e-3
_MOST_TENANTS = 12
_MOST_NODES = 25


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
        gap = 10 ** (0.11 * _decades(np.concatenate([tiers[f"{measure}_{quantile}_s"] for quantile, _ in _QUANTILES])))
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


def tails(tail: Table) -> Shown:
    """Share of answers that waited, or took, longer than so many seconds, on two logarithmic axes."""
    import plotly.graph_objects as go  # noqa: PLC0415

    measures = (("wait", "wait for a place"), ("latency", "arrival to answer"))
    made = figure(
        380, columns=2, shared_yaxes=True, subplot_titles=[title for _, title in measures], horizontal_spacing=0.06
    )
    names = names_in(tail, "tier")
    most = max(20, 2000 // max(1, len(names)))
    for panel, (measure, _) in enumerate(measures, start=1):
        for row, name in enumerate(names):
            mine = np.flatnonzero((tail["tier"] == name) & (tail["measure"] == measure) & (tail["share_above"] > 0))
            mine = mine[:: max(1, -(-len(mine) // most))]
            made.add_trace(
                go.Scatter(x=np.maximum(tail["seconds"][mine], _FLOOR_S), y=tail["share_above"][mine], name=label(name),
                           line={"color": colour(row), "dash": DASHES[row % len(DASHES)], "width": 2, "shape": "hv"},
                           legendgroup=label(name), showlegend=panel == 1),
                row=1, col=panel,
            )  # fmt: skip
    for panel, (measure, _) in enumerate(measures, start=1):
        made.update_xaxes(type="log", **_seconds_axis(tail["seconds"][tail["measure"] == measure]), col=panel)
    shares = [1, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6]
    made.update_yaxes(
        type="log", rangemode="normal", tickvals=shares, ticktext=[f"{100 * share:g} %" for share in shares]
    )
    made.update_yaxes(title="share of answers above", col=1)
    made.update_layout(hovermode="closest")
    return made, "Read: how large a share of a tier's answers waited, or took, longer than the time below."


def cost_by_tier_and_tenant(tiers: Table, tenants: Table) -> Shown:
    """What was spent on tokens and on accounts by tier, and the tenants with the highest token cost."""
    import plotly.graph_objects as go  # noqa: PLC0415

    order = np.argsort(-tenants["cost_nano_usd"], kind="stable")[:_MOST_TENANTS]
    order = order[tenants["cost_nano_usd"][order] > 0]
    titles = ["by tier", f"the {len(order)} most expensive of {len(tenants['tenant']):,} tenants, tokens"]
    made = figure(max(320, 140 + 20 * len(order)), columns=2, subplot_titles=titles, horizontal_spacing=0.2)
    names = [label(name) for name in tiers["tier"]]
    for column, title, shade in (
        ("cost_nano_usd", "tokens", COLOURS[0]),
        ("key_cost_nano_usd", "accounts", COLOURS[4]),
    ):
        made.add_trace(
            go.Bar(x=names, y=tiers[column] / 1e9, name=title, marker_color=shade,
                   hovertemplate="%{x}: $%{y:,.2f}<extra>" + title + "</extra>"),
            row=1, col=1,
        )  # fmt: skip
    shown = order[::-1]
    row_of = {name: row for row, name in enumerate(tiers["tier"])}
    made.add_trace(
        go.Bar(x=tenants["cost_nano_usd"][shown] / 1e9, y=[str(place) for place in range(len(shown))], orientation="h",
               marker_color=[colour(row_of[name]) for name in tenants["tier"][shown]], showlegend=False,
               customdata=[label(name, 60) for name in tenants["tenant"][shown]],
               hovertemplate="%{customdata}: $%{x:,.2f}<extra></extra>"),
        row=1, col=2,
    )  # fmt: skip
    made.update_yaxes(
        type="category", tickvals=[str(place) for place in range(len(shown))], rangemode="normal",
        ticktext=[label(name, 20) for name in tenants["tenant"][shown]], col=2,
    )  # fmt: skip
    made.update_xaxes(type="category", col=1)
    made.update_yaxes(title="USD", tickformat=",.4~g", col=1)
    made.update_xaxes(tickformat=",.3~g", tickprefix="$", nticks=5, col=2)
    made.update_layout(barmode="stack", hovermode="closest")
    total = float(tiers["cost_nano_usd"].sum()) / 1e9
    if not total:
        return made, "Nothing was spent on tokens."
    most = int(np.argmax(tiers["cost_nano_usd"]))
    share = float(tenants["cost_nano_usd"][order].sum()) / 1e9 / total
    return made, (
        f"Tokens cost ${short(total)}, {tiers['cost_nano_usd'][most] / 1e9 / total:.0%} of it for {tiers['tier'][most]}; "
        f"the {len(order)} most expensive tenants stand for {share:.0%}. Their bars have the colour of their tier."
    )


def tier_model_account(flows: Table) -> Shown:
    """Answers from tier through model to account; the smallest models and accounts are put together."""
    import plotly.graph_objects as go  # noqa: PLC0415

    tiers = names_in(flows, "tier")
    free = _MOST_NODES - len(tiers)
    model, models = _largest(flows["model"], flows["served"], max(2, free // 2))
    account, accounts = _largest(flows["account"], flows["served"], max(2, free - len(models)))
    tier = np.array([tiers.index(name) for name in flows["tier"]], np.int64)
    first = _links(tier, model + len(tiers), flows["served"], tier)
    second = _links(model + len(tiers), account + len(tiers) + len(models), flows["served"], tier)
    links = first + second
    made = figure(max(340, 60 + 22 * max(len(models), len(accounts), 1)))
    made.add_trace(
        go.Sankey(
            node={"label": [label(name) for name in (*tiers, *models, *accounts)], "pad": 14, "thickness": 14,
                  "color": [colour(row) for row in range(len(tiers))] + [OTHER_COLOUR] * (len(models) + len(accounts)),
                  "line": {"width": 0}},
            link={"source": [link[0] for link in links], "target": [link[1] for link in links],
                  "value": [link[3] for link in links], "color": [_pale(colour(link[2])) for link in links]},
            valueformat=",.0f", valuesuffix=" answers",
        )
    )  # fmt: skip
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    if not len(flows["served"]) or not flows["served"].sum():
        return made, "No request was answered."
    share = np.bincount(model, weights=flows["served"]) / flows["served"].sum()
    return (
        made,
        f"{models[int(share.argmax())]} gives {share.max():.0%} of all answers. Links have the colour of the tier.",
    )


def _largest(names: Any, weights: Any, most: int) -> tuple[Any, list[str]]:
    """Row of each name among at most `most` groups, the last of which gathers the rest; and their names."""
    totals: dict[str, int] = {}
    for name, weight in zip(names.tolist(), weights.tolist(), strict=True):
        totals[name] = totals.get(name, 0) + weight
    kept = sorted(totals, key=lambda name: -totals[name])
    if len(kept) > most:
        rest = len(kept) - most + 1
        kept = [*kept[: most - 1], f"{rest} others"]
    row_of = {name: row for row, name in enumerate(kept)}
    return np.array([row_of.get(name, len(kept) - 1) for name in names.tolist()], np.int64), kept


def _links(source: Any, target: Any, value: Any, tier: Any) -> list[tuple[int, int, int, int]]:
    """Source, target, tier and sum, for each combination that has any."""
    sums: dict[tuple[int, int, int], int] = {}
    for key in zip(source.tolist(), target.tolist(), tier.tolist(), value.tolist(), strict=True):
        sums[key[:3]] = sums.get(key[:3], 0) + key[3]
    return [(*key, total) for key, total in sums.items() if total]


def _pale(hex_colour: str) -> str:
    red, green, blue = (int(hex_colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"
