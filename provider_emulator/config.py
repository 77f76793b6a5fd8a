"""What is emulated, as data. Times are in seconds, tokens in tokens, money in USD."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Dimension = Literal["rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "spend", "concurrency", "acceleration"]
Window = Literal["token_bucket", "paced", "fixed", "sliding", "none", "acceleration"]
Charge = Literal["requests", "max_tokens", "input", "uncached_input", "output", "total", "cost"]
Protocol = Literal["openai", "anthropic", "gemini"]
FaultKind = Literal[
    "error", "unavailable", "overloaded", "throttle", "unauthorized", "hang", "reset",
    "reset_midway", "half_body", "wrong_length", "stall", "slow_loris",
]  # fmt: skip


class EmulatorError(Exception):
    """A configuration that cannot be used: names the field and what is wrong with it."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Draw(_Table):
    """A positive random quantity; `cv` is its coefficient of variation (exponential has 1, deterministic 0)."""

    kind: Literal["deterministic", "exponential", "lognormal", "gamma"] = "deterministic"
    mean: NotNegative = 0.0
    cv: NotNegative = 1.0


class LimitSpec(_Table):
    """A limit of an account, or of one of its model classes.

    `token_bucket` and `paced` refill `amount` per minute and hold `burst_s` of it; the others allow `amount` per `window_s`,
    `fixed` windows from `phase_s` on (null: a phase that nobody is told). `shown: false` leaves it out of headers.
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
    shown: bool = True


class ModelSpec(_Table):
    """A model: seconds to the first token, a second per so many tokens after it; or `service_s` for the whole answer."""

    name: Name
    model_class: Name | None = None
    input_usd_per_1m: NotNegative = 0.0
    output_usd_per_1m: NotNegative = 0.0
    context_tokens: Annotated[int, Field(gt=0)] = 1_000_000
    ttft_s: NotNegative = 0.3
    s_per_1k_input: NotNegative = 0.0
    tokens_per_s: Positive = 80.0
    noise_sigma: Annotated[float, Field(ge=0, le=3)] = 0.0
    service_s: Draw | None = None
    output_tokens: Draw = Draw(kind="lognormal", mean=200, cv=0.8)
    cached_share: Share = 0.0
    reasoning_share: Share = 0.0


class AccountSpec(_Table):
    """An account: its keys share its limits."""

    name: Name
    provider: Name
    protocol: Protocol
    keys: tuple[Name, ...] = Field(min_length=1)
    models: tuple[ModelSpec, ...] = Field(min_length=1)
    limits: tuple[LimitSpec, ...] = ()


class FaultSpec(_Table):
    """What goes wrong for a share of attempts, from `start_s` for `duration_s` (null: from now on), on one account or all."""

    kind: FaultKind
    share: Share = 1.0
    account: Name | None = None
    start_s: NotNegative = 0.0
    duration_s: Positive | None = None
    retry_after: str | None = None


class EmulatorConfig(_Table):
    """Accounts, what goes wrong with them, and how fast time goes: latencies are divided by `speed_up`."""

    accounts: tuple[AccountSpec, ...] = Field(min_length=1)
    faults: tuple[FaultSpec, ...] = ()
    seed: Annotated[int, Field(ge=0)] = 1
    speed_up: Positive = 1.0
    clock_skew_s: Annotated[float, Field(ge=-1e7, le=1e7)] = 0.0
    admin_token: str | None = None


def read_config(data: Any) -> EmulatorConfig:
    """A configuration from plain data. Raises EmulatorError naming fields; also where keys or names are not unique."""
    try:
        config = EmulatorConfig.model_validate(data)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise EmulatorError(found) from error
    for what, names in (
        ("name", [account.name for account in config.accounts]),
        ("keys", [key for account in config.accounts for key in account.keys]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            told = "a key is given twice" if what == "keys" else f"{sorted(twice)[0]!r} is given twice"
            raise EmulatorError(f"accounts.{what}: {told}; each may be there once")
    return config
