"""What a scenario says about demand: how tenants ask, and which traces are replayed.

Rates are per second, times in seconds, tokens in tokens; shares are between 0 and 1.
docs/workloads.md tells what each field means and how it is drawn.
"""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from policies.schema import Count, Distribution, Flag, Name, NonNegative, Positive, Ratio, Table

TOKENS_MAX = 100_000_000
ROWS_MAX = 200_000_000
AUTO_NAME = "auto"

Rows = Annotated[int, Strict(), Field(ge=1, le=ROWS_MAX)]
Path = Annotated[str, Strict(), Field(min_length=1, max_length=500)]
Column = Annotated[str, Strict(), Field(min_length=1, max_length=200)]
Factor = Annotated[float, Strict(), Field(gt=0, le=10_000, allow_inf_nan=False)]


class Arrivals(Table):
    """How the requests of one tenant follow each other, at a given rate.

    poisson: memoryless; gamma: gaps with coefficient of variation `cv` (3 is bursty, 0.3 nearly
    even); deterministic: equal gaps from a phase of the tenant's own; mmpp: Poisson whose rate
    is `burst_factor` times as high during bursts, which last `burst_s` on average and fill
    `burst_share` of the time. The mean rate is the same for all four.
    """

    kind: Literal["poisson", "gamma", "mmpp", "deterministic"] = "poisson"
    cv: Annotated[float, Strict(), Field(ge=0.05, le=100)] = 1.0
    burst_factor: Annotated[float, Strict(), Field(ge=1, le=10_000)] = 10.0
    burst_share: Annotated[float, Strict(), Field(gt=0, lt=1)] = 0.05
    burst_s: Annotated[float, Strict(), Field(ge=0.001, le=1e8)] = 60.0


class Diurnal(Table):
    """The day: `peak_over_mean` times the mean rate at `peak_hour` in the tenants' time zone."""

    peak_over_mean: Annotated[float, Strict(), Field(ge=1, le=12)] = 2.0
    peak_hour: Annotated[float, Strict(), Field(ge=0, le=24)] = 14.0


class Complexity(Table):
    """How hard tasks are, 0 to 1: a beta distribution, or `values` with `weights` (default equal)."""

    mean: Annotated[float, Strict(), Field(gt=0, lt=1)] = 0.4
    concentration: Annotated[float, Strict(), Field(ge=0.1, le=10_000)] = 5.0
    values: tuple[Ratio, ...] = ()
    weights: tuple[NonNegative, ...] = ()

    @model_validator(mode="after")
    def _one_weight_each(self) -> "Complexity":
        if self.weights and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.weights)} weights for {len(self.values)} values; give one each")
        if self.weights and sum(self.weights) <= 0:
            raise ValueError("weights add up to 0; at least one must be above 0")
        return self


class Sessions(Table):
    """Conversations: each turn's prompt is the one before, its answer, and new tokens.

    The prompt of the turn before is read from the provider's cache if that was at most
    `cache_lasts_s` ago. `think_time_s` is the time from one request of a session to its next.
    Prompts stop growing at `context_tokens`.
    """

    requests: Distribution = Distribution(kind="lognormal", mean=8.0, cv=1.0, at_most=1000.0)
    think_time_s: Distribution = Distribution(kind="lognormal", mean=60.0, cv=2.0)
    new_tokens: Distribution = Distribution(kind="lognormal", mean=150.0, cv=1.5)
    cache_lasts_s: NonNegative = 300.0
    context_tokens: Annotated[int, Strict(), Field(ge=1, le=TOKENS_MAX)] = 200_000


class RequestTraits(Table):
    """What a request carries besides time and tokens.

    `models` weighs the models asked for by name; `auto` leaves the choice to the gateway, and
    no entry at all means always `auto`. `max_output_tokens` 0: the caller does not say; else
    answers are cut there. `deadline_s` null: waits for ever.
    """

    cached_share: Ratio = 0.0
    max_output_tokens: Annotated[int, Strict(), Field(ge=0, le=10_000_000)] = 0
    complexity: Complexity = Complexity()
    models: dict[Name, NonNegative] = Field(default_factory=dict)
    deadline_s: Distribution | None = None
    cancel_probability: Ratio = 0.0
    cancel_after_s: Distribution = Distribution(kind="exponential", mean=30.0)
    batch_share: Ratio = 0.0

    @model_validator(mode="after")
    def _some_weight(self) -> "RequestTraits":
        if self.models and sum(self.models.values()) <= 0:
            raise ValueError("models: the weights add up to 0; at least one must be above 0")
        return self


class Demand(RequestTraits):
    """What the tenants of a group ask for.

    `requests_per_s` is the mean of the whole group, `requests_per_s_each` of one tenant on
    average; the k-th tenant has a share proportional to k ** -zipf. Mean is before growth and
    over a whole week: weekends have `weekend_factor` times the rate of weekdays. Tenants join
    between `starts_after_s` and `onboarding_over_s` later.
    With neither rate the group generates nothing and only describes its requests in traces.
    """

    requests_per_s: NonNegative | None = None
    requests_per_s_each: NonNegative | None = None
    zipf: Annotated[float, Strict(), Field(ge=0, le=10)] = 0.0
    arrivals: Arrivals = Arrivals()
    diurnal: Diurnal | None = None
    weekend_factor: Annotated[float, Strict(), Field(ge=0, le=1000)] = 1.0
    growth_per_week: Annotated[float, Strict(), Field(gt=-1, le=100)] = 0.0
    starts_after_s: NonNegative = 0.0
    onboarding_over_s: NonNegative = 0.0
    input_tokens: Distribution = Distribution(kind="lognormal", mean=1000.0, cv=1.5)
    output_tokens: Distribution = Distribution(kind="lognormal", mean=250.0, cv=1.2)
    sessions: Sessions | None = None

    @model_validator(mode="after")
    def _one_rate(self) -> "Demand":
        if self.requests_per_s is not None and self.requests_per_s_each is not None:
            raise ValueError("requests_per_s and requests_per_s_each are both given; keep one")
        return self


class Assign(Table):
    """Who gets the rows of a trace: `groups` with their shares (default: all, by tenant count).

    Inside a group the k-th tenant has a share proportional to k ** -zipf. Rows that carry a
    tenant's label keep together: the label of a tenant's name goes to that tenant, others take
    the tenants of the groups in order of first appearance and start over when they run out.
    """

    groups: dict[Name, NonNegative] = Field(default_factory=dict)
    zipf: Annotated[float, Strict(), Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _some_share(self) -> "Assign":
        if self.groups and sum(self.groups.values()) <= 0:
            raise ValueError("groups: the shares add up to 0; at least one must be above 0")
        return self


class _File(Table):
    path: Path
    start_at_s: NonNegative = 0.0
    assign: Assign = Assign()
    requests: RequestTraits = RequestTraits()
    max_gib: Annotated[float, Strict(), Field(gt=0, le=1024)] = 4.0


class Bootstrap(Table):
    """Draws of a recording: blocks of it in random order, with replacement, so that each seed is another realisation.

    Blocks of `block_s` begin anywhere in the part of the recording between the two shares of its span (Künsch, Annals of Statistics 17,
    1989); if that part lasts two days or more, at the same time of a day as in the recording (Dudek et al., Journal of the Royal
    Statistical Society B 76, 2014). A draw lasts as long as the whole recording, with `loop` as long as the horizon.
    """

    block_s: Annotated[float, Strict(), Field(ge=1, le=1e7)] = 300.0
    from_share: Ratio = 0.0
    until_share: Ratio = 1.0

    @model_validator(mode="after")
    def _some_part(self) -> "Bootstrap":
        if self.from_share >= self.until_share:
            raise ValueError(f"from_share is {self.from_share:g}, not below until_share, which is {self.until_share:g}")
        return self


class _Trace(_File):
    """Options of every recorded trace.

    Times are multiplied by `time_scale` (0.5 is twice as fast). `rate_scale` below 1 keeps that
    share of the rows; above 1 each row is also copied, up to `jitter_s` later. `loop` starts
    over at the end until the horizon. `sort` puts an unsorted trace in order, in memory.
    `models` translates model labels of the trace; labels unknown to the platform become auto.
    `bootstrap` draws blocks in place of replaying.
    """

    rate_scale: Factor = 1.0
    jitter_s: Annotated[float, Strict(), Field(ge=0, le=3600)] = 1.0
    time_scale: Factor = 1.0
    limit_rows: Rows | None = None
    loop: Flag = False
    sort: Flag = False
    models: dict[Column, Name] = Field(default_factory=dict)
    bootstrap: Bootstrap | None = None


class Synthetic(Table):
    """Generated from the `demand` of each tenant group."""

    kind: Literal["synthetic"] = "synthetic"


class Azure(_Trace):
    """Azure LLM inference trace, CSV: TIMESTAMP, ContextTokens, GeneratedTokens (2025: NumImages)."""

    kind: Literal["azure"]
    tokens_per_image: Count = 0


class BurstGPT(_Trace):
    """BurstGPT trace, CSV, either release. Response tokens 0 mark a failed call: skipped or kept."""

    kind: Literal["burstgpt"]
    failed: Literal["skip", "keep"] = "skip"


class Mooncake(_Trace):
    """Mooncake trace, JSONL. Leading blocks already seen count as cached, up to `cache_blocks` blocks."""

    kind: Literal["mooncake"]
    block_tokens: Annotated[int, Strict(), Field(ge=1, le=65_536)] = 512
    cache_blocks: Annotated[int, Strict(), Field(ge=0, le=10_000_000)] = 1_000_000


class Bailian(_Trace):
    """Qwen Bailian trace, JSONL. A conversation keeps to one tenant; cached as for Mooncake."""

    kind: Literal["bailian"]
    block_tokens: Annotated[int, Strict(), Field(ge=1, le=65_536)] = 16
    cache_blocks: Annotated[int, Strict(), Field(ge=0, le=10_000_000)] = 4_000_000


class Arena(_Trace):
    """Chats of 27 tenants, CSV: adapter_dir (the tenant), prompt_len, output_len, req_time."""

    kind: Literal["arena"]


class Columns(Table):
    """Which column of a table holds what. `arrive_s` is in seconds; `timestamp` is a date and time."""

    arrive_s: Column | None = None
    timestamp: Column | None = None
    input_tokens: Column = "input_tokens"
    output_tokens: Column = "output_tokens"
    cached_tokens: Column | None = None
    max_output_tokens: Column | None = None
    complexity: Column | None = None
    tenant: Column | None = None
    model: Column | None = None

    @model_validator(mode="after")
    def _one_time(self) -> "Columns":
        if (self.arrive_s is None) == (self.timestamp is None):
            raise ValueError("give either arrive_s (seconds) or timestamp (date and time)")
        return self


class TraceTable(_Trace):
    """Any CSV or Parquet file, by a map of columns."""

    kind: Literal["table"]
    columns: Columns = Columns(arrive_s="arrive_s")


class AgentSessions(_File):
    """Recorded agent sessions, CSV. Each starts at a Poisson arrival and then keeps its recorded times.

    `shuffled` plays every session once, in a seeded order, and with `loop` again; `random`
    draws each time anew.
    """

    kind: Literal["agent_sessions"]
    sessions_per_s: Positive
    order: Literal["shuffled", "random"] = "shuffled"
    loop: Flag = True
    limit_rows: Rows | None = None
    models: dict[Column, Name] = Field(default_factory=dict)


class ServeGen(_File):
    """Real tenants from per-client statistics. `path` has arrivals per window, `lengths` token quantiles.

    Without `resample`, client k of the file is the k-th tenant of the groups. With it, each
    tenant takes a client drawn at random, moved by a whole number of `shift_step_s`, and rates
    are scaled to the same total. `requests_per_s` sets that total (mean over the file's span;
    null: as published). `gaps: cv` reproduces the published CV of gaps in every window,
    `fitted` uses the published Gamma and Weibull shapes as they are.
    """

    kind: Literal["servegen"]
    lengths: Path
    resample: Flag = False
    requests_per_s: Positive | None = None
    shift_step_s: Annotated[float, Strict(), Field(ge=600, le=1e7)] = 86_400.0
    gaps: Literal["cv", "fitted"] = "cv"


FileTrace = Azure | BurstGPT | Mooncake | Bailian | Arena | TraceTable
Source = Annotated[
    Synthetic | Azure | BurstGPT | Mooncake | Bailian | Arena | TraceTable | AgentSessions | ServeGen,
    Field(discriminator="kind"),
]


class Estimation(Table):
    """How far the gateway's estimates are from the truth. Without it the gateway knows input tokens and complexity.

    The estimate of the input is the truth times a lognormal factor with mean `input_tokens_bias` and
    coefficient of variation `input_tokens_cv`; that of the complexity is the truth plus a normal
    error, cut off at 0 and 1.
    """

    input_tokens_bias: Annotated[float, Strict(), Field(ge=0.1, le=10)] = 1.0
    input_tokens_cv: Annotated[float, Strict(), Field(ge=0, le=3)] = 0.0
    complexity_sd: Ratio = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether every estimate is the truth."""
        return self.input_tokens_bias == 1 and self.input_tokens_cv == 0 and self.complexity_sd == 0


EXACT = Estimation()


class WorkloadSpec(Table):
    """The `workload` of a scenario: sources merged by time, and how well the gateway knows what they ask for."""

    sources: tuple[Source, ...] = Field(default=(Synthetic(),), min_length=1, max_length=64)
    estimation: Estimation = EXACT
