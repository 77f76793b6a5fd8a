"""Loading a scenario as the options of a command say. Imports late: `--help` should not wait for the schema."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario


def load(
    scenario: Path,
    settings: Sequence[str] | None = None,
    *,
    seed: int | None = None,
    policy_folders: Sequence[Path] | None = None,
    data_folders: Sequence[Path] | None = None,
) -> LoadedScenario:
    """The scenario with `--set` and `--seed` applied. Raises ScenarioError."""
    from forge1sim.scenario.folders import Folders  # noqa: PLC0415
    from forge1sim.scenario.load import load_scenario  # noqa: PLC0415

    folders = Folders.of(data_folders or (), policy_folders or ())
    return load_scenario(scenario, settings or (), seed=seed, folders=folders)


def allow_for_workers(policy_folders: Sequence[Path] | None, data_folders: Sequence[Path] | None) -> None:
    """An `Ask`, here or in a worker, learns from the environment which folders are allowed."""
    from forge1sim.scenario.folders import DATA_FOLDERS_VARIABLE, POLICY_FOLDERS_VARIABLE  # noqa: PLC0415

    for variable, folders in ((POLICY_FOLDERS_VARIABLE, policy_folders), (DATA_FOLDERS_VARIABLE, data_folders)):
        known = [os.environ[variable]] if os.environ.get(variable) else []
        if folders:
            os.environ[variable] = os.pathsep.join([*(str(folder.absolute()) for folder in folders), *known])
