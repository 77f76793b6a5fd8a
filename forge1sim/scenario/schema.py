"""What a scenario file may say. `docs/scenarios.md` explains it; `scenario_json_schema` feeds editors."""

import copy
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Discriminator, Field, Strict, Tag, model_validator

from forge1sim.scenario.terms import PlanTerms
from forge1sim.workload.spec import Demand, WorkloadSpec
from policies.bundle import PolicyBundle
from policies.schema import (
    Account,
    Fault,
    Model,
    Name,
    NonNegative,
    Positive,
    Provider,
    Ratio,
    Speed,
    Table,
    TenantGroup,
    Whole,
)

DEFAULT_SEED = 1
MAX_HORIZON_S = 10 * 366 * 86_400.0
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)? ?(ms|s|min|h|d|w)$"
_SHARES = ("served_ratio", "rejected_ratio", "expired_ratio", "quality_mean")

Text = Annotated[str, Strict(), Field(max_length=4000)]
Metric = Literal[
    "served_ratio", "rejected_ratio", "expired_ratio", "quality_mean", "cost_per_request_usd",
    "wait_p50_s", "wait_p95_s", "wait_p99_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
]  # fmt: skip


def _written_as_text(value: object) -> object:
    """Pydantic reads a number as seconds since 1970; a start is always a date with a zone."""
    if isinstance(value, int | float):
        raise ValueError("should be a date and time with a zone, such as 2026-11-02T00:00:00Z")
    return value


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_as_text),
    Field(ge=datetime(1971, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC)),
]


class CatalogueModel(Table):
    """A model of the catalogue, with what this scenario changes about it."""

    catalogue: Name
    name: Name | None = None
    provider: Name | None = None
    model_class: Name | None = None
    input_usd_per_1m: NonNegative | None = None
    cached_input_usd_per_1m: NonNegative | None = None
    output_usd_per_1m: NonNegative | None = None
    context_tokens: Annotated[int, Strict(), Field(gt=0, le=100_000_000)] | None = None
    max_output_tokens: Annotated[int, Strict(), Field(gt=0, le=10_000_000)] | None = None
    performance: tuple[Ratio, Ratio, Ratio, Ratio, Ratio] | None = None
    speed: Speed | None = None
    fallbacks: tuple[Name, ...] | None = None


def _model_form(value: object) -> str | None:
    """Which of the three forms an item of `models` has."""
    if isinstance(value, str):
        return "in short"
    if isinstance(value, dict):
        return "changed" if "catalogue" in value else "own"
    if isinstance(value, CatalogueModel):
        return "changed"
    return "own" if isinstance(value, Model) else None


ModelItem = Annotated[
    Annotated[Name, Tag("in short")] | Annotated[CatalogueModel, Tag("changed")] | Annotated[Model, Tag("own")],
    Discriminator(
        _model_form,
        custom_error_type="model_form",
        custom_error_message="should be a name of the catalogue, a mapping with `catalogue`, or a whole model",
    ),
]


class ScenarioAccount(Account):
    """An account. `usage_tier` takes its limits from the catalogue; `limits` replaces or adds to them.

    One of `limits` replaces the catalogue's of the same dimension and model class. Without
    either the account has no limits. `limit_factor` scales all of them: what if there were more, or less?
    """

    usage_tier: Name | None = None
    limit_factor: Annotated[Positive, Field(le=1000)] = 1.0


class ScenarioTenants(TenantGroup):
    """Tenants alike, and what each of them asks for. Without `tier` their contract decides it."""

    demand: Demand | None = None


class Slo(Table):
    """A promise that a run keeps or misses: `metric` of one tier, or of all requests."""

    name: Name
    metric: Metric
    tier: Name = "all"
    at_least: NonNegative | None = None
    at_most: NonNegative | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Slo":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either `at_least` or `at_most`")
        bound = self.at_least if self.at_least is not None else self.at_most
        if self.metric in _SHARES and bound is not None and bound > 1:
            raise ValueError(f"{self.metric} is a share, {bound:g} should be between 0 and 1")
        return self


class Scenario(Table):
    """A platform, who asks what of it, which policies decide, what goes wrong, and what is promised."""

    schema_version: Literal[1] = 1
    name: Name = Field(examples=["my-platform"])
    description: Text = ""
    extends: Annotated[str, Strict(), Field(max_length=300)] | None = Field(
        default=None, description="A scenario file in the same folder or below, of which this one changes something."
    )
    catalogue: Annotated[str, Strict(), Field(min_length=1, max_length=300)] = Field(
        default="current", description="A shipped catalogue, or a catalogue file in the same folder or below."
    )
    models: tuple[ModelItem, ...] = Field(min_length=1, max_length=1000)
    accounts: tuple[ScenarioAccount, ...] = Field(min_length=1, max_length=5000)
    providers: tuple[Provider, ...] = Field(default=(), max_length=200)
    tenants: tuple[ScenarioTenants, ...] = Field(min_length=1, max_length=20_000)
    workload: WorkloadSpec = WorkloadSpec()
    policies: PolicyBundle = PolicyBundle()
    faults: tuple[Fault, ...] = Field(default=(), max_length=1000)
    slos: tuple[Slo, ...] = Field(default=(), max_length=200)
    plan: PlanTerms = PlanTerms()
    seed: Annotated[Whole, Field(ge=0, le=2**63 - 1)] = DEFAULT_SEED
    start: Moment = datetime(2026, 11, 2, tzinfo=UTC)
    horizon_s: Annotated[Positive, Field(le=MAX_HORIZON_S)] = Field(
        default=86_400.0, description="How long requests arrive, in seconds."
    )
    drain_s: Annotated[NonNegative, Field(le=MAX_HORIZON_S)] = Field(
        default=3600.0, description="How long to go on after the horizon, at most, until all requests have ended."
    )


def model_name(item: str | CatalogueModel | Model) -> str:
    """The name by which an item of `models` goes in this scenario."""
    if isinstance(item, str):
        return item
    return item.name or item.catalogue if isinstance(item, CatalogueModel) else item.name


def is_seconds(field: str) -> bool:
    """Whether a field holds seconds, going by its unit: `wait_s`, but not `requests_per_s`."""
    return field.endswith("_s") and not field.endswith("_per_s")


def scenario_json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for completion and hover help in editors.

    It is milder than the loader: a file that extends another states only differences, so that
    nothing but names is required, and a named item may be dropped.
    """
    schema = _milder(copy.deepcopy(Scenario.model_json_schema()))
    schema["title"] = "Forge1 Sim scenario"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _milder(part: Any) -> Any:
    """Require names only, accept durations in words (`90s`, `15min`) where seconds are wanted, and `drop`."""
    if isinstance(part, list):
        return [_milder(item) for item in part]
    if not isinstance(part, dict):
        return part
    milder = {key: _milder(value) for key, value in part.items()}
    properties = milder.get("properties")
    if isinstance(properties, dict):
        milder["required"] = [field for field in part.get("required", []) if field in ("catalogue", "kind", "metric")]
        if "extends" not in properties and "name" in properties:
            properties["drop"] = {"const": True, "description": "Leave out this item of the extended file."}
        milder["properties"] = {field: _in_words(field, value) for field, value in properties.items()}
    return milder


def _in_words(field: str, value: dict[str, Any]) -> dict[str, Any]:
    if not is_seconds(field) or "'number'" not in repr(value):
        return value
    kept = {key: item for key, item in value.items() if key in ("default", "description", "title", "examples")}
    bounds = {key: item for key, item in value.items() if key not in kept}
    return {**kept, "anyOf": [*(bounds.pop("anyOf", None) or [bounds]), {"type": "string", "pattern": DURATION_PATTERN}]}
