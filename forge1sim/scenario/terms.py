"""What a plan may choose from, and what it must keep: the terms of accounts, reservations to try, prices of refusals (docs/plan.md).

Nothing here changes a run. Without terms a plan may give up accounts that are held, and get none.
"""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from policies.schema import Count, Flag, Name, NonNegative, Ratio, Table

MAX_OPTIONS = 100
Words = Annotated[str, Strict(), Field(max_length=1000)]
GrowthRate = Annotated[float, Strict(), Field(gt=-1, le=10)]
Swing = Annotated[float, Strict(), Field(ge=0, le=0.9)]


class UsageTierTerms(Table):
    """A usage tier that the accounts can be in. It is not bought: it follows `paid_usd` in all and `after_days` since the first payment."""

    usage_tier: Name
    after_days: NonNegative = 0.0
    paid_usd: NonNegative = 0.0
    usd_per_month: NonNegative | None = Field(default=None, description="Fee of each account in this tier; default: the account's own.")


class AccountTerms(Table):
    """How many accounts of the entry of this name a plan may have: at most those held, unless it says more, and by whose permission."""

    name: Name
    at_least: Count = 0
    at_most: Count | None = None
    permission: Words = Field(default="", description="Contracting entity and the provider's permission for more accounts than are held.")
    lead_time_days: NonNegative = 0.0
    notice_days: NonNegative = 0.0
    setup_usd: NonNegative = 0.0
    paid_usd: NonNegative = Field(default=0.0, description="What each of the accounts held has been paid in all, before the start.")
    paying_for_days: NonNegative = Field(default=0.0, description="Days from the first payment of the accounts held to the start.")
    usage_tiers: tuple[UsageTierTerms, ...] = Field(default=(), max_length=10)

    @model_validator(mode="after")
    def _in_order(self) -> "AccountTerms":
        if self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least is {self.at_least}, more than at_most, which is {self.at_most}")
        return self


class Reservation(Table):
    """Guaranteed shares to try, by tier; tiers that it leaves out keep theirs."""

    name: Name
    guaranteed_capacity: dict[Name, Ratio] = Field(min_length=1)


class Survival(Table):
    """A tier keeps its promises though one account, or all of one provider, is out for `hours` at the busiest time."""

    tier: Name
    lost: Literal["account", "provider"] = "account"
    hours: Annotated[float, Strict(), Field(gt=0, le=24)] = 1.0


class Growth(Table):
    """How all demand grows, as a share per week. Without `per_week` each group grows as its own demand says (`growth_per_week`).

    `low` and `high` are what it may be instead: dates are then told as an interval.
    """

    per_week: GrowthRate | None = None
    low: GrowthRate | None = None
    high: GrowthRate | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Growth":
        if self.per_week is None and (self.low is not None or self.high is not None):
            raise ValueError("low and high are given, but not per_week, which they are about")
        if self.per_week is not None:
            if self.low is not None and self.low > self.per_week:
                raise ValueError(f"low is {self.low:g}, more than per_week, which is {self.per_week:g}")
            if self.high is not None and self.high < self.per_week:
                raise ValueError(f"high is {self.high:g}, less than per_week, which is {self.per_week:g}")
        return self


class Tornado(Table):
    """By what share demand, prices of tokens and limits of accounts are moved, down and up, one at a time; 0: left out."""

    demand: Swing = 0.0
    price: Swing = 0.0
    limits: Swing = 0.0

    @property
    def is_asked(self) -> bool:
        """Whether anything is moved at all."""
        return bool(self.demand or self.price or self.limits)


class CommitmentTerms(Table):
    """An offer: pay a provider at least `usd_per_month` for tokens, and get `discount` on all of them.

    At most one of each provider is taken. `held`: it is signed already, and is paid whatever the plan.
    """

    name: Name
    provider: Name
    usd_per_month: Annotated[float, Strict(), Field(gt=0, le=1e12)]
    discount: Annotated[Ratio, Field(lt=1)]
    months: Annotated[int, Strict(), Field(ge=1, le=120)] = Field(default=12, description="How long it binds.")
    held: Flag = False


class CreditTerms(Table):
    """Prepaid credit that is held: tokens of the provider are paid from it. What is left when it expires is lost."""

    name: Name
    provider: Name
    usd: NonNegative
    expires_after_days: NonNegative | None = Field(default=None, description="Days after the scenario's start; default: never.")


class PlanTerms(Table):
    """What a plan may choose and must keep.

    `refusal_usd` is the price of a request that capacity refuses or lets expire, by tier; default, and the least it may be, is what
    the tier's contracts pay per request. Promises must hold in all draws together at `confidence`.
    """

    accounts: tuple[AccountTerms, ...] = Field(default=(), max_length=200)
    reservations: tuple[Reservation, ...] = Field(default=(), max_length=MAX_OPTIONS)
    survive: tuple[Survival, ...] = Field(default=(), max_length=20)
    commitments: tuple[CommitmentTerms, ...] = Field(default=(), max_length=50)
    credits: tuple[CreditTerms, ...] = Field(default=(), max_length=50)
    refusal_usd: dict[Name, NonNegative] = Field(default_factory=dict)
    budget_usd_per_month: NonNegative | None = None
    most_share_per_provider: Annotated[Ratio, Field(gt=0)] | None = None
    months: Annotated[int, Strict(), Field(ge=1, le=60)] = Field(default=12, description="How far ahead limits are looked at.")
    growth: Growth = Growth()
    tornado: Tornado = Tornado()
    confidence: Annotated[float, Strict(), Field(ge=0.5, le=0.999)] = 0.95
    draws: Annotated[int, Strict(), Field(ge=3, le=1000)] = Field(default=4, description="Replications on which plans are compared.")
    fresh_draws: Annotated[int, Strict(), Field(ge=3, le=1000)] = Field(
        default=10, description="Replications, never seen before, on which the plan is verified."
    )
    fitted_share: Annotated[Ratio, Field(gt=0)] = Field(
        default=0.5, description="Of a recording, the first part that plans are compared on; the rest verifies. 1: all of it does both."
    )
    block_s: Annotated[float, Strict(), Field(ge=1, le=1e7)] = Field(
        default=300.0, description="Length of the blocks that draws of a recording are made of."
    )
