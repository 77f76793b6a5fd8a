"""From what a file says to the platform it means: catalogue models, limits of usage tiers, tiers of contracts.

Every function appends what it finds wrong to `findings` and goes on, so that one reading
reports all problems of a file.
"""

from typing import Any

from forge1sim.catalogue.catalogue import Catalogue
from forge1sim.errors import CatalogueError
from forge1sim.scenario.problems import Finding, nearest, shown_value
from forge1sim.scenario.schema import CatalogueModel, Scenario, ScenarioAccount, ScenarioTenants, model_name
from policies.schema import Account, Limit, Model, Provider, TenantGroup, Tier


def resolve_models(scenario: Scenario, catalogue: Catalogue, findings: list[Finding]) -> dict[int, Model]:
    """The models by their place in the file; those that cannot be resolved are left out."""
    names = {model_name(item) for item in scenario.models}
    models = {}
    for row, item in enumerate(scenario.models):
        wanted = None if isinstance(item, Model) else item if isinstance(item, str) else item.catalogue
        if isinstance(item, Model):
            models[row] = item
        elif wanted in catalogue.models:
            models[row] = _from_catalogue(item, catalogue, names)
        else:
            field = ("models", row, "catalogue") if isinstance(item, CatalogueModel) else ("models", row)
            hint = nearest(wanted, catalogue.models, "models")
            findings.append((field, f"is {shown_value(wanted)}, no model of the catalogue {catalogue.name!r}; {hint}"))
    return models


def _from_catalogue(item: str | CatalogueModel, catalogue: Catalogue, names: set[str]) -> Model:
    """A catalogue model with changes. Its fallbacks are cut down to the scenario's models unless it says its own."""
    base = catalogue.model(item if isinstance(item, str) else item.catalogue)
    fields = base.model_dump()
    changes = {} if isinstance(item, str) else item.model_dump(exclude={"catalogue"}, exclude_unset=True, exclude_none=True)
    fields["fallbacks"] = tuple(name for name in base.fallbacks if name in names)
    return Model.model_validate(_laid_over(fields, changes))


def _laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for field, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(field), dict)
        merged[field] = _laid_over(base[field], value) if both else value
    return merged


def resolve_providers(scenario: Scenario, catalogue: Catalogue, models: dict[int, Model]) -> tuple[Provider, ...]:
    """Every provider that a model or account names: the catalogue's, with the scenario's changes laid over."""
    changes = {provider.name: provider.model_dump(exclude_unset=True) for provider in scenario.providers}
    named = [model.provider for model in models.values()] + [account.provider for account in scenario.accounts]
    providers = []
    for name in dict.fromkeys(named):
        base = catalogue.provider(name) if name in catalogue.providers else Provider(name=name)
        providers.append(Provider.model_validate({**base.model_dump(), **changes.get(name, {})}))
    return tuple(providers)


def served(account: Account, models: dict[int, Model]) -> list[Model]:
    """The models that an account serves: those named, or all of its provider."""
    if account.models:
        return [model for model in models.values() if model.name in account.models]
    return [model for model in models.values() if model.provider == account.provider]


def resolve_account(
    row: int, account: ScenarioAccount, catalogue: Catalogue, models: dict[int, Model], findings: list[Finding]
) -> Account:
    """The account with the limits of its usage tier, its own `limits` laid over them, times its `limit_factor`."""
    limits: tuple[Limit, ...] = ()
    if account.usage_tier is not None:
        try:
            limits = catalogue.limits(account.provider, account.usage_tier, served(account, models))
        except CatalogueError as error:
            findings.append((("accounts", row, "usage_tier"), f"is {shown_value(account.usage_tier)}: {error}"))
    own = {(limit.dimension, limit.model_class) for limit in account.limits}
    kept = tuple(limit for limit in limits if (limit.dimension, limit.model_class) not in own)
    scaled = tuple(limit.model_copy(update={"limit": limit.limit * account.limit_factor}) for limit in (*kept, *account.limits))
    fields = {name: getattr(account, name) for name in Account.model_fields}
    return Account.model_validate({**fields, "limits": scaled})


def resolve_tenants(scenario: Scenario, findings: list[Finding]) -> tuple[ScenarioTenants, ...]:
    """The groups, each with its tier: the one it names, or the highest whose threshold its contract reaches."""
    tiers = scenario.policies.tiers
    groups = []
    for row, group in enumerate(scenario.tenants):
        tier = group.tier or tier_of_contract(group.contract_usd_per_month, tiers)
        if tier is None:
            lowest = min(tier.min_contract_usd_per_month for tier in tiers)
            findings.append((
                ("tenants", row, "contract_usd_per_month"),
                f"is {group.contract_usd_per_month:g}, below every tier's threshold (lowest {lowest:g}); name a tier",
            ))  # fmt: skip
        elif tier not in {known.name for known in tiers}:
            hint = nearest(tier, [known.name for known in tiers], "tiers")
            findings.append((("tenants", row, "tier"), f"is {shown_value(tier)}, no tier; {hint}"))
            tier = None
        groups.append(group.model_copy(update={"tier": tier}))
    return tuple(groups)


def tier_of_contract(contract_usd_per_month: float, tiers: tuple[Tier, ...]) -> str | None:
    """The tier with the highest threshold that a contract reaches; None if it reaches none."""
    reached = [tier for tier in tiers if tier.min_contract_usd_per_month <= contract_usd_per_month]
    return max(reached, key=lambda tier: tier.min_contract_usd_per_month).name if reached else None


def as_tenant_group(group: ScenarioTenants) -> TenantGroup:
    """The group as the platform knows it: without its demand."""
    return TenantGroup.model_validate({name: getattr(group, name) for name in TenantGroup.model_fields})
