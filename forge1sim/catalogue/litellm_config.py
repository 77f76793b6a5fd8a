"""Turning a LiteLLM `config.yaml` into the parts of a scenario that it describes.

The result has models, accounts with limits, and policies; a workload and tenants are to be added.
Secrets are read only to tell accounts apart, and never written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.catalogue.files import MIB, read_yaml_mapping
from forge1sim.catalogue.litellm_deployments import Deployment, plain_name, read_deployment
from forge1sim.catalogue.litellm_settings import Notes, RouterSettings, read_settings
from forge1sim.catalogue.load import load_catalogue
from forge1sim.errors import CatalogueError

MAX_CONFIG_BYTES = 4 * MIB
MAX_DEPLOYMENTS = 5_000
_SECTIONS = ("model_list", "router_settings", "litellm_settings")

ModelKey = tuple[str, str, tuple[tuple[str, float], ...]]
"""Group, catalogue name (empty if not in it) and own prices: deployments alike in these are one model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedScenario:
    """A scenario fragment as plain data, and a note for each setting that was dropped or approximated."""

    scenario: dict[str, Any]
    notes: tuple[str, ...]


def import_litellm_config(path: str | Path, catalogue: Catalogue | None = None) -> ImportedScenario:
    """Models, accounts and policies of a LiteLLM configuration.

    A model group becomes a model of the same name, served by every account that it has deployments
    in. Where these are several models, or the same at several prices, the first keeps the name and
    the others become its first fallbacks. Deployments with the
    same key reference (or endpoint, organisation, project) are one account, and `rpm` and `tpm` are
    limits of that account and model class. Prices come from the configuration, else the catalogue.

    Raises:
        CatalogueError: unreadable, not YAML, over 4 MiB or 5,000 deployments, or nothing usable in it.
    """
    path = Path(path)
    config = read_yaml_mapping(path, MAX_CONFIG_BYTES)
    catalogue = catalogue or load_catalogue("current")
    notes = Notes()
    settings = read_settings(config, notes)
    for key in config:
        if key not in _SECTIONS:
            notes.add(f"{key}: dropped; no counterpart here")
    deployments = _deployments(path, config, catalogue, notes)
    names = _model_names(deployments, notes)
    models = _models(deployments, names, settings, notes)
    accounts = _accounts(deployments, names, settings, catalogue, notes)
    scenario = {
        "name": plain_name(path.stem) or "litellm",
        "description": "Imported from a LiteLLM configuration; add a workload and tenants",
        "catalogue": catalogue.name,
        "models": models,
        "accounts": accounts,
        "providers": _new_providers(accounts, catalogue),
        "policies": settings.policies,
    }
    return ImportedScenario(scenario=scenario, notes=notes.lines())


def _deployments(path: Path, config: Mapping[str, Any], catalogue: Catalogue, notes: Notes) -> list[Deployment]:
    entries = config.get("model_list")
    if not isinstance(entries, list) or not entries:
        raise CatalogueError(f"{path}: model_list must be a list of deployments, as in LiteLLM's config.yaml")
    if len(entries) > MAX_DEPLOYMENTS:
        raise CatalogueError(f"{path}: model_list has {len(entries)} deployments, at most {MAX_DEPLOYMENTS} allowed")
    read = [read_deployment(entry, position, catalogue, notes) for position, entry in enumerate(entries)]
    found = [deployment for deployment in read if deployment and _has_price(deployment, notes)]
    if not found:
        raise CatalogueError("\n".join((f"{path}: no usable deployment in model_list", *notes.lines())))
    return found


def _has_price(deployment: Deployment, notes: Notes) -> bool:
    """Whether the cost of a call is known. An unknown price is never taken as zero."""
    known = deployment.catalogue_name or {"input_usd_per_1m", "output_usd_per_1m"} <= deployment.prices.keys()
    if not known:
        notes.add(
            f"model {deployment.group}: a deployment was dropped; its upstream model is not in the catalogue, and the"
            " file gives no input_cost_per_token and output_cost_per_token (in litellm_params or model_info)"
        )
    return bool(known)


def _key(deployment: Deployment) -> ModelKey:
    return deployment.group, deployment.catalogue_name or "", tuple(sorted(deployment.prices.items()))


def _model_names(deployments: Sequence[Deployment], notes: Notes) -> dict[ModelKey, str]:
    """The scenario's name for each model of each group: the group's own for the first."""
    unnamed = {deployment.group for deployment in deployments}
    used = set(unnamed)
    names: dict[ModelKey, str] = {}
    for deployment in deployments:
        key, group = _key(deployment), deployment.group
        if key in names:
            continue
        if group in unnamed:
            names[key] = group
            unnamed.remove(group)
            continue
        name = plain_name(f"{group} as {deployment.upstream}")
        while name in used:
            name += " more"
        names[key] = name
        used.add(name)
        notes.add(f"model {group}: several models or prices; approximated by {name} as a fallback of the first")
    return names


def _models(
    deployments: Sequence[Deployment],
    names: Mapping[ModelKey, str],
    settings: RouterSettings,
    notes: Notes,
) -> list[dict[str, Any]]:
    first = {_key(deployment): deployment for deployment in reversed(deployments)}
    rest_of_group: dict[str, list[str]] = {}
    for (group, *_), name in names.items():
        rest_of_group.setdefault(group, []).append(name)
    for group in settings.fallbacks:
        if group not in rest_of_group:
            notes.add(f"fallbacks of {plain_name(group)}: dropped; no such model was imported")
    models = []
    for key, name in names.items():
        group = key[0]
        wanted = [*settings.fallbacks.get(group, []), *settings.default_fallbacks]
        targets = [target for target in map(plain_name, wanted) if target in rest_of_group]
        if len(targets) < len(wanted):
            notes.add(f"fallbacks of {group}: a model that was not imported was left out")
        chain = dict.fromkeys([*rest_of_group[group], *(each for to in targets for each in rest_of_group[to])])
        chain.pop(name)
        models.append({**_model(first[key], name), "fallbacks": list(chain)})
    return models


def _model(deployment: Deployment, name: str) -> dict[str, Any]:
    own = {**deployment.prices, **deployment.tokens}
    if deployment.catalogue_name is None:
        return {"name": name, "provider": deployment.provider, **own}
    return {"catalogue": deployment.catalogue_name, "name": name, **own}


def _accounts(
    deployments: Sequence[Deployment],
    names: Mapping[ModelKey, str],
    settings: RouterSettings,
    catalogue: Catalogue,
    notes: Notes,
) -> list[dict[str, Any]]:
    by_identity: dict[tuple[str, ...], list[Deployment]] = {}
    for deployment in deployments:
        by_identity.setdefault(deployment.identity, []).append(deployment)
    of_provider: dict[str, int] = {}
    weighed_by = _weighed_by(list(by_identity.values()), settings)
    if weighed_by:
        notes.add(f"accounts: weighed by their {weighed_by}, as LiteLLM's shuffle does where no weights stand")
    accounts = []
    for (provider, *_), members in by_identity.items():
        of_provider[provider] = of_provider.get(provider, 0) + 1
        name = f"{provider}-{of_provider[provider]}"
        variables = sorted({member.key_variable for member in members if member.key_variable})
        if variables:
            notes.add(f"account {name}: the deployments whose key is in {', '.join(variables)}")
        accounts.append(
            {
                "name": name,
                "provider": provider,
                "models": list(dict.fromkeys(names[_key(member)] for member in members)),
                "region": members[0].region,
                "keys": max(1, len({member.key for member in members if member.key})),
                "weight": _account_weight(name, members, weighed_by, notes),
                "limits": _account_limits(name, members, names, catalogue, notes),
            }
        )
    if any(count > 1 for count in of_provider.values()):
        notes.add(
            "accounts: keys of one organisation or project share its limits; merge the accounts of a provider"
            " that are really one"
        )
    return accounts


def _new_providers(accounts: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Providers (cloud routes, own servers) that the catalogue does not have."""
    names = dict.fromkeys(account["provider"] for account in accounts)
    return [{"name": name} for name in names if name not in catalogue.providers]


def _account_limits(
    account: str,
    members: Sequence[Deployment],
    names: Mapping[ModelKey, str],
    catalogue: Catalogue,
    notes: Notes,
) -> list[dict[str, Any]]:
    """Limits of the account by model class; a class that several deployments name has its largest."""
    largest: dict[tuple[str, str], float] = {}
    for member in members:
        model_class = _model_class(member, names, catalogue)
        for dimension, limit in member.limits.items():
            at = (model_class, dimension)
            if at in largest:
                notes.add(
                    f"account {account}: {dimension} of {model_class} stands at several deployments of this account;"
                    " LiteLLM counts them apart, here the largest holds once"
                )
            largest[at] = max(limit, largest.get(at, 0.0))
    if not largest:
        notes.add(f"account {account}: no rpm or tpm in the file, so it has no limits; give it a usage_tier or limits")
    provider = catalogue.providers.get(members[0].provider)
    rules = provider.rules if provider else {}
    limits = []
    for (model_class, dimension), limit in largest.items():
        row = {"dimension": dimension, "limit": limit, "model_class": model_class}
        for known, rule in rules.items():
            if known == dimension:
                row.update(window=rule.window, window_s=rule.window_s, burst_s=rule.burst_s, charge=rule.charge)
        limits.append(row)
    return limits


def _model_class(member: Deployment, names: Mapping[ModelKey, str], catalogue: Catalogue) -> str:
    if member.catalogue_name is None:
        return names[_key(member)]
    return catalogue.models[member.catalogue_name].model_class or member.catalogue_name


def _weighed_by(accounts: Sequence[Sequence[Deployment]], settings: RouterSettings) -> str | None:
    """The dimension by which LiteLLM's shuffle weighs where no weights stand: one that every account states."""
    if settings.strategy != "simple-shuffle" or any(member.weight for members in accounts for member in members):
        return None
    for dimension in ("rpm", "tpm"):
        if all(any(dimension in member.limits for member in members) for members in accounts):
            return dimension
    return None


def _account_weight(account: str, members: Sequence[Deployment], weighed_by: str | None, notes: Notes) -> float:
    if weighed_by:
        return max(member.limits.get(weighed_by, 0.0) for member in members)
    weights = {member.weight for member in members if member.weight is not None}
    if len(weights) > 1:
        notes.add(f"account {account}: its deployments have several weights; here the account has one, the largest")
    return max(weights, default=1.0)
