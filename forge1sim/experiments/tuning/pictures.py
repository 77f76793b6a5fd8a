"""A search as pictures. Each function returns `(figure, sentence)`; the sentence says what the figure shows."""

from typing import TYPE_CHECKING

import numpy as np

from forge1sim.experiments.tuning.search import COMPLETE
from forge1sim.results.theme import MUTED, figure

if TYPE_CHECKING:
    from forge1sim.experiments.tuning.tune import Tuning
    from forge1sim.results.compare import Shown

HEIGHT = 420


def course(tuning: "Tuning") -> "Shown":
    """One objective over the points in order, feasible and not, and the best feasible so far as steps."""
    import plotly.graph_objects as go

    column = tuning.plan.objectives[0].column
    made = figure(HEIGHT)
    complete = [one for one in tuning.found if one.state == COMPLETE]
    for name, symbol, chosen in (
        ("shipped default", "diamond", [one for one in complete if one.reference]),
        ("keeps constraints", "circle", [one for one in complete if one.feasible and not one.reference]),
        ("breaks one", "x", [one for one in complete if not one.feasible and not one.reference]),
    ):
        made.add_trace(
            go.Scatter(
                x=[one.number for one in chosen], y=[one.outcome[column] for one in chosen], mode="markers", name=name,
                marker={"symbol": symbol, "size": 8},
            )
        )  # fmt: skip
    feasible = [one for one in complete if one.feasible]
    if feasible:
        lowest = np.minimum.accumulate([one.losses[0] for one in feasible])
        sign = -1 if tuning.plan.objectives[0].maximize else 1
        made.add_trace(go.Scatter(x=[one.number for one in feasible], y=sign * lowest, mode="lines", line_shape="hv", name="best so far"))
    made.update_xaxes(title="point")
    made.update_yaxes(title=column)
    told = f"{len(feasible)} of {len(tuning.found)} points keep all constraints on the draws of the search"
    best = min(feasible, key=lambda one: one.rank, default=None)
    return made, f"{told}." if best is None else f"{told}; the best is point {best.number} with {column} {best.outcome[column]:.6g}."


def trade(tuning: "Tuning") -> "Shown":
    """The first two objectives against each other: all points as a cloud, the front as steps."""
    import plotly.graph_objects as go

    across, up = tuning.plan.objectives[:2]
    front = tuning.front
    made = figure(HEIGHT)
    others = [one for one in tuning.found if one.state == COMPLETE and one not in front]
    mode = "lines+markers" if len(tuning.plan.objectives) == 2 else "markers"
    for name, chosen, look in (
        ("points", others, {"mode": "markers", "marker": {"color": MUTED, "size": 7}}),
        ("front", front, {"mode": mode, "line_shape": "hv", "marker": {"size": 10}}),
    ):
        made.add_trace(
            go.Scatter(
                x=[one.outcome[across.column] for one in chosen], y=[one.outcome[up.column] for one in chosen],
                text=[f"point {one.number}" for one in chosen], name=name, hovertemplate="%{text}: %{x}, %{y}<extra></extra>", **look,
            )
        )  # fmt: skip
    made.update_xaxes(title=across.text)
    made.update_yaxes(title=up.text)
    made.update_layout(hovermode="closest")
    return made, f"{len(front)} of {len(tuning.found)} points are beaten by no other that keeps the constraints."
