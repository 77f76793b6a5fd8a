"""What is shared (fixed fees, commitments, reserves, idle capacity, failed attempts) goes to tenants by rules that are data.

Every amount is shared to the last nano-USD (`money.apportion`), so that statements sum to what attempts cost plus what is shared.
Source of the rules: FinOps Framework, Allocation and shared costs; contribution to the coincident peak as electricity tariffs use it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from live_adapter.billing.charges import Attempt, tokens_of
from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import apportion
from policies.schema import Name, Table

MINUTE_US = 60_000_000
Rule = Literal["by-usage", "by-reserved-share", "by-peak", "evenly"]
UNITS: Mapping[Rule, str] = {
    "by-usage": "Nanodollars", "by-reserved-share": "Parts Per Million", "by-peak": "Tokens", "evenly": "Tenants",
}  # fmt: skip
FAILED = "failed attempts"
NanoUsd = Annotated[int, Strict(), Field(ge=0, le=10**18)]


class SharedCost(Table):
    """A cost of a month that no attempt caused, in nano-USD, and how it is shared.

    `otherwise` is the rule where all weights of `rule` are zero, such as usage in a month without any; without it that is an error.
    """

    name: Name
    kind: Literal["fixed_fee", "commitment", "reserve", "idle_capacity"]
    amount_nano_usd: NanoUsd
    rule: Rule
    otherwise: Rule | None = None


class AllocationRules(Table):
    """All that is shared in a month. With `failed_attempts`, what attempts cost that were not served is shared as well."""

    costs: tuple[SharedCost, ...] = ()
    failed_attempts: Rule | None = None

    @model_validator(mode="after")
    def _apart(self) -> "AllocationRules":
        names = [cost.name for cost in self.costs]
        twice = sorted({name for name in names if names.count(name) > 1} | ({FAILED} & set(names)))
        if twice:
            raise ValueError(f"costs: the name {twice[0]!r} is taken, each cost needs its own")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUse:
    """What a tenant's attempts cost, served and not; its tokens in the minute that was busiest for all; what is reserved for it."""

    served_nano_usd: int = 0
    failed_nano_usd: int = 0
    peak_tokens: int = 0
    reserved_ppm: int = 0

    def weight(self, rule: Rule) -> int:
        """How much of a shared cost it bears, against others, in the unit that UNITS says."""
        weights = {
            "by-usage": self.served_nano_usd, "by-reserved-share": self.reserved_ppm, "by-peak": self.peak_tokens, "evenly": 1,
        }  # fmt: skip
        return weights[rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One cost after sharing: by which rule in the end, with which weights, and each tenant's part in nano-USD."""

    name: str
    rule: Rule
    weights: Mapping[str, int]
    nano_usd: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What each tenant bears directly, and what of each shared cost, in nano-USD."""

    direct_nano_usd: Mapping[str, int]
    shared: tuple[Shared, ...]

    def total_nano_usd(self, tenant: str) -> int:
        """Direct and shared together. Raises KeyError for an unknown tenant."""
        return self.direct_nano_usd[tenant] + sum(one.nano_usd[tenant] for one in self.shared)


@dataclass(slots=True)
class _Use:
    served_nano_usd: int = 0
    failed_nano_usd: int = 0


@dataclass(slots=True)
class _Busiest:
    """Tokens of the minute under way, and of the busiest one before."""

    minute: int = -1
    under_way: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    def add(self, minute: int, tenant: str, tokens: int) -> None:
        if minute < self.minute:
            raise BillingError(f"attempts are not in order of sent_us: minute {minute} comes after {self.minute}")
        if minute > self.minute:
            self.turn(minute)
        self.under_way[tenant] = self.under_way.get(tenant, 0) + tokens

    def turn(self, minute: int) -> None:
        """Of minutes equally busy the first one counts."""
        if sum(self.under_way.values()) > sum(self.most.values()):
            self.most = self.under_way
        self.minute, self.under_way = minute, {}


def tenant_uses(attempts: Iterable[Attempt], reserved_ppm: Mapping[str, int] | None = None) -> dict[str, TenantUse]:
    """Use by tenant, in order of name, from attempts in order of `sent_us`. Memory is that of tenants, not of attempts.

    `reserved_ppm` is what of all capacity is reserved for a tenant, in parts per million; who reserves and never asks is there, too.
    Raises BillingError if attempts are out of order, or less than nothing is reserved.
    """
    reserved = reserved_ppm or {}
    for tenant, ppm in reserved.items():
        if ppm < 0:
            raise BillingError(f"tenant {tenant}: reserved_ppm is {ppm}, must be 0 or more")
    used: dict[str, _Use] = {tenant: _Use() for tenant in reserved}
    busiest = _Busiest()
    for attempt in attempts:
        tenant, cost = attempt["tenant"], attempt["cost_nano_usd"]
        busiest.add(attempt["sent_us"] // MINUTE_US, tenant, sum(tokens_of(attempt)))
        use = used.setdefault(tenant, _Use())
        if attempt["status"] == "served":
            use.served_nano_usd += cost
        else:
            use.failed_nano_usd += cost
    busiest.turn(busiest.minute + 1)
    return {
        tenant: TenantUse(
            served_nano_usd=use.served_nano_usd, failed_nano_usd=use.failed_nano_usd,
            peak_tokens=busiest.most.get(tenant, 0), reserved_ppm=reserved.get(tenant, 0),
        )
        for tenant, use in sorted(used.items())
    }  # fmt: skip


def allocate(rules: AllocationRules, uses: Mapping[str, TenantUse]) -> Allocation:
    """Share out everything: totals of tenants sum to what their attempts cost and all shared costs, to the nano-USD.

    Raises BillingError naming cost and rule if there is something to share and nobody to bear it, or a weight is negative.
    """
    pooled = rules.failed_attempts
    direct = {tenant: use.served_nano_usd + (0 if pooled else use.failed_nano_usd) for tenant, use in uses.items()}
    shared = [_shared(cost.name, cost.amount_nano_usd, (cost.rule, cost.otherwise), uses) for cost in rules.costs]
    if pooled:
        shared.append(_shared(FAILED, sum(use.failed_nano_usd for use in uses.values()), (pooled, "evenly"), uses))
    return Allocation(direct_nano_usd=direct, shared=tuple(shared))


def idle_nano_usd(fee_nano_usd: int, used_units: int, capacity_units: int) -> tuple[int, int]:
    """A fee as the part that use accounts for, and the idle part; they sum to it. Units are any, the same for both.

    Use above capacity leaves nothing idle. Raises BillingError if the fee or the use is negative, or capacity is not above 0.
    """
    if fee_nano_usd < 0 or used_units < 0 or capacity_units <= 0:
        raise BillingError(
            f"fee_nano_usd is {fee_nano_usd} and used_units {used_units}, must be 0 or more; "
            f"capacity_units is {capacity_units}, must be above 0"
        )
    used, idle = apportion(fee_nano_usd, [min(used_units, capacity_units), max(0, capacity_units - used_units)])
    return used, idle


def _shared(name: str, amount_nano_usd: int, rules: tuple[Rule, Rule | None], uses: Mapping[str, TenantUse]) -> Shared:
    rule, otherwise = rules
    weights = _weights(name, rule, uses)
    if otherwise and not any(weights.values()):
        rule, weights = otherwise, _weights(name, otherwise, uses)
    if amount_nano_usd and not any(weights.values()):
        hint = "there is no tenant" if not uses else f"{rule} weighs nothing for all {len(uses)} tenants; give `otherwise`, such as evenly"
        raise BillingError(f"cost {name!r}: nobody to bear {amount_nano_usd} nano-USD: {hint}")
    parts = apportion(amount_nano_usd, list(weights.values()))
    return Shared(name=name, rule=rule, weights=weights, nano_usd=dict(zip(weights, parts, strict=True)))


def _weights(name: str, rule: Rule, uses: Mapping[str, TenantUse]) -> dict[str, int]:
    weights = {tenant: use.weight(rule) for tenant, use in uses.items()}
    for tenant, weight in weights.items():
        if weight < 0:
            raise BillingError(f"cost {name!r}: tenant {tenant} weighs {weight} {rule}, must be 0 or more")
    return weights
