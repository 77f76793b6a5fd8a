"""Runs side by side: what differs in their inputs, what came of it, and whether that is better or worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from forge1sim.errors import RunError
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.inputs import Differing, as_written, differing
from forge1sim.results.measures import MEASURES, Measure, measure_of
from forge1sim.results.read import RunFolder
from forge1sim.results.theme import BAD_COLOUR, GOOD_COLOUR, LEGEND_ABOVE, OTHER_COLOUR, colour, figure, label

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
Verdict = Literal["better", "worse", "same"]
FEWEST, MOST = 2, 6
COMPARED = (
    "served_ratio", "rejected_ratio", "expired_ratio", "on_time_ratio", "wait_p95_s", "wait_p99_s", "latency_p95_s", "quality_mean",
    "satisfaction", "jain_index", "cost_per_request_usd", "cost_usd", "key_cost_usd", "revenue_usd", "margin_usd",
)  # fmt: skip
_IN_SHORT = ("served_ratio", "wait_p95_s", "latency_p95_s", "quality_mean", "cost_usd", "key_cost_usd", "margin_usd")
VERDICT_COLOURS = {"better": GOOD_COLOUR, "worse": BAD_COLOUR, "same": OTHER_COLOUR}


@dataclass(frozen=True)
class Change:
    """A difference to the baseline, and which way it goes."""

    difference: float
    verdict: Verdict


@dataclass(frozen=True)
class Line:
    """One measure of a tier (or of `all`) in every run; `changes` are of the runs after the first, the baseline."""

    tier: str
    measure: Measure
    values: tuple[float, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """Two to six runs. `inputs` are fields that differ; `same_draws` says if all met the same luck."""

    runs: tuple[RunFolder, ...]
    inputs: tuple[Differing, ...]
    lines: tuple[Line, ...]
    same_draws: bool

    def of(self, tier: str) -> tuple[Line, ...]:
        """The lines of one tier."""
        return tuple(line for line in self.lines if line.tier == tier)


def compare(runs: Sequence[RunFolder]) -> Comparison:
    """Compare runs with the first of them. Raises RunError unless there are two to six."""
    if not FEWEST <= len(runs) <= MOST:
        raise RunError(f"{len(runs)} runs to compare; choose {FEWEST} to {MOST}")
    inputs = [one for one in differing([as_written(run.scenario) for run in runs]) if one.field != "seed"]
    lines = [line for tier in tiers_of(runs) for name in COMPARED if (line := _line(runs, tier, MEASURES[name])) is not None]
    return Comparison(tuple(runs), tuple(inputs), tuple(lines), same_draws=len({run.seed for run in runs}) == 1)


def tiers_of(runs: Sequence[RunFolder]) -> list[str]:
    """`all`, then every tier of any of the runs."""
    return list(dict.fromkeys([ALL_TIERS, *(tier for run in runs for tier in run.summary["tiers"])]))


def value_of(run: RunFolder, tier: str, measure: Measure) -> float:
    """A measure of a tier, or of all requests; NaN where the run has none."""
    return measure_of(run.summary, tier, measure)


def _line(runs: Sequence[RunFolder], tier: str, measure: Measure) -> Line | None:
    values = tuple(value_of(run, tier, measure) for run in runs)
    if not np.isfinite(values).any():
        return None
    return Line(tier, measure, values, tuple(change(values[0], value, measure) for value in values[1:]))


def change(baseline: float, value: float, measure: Measure) -> Change:
    """How a value differs from the baseline: better, worse, or the same, as far as both are written alike."""
    difference = value - baseline
    if not np.isfinite(difference) or measure.text(baseline) == measure.text(value) or measure.better == 0:
        return Change(difference, "same")
    return Change(difference, "better" if difference * measure.better > 0 else "worse")


def in_short(comparison: Comparison, names: Sequence[str]) -> list[str]:
    """For each run after the first, which of the main figures over all requests became better and worse, in a sentence."""
    sentences = []
    for place, name in enumerate(names[1:]):
        found = {verdict: [] for verdict in ("better", "worse")}  # type: dict[str, list[str]]
        for line in comparison.of(ALL_TIERS):
            if (one := line.changes[place]).verdict in found and line.measure.name in _IN_SHORT:
                found[one.verdict].append(f"{line.measure.title} {line.measure.change(one.difference)}")
        parts = [f"{verdict}: {', '.join(items)}" for verdict, items in found.items() if items]
        sentences.append(f"{name} against {names[0]}: {'; '.join(parts) or 'no difference worth telling'}.")
    return sentences


def by_tier(comparison: Comparison, name: str, names: Sequence[str]) -> Shown:
    """One measure in every run, by tier; a mark for each run."""
    import plotly.graph_objects as go  # noqa: PLC0415

    lines = [line for line in comparison.lines if line.measure.name == name]
    measure = MEASURES[name]
    made = figure(max(260, 120 + 46 * len(lines)))
    for place, run in enumerate(names):
        values = [line.values[place] for line in lines]
        made.add_trace(
            go.Scatter(
                x=values, y=[label(line.tier) for line in lines], name=label(run, 40), mode="markers",
                marker={"size": 13, "symbol": place, "color": colour(place), "opacity": 0.85},
                text=[measure.text(value) for value in values], hovertemplate="%{y}: %{text}<extra>" + label(run, 40) + "</extra>",
            )
        )  # fmt: skip
    made.update_xaxes(title=measure.title + (" (s)" if name.endswith("_s") else ""), tickformat=".1%" if name.endswith("_ratio") else "~g")
    made.update_yaxes(type="category", autorange="reversed", rangemode="normal")
    made.update_layout(hovermode="closest", legend=LEGEND_ABOVE)
    told = "; ".join(f"{run}: {measure.text(line.values[place])}" for line in lines[:1] for place, run in enumerate(names))
    return made, f"{measure.title} over all requests: {told}."
