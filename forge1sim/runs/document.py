"""A scenario as a document that forms can change: YAML text to plain values and back."""

from typing import Any

import yaml

from forge1sim.errors import ScenarioError
from forge1sim.scenario.yaml_tree import Value, parse_yaml, scalar_value

WIDTH = 110


def as_values(text: str) -> dict[str, Any]:
    """The plain values of a scenario's text. Raises ScenarioError, also for one that is no mapping."""
    values = parse_yaml(text, "scenario.yaml").plain()
    if not isinstance(values, dict):
        raise ScenarioError("scenario.yaml: a scenario is a mapping of fields, such as `name: my-scenario`")
    return values


def as_yaml(values: Value) -> str:
    """Text that reads as these very values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that our reader would take for something else, and repeats values in full."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors: each item can be changed by itself."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        is_plain = scalar_value(text) == text
    except ValueError:
        is_plain = False
    style = None if is_plain else '"'
    if is_plain and len(text) > WIDTH:
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
