"""Tuned policies as scenario files: `extends: scenario.yaml`, and the whole bundle below `policies`."""

from pathlib import Path

from forge1sim.errors import ExperimentError
from forge1sim.experiments.tuning.proof import front
from forge1sim.experiments.tuning.search import Evaluated
from forge1sim.experiments.tuning.space import overrides_of
from forge1sim.experiments.tuning.tune import Tuning
from forge1sim.scenario.folders import Folders
from forge1sim.scenario.load import load_scenario
from forge1sim.scenario.whole import as_yaml, whole_yaml

BASE, WINNER = "scenario.yaml", "tuned.yaml"


def write_tuning(tuning: Tuning, folder: Path) -> None:
    """Everything into an existing folder.

    `scenario.yaml` (the scenario with all that it extends), `tuned.yaml` (the winner, if there is one), `front/point-N.yaml`,
    `trials.parquet` and `trials.csv` (a row for each point), `search.html` (the picture).

    Raises ExperimentError if a written bundle would not run as the search ran it.
    """
    _write_base(tuning, folder)
    if tuning.winner is not None:
        _write_bundle(tuning, tuning.winner.finalist, folder / WINNER)
    for one in front(tuning.found):
        # A scenario extends files of its own folder only, so the front's bundles stand beside the base.
        _write_bundle(tuning, one, folder / f"point-{one.number}.yaml")
    frame = tuning.frame()
    knobs = [knob.path for knob in tuning.plan.space]
    frame.astype(dict.fromkeys(knobs, str)).to_parquet(folder / "trials.parquet", index=False)
    frame.to_csv(folder / "trials.csv", index=False)
    figure, sentence = tuning.figure()
    figure.update_layout(title=sentence)
    figure.write_html(folder / "search.html", include_plotlyjs=True)


def _write_base(tuning: Tuning, folder: Path) -> None:
    ask = tuning.plan.ask
    (folder / BASE).write_text(whole_yaml(Path(ask.scenario), ask.overrides), encoding="utf-8")
    _demand_same(folder / BASE, tuning, ())


def _write_bundle(tuning: Tuning, one: Evaluated, file: Path) -> None:
    loaded = tuning.ask_of(one).load()
    name = f"{loaded.name} point {one.number}"
    numbers = [f"{objective.column} {one.outcome[objective.column]:g}" for objective in tuning.plan.objectives]
    head = [f"# Point {one.number} of a search ({tuning.study}): {', '.join(numbers)} on the draws of the search."]
    head += [f"# {override}" for override in overrides_of(one.point)]
    content = {"extends": BASE, "name": name, "policies": loaded.bundle.model_dump(mode="json")}
    file.write_text("\n".join(head) + "\n" + as_yaml(content), encoding="utf-8")
    _demand_same(file, tuning, overrides_of(one.point))


def _demand_same(file: Path, tuning: Tuning, overrides: tuple[str, ...]) -> None:
    """Raise ExperimentError unless the file means the same as the point did; data is looked for where the scenario has it."""
    ask = tuning.plan.ask
    given = Folders.of()
    meant = load_scenario(ask.scenario, (*ask.overrides, *overrides))
    if meant.data_files and not all(name.startswith("shared:") for name in meant.data_files):
        return      # recorded data lies beside the scenario; docs/tuning.md says what to do
    if load_scenario(file, folders=given).hash != meant.hash:
        raise ExperimentError(f"{file.name}: would not run as the search ran it; this is an error of ours, please report it")

