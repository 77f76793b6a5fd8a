"""LiteLLM's `model_list`: which provider, model and account each entry means, and with which limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.catalogue.litellm_settings import Notes, number

PROVIDER_NAMES: Mapping[str, str] = {"gemini": "google", "azure_ai": "azure", "text-completion-openai": "openai"}
DIMENSIONS: Mapping[str, str] = {
    "rpm": "rpm",
    "tpm": "tpm",
    "itpm": "itpm",
    "otpm": "otpm",
    "rpd": "rpd",
    "tpd": "tpd",
    "max_parallel_requests": "concurrency",
}
PRICE_FIELDS: Mapping[str, str] = {
    "input_cost_per_token": "input_usd_per_1m",
    "cache_read_input_token_cost": "cached_input_usd_per_1m",
    "output_cost_per_token": "output_usd_per_1m",
}
LARGEST_LIMIT = 1_000_000_000
CHAT_MODES = (None, "chat", "completion", "responses")

_REGIONS = ("region_name", "aws_region_name", "vertex_location")
# What tells accounts apart, strongest first. Limits of an Azure resource belong to its endpoint, not to its keys.
_IDENTITIES = (
    "organization",
    "litellm_credential_name",
    "vertex_project",
    "aws_role_name",
    "aws_profile_name",
    "aws_access_key_id",
    "api_key",
    "api_base",
    "base_url",
)
_SECRET = ("api_key", "aws_secret_access_key", "aws_session_token", "vertex_credentials", "azure_ad_token")
_READ = {
    *_IDENTITIES,
    *_SECRET,
    *_REGIONS,
    *DIMENSIONS,
    *PRICE_FIELDS,
    "model",
    "base_model",
    "custom_llm_provider",
    "weight",
}
_READ_INFO = {*DIMENSIONS, *PRICE_FIELDS, "base_model", "mode", "max_input_tokens", "max_output_tokens"}
_ENV_REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")
_NOT_IN_NAMES = re.compile(r"[^\w.\-/: ]")
_VERSION_SUFFIX = re.compile(r"(@.*|-v\d+(:\d+)?|-latest|-\d{8}|-\d{4}-\d{2}-\d{2})$")
_ROUTE_PREFIX = re.compile(r"^((us|eu|apac|jp|global)\.)?(anthropic|openai|google)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One entry of the model list. `identity` tells accounts apart and is never written anywhere."""

    group: str
    provider: str
    upstream: str
    catalogue_name: str | None
    identity: tuple[str, ...]
    key: str
    key_variable: str
    region: str
    limits: dict[str, float]
    weight: float | None
    prices: dict[str, float]
    tokens: dict[str, int]


def read_deployment(entry: object, position: int, catalogue: Catalogue, notes: Notes) -> Deployment | None:
    """The deployment that an entry of `model_list` means; None, with a note, if it cannot be one."""
    where = f"model_list[{position}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("litellm_params"), dict):
        notes.add(f"{where}: dropped; expected a mapping with model_name and litellm_params")
        return None
    params = entry["litellm_params"]
    info = entry["model_info"] if isinstance(entry.get("model_info"), dict) else {}
    group, model = entry.get("model_name"), params.get("model")
    if not isinstance(group, str) or not isinstance(model, str) or not plain_name(group) or not model:
        notes.add(f"{where}: dropped; model_name and litellm_params.model must be names")
        return None
    if "*" in group or "*" in model:
        notes.add(f"{where}: dropped; a wildcard names no model to simulate")
        return None
    if info.get("mode") not in CHAT_MODES:
        notes.add(f"{where}: dropped; only chat and completion models are simulated")
        return None
    _note_unread(entry, params, info, notes)
    catalogue_name = find_in_catalogue(catalogue, info.get("base_model"), params.get("base_model"), model)
    provider = _provider(params, model, catalogue_name, catalogue)
    key = str(params.get("api_key") or "")
    variable = _ENV_REFERENCE.match(key)
    region = plain_name(str(next((params[field] for field in _REGIONS if params.get(field)), "global"))) or "global"
    return Deployment(
        group=plain_name(group),
        provider=provider,
        upstream=model.split("/", 1)[-1],
        catalogue_name=catalogue_name,
        identity=(provider, region, *_identity(params, provider)),
        key=key,
        key_variable=variable[1] if variable else "",
        region="global" if "os.environ" in region else region,
        limits=_limits(where, entry, params, info, notes),
        weight=_weight(params),
        prices=_prices(params, info),
        tokens=_tokens(info),
    )


def plain_name(text: str) -> str:
    """The text as a name that scenarios allow; empty if nothing is left."""
    return _NOT_IN_NAMES.sub("-", text).lstrip("_.-/: ")[:100]


def find_in_catalogue(catalogue: Catalogue, *names: object) -> str | None:
    """The catalogue's name of the first of these upstream names that it knows."""
    for name in names:
        if not isinstance(name, str):
            continue
        bare = _ROUTE_PREFIX.sub("", name.rsplit("/", 1)[-1])
        candidates = [bare]
        while _VERSION_SUFFIX.search(candidates[-1]):
            candidates.append(_VERSION_SUFFIX.sub("", candidates[-1]))
        for candidate in candidates:
            for spelling in (candidate, candidate.replace(".", "-")):
                if spelling in catalogue.models:
                    return spelling
    return None


def _provider(params: Mapping[str, Any], model: str, catalogue_name: str | None, catalogue: Catalogue) -> str:
    stated = params.get("custom_llm_provider")
    if not isinstance(stated, str):
        stated = model.split("/", 1)[0] if "/" in model else None
    if stated is None:
        return catalogue.models[catalogue_name].provider if catalogue_name else "openai"
    return PROVIDER_NAMES.get(stated, plain_name(stated) or "openai")


def _identity(params: Mapping[str, Any], provider: str) -> tuple[str, str]:
    order = ("api_base", "base_url", *_IDENTITIES) if provider == "azure" else _IDENTITIES
    for field in order:
        if params.get(field):
            return field, str(params[field])
    return "default", ""


def _limits(
    where: str, entry: Mapping[str, Any], params: Mapping[str, Any], info: Mapping[str, Any], notes: Notes
) -> dict[str, float]:
    found: dict[str, float] = {}
    for field, dimension in DIMENSIONS.items():
        value = next((part[field] for part in (params, entry, info) if part.get(field) is not None), None)
        if value is None:
            continue
        exact = number(value)
        if exact is None or not 1 <= exact <= LARGEST_LIMIT:
            notes.add(f"{where}: {field} dropped; expected a number from 1 to {LARGEST_LIMIT:,}")
            continue
        found[dimension] = float(exact)
    return found


def _weight(params: Mapping[str, Any]) -> float | None:
    exact = number(params.get("weight"))
    return None if exact is None else float(exact)


def _prices(params: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for field, name in PRICE_FIELDS.items():
        exact = number(params.get(field) if params.get(field) is not None else info.get(field))
        if exact is not None and exact <= 1:
            found[name] = float(exact * 1_000_000)
    return found


def _tokens(info: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for field, name, most in (
        ("max_input_tokens", "context_tokens", 100_000_000),
        ("max_output_tokens", "max_output_tokens", 10_000_000),
    ):
        exact = number(info.get(field))
        if exact and 1 <= exact <= most:
            found[name] = int(exact)
    return found


def _note_unread(entry: Mapping[str, Any], params: Mapping[str, Any], info: Mapping[str, Any], notes: Notes) -> None:
    notes.dropped(
        "model_list[]", (key for key in entry if key not in ("model_name", "litellm_params", "model_info", *DIMENSIONS))
    )
    notes.dropped("litellm_params", (key for key in params if key not in _READ))
    notes.dropped("model_info", (key for key in info if key not in _READ_INFO))
    for key in _SECRET:
        if params.get(key) and not _ENV_REFERENCE.match(str(params[key])):
            notes.add(f"litellm_params.{key}: a literal secret stands in the file; dropped, never copied")
