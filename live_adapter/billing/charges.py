"""From attempts to charges: what each tenant used and owes by the hour, by account, model and kind of token.

The gateway rounds the cost of an attempt up to a whole nano-USD once, over all its tokens. The cost of a charge is therefore not tokens
times price: it is its part of what the ledger booked, shared by tokens times price, so that charges sum to the ledger to the nano-USD.
Attempts that cost something and whose tokens the ledger does not have are charges without a meter.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import apportion, month_of, written
from live_adapter.billing.terms import METERS, Price, Terms

HOUR_US = 3_600_000_000
MILLION = 1_000_000
Attempt = Mapping[str, Any]         # a row of `live_adapter.ledger.ATTEMPTS`, by name of the column
_Key = tuple[str, str, str, str, str, Price]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a tenant used in an hour (UTC, from `hour_us`) of one model through one account, of one kind of token.

    `attempts` made it. Without a `meter` (and a price) it is what attempts cost whose tokens are not known.
    """

    hour_us: int
    tenant: str
    tier: str
    account: str
    provider: str
    model: str
    meter: str | None
    nano_usd_per_1m: int | None
    tokens: int
    attempts: int
    cost_nano_usd: int


@dataclass(slots=True)
class _Sum:
    tokens: list[int]
    metered_nano_usd: int = 0
    metered_attempts: int = 0
    other_nano_usd: int = 0
    other_attempts: int = 0

    def add(self, attempt: Attempt) -> None:
        kinds = tokens_of(attempt)
        cost: int = attempt["cost_nano_usd"]
        if any(kinds):
            self.tokens = [have + more for have, more in zip(self.tokens, kinds, strict=True)]
            self.metered_nano_usd += cost
            self.metered_attempts += 1
        elif cost:
            self.other_nano_usd += cost
            self.other_attempts += 1


def tokens_of(attempt: Attempt) -> tuple[int, int, int]:
    """Tokens by meter, in the order of METERS. The ledger's input has the cached ones in it. Raises BillingError if they cannot be."""
    cached: int = attempt["cached_tokens"]
    found = attempt["input_tokens"] - cached, cached, attempt["output_tokens"]
    if min(found) < 0 or attempt["cost_nano_usd"] < 0:
        raise BillingError(f"request {attempt['request']}, attempt {attempt['attempt']}: less than nothing of {found} tokens or its cost")
    return found


def in_month(attempts: Iterable[Attempt], month: str) -> Iterator[Attempt]:
    """The attempts sent in a month in UTC, such as `2026-12`."""
    return (attempt for attempt in attempts if month_of(attempt["sent_us"]) == month)


def hourly_charges(attempts: Iterable[Attempt], terms: Terms) -> Iterator[Charge]:
    """Charges of attempts that come in order of `sent_us`, as `Ledger.rows` gives them. Holds one hour at a time.

    Raises BillingError if they are not in order, if a price is not known, or if an hour cost what its tokens cannot have cost.
    """
    before_us = -1
    for hour, of_hour in groupby(attempts, lambda attempt: attempt["sent_us"] // HOUR_US):
        if hour * HOUR_US <= before_us:
            raise BillingError(f"attempts are not in order of sent_us: {hour * HOUR_US} us comes after {before_us} us")
        before_us = hour * HOUR_US
        sums: dict[_Key, _Sum] = {}
        for attempt in of_hour:
            run, account, model = attempt["run_us"], attempt["account"], attempt["model"]
            key = attempt["tenant"], attempt["tier"], account, terms.provider(run, account), model, terms.price(run, model)
            sums.setdefault(key, _Sum([0, 0, 0])).add(attempt)
        for key in sorted(sums, key=lambda key: (key[:5], key[5].by_meter())):
            yield from _charges(before_us, key, sums[key])


def _charges(hour_us: int, key: _Key, found: _Sum) -> Iterator[Charge]:
    tenant, tier, account, provider, model, price = key
    same: Any = {"hour_us": hour_us, "tenant": tenant, "tier": tier, "account": account, "provider": provider, "model": model}
    weights = [tokens * per_1m for tokens, per_1m in zip(found.tokens, price.by_meter(), strict=True)]
    exact, cost = sum(weights), found.metered_nano_usd * MILLION
    if not exact <= cost <= exact + found.metered_attempts * (MILLION - 1):
        raise BillingError(
            f"model {model}, tenant {tenant}, hour from {hour_us} us: {found.metered_attempts} attempts cost "
            f"{written(found.metered_nano_usd)} USD, their tokens at {price} {written(exact // MILLION)}: "
            "these are not the prices they were booked at"
        )
    costs = apportion(found.metered_nano_usd, weights)
    for meter, per_1m, tokens, share in zip(METERS, price.by_meter(), found.tokens, costs, strict=True):
        if tokens:
            yield Charge(
                **same, meter=meter, nano_usd_per_1m=per_1m, tokens=tokens, attempts=found.metered_attempts, cost_nano_usd=share
            )
    if found.other_attempts:
        other: Any = {"meter": None, "nano_usd_per_1m": None, "tokens": 0}
        yield Charge(**same, **other, attempts=found.other_attempts, cost_nano_usd=found.other_nano_usd)
