"""What a run shows while it goes on."""

from typing import TYPE_CHECKING, Any

from forge1sim.results.theme import DASHES, colour, figure, label, short

if TYPE_CHECKING:
    import plotly.graph_objects as go

HOUR_MS = 3_600_000.0


def live_figure(series: dict[str, Any]) -> "tuple[go.Figure, str]":
    """Answers per second beside requests per second, and the line, by tier, up to now; with a sentence.

    `series` is that of `forge1sim.runs.Progress`.
    """
    import plotly.graph_objects as go  # noqa: PLC0415

    made = figure(height=300, columns=2, subplot_titles=("Requests per second (dotted) and answers", "Requests in line"))
    moments = [start_us / 1e3 for start_us in series["start_us"]]
    drawn = (("arrived_per_s", 1, DASHES[2], False), ("served_per_s", 1, DASHES[0], True), ("waiting", 2, DASHES[0], False))
    for name, place, dash, in_legend in drawn:
        for row, (tier, values) in enumerate(series[name].items()):
            made.add_trace(
                go.Scatter(
                    x=moments, y=values, name=label(tier), legendgroup=label(tier), showlegend=in_legend,
                    mode="lines" if len(moments) > 1 else "markers",
                    line={"color": colour(row), "dash": dash, "width": 2},
                ),
                row=1, col=place,
            )  # fmt: skip
    made.update_xaxes(type="date")
    if len(moments) == 1:       # else the axis would show milliseconds about the one point
        made.update_xaxes(range=[moments[0] - HOUR_MS, moments[0] + HOUR_MS])
    return made, _sentence(series)


def _sentence(series: dict[str, Any]) -> str:
    if not series["start_us"]:
        return "The first figures come in a moment."
    names = ("arrived_per_s", "served_per_s", "waiting")
    asked, answered, waiting = (sum(values[-1] for values in series[name].values()) for name in names)
    return f"Of late {short(asked)} requests a second arrive, {short(answered)} are answered, and {short(waiting)} wait in line."
