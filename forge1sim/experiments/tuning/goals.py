"""What a search is for: numbers to make small or large, and conditions that must hold.

`all.cost_usd` is a number of the outcome (`forge1sim.experiments.outcome`); `slo.attained>=baseline` and
`enterprise.wait_p95_s<=1` are conditions. `baseline` is what the scenario's own policies come to on the same draws.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import Outcome
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.problems import nearest

Floats = NDArray[np.float64]
BASELINE, PROMISES = "baseline", "slos"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A number of the outcome to make small, or large."""

    column: str
    maximize: bool = False

    @property
    def text(self) -> str:
        """In words: `least all.cost_usd`."""
        return f"{'most' if self.maximize else 'least'} {self.column}"

    def loss(self, outcome: Outcome) -> float:
        """Less is better; infinite where nothing was measured."""
        value = outcome[self.column]
        return math.inf if math.isnan(value) else -value if self.maximize else value


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A number of the outcome that must be at least, or at most, `bound`; None means the baseline's."""

    column: str
    at_least: bool
    bound: float | None

    @property
    def text(self) -> str:
        """As it is written: `slo.attained>=baseline`."""
        return f"{self.column}{'>=' if self.at_least else '<='}{BASELINE if self.bound is None else f'{self.bound:g}'}"

    def margin(self, outcome: Outcome, baseline: Outcome) -> float:
        """How far inside it is, below 0 outside; minus infinity where nothing was measured."""
        value, bound = outcome[self.column], baseline[self.column] if self.bound is None else self.bound
        difference = value - bound if self.at_least else bound - value
        if math.isnan(bound):
            return 0.0
        return -math.inf if math.isnan(difference) else difference

    def violation(self, outcome: Outcome, baseline: Outcome) -> float:
        """Above 0 by how far it is broken, as a share of the bound; 0 or below where it holds."""
        bound = baseline[self.column] if self.bound is None else self.bound
        scale = abs(bound) if math.isfinite(bound) and abs(bound) > 1e-9 else 1.0
        return -self.margin(outcome, baseline) / scale


def parse_objectives(minimize: Sequence[str], maximize: Sequence[str], columns: Sequence[str]) -> tuple[Objective, ...]:
    """One or several objectives. Raises ExperimentError for a number that there is not, or that is named twice."""
    for option, names in (("--minimize", minimize), ("--maximize", maximize)):
        for name in names:
            _known(f"{option} {name}", name, columns)
    named = [*minimize, *maximize]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise ExperimentError(f"{twice}: is to be minimized or maximized twice; name it once")
    if not named:
        raise ExperimentError("nothing is to be minimized or maximized; name a number, such as --minimize all.cost_usd")
    return (*(Objective(column=name) for name in minimize), *(Objective(column=name, maximize=True) for name in maximize))


def parse_constraints(texts: Sequence[str], loaded: LoadedScenario, columns: Sequence[str]) -> tuple[Constraint, ...]:
    """The constraints; `slos` stands for each promise of the scenario. Raises ExperimentError."""
    found: list[Constraint] = []
    for text in texts:
        if text.strip() != PROMISES:
            found.append(parse_constraint(text, columns))
            continue
        if not loaded.slos:
            raise ExperimentError(f"--subject-to {PROMISES}: the scenario promises nothing (it has no slos)")
        for slo in loaded.slos:
            column = f"{slo.tier}.{slo.metric}"
            found += [Constraint(column=column, at_least=True, bound=slo.at_least)] if slo.at_least is not None else []
            found += [Constraint(column=column, at_least=False, bound=slo.at_most)] if slo.at_most is not None else []
    return tuple(dict.fromkeys(found))


def parse_constraint(text: str, columns: Sequence[str]) -> Constraint:
    """A constraint from `number>=bound` or `number<=bound`. Raises ExperimentError."""
    shown = f"--subject-to {text if len(text) <= 100 else text[:97] + '...'}"
    found = re.fullmatch(r"\s*(\S+?)\s*(>=|<=)\s*(\S+)\s*", text)
    if found is None:
        raise ExperimentError(f"{shown}: should be number>=bound or number<=bound, such as slo.attained>=baseline")
    column, sign, bound = found.groups()
    _known(shown, column, columns)
    return Constraint(column=column, at_least=sign == ">=", bound=None if bound == BASELINE else _bound(shown, bound))


def _bound(shown: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ExperimentError(f"{shown}: {text!r} is no bound; should be a finite number or {BASELINE}")
    return value


def _known(shown: str, column: str, columns: Sequence[str]) -> None:
    if column not in columns:
        raise ExperimentError(f"{shown}: {column!r} is no number of the outcome; {nearest(column, columns, 'numbers')}")


def mean_outcome(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The mean of each number over replications; NaN where one has none."""
    return {column: float(np.mean([outcome[column] for outcome in outcomes])) for column in outcomes[0]}


def total_violation(constraints: Sequence[Constraint], outcome: Outcome, baseline: Outcome) -> float:
    """Sum of what is broken; 0 if all hold."""
    return sum(max(0.0, constraint.violation(outcome, baseline)) for constraint in constraints)


def front_of(losses: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """Positions of the points that no other beats: at least as good in all losses and better in one.

    `losses` has shape (points, objectives); less is better. Points with an infinite loss are never on the
    front; of equal points all are.
    """
    points = np.asarray(losses, dtype=np.float64)
    finite = [row for row in range(len(points)) if np.isfinite(points[row]).all()]
    kept = []
    for row in finite:
        others = points[finite]
        beaten = (others <= points[row]).all(axis=1) & (others < points[row]).any(axis=1)
        if not beaten.any():
            kept.append(row)
    return tuple(kept)


def as_numbers(outcome: Mapping[str, float | None]) -> dict[str, float]:
    """An outcome that was stored as JSON, where nothing measured is null."""
    return {column: math.nan if value is None else float(value) for column, value in outcome.items()}


def as_stored(outcome: Outcome) -> dict[str, float | None]:
    """The inverse of `as_numbers`."""
    return {column: value if math.isfinite(value) else None for column, value in outcome.items()}
