"""`tune`: search a scenario's policies, prove the best on fresh draws, and write bundles that are ready to run."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge1sim.ask import Ask, content_key
from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import Outcome, columns_of, measure_named, replicate
from forge1sim.experiments.tuning.goals import parse_constraints, parse_objectives
from forge1sim.experiments.tuning.proof import Draws, Fresh, Proof, front, prove
from forge1sim.experiments.tuning.search import COMPLETE, Evaluated, Plan, Search
from forge1sim.experiments.tuning.space import (
    POLICIES,
    Knob,
    checked_space,
    default_space,
    overrides_of,
    own_point,
    shipped_defaults,
    with_point,
)
from forge1sim.experiments.tuning.study import Runs, mark_of, open_study
from forge1sim.experiments.workers import Finished, as_finished, workers_of
from forge1sim.scenario.load import LoadedScenario

if TYPE_CHECKING:
    import pandas as pd

    from forge1sim.results.compare import Shown

MOST_TRIALS = 100_000
MOST_EVEN = 24             # many knobs would leave little to search
USUAL_DRAWS = Draws()
SEARCH, FINAL = "search", "fresh draws"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far it is: `done` of about `total` runs of this stage. `best` is the best feasible point so far."""

    stage: str
    done: int
    total: int
    best: Evaluated | None


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What a search came to. `found` holds shipped defaults first (the first is the scenario's own policies), then the points."""

    plan: Plan
    found: tuple[Evaluated, ...]
    proofs: tuple[Proof, ...]
    study: str
    columns: tuple[str, ...] = field(repr=False, default=())

    @property
    def front(self) -> tuple[Evaluated, ...]:
        """Feasible points that no other beats, on the draws of the search."""
        return tuple(front(self.found))

    @property
    def winner(self) -> Proof | None:
        """The proof of the tuned policies, if there is one objective and they beat the best shipped default; else None."""
        return self.proofs[0] if len(self.plan.objectives) == 1 and self.proofs and self.proofs[0].better else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, for people."""
        if not self.proofs:
            return ("Nothing was run on fresh draws, so nothing is proved.",)
        return tuple(_told(self.plan, proof) for proof in self.proofs)

    def ask_of(self, one: Evaluated) -> Ask:
        """The scenario under the policies of a point."""
        return with_point(self.plan.ask, one.point)

    def changes(self, one: Evaluated) -> str:
        """What a point has other than the scenario, in short."""
        changed = {path: value for path, value in one.point.items() if self.plan.own.get(path) != value}
        return " ".join(override.removeprefix(POLICIES) for override in overrides_of(changed)) or "none"

    def frame(self) -> "pd.DataFrame":
        """A row for each point: number, state, whether it is a shipped default and feasible, its knobs, then all numbers."""
        import pandas as pd

        rows = []
        for one in self.found:
            facts = {"number": one.number, "state": one.state, "shipped": one.reference, "feasible": one.feasible}
            outcome = {column: one.outcome.get(column, math.nan) for column in self.columns}
            rows.append({**facts, "violation": one.violation, **self.plan.own, **one.point, **outcome, "why": one.why})
        return pd.DataFrame(rows)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, but for NaN."""
        return {
            "scenario": self.plan.ask.scenario, "study": self.study, "trials": len(self.found), "seed": self.plan.seed,
            "objectives": [one.text for one in self.plan.objectives], "constraints": [one.text for one in self.plan.constraints],
            "space": [knob.text for knob in self.plan.space],
            "states": {state: sum(one.state == state for one in self.found) for state in dict.fromkeys(one.state for one in self.found)},
            "front": [self._point_json(one) for one in self.front],
            "proofs": [_proof_json(self.plan, proof) for proof in self.proofs],
            "winner": self.winner.finalist.number if self.winner is not None else None,
            "told": list(self.sentences), "short_run_agrees": self.short_run_agrees,
        }  # fmt: skip

    def _point_json(self, one: Evaluated) -> dict[str, Any]:
        numbers = {objective.column: one.outcome[objective.column] for objective in self.plan.objectives}
        numbers |= {constraint.column: one.outcome[constraint.column] for constraint in self.plan.constraints}
        return {"number": one.number, "shipped": one.reference, "policies": dict(one.point), "outcome": numbers}

    @property
    def short_run_agrees(self) -> float | None:
        """Spearman's rank correlation of the objective in short and in full runs; None without short runs or too few."""
        from scipy.stats import spearmanr

        both = [one for one in self.found if one.state == COMPLETE and one.short]
        objective = self.plan.objectives[0]
        pairs = [(objective.loss(one.short), one.losses[0]) for one in both]
        if len(pairs) < 3 or len(set(pairs)) < 3:
            return None
        return float(spearmanr([short for short, _ in pairs], [full for _, full in pairs]).statistic)

    def figure(self) -> "Shown":
        """The search as a picture: every point, and the front as steps; for one objective its course."""
        from forge1sim.experiments.tuning.pictures import course, trade

        return course(self) if len(self.plan.objectives) == 1 else trade(self)


def tune(
    scenario: Ask | str | Path,
    space: Sequence[str | Knob] | None = None,
    *,
    minimize: Sequence[str] = (),
    maximize: Sequence[str] = (),
    subject_to: Sequence[str] = (),
    trials: int = 200,
    seed: int | None = None,
    replications: int = 1,
    batch: int = 4,
    search_on: Sequence[str] = (),
    short: Sequence[str] = (),
    defaults: bool = True,
    even: int | None = None,
    draws: Draws | None = USUAL_DRAWS,
    storage: str | None = None,
    study: str | None = None,
    workers: int | None = None,
    backend: str = "processes",
    work: Callable[[Ask], Outcome] = replicate,
    on_progress: Callable[[Progress], None] | None = None,
) -> Tuning:
    """Search policies of a scenario. Nothing but `minimize` or `maximize` is needed.

    Args:
        scenario: a file, or an ask whose seed begins the draws.
        space: knobs, `path=one,other` or `path=low:high[:log|:int]`; by default those that the scenario's bundle suggests.
        minimize, maximize: one or several numbers of the outcome, such as `all.cost_usd`.
        subject_to: conditions, such as `slo.attained>=baseline`; `slos` stands for each of the scenario's promises.
        trials: points in all, shipped defaults included (these are at most half of them).
        seed: of the search; by default the scenario's, which the draws of the workload begin with in any case.
        replications: draws for each point, the same for all.
        batch: points that are asked for at once. Results depend on it, not on `workers`.
        search_on: overrides for the search alone, such as the busy hours; the last stage runs the scenario as it is.
        short: overrides that make a run short; points that do worse there than the median are dropped. One objective only.
        defaults: compare with all shipped defaults, not with the scenario's own policies only.
        even: how many points fill the space evenly before the search proper; by default 2 for each knob and 2 more, at most 24.
        draws: of the last stage; None leaves it out, and nothing is proved.
        storage: None for memory, a file for SQLite, or an address of SQLite or PostgreSQL; a study there is continued.
        study: its name; by default it follows from all that decides the results.
        workers, backend, work: see `forge1sim.experiments.workers.evaluate`.

    Raises ExperimentError, ScenarioError or WorkloadError.
    """
    ask = Ask.of(scenario)
    loaded = ask.load()
    columns = columns_of(loaded)
    plan = _plan(
        ask, loaded, columns, space=space, minimize=minimize, maximize=maximize, subject_to=subject_to, trials=trials,
        seed=ask.seed if seed is None else seed, replications=replications, batch=batch,
        search_on=search_on, short=short, defaults=defaults, even=even,
    )  # fmt: skip
    workers_of(workers)
    made_of = _made_of(plan, loaded, defaults)
    name = study or f"{loaded.name} {mark_of(made_of)}"
    kept = open_study(storage, name, ["maximize" if one.maximize else "minimize" for one in plan.objectives], made_of)
    watch = _Watch(plan.trials * plan.replications, plan.replications, on_progress or (lambda _progress: None))
    runs: Runs = partial(as_finished, workers=workers, backend=backend, work=work)
    found = Search(plan, kept, watch.counted(runs), watch.told).run()
    proofs: tuple[Proof, ...] = ()
    if draws is not None:
        watch.begin(FINAL, draws.usual_runs)
        proofs = prove(plan, found, Fresh(plan, kept, watch.counted(runs)), draws)
    return Tuning(plan=plan, found=found, proofs=proofs, study=name, columns=columns)


def _plan(
    ask: Ask, loaded: LoadedScenario, columns: Sequence[str], *, space: Sequence[str | Knob] | None, minimize: Sequence[str],
    maximize: Sequence[str], subject_to: Sequence[str], trials: int, seed: int, replications: int, batch: int, search_on: Sequence[str],
    short: Sequence[str], defaults: bool, even: int | None,
) -> Plan:  # fmt: skip
    for option, value, most in (("trials", trials, MOST_TRIALS), ("replications", replications, 1000), ("batch", batch, 1000)):
        if not 1 <= value <= most:
            raise ExperimentError(f"--{option} {value}: should be 1 to {most:,}")
    if trials < 2:
        raise ExperimentError(f"--trials {trials}: should be 2 or more; the first is the scenario's own policies")
    if seed < 0:
        raise ExperimentError(f"--seed {seed}: should be 0 or more")
    objectives = parse_objectives(minimize, maximize, columns)
    if short and len(objectives) > 1:
        raise ExperimentError("--short: points are dropped after a short run for one objective only; leave it out")
    knobs = checked_space(ask, default_space(loaded) if space is None else space)
    plan = Plan(
        ask=ask, space=knobs, objectives=objectives, constraints=parse_constraints(subject_to, loaded, columns),
        references=(shipped_defaults(loaded) if defaults else ({},))[: max(1, trials // 2)], own=own_point(loaded, knobs),
        trials=trials, seed=seed, replications=replications, batch=batch,
        even=min(2 * len(knobs) + 2, MOST_EVEN) if even is None else even, search_on=tuple(search_on), short=tuple(short),
    )  # fmt: skip
    plan.asks({}, plan.short)[0].load()
    return plan


def _made_of(plan: Plan, loaded: LoadedScenario, defaults: bool) -> dict[str, Any]:
    """All that decides a study but the number of trials, which may grow."""
    return {
        "scenario or version": content_key(loaded, plan.ask.driver), "space": [knob.text for knob in plan.space],
        "objective": [one.text for one in plan.objectives], "constraint": [one.text for one in plan.constraints],
        "choice of shipped defaults": defaults, "seed": [plan.ask.seed, plan.seed], "replications": plan.replications,
        "batch": plan.batch, "number of even points": plan.even, "short run": list(plan.short),
        "part to search on": list(plan.search_on),
    }  # fmt: skip


class _Watch:
    """Counts runs as they end, and points that are known, and tells of both."""

    def __init__(self, total: int, each: int, report: Callable[[Progress], None]) -> None:
        self.stage, self.total, self.report = SEARCH, total, report
        self.each = each
        self.runs = self.points = 0
        self.best: Evaluated | None = None

    def begin(self, stage: str, total: int) -> None:
        """Another stage, of about so many runs."""
        self.stage, self.total, self.runs = stage, total, 0

    def told(self, one: Evaluated) -> None:
        """A point of the search is known: so many runs of the search are over, made or not."""
        self.points += 1
        if one.feasible and (self.best is None or one.rank < self.best.rank):
            self.best = one
        self.runs = max(self.runs, self.points * self.each)
        self._tell()

    def counted(self, runs: Runs) -> Runs:
        """The same runs, each told as it ends."""

        def counting(asks: Sequence[Ask]) -> Iterator[Finished[Outcome]]:
            for finished in runs(asks):
                self.runs += 1
                self._tell()
                yield finished

        return counting

    def _tell(self) -> None:
        self.report(Progress(stage=self.stage, done=min(self.runs, self.total), total=self.total, best=self.best))


def _told(plan: Plan, proof: Proof) -> str:
    """A proof in a sentence."""
    point = f"point {proof.finalist.number}"
    default = f"the best shipped default ({_named(proof.reference)})"
    parts = [
        f"{objective.column} {_written(objective.column, interval.value, interval.low, interval.high)} ({ratio:.4f} times)"
        for objective, interval, ratio in zip(plan.objectives, proof.differences, proof.ratios, strict=True)
    ]
    against = f"{', '.join(parts)} against {default} on {proof.draws} fresh draws, {proof.confidence:.0%} confidence"
    if proof.better and not proof.reference_keeps:
        return f"{point.capitalize()} keeps all constraints, which {default} does not: {against}."
    if proof.better:
        return f"{point.capitalize()} is better: {against}; all constraints hold there."
    if not proof.keeps:
        broken = "does not surely keep the constraints on fresh draws"
        return f"No better than {default}: {point}, the best of the search, {broken}. {against}."
    return f"No better than {default}: {point}, the best of the search, has {against}."


def _named(one: Evaluated) -> str:
    return " ".join(override.removeprefix(POLICIES) for override in overrides_of(one.point)) or "the scenario's own policies"


def _written(column: str, value: float, low: float, high: float) -> str:
    _, measure = measure_named(column)
    if not math.isfinite(low):
        return f"{value:+.4g} (the same in every draw)" if measure is None else f"{measure.change(value)} (the same in every draw)"
    if measure is None:
        return f"{value:+.4g} ({low:+.4g} to {high:+.4g})"
    return f"{measure.change(value)} ({measure.change(low)} to {measure.change(high)})"


def _proof_json(plan: Plan, proof: Proof) -> dict[str, Any]:
    columns = [objective.column for objective in plan.objectives]
    return {
        "number": proof.finalist.number, "policies": dict(proof.finalist.point), "against": dict(proof.reference.point),
        "draws": proof.draws, "better": proof.better, "keeps_constraints": proof.keeps, "default_keeps_constraints": proof.reference_keeps,
        "differences": {column: asdict(interval) for column, interval in zip(columns, proof.differences, strict=True)},
        "ratios": dict(zip(columns, proof.ratios, strict=True)),
        "margins": {one.text: asdict(interval) for one, interval in zip(plan.constraints, proof.margins, strict=True)},
        "outcome": dict(proof.outcome), "default_outcome": dict(proof.reference_outcome),
    }  # fmt: skip
