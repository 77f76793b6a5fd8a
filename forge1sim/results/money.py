"""Figures of money. Each takes tables of a run and returns the figure and its sentence."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table
from forge1sim.results.theme import BAD_COLOUR, COLOURS, OTHER_COLOUR, colour, figure, label, names_in, short, usd

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_MOST_TENANTS = 12


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


def cost_steps(tiers: Table, flows: Table, accounts: Table) -> Table:
    """What makes up the cost, in whole nano-USD: columns `step`, `part`, `cost_nano_usd`; they add up to the total.

    Answers by tier, attempts that brought no answer, then accounts by provider.
    """
    wasted = {name: int(flows["unanswered_cost_nano_usd"][flows["tier"] == name].sum()) for name in tiers["tier"].tolist()}
    steps = [
        (f"answers: {name}", "tokens", int(cost) - wasted[name])
        for name, cost in zip(tiers["tier"].tolist(), tiers["cost_nano_usd"].tolist(), strict=True)
    ]
    steps.append(("attempts without answer", "tokens", sum(wasted.values())))
    steps += [
        (f"accounts: {name}", "accounts", int(accounts["key_cost_nano_usd"][accounts["provider"] == name].sum()))
        for name in names_in(accounts, "provider")
    ]
    kept = [step for step in steps if step[2]]
    return {
        "step": np.array([step for step, _, _ in kept], np.str_),
        "part": np.array([part for _, part, _ in kept], np.str_),
        "cost_nano_usd": np.array([cost for _, _, cost in kept], np.int64),
    }


def cost_waterfall(tiers: Table, flows: Table, accounts: Table) -> Shown:
    """How the cost adds up: answers by tier, attempts without an answer, accounts by provider, and the total."""
    import plotly.graph_objects as go  # noqa: PLC0415

    steps = cost_steps(tiers, flows, accounts)
    costs_usd = steps["cost_nano_usd"] / 1e9
    total_usd = float(steps["cost_nano_usd"].sum()) / 1e9
    names = [label(step).replace(": ", ":<br>").replace(" without", "<br>without") for step in steps["step"]]
    made = figure(380)
    made.add_trace(
        go.Waterfall(
            x=[*names, "total"], y=[*costs_usd, total_usd],
            measure=[*(["relative"] * len(costs_usd)), "total"], text=[usd(cost) for cost in (*costs_usd, total_usd)],
            textposition="outside", increasing={"marker": {"color": COLOURS[0]}}, totals={"marker": {"color": OTHER_COLOUR}},
            connector={"line": {"color": OTHER_COLOUR, "width": 1, "dash": "dot"}},
            hovertemplate="%{x}: %{text}<extra></extra>", cliponaxis=False,
        )
    )  # fmt: skip
    made.update_xaxes(type="category", tickangle=0)
    made.update_yaxes(**_dollars(costs_usd))
    made.update_layout(hovermode="closest", showlegend=False)
    if not total_usd:
        return made, "Nothing was spent."
    tokens = float(steps["cost_nano_usd"][steps["part"] == "tokens"].sum()) / 1e9
    wasted = float(flows["unanswered_cost_nano_usd"].sum()) / 1e9
    return made, (
        f"The run cost {usd(total_usd)}: {usd(tokens)} for tokens and {usd(total_usd - tokens)} for accounts. "
        f"{usd(wasted)} bought no answer: attempts that were refused or cut short."
    )


def _dollars(values_usd: NDArray[np.float64]) -> dict[str, str]:
    """Ticks of an axis over these amounts: whole dollars where there are tens of them."""
    most = float(np.abs(values_usd).max(initial=0.0))
    return {"tickprefix": "$", "tickformat": ",.0f" if most >= 10 else ",.3~g"}


def margin_by_tier(tiers: Table) -> Shown:
    """What contracts bring in for the run's time, less tokens and accounts, by tier."""
    import plotly.graph_objects as go  # noqa: PLC0415

    names = [label(name) for name in tiers["tier"]]
    margins_usd, revenues_usd = tiers["margin_nano_usd"] / 1e9, tiers["revenue_nano_usd"] / 1e9
    shares = [f"{margin / revenue:.1%} of revenue" if revenue else "no revenue"
              for margin, revenue in zip(margins_usd, revenues_usd, strict=True)]  # fmt: skip
    made = figure(max(220, 90 + 50 * len(names)))
    made.add_trace(
        go.Bar(
            x=margins_usd, y=names, orientation="h", showlegend=False, cliponaxis=False, textposition="auto",
            marker_color=[colour(row) if margin >= 0 else BAD_COLOUR for row, margin in enumerate(margins_usd)],
            text=[f"{usd(float(margin))}, {share}" for margin, share in zip(margins_usd, shares, strict=True)],
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    made.update_xaxes(title="margin", rangemode="tozero", **_dollars(margins_usd))
    made.update_yaxes(type="category", autorange="reversed", rangemode="normal")
    made.update_layout(hovermode="closest")
    losers = [name for name, margin in zip(tiers["tier"].tolist(), margins_usd, strict=True) if margin < 0]
    told = f"{', '.join(losers)} cost more than they bring in" if losers else "no tier costs more than it brings in"
    return made, (
        f"Revenue is {usd(float(revenues_usd.sum()))} for the simulated time, margin {usd(float(margins_usd.sum()))}: {told}. "
        "Accounts are shared among tiers by the tokens that they reserved there."
    )
