"""A plan as pictures. Each function returns `(figure, sentence)`; the sentence says what the figure shows. Money is USD per month."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from forge1sim.planning.planned import Planned
from forge1sim.planning.search import Round
from forge1sim.planning.simulated import Promise, Simulated
from forge1sim.planning.told import tornado_sentences
from forge1sim.planning.tornado import End, Tornado
from forge1sim.results.theme import COLOURS, GOOD_COLOUR, LEGEND_ABOVE, MUTED, figure, label, usd
from forge1sim.scenario.schema import Slo

if TYPE_CHECKING:
    from forge1sim.results.figures import Shown

HEIGHT = 380
PARTS = ("accounts", "tokens", "refusals")
_WHOLE_USD = "$,.0f"
LEAST_MARGIN = -0.1         # what misses its target by more is drawn here
WIDE = 5.0                  # costs that differ by this factor are drawn on a logarithmic axis


def course_table(rounds: Sequence[Round]) -> dict[str, list[Any]]:
    """A row for each round: why, plans tried and how many of them keep all promises, best and bound (None: none yet), plans left."""
    return {
        "round": [made.number for made in rounds],
        "why": [made.why for made in rounds],
        "tried": [len(made.tried) for made in rounds],
        "keep_all_promises": [sum(one.holds for one in made.tried) for made in rounds],
        "best_usd": [made.best_usd if isfinite(made.best_usd) else None for made in rounds],
        "bound_usd": [made.bound_usd if isfinite(made.bound_usd) else None for made in rounds],
        "left": [made.left for made in rounds],
    }


def course(rounds: Sequence[Round]) -> "Shown":
    """The cheapest plan that keeps all promises, and the least that any can cost, by round: they meet where the search is done."""
    import plotly.graph_objects as go

    table = course_table(rounds)
    made = figure(HEIGHT)
    for name, column, dash in (("best so far", "best_usd", "solid"), ("no plan costs less", "bound_usd", "dash")):
        made.add_trace(
            go.Scatter(x=table["round"], y=table[column], name=name, mode="lines+markers", line={"shape": "hv", "dash": dash},
                       hovertemplate="$%{y:,.0f}")
        )  # fmt: skip
    made.update_xaxes(title="round", tickformat="d", dtick=max(1, len(rounds) // 12), range=[0.5, len(rounds) + 0.5])
    made.update_yaxes(title="USD per month", tickformat=_WHOLE_USD, rangemode="normal")
    made.update_layout(legend=LEGEND_ABOVE)
    if not rounds:
        return made, "Nothing was simulated yet."
    last = rounds[-1]
    if not isfinite(last.best_usd):
        return made, f"After {len(rounds)} rounds no plan keeps all promises; {last.left:,} are left."
    told = f"After {len(rounds)} rounds the best plan costs {usd(last.best_usd)} a month"
    if last.left:
        return made, f"{told}; {last.left:,} plans could still be cheaper, none costs less than {usd(last.bound_usd)}."
    return made, f"{told}, and no plan is left that could be cheaper."


@dataclass(frozen=True, kw_only=True)
class Margin:
    """A simulated plan with its tightest promise: the room that this has, as a share of its target, below 0 where it is broken."""

    one: Simulated
    tightest: Promise
    margin: float


def margins(planned: Planned) -> list[Margin]:
    """Every plan that was simulated, with the room of its tightest promise on the draws that plans were compared on."""
    slos = planned.options.loaded.slos
    found = []
    for made in planned.rounds:
        for one in made.tried:
            if one.promises:
                rooms = [_margin(promise, slo) for promise, slo in zip(one.promises, slos, strict=True)]
                least = min(range(len(rooms)), key=rooms.__getitem__)
                found.append(Margin(one=one, tightest=one.promises[least], margin=rooms[least]))
    return found


def _margin(promise: Promise, slo: Slo) -> float:
    """How far the mean is inside the target, as a share of it; in units of the measure where the target is 0."""
    target = slo.at_least if slo.at_least is not None else slo.at_most
    assert target is not None
    inside = promise.mean - target if slo.at_least is not None else target - promise.mean
    return float("-inf") if not isfinite(inside) else inside / (abs(target) or 1.0)


def front_of(plans: Sequence[Margin]) -> list[Margin]:
    """Those that keep all promises and that no other one beats in both cost and margin, cheapest first."""
    front: list[Margin] = []
    for one in sorted((one for one in plans if one.one.holds), key=lambda one: (one.one.usd_per_month, -one.margin)):
        if not front or one.margin > front[-1].margin:
            front.append(one)
    return front


def trade(planned: Planned) -> "Shown":
    """What room costs: every simulated plan by its cost and the room of its tightest promise, and the front of those that keep all."""
    import plotly.graph_objects as go

    plans = margins(planned)
    front = front_of(plans)
    marked = {planned.options.held: "held today"} | {planned.plan: "planned"}
    groups: list[tuple[str, list[Margin], dict[str, Any]]] = [
        ("keeps all promises", [one for one in plans if one.one.holds], _marks("circle", GOOD_COLOUR)),
        ("does not", [one for one in plans if not one.one.holds], _marks("x", MUTED)),
        ("none better in both", front, {"mode": "lines", "line": {"shape": "hv", "color": GOOD_COLOUR, "width": 1}}),
    ]
    for (plan, name), symbol in zip(marked.items(), ("diamond-open", "star-open"), strict=False):
        groups.append((name, [one for one in plans if one.one.plan == plan], _marks(symbol, COLOURS[5], size=14)))
    made = figure(HEIGHT)
    for name, chosen, look in groups:
        made.add_trace(
            go.Scatter(
                x=[one.one.usd_per_month for one in chosen], y=[max(LEAST_MARGIN, one.margin) for one in chosen], name=name,
                text=[_told(planned, one) for one in chosen], hovertemplate="%{text}<extra></extra>", **look,
            )
        )  # fmt: skip
    dearest, cheapest = (pick((one.one.usd_per_month for one in plans), default=1.0) for pick in (max, min))
    made.update_xaxes(title="USD per month", tickformat=_WHOLE_USD)
    if dearest > WIDE * cheapest > 0:
        made.update_xaxes(type="log", dtick="D2")       # a tick at each 1, 2 and 5
    made.update_yaxes(title="room of the tightest promise", tickformat=".1~%", rangemode="normal")
    made.add_hline(y=0, line={"color": MUTED, "width": 1, "dash": "dot"})
    made.update_layout(hovermode="closest", legend=LEGEND_ABOVE)
    kept = sum(one.one.holds for one in plans)
    return made, (
        f"{kept} of {len(plans)} simulated plans keep all promises. The plan's tightest promise has {_room(plans, planned)} of its target "
        f"to spare. {'One is' if len(front) == 1 else f'{len(front)} are'} beaten by none in both cost and room."
    )


def _marks(symbol: str, colour: str, size: int = 8) -> dict[str, Any]:
    return {"mode": "markers", "marker": {"color": colour, "size": size, "symbol": symbol, "line": {"width": 2 if size > 8 else 0}}}


def _room(plans: Sequence[Margin], planned: Planned) -> str:
    return next((f"{one.margin:.1%}" for one in plans if one.one.plan == planned.plan), "an unknown share")


def _told(planned: Planned, one: Margin) -> str:
    promise = one.tightest
    return (
        f"{label(planned.options.shown(one.one.plan), 80)}<br>{usd(one.one.usd_per_month)} a month<br>"
        f"tightest: {label(promise.name)} {promise.mean:.4g} (promised {label(promise.target)})"
    )


def cost_parts(planned: Planned) -> dict[str, list[Any]]:
    """A row for each part of the cost, tokens as commitments make them, and their sum.

    `held_usd` (None where what is held was not simulated) and `planned_usd`.
    """
    held = planned.held
    return {
        "part": [*PARTS, "total"],
        "held_usd": [None] * 4 if held is None or held.impossible else [*_parts(held), held.usd_per_month],
        "planned_usd": [*_parts(planned.on_draws), planned.usd_per_month],
    }


def _parts(one: Simulated) -> tuple[float, float, float]:
    return one.fixed_usd, one.tokens_usd + one.commitments_usd, one.refusals_usd


def costs(planned: Planned) -> "Shown":
    """What the plan costs beside what is held today: accounts, tokens, priced refusals."""
    import plotly.graph_objects as go

    held = planned.held if planned.held and not planned.held.impossible else None
    bars = [("held today", held)] if held else []
    shown = [*bars, ("planned", planned.on_draws)]
    made = figure(120 + 70 * len(shown))
    for row, (name, shade) in enumerate(zip(PARTS, (COLOURS[4], COLOURS[0], COLOURS[5]), strict=True)):
        made.add_trace(
            go.Bar(y=[title for title, _ in shown], x=[_parts(one)[row] for _, one in shown], name=name, orientation="h",
                   marker_color=shade, hovertemplate="$%{x:,.0f}<extra>" + name + "</extra>")
        )  # fmt: skip
    made.update_xaxes(title="USD per month", tickformat=_WHOLE_USD)
    made.update_yaxes(type="category", autorange="reversed")
    made.update_layout(barmode="stack", hovermode="closest", legend={**LEGEND_ABOVE, "traceorder": "normal"})
    told = f"The plan costs {usd(planned.usd_per_month)} a month"
    if held is None:
        return made, f"{told}; what is held today was not simulated."
    if held.plan == planned.plan:
        return made, f"{told}: it is what is held today."
    less = held.usd_per_month - planned.usd_per_month
    kept = "keeps all promises" if held.holds else "breaks promises"
    return made, f"{told}, {usd(abs(less))} {'less' if less >= 0 else 'more'} than what is held today, which {kept}."



def bars(tornado: Tornado) -> "Shown":
    """What the plan rests on: its cost where demand, prices or limits are lower or higher, kept as it is (bars) and made anew (marks).

    Ends at which the plan kept breaks a promise have a thick edge.
    """
    import plotly.graph_objects as go

    rows = tornado.bars[::-1]
    names = [f"{bar.name} \u00b1{bar.share:.0%}" for bar in rows]
    made = figure(150 + 70 * len(rows))
    for side, shade, pattern, symbol in (("lower", COLOURS[4], "/", "diamond-open"), ("higher", COLOURS[0], "", "diamond")):
        ends = [bar.low if side == "lower" else bar.high for bar in rows]
        edge = {"color": COLOURS[5], "width": [0 if end.keeps_promises else 3 for end in ends]}
        made.add_trace(
            go.Bar(
                y=names, x=[end.kept.usd_per_month for end in ends], base=tornado.usd_per_month, name=f"{side}, kept", orientation="h",
                marker={"color": shade, "pattern_shape": pattern, "line": edge}, text=[f"x {end.factor:g}" for end in ends],
                customdata=[[usd(end.kept_usd), _breaks(end)] for end in ends],
                hovertemplate="%{customdata[0]} a month<br>%{customdata[1]}",
            )
        )  # fmt: skip
        anew = [(name, end) for name, end in zip(names, ends, strict=True) if end.anew_usd is not None]
        made.add_trace(
            go.Scatter(
                y=[name for name, _ in anew], x=[end.anew_usd for _, end in anew], name=f"{side}, made anew", mode="markers",
                marker={"symbol": symbol, "size": 10, "color": COLOURS[5]}, text=[label(end.anew, 80) for _, end in anew],
                hovertemplate="$%{x:,.0f}<br>%{text}",
            )
        )  # fmt: skip
    made.add_vline(x=tornado.usd_per_month, line={"color": MUTED, "width": 1})
    made.update_xaxes(title="USD per month", tickformat=_WHOLE_USD, rangemode="normal")
    made.update_yaxes(type="category")
    made.update_layout(barmode="overlay", hovermode="closest", legend=LEGEND_ABOVE)
    return made, " ".join(tornado_sentences(tornado))


def _breaks(end: End) -> str:
    return "keeps all promises" if end.keeps_promises else f"breaks {label('; '.join(end.breaks), 80)}"
