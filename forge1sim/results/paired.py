"""Differences over replications: the same seeds for both sides, so that luck cancels out.

The interval is that of `forge1sim.statistics` for the mean of paired differences. Where all
differences are equal it is that one number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.results.compare import COMPARED, VERDICT_COLOURS, Shown, tiers_of, value_of
from forge1sim.results.measures import MEASURES, Measure
from forge1sim.results.read import RunFolder
from forge1sim.results.theme import LEGEND_ABOVE, MUTED, figure

Floats = NDArray[np.float64]
FEWEST_REPLICATIONS, MOST_REPLICATIONS = 2, 20
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """The mean of paired differences of a measure (changed less baseline) with its confidence interval.

    `low` and `high` are NaN with fewer than two differences. `p_value` is the paired t-test's, `adjusted` the same for
    all that was asked at once (Holm); the verdict is `unclear` unless that is below 1 - confidence.
    """

    tier: str
    measure: Measure
    baseline_mean: float
    mean: float
    low: float
    high: float
    replications: int
    p_value: float
    adjusted: float
    verdict: Literal["better", "worse", "unclear", "same"]

    @property
    def text(self) -> str:
        """The difference with its interval and units."""
        if not np.isfinite(self.low):
            return self.measure.change(self.mean)
        return f"{self.measure.change(self.mean)} ({self.measure.change(self.low)} to {self.measure.change(self.high)})"


def paired_intervals(baseline: Sequence[RunFolder], changed: Sequence[RunFolder], confidence: float = CONFIDENCE) -> tuple[Interval, ...]:
    """An interval for every measure and tier, from replications in the same order of seeds.

    Raises RunError if the two sides do not have the same seeds, or there are fewer than two.
    """
    seeds = [[run.seed for run in side] for side in (baseline, changed)]
    if seeds[0] != seeds[1]:
        raise RunError(f"replications have seeds {seeds[0]} and {seeds[1]}; pairs need the same seed")
    if len(baseline) < FEWEST_REPLICATIONS:
        raise RunError(f"{len(baseline)} replications; an interval needs at least {FEWEST_REPLICATIONS}")
    found = []
    for tier in tiers_of([*baseline, *changed]):
        for name in COMPARED:
            values = np.array([[value_of(run, tier, MEASURES[name]) for run in side] for side in (baseline, changed)])
            paired = values[:, np.isfinite(values).all(axis=0)]
            if paired.shape[1]:
                found.append(interval_of(tier, MEASURES[name], paired[0], paired[1], confidence))
    return corrected(found, confidence)


def interval_of(tier: str, measure: Measure, before: Floats, after: Floats, confidence: float = CONFIDENCE) -> Interval:
    """The interval of `after` less `before`, both of shape (replications,)."""
    from forge1sim.statistics.means import is_constant, paired_interval, paired_p_value  # noqa: PLC0415

    found = paired_interval(before, after, confidence)
    mean, low, high = found.value, found.low, found.high
    if found.count >= FEWEST_REPLICATIONS and is_constant(after - before):
        low = high = mean
    p_value = paired_p_value(before, after)
    verdict = _verdict(measure, mean, p_value, confidence)
    return Interval(tier, measure, float(before.mean()), mean, low, high, found.count, p_value, p_value, verdict)


def corrected(found: Sequence[Interval], confidence: float) -> tuple[Interval, ...]:
    """The same with verdicts for all questions at once: what does not differ is no question."""
    from forge1sim.statistics.corrections import adjusted  # noqa: PLC0415

    asked = [float("nan") if one.verdict == "same" else one.p_value for one in found]
    return tuple(
        one if np.isnan(value) else replace(one, adjusted=float(value), verdict=_verdict(one.measure, one.mean, float(value), confidence))
        for one, value in zip(found, adjusted(asked), strict=True)
    )


def _verdict(measure: Measure, mean: float, p_value: float, confidence: float) -> Literal["better", "worse", "unclear", "same"]:
    if mean == 0 and p_value == 1:
        return "same"
    if measure.better == 0 or np.isnan(p_value) or p_value >= 1 - confidence:
        return "unclear"
    return "better" if mean * measure.better > 0 else "worse"


def forest(intervals: Sequence[Interval], tier: str) -> Shown:
    """Differences of one tier in per cent of the baseline, with their intervals; the zero line is no difference."""
    import plotly.graph_objects as go  # noqa: PLC0415

    mine = [one for one in intervals if one.tier == tier and np.isfinite(one.low) and one.baseline_mean]
    made = figure(max(240, 110 + 30 * len(mine)))
    for verdict, mark in (("better", "circle"), ("worse", "x"), ("unclear", "circle-open"), ("same", "diamond-open")):
        shown = [one for one in mine if one.verdict == verdict]
        scale = [100 / abs(one.baseline_mean) for one in shown]
        half = [(one.high - one.low) / 2 * part for one, part in zip(shown, scale, strict=True)]
        made.add_trace(
            go.Scatter(
                x=[one.mean * part for one, part in zip(shown, scale, strict=True)], y=[one.measure.title for one in shown],
                error_x={"array": half, "thickness": 2}, mode="markers", name=verdict, text=[one.text for one in shown],
                marker={"size": 11, "symbol": mark, "color": VERDICT_COLOURS.get(verdict, MUTED)},
                hovertemplate="%{y}: %{text}<extra>" + verdict + "</extra>",
            )
        )  # fmt: skip
    made.add_vline(x=0, line={"color": MUTED, "width": 1})
    made.update_xaxes(title="difference to the baseline, %", rangemode="normal", ticksuffix=" %")
    made.update_yaxes(type="category", rangemode="normal", categoryorder="array", categoryarray=[one.measure.title for one in mine][::-1])
    made.update_layout(hovermode="closest", legend=LEGEND_ABOVE)
    clear = {verdict: [one.measure.title for one in mine if one.verdict == verdict] for verdict in ("better", "worse")}
    count = max((one.replications for one in mine), default=0)
    told = "; ".join(f"clearly {verdict}: {', '.join(titles) or 'nothing'}" for verdict, titles in clear.items())
    return made, f"Of {tier}, over {count} replications ({CONFIDENCE:.0%} intervals): {told}."
