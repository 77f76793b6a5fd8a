"""The search: ask for a batch of points, simulate them in parallel, tell the results in order.

What is asked next depends on the seed, the size of a batch and what was told before, and on nothing else: not on time, not on
the number of workers, not on a kill in between. Each point is drawn by a sampler that is seeded by its number; every
run that ended is kept at once, so that a search that was killed goes on where it was.

The first points are a scrambled Sobol sequence, which fills the space evenly. Then every other point comes from a tree-structured
Parzen estimator (Bergstra et al. 2011; multivariate: Falkner et al. 2018) that knows the constraints and takes points that still
run for bad ones, so that a batch is spread out; and every other is one of the best points so far with a few knobs turned
by a step of random size, as in evolution strategies (Rechenberg 1973). The estimator alone hardly refined what it had found.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, ScenarioError
from forge1sim.experiments.outcome import Outcome
from forge1sim.experiments.tuning.goals import Constraint, Objective, mean_outcome, total_violation
from forge1sim.experiments.tuning.space import Choice, Knob, Point, Value, with_point
from forge1sim.experiments.tuning.study import WHY, Runs, kept_outcomes, outcome_in

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as LiveTrial

FULL, SHORT, REFERENCE = "full", "short", "reference"
COMPLETE, DROPPED, REFUSED = "complete", "dropped", "refused"
MOST_VIOLATION = 1e9                 # databases have no infinity
FEWEST_TO_DROP = 10                  # complete points before any is dropped
PARENTS, TURNED = 3, 2               # best points that are varied, and how many knobs of one are turned on average
STEPS = (0.01, 0.3)                  # least and greatest usual step, as shares of a range


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is searched. Replications have the seeds `ask.seed`, `ask.seed + 1`, ...: the same for all points.

    `references` are shipped defaults, each as what it changes; the first is the scenario's own policies.
    `search_on` are overrides for the search alone, such as the busy hours; the last stage runs the scenario as it is.
    `short` are overrides that make a run short: points that are clearly worse there are dropped.
    """

    ask: Ask
    space: tuple[Knob, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    references: tuple[Point, ...]
    own: Point                        # what the scenario itself says for each knob
    trials: int
    seed: int
    replications: int
    batch: int
    even: int                         # how many points fill the space evenly before the search proper
    search_on: tuple[str, ...] = ()
    short: tuple[str, ...] = ()

    @property
    def searched(self) -> int:
        """How many points are asked for, besides the references."""
        return self.trials - len(self.references)

    def asks(self, point: Point, overrides: tuple[str, ...] = ()) -> list[Ask]:
        """The replications of a point in the search."""
        one = with_point(self.ask, point)
        one = replace(one, overrides=(*one.overrides, *self.search_on, *overrides))
        return [replace(one, seed=one.seed + k) for k in range(self.replications)]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A point and what it came to: means over replications.

    `state` is complete, dropped (after the short run) or refused (by the scenario, which `why` tells). Of `losses`, one
    for each objective, less is better; `violation` is above 0 by what is broken of the constraints, as shares of their bounds.
    """

    number: int
    point: Point
    state: str
    outcome: Outcome = field(default_factory=dict)
    short: Outcome = field(default_factory=dict)
    violation: float = math.inf
    losses: tuple[float, ...] = ()
    reference: bool = False
    why: str = ""

    @property
    def feasible(self) -> bool:
        """Complete, and all constraints hold on average."""
        return self.state == COMPLETE and self.violation <= 0

    @property
    def rank(self) -> tuple[float, ...]:
        """Least is best: first what is broken, then the objectives."""
        return (self.violation, *self.losses)


class Search:
    """A search over one study. `told` is called with each point as soon as all is known of it, in order."""

    def __init__(self, plan: Plan, study: "Study", runs: Runs, told: Callable[[Evaluated], None]) -> None:
        self.plan, self.study, self.runs, self.told = plan, study, runs, told
        self.baseline: Outcome = {}
        self.short_baseline: Outcome = {}
        self.found: list[Evaluated] = []

    def run(self) -> tuple[Evaluated, ...]:
        """References and points, in order of their numbers; what is known already is not run again."""
        self._run_references()
        for trial in self._searched():
            if trial.state.is_finished():
                self._found(self._known(trial))
        while batch := self._next_batch():
            self._run_batch(batch)
        return tuple(self.found)

    def _found(self, one: Evaluated) -> None:
        self.found.append(one)
        self.told(one)

    def _run_references(self) -> None:
        plan = self.plan
        wanted = [
            (self.study, f"{REFERENCE}:{row}:{k}", ask)
            for row, point in enumerate(plan.references)
            for k, ask in enumerate(plan.asks(point))
        ]
        wanted += [(self.study, f"{SHORT}:{k}", ask) for k, ask in enumerate(plan.asks({}, plan.short)) if plan.short]
        outcomes, width = kept_outcomes(self.runs, wanted), plan.replications
        groups = [outcomes[first : first + width] for first in range(0, len(outcomes), width)]
        for own in (groups[0], *groups[len(plan.references) :]):
            failures = [one for one in own if isinstance(one, str)]
            if failures:
                raise ExperimentError(f"{plan.ask.scenario} under its own policies: {failures[0]}")
        self.baseline = _mean(groups[0])
        self.short_baseline = _mean(groups[-1]) if plan.short else {}
        for row, point in enumerate(plan.references):
            short = self.short_baseline if row == 0 else {}
            self._found(self._judged(Evaluated(number=row, point=point, state=COMPLETE, short=short, reference=True), groups[row]))
        self._tell_references()

    def _judged(self, one: Evaluated, outcomes: Sequence[Outcome | str]) -> Evaluated:
        """With what its runs came to."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
        if failures:
            return replace(one, state=REFUSED, why=failures[0])
        outcome = _mean(outcomes)
        return replace(
            one, outcome=outcome, losses=tuple(objective.loss(outcome) for objective in self.plan.objectives),
            violation=total_violation(self.plan.constraints, outcome, self.baseline),
        )  # fmt: skip

    # What Optuna knows: references that lie inside the space, then the points that were searched.

    def _tell_references(self) -> None:
        """Let the sampler know of those references that lie inside the space."""
        from optuna.trial import TrialState, create_trial

        own = self.plan.own
        told = {trial.user_attrs.get(REFERENCE) for trial in self.study.get_trials(deepcopy=False)}
        for one in self.found:
            point = {**own, **one.point}
            inside = set(point) == set(own) and all(knob.holds(point[knob.path]) for knob in self.plan.space)
            if inside and one.state == COMPLETE and one.number not in told:
                self.study.add_trial(
                    create_trial(
                        state=TrialState.COMPLETE, values=self._values(one), params=dict(point), user_attrs={REFERENCE: one.number},
                        distributions={knob.path: _distribution(knob) for knob in self.plan.space},
                        constraints=self._violations(one.outcome),
                    )
                )  # fmt: skip

    def _searched(self) -> list["FrozenTrial"]:
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if REFERENCE not in trial.user_attrs]

    def _next_batch(self) -> list["LiveTrial"]:
        """The points that run now: what was asked before a kill, filled up to a whole batch."""
        from optuna.trial import Trial

        known = self._searched()
        open_ones = [trial for trial in known if not trial.state.is_finished()]
        begun = (len(known) - len(open_ones)) // self.plan.batch * self.plan.batch
        goal = min(self.plan.searched, begun + self.plan.batch)
        batch = []
        for position in range(len(known) - len(open_ones), max(goal, len(known))):
            self.study.sampler = self._sampler(position)
            again = open_ones[position - len(known)] if position < len(known) else None
            trial = self.study.ask() if again is None else Trial(self.study, again._trial_id)
            for knob in self.plan.space:
                _suggest(trial, knob)
            batch.append(trial)
        return batch

    def _sampler(self, position: int) -> "BaseSampler":
        import optuna

        if position < self.plan.even:
            return _given(even_points(self.plan.space, self.plan.even, self.plan.seed)[position])
        if position % 2:
            parents = sorted((one for one in self.found if one.state == COMPLETE), key=lambda one: one.rank)[:PARENTS]
            points = [{**self.plan.own, **one.point} for one in parents]
            return _given(near_point(self.plan.space, points, np.random.default_rng([self.plan.seed, position])))
        seed = int(np.random.SeedSequence([self.plan.seed, position]).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True)

    def _run_batch(self, batch: Sequence["LiveTrial"]) -> None:
        plan = self.plan
        first = len(self.found)
        ones = [Evaluated(number=first + row, point=dict(trial.params), state=COMPLETE) for row, trial in enumerate(batch)]
        ones = [self._refused_or(one) for one in ones]
        if plan.short:
            ones = self._after_short_run(batch, ones)
        going = [row for row, one in enumerate(ones) if one.state == COMPLETE]
        wanted = [(batch[row], f"{FULL}:{k}", ask) for row in going for k, ask in enumerate(plan.asks(ones[row].point))]
        outcomes, width = kept_outcomes(self.runs, wanted), plan.replications
        for place, row in enumerate(going):
            ones[row] = self._judged(ones[row], outcomes[place * width : (place + 1) * width])
        for trial, one in zip(batch, ones, strict=True):
            self._tell(trial, one)
            self._found(one)

    def _refused_or(self, one: Evaluated) -> Evaluated:
        """Refused, if the scenario does not take this combination of values."""
        try:
            with_point(self.plan.ask, one.point).load()
        except ScenarioError as error:
            return replace(one, state=REFUSED, why=error.problems[0])
        return one

    def _after_short_run(self, batch: Sequence["LiveTrial"], ones: Sequence[Evaluated]) -> list[Evaluated]:
        """Dropped is what does worse in the short run than the median of all complete points."""
        plan, width = self.plan, self.plan.replications
        going = [row for row, one in enumerate(ones) if one.state == COMPLETE]
        wanted = [(batch[row], f"{SHORT}:{k}", ask) for row in going for k, ask in enumerate(plan.asks(ones[row].point, plan.short))]
        outcomes = kept_outcomes(self.runs, wanted)
        before = sorted(self._short_rank(one.short) for one in self.found if one.state == COMPLETE and one.short)
        after = list(ones)
        for place, row in enumerate(going):
            mine = outcomes[place * width : (place + 1) * width]
            failures = [one for one in mine if isinstance(one, str)]
            if failures:
                after[row] = replace(ones[row], state=REFUSED, why=failures[0])
                continue
            short = _mean(mine)
            worse = len(before) >= FEWEST_TO_DROP and self._short_rank(short) > before[len(before) // 2]
            after[row] = replace(ones[row], short=short, state=DROPPED if worse else COMPLETE)
        return after

    def _short_rank(self, short: Outcome) -> tuple[float, float]:
        return (total_violation(self.plan.constraints, short, self.short_baseline), self.plan.objectives[0].loss(short))

    def _tell(self, trial: "LiveTrial", one: Evaluated) -> None:
        from optuna.trial import TrialState

        if one.state == REFUSED:
            trial.set_user_attr(WHY, one.why)
            self.study.tell(trial, state=TrialState.FAIL)
            return
        violations = self._violations(one.outcome) if one.outcome else self._violations(one.short, short=True)
        known = trial.constraints
        for text, violation in violations.items():
            if text not in known:
                trial.set_constraint(text, violation)
        if one.state == DROPPED:
            trial.report(_value(self.plan.objectives[0], one.short), step=0)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, self._values(one))

    def _known(self, trial: "FrozenTrial") -> Evaluated:
        """A point that was told before, from what the study keeps of it."""
        from optuna.trial import TrialState

        one = Evaluated(number=len(self.found), point=dict(trial.params), state=COMPLETE)
        attrs, rows = trial.user_attrs, range(self.plan.replications)
        kept = {stage: [outcome_in(attrs, f"{stage}:{k}") for k in rows if f"{stage}:{k}" in attrs] for stage in (FULL, SHORT)}
        if kept[SHORT] and not any(isinstance(outcome, str) for outcome in kept[SHORT]):
            one = replace(one, short=_mean(kept[SHORT]))
        if trial.state == TrialState.FAIL:
            return replace(one, state=REFUSED, why=str(trial.user_attrs.get(WHY, "")))
        return replace(one, state=DROPPED) if trial.state == TrialState.PRUNED else self._judged(one, kept[FULL])

    def _values(self, one: Evaluated) -> list[float]:
        return [_value(objective, one.outcome) for objective in self.plan.objectives]

    def _violations(self, outcome: Outcome, short: bool = False) -> dict[str, float]:
        baseline = self.short_baseline if short else self.baseline
        return {
            constraint.text: float(np.clip(constraint.violation(outcome, baseline), -MOST_VIOLATION, MOST_VIOLATION))
            for constraint in self.plan.constraints
        }


def _mean(outcomes: Sequence[Outcome | str]) -> dict[str, float]:
    return mean_outcome([outcome for outcome in outcomes if not isinstance(outcome, str)])


def _value(objective: Objective, outcome: Outcome) -> float:
    """The objective as Optuna is told it: in its own direction, as bad as can be where nothing was measured."""
    loss = objective.loss(outcome)
    return -loss if objective.maximize else loss


def _distribution(knob: Knob) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.values)
    if knob.whole:
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(knob.low, knob.high, log=knob.log)


def _suggest(trial: "LiveTrial", knob: Knob) -> None:
    if isinstance(knob, Choice):
        trial.suggest_categorical(knob.path, knob.values)
    elif knob.whole:
        trial.suggest_int(knob.path, int(knob.low), int(knob.high), log=knob.log)
    else:
        trial.suggest_float(knob.path, knob.low, knob.high, log=knob.log)


def even_points(space: Sequence[Knob], count: int, seed: int) -> list[dict[str, Value]]:
    """The first `count` points of a scrambled Sobol sequence over the space."""
    from scipy.stats import qmc

    shares = qmc.Sobol(len(space), scramble=True, rng=np.random.default_rng(seed)).random_base2(max(0, math.ceil(math.log2(count))))
    return [{knob.path: knob.at(float(share)) for knob, share in zip(space, row, strict=True)} for row in shares[:count]]


def near_point(space: Sequence[Knob], parents: Sequence[Point], rng: np.random.Generator) -> dict[str, Value]:
    """One of the parents with about two knobs turned: numbers by a normal step of random size, choices to any other value."""
    parent = parents[int(rng.integers(len(parents)))]
    turned = rng.random(len(space)) < TURNED / len(space)
    turned[rng.integers(len(space))] = True
    size = STEPS[0] * (STEPS[1] / STEPS[0]) ** rng.random()
    point: dict[str, Value] = {}
    for knob, turn in zip(space, turned, strict=True):
        value = parent[knob.path]
        if not turn and knob.holds(value):
            point[knob.path] = value
        elif isinstance(knob, Choice):
            others = [other for other in knob.values if other != value]
            point[knob.path] = others[int(rng.integers(len(others)))]
        else:
            share = knob.share(float(value)) + size * rng.standard_normal()
            point[knob.path] = knob.at(min(1.0, max(0.0, share)))
    return point


def _given(point: Point) -> "BaseSampler":
    """A sampler that draws this very point."""
    from optuna.samplers import BaseSampler

    class Given(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return point[param_name]

    return Given()
