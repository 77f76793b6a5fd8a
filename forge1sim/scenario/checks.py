"""What the schema cannot see: names that fit nothing, totals without bound, tenants nobody may serve."""

import math
from collections.abc import Collection, Iterable, Iterator

from forge1sim.scenario.problems import Finding, dotted, nearest, shown_value
from forge1sim.scenario.resolve import served
from forge1sim.scenario.schema import Scenario, ScenarioTenants, model_name
from forge1sim.scenario.terms import CommitmentTerms, CreditTerms, PlanTerms
from forge1sim.scenario.yaml_tree import Path_
from forge1sim.workload.spec import AUTO_NAME, AgentSessions, ServeGen, Synthetic
from policies.contracts import CONTRACTS
from policies.schema import Account, Fault, Model
from policies.shipped import shipped_names

MAX_TENANTS = 1_000_000
MAX_DEPLOYMENTS = 20_000
MAX_REQUESTS = 2_000_000_000       # what `forge1sim.workload.build` simulates at most
WEEK_S = 7 * 86_400.0


def unknown(path: Path_, name: str, known: Collection[str], kind: str) -> Iterator[Finding]:
    """A finding if `name` is none of `known`."""
    if name not in known:
        yield path, f"is {shown_value(name)}, no {kind} of this scenario; {nearest(name, known, kind + 's')}"


def name_findings(scenario: Scenario) -> Iterator[Finding]:
    """Names given twice, also after `count` has made `name-1`, `name-2`, and names that mean something else."""
    tiers = [tier.name for tier in scenario.policies.tiers]
    models = [model_name(item) for item in scenario.models]
    yield from _twice(("models",), models)
    yield from _twice(("providers",), [provider.name for provider in scenario.providers])
    yield from _twice(("slos",), [slo.name for slo in scenario.slos])
    yield from _twice(("policies", "tiers"), tiers)
    yield from _numbered_twice("accounts", [(account.name, account.count) for account in scenario.accounts])
    yield from _numbered_twice("tenants", [(group.name, group.count) for group in scenario.tenants])
    for row, name in enumerate(models):
        if name == AUTO_NAME:
            yield ("models", row, "name"), f"is {AUTO_NAME!r}, which means any model; choose another name"
    for row, name in enumerate(tiers):
        if name == "all":
            yield ("policies", "tiers", row, "name"), "is 'all', which means every tier in slos; choose another name"


def _twice(path: Path_, names: list[str]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if first.setdefault(name, row) != row:
            yield (*path, row, "name"), f"is {shown_value(name)}, already the name of {dotted(path)}.{first[name]}"


def _numbered_twice(field: str, groups: list[tuple[str, int]]) -> Iterator[Finding]:
    """Equal names, and a `name-2` that a `name` with count 2 makes as well."""
    yield from _twice((field,), [name for name, _ in groups])
    counts = {name: count for name, count in groups if count > 1}
    for row, (name, count) in enumerate(groups):
        stem, _, number = name.rpartition("-")
        numbered = number.isascii() and number.isdigit() and number[0] != "0" and len(number) < 9
        if count == 1 and numbered and int(number) <= counts.get(stem, 0):
            yield (field, row, "name"), f"is {name!r}, which {stem!r} with count {counts[stem]} makes as well"


def model_findings(models: dict[int, Model], accounts: tuple[Account, ...]) -> Iterator[Finding]:
    """Models that no account serves, and fallbacks to nothing. Circles are fine: the gateway tries each model once."""
    names = {model.name for model in models.values()}
    reached = {model.name for account in accounts for model in served(account, models)}
    for row, model in models.items():
        if model.name not in reached:
            yield ("models", row), f"({model.name}) is served by no account; add an account of {model.provider}, or name it in one"
        for position, name in enumerate(model.fallbacks):
            path = ("models", row, "fallbacks", position)
            if name == model.name:
                yield path, f"is {shown_value(name)}, the model itself"
            yield from unknown(path, name, names, "model")


def account_findings(scenario: Scenario, models: dict[int, Model], providers: Iterable[str]) -> Iterator[Finding]:
    """Accounts of unknown providers, models or tiers, limits of classes they do not serve, too many deployments."""
    own = (provider.name for provider in scenario.providers)
    known_providers = {*providers, *own, *(model.provider for model in models.values())}
    named = {model_name(item) for item in scenario.models}
    deployments = 0
    for row, account in enumerate(scenario.accounts):
        yield from unknown(("accounts", row, "provider"), account.provider, known_providers, "provider")
        for position, name in enumerate(account.models):
            yield from unknown(("accounts", row, "models", position), name, named, "model")
            if name in account.models[:position]:
                yield ("accounts", row, "models", position), f"is {shown_value(name)}, named twice"
        if account.dedicated_to is not None:
            tiers = [tier.name for tier in scenario.policies.tiers]
            yield from unknown(("accounts", row, "dedicated_to"), account.dedicated_to, tiers, "tier")
        reached = served(account, models)
        deployments += account.count * len(reached)
        all_known = len(models) == len(scenario.models) and account.provider in known_providers
        if not reached and not account.models and all_known:
            yield ("accounts", row), f"({account.name}) serves no model: none is of {account.provider}; name some in `models`"
        classes = {model.model_class or model.name for model in reached}
        for position, limit in enumerate(account.limits):
            if limit.model_class != "*" and reached and all_known:
                yield from unknown(("accounts", row, "limits", position, "model_class"), limit.model_class, classes, "model class")
    if deployments > MAX_DEPLOYMENTS:
        yield ("accounts",), f"make {deployments:,} deployments (models x accounts), at most {MAX_DEPLOYMENTS:,}"
    used = {account.provider for account in scenario.accounts} | {model.provider for model in models.values()}
    for row, provider in enumerate(scenario.providers):
        yield from unknown(("providers", row, "name"), provider.name, used, "provider")


def tenant_findings(
    scenario: Scenario, groups: tuple[ScenarioTenants, ...], accounts: tuple[Account, ...], models: dict[int, Model]
) -> Iterator[Finding]:
    """Tenants that name unknown models or that no deployment may serve, contradictory budgets, too many of them."""
    names = {model_name(item): item for item in scenario.models}
    auto_or_names = {AUTO_NAME, *names}
    reasons: dict[object, str] = {}
    overflow = scenario.policies.reservation.dedicated_overflow
    confined = {tier.name for tier in scenario.policies.tiers if tier.dedicated_keys and not overflow}
    for row, group in enumerate(groups):
        for position, name in enumerate(group.models):
            yield from unknown(("tenants", row, "models", position), name, names, "model")
        for name in group.demand.models if group.demand else ():
            yield from unknown(("tenants", row, "demand", "models", name), name, auto_or_names, "model")
        if None not in (group.request_budget_usd, group.budget_usd_per_month) and (
            float(group.request_budget_usd or 0) > float(group.budget_usd_per_month or 0)
        ):
            budgets = f"{group.request_budget_usd:g}, more than budget_usd_per_month {group.budget_usd_per_month:g}"
            yield ("tenants", row, "request_budget_usd"), f"is {budgets}"
        needs = (group.tier, group.regions, group.tags, group.models)
        if group.tier is not None and names.keys() >= set(group.models) and len(models) == len(names):
            if needs not in reasons:
                reasons[needs] = _why_unserved(group, accounts, models, group.tier in confined)
            if reasons[needs]:
                yield ("tenants", row), f"({group.name}) may use no deployment: {reasons[needs]}"
    tenants = sum(group.count for group in groups)
    if tenants > MAX_TENANTS:
        yield ("tenants",), f"are {tenants:,} in all, at most {MAX_TENANTS:,}"


def _why_unserved(
    group: ScenarioTenants, accounts: tuple[Account, ...], models: dict[int, Model], only_dedicated: bool
) -> str:
    """Why no account may serve these tenants; empty if one may."""
    open_to = [account for account in accounts if account.dedicated_to in (None, group.tier)]
    dedicated = [account for account in accounts if account.dedicated_to == group.tier]
    if only_dedicated and dedicated:
        open_to = dedicated
    if not open_to:
        return f"every account is dedicated to another tier than {group.tier}"
    if group.models:
        open_to = [a for a in open_to if any(model.name in group.models for model in served(a, models))]
    if not open_to:
        return f"no account open to tier {group.tier} serves {' or '.join(group.models)}"
    regions = {account.region for account in open_to}
    if group.regions and not regions & set(group.regions):
        return f"its regions are {', '.join(group.regions)}, the accounts' {', '.join(sorted(regions))}"
    open_to = [account for account in open_to if not group.regions or account.region in group.regions]
    if not any(set(group.tags) <= set(account.tags) for account in open_to):
        return f"no account that it could use has all its tags ({', '.join(group.tags)})"
    return ""


def policy_findings(scenario: Scenario) -> Iterator[Finding]:
    """Shipped policies that do not exist, bid prices of unknown models. A policy `file.py:function` is looked up by the loader."""
    models = {model_name(item) for item in scenario.models}
    for field, model in scenario.policies.routing.bids():
        yield from unknown(("policies", "routing", field, model), model, models, "model")
    for kind, name in scenario.policies.named_policies().items():
        known = shipped_names(CONTRACTS[kind].field)
        if ":" not in name and name not in known:
            words = f"is {shown_value(name)}, no shipped policy; {nearest(name, known, 'policies')} (or file.py:function)"
            yield ("policies", *CONTRACTS[kind].field.split(".")), words


def fault_findings(scenario: Scenario, accounts: tuple[Account, ...]) -> Iterator[Finding]:
    """Faults that strike nothing: unknown names, no account that matches, or after the end."""
    end_s = scenario.horizon_s + scenario.drain_s
    account_names = {name for account in accounts for name in _account_names(account)}
    for row, fault in enumerate(scenario.faults):
        found = [
            *_named(("faults", row, "provider"), fault.provider, {account.provider for account in accounts}, "provider"),
            *_named(("faults", row, "account"), fault.account, account_names, "account"),
            *_named(("faults", row, "region"), fault.region, {account.region for account in accounts}, "region"),
        ]
        yield from found
        if not found and not any(_strikes(fault, account) for account in accounts):
            yield ("faults", row), "strikes no account: none matches provider, account and region together"
        if fault.start_s >= end_s:
            yield ("faults", row, "start_s"), f"is {fault.start_s:g}, after the end of the run (horizon and drain, {end_s:g})"


def _named(path: Path_, name: str | None, known: Collection[str], kind: str) -> Iterator[Finding]:
    if name is not None:
        yield from unknown(path, name, known, kind)


def _account_names(account: Account) -> list[str]:
    numbered = [f"{account.name}-{number}" for number in range(1, account.count + 1)] if account.count > 1 else []
    return [account.name, *numbered]


def _strikes(fault: Fault, account: Account) -> bool:
    return (
        fault.provider in (None, account.provider)
        and fault.region in (None, account.region)
        and (fault.account is None or fault.account in _account_names(account))
    )


def slo_findings(scenario: Scenario) -> Iterator[Finding]:
    """Promises to tiers that do not exist."""
    tiers = ["all", *(tier.name for tier in scenario.policies.tiers)]
    for row, slo in enumerate(scenario.slos):
        yield from unknown(("slos", row, "tier"), slo.tier, tiers, "tier")


def plan_findings(scenario: Scenario) -> Iterator[Finding]:
    """Terms of accounts or tiers that do not exist; more accounts than are held without anybody's permission."""
    tiers = [tier.name for tier in scenario.policies.tiers]
    held = {account.name: account.count for account in scenario.accounts}
    plan = scenario.plan
    for row, terms in enumerate(plan.accounts):
        path: Path_ = ("plan", "accounts", row)
        yield from unknown((*path, "name"), terms.name, held, "account")
        most = held.get(terms.name, terms.at_least)
        if terms.at_most is not None and terms.at_most > most and not terms.permission.strip():
            yield (*path, "at_most"), f"is {terms.at_most}, more than the {most} held; name the contracting entity in `permission`"
        if terms.at_most is None and terms.at_least > most:
            yield (*path, "at_least"), f"is {terms.at_least}, more than the {most} held; give `at_most` and `permission`"
    yield from _twice(("plan", "accounts"), [terms.name for terms in plan.accounts])
    yield from _twice(("plan", "reservations"), [option.name for option in plan.reservations])
    for row, option in enumerate(plan.reservations):
        for tier in option.guaranteed_capacity:
            yield from unknown(("plan", "reservations", row, "guaranteed_capacity"), tier, tiers, "tier")
    for row, survival in enumerate(plan.survive):
        yield from unknown(("plan", "survive", row, "tier"), survival.tier, tiers, "tier")
    providers = sorted({account.provider for account in scenario.accounts})
    offers: tuple[tuple[str, tuple[CommitmentTerms | CreditTerms, ...]], ...] = (
        ("commitments", plan.commitments), ("credits", plan.credits),
    )  # fmt: skip
    for field, of_field in offers:
        for row, offer in enumerate(of_field):
            yield from unknown(("plan", field, row, "provider"), offer.provider, providers, "provider")
        yield from _twice(("plan", field), [offer.name for offer in of_field])
    yield from _held_twice(plan)
    for tier in plan.refusal_usd:
        yield from unknown(("plan", "refusal_usd"), tier, tiers, "tier")


def _held_twice(plan: PlanTerms) -> Iterator[Finding]:
    held = [(row, one.provider) for row, one in enumerate(plan.commitments) if one.held]
    for at, (row, provider) in enumerate(held):
        if provider in [other for _, other in held[:at]]:
            yield ("plan", "commitments", row, "held"), f"is a second commitment held with {provider}; at most one of each provider counts"


def workload_findings(scenario: Scenario) -> Iterator[Finding]:
    """Sources for groups or models that do not exist, no requests at all, or more than a run can hold."""
    groups = {group.name for group in scenario.tenants}
    names = {model_name(item) for item in scenario.models}
    for row, source in enumerate(scenario.workload.sources):
        if isinstance(source, Synthetic):
            continue
        path: Path_ = ("workload", "sources", row)
        for name in source.assign.groups:
            yield from unknown((*path, "assign", "groups", name), name, groups, "tenant group")
        for name in source.requests.models:
            yield from unknown((*path, "requests", "models", name), name, {AUTO_NAME, *names}, "model")
        for label, name in ({} if isinstance(source, ServeGen) else source.models).items():
            yield from unknown((*path, "models", label), name, names, "model")
    rates = [rate for group in scenario.tenants if (rate := _rate_per_s(group)) is not None]
    if not rates and all(isinstance(source, Synthetic) for source in scenario.workload.sources):
        yield ("tenants", 0, "demand"), "asks for nothing; give some group `requests_per_s`, or `workload` a trace"
    expected = expected_requests(scenario, by_hour=False)
    if expected > MAX_REQUESTS:
        yield ("tenants",), f"ask for about {expected:.1e} requests until horizon_s, at most {MAX_REQUESTS:,}"


def _rate_per_s(group: ScenarioTenants) -> float | None:
    if group.demand is None:
        return None
    if group.demand.requests_per_s_each is not None:
        return group.demand.requests_per_s_each * group.count
    return group.demand.requests_per_s


def expected_requests(scenario: Scenario, *, by_hour: bool) -> float:
    """About how many requests are generated until the horizon; recorded traces are not counted.

    `by_hour`: by the hours and days until the horizon, for which numpy is loaded; else by the mean of a week.
    """
    total = 0.0
    weeks = scenario.horizon_s / WEEK_S
    generated = any(isinstance(source, Synthetic) for source in scenario.workload.sources)
    for group in scenario.tenants if generated else ():
        growth = group.demand.growth_per_week if group.demand else 0.0
        shape = _mean_of_hours(scenario, group) if by_hour else 1.0
        total += (_rate_per_s(group) or 0.0) * scenario.horizon_s * _mean_growth(growth, weeks) * shape
    for source in scenario.workload.sources:
        if isinstance(source, AgentSessions):
            total += source.sessions_per_s * scenario.horizon_s
        elif isinstance(source, ServeGen):
            total += (source.requests_per_s or 0.0) * scenario.horizon_s
    return total


def _mean_of_hours(scenario: Scenario, group: ScenarioTenants) -> float:
    """Mean of the hours until the horizon, over the mean of a whole week."""
    demand = group.demand
    if demand is None or scenario.horizon_s >= WEEK_S or (demand.diurnal is None and demand.weekend_factor == 1.0):
        return 1.0
    # Here, since it brings numpy and Numba, which reading a scenario does without.
    from forge1sim.workload.profile import cell_factors

    steady = demand.model_copy(update={"growth_per_week": 0.0})
    return float(cell_factors(steady, group.timezone, round(scenario.start.timestamp() * 1e6), scenario.horizon_s).mean())


def _mean_growth(per_week: float, weeks: float) -> float:
    """Mean of (1 + per_week) ** t over t in [0, weeks], kept finite."""
    slope = math.log1p(per_week) * weeks
    return 1.0 if abs(slope) < 1e-9 else math.expm1(min(slope, 600.0)) / slope
