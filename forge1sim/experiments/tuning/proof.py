"""The last stage: the best of a search again on draws that the search never saw, so that the winner is no lucky one.

Whatever does best on the draws of a search is partly the best and partly lucky there. So the finalists are run on fresh draws, one is
picked there, and that one alone is compared with the best shipped default on draws that are fresh again: the paired interval
of that comparison is an honest one, since nothing was chosen by these draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.tuning.goals import Constraint, front_of, mean_outcome, total_violation
from forge1sim.experiments.tuning.search import COMPLETE, Evaluated, Plan
from forge1sim.experiments.tuning.space import with_point
from forge1sim.experiments.tuning.study import Holder, Runs, kept_outcomes, mark_of
from forge1sim.statistics.interval import Interval
from forge1sim.statistics.means import mean_interval

PICK_SEEDS, PROOF_SEEDS = 1_000_000, 2_000_000        # above the seeds of the search
PICK_CONFIDENCE = 0.99                                # that constraints hold, before one is picked
REFERENCES_AGAIN = 3                                  # shipped defaults that are run again
MOST_ROUNDS = 3                                       # of finalists, while none keeps the constraints


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A finalist against the best shipped default on fresh draws.

    `differences` are of the objectives, finalist less default, in their order; `ratios` the finalist's mean over
    the default's. `margins` tell how far inside the constraints it is. `better`: every objective is no worse on average and
    one at least is better, with its whole interval, and all constraints hold.
    """

    finalist: Evaluated
    reference: Evaluated
    outcome: Outcome
    reference_outcome: Outcome
    differences: tuple[Interval, ...]
    ratios: tuple[float, ...]
    margins: tuple[Interval, ...]
    keeps: bool
    reference_keeps: bool
    better: bool
    draws: int
    confidence: float                 # of each interval: all of them hold together with that of `Draws`


@dataclass(frozen=True, kw_only=True)
class Draws:
    """How many fresh draws the last stage takes, how many finalists, and how sure it has to be."""

    pick: int = 5
    proof: int = 10
    finalists: int = 5
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.pick < 2 or self.proof < 2 or self.finalists < 1:
            raise ExperimentError(f"{self.finalists} finalists on {self.pick} and {self.proof} draws; should be 1 or more on 2 or more")

    @property
    def usual_runs(self) -> int:
        """How many runs it usually takes: finalists and defaults, then two or three of them again."""
        return self.pick * (self.finalists + REFERENCES_AGAIN) + 2 * self.proof


class Fresh:
    """Outcomes on fresh draws, kept in the study as they come."""

    def __init__(self, plan: Plan, holder: Holder, runs: Runs) -> None:
        self.plan, self.holder, self.runs = plan, holder, runs

    def of(self, ones: Sequence[Evaluated], seeds: int, draws: int) -> dict[int, list[Outcome]]:
        """The outcomes of each point, by its number. Raises ExperimentError if a run fails."""
        wanted = []
        for one in ones:
            ask = with_point(self.plan.ask, one.point)
            for seed in range(ask.seed + seeds, ask.seed + seeds + draws):
                wanted.append((self.holder, f"fresh:{mark_of(dict(one.point))}:{seed}", replace(ask, seed=seed)))
        found = kept_outcomes(self.runs, wanted)
        for (_, _, ask), outcome in zip(wanted, found, strict=True):
            if isinstance(outcome, str):
                raise ExperimentError(f"{ask.scenario} {' '.join(ask.overrides)} --seed {ask.seed}: {outcome}")
        good = [outcome for outcome in found if not isinstance(outcome, str)]
        return {one.number: good[row * draws : (row + 1) * draws] for row, one in enumerate(ones)}


def prove(plan: Plan, found: Sequence[Evaluated], fresh: Fresh, draws: Draws) -> tuple[Proof, ...]:
    """Proofs: of one finalist for one objective, of points along the front for several. Empty if there is no finalist."""
    if len(plan.objectives) > 1:
        finalists = spread([one for one in front(found) if not one.reference], draws.finalists)
        return _compared(plan, finalists, found[0], found[0], fresh, draws)
    references = sorted((one for one in found if one.reference and one.state == COMPLETE), key=lambda one: one.rank)
    references = references[:REFERENCES_AGAIN]
    again = {one.number: one for one in (*references, found[0])}
    outcomes = fresh.of([*again.values()], PICK_SEEDS, draws.pick)
    own = outcomes[found[0].number]
    reference = min(references, key=lambda one: _rank(plan, outcomes[one.number], own))
    finalist = _pick(plan, found, own, fresh, draws)
    return _compared(plan, [finalist], reference, found[0], fresh, draws) if finalist is not None else ()


def front(found: Sequence[Evaluated]) -> list[Evaluated]:
    """The feasible points that no other feasible point beats, by their first objective."""
    feasible = [one for one in found if one.feasible]
    kept = [feasible[row] for row in front_of([one.losses for one in feasible])]
    return sorted(kept, key=lambda one: (one.losses, one.number))


def spread(ones: Sequence[Evaluated], most: int) -> list[Evaluated]:
    """At most so many of them, evenly along their order, both ends included."""
    if len(ones) <= most:
        return list(ones)
    return [ones[row] for row in dict.fromkeys(np.linspace(0, len(ones) - 1, most).round().astype(int).tolist())]


def _pick(plan: Plan, found: Sequence[Evaluated], own: Sequence[Outcome], fresh: Fresh, draws: Draws) -> Evaluated | None:
    """The finalist that does best on fresh draws among those that keep the constraints there; else the one that breaks least."""
    ranked = sorted((one for one in found if one.state == COMPLETE and not one.reference), key=lambda one: one.rank)
    best: tuple[tuple[float, ...], Evaluated] | None = None
    for begin in range(0, min(len(ranked), MOST_ROUNDS * draws.finalists), draws.finalists):
        finalists = ranked[begin : begin + draws.finalists]
        outcomes = fresh.of(finalists, PICK_SEEDS, draws.pick)
        for one in finalists:
            keeps = _keeps(plan.constraints, outcomes[one.number], own, PICK_CONFIDENCE)
            rank = (0.0 if keeps else 1.0, *_rank(plan, outcomes[one.number], own))
            if best is None or rank < best[0]:
                best = (rank, one)
        if best is not None and best[0][0] == 0.0:
            break
    return None if best is None else best[1]


def _rank(plan: Plan, outcomes: Sequence[Outcome], own: Sequence[Outcome]) -> tuple[float, ...]:
    mean = mean_outcome(outcomes)
    return (total_violation(plan.constraints, mean, mean_outcome(own)), *(objective.loss(mean) for objective in plan.objectives))


def _margins(constraint: Constraint, outcomes: Sequence[Outcome], own: Sequence[Outcome]) -> NDArray[np.float64]:
    return np.array([constraint.margin(outcome, base) for outcome, base in zip(outcomes, own, strict=True)])


def _keeps(constraints: Sequence[Constraint], outcomes: Sequence[Outcome], own: Sequence[Outcome], confidence: float) -> bool:
    """Whether all constraints hold: by the whole interval of the margin, or, where there is none, on every draw."""
    for constraint in constraints:
        margins = _margins(constraint, outcomes, own)
        if not np.isfinite(margins).all():
            return False
        interval = mean_interval(margins, confidence)
        if (interval.low if interval.trusted else margins.min()) < 0:
            return False
    return True


def _compared(
    plan: Plan, finalists: Sequence[Evaluated], reference: Evaluated, own: Evaluated, fresh: Fresh, draws: Draws
) -> tuple[Proof, ...]:  # fmt: skip
    """Each finalist against the reference, with intervals that hold together (Bonferroni)."""
    if not finalists:
        return ()
    runs = {one.number: one for one in (*finalists, reference, own)}
    outcomes = fresh.of([*runs.values()], PROOF_SEEDS, draws.proof)
    confidence = 1 - (1 - draws.confidence) / len(finalists)
    return tuple(_proof(plan, one, reference, outcomes, own.number, confidence) for one in finalists)


def _proof(
    plan: Plan, one: Evaluated, reference: Evaluated, outcomes: dict[int, list[Outcome]], own: int, confidence: float
) -> Proof:  # fmt: skip
    mine, its, base = outcomes[one.number], outcomes[reference.number], outcomes[own]
    mean, its_mean = mean_outcome(mine), mean_outcome(its)
    columns = [objective.column for objective in plan.objectives]
    paired = [np.array([a[column] - b[column] for a, b in zip(mine, its, strict=True)]) for column in columns]
    signs = [1 if objective.maximize else -1 for objective in plan.objectives]
    gains = [_least_gain(sign * each, confidence) for sign, each in zip(signs, paired, strict=True)]
    keeps = _keeps(plan.constraints, mine, base, confidence)
    reference_keeps = total_violation(plan.constraints, its_mean, mean_outcome(base)) <= 0
    no_worse = all(objective.loss(mean) <= objective.loss(its_mean) for objective in plan.objectives)
    return Proof(
        finalist=one, reference=reference, outcome=mean, reference_outcome=its_mean,
        differences=tuple(mean_interval(each, confidence) for each in paired),
        ratios=tuple(mean[column] / its_mean[column] if its_mean[column] else float("nan") for column in columns),
        margins=tuple(mean_interval(_finite(_margins(constraint, mine, base)), confidence) for constraint in plan.constraints),
        keeps=keeps, reference_keeps=reference_keeps,
        better=keeps and (not reference_keeps or (no_worse and any(gain > 0 for gain in gains))), draws=len(mine),
        confidence=confidence,
    )  # fmt: skip


def _least_gain(gains: NDArray[np.float64], confidence: float) -> float:
    """The least gain that the interval allows; the gain itself if it is the same on every draw."""
    interval = mean_interval(gains, confidence)
    return interval.low if interval.trusted else float(gains.min())


def _finite(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(margins), margins, np.nan)
