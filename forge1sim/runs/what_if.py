"""Questions that people ask of a scenario, as `path=value` overrides of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from forge1sim.errors import ScenarioError
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workload.spec import AgentSessions, FileTrace, ServeGen
from policies.schema import Limit

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What is to be different. As it stands, nothing is.

    Factors multiply what the scenario has. `accounts` gives the new count by account, `more_tenants`
    how many join by group, each asking for as much as those there. The outage lasts between two hours of the run.
    """

    demand_factor: float = 1.0
    accounts: Mapping[str, int] = field(default_factory=dict)
    more_tenants: Mapping[str, int] = field(default_factory=dict)
    price_factors: Mapping[str, float] = field(default_factory=dict)
    limits_factor: float = 1.0
    outage_provider: str = ""
    outage_hours: tuple[float, float] = (0.0, 0.0)
    routing_policy: str = ""
    model_choice: str = ""


def overrides_of(what_if: WhatIf, loaded: LoadedScenario) -> tuple[str, ...]:
    """The overrides that make it so; none where nothing differs.

    Raises ScenarioError for demand that no factor can change: a recorded population as published.
    """
    return tuple(
        f"{path}={json.dumps(value, separators=(',', ':'))}"
        for changes in (_demand, _accounts, _prices, _limits, _outage, _policies)
        for path, value in changes(what_if, loaded)
    )


def in_words(what_if: WhatIf, loaded: LoadedScenario) -> str:
    """What differs, for people: `demand 1.25x, 6 accounts of openai`; empty where nothing does."""
    told = [f"demand {what_if.demand_factor:g}x"] if what_if.demand_factor != 1 else []
    now = {account.name: account.count for account in loaded.scenario.accounts}
    told += [f"{count} accounts of {name}" for name, count in what_if.accounts.items() if count != now.get(name)]
    told += [f"limits {what_if.limits_factor:g}x"] if what_if.limits_factor != 1 else []
    told += [f"{more:,} more {name} tenants" for name, more in what_if.more_tenants.items() if more]
    told += [f"{name} prices {factor:g}x" for name, factor in what_if.price_factors.items() if factor != 1]
    begin_h, end_h = what_if.outage_hours
    told += [f"{what_if.outage_provider} out from {begin_h:g} h to {end_h:g} h"] if what_if.outage_provider and end_h > begin_h else []
    told += [f"routing {path.rpartition('.')[2].replace('_', ' ')} {value}" for path, value in _policies(what_if, loaded)]
    return ", ".join(told)


def _demand(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    factor = what_if.demand_factor
    for group in loaded.groups:
        more = what_if.more_tenants.get(group.name, 0)
        if more:
            yield f"tenants.{group.name}.count", group.count + more
        grown, demand = factor * (group.count + more) / group.count, group.demand
        if demand and demand.requests_per_s and grown != 1:
            yield f"tenants.{group.name}.demand.requests_per_s", _round(demand.requests_per_s * grown)
        if demand and demand.requests_per_s_each and factor != 1:
            yield f"tenants.{group.name}.demand.requests_per_s_each", _round(demand.requests_per_s_each * factor)
    if factor == 1:
        return
    for row, source in enumerate(loaded.workload_sources):
        at = f"workload.sources.{row}"
        if isinstance(source, FileTrace):
            yield f"{at}.rate_scale", _round(source.rate_scale * factor)
        elif isinstance(source, AgentSessions):
            yield f"{at}.sessions_per_s", _round(source.sessions_per_s * factor)
        elif isinstance(source, ServeGen):
            if source.requests_per_s is None:
                raise ScenarioError(f"{at}: demand is as published; give it requests_per_s in the scenario, then it can be scaled")
            yield f"{at}.requests_per_s", _round(source.requests_per_s * factor)


def _accounts(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    for account in loaded.scenario.accounts:
        count = what_if.accounts.get(account.name, account.count)
        if count != account.count:
            yield f"accounts.{account.name}.count", count


def _prices(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    for model in loaded.platform.models:
        factor = what_if.price_factors.get(model.provider, 1.0)
        if factor == 1:
            continue
        for price in ("input_usd_per_1m", "cached_input_usd_per_1m", "output_usd_per_1m"):
            usd = getattr(model, price)
            if usd is not None:
                yield f"models.{model.name}.{price}", _round(usd * factor)


def _limits(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    if what_if.limits_factor == 1:
        return
    for account in loaded.platform.accounts:
        if account.limits:
            yield f"accounts.{account.name}.limits", [_scaled(limit, what_if.limits_factor) for limit in account.limits]


def _scaled(limit: Limit, factor: float) -> dict[str, Any]:
    return limit.model_dump(mode="json", exclude_defaults=True) | {"limit": max(1.0, _round(limit.limit * factor))}


def _outage(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    begin_h, end_h = what_if.outage_hours
    if what_if.outage_provider and end_h > begin_h:
        outage = {
            "kind": "outage", "provider": what_if.outage_provider, "start_s": begin_h * HOUR_S, "duration_s": (end_h - begin_h) * HOUR_S,
        }  # fmt: skip
        yield "faults", [*(fault.model_dump(mode="json", exclude_unset=True) for fault in loaded.faults), outage]


def _policies(what_if: WhatIf, loaded: LoadedScenario) -> Iterator[tuple[str, Any]]:
    routing = loaded.bundle.routing
    for name, value in (("policy", what_if.routing_policy), ("model_choice", what_if.model_choice)):
        if value and value != getattr(routing, name):
            yield f"policies.routing.{name}", value


def _round(value: float) -> float:
    return float(f"{value:.6g}")
