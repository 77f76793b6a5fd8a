"""`--set path=value`: one field of a scenario changed from the command line.

A path goes by field names, list positions from 0, or names: `accounts.openai.count=3`,
`models.gpt-4.1.speed.ttft_s=0.4`, `policies.tiers.enterprise.guaranteed_capacity=0.5`. Fields
that the file leaves out have their defaults, and those can be changed too. The value is YAML.
`accounts.google.drop=true` leaves a named item out.
"""

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from forge1sim.errors import ScenarioError
from forge1sim.scenario.extends import in_full, item_name
from forge1sim.scenario.problems import dotted, fields_at, nearest, tables_at
from forge1sim.scenario.schema import Scenario
from forge1sim.scenario.yaml_tree import Node, Path_, Place, node_of, parse_yaml


def apply_override(tree: Node, override: str) -> Node:
    """The tree with one `path=value` applied. Raises ScenarioError for a path that leads nowhere."""
    path, equals, text = override.partition("=")
    path = path.strip()
    shown = f"--set {override if len(override) <= 80 else override[:77] + '...'}"
    if not equals or not path or ".." in f".{path}.":
        raise ScenarioError(f"{shown}: should be path=value, such as accounts.openai.count=3")
    if _first(path) == "extends":
        raise ScenarioError(f"{shown}: extends is read from the file only")
    value = parse_yaml(text, shown) if text.strip() else Node(None, Place(shown, 0))
    return _with(tree, path, (), node_of(value.plain(), Place(shown, 0)))


def _with(node: Node, rest: str, path: Path_, value: Node) -> Node:
    """`node`, found at `path`, with the value set at `rest` below it."""
    if not rest:
        return value
    if isinstance(node.content, dict):
        return _with_field(node, node.content, rest, path, value)
    if isinstance(node.content, list):
        return _with_item(node, node.content, rest, path, value)
    if path[:1] == ("models",) and isinstance(node.content, str):
        return _with(in_full(node), rest, path, value)
    if fields_at(Scenario, path) and node.content is None:
        return _with(Node({}, value.place), rest, path, value)
    raise ScenarioError(f"{value.place}: {dotted(path)} is {node.plain()!r} and has no {_first(rest)!r} inside")


def _with_field(node: Node, fields: dict[str, Node], rest: str, path: Path_, value: Node) -> Node:
    known = fields_at(Scenario, path)
    name = _longest(rest, [*fields, *known])
    if name is None:
        if known:
            name = _first(rest)
            raise ScenarioError(f"{value.place}: {dotted((*path, name))} is unknown; {nearest(name, known, 'fields')}")
        name = rest
    child = fields.get(name)
    if child is None:
        child = _default(path, name, value.place)
    return Node({**fields, name: _with(child, rest[len(name) + 1 :], (*path, name), value)}, node.place)


def _with_item(node: Node, items: list[Node], rest: str, path: Path_, value: Node) -> Node:
    names = {name: row for row, item in enumerate(items) if (name := item_name(item)) is not None}
    name = _longest(rest, names)
    if name is None:
        name = _first(rest)
        if not (name.isascii() and name.isdigit() and int(name[:9]) < len(items)):
            known = [*names] or [str(row) for row in range(len(items))]
            raise ScenarioError(f"{value.place}: {dotted((*path, name))} is unknown; {nearest(name, known, 'items')}")
    row = names[name] if name in names else int(name)
    inside = rest[len(name) + 1 :]
    if inside == "drop" and value.plain() is True and names:
        return Node([*items[:row], *items[row + 1 :]], node.place)
    changed = _with(items[row], inside, (*path, row), value)
    return Node([*items[:row], changed, *items[row + 1 :]], node.place)


def _longest(rest: str, names: Any) -> str | None:
    """The longest name that `rest` begins with, whole: names may have dots in them (gpt-4.1)."""
    fitting = [name for name in names if rest == name or rest.startswith(f"{name}.")]
    return max(fitting, key=len, default=None)


def _first(rest: str) -> str:
    return rest.partition(".")[0]


def _default(path: Path_, field: str, place: Place) -> Node:
    """What a field holds that the file leaves out."""
    for table in tables_at(Scenario, path):
        if field in table.model_fields:
            default = table.model_fields[field].get_default(call_default_factory=True)
            return node_of(_plain(None if default is PydanticUndefined else default), place)
    return Node(None, place)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | dict) else None
