"""What a catalogue file holds: groups of figures, each with where they come from and how good they are."""

import math
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from policies.schema import (
    Charge,
    Dimension,
    Limit,
    Name,
    NonNegative,
    Positive,
    Ratio,
    Speed,
    Table,
    Timezone,
    Whole,
    Window,
)

Grade = Literal["official", "last_published", "third_party", "assumption"]
GRADES: tuple[Grade, ...] = ("official", "last_published", "third_party", "assumption")
"""From best to worst."""

RATE_DIMENSIONS: tuple[Dimension, ...] = ("rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "concurrency")
COMPLEXITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
DIFFICULTY_RANGE_LOGITS = 6.0

Text = Annotated[str, Strict(), Field(min_length=1, max_length=1000)]
Tokens = Annotated[Whole, Field(gt=0, le=100_000_000)]
Index = Annotated[float, Strict(), Field(gt=0, lt=100, allow_inf_nan=False)]
Scores = tuple[Ratio, Ratio, Ratio, Ratio, Ratio]


class Evidence(Table):
    """Where a group of figures comes from.

    `source` is a key of the catalogue's `sources` or plain text; `effective` is the day on which
    the figure was seen in force (the first of the month or year where no day is known).
    """

    source: Text
    effective: date
    grade: Grade
    note: Annotated[str, Strict(), Field(max_length=1000)] = ""


class Price(Evidence):
    """Standard prices in USD per million tokens. Long prompts and batches cost otherwise: see `note`."""

    input_usd_per_1m: NonNegative
    cached_input_usd_per_1m: NonNegative | None = None
    output_usd_per_1m: NonNegative


class Context(Evidence):
    """How much fits: the window (prompt and answer) and the longest answer, in tokens."""

    context_tokens: Tokens
    max_output_tokens: Tokens


class MeasuredSpeed(Evidence):
    """Time to first token (s) and output tokens per second of one configuration of the model."""

    configuration: Text
    ttft_s: NonNegative
    tokens_per_s: Positive


class Performance(Evidence):
    """Share of tasks done well by complexity: from a benchmark `index` (0-100), or `scores` as they are."""

    configuration: Text
    index: Index | None = None
    scores: Scores | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Performance":
        if (self.index is None) == (self.scores is None):
            raise ValueError("give either `index` (0 to 100) or `scores` (five shares), not both")
        return self

    def by_complexity(self) -> Scores:
        """Scores at complexity 0, 1/4, 1/2, 3/4 and 1."""
        if self.scores is not None:
            return self.scores
        assert self.index is not None
        return performance_by_complexity(self.index)


def performance_by_complexity(index: float) -> Scores:
    """Share of tasks that a model of this benchmark index (0 to 100) does well, at five complexities.

    The one-parameter item response (Rasch) model: ability is the logit of the index, and a task of
    complexity c is 6 * (1 - c) logits easier than the benchmark's average task. So the score at
    complexity 1 is index / 100, it falls with complexity, and stronger models lose less.

    Source: docs/catalogue.md, "Performance by complexity".
    """
    ability = math.log(index / (100.0 - index))
    a, b, c, d, e = (
        round(1.0 / (1.0 + math.exp(-(ability + DIFFICULTY_RANGE_LOGITS * (1.0 - complexity)))), 4)
        for complexity in COMPLEXITIES
    )
    return a, b, c, d, e


class ModelEntry(Table):
    """One model. `model_class` names the bucket of limits that it shares (default: its own)."""

    provider: Name
    model_class: Name | None = None
    price: Price
    context: Context
    speed: MeasuredSpeed
    performance: Performance
    fallbacks: tuple[Name, ...] = ()


class Day(Evidence):
    """Where the provider's day ends at midnight."""

    timezone: Timezone


class LatencyShape(Evidence):
    """What prompt length and chance add to every answer of a provider."""

    s_per_1k_input: NonNegative
    noise_sigma: Annotated[float, Strict(), Field(ge=0, le=3)]

    def speed(self, measured: MeasuredSpeed) -> Speed:
        """The measured speed with this shape."""
        return Speed(
            ttft_s=measured.ttft_s,
            tokens_per_s=measured.tokens_per_s,
            s_per_1k_input=self.s_per_1k_input,
            noise_sigma=self.noise_sigma,
        )


class Rule(Evidence):
    """How a provider counts one dimension: its window and what is charged to it."""

    window: Window
    window_s: Positive = 60.0
    burst_s: Positive = 60.0
    charge: Charge

    def in_words(self) -> str:
        """The rule as one phrase, such as `paced over 1 s, charges max_tokens`."""
        lasts = {"fixed": f" of {self.window_s:g} s", "sliding": f" of {self.window_s:g} s"}
        holds = {"paced": f" over {self.burst_s:g} s", "token_bucket": f" holding {self.burst_s:g} s"}
        return f"{self.window}{lasts.get(self.window, '')}{holds.get(self.window, '')}, charges {self.charge}"


class SpendCap(Table):
    """The most that an account may spend per window."""

    limit_usd: Positive
    window: Literal["fixed", "sliding", "day"]
    window_s: Positive

    def limit(self) -> Limit:
        """The cap as a limit of the whole account."""
        return Limit(dimension="spend", limit=self.limit_usd, window=self.window, window_s=self.window_s, charge="cost")


class UsageTier(Evidence):
    """A usage tier of a provider: how one gets in, and how much the account may spend."""

    entry: Text
    spend: tuple[SpendCap, ...] = ()


class TierLimits(Evidence):
    """Limits of one model class in one usage tier, per minute or day. None: no such limit is known."""

    rpm: Positive | None = None
    tpm: Positive | None = None
    itpm: Positive | None = None
    otpm: Positive | None = None
    rpd: Positive | None = None
    tpd: Positive | None = None
    concurrency: Positive | None = None

    def given(self) -> dict[Dimension, float]:
        """The limits that are known, by dimension."""
        values = {dimension: getattr(self, dimension) for dimension in RATE_DIMENSIONS}
        return {dimension: value for dimension, value in values.items() if value is not None}


class ProviderEntry(Table):
    """One provider: its day, the shape of its latency, how it counts, its usage tiers and limits.

    Usage tiers stand from lowest to highest. `limits` is by model class, then usage tier.
    """

    day: Day
    latency: LatencyShape
    rules: dict[Dimension, Rule] = Field(default_factory=dict)
    usage_tiers: dict[Name, UsageTier] = Field(default_factory=dict)
    limits: dict[Name, dict[Name, TierLimits]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hangs_together(self) -> "ProviderEntry":
        for model_class, rows in self.limits.items():
            for tier, row in rows.items():
                if tier not in self.usage_tiers:
                    raise ValueError(f"limits of {model_class} name usage tier {tier!r}, which is not in usage_tiers")
                missing = sorted(set(row.given()) - set(self.rules))
                if missing:
                    raise ValueError(f"limits of {model_class} in {tier} use {missing[0]!r}, which has no rule")
        return self
