"""Tables and figures of replications."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from forge1sim.results.measures import MEASURES
from forge1sim.results.paired import Interval as PairedInterval
from forge1sim.results.paired import forest
from forge1sim.results.theme import COLOURS, MUTED, figure, label
from forge1sim.statistics import Floats, Interval, Selection, mean_interval

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from forge1sim.experiments.replications import Difference


def interval_frame(intervals: Mapping[str, Interval]) -> "pd.DataFrame":
    """One row for each measure."""
    import pandas as pd

    columns = ("value", "low", "high", "relative", "count", "trusted", "why")
    rows = [[getattr(one, column) for column in columns] for one in intervals.values()]
    return pd.DataFrame(rows, columns=list(columns), index=pd.Index(list(intervals), name="measure"))


def difference_frame(differences: Sequence["Difference"]) -> "pd.DataFrame":
    """One row for each difference."""
    import pandas as pd

    return pd.DataFrame([difference_row(one) for one in differences])


def difference_row(one: "Difference") -> dict[str, object]:
    """A difference as a flat row, ready for JSON."""
    return {
        "alternative": one.alternative, "measure": one.measure, "baseline": one.baseline, "difference": one.interval.value,
        "low": one.interval.low, "high": one.interval.high, "p_value": one.p_value, "adjusted_p_value": one.adjusted,
        "verdict": one.verdict, "variance_ratio": one.variance_ratio, "replications": one.interval.count, "why": one.interval.why,
    }  # fmt: skip


def settling(measure: str, values: Floats, last: Interval) -> "go.Figure":
    """Mean and interval after 2, 3 ... replications, and each replication as a dot."""
    import plotly.graph_objects as go

    counts = np.arange(2, len(values) + 1)
    found = [mean_interval(values[:count], last.confidence) for count in counts]
    made = figure(360)
    bounds = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    made.add_trace(go.Scatter(x=counts, y=[one.low for one in found], **bounds))
    made.add_trace(go.Scatter(x=counts, y=[one.high for one in found], fill="tonexty", fillcolor="rgba(0,114,178,0.18)", **bounds))
    made.add_trace(go.Scatter(x=counts, y=[one.value for one in found], name="mean", line={"color": COLOURS[0]}))
    dots = {"color": MUTED, "size": 6}
    made.add_trace(go.Scatter(x=np.arange(1, len(values) + 1), y=values, mode="markers", name="replication", marker=dots))
    made.update_xaxes(title="replications")
    made.update_yaxes(title=measure, rangemode="normal")
    made.update_layout(title=label(f"{measure}: {last}, {last.confidence:.0%}", 140), margin_t=54)
    return made


def differences_figure(differences: Sequence["Difference"], tier: str) -> "go.Figure":
    """Differences of one alternative in per cent of the baseline."""
    shown = []
    for one in differences:
        mine, _, name = one.measure.partition(".")
        if mine == tier and name in MEASURES:
            found = one.interval
            numbers = (one.baseline, found.value, found.low, found.high, found.count, one.p_value, one.adjusted)
            shown.append(PairedInterval(mine, MEASURES[name], *numbers, one.verdict))
    made, _sentence = forest(shown, tier)
    names = differences[0].alternative if differences else ""
    made.update_layout(title=label(f"{names}, {tier}: difference to the baseline", 140), margin_t=70)
    return made


def best_figure(names: Sequence[str], measure: str, found: Selection) -> "go.Figure":
    """Means of the alternatives, the best marked; hovering tells the replications."""
    import plotly.graph_objects as go

    made = figure(max(240, 110 + 32 * len(names)))
    colours = [COLOURS[0] if place == found.best else MUTED for place in range(len(names))]
    symbols = ["star" if place == found.best else "circle-open" for place in range(len(names))]
    texts = [f"{mean:.4g} after {count} replications" for mean, count in zip(found.means, found.replications, strict=True)]
    made.add_trace(
        go.Scatter(
            x=found.means, y=[label(name, 60) for name in names], mode="markers", text=texts, showlegend=False,
            marker={"size": 13, "color": colours, "symbol": symbols}, hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    promise = f"within {found.indifference:.3g} of the best at {found.confidence:.0%}" if found.trusted else found.why
    made.update_xaxes(title=measure, rangemode="normal")
    made.update_yaxes(type="category", autorange="reversed", rangemode="normal")
    made.update_layout(title=label(f"{names[found.best]} is selected: {promise}", 140), margin_t=54, hovermode="closest")
    return made
