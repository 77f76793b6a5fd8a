"""`extends`: a scenario that states only what differs from another.

Mappings merge field by field. A list of named things (models, accounts, tenants, tiers, slos ...)
merges name by name, and an item `{name: x, drop: true}` leaves the base's x out; other lists are
replaced. A null takes a field of the base back to its default. Where `kind` differs, the
whole mapping is replaced, because the old kind's fields mean nothing to the new one.
"""

from pathlib import Path

from forge1sim.errors import ScenarioError
from forge1sim.scenario.folders import find_inside
from forge1sim.scenario.yaml_tree import Node, read_yaml

MAX_CHAIN = 8


def read_extended(path: Path) -> Node:
    """The tree of a scenario file with everything it extends merged in. Raises ScenarioError."""
    return _read(path, str(path), ())


def _read(path: Path, shown: str, chain: tuple[tuple[Path, str], ...]) -> Node:
    here = (path.resolve(), shown)
    if here[0] in [file for file, _ in chain]:
        raise ScenarioError(f"{chain[0][1]}: extends goes in a circle: {' -> '.join([*(name for _, name in chain), shown])}")
    if len(chain) >= MAX_CHAIN:
        raise ScenarioError(f"{chain[0][1]}: extends is more than {MAX_CHAIN} files deep, last {shown}")
    tree = read_yaml(path, shown)
    if not isinstance(tree.content, dict):
        raise ScenarioError(f"{tree.place}: a scenario is a mapping of fields, such as `name: my-scenario`")
    base = tree.content.pop("extends", None)
    if base is None or base.content is None:
        return tree
    if not isinstance(base.content, str):
        raise ScenarioError(f"{base.place}: extends is {base.plain()!r}, should be the name of one file")
    try:
        base_path = find_inside(base.content, (path.parent,), "the folder of this file")
    except ValueError as error:
        raise ScenarioError(f"{base.place}: extends is {base.content!r}: {error}") from error
    return merge(_read(base_path, str(path.parent / base.content), (*chain, here)), tree)


def merge(base: Node, change: Node, path: tuple[str, ...] = ()) -> Node:
    """The base with the change laid over it, both found at `path`; see the module's rules."""
    if isinstance(base.content, dict) and isinstance(change.content, dict):
        return _merge_fields(base.content, change, path)
    if isinstance(base.content, list) and isinstance(change.content, list):
        items = [*base.content, *change.content]
        # Catalogue models may be named in short; any other list of texts is one value.
        named = path == ("models",) or all(isinstance(item.content, dict) for item in items)
        if named and base.content and change.content and all(item_name(item) is not None for item in items):
            return _merge_named(base.content, change, path)
    return change


def _merge_fields(base: dict[str, Node], change: Node, path: tuple[str, ...]) -> Node:
    assert isinstance(change.content, dict)
    kinds = [fields["kind"].content for fields in (base, change.content) if "kind" in fields]
    if len(kinds) == 2 and kinds[0] != kinds[1]:
        return change
    merged = dict(base)
    for field, value in change.content.items():
        if value.content is None:
            merged.pop(field, None)
        else:
            merged[field] = merge(merged[field], value, (*path, field)) if field in merged else value
    return Node(merged, change.place)


def _merge_named(base: list[Node], change: Node, path: tuple[str, ...]) -> Node:
    assert isinstance(change.content, list)
    merged = {item_name(item): item for item in base}
    for item in change.content:
        name = item_name(item)
        dropped = isinstance(item.content, dict) and "drop" in item.content and item.content["drop"].content is True
        if dropped:
            if merged.pop(name, None) is None:
                raise ScenarioError(f"{item.place}: nothing named {name!r} to drop in the extended file")
        elif name in merged and isinstance(item.content, dict):
            merged[name] = merge(in_full(merged[name]), item, (*path, str(name)))
        else:
            merged[name] = item
    return Node(list(merged.values()), change.place)


def item_name(item: Node) -> str | None:
    """The name by which an item of a list goes: `name`, or a catalogue model's; None if it has none."""
    if isinstance(item.content, str):
        return item.content
    if isinstance(item.content, dict):
        for field in ("name", "catalogue"):
            if field in item.content and isinstance(item.content[field].content, str):
                return str(item.content[field].content)
    return None


def in_full(item: Node) -> Node:
    """A catalogue model named in short, `gpt-5`, as the mapping `{catalogue: gpt-5}`."""
    return Node({"catalogue": item}, item.place) if isinstance(item.content, str) else item
