"""Loading a scenario as the options of a command say. Imports late: `--help` should not wait for the schema."""

from __future__ import annotations

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
