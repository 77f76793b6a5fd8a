"""What passes from tiers through models to accounts. Takes tables of a run and returns the figure and its sentence."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table
from forge1sim.results.theme import OTHER_COLOUR, colour, figure, label, names_in

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_MOST_NODES = 25


def answers_flow(flows: Table) -> Shown:
    """Answers from tier through model to account; the smallest models and accounts are put together."""
    return _sankey(flows, flows["served"], "answers")


def cost_flow(flows: Table) -> Shown:
    """Cost of tokens in USD from tier through model to account, like `answers_flow`."""
    return _sankey(flows, flows["cost_nano_usd"], "USD")


def _sankey(flows: Table, amounts: NDArray[np.int64], unit: str) -> Shown:
    """Whole amounts as bands: `answers`, or nano-USD drawn as `USD`."""
    import plotly.graph_objects as go  # noqa: PLC0415

    scale, form = (1e-9, ",.2f") if unit == "USD" else (1, ",.0f")
    tiers = names_in(flows, "tier")
    free = _MOST_NODES - len(tiers)
    model, models = _largest(flows["model"], amounts, max(2, free // 2))
    account, accounts = _largest(flows["account"], amounts, max(2, free - len(models)))
    tier = np.array([tiers.index(name) for name in flows["tier"]], np.int64)
    first = _links(tier, model + len(tiers), amounts, tier)
    second = _links(model + len(tiers), account + len(tiers) + len(models), amounts, tier)
    links = first + second
    made = figure(max(340, 60 + 22 * max(len(models), len(accounts), 1)))
    made.add_trace(
        go.Sankey(
            node={"label": [label(name) for name in (*tiers, *models, *accounts)], "pad": 14, "thickness": 14,
                  "color": [colour(row) for row in range(len(tiers))] + [OTHER_COLOUR] * (len(models) + len(accounts)),
                  "line": {"width": 0}},
            link={"source": [link[0] for link in links], "target": [link[1] for link in links],
                  "value": [link[3] * scale for link in links], "color": [_pale(colour(link[2])) for link in links]},
            valueformat=form, valuesuffix=f" {unit}",
        )
    )  # fmt: skip
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    if not len(amounts) or not amounts.sum():
        return made, f"There are no {unit} to show."
    share = np.bincount(model, weights=amounts) / amounts.sum()
    most, of = f"{models[int(share.argmax())]}", "the cost of tokens" if unit == "USD" else "all answers"
    return made, f"{most} stands for {share.max():.0%} of {of}. Links have the colour of the tier."


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
