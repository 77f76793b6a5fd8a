"""What a platform is: models, accounts, limits, provider behaviour, tiers, tenants, faults.

Every field carries its unit in its name. Prices are USD per million tokens and become
whole nano-USD per token when the state is built (`policies.build`).
"""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0, le=1e12, allow_inf_nan=False)]
NonNegative = Annotated[float, Strict(), Field(ge=0, le=1e12, allow_inf_nan=False)]
Ratio = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][\w.\-/: ]*$")]
Flag = Annotated[bool, Strict()]


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone, such as America/Los_Angeles") from error
    return name


Timezone = Annotated[str, Strict(), AfterValidator(_known_timezone)]


class Table(BaseModel):
    """A table of the scenario file: unknown fields are errors, values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Distribution(Table):
    """A positive random quantity. Times are in seconds, tokens in tokens.

    `cv` is the coefficient of variation of lognormal and gamma; exponential has 1 by nature,
    deterministic 0; `values` (empirical) are drawn with equal probability.
    """

    kind: Literal["deterministic", "exponential", "lognormal", "gamma", "empirical"] = "deterministic"
    mean: NonNegative = 0.0
    cv: NonNegative = 1.0
    values: tuple[NonNegative, ...] = ()
    at_most: NonNegative | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Distribution":
        if self.kind == "empirical" and not self.values:
            raise ValueError("empirical needs `values`, at least one")
        return self


Dimension = Literal["rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "spend", "concurrency", "acceleration"]
Window = Literal["token_bucket", "paced", "fixed", "sliding", "day", "none"]
Charge = Literal["requests", "max_tokens", "input", "uncached_input", "output", "total", "cost"]


class Limit(Table):
    """One limit of an account and model class, or (`model_class: "*"`) of the whole account.

    `limit` counts requests, tokens or USD per window; concurrency counts requests in flight.
    `token_bucket` refills `limit` per minute and holds `burst_s` seconds of it; `paced` is the
    minute enforced over slices of `burst_s`, where one oversized request may overdraw a full
    bucket; `fixed` and `sliding` last `window_s`; `day` ends at the provider's midnight.
    `known: false` means that only the provider enforces it and the gateway learns by refusals.
    `acceleration` allows max(`limit`, `growth` x use of the window before) per window.
    """

    dimension: Dimension
    limit: Positive
    window: Window | None = None
    window_s: Positive = 60.0
    burst_s: Positive = 60.0
    charge: Charge | None = None
    growth: Annotated[float, Strict(), Field(gt=0, le=1000, allow_inf_nan=False)] = 2.0
    model_class: Name | Literal["*"] = "*"
    known: Flag = True


class Speed(Table):
    """How long an answer takes: `service_s` if given, else time to first token plus output.

    seconds = (ttft_s + input_tokens * s_per_1k_input / 1000 + output_tokens / tokens_per_s)
    * lognormal noise of `noise_sigma` * (1 + load_slope * in_flight / 100).
    """

    ttft_s: NonNegative = 0.5
    s_per_1k_input: NonNegative = 0.0
    tokens_per_s: Positive = 80.0
    noise_sigma: Annotated[float, Strict(), Field(ge=0, le=3)] = 0.25
    load_slope: NonNegative = 0.0
    service_s: Distribution | None = None


class Model(Table):
    """A model as sold by one provider.

    `performance` is the share of tasks done well at complexity 0, 1/4, 1/2, 3/4 and 1.
    `model_class` names the bucket whose limits it shares inside an account (default: its own).
    `fallbacks` are tried in order when no deployment of this model has room.
    """

    name: Name
    provider: Name
    model_class: Name | None = None
    input_usd_per_1m: NonNegative
    cached_input_usd_per_1m: NonNegative | None = None
    output_usd_per_1m: NonNegative
    context_tokens: Annotated[int, Strict(), Field(gt=0, le=100_000_000)] = 128_000
    max_output_tokens: Annotated[int, Strict(), Field(gt=0, le=10_000_000)] = 16_384
    performance: tuple[Ratio, Ratio, Ratio, Ratio, Ratio] = (1.0, 1.0, 1.0, 1.0, 1.0)
    speed: Speed = Speed()
    fallbacks: tuple[Name, ...] = ()


class Account(Table):
    """What a provider limits: an organisation, project or cloud route.

    `count` above 1 makes equal accounts `name-1`, `name-2`, ... `state` standby is activated at
    once by scaling, orderable after `lead_time_s`. Keys add no capacity: a revoked key is
    replaced by a standby key, and an account without keys is out.
    """

    name: Name
    provider: Name
    count: Annotated[int, Strict(), Field(ge=1, le=5000)] = 1
    models: tuple[Name, ...] = ()
    region: Name = "global"
    tags: tuple[Name, ...] = ()
    dedicated_to: Name | None = None
    keys: Annotated[int, Strict(), Field(ge=1, le=1000)] = 1
    standby_keys: Count = 0
    state: Literal["active", "standby", "orderable"] = "active"
    lead_time_s: NonNegative = 0.0
    usd_per_month: NonNegative = 0.0
    weight: NonNegative = 1.0
    limits: tuple[Limit, ...] = ()


class Provider(Table):
    """How a provider behaves apart from its limits. Probabilities are per attempt."""

    name: Name
    timezone: Timezone = "UTC"
    error_probability: Ratio = 0.0
    timeout_probability: Ratio = 0.0
    timeout_s: Positive = 60.0
    overload_probability: Ratio = 0.0
    caller_error_probability: Ratio = 0.0
    error_after_s: NonNegative = 0.2
    refusal_after_s: NonNegative = 0.05
    retry_after: Flag = True


class Fault(Table):
    """Something that goes wrong from `start_s` for `duration_s` of simulated time.

    outage: every attempt fails; brownout: attempts fail with `probability`; throttle_storm: 429
    with `probability`; latency: answers take `factor` times as long; limit_cut: limits are
    multiplied by `factor`; key_revoked: one key of the account is refused from then on.
    It strikes the accounts that match every selector given (provider, account, region).
    """

    kind: Literal["outage", "brownout", "throttle_storm", "latency", "limit_cut", "key_revoked"]
    start_s: NonNegative
    duration_s: Positive = 3600.0
    provider: Name | None = None
    account: Name | None = None
    region: Name | None = None
    probability: Ratio = 1.0
    factor: Positive = 0.5


class Tier(Table):
    """A contract class. Ranks by `priority_score`; `guaranteed_capacity` is a share of each shared limit."""

    name: Name
    min_contract_usd_per_month: NonNegative = 0.0
    dedicated_keys: Flag = False
    rate_limit_multiplier: Positive = 1.0
    priority_score: NonNegative = 10.0
    guaranteed_capacity: Ratio = 0.0
    quality_floor: Ratio = 0.0


class TenantGroup(Table):
    """Tenants alike: `count` of them, named `name-1`, `name-2`, ... (or `name` if one).

    Base limits are per minute and are multiplied by the tier's `rate_limit_multiplier`.
    """

    name: Name
    count: Annotated[int, Strict(), Field(ge=1, le=1_000_000)] = 1
    tier: Name | None = None
    contract_usd_per_month: NonNegative = 0.0
    requests_per_min: Positive | None = None
    tokens_per_min: Positive | None = None
    budget_usd_per_month: NonNegative | None = None
    request_budget_usd: NonNegative | None = None
    weight: Positive = 1.0
    regions: tuple[Name, ...] = ()
    tags: tuple[Name, ...] = ()
    models: tuple[Name, ...] = ()
    quality_floor: Ratio | None = None
    timezone: Timezone = "UTC"


class Platform(Table):
    """Everything that a gateway meets: models, accounts with limits, providers, tenants, faults."""

    models: tuple[Model, ...] = Field(min_length=1)
    accounts: tuple[Account, ...] = Field(min_length=1)
    providers: tuple[Provider, ...] = ()
    tenants: tuple[TenantGroup, ...] = Field(min_length=1)
    faults: tuple[Fault, ...] = ()
