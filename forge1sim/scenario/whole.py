"""A scenario as one file: everything that it extends and every override applied."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from forge1sim.scenario.extends import read_extended
from forge1sim.scenario.overrides import apply_override


def whole_yaml(path: Path, overrides: Sequence[str]) -> str:
    """The text of that file. Raises ScenarioError."""
    tree = read_extended(path)
    for override in overrides:
        tree = apply_override(tree, override)
    return as_yaml(tree.plain())


def as_yaml(content: object) -> str:
    """Fields in the order given."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
