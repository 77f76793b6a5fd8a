"""Rules of billing from YAML files. Errors name file, field and value, and say what would be right."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, Strict, ValidationError

from live_adapter.billing.allocation import AllocationRules
from live_adapter.billing.errors import BillingError
from live_adapter.billing.reconciling import Columns, Tolerance
from live_adapter.config import Text
from policies.schema import Name, Table

_MOST_BYTES = 1 << 20
_MOST_TOLD = 5
_Whole = Annotated[int, Strict(), Field(ge=0, le=10**18)]
_Settings = TypeVar("_Settings", bound=Table)


class MonthRules(AllocationRules):
    """What is shared, and what part of all capacity is reserved for a tenant, in parts per million (for `by-reserved-share`)."""

    reserved_ppm: dict[Name, Annotated[int, Strict(), Field(ge=0, le=1_000_000)]] = Field(default_factory=dict)


class _ColumnNames(Table):
    day: Text = "date"
    model: Text = "model"
    input_tokens: Text | None = "input_tokens"
    cached_tokens: Text | None = None
    output_tokens: Text | None = "output_tokens"
    cost_usd: Text | None = "cost_usd"
    cached_is_apart: bool = False
    models: dict[Text, Name] = Field(default_factory=dict)


class _Allowed(Table):
    ppm: _Whole = 1_000
    tokens: _Whole = 0
    nano_usd: _Whole = 1_000_000


class _Export(Table):
    columns: _ColumnNames = _ColumnNames()
    tolerance: _Allowed = _Allowed()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRules:
    """How a provider's export is read, and which differences still agree."""

    columns: Columns
    tolerance: Tolerance


def read_month_rules(path: Path) -> MonthRules:
    """Rules of shared costs. Raises BillingError."""
    return _read(path, MonthRules)


def read_export_rules(path: Path | None) -> ExportRules:
    """Rules of an export: `columns` and `tolerance`; without a file, what is usual. Raises BillingError."""
    found = _Export() if path is None else _read(path, _Export)
    return ExportRules(columns=Columns(**found.columns.model_dump()), tolerance=Tolerance(**found.tolerance.model_dump()))


def _read(path: Path, kind: type[_Settings]) -> _Settings:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise BillingError(f"{path}: is longer than {_MOST_BYTES:,} bytes")
        data = yaml.safe_load(text.decode())
    except OSError as error:
        raise BillingError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BillingError(f"{path}: is no YAML: {error}") from error
    try:
        return kind.model_validate({} if data is None else data, strict=False)
    except ValidationError as error:
        found = "; ".join(_told(dict(one)) for one in error.errors()[:_MOST_TOLD])
        raise BillingError(f"{path}: {found}") from error


def _told(problem: Mapping[str, Any]) -> str:
    field = ".".join(map(str, problem["loc"])) or "the file"
    value = problem["input"]
    given = "" if isinstance(value, (dict, list)) or problem["type"] == "missing" else f" is {str(value)[:40]!r}"
    return f"{field}{given}: {problem['msg']}"
