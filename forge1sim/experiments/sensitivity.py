"""What matters: how far numbers of the outcome move when fields of a scenario move over ranges.

Two questions, two methods of SALib. *Morris* (elementary effects; Morris 1991, Campolongo et al. 2007) is cheap and ranks:
`effect` is the mean size of the change over a whole range, `interaction` its spread, large where an effect is bent or depends
on other fields. *Sobol* (Saltelli et al. 2010) takes more runs and shares out the variance: `alone` is what a field
explains by itself, `total` with all its interactions.
The tornado turns one field at a time from the scenario as it stands, and misses interactions.

All points have the same draws (common random numbers), so what moves is the fields' doing and not luck.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import Outcome, columns_of, replicate
from forge1sim.experiments.tuning.goals import mean_outcome
from forge1sim.experiments.tuning.space import Point, Range, demand_values, parse_range, with_point
from forge1sim.experiments.workers import Finished, evaluate
from forge1sim.results.theme import MUTED, figure
from forge1sim.scenario.problems import nearest
from forge1sim.statistics.interval import Interval
from forge1sim.statistics.means import paired_interval

if TYPE_CHECKING:
    import pandas as pd

    from forge1sim.results.compare import Shown

METHODS = ("morris", "sobol")
FIGURES = {
    "morris": ("effect", "effect_half_width", "interaction"),
    "sobol": ("alone", "alone_half_width", "total", "total_half_width"),
}
LEVELS = 4                        # of Morris's grid; SALib's default
MOST_RUNS = 200_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Swing:
    """A number when one field is at the low and at the high end and all else as it stands.

    `low` and `high` are differences to the scenario as it stands, with intervals over replications.
    """

    path: str
    column: str
    low: Interval
    high: Interval

    @property
    def width(self) -> float:
        """The larger of the two changes."""
        return max(abs(self.low.value), abs(self.high.value))


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What moves each number, field by field.

    `screened` has for each number and field what SALib says: of Morris `effect`, `effect_half_width`, `interaction`; of Sobol `alone`,
    `alone_half_width`, `total`, `total_half_width` (half-widths at 95%). `base` is the outcome as the scenario stands.
    """

    ask: Ask
    ranges: tuple[Range, ...]
    columns: tuple[str, ...]
    method: str
    replications: int
    runs: int
    base: Outcome
    screened: dict[tuple[str, str], dict[str, float]]
    swings: tuple[Swing, ...]

    @property
    def main(self) -> str:
        """The figure by which fields are ranked."""
        return "effect" if self.method == "morris" else "total"

    def frame(self) -> "pd.DataFrame":
        """A row for each number and field, those that matter most first."""
        import pandas as pd

        swings = {(swing.column, swing.path): swing for swing in self.swings}
        rows = []
        for column in self.columns:
            sizes = [_size(self.screened[column, one.path][self.main]) for one in self.ranges]
            for _, one in sorted(zip(sizes, self.ranges, strict=True), key=lambda pair: -pair[0]):
                swing = swings[column, one.path]
                facts: dict[str, object] = {"number": column, "field": one.path, "low": one.low, "high": one.high}
                rows.append(facts | self.screened[column, one.path] | {"at_low": swing.low.value, "at_high": swing.high.value})
        return pd.DataFrame(rows)

    def tornado(self, column: str) -> "Shown":
        """Bars from the number as it stands to what it is at both ends of each range, the widest on top."""
        import plotly.graph_objects as go

        mine = sorted((swing for swing in self.swings if swing.column == column), key=lambda swing: swing.width)
        if not mine:
            raise ExperimentError(f"{column!r} was not measured; {nearest(column, self.columns, 'numbers')}")
        ends = {one.path: one for one in self.ranges}
        made = figure(max(260, 130 + 40 * len(mine)))
        for name, pattern in (("low", "/"), ("high", "")):
            intervals: list[Interval] = [getattr(swing, name) for swing in mine]
            made.add_trace(
                go.Bar(
                    y=[swing.path for swing in mine], x=[interval.value for interval in intervals],
                    base=self.base[column], name=f"at the {name} end", orientation="h",
                    text=[f"{getattr(ends[swing.path], name):g}" for swing in mine], marker_pattern_shape=pattern,
                    error_x={"array": [interval.half_width if interval.trusted else 0.0 for interval in intervals], "thickness": 1},
                )
            )  # fmt: skip
        made.add_vline(x=self.base[column], line={"color": MUTED, "width": 1})
        made.update_layout(barmode="overlay", hovermode="closest")
        made.update_xaxes(title=column)
        widest = mine[-1]
        told = f"{column} is {self.base[column]:.4g} as it stands; {widest.path} moves it most, by up to {widest.width:.4g}"
        return made, f"{told}. One field at a time: interactions are not in it."


def sensitivity(
    scenario: Ask | str | Path,
    ranges: Sequence[str | Range],
    columns: Sequence[str] = ("all.cost_usd",),
    *,
    method: str = "morris",
    samples: int = 10,
    replications: int = 2,
    seed: int | None = None,
    workers: int | None = None,
    backend: str = "processes",
    work: Callable[[Ask], Outcome] = replicate,
    on_done: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Screen fields of a scenario over ranges `path=low:high[:log|:int]`.

    Takes `samples` times (fields + 1) points for Morris and `samples`, a power of 2, times (fields + 2) for Sobol, and twice the fields
    for the tornado; `replications` runs for each. `seed` is of the design, by default the scenario's, which draws
    begin with in any case. `on_done` is called with the runs that are over and their number.

    Raises ExperimentError, ScenarioError or WorkloadError.
    """
    ask = Ask.of(scenario)
    seed = ask.seed if seed is None else seed
    known, fields = columns_of(ask.load()), tuple(parse_range(one) if isinstance(one, str) else one for one in ranges)
    _demand(method, samples, replications, fields, columns, known)
    demand_values(ask, fields, "--range")
    shares = _design(method, len(fields), samples, seed)
    points: list[Point] = [{one.path: one.at(float(share)) for one, share in zip(fields, row, strict=True)} for row in shares]
    ends: list[Point] = [{one.path: one.at(end)} for one in fields for end in (0.0, 1.0)]
    everything = [{}, *ends, *points]
    asks = [replace(with_point(ask, point), seed=ask.seed + k) for point in everything for k in range(replications)]
    done = 0

    def count(_finished: Finished[Any]) -> None:
        nonlocal done
        done += 1
        if on_done is not None:
            on_done(done, len(asks))

    found = evaluate(asks, workers=workers, backend=backend, work=work, on_done=count)
    groups = [found[first : first + replications] for first in range(0, len(found), replications)]
    screened: dict[tuple[str, str], dict[str, float]] = {}
    swings: list[Swing] = []
    for column in columns:
        values = np.array([np.mean([outcome[column] for outcome in group]) for group in groups])
        if not np.isfinite(values).all():
            lacking = int((~np.isfinite(values)).sum())
            raise ExperimentError(f"{column}: nothing was measured in {lacking} of {len(values)} points; narrow the ranges")
        screened |= {(column, path): of for path, of in _analysed(method, fields, shares, values[1 + len(ends) :], seed).items()}
        base = [outcome[column] for outcome in groups[0]]
        for row, one in enumerate(fields):
            low, high = ([outcome[column] for outcome in groups[1 + 2 * row + end]] for end in (0, 1))
            swings.append(Swing(path=one.path, column=column, low=paired_interval(base, low), high=paired_interval(base, high)))
    return Sensitivity(
        ask=ask, ranges=fields, columns=tuple(columns), method=method, replications=replications, runs=len(asks),
        base=mean_outcome(groups[0]), screened=screened, swings=tuple(swings),
    )  # fmt: skip


def _demand(
    method: str, samples: int, replications: int, fields: Sequence[Range], columns: Sequence[str], known: Sequence[str]
) -> None:  # fmt: skip
    if method not in METHODS:
        raise ExperimentError(f"--method {method}: should be {' or '.join(METHODS)}")
    if not columns:
        raise ExperimentError("no number is named; name one, such as --number all.cost_usd")
    unknown = next((column for column in columns if column not in known), None)
    if unknown is not None:
        raise ExperimentError(f"--number {unknown}: is no number of the outcome; {nearest(unknown, known, 'numbers')}")
    if len(fields) < 2:
        raise ExperimentError(f"{len(fields)} fields; name two or more with --range path=low:high")
    if samples < 2 or (method == "sobol" and samples & (samples - 1)):
        raise ExperimentError(f"--samples {samples}: should be {'a power of 2' if method == 'sobol' else '2 or more'}, such as 16")
    if replications < 1:
        raise ExperimentError(f"--replications {replications}: should be 1 or more")
    runs = replications * (1 + 2 * len(fields) + samples * (len(fields) + 2))
    if runs > MOST_RUNS:
        raise ExperimentError(f"about {runs:,} runs; should be at most {MOST_RUNS:,}: take fewer samples or replications")


def _problem(count: int) -> dict[str, Any]:
    """Fields as shares of their ranges, whatever their units."""
    return {"num_vars": count, "names": [str(row) for row in range(count)], "bounds": [[0.0, 1.0]] * count}


def _design(method: str, count: int, samples: int, seed: int) -> Floats:
    """Points as shares of ranges, shape (points, fields)."""
    if method == "morris":
        from SALib.sample.morris import sample

        return np.asarray(sample(_problem(count), samples, num_levels=LEVELS, seed=seed), dtype=np.float64)
    from SALib.sample import sobol

    return np.asarray(sobol.sample(_problem(count), samples, calc_second_order=False, seed=seed), dtype=np.float64)


def _analysed(method: str, fields: Sequence[Range], shares: Floats, values: Floats, seed: int) -> dict[str, dict[str, float]]:
    """What SALib says of each field."""
    paths = [one.path for one in fields]
    if float(np.ptp(values)) == 0.0:
        return {path: dict.fromkeys(FIGURES[method], 0.0) for path in paths}
    if method == "morris":
        from SALib.analyze.morris import analyze

        of = analyze(_problem(len(fields)), shares, values, num_levels=LEVELS, seed=seed)
        figures: tuple[Any, ...] = (of["mu_star"], of["mu_star_conf"], of["sigma"])
    else:
        from SALib.analyze import sobol

        of = sobol.analyze(_problem(len(fields)), values, calc_second_order=False, seed=seed)
        figures = (of["S1"], of["S1_conf"], of["ST"], of["ST_conf"])
    named = dict(zip(FIGURES[method], figures, strict=True))
    return {path: {name: float(numbers[row]) for name, numbers in named.items()} for row, path in enumerate(paths)}


def _size(value: float) -> float:
    return value if math.isfinite(value) else -1.0
