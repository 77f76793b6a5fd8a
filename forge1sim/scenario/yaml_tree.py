"""YAML as people expect it, with the place of every value kept.

PyYAML reads `1e3` as text, `12:30` as 750, `no` as false and `2026-11-22` as a date, keeps the
last of two equal keys in silence, expands aliases without bound and recurses as deep as the
file asks. This reader takes PyYAML's events only and builds the tree itself: the scalars of
YAML 1.2's core schema, no tags, and a bound on size, depth and number of values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from forge1sim.errors import ScenarioError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 200_000
MAX_WHOLE = 2**63 - 1

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)*")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None,
          "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}  # fmt: skip

Scalar = str | int | float | bool | None
Value = Scalar | list["Value"] | dict[str, "Value"]
Path_ = tuple[str | int, ...]


class Place(NamedTuple):
    """Where a value was written: a file (as shown to people) and a line from 1, or an override (line 0)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(slots=True)
class Node:
    """A value and its place. Mappings keep the place of each key, for errors about the field itself."""

    content: "Scalar | list[Node] | dict[str, Node]"
    place: Place
    size: int = 1       # values in all, itself counted
    height: int = 1     # levels in all

    def plain(self) -> Value:
        """The value without places."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    def place_of(self, path: Path_) -> Place:
        """Place of the value at `path`, or of its nearest parent that was written down."""
        node = self
        for part in path:
            child: Node | None = None
            if isinstance(node.content, dict):
                child = node.content.get(str(part))
            elif isinstance(node.content, list) and isinstance(part, int) and part < len(node.content):
                child = node.content[part]
            if child is None:
                break
            node = child
        return node.place


def node_of(value: object, place: Place) -> Node:
    """A tree of one place, from plain values."""
    if isinstance(value, dict):
        return Node({str(key): node_of(item, place) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([node_of(item, place) for item in value], place)
    if value is None or isinstance(value, (str, int, float, bool)):
        return Node(value, place)
    raise TypeError(f"no scenario value: {value!r}")


def read_file_text(path: Path, shown: str) -> str:
    """Text of a scenario file: a plain file of at most 4 MiB in UTF-8. Raises ScenarioError."""
    try:
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "no such file"
            raise ScenarioError(f"{shown}: {what}")
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ScenarioError(f"{shown}: {size_bytes:,} bytes, a scenario file has at most {MAX_BYTES:,}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{shown}: not UTF-8 text (byte {error.start}); save it with UTF-8 encoding") from error
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{shown}: cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def parse_yaml(text: str, file: str) -> Node:
    """The tree of one YAML document. Raises ScenarioError naming file, line and what would be right."""
    try:
        return _Builder(file).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, min(mark.line if mark else 0, max(0, text.count("\n", 0, len(text) - 1))) + 1)
        raise ScenarioError(f"{place}: {_yaml_problem(error, text, place.line)}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{file}: not YAML: {_one_line(str(error))}") from error


def read_yaml(path: Path, shown: str) -> Node:
    """Read and parse one file; see `read_file_text` and `parse_yaml`."""
    return parse_yaml(read_file_text(path, shown), shown)


def scalar_value(text: str) -> Scalar:
    """A plain scalar as YAML 1.2's core schema reads it. Raises ValueError on a number out of bounds."""
    if text in _WORDS:
        return _WORDS[text]
    if _ENDLESS.fullmatch(text):
        raise ValueError(f"{text} is no finite number")
    if _WHOLE.fullmatch(text):
        if len(text) > 40 or abs(int(text)) > MAX_WHOLE:
            raise ValueError(f"{_shorten(text)} is too large, whole numbers end at {MAX_WHOLE}")
        return int(text)
    if _DECIMAL.fullmatch(text):
        number = float(text) if len(text) <= 400 else float("inf")
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{_shorten(text)} is too large for a number")
        return number
    return text


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:30]}... ({len(text)} characters)"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _yaml_problem(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())].count("\t"):
        return "a tab indents this line; YAML is indented with spaces"
    opened = f" (in what begins in line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"not YAML: {_one_line(error.problem or str(error))}{opened}"


class _Builder:
    """Builds one tree from events; a recursion as deep as the tree, at most MAX_DEPTH."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.anchors: dict[str, Node] = {}
        self.values = 0

    def build(self, events: Iterator[yaml.Event]) -> Node:
        self.events = events
        documents = [self._node(next(events), 0) for event in events if isinstance(event, yaml.DocumentStartEvent)]
        if not documents:
            raise ScenarioError(f"{self.file}: empty, a scenario needs at least `name`, `models`, `accounts` and `tenants`")
        if len(documents) > 1:
            raise ScenarioError(f"{documents[1].place}: a second document begins; a scenario file holds one")
        return documents[0]

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        if depth > MAX_DEPTH:
            raise ScenarioError(f"{place}: nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place, depth)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None and event.tag != "!":
            raise ScenarioError(f"{place}: tag {_shorten(event.tag)!r}; tags are not allowed in scenarios")
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, place), place)
            self._count(1, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(place, depth)
        else:
            node = self._mapping(place, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, place: Place, depth: int) -> Node:
        node = self.anchors.get(str(event.anchor))
        if node is None:
            raise ScenarioError(f"{place}: *{_shorten(str(event.anchor))} names no complete value above it")
        if depth + node.height > MAX_DEPTH:
            raise ScenarioError(f"{place}: nested more than {MAX_DEPTH} deep, aliases expanded")
        self._count(node.size, place)
        return node

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1 if mark else 1)

    def _count(self, values: int, place: Place) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise ScenarioError(f"{place}: more than {MAX_VALUES:,} values, aliases expanded; make the scenario smaller")

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        if not event.implicit[0]:
            return str(event.value)
        try:
            return scalar_value(event.value)
        except ValueError as error:
            raise ScenarioError(f"{place}: {error}") from error

    def _sequence(self, place: Place, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        self._count(1, place)
        return _branch(items, items, place)

    def _mapping(self, place: Place, depth: int) -> Node:
        fields: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key_place = self._place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise ScenarioError(f"{key_place}: a field name must be text")
            if event.value in fields:
                first = fields[event.value].place
                raise ScenarioError(f"{key_place}: field {_shorten(event.value)!r} is given twice, first in line {first.line}")
            if event.value == "<<":
                raise ScenarioError(f"{key_place}: merge keys (<<) are not read; use `extends`, or an alias for a whole value")
            node = self._node(next(self.events), depth + 1)
            # An alias keeps the tree of its anchor, but the place of its use.
            fields[event.value] = Node(node.content, key_place, node.size, node.height)
        self._count(1, place)
        return _branch(fields, list(fields.values()), place)


def _branch(content: list[Node] | dict[str, Node], children: list[Node], place: Place) -> Node:
    height = max((child.height for child in children), default=0)
    return Node(content, place, 1 + sum(child.size for child in children), 1 + height)
