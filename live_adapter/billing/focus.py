"""Charges as rows of FOCUS, the FinOps Open Cost and Usage Specification: columns of version 1.2, names that 1.3 adds, and `x_` ones.

Quantity times unit price is the list cost and the contracted cost exactly. Billed and effective costs are the ledger's own, which
rounds each attempt up to a nano-USD. What attempts cost whose tokens are not known is priced by the dollar. Dates are in UTC, ends
are exclusive; nothing in a row is a secret. Sources: focus.finops.org, 1.2 of May 2025 and 1.3 of December 2025; `focus-validator` 2.2.1.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from live_adapter.billing.allocation import UNITS, Shared
from live_adapter.billing.charges import HOUR_US, Charge
from live_adapter.billing.commitments import Commitment, Covered, DrawnDown
from live_adapter.billing.money import apportion, moment, month_of, month_span_us, usd

DECIMALS = (
    "BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "ConsumedQuantity", "PricingQuantity", "ListUnitPrice",
    "ContractedUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "CommitmentDiscountQuantity",
)  # fmt: skip
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
TEXTS = (
    "BillingCurrency", "PricingCurrency", "BillingAccountId", "BillingAccountName", "BillingAccountType", "SubAccountId",
    "SubAccountName", "SubAccountType", "ProviderName", "PublisherName", "InvoiceIssuerName", "ServiceProviderName",
    "HostProviderName", "ChargeCategory", "ChargeFrequency", "ChargeDescription", "ChargeClass", "ServiceCategory",
    "ServiceSubcategory", "ServiceName", "SkuId", "SkuPriceId", "SkuMeter", "SkuPriceDetails", "ConsumedUnit", "PricingUnit",
    "PricingCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountCategory", "CommitmentDiscountType",
    "CommitmentDiscountStatus", "CommitmentDiscountUnit", "CapacityReservationId", "CapacityReservationStatus", "ResourceId",
    "ResourceName", "ResourceType", "Tags", "InvoiceId", "AllocatedMethodId", "AllocatedMethodDetails", "AllocatedResourceId",
    "AllocatedResourceName", "AllocatedTags", "x_ScenarioId", "x_RunId", "x_PolicyBundle", "x_Seed", "x_IsSimulated",
)  # fmt: skip
COLUMNS = (*DECIMALS, *TIMES, *TEXTS)
MILLION_TOKENS, BY_COST = "1000000 Tokens", "Attempts Without Token Counts"
_RATIO_PARTS = 10**9
FocusRow = dict[str, Any]         # Decimal, datetime, str or None, by COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where figures come from. `hosts` and `publishers` name, by provider, the cloud that hosts and who makes the models, where others."""

    run_id: str | None = None
    scenario_id: str | None = None
    policy_bundle: str | None = None
    seed: int | None = None
    is_simulated: bool = False
    environment: str = "production"
    hosts: Mapping[str, str] = field(default_factory=dict)
    publishers: Mapping[str, str] = field(default_factory=dict)


def focus_rows(charges: Iterable[Charge], of: Provenance, commitments: Iterable[Commitment] = ()) -> Iterator[FocusRow]:
    """A row for each hour, tenant, account, model and kind of token; for each commitment a purchase before, and what is unused after.

    Charges come in order of time. Billed costs sum to those of the charges, less what commitments cover, plus their fees; so do
    effective costs where fees are paid by use. Holds nothing but the commitments. Raises BillingError.
    """
    known = tuple(commitments)
    drawn = DrawnDown(known)
    yield from (_purchase(one, of) for one in known)
    for charge in charges:
        for part in drawn.draw(charge):
            yield _covered(part, of) if isinstance(part, Covered) else _usage(part, of)
    for commitment, left_nano_usd, fee_nano_usd in drawn.unused():
        yield _unused(commitment, left_nano_usd, fee_nano_usd, of)


def allocated_rows(shared: Shared, month: str, of: Provenance, *, account: str, provider: str) -> Iterator[FocusRow]:
    """A shared cost of a month, as one row for each tenant that says how it was split; ratios sum to 1. Raises BillingError."""
    parts = apportion(_RATIO_PARTS if any(shared.nano_usd.values()) else 0, list(shared.nano_usd.values()))
    unit = UNITS[shared.rule]
    for (tenant, share), part in zip(shared.nano_usd.items(), parts, strict=True):
        weight = shared.weights[tenant]
        split = {"AllocatedRatio": part / _RATIO_PARTS, "UsageUnit": unit, "UsageQuantity": weight}
        yield {
            **_base(account, provider, of), **_periods(*month_span_us(month), month), **_costs(share, share), **_sub_account(tenant),
            **_unit(Decimal(1), usd(share), "USD"), **_sku(shared.name, "Shared Cost", f"{shared.name}:usd"),
            "ConsumedQuantity": Decimal(weight), "ConsumedUnit": unit, "PricingCategory": "Other", "ChargeCategory": "Usage",
            "ChargeFrequency": "Recurring", "ChargeDescription": f"Share of {shared.name}, tenant {tenant}, {month}",
            "AllocatedMethodId": shared.rule, "AllocatedMethodDetails": json.dumps({"Elements": [split]}),
            "AllocatedResourceId": shared.name, "AllocatedResourceName": shared.name,
        }  # fmt: skip


def _usage(charge: Charge, of: Provenance) -> FocusRow:
    return {
        **_base(charge.account, charge.provider, of), **_periods(charge.hour_us, charge.hour_us + HOUR_US, month_of(charge.hour_us)),
        **_costs(charge.cost_nano_usd, charge.cost_nano_usd), **_priced(charge), **_sub_account(charge.tenant),
        "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{(charge.meter or BY_COST).capitalize()}, model {charge.model}, tenant {charge.tenant}",
        "PricingCategory": "Standard" if charge.meter else "Other", "ResourceId": f"{charge.account}/{charge.model}",
        "ResourceName": f"{charge.account}/{charge.model}", "ResourceType": "Deployment",
        "Tags": json.dumps({"tier": charge.tier, "pool": charge.provider, "environment": of.environment}),
    }  # fmt: skip


def _covered(part: Covered, of: Provenance) -> FocusRow:
    return {
        **_usage(part.charge, of), **_costs(0, part.effective_nano_usd), **_discount(part.commitment, part.charge.cost_nano_usd),
        "CommitmentDiscountStatus": "Used", "PricingCategory": "Committed",
    }  # fmt: skip


def _purchase(one: Commitment, of: Provenance) -> FocusRow:
    return {
        **_base(one.account, one.provider, of), **_periods(*month_span_us(one.month), one.month), **_costs(one.fee_nano_usd, 0),
        **_unit(usd(one.fee_nano_usd), Decimal(1), "Months"), **_sku(one.name, "Commitment", f"{one.name}:{one.fee_nano_usd}"),
        **_discount(one, one.covers_nano_usd), "ChargeCategory": "Purchase", "ChargeFrequency": "Recurring",
        "ChargeDescription": f"Commitment {one.name}, account {one.account}, {one.month}", "PricingCategory": "Standard",
    }  # fmt: skip


def _unused(one: Commitment, left_nano_usd: int, fee_nano_usd: int, of: Provenance) -> FocusRow:
    return {
        **_base(one.account, one.provider, of), **_periods(*month_span_us(one.month), one.month), **_costs(0, fee_nano_usd),
        **_unit(Decimal(1), usd(left_nano_usd), "USD"), **_sku(f"{one.name} unused", "Commitment", f"{one.name} unused:usd"),
        **_discount(one, left_nano_usd), "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"Unused part of commitment {one.name}, account {one.account}, {one.month}",
        "PricingCategory": "Committed", "CommitmentDiscountStatus": "Unused",
    }  # fmt: skip


def _base(account: str, provider: str, of: Provenance) -> FocusRow:
    return {
        **dict.fromkeys(COLUMNS), "BillingCurrency": "USD", "PricingCurrency": "USD", "BillingAccountId": account,
        "BillingAccountName": account, "BillingAccountType": "Provider Account", "ProviderName": provider,
        "PublisherName": of.publishers.get(provider, provider), "InvoiceIssuerName": provider, "ServiceProviderName": provider,
        "HostProviderName": of.hosts.get(provider, provider), "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI", "ServiceName": "Inference", "x_ScenarioId": of.scenario_id, "x_RunId": of.run_id,
        "x_PolicyBundle": of.policy_bundle, "x_Seed": None if of.seed is None else str(of.seed),
        "x_IsSimulated": str(of.is_simulated).lower(),
    }  # fmt: skip


def _periods(from_us: int, to_us: int, month: str) -> FocusRow:
    begins, ends = month_span_us(month)
    return dict(zip(TIMES, (moment(begins), moment(ends), moment(from_us), moment(to_us)), strict=True))


def _sub_account(tenant: str) -> FocusRow:
    return {"SubAccountId": tenant, "SubAccountName": tenant, "SubAccountType": "Tenant"}


def _costs(billed_nano_usd: int, effective_nano_usd: int) -> FocusRow:
    effective = usd(effective_nano_usd)
    return {"BilledCost": usd(billed_nano_usd), "EffectiveCost": effective, "PricingCurrencyEffectiveCost": effective}


def _priced(charge: Charge) -> FocusRow:
    if charge.meter is None or charge.nano_usd_per_1m is None:
        by_cost = _unit(Decimal(1), usd(charge.cost_nano_usd), "USD"), _sku(charge.model, BY_COST, f"{charge.model}:cost")
        return {**by_cost[0], **by_cost[1], "ConsumedQuantity": Decimal(charge.attempts), "ConsumedUnit": "Requests"}
    kind = charge.meter.lower().removesuffix(" tokens").replace(" ", "-")
    return {
        **_unit(usd(charge.nano_usd_per_1m), Decimal(charge.tokens).scaleb(-6), MILLION_TOKENS),
        **_sku(charge.model, charge.meter, f"{charge.model}:{kind}:{charge.nano_usd_per_1m}"),
        "SkuPriceDetails": json.dumps({"x_Model": charge.model, "x_TokenType": kind}),
        "ConsumedQuantity": Decimal(charge.tokens), "ConsumedUnit": "Tokens",
    }  # fmt: skip


def _unit(price: Decimal, quantity: Decimal, unit: str) -> FocusRow:
    prices = ("ListUnitPrice", "ContractedUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice")
    cost = price * quantity
    return {**dict.fromkeys(prices, price), "PricingQuantity": quantity, "PricingUnit": unit, "ListCost": cost, "ContractedCost": cost}


def _sku(sku: str, meter: str, price_id: str) -> FocusRow:
    return {"SkuId": sku, "SkuMeter": meter, "SkuPriceId": price_id}


def _discount(one: Commitment, nano_usd: int) -> FocusRow:
    return {
        "CommitmentDiscountId": f"{one.account}/{one.name}/{one.month}", "CommitmentDiscountName": one.name,
        "CommitmentDiscountCategory": "Spend", "CommitmentDiscountType": "Committed Spend",
        "CommitmentDiscountQuantity": usd(nano_usd), "CommitmentDiscountUnit": "USD",
    }  # fmt: skip
