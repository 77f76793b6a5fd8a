"""A scenario's document as forms: tables with a row for each item, and single fields.

Forms show part of what a document says. What they do not show stays as it is, and a value that
nobody changed stays as it was written (`30min`, not 1800).
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from forge1sim.scenario.schema import Metric
from policies.bundle import DESIGN_TIERS, Cooldown, Queueing, Reservation, Retry, Routing, Scaling
from policies.schema import Account, Fault, Limit
from policies.shipped import SHIPPED, shipped_names

Kind = Literal["text", "duration", "number", "whole", "flag", "choice"]
Document = dict[str, Any]
Row = dict[str, Any]
NEW = -1        # number of a row that the document does not have yet
SECTIONS: dict[str, type[BaseModel]] = {
    "routing": Routing, "reservation": Reservation, "queue": Queueing, "retry": Retry, "cooldown": Cooldown, "scaling": Scaling,
}  # fmt: skip
_KINDS: dict[object, Kind] = {bool: "flag", int: "whole", float: "number"}


@dataclass(frozen=True)
class Field:
    """One value: where it stands below its item or section (`demand.requests_per_s`), and how people see it."""

    path: str
    title: str
    kind: Kind = "number"
    choices: tuple[str, ...] = ()
    default: Any = None


@dataclass(frozen=True)
class FormTable:
    """A list of the document: `path` leads to it. With `inside`, each item of `path` has a list of that name."""

    path: tuple[str, ...]
    title: str
    fields: tuple[Field, ...]
    inside: str = ""


def _literals(model: type[BaseModel], field: str) -> tuple[str, ...]:
    """The texts among which a field has to choose."""
    return tuple(text for part in (model.model_fields[field].annotation, *get_args(model.model_fields[field].annotation))
                 for text in get_args(part) if isinstance(text, str))  # fmt: skip


TENANTS = FormTable(("tenants",), "Tenants", (
    Field("name", "group", "text"),
    Field("count", "tenants", "whole"),
    Field("tier", "tier (empty: by contract)", "text"),
    Field("contract_usd_per_month", "contract ($/month each)"),
    Field("demand.requests_per_s", "requests/s of the group"),
    Field("demand.requests_per_s_each", "requests/s each"),
    Field("demand.input_tokens.mean", "input tokens (mean)"),
    Field("demand.output_tokens.mean", "output tokens (mean)"),
    Field("demand.deadline_s.mean", "deadline (s, mean)"),
    Field("demand.diurnal.peak_over_mean", "peak over mean"),
    Field("demand.diurnal.peak_hour", "peak hour (local)"),
    Field("timezone", "time zone", "text"),
    Field("requests_per_min", "limit (requests/min each)"),
    Field("tokens_per_min", "limit (tokens/min each)"),
    Field("budget_usd_per_month", "budget ($/month each)"),
))  # fmt: skip
MODELS = FormTable(("models",), "Models", (
    Field("catalogue", "model of the catalogue", "text"),
    Field("name", "own name", "text"),
    Field("input_usd_per_1m", "input ($/1M tokens; empty: catalogue)"),
    Field("cached_input_usd_per_1m", "cached input ($/1M tokens)"),
    Field("output_usd_per_1m", "output ($/1M tokens)"),
))  # fmt: skip
ACCOUNTS = FormTable(("accounts",), "Accounts and keys", (
    Field("name", "account", "text"),
    Field("provider", "provider", "text"),
    Field("count", "accounts alike", "whole"),
    Field("usage_tier", "usage tier", "text"),
    Field("state", "state", "choice", _literals(Account, "state")),
    Field("lead_time_s", "lead time (s, or 2d)", "duration"),
    Field("keys", "keys", "whole"),
    Field("standby_keys", "standby keys", "whole"),
    Field("dedicated_to", "dedicated to tier", "text"),
    Field("usd_per_month", "$/month each"),
    Field("region", "region", "text"),
))  # fmt: skip
LIMITS = FormTable(("accounts",), "Limits", (
    Field("item", "account", "text"),
    Field("dimension", "limit on", "choice", _literals(Limit, "dimension")),
    Field("model_class", "model class (empty: whole account)", "text"),
    Field("limit", "limit (per window)"),
    Field("window", "window", "choice", _literals(Limit, "window")),
    Field("burst_s", "burst (s)", "duration"),
    Field("charge", "charges", "choice", _literals(Limit, "charge")),
), inside="limits")  # fmt: skip
PROVIDERS = FormTable(("providers",), "Providers", (
    Field("name", "provider", "text"),
    Field("timezone", "time zone", "text"),
    Field("error_probability", "errors (0 to 1)"),
    Field("timeout_probability", "timeouts (0 to 1)"),
    Field("overload_probability", "overloads (0 to 1)"),
))  # fmt: skip
TIERS = FormTable(("policies", "tiers"), "Tiers", (
    Field("name", "tier", "text"),
    Field("min_contract_usd_per_month", "from contract ($/month)"),
    Field("priority_score", "priority"),
    Field("guaranteed_capacity", "guaranteed share (0 to 1)"),
    Field("rate_limit_multiplier", "limit multiplier"),
    Field("dedicated_keys", "dedicated accounts", "flag"),
    Field("quality_floor", "least quality (0 to 1)"),
))  # fmt: skip
FAULTS = FormTable(("faults",), "Faults", (
    Field("kind", "kind", "choice", _literals(Fault, "kind")),
    Field("start_s", "from (s, or 13h)", "duration"),
    Field("duration_s", "for (s, or 30min)", "duration"),
    Field("provider", "provider", "text"),
    Field("account", "account", "text"),
    Field("region", "region", "text"),
    Field("probability", "probability (0 to 1)"),
    Field("factor", "factor"),
))  # fmt: skip
SLOS = FormTable(("slos",), "Promises (SLOs)", (
    Field("name", "promise", "text"),
    Field("tier", "tier (or all)", "text"),
    Field("metric", "measure", "choice", get_args(Metric)),
    Field("at_least", "at least"),
    Field("at_most", "at most"),
))  # fmt: skip


def rows_of(document: Document, table: FormTable) -> list[Row]:
    """A row for each item, by field path; None where the document says nothing."""
    return [{field.path: _shown(item, field) for field in table.fields} for item in _items(document, table)]


def with_rows(document: Document, table: FormTable, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Document:
    """The document with a table's items as edited: each row with the number it had in `rows_of`, or NEW."""
    items = _items(document, table)
    edited = []
    for number, row in rows:
        before = items[number] if number != NEW else {}
        after = copy.deepcopy(before)
        for field in table.fields:
            value = _plain(row.get(field.path), field.kind)
            if value != _plain(_shown(before, field), field.kind):
                _put(after, field.path.split("."), value)
        if after or number != NEW:
            edited.append(after)
    return document if edited == items else _with_items(document, table, edited)


def policy_fields(section: str) -> tuple[Field, ...]:
    """The single fields of a section of the policies, in the order of its schema."""
    fields = []
    for name, info in SECTIONS[section].model_fields.items():
        choices = shipped_names(f"{section}.{name}") or _literals(SECTIONS[section], name)
        kind = "choice" if choices else _KINDS.get(info.annotation)
        if kind is not None:
            fields.append(Field(name, name.replace("_", " "), kind, choices, info.default))
    return tuple(fields)


def about_choice(section: str, field: str, choice: str) -> str:
    """What a shipped policy does, in a few words; nothing if it says nothing of itself."""
    return next((one.about for one in SHIPPED if (one.field, one.name) == (f"{section}.{field}", choice)), "")


def value_at(document: Document, path: str, default: Any = None) -> Any:
    """The value at a dotted path of mappings, or the default."""
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return default if found is None else found


def with_value(document: Document, path: str, value: Any, default: Any = None) -> Document:
    """The document with one value set, if it differs from what it has or takes by default."""
    if value == value_at(document, path, default):
        return document
    changed = copy.deepcopy(document)
    _put(changed, path.split("."), value)
    return changed


def _items(document: Document, table: FormTable) -> list[Row]:
    found = value_at(document, ".".join(table.path))
    if found is None and table is TIERS:
        found = [tier.model_dump(exclude_defaults=True) for tier in DESIGN_TIERS]
    items = [_in_full(item, table) for item in found or [] if isinstance(item, dict | str)]
    if not table.inside:
        return items
    inner = [(item.get("name"), item.get(table.inside) or []) for item in items]
    return [{"item": name, **one} for name, ones in inner for one in ones if isinstance(one, dict)]


def _with_items(document: Document, table: FormTable, items: list[Row]) -> Document:
    changed = copy.deepcopy(document)
    if not table.inside:
        written = [_in_short(item, table) for item in items]
        _put(changed, list(table.path), written or None)
        return changed
    for owner in value_at(changed, ".".join(table.path), []):
        mine = [{name: value for name, value in item.items() if name != "item"} for item in items if item.get("item") == owner.get("name")]
        _put(owner, [table.inside], mine or None)
    return changed


def _in_full(item: Any, table: FormTable) -> Row:
    return dict(item) if isinstance(item, dict) else {table.fields[0].path: item}


def _in_short(item: Row, table: FormTable) -> Any:
    return item["catalogue"] if table is MODELS and set(item) == {"catalogue"} else item


def _shown(item: Row, field: Field) -> Any:
    value = value_at(item, field.path)
    return str(value) if field.kind in ("text", "duration") and value is not None else value


def _plain(value: Any, kind: Kind) -> Any:
    """A cell as a scenario says it: None for an empty one, whole numbers without a point."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value.strip()):
        return None
    if kind in ("number", "whole"):
        return int(value) if float(value).is_integer() else float(value)
    if kind == "flag":
        return bool(value) or None
    text = str(value).strip()
    return _number(text) if kind == "duration" and text.replace(".", "", 1).isdigit() else text


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _put(item: Row, path: list[str], value: Any) -> None:
    """Set a value below nested mappings, or take it out; a mapping that becomes empty goes too."""
    *outer, last = path
    if outer:
        inner = item.get(outer[0])
        inner = inner if isinstance(inner, dict) else {}
        _put(inner, path[1:], value)
        if inner:
            item[outer[0]] = inner
        else:
            item.pop(outer[0], None)
    elif value is None:
        item.pop(last, None)
    else:
        item[last] = value
