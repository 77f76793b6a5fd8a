"""A search of a run's policies, as a question about the run: kept in the run's folder, and continued where it was left."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge1sim.ask import Ask
from forge1sim.metrics.store import write_json
from forge1sim.runs.commands import command_of
from forge1sim.runs.record import Run

if TYPE_CHECKING:
    from forge1sim.experiments.tuning.search import Evaluated
    from forge1sim.experiments.tuning.tune import Progress, Tuning

MOST_POINTS = 12


def tuning_of(run: Run, search: Path, progress: Path, *, minimize: str, subject_to: list[str], trials: int) -> dict[str, Any]:
    """Search, and prove the best on fresh draws; ready for JSON.

    Keys: `told` (sentences), `figure` (Plotly's JSON), `sentence`, `points` (columns of the best ones), `best` (overrides of the
    policies that proved better; None if none did), `command`. `search` is the file that keeps the search. Raises as `tune` does.
    """
    from forge1sim.experiments.tuning.tune import tune  # noqa: PLC0415

    run.load()          # refuses a scenario that has changed since

    def note(now: "Progress") -> None:
        best = "" if now.best is None else f"; best so far: point {now.best.number}"
        write_json(progress, {"share": min(1.0, now.done / now.total), "told": f"{now.stage}: {now.done} of {now.total}{best}"})

    tuning = tune(
        run.ask, minimize=[minimize], subject_to=subject_to, trials=trials, storage=str(search), workers=1, backend="serial",
        on_progress=note,
    )  # fmt: skip
    figure, sentence = tuning.figure()
    winner = tuning.winner
    return {
        "told": list(tuning.sentences), "figure": figure.to_json(), "sentence": sentence, "points": _best_points(tuning),
        "best": None if winner is None else _overrides(run.ask, tuning, winner.finalist),
        "command": tune_command(run.ask, minimize, subject_to, trials),
    }  # fmt: skip


def _overrides(ask: Ask, tuning: "Tuning", one: "Evaluated") -> list[str]:
    return list(tuning.ask_of(one).overrides[len(ask.overrides) :])


def _best_points(tuning: "Tuning") -> dict[str, list[Any]]:
    """The best feasible points, best first: number, whether shipped, the numbers that were asked about, what differs."""
    best = sorted((one for one in tuning.found if one.feasible), key=lambda one: one.rank)[:MOST_POINTS]
    plan = tuning.plan
    numbers = dict.fromkeys([*(one.column for one in plan.objectives), *(one.column for one in plan.constraints)])
    return {
        "point": [one.number for one in best], "shipped": ["yes" if one.reference else "" for one in best],
        **{name: [one.outcome[name] for one in best] for name in numbers}, "policies that differ": [tuning.changes(one) for one in best],
    }  # fmt: skip


def tune_command(ask: Ask, minimize: str, subject_to: list[str], trials: int) -> str:
    """The command that makes the same search."""
    kept = [("--subject-to", condition) for condition in subject_to]
    return command_of("tune", ask, [("--minimize", minimize), *kept, ("--trials", str(trials))], "tuned")
