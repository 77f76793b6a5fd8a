"""Replications of one or several scenarios on the same seeds: intervals, paired comparisons, the best of several.

Replication n of every alternative has the seed of the ask plus n. Chance is a function of the seed and of what it is drawn
for, so all alternatives meet the same arrivals, tokens and failures, and differences are compared in pairs (common random
numbers). Results do not depend on the number of workers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import ATTAINED, Outcome, measure_named
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.statistics import (
    CONFIDENCE,
    Floats,
    Interval,
    Precision,
    Selection,
    Watch,
    adjusted,
    mean_interval,
    paired_interval,
    paired_p_value,
    quantile_interval,
    ratio_interval,
    select,
)
from forge1sim.statistics.corrections import Correction

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

COUNT, MOST = 10, 500
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Verdict = Literal["better", "worse", "unclear", "same"]
OnReplication = Callable[[int, int], None]
"""Called after each replication of all alternatives with how many there are, and how many there will be at most."""
Evaluate = Callable[[Sequence[Ask]], Sequence[Outcome]]


def _nobody(_done: int, _most: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Replications:
    """Replications of one ask.

    Attributes:
        seeds: of the replications, shape (n,).
        outcomes: their numbers by name, as `forge1sim.experiments.outcome` gives them.
        until: the precisions that were asked for, and `reached`, whether all are kept.
    """

    ask: Ask
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...] = field(repr=False)
    confidence: float = CONFIDENCE
    until: tuple[Precision, ...] = ()
    reached: bool = True

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the numbers that were measured in any replication."""
        return tuple(name for name in self.outcomes[0] if any(np.isfinite(one[name]) for one in self.outcomes))

    def values(self, measure: str) -> Floats:
        """A number in each replication, shape (n,). Raises ExperimentError for a name that there is not."""
        _demand_measure(measure, self.outcomes[0])
        return np.array([one[measure] for one in self.outcomes])

    def interval(self, measure: str) -> Interval:
        """What is known of the number's mean over replications; of a quantile, of the mean of the replications' quantiles.

        Of a number that decided when to stop it is the interval of the stopping rule.
        """
        for precision in self.until:
            if precision.measure == measure:
                watch, values = Watch(precision), self.values(measure)
                for count in range(1, len(values) + 1):
                    watch.see(*_estimate(values[:count]))
                return _with_enough_events(watch.interval(), measure, self.outcomes)
        return _with_enough_events(mean_interval(self.values(measure), self.confidence), measure, self.outcomes)

    def ratio(self, numerator: str, denominator: str) -> Interval:
        """The ratio of two means, as all cost over all answers: not the mean of the replications' ratios."""
        return ratio_interval(self.values(numerator), self.values(denominator), self.confidence)

    def frame(self) -> "pd.DataFrame":
        """One row for each measure: value, low, high, relative (half-width), count, trusted, why."""
        from forge1sim.experiments.shown import interval_frame

        return interval_frame({name: self.interval(name) for name in self.measures})

    def draws(self) -> "pd.DataFrame":
        """One row for each replication, by seed, with every number."""
        import pandas as pd

        return pd.DataFrame([dict(one) for one in self.outcomes], index=pd.Index(self.seeds, name="seed"))

    def figure(self, measure: str) -> "go.Figure":
        """How the mean and its interval settle with the number of replications."""
        from forge1sim.experiments.shown import settling

        return settling(measure, self.values(measure), self.interval(measure))


@dataclass(frozen=True)
class Difference:
    """One measure of an alternative less that of the baseline, in pairs.

    `p_value` is that of the paired t-test, `adjusted` the same corrected for all differences that were asked about. The verdict
    is `better` or `worse` where the adjusted one is below 1 - confidence, `same` where no replication differs. `variance_ratio`
    is the variance of a paired difference over that of one on seeds of its own: 0.1 saves nine tenths of the replications.
    """

    alternative: str
    measure: str
    baseline: float
    interval: Interval
    p_value: float
    adjusted: float
    verdict: Verdict
    variance_ratio: float


@dataclass(frozen=True)
class Compared:
    """Alternatives on the same seeds; the first is the baseline. `differences` are by alternative, then by measure."""

    names: tuple[str, ...]
    replications: tuple[Replications, ...]
    differences: tuple[Difference, ...]
    confidence: float
    correction: Correction

    @property
    def reached(self) -> bool:
        """Whether every precision that was asked for is kept in every alternative."""
        return all(one.reached for one in self.replications)

    def of(self, alternative: str, measure: str) -> Difference:
        """One difference. Raises ExperimentError for a name that there is not."""
        for one in self.differences:
            if (one.alternative, one.measure) == (alternative, measure):
                return one
        raise ExperimentError(f"there is no difference of {measure!r} between {alternative!r} and {self.names[0]!r}")

    def frame(self) -> "pd.DataFrame":
        """One row for each difference: alternative, measure, baseline, difference with bounds, p-values, verdict, why."""
        from forge1sim.experiments.shown import difference_frame

        return difference_frame(self.differences)

    def figure(self, alternative: str | None = None, tier: str = ALL_TIERS) -> "go.Figure":
        """Differences of one alternative (the first by default) in per cent of the baseline, with intervals."""
        from forge1sim.experiments.shown import differences_figure

        name = self.names[1] if alternative is None else alternative
        if name not in self.names[1:]:
            raise ExperimentError(f"alternative {name!r} is none of {', '.join(self.names[1:])}")
        return differences_figure([one for one in self.differences if one.alternative == name], tier)


@dataclass(frozen=True)
class Best:
    """The best of several with a stated guarantee (`statistics.selection`)."""

    names: tuple[str, ...]
    asks: tuple[Ask, ...]
    measure: str
    selection: Selection

    @property
    def name(self) -> str:
        """Of the best."""
        return self.names[self.selection.best]

    @property
    def ask(self) -> Ask:
        """The best itself."""
        return self.asks[self.selection.best]

    def frame(self) -> "pd.DataFrame":
        """One row for each alternative: mean, replications, best."""
        import pandas as pd

        best = [place == self.selection.best for place in range(len(self.names))]
        columns = {"mean": self.selection.means, "replications": self.selection.replications, "best": best}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="alternative"))

    def figure(self) -> "go.Figure":
        """The mean of each alternative and how many replications it took to tell."""
        from forge1sim.experiments.shown import best_figure

        return best_figure(self.names, self.measure, self.selection)


def replications(
    ask: Ask, count: int | None = None, *, until: Precision | Sequence[Precision] = (), confidence: float = CONFIDENCE, most: int = MOST,
    workers: int | None = None, backend: str = "processes", on_replication: OnReplication = _nobody,
) -> Replications:  # fmt: skip
    """Simulate an ask on the seeds from its own on: `count` times (10 by default), or until numbers are known well enough.

    `most` ends a precision that is not reached; `reached` says so. Workers and backend are those of
    `forge1sim.experiments.workers`. Raises ExperimentError, naming what is wrong or which run failed.
    """
    plan = Replicating((ask,), count, _precisions(until), confidence, most, on_replication)
    return plan.run(_evaluated(workers, backend), _at_once(workers, backend))[0]


def compare(
    asks: Sequence[Ask] | Mapping[str, Ask], count: int | None = None, *, until: Precision | Sequence[Precision] = (),
    measures: Sequence[str] | None = None, confidence: float = CONFIDENCE, correction: Correction = "holm", most: int = MOST,
    workers: int | None = None, backend: str = "processes", on_replication: OnReplication = _nobody,
) -> Compared:  # fmt: skip
    """Simulate alternatives on the same seeds and tell each from the first, the baseline, in every measure.

    `asks` may have names. With `until` every alternative must reach the precision. The correction is for all differences that the
    result holds: naming the few `measures` that matter makes it less strict. Raises ExperimentError.
    """
    names, alternatives = _named(asks)
    plan = Replicating(alternatives, count, _precisions(until), confidence, most, on_replication)
    made = plan.run(_evaluated(workers, backend), _at_once(workers, backend))
    return Compared(names, made, _differences(names, made, measures, confidence, correction), confidence, correction)


def select_best(
    asks: Sequence[Ask] | Mapping[str, Ask], measure: str, indifference: float, confidence: float = CONFIDENCE, *,
    most: int = MOST, workers: int | None = None, backend: str = "processes", on_replication: OnReplication = _nobody,
) -> Best:  # fmt: skip
    """The alternative whose mean of a measure is best, on common seeds, dropping those that are clearly beaten.

    With at least `confidence` the one that is selected is no more than `indifference` (in the measure's unit) worse than the best.
    Raises ExperimentError.
    """
    names, alternatives = _named(asks)
    better = better_of(measure)
    if better == 0:
        raise ExperimentError(f"measure {measure!r} is neither better when larger nor when smaller; choose another")
    evaluate = _evaluated(workers, backend)

    def draw(number: int, left: tuple[int, ...]) -> list[float]:
        outcomes = evaluate([_seeded(alternatives[place], number) for place in left])
        for outcome in outcomes:
            _demand_measure(measure, outcome)
        on_replication(number + 1, most)
        return [outcome[measure] for outcome in outcomes]

    found = select(draw, len(names), indifference=indifference, confidence=confidence, larger_is_better=better > 0, most=most)
    return Best(names, alternatives, measure, found)


def better_of(measure: str) -> int:
    """1 if more is better, -1 if less is, 0 if neither or not known."""
    _, known = measure_named(measure)
    return known.better if known else int(measure == ATTAINED)


@dataclass(frozen=True)
class Replicating:
    """What to replicate and when to stop. The stop depends on the seeds in order, not on how many are made at once."""

    asks: tuple[Ask, ...]
    count: int | None = None
    until: tuple[Precision, ...] = ()
    confidence: float = CONFIDENCE
    most: int = MOST
    on_replication: OnReplication = _nobody

    def __post_init__(self) -> None:
        if self.count is not None and self.until:
            raise ExperimentError("give either count or until, not both")
        for name, value in (("count", self.count), ("most", self.most)):
            if value is not None and (isinstance(value, bool) or value < 1):
                raise ExperimentError(f"{name} is {value}, must be 1 or more")

    def run(self, evaluate: Evaluate, at_once: int) -> tuple[Replications, ...]:
        """Replications of each ask; `evaluate` is given `at_once` asks, or more, at a time and gives their outcomes in order."""
        rows: list[Sequence[Outcome]] = []
        watches = [{precision: Watch(precision) for precision in self.until} for _ in self.asks]
        for row in self._rows(evaluate, at_once):
            rows.append(row)
            self.on_replication(len(rows), self._wanted)
            if self.until and self._is_over(rows, watches):
                break
        seeds = tuple(range(self.asks[0].seed, self.asks[0].seed + len(rows)))
        found = []
        for place, (ask, mine) in enumerate(zip(self.asks, watches, strict=True)):
            outcomes = tuple(row[place] for row in rows)
            known = [_with_enough_events(watch.interval(), one.measure, outcomes).trusted for one, watch in mine.items()]
            reached = all(known) and all(watch.is_reached for watch in mine.values())
            found.append(Replications(ask, seeds, outcomes, self.confidence, self.until, reached))
        return tuple(found)

    @property
    def _wanted(self) -> int:
        return self.most if self.until else self.count or COUNT

    def _rows(self, evaluate: Evaluate, at_once: int) -> Iterator[Sequence[Outcome]]:
        """The outcomes of all asks, replication by replication."""
        surely = max([precision.minimum for precision in self.until], default=self._wanted)
        done = 0
        while done < self._wanted:
            ahead = min(max(surely - done, -(-at_once // len(self.asks))), self._wanted - done)
            asks = [_seeded(ask, number) for number in range(done, done + ahead) for ask in self.asks]
            outcomes = evaluate(asks)
            for start in range(0, len(outcomes), len(self.asks)):
                yield outcomes[start : start + len(self.asks)]
            done += ahead

    def _is_over(self, rows: Sequence[Sequence[Outcome]], watches: list[dict[Precision, Watch]]) -> bool:
        """Whether all is known well enough, or more replications cannot help."""
        helpless = False
        for place, mine in enumerate(watches):
            for precision, watch in mine.items():
                _demand_measure(precision.measure, rows[-1][place])
                outcomes = [row[place] for row in rows]
                watch.see(*_estimate(np.array([one[precision.measure] for one in outcomes])))
                few = len(rows) >= precision.minimum and not _with_enough_events(watch.interval(), precision.measure, outcomes).trusted
                helpless = helpless or (few and watch.interval().trusted)
        return helpless or all(watch.is_reached for mine in watches for watch in mine.values())


def _estimate(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; NaN where a value is missing."""
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _with_enough_events(found: Interval, measure: str, outcomes: Sequence[Outcome]) -> Interval:
    """The interval, without bounds if it is of a quantile and a replication has too few answers for that."""
    tier, _, name = measure.partition(".")
    ratio = next((ratio for quantile, ratio in _QUANTILES.items() if name.endswith(f"_{quantile}_s")), None)
    if ratio is None or not found.trusted:
        return found
    events = [one[f"{tier}.served"] for one in outcomes]
    judged = quantile_interval([one[measure] for one in outcomes], events, ratio, found.confidence)
    return found if judged.trusted else judged


def _differences(
    names: Sequence[str], made: Sequence[Replications], measures: Sequence[str] | None, confidence: float, correction: Correction
) -> tuple[Difference, ...]:
    pairs = []
    for name, other in zip(names[1:], made[1:], strict=True):
        shared = [one for one in made[0].measures if one in other.measures and better_of(one)]
        for measure in shared if measures is None else measures:
            pairs.append((name, measure, made[0].values(measure), other.values(measure)))
    p_values = np.array([paired_p_value(before, after) for _, _, before, after in pairs])
    corrected = adjusted(p_values, correction)
    found = []
    for (name, measure, before, after), p_value, adjusted_p in zip(pairs, p_values.tolist(), corrected.tolist(), strict=True):
        interval = paired_interval(before, after, confidence)
        baseline, verdict = float(np.mean(before)), _verdict(measure, after - before, adjusted_p, confidence)
        found.append(Difference(name, measure, baseline, interval, p_value, adjusted_p, verdict, variance_ratio(before, after)))
    return tuple(found)


def variance_ratio(before: Floats, after: Floats) -> float:
    """Variance of a paired difference over that of a difference on seeds of its own; NaN if neither side varies."""
    apart = float(np.var(before, ddof=1) + np.var(after, ddof=1)) if len(before) > 1 else 0.0
    return float(np.var(after - before, ddof=1)) / apart if apart > 0 else float("nan")


def _verdict(measure: str, differences: Floats, adjusted_p: float, confidence: float) -> Verdict:
    if not differences.any():
        return "same"
    if not adjusted_p < 1 - confidence or better_of(measure) == 0:
        return "unclear"
    return "better" if float(differences.mean()) * better_of(measure) > 0 else "worse"


def _named(asks: Sequence[Ask] | Mapping[str, Ask]) -> tuple[tuple[str, ...], tuple[Ask, ...]]:
    """Names and asks; without names, the scenario with what is changed in it."""
    alternatives = tuple(asks.values() if isinstance(asks, Mapping) else asks)
    if len(alternatives) < 2:
        raise ExperimentError(f"{len(alternatives)} alternatives, a comparison needs at least 2")
    seeds = sorted({ask.seed for ask in alternatives})
    if len(seeds) > 1:
        raise ExperimentError(f"alternatives have seeds {seeds}; give all the same one, which their replications count from")
    if isinstance(asks, Mapping):
        return tuple(asks), alternatives
    names = tuple(" ".join([ask.scenario, *ask.overrides]) for ask in alternatives)
    if len(set(names)) < len(names):
        raise ExperimentError("two alternatives are the same scenario with the same overrides")
    return names, alternatives


def _precisions(until: Precision | Sequence[Precision]) -> tuple[Precision, ...]:
    return (until,) if isinstance(until, Precision) else tuple(until)


def _seeded(ask: Ask, number: int) -> Ask:
    return replace(ask, seed=ask.seed + number)


def _demand_measure(measure: str, outcome: Outcome) -> None:
    if measure not in outcome:
        import difflib

        near = difflib.get_close_matches(measure, list(outcome), 1, 0.0)
        raise ExperimentError(f"measure {measure!r} is none of a run's numbers; did you mean {near[0]}?")


def _evaluated(workers: int | None, backend: str) -> Evaluate:
    from forge1sim.experiments.workers import evaluate

    return lambda asks: evaluate(asks, workers=workers, backend=backend)


def _at_once(workers: int | None, backend: str) -> int:
    from forge1sim.experiments.workers import workers_of

    return 1 if backend == "serial" else workers_of(workers)
