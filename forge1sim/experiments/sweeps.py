"""Sweeps: one scenario at many points, each with the same seeds, as one table that a killed command goes on with.

The table has a row for each run, in the order of the points and then of the seeds, however many
workers made them and however often the command was ended and given again: it is the same file.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge1sim.ask import Ask, content_key
from forge1sim.errors import ExperimentError, ScenarioError
from forge1sim.experiments.backends import demand_backend
from forge1sim.experiments.design import Axis, axes_of, checked, points_of
from forge1sim.experiments.journal import JOURNAL, Entry, Journal
from forge1sim.experiments.workers import as_finished, workers_of
from forge1sim.scenario.problems import shown_value
from forge1sim.scenario.yaml_tree import parse_yaml

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from forge1sim.statistics import Interval

TABLE, ABOUT = "sweep.parquet", "sweep.json"
MOST_RUNS = 100_000
POINT, SEED, FAILURE = "point", "seed", "failure"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sweep is: `phase` is `checking` (points) or `running` (runs); `left_s` is NaN while nothing is known."""

    phase: str
    done: int
    total: int
    failed: int = 0
    left_s: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep came to.

    Attributes:
        scenario: the scenario's file.
        fields: the fields that were set, as columns of the table; `varied` are those with more than one value.
        columns: the table: `point` (from 0), the fields, `seed`, each number of the outcome (NaN where the
            run failed or nothing was measured), `failure` (None where there is none). A list for each, one value a run.
        folder: where the table was written; None if it was not.
    """

    scenario: str
    fields: tuple[str, ...]
    varied: tuple[str, ...]
    columns: Mapping[str, list[Any]] = field(repr=False)
    random: bool = False
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.columns[POINT])

    @property
    def measures(self) -> tuple[str, ...]:
        """The numbers that each run has: `all.wait_p95_s`, ..."""
        return tuple(name for name in self.columns if name not in (POINT, SEED, FAILURE, *self.fields))

    @property
    def failures(self) -> list[str]:
        """Why runs failed, each reason once."""
        return list(dict.fromkeys(reason for reason in self.columns[FAILURE] if reason))

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return sum(reason is not None for reason in self.columns[FAILURE])

    def frame(self) -> "pd.DataFrame":
        """The table, a row for each run."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns))

    def points(self) -> list[dict[str, Any]]:
        """The values of the varied fields at each point."""
        first = {point: row for row, point in reversed(list(enumerate(self.columns[POINT])))}
        return [{name: self.columns[name][row] for name in self.varied} for row in sorted(first.values())]

    def means(self, measure: str) -> "list[Interval]":
        """The mean of a number over the runs of each point that did not fail, with its 95% interval. Raises ExperimentError."""
        import numpy as np

        from forge1sim.statistics.means import mean_interval

        if measure not in self.measures:
            from forge1sim.scenario.problems import nearest

            raise ExperimentError(f"{shown_value(measure)} is no number of the outcome; {nearest(measure, self.measures, 'numbers')}")
        runs: dict[int, list[float]] = {point: [] for point in self.columns[POINT]}
        for point, value, failure in zip(self.columns[POINT], self.columns[measure], self.columns[FAILURE], strict=True):
            if failure is None:
                runs[point].append(value)
        return [mean_interval(np.asarray(values, dtype=np.float64)) for _, values in sorted(runs.items())]

    def figure(self, measure: str = "all.wait_p95_s", where: Mapping[str, Any] | None = None) -> "go.Figure":
        """A number over one field (with 95% intervals) or two (a heat map); `where` fixes the others. Raises ExperimentError."""
        from forge1sim.experiments.sweep_figures import figure_of

        return figure_of(self, measure, dict(where or {}))


def sweep(
    scenario: str | Path | Ask,
    fields: Mapping[str, Any],
    *,
    replications: int = 1,
    random: int | None = None,
    design: str = "lhs",
    seed: int | None = None,
    out: str | Path | None = None,
    anew: bool = False,
    workers: int | None = None,
    backend: str = "processes",
    cluster: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Sweep:
    """Run a scenario at every point, `replications` times with the seeds `seed`, `seed + 1`, ... (default: the scenario's).

    `fields` leads from a field's path to its values: a list, one value, or a text such as `0.5:0.9:0.1`
    (see `forge1sim.experiments.design`). With `random` so many points are drawn, by the same seed.
    `out` is a folder for the table; each run is kept there as soon as it ends, and the same call goes
    on where the last one was ended. `anew` makes again what was made with another scenario or code.
    `workers`, `backend` and `cluster` are those of `workers.evaluate`.

    Raises ExperimentError for bad arguments, or a folder that cannot be used; ScenarioError if no point
    is a scenario. A point that is none, or a run that fails, is a row with its `failure`.
    """
    ask = _ask_of(scenario, seed)
    return sweep_axes(
        ask, axes_of(fields), replications=replications, random=random, design=design, out=out, anew=anew,
        workers=workers, backend=backend, cluster=cluster, on_progress=on_progress,
    )  # fmt: skip


def sweep_axes(
    ask: Ask,
    axes: Sequence[Axis],
    *,
    replications: int,
    random: int | None,
    design: str,
    out: str | Path | None,
    anew: bool,
    workers: int | None,
    backend: str,
    cluster: str | None,
    on_progress: Callable[[Progress], None] | None,
) -> Sweep:
    """`sweep` with everything read. Raises the same."""
    axes, tell = checked(axes), on_progress or (lambda _progress: None)
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 1:
        raise ExperimentError(f"replications is {shown_value(replications)}, should be a whole number from 1")
    workers_of(workers)
    demand_backend(backend, cluster)
    texts = points_of(axes, random=random, design=design, seed=ask.seed)
    if len(texts) * replications > MOST_RUNS:
        raise ExperimentError(f"{len(texts):,} points x {replications:,} replications are more than {MOST_RUNS:,} runs; take fewer")
    points = _checked_points(ask, axes, texts, tell)
    seeds = range(ask.seed, ask.seed + replications)
    folder = Path(out) if out is not None else None
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(folder)) if folder is not None else None
        done = _earlier(points, seeds, journal, anew)
        _run(points, seeds, done, journal, tell, {"workers": workers, "backend": backend, "cluster": cluster})
        result = _result(ask, axes, points, seeds, done, random is not None, folder)
        if folder is not None:
            _write(folder, result, ask, axes, {"random": random, "design": design if random else None, "replications": replications})
    return result


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A point, as a run is asked for; `key` is empty where `failure` says why it is no scenario."""

    ask: Ask
    texts: tuple[str, ...]
    key: str = ""
    failure: str = ""


Done = dict[tuple[str, int], Entry]


def _ask_of(scenario: str | Path | Ask, seed: int | None) -> Ask:
    if seed is None:
        return Ask.of(scenario)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ExperimentError(f"seed is {shown_value(seed)}, should be a whole number from 0")
    return replace(scenario, seed=seed) if isinstance(scenario, Ask) else Ask(scenario=str(scenario), seed=seed)


def _checked_points(ask: Ask, axes: Sequence[Axis], texts: Sequence[tuple[str, ...]], tell: Callable[[Progress], None]) -> list[_Point]:
    """Every point loaded, before anything runs. Raises ScenarioError if none is a scenario."""
    points, problems = [], []
    for number, values in enumerate(texts):
        tell(Progress(phase="checking", done=number, total=len(texts)))
        overrides = tuple(f"{axis.path}={text}" for axis, text in zip(axes, values, strict=True))
        here = replace(ask, overrides=(*ask.overrides, *overrides))
        try:
            points.append(_Point(ask=here, texts=values, key=content_key(here.load(), here.driver)))
        except ScenarioError as error:
            problems.append(error)
            points.append(_Point(ask=here, texts=values, failure=str(error)))
    if len(problems) == len(points):
        raise problems[0]
    return points


def _earlier(points: Sequence[_Point], seeds: range, journal: Journal | None, anew: bool) -> Done:
    """Runs of this sweep that have ended before. Raises ExperimentError if some were made of other content."""
    done: Done = {}
    changed = 0
    for point in points if journal else ():
        for seed in seeds:
            assert journal is not None
            entry = journal.get(point.key, seed)
            if entry is not None:
                done[point.key, seed] = entry
            elif point.key and journal.key_of(point.ask.overrides, seed) not in (None, point.key):
                changed += 1
    if changed and not anew:
        assert journal is not None
        raise ExperimentError(
            f"{journal.path.parent}: {changed} of its runs were made before the scenario, its policies or data, or the code of "
            "Forge1 Sim changed; make them anew by --force, or name another folder"
        )
    return done


def _run(
    points: Sequence[_Point], seeds: range, done: Done, journal: Journal | None, tell: Callable[[Progress], None], how: dict[str, Any]
) -> None:
    """Make what is not done. Points of the same content are made once."""
    missing = {(point.key, seed): replace(point.ask, seed=seed) for point in points if point.key for seed in seeds}
    keys = [key for key in missing if key not in done]
    asks = [missing[key] for key in keys]
    total, failed = len(missing), sum(not entry.outcome for entry in done.values())
    began_s, made = time.monotonic(), 0
    tell(Progress(phase="running", done=len(done), total=total, failed=failed))
    for run in as_finished(asks, **how):
        key, seed = keys[run.number]
        entry = Entry(key=key, seed=seed, overrides=run.ask.overrides, outcome=run.value, failure=run.failure)
        done[key, seed] = entry
        if journal is not None and not run.lost:
            journal.add(entry)
        made, failed = made + 1, failed + (run.value is None)
        left_s = (time.monotonic() - began_s) / made * (len(asks) - made)
        tell(Progress(phase="running", done=len(done), total=total, failed=failed, left_s=left_s))


def _result(
    ask: Ask, axes: Sequence[Axis], points: Sequence[_Point], seeds: range, done: Done, random: bool, folder: Path | None
) -> Sweep:
    outcomes = [
        (number, seed, done[point.key, seed].outcome if point.key else None, done[point.key, seed].failure if point.key else point.failure)
        for number, point in enumerate(points)
        for seed in seeds
    ]
    names = list(dict.fromkeys(name for _, _, outcome, _ in outcomes for name in outcome or ()))
    columns: dict[str, list[Any]] = {POINT: [number for number, _, _, _ in outcomes]}
    for place, axis in enumerate(axes):
        values = _typed([point.texts[place] for point in points])
        columns[axis.path] = [values[number] for number in columns[POINT]]
    columns[SEED] = [seed for _, seed, _, _ in outcomes]
    for name in names:
        columns[name] = [(outcome or {}).get(name, math.nan) for _, _, outcome, _ in outcomes]
    columns[FAILURE] = [failure or None for _, _, _, failure in outcomes]
    return Sweep(
        scenario=ask.scenario, fields=tuple(axis.path for axis in axes), varied=tuple(axis.path for axis in axes if axis.varies),
        columns=columns, random=random, folder=folder,
    )  # fmt: skip


def _typed(texts: Sequence[str]) -> Sequence[Any]:
    """Numbers if all values of a field are (whole ones if all are), booleans if all are, else texts."""
    values: list[Any] = [parse_yaml(text, "value").plain() if text else None for text in texts]
    kinds = {type(value) for value in values}
    if kinds in ({int}, {bool}, {str}):
        return values
    return [float(value) for value in values] if kinds == {int, float} or kinds == {float} else texts


def _write(folder: Path, result: Sweep, ask: Ask, axes: Sequence[Axis], about: dict[str, Any]) -> None:
    """The table, and what it is a table of. Each takes the place of the old one whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(column, pa.string()) if name == FAILURE else column for name, column in result.columns.items()})
    words = {
        "scenario": Path(result.scenario).name, "overrides": list(ask.overrides), "driver": ask.driver, "seed": ask.seed,
        "fields": {axis.path: list(axis.texts) or f"{axis.draw}({axis.low}{axis.unit},{axis.high}{axis.unit})" for axis in axes},
        **about, "points": len(set(result.columns[POINT])), "runs": len(result), "failed": result.failed, "journal": JOURNAL,
    }  # fmt: skip
    try:
        with _replacing(folder / TABLE) as unfinished:
            pq.write_table(table, unfinished)
        with _replacing(folder / ABOUT) as unfinished:
            unfinished.write_text(json.dumps(words, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ExperimentError(f"--out {folder}: cannot be written: {error.strerror or error}; the same command goes on") from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when the block ends well, and goes when it does not."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
