"""What is emulated, as data. Times are in seconds, tokens in tokens, money in USD."""

from collections import Counter
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Skew = Annotated[float, Field(ge=-1e7, le=1e7)]
Dimension = Literal["rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "spend", "concurrency", "acceleration"]
Window = Literal["token_bucket", "paced", "fixed", "sliding", "day", "none", "acceleration"]
Charge = Literal["requests", "max_tokens", "input", "uncached_input", "output", "total", "cost"]
Protocol = Literal["openai", "anthropic", "gemini"]
FaultKind = Literal[
    # instead of an answer
    "error", "unavailable", "overloaded", "throttle", "unauthorized", "hang", "reset",
    # in the middle of one
    "reset_midway", "half_body", "wrong_length", "stall", "slow_loris",
    # beside it
    "limit_scale", "clock_skew", "retry_after_date", "retry_after_missing",
]  # fmt: skip
MOST_TOKENS = 10_000_000
LONGEST_S = 3600.0


class EmulatorError(Exception):
    """A configuration that cannot be used: names the field and what is wrong with it, never a key."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Draw(_Table):
    """A positive random quantity; `cv` is its coefficient of variation (exponential has 1, deterministic 0)."""

    kind: Literal["deterministic", "exponential", "lognormal", "gamma"] = "deterministic"
    mean: NotNegative = 0.0
    cv: NotNegative = 1.0


class LimitSpec(_Table):
    """A limit of an account, or of one of its model classes.

    `token_bucket` and `paced` refill `amount` per minute and hold `burst_s` of it; the others allow `amount` per `window_s`,
    `fixed` windows from `phase_s` on (null: a phase that nobody is told), `day` from midnight to midnight in `time_zone`.
    `counts_failed`: requests that are refused or fail take a unit of it too, as far as there is one.
    `shown: false` leaves it out of headers.
    """

    dimension: Dimension
    amount: Positive
    window: Window
    charge: Charge
    model_class: Name | None = None
    window_s: Positive = 60.0
    burst_s: Positive = 60.0
    phase_s: NotNegative | None = None
    growth: Positive = 2.0
    time_zone: str = "America/Los_Angeles"
    counts_failed: bool = False
    shown: bool = True

    @field_validator("time_zone")
    @classmethod
    def _there(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"{name!r} is no time zone; one is called like 'America/Los_Angeles'") from None
        return name

    @model_validator(mode="after")
    def _fits(self) -> "LimitSpec":
        if (self.dimension == "concurrency") != (self.window == "none"):
            raise ValueError(f"dimension {self.dimension} with window {self.window}: concurrency has window none, and nothing else has")
        if self.counts_failed and self.charge != "requests":
            raise ValueError(f"counts_failed with charge {self.charge}: only limits of requests count failures")
        return self


class ModelSpec(_Table):
    """A model: seconds to the first token, a second per so many tokens after it; or `service_s` for the whole answer."""

    name: Name
    model_class: Name | None = None
    input_usd_per_1m: NotNegative = 0.0
    cached_input_usd_per_1m: NotNegative | None = None      # null: as input
    output_usd_per_1m: NotNegative = 0.0
    context_tokens: Annotated[int, Field(gt=0, le=MOST_TOKENS)] = 1_000_000
    max_output_tokens: Annotated[int, Field(gt=0, le=MOST_TOKENS)] = 1_000_000
    default_output_tokens: Annotated[int, Field(gt=0, le=MOST_TOKENS)] = 4096      # the most, where a call does not say
    ttft_s: NotNegative = 0.3
    s_per_1k_input: NotNegative = 0.0
    tokens_per_s: Positive = 80.0
    noise_sigma: Annotated[float, Field(ge=0, le=3)] = 0.0
    service_s: Draw | None = None
    output_tokens: Draw = Draw(kind="lognormal", mean=200, cv=0.8)
    cached_share: Share = 0.0
    reasoning_share: Share = 0.0
    embedding_dimensions: Annotated[int, Field(gt=0, le=8192)] = 4       # few, so that answers are cheap


class AccountSpec(_Table):
    """An account: its keys share its limits."""

    name: Name
    provider: Annotated[str, Field(pattern=r"^[^/_?#{}][^/?#{}]*$", max_length=200)]
    protocol: Protocol
    keys: tuple[Name, ...] = Field(min_length=1, repr=False)
    models: tuple[ModelSpec, ...] = Field(min_length=1)
    limits: tuple[LimitSpec, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> "AccountSpec":
        twice = _twice([model.name for model in self.models])
        if twice is not None:
            raise ValueError(f"models: {twice!r} is given twice; each may be there once")
        return self


class FaultSpec(_Table):
    """What goes wrong for a share of attempts, from `start_s` for `duration_s` (null: from now on), on one account and model or all.

    `retry_after` is the header of a throttle; `scale` is what `limit_scale` leaves of limits; `skew_s` is how far `clock_skew` moves
    the provider's clock; `pause_s` is between the bytes of a slow loris; `longest_s` is when a hang or stall ends in a reset.
    """

    kind: FaultKind
    share: Share = 1.0
    account: Name | None = None
    model: Name | None = None
    start_s: NotNegative = 0.0
    duration_s: Positive | None = None
    retry_after: Annotated[str, Field(max_length=100, pattern=r"^[ -~]+$")] | None = None
    scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    skew_s: Skew = 0.0
    pause_s: Positive = 0.5
    longest_s: Annotated[float, Field(gt=0, le=LONGEST_S)] = LONGEST_S


class EmulatorConfig(_Table):
    """Accounts, what goes wrong with them, and how fast time goes: latencies are divided by `speed_up`.

    Without `admin_token` the paths under `/_emulator` are open to all on this machine, and to nobody where others can reach them.
    """

    accounts: tuple[AccountSpec, ...] = Field(min_length=1)
    faults: tuple[FaultSpec, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 1
    speed_up: Positive = 1.0
    clock_skew_s: Skew = 0.0
    admin_token: Annotated[str, Field(min_length=1)] | None = Field(default=None, repr=False)


def read_config(data: Any) -> EmulatorConfig:
    """A configuration from plain data. Raises EmulatorError naming fields; also where keys or names are not unique."""
    try:
        config = EmulatorConfig.model_validate(data)
    except ValidationError as error:
        raise EmulatorError(told(error)) from None
    name = _twice([account.name for account in config.accounts])
    if name is not None:
        raise EmulatorError(f"accounts.name: {name!r} is given twice; each may be there once")
    if _twice([key for account in config.accounts for key in account.keys]) is not None:
        raise EmulatorError("accounts.keys: a key is given twice; each may be there once")
    protocols: dict[str, str] = {}
    for account in config.accounts:
        if protocols.setdefault(account.provider, account.protocol) != account.protocol:
            raise EmulatorError(
                f"accounts.protocol: provider {account.provider!r} speaks {protocols[account.provider]} and {account.protocol}; must be one"
            )
    return config


def told(error: ValidationError) -> str:
    """What is wrong with which field, without the values."""
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'configuration'}: {one['msg']}" for one in error.errors()[:5])


def _twice(names: list[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
