"""Questions about a run for which it has to be run again, by name.

Each takes the run, the file that its answer goes to, and arguments of its own. An answer is a value for JSON, kept in the run's
folder. One that takes long notes beside it how far it is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from forge1sim.life import life_of
from forge1sim.notable import notable_requests
from forge1sim.runs.planning import Wanted, planning_of
from forge1sim.runs.record import Run
from forge1sim.runs.tuning import tuning_of


def progress_of(answer: Path) -> Path:
    """Where a question notes how far it is."""
    return answer.with_suffix(".progress.json")


def _life(run: Run, _file: Path, *, request: int) -> Any:
    return life_of(run.load(), run.ask.driver, run.ask.seed, request=request)


def _notable(run: Run, _file: Path) -> Any:
    return notable_requests(run.load(), run.ask.driver, run.ask.seed)


def _tune(run: Run, file: Path, *, minimize: str, subject_to: list[str], trials: int) -> Any:
    return tuning_of(run, file.with_suffix(".db"), progress_of(file), minimize=minimize, subject_to=subject_to, trials=trials)


def _plan(run: Run, file: Path, *, overrides: list[str], minutes: int) -> Any:
    return planning_of(run, progress_of(file), Wanted(overrides=tuple(overrides), minutes=minutes))


QUESTIONS: dict[str, Callable[..., Any]] = {"life": _life, "notable": _notable, "plan": _plan, "tune": _tune}
