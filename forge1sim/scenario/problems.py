"""From what the schema objects to, to lines that people can act on: file, line, field, value, what would be right."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from forge1sim.errors import ScenarioError
from forge1sim.scenario.yaml_tree import Node, Path_

MAX_PROBLEMS = 20
MAX_FINDINGS = 100      # of one kind; close names take time to find, and nobody reads more
Finding = tuple[Path_, str]
"""Where in the scenario, and what is wrong there: text that goes on after the field's name."""


def dotted(path: Path_) -> str:
    """A path as people write it: `accounts.0.limits`."""
    return ".".join(str(part) for part in path)


def scenario_error(tree: Node, findings: Iterable[Finding]) -> ScenarioError:
    """One error of at most 20 lines, in the order of the file."""
    lines = [(tree.place_of(path), f"{tree.place_of(path)}: {dotted(path)} {text}") for path, text in findings]
    lines = sorted(dict.fromkeys(lines), key=lambda line: (line[0].file != tree.place.file, line[0].file, line[0].line))
    shown = [text for _, text in lines[:MAX_PROBLEMS]]
    if len(lines) > MAX_PROBLEMS:
        shown.append(f"{tree.place.file}: and at least {len(lines) - MAX_PROBLEMS} more problems")
    return ScenarioError(shown)


def shown_value(value: object) -> str:
    """A value in an error: as it is, short."""
    text = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def nearest(name: object, known: Iterable[str], kind: str) -> str:
    """`did you mean ...?` if something is close, else what is known."""
    names = sorted({str(one) for one in known})
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = ", ..." if len(names) > 12 else ""
    return f"known {kind}: {', '.join(names[:12])}{more}" if names else f"there are no {kind} here"


def _tables_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]


def tables_at(root: type[BaseModel], path: Path_) -> list[type[BaseModel]]:
    """The tables that may stand at `path`, below `root`: several where the schema has a choice."""
    tables = [root]
    for part in path:
        if isinstance(part, str):
            fields = [table.model_fields[part] for table in tables if part in table.model_fields]
            tables = [table for field in fields for table in _tables_in(field.annotation)]
    return tables


def fields_at(root: type[BaseModel], path: Path_) -> list[str]:
    """The fields that the table at `path` may have; empty where names are free or none belong."""
    return list(dict.fromkeys(field for table in tables_at(root, path) for field in table.model_fields))


def schema_findings(error: ValidationError, root: type[BaseModel], data: Any) -> list[Finding]:
    """What the schema objects to, in our words; the first hundred."""
    findings = []
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # long enough as written; its items have findings of their own
        path = _path_in(data, detail["loc"], missing=detail["type"] == "missing")
        findings.append((path, _in_words(detail, root, path)))
    return findings


def _path_in(data: Any, loc: tuple[str | int, ...], missing: bool) -> Path_:
    """The path without the names of schema alternatives, which are no part of the file."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if inside:
            path.append(part)
            data = data[part]
        elif missing and position == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _in_words(detail: Any, root: type[BaseModel], path: Path_) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            words = "is missing"
        case "extra_forbidden":
            words = f"is unknown; {nearest(path[-1], fields_at(root, path[:-1]), 'fields')}"
        case "union_tag_not_found":
            words = f"needs {context['discriminator']}"
        case "union_tag_invalid":
            known = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
            words = f"has kind {shown_value(context['tag'])}; {nearest(context['tag'], known, 'kinds')}"
        case "literal_error":
            words = f"is {shown_value(value)}, should be {context['expected']}"
        case "string_pattern_mismatch":
            words = f"is {shown_value(value)}, should start with a letter or digit, then letters, digits, _ . - / : or space"
        case _:
            words = _in_pydantic_words(str(detail["msg"]), value)
    return words


def _in_pydantic_words(message: str, value: object) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "should be").replace("Input ", "")
    message = re.sub(r"^\w+ should have at (least|most) (\d+) items? after validation, not \d+$", r"should have at \1 \2", message)
    if not isinstance(value, dict | list | tuple):
        return f"is {shown_value(value)}, {message}"
    return f"is {_kind_of(value)}, {message}" if message.startswith("should") else f"does not fit: {message}"


def _kind_of(value: object) -> str:
    return "a mapping" if isinstance(value, dict) else "a list"
