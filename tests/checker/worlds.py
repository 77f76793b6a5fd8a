"""Small worlds to run and check: a platform, a bundle and requests; some by hand, some by chance."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.spec import EXACT, Estimation
from forge1sim.workload.table import NEVER_US, REQUESTS
from policies.bundle import Cooldown, PolicyBundle, Queueing, Reservation, Retry, Routing, Scaling
from policies.schema import Account, Distribution, Fault, Limit, Model, Platform, Provider, Speed, TenantGroup, Tier

START_US = 1_793_577_600_000_000        # 2026-11-02 00:00 UTC
SECOND_US = 1_000_000

TIERS = (
    Tier(name="enterprise", rate_limit_multiplier=5.0, priority_score=100.0, guaranteed_capacity=0.5),
    Tier(name="professional", rate_limit_multiplier=2.0, priority_score=50.0, guaranteed_capacity=0.3),
    Tier(name="standard", rate_limit_multiplier=1.0, priority_score=10.0, guaranteed_capacity=0.1),
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What a run and a check need."""

    platform: Platform
    bundle: PolicyBundle
    requests: NDArray[np.void] = field(repr=False)
    horizon_s: float = 120.0
    drain_s: float = 3600.0
    start_us: int = START_US
    seed: int = 1
    own_policies: dict[str, Callable[..., int]] = field(default_factory=dict, repr=False)
    estimation: Estimation = EXACT


def requests(
    rng: np.random.Generator, count: int, rate: float, tenants: int, *, models: int = 0, start_us: int = START_US,
    deadline_s: float | None = 20.0, cancel_share: float = 0.0, budget_share: float = 0.0, tokens: float = 300.0,
    output_asked: bool = True,
) -> NDArray[np.void]:  # fmt: skip
    """Poisson arrivals of lognormal sizes; `models` above 0: some ask for one of so many by name."""
    rows = np.zeros(count, REQUESTS)
    rows["arrive_us"] = start_us + np.cumsum(rng.exponential(1e6 / rate, count)).astype(np.int64)
    rows["tenant"] = rng.integers(0, tenants, count)
    seen: dict[int, int] = {}
    for row in rows:
        tenant = int(row["tenant"])
        row["number"] = seen.get(tenant, 0)
        seen[tenant] = seen.get(tenant, 0) + 1
    rows["input_tokens"] = rng.lognormal(np.log(tokens), 0.8, count).astype(int) + 1
    rows["cached_tokens"] = rows["input_tokens"] * rng.choice([0, 0, 0.5], count)
    rows["output_tokens"] = rng.lognormal(np.log(tokens / 3), 0.8, count).astype(int) + 1
    asked = rows["output_tokens"] * rng.uniform(1, 3, count)
    rows["max_output_tokens"] = np.where(rng.random(count) < 0.9, asked, 0) if output_asked else 0
    rows["complexity_pm"] = rng.integers(0, 1001, count)
    rows["wanted"] = rng.integers(-1, models, count) if models else -1
    rows["deadline_us"] = NEVER_US
    if deadline_s is not None:
        rows["deadline_us"] = rows["arrive_us"] + (rng.uniform(0.2, 2.0, count) * deadline_s * 1e6).astype(np.int64)
    cancelled = rng.random(count) < cancel_share
    rows["cancel_us"] = np.where(cancelled, rows["arrive_us"] + rng.integers(1, 5_000_000, count), NEVER_US)
    rows["budget_nano_usd"] = np.where(rng.random(count) < budget_share, rng.integers(100_000, 5_000_000, count), 0)
    return rows


BIDS = Routing(bid_price_usd_per_request={"small": 0.01}, bid_price_usd_per_1m_tokens={"other": 3.0})


def rich_world(seed: int = 1, count: int = 400, rate: float = 12.0) -> World:
    """Every rule at once: all windows and charge rules, tiers, budgets, faults, scaling, fallbacks."""
    rng = np.random.default_rng(seed)
    models = [
        Model(name="large", provider="p", input_usd_per_1m=3.0, cached_input_usd_per_1m=0.3, output_usd_per_1m=15.0,
              context_tokens=4000, max_output_tokens=1500, performance=(1.0, 0.95, 0.9, 0.85, 0.8), fallbacks=("small", "other"),
              speed=Speed(ttft_s=0.4, tokens_per_s=80.0)),
        Model(name="small", provider="p", input_usd_per_1m=0.15, output_usd_per_1m=0.6, context_tokens=3000,
              max_output_tokens=800, performance=(0.9, 0.7, 0.5, 0.3, 0.2), speed=Speed(ttft_s=0.2, tokens_per_s=150.0)),
        Model(name="other", provider="q", input_usd_per_1m=2.0, cached_input_usd_per_1m=2.5, output_usd_per_1m=8.0,
              context_tokens=8000, max_output_tokens=2000, performance=(1.0, 0.9, 0.8, 0.75, 0.7), fallbacks=("large",),
              speed=Speed(ttft_s=0.5, tokens_per_s=60.0)),
    ]  # fmt: skip
    accounts = [
        Account(name="a", provider="p", count=2, keys=1, standby_keys=1, region="us", limits=(
            Limit(dimension="rpm", limit=60.0, burst_s=10.0), Limit(dimension="tpm", limit=40_000.0, window="paced", burst_s=2.0),
            Limit(dimension="concurrency", limit=8.0),
            Limit(dimension="itpm", limit=30_000.0, charge="uncached_input", model_class="large"),
            Limit(dimension="rpd", limit=150.0, model_class="small"),
        )),
        Account(name="b", provider="q", region="eu", tags=("gdpr",), limits=(
            Limit(dimension="otpm", limit=9_000.0, window="fixed", window_s=20.0),
            Limit(dimension="rpm", limit=20.0, window="sliding", window_s=15.0),
            Limit(dimension="spend", limit=0.5, window="sliding", window_s=60.0),
            Limit(dimension="acceleration", limit=6_000.0, window_s=10.0),
        )),
        Account(name="own", provider="q", region="eu", tags=("gdpr",), dedicated_to="enterprise",
                limits=(Limit(dimension="concurrency", limit=3.0), Limit(dimension="tpd", limit=60_000.0))),
        Account(name="spare", provider="q", region="us", state="standby", limits=(Limit(dimension="concurrency", limit=4.0),)),
        Account(name="later", provider="q", region="us", state="orderable", lead_time_s=7.0,
                limits=(Limit(dimension="rpm", limit=30.0, known=False),)),
    ]  # fmt: skip
    tenants = [
        TenantGroup(name="e", tier="enterprise", count=3, weight=2.0),
        TenantGroup(name="eu", tier="professional", count=3, regions=("eu",), tags=("gdpr",), budget_usd_per_month=0.3),
        TenantGroup(name="f", tier="professional", count=2, quality_floor=0.6, request_budget_usd=0.02),
        TenantGroup(name="s", tier="standard", count=4, requests_per_min=25.0, tokens_per_min=30_000.0),
        TenantGroup(name="m", tier="standard", models=("small",), timezone="Asia/Tokyo"),
    ]
    providers = [
        Provider(name="p", timezone="America/Los_Angeles", error_probability=0.04,
                 overload_probability=0.02, caller_error_probability=0.01),
        Provider(name="q", timeout_probability=0.02, timeout_s=3.0),
    ]
    faults = (
        Fault(kind="limit_cut", start_s=8.0, duration_s=6.0, account="a-1"),
        Fault(kind="key_revoked", start_s=12.0, account="a-2"), Fault(kind="key_revoked", start_s=15.0, account="b"),
        Fault(kind="brownout", start_s=18.0, duration_s=3.0, provider="q", probability=0.4),
        Fault(kind="throttle_storm", start_s=22.0, duration_s=2.0, provider="p", probability=0.3),
    )  # fmt: skip
    bundle = PolicyBundle(
        tiers=TIERS, queue=Queueing(max_waiting=60, max_waiting_per_tenant=15, max_in_system=512),
        retry=Retry(max_attempts=3, backoff_s=0.3), cooldown=Cooldown(failures_to_cool=2, cooldown_s=4.0, throttle_s=1.0, overload_s=2.0),
        scaling=Scaling(policy="threshold", period_s=2.0, hold_periods=2, cooldown_s=4.0, add_above=0.6, retire_below=0.2),
    )  # fmt: skip
    platform = Platform(models=tuple(models), accounts=tuple(accounts), providers=tuple(providers), tenants=tuple(tenants), faults=faults)
    rows = requests(rng, count, rate, 13, models=3, cancel_share=0.05, budget_share=0.1)
    return World(platform=platform, bundle=bundle, requests=rows, horizon_s=count / rate, seed=seed)


def small_world(subject: str) -> World:
    """One rule that binds, named by `subject`, and little else."""
    account = Account(name="a", provider="p", standby_keys=1, limits=(Limit(dimension="concurrency", limit=6.0),))
    account = account.model_copy(update=_ACCOUNTS.get(subject, {}))
    sizes = Account(name="large", provider="p", limits=(Limit(dimension="tpm", limit=20_000.0),))
    cheap = Model(name="cheap", provider="p", input_usd_per_1m=0.1, output_usd_per_1m=0.2, performance=(0.4,) * 5)
    platform = Platform(
        models=(*([cheap] if subject == "spent" else []),
                Model(name="m", provider="p", input_usd_per_1m=1.0, cached_input_usd_per_1m=0.1, output_usd_per_1m=4.0,
                      max_output_tokens=1000, speed=Speed(service_s=Distribution(kind="exponential", mean=1.5))),
                *([cheap] if subject == "poor" else [])),
        accounts=(account, *([sizes] if subject == "sizes" else [])),
        providers=(Provider(name="p", timezone="America/Los_Angeles", retry_after=subject not in ("quota", "unsure"),
                            error_probability=0.5 * (subject == "growth")),),
        tenants=(TenantGroup(name="t", count=2, tier="standard", **_TENANTS.get(subject, {})),),
    )  # fmt: skip
    # Ten minutes before midnight in Los Angeles.
    start_us = START_US + (7 * 60 + 50) * 60 * SECOND_US
    count, rate, deadline_s = _DEMAND.get(subject, (300, 3.0, None))
    rows = requests(np.random.default_rng(1), count, rate, 2, start_us=start_us, deadline_s=deadline_s)
    scaling = Scaling(policy="threshold", period_s=1.0, hold_periods=1, cooldown_s=1.0, add_above=0.5, retire_below=0.45)
    routing = Routing(model_choice="best_quality")
    cooldown = Cooldown(failures_to_cool=10_000) if subject == "growth" else Cooldown()
    bundle = PolicyBundle(tiers=TIERS, routing=routing, cooldown=cooldown, scaling=scaling if subject == "drain" else Scaling())
    return World(platform=platform, bundle=bundle, requests=rows, start_us=start_us, horizon_s=count / rate, drain_s=600.0)


_ACCOUNTS: dict[str, dict[str, object]] = {
    "output": {"limits": (Limit(dimension="otpm", limit=3_000.0, burst_s=20.0),)},
    "cached": {"limits": (Limit(dimension="itpm", limit=9_000.0, charge="uncached_input", burst_s=20.0),)},
    "day": {"limits": (Limit(dimension="rpd", limit=40.0),)},
    "quota": {"limits": (Limit(dimension="rpd", limit=40.0, known=False),)},
    "sizes": {"limits": (Limit(dimension="tpm", limit=20_000.0, burst_s=2.0),)},
    "unsure": {"limits": (Limit(dimension="rpm", limit=30.0, window="fixed", known=False),)},
    "growth": {"limits": (Limit(dimension="acceleration", limit=4.0, window_s=3.0, growth=1.5, charge="requests"),)},
    "poor": {"limits": (Limit(dimension="concurrency", limit=3.0),)},
    "drain": {"count": 3},
}
_TENANTS: dict[str, dict[str, float]] = {
    "budget": {"budget_usd_per_month": 0.01},
    "month": {"budget_usd_per_month": 0.05},
    "poor": {"budget_usd_per_month": 0.03},
    "spent": {"budget_usd_per_month": 0.01, "request_budget_usd": 0.0005},
    "tenant": {"requests_per_min": 40.0},
}
_DEMAND: dict[str, tuple[int, float, float | None]] = {
    "growth": (300, 3.0, 20.0), "day": (100, 0.1, 2000.0), "quota": (100, 0.1, 2000.0), "month": (300, 300 / (40 * 86_400), None),
}  # fmt: skip


def shared_world() -> World:
    """Two models on one limit of the account: few large requests of enterprise, many small ones of standard."""
    service = Speed(service_s=Distribution(kind="deterministic", mean=1.0))
    models = tuple(
        Model(name=name, provider="p", input_usd_per_1m=1.0, output_usd_per_1m=1.0, speed=service) for name in ("small", "large")
    )
    account = Account(name="a", provider="p", limits=(Limit(dimension="tpm", limit=60_000.0, burst_s=10.0, charge="max_tokens"),))
    tenants = (TenantGroup(name="few", tier="enterprise"), TenantGroup(name="many", tier="standard", count=4))
    count, rate = 600, 4.0
    rows = requests(np.random.default_rng(1), count, rate, 4, deadline_s=60.0)
    rows["tenant"] += 1
    rows["wanted"], rows["input_tokens"], rows["max_output_tokens"], rows["output_tokens"] = 0, 300, 100, 50
    large = np.arange(0, count, 60)
    rows["tenant"][large], rows["wanted"][large], rows["input_tokens"][large] = 0, 1, 5000
    rows["number"] = np.arange(count)
    rows["cached_tokens"] = 0
    return World(
        platform=Platform(models=models, accounts=(account,), providers=(Provider(name="p"),), tenants=tenants),
        bundle=PolicyBundle(tiers=TIERS), requests=rows, horizon_s=count / rate, drain_s=600.0,
    )  # fmt: skip


def used_share_world() -> World:
    """Request 3 stands first as its tier is owed room. Request 5, of the same tier, uses that up: then request 4 is first."""
    # 1000 tokens a second, at most 1000 at once; half of them are promised to enterprise, 3 in 10 to professional.
    account = Account(name="a", provider="p", limits=(Limit(dimension="tpm", limit=60_000.0, burst_s=1.0),))
    model = Model(
        name="m", provider="p", input_usd_per_1m=1.0, output_usd_per_1m=1.0,
        speed=Speed(service_s=Distribution(kind="deterministic", mean=1.0)),
    )  # fmt: skip
    tenants = (
        TenantGroup(name="late", tier="enterprise"), TenantGroup(name="early", tier="enterprise"),
        TenantGroup(name="lower", tier="professional"), TenantGroup(name="lowest", tier="standard"),
    )  # fmt: skip
    late, early, lower, lowest = range(4)
    asked = (                       # (ms after the start, tenant, tokens)
        (0, lowest, 1000), (1, late, 10),       # this one waits, so that its tenant stands behind the other from now on
        (2000, lowest, 900),
        (2001, late, 490),                      # owed, but there is no room until 2390
        (2200, lower, 20),                      # owed, but of a lower tier
        (2201, early, 220),                     # fits, and takes of what its tier was owed
        (2300, lowest, 5),
    )  # fmt: skip
    rows = _asked_for([(at_ms, tenant, -1, tokens) for at_ms, tenant, tokens in asked])
    return World(
        platform=Platform(models=(model,), accounts=(account,), providers=(Provider(name="p"),), tenants=tenants),
        bundle=PolicyBundle(tiers=TIERS), requests=rows, horizon_s=3.0,
    )  # fmt: skip


def tried_account_world() -> World:
    """Account a is on trial while request 3 waits for it, too, and has room again when nobody waits at all.

    Request 6 then finds it free. That request 5 waits for another account is no reason to wait.
    """
    slow = Speed(service_s=Distribution(kind="deterministic", mean=3.0))
    models = tuple(
        Model(name=name, provider="p", input_usd_per_1m=1.0, output_usd_per_1m=1.0, speed=slow) for name in ("x", "y", "z")
    )
    unknown = Limit(dimension="rpm", limit=1.0, window="fixed", window_s=5.0, known=False)
    one = (Limit(dimension="concurrency", limit=1.0),)
    accounts = (
        Account(name="a", provider="p", models=("x", "y"), limits=(Limit(dimension="rpm", limit=600.0), unknown)),
        Account(name="b", provider="p", models=("x",), limits=one), Account(name="c", provider="p", models=("z",), limits=one),
    )  # fmt: skip
    x, y, z = range(3)
    asked = (                       # (ms after the start, model)
        (0, y), (100, y),           # the second is refused: a rests until 5 s, and tries it alone until 8 s
        (4000, x), (5500, x),       # one goes to b; the other waits for a or b until b takes it at 7 s
        (8500, z), (8600, z),       # the second waits for c until 11.5 s
        (10_500, y),
    )  # fmt: skip
    rows = _asked_for([(at_ms, 0, model, 10) for at_ms, model in asked])
    tenant = TenantGroup(name="t", tier="standard")
    return World(
        platform=Platform(models=models, accounts=accounts, providers=(Provider(name="p"),), tenants=(tenant,)),
        bundle=PolicyBundle(tiers=TIERS), requests=rows, horizon_s=11.0,
    )  # fmt: skip


def _asked_for(asked: list[tuple[int, int, int, int]]) -> NDArray[np.void]:
    """Requests that never lose patience: (ms after the start, tenant, model wanted, tokens); one of the tokens is output."""
    rows = np.zeros(len(asked), REQUESTS)
    seen: dict[int, int] = {}
    for row, (at_ms, tenant, wanted, tokens) in zip(rows, asked, strict=True):
        row["arrive_us"], row["tenant"], row["number"] = START_US + at_ms * 1000, tenant, seen.get(tenant, 0)
        seen[tenant] = seen.get(tenant, 0) + 1
        row["input_tokens"], row["output_tokens"], row["max_output_tokens"] = tokens - 1, 1, 1
        row["wanted"], row["deadline_us"], row["cancel_us"] = wanted, NEVER_US, NEVER_US
    return rows


def chance_world(seed: int, count: int = 300) -> World:
    """A world drawn by chance: any mixture of limits, windows, charges, modes and troubles."""
    rng = np.random.default_rng(seed)
    pick = lambda *options: options[rng.integers(len(options))]  # noqa: E731
    models = []
    for number in range(rng.integers(1, 4)):
        models.append(
            Model(
                name=f"m{number}", provider=pick("p", "q"), model_class=pick(None, "common"),
                input_usd_per_1m=float(pick(0.0, 0.5, 3.0)), cached_input_usd_per_1m=pick(None, 0.1, 4.0),
                output_usd_per_1m=float(pick(0.6, 2.0, 15.0)), context_tokens=int(pick(1500, 4000, 100_000)),
                max_output_tokens=int(pick(400, 4000)), performance=tuple(sorted(np.round(rng.random(5), 3).tolist(), reverse=True)),
                speed=Speed(
                    service_s=Distribution(kind=pick("exponential", "deterministic", "lognormal"), mean=float(pick(0.3, 1.0, 4.0)))
                ),
                fallbacks=tuple(f"m{other}" for other in range(number) if rng.random() < 0.6),
            )
        )  # fmt: skip
    providers = sorted({model.provider for model in models})
    classes = {p: sorted({m.model_class or m.name for m in models if m.provider == p}) for p in providers}
    accounts = tuple(_chance_account(rng, pick, number, providers, classes) for number in range(rng.integers(1, 4)))
    tenants = tuple(
        TenantGroup(
            name=f"t{number}", count=int(rng.integers(1, 4)), tier=TIERS[number % 3].name, weight=float(pick(1.0, 1.0, 3.0)),
            requests_per_min=pick(None, None, 60.0), tokens_per_min=pick(None, 40_000.0),
            budget_usd_per_month=pick(None, None, 0.05), request_budget_usd=pick(None, None, 0.01),
            regions=pick((), (), ("eu",)), quality_floor=pick(None, 0.3),
        )
        for number in range(3)
    )  # fmt: skip
    troubled = rng.random() < 0.5
    names = tuple(
        Provider(name=name, timezone=pick("UTC", "America/Los_Angeles"), error_probability=0.05 * troubled,
                 overload_probability=0.03 * troubled, caller_error_probability=0.02 * troubled, retry_after=pick(True, True, False))
        for name in providers
    )  # fmt: skip
    bids = np.random.default_rng([seed, 1])         # apart: what a seed draws otherwise stays
    faults = (Fault(kind="limit_cut", start_s=5.0, duration_s=10.0, factor=0.4), Fault(kind="latency", start_s=8.0, duration_s=4.0))
    bundle = PolicyBundle(
        tiers=TIERS,
        routing=Routing(policy=pick("cost_efficiency", "headroom", "round_robin", "random", "least_in_flight"),
                        model_choice=pick("cost_efficiency", "cheapest", "best_quality", "any"),
                        bid_price_usd_per_request={model.name: float(bids.choice([0.0, 0.001, 0.02])) for model in models},
                        bid_price_usd_per_1m_tokens={model.name: float(bids.choice([0.0, 5.0])) for model in models}),
        reservation=Reservation(mode=pick("none", "floor", "floor", "floor", "partition", "trunk", "cap", "preempt")),
        queue=Queueing(enabled=bool(rng.random() < 0.85), fair_share=bool(rng.random() < 0.7), max_waiting=int(pick(10, 10_000)),
                       max_in_system=int(pick(30, 512)), aging_per_s=float(pick(0.0, 1.0, 20.0))),
        retry=Retry(max_attempts=int(pick(1, 2, 4)), backoff_s=0.2, fallback_models=bool(rng.random() < 0.8)),
        cooldown=Cooldown(failures_to_cool=int(pick(1, 2, 3)), cooldown_s=float(pick(0.5, 5.0)), failure_window_s=float(pick(1.0, 30.0))),
        scaling=Scaling(policy=pick("none", "threshold", "predictive"), period_s=2.0, hold_periods=1, cooldown_s=2.0, add_above=0.5),
    )  # fmt: skip
    platform = Platform(
        models=tuple(models), accounts=accounts, providers=names, tenants=tenants, faults=faults if rng.random() < 0.3 else ()
    )
    rate = float(pick(3.0, 10.0, 30.0))
    rows = requests(
        rng, count, rate, sum(group.count for group in tenants), models=pick(0, len(models)),
        deadline_s=pick(None, 3.0, 30.0), cancel_share=float(pick(0.0, 0.1)), budget_share=float(pick(0.0, 0.2)),
    )  # fmt: skip
    return World(platform=platform, bundle=bundle, requests=rows, horizon_s=count / rate, drain_s=600.0, seed=seed)


def _chance_account(
    rng: np.random.Generator, pick: Callable[..., object], number: int, providers: list[str], classes: dict[str, list[str]]
) -> Account:
    provider = providers[rng.integers(len(providers))]
    limits = []
    for _ in range(rng.integers(1, 4)):
        dimension = pick("rpm", "tpm", "itpm", "otpm", "rpd", "tpd", "spend", "concurrency", "concurrency", "acceleration")
        limits.append(_chance_limit(rng, pick, str(dimension), pick("*", *classes[provider])))
    return Account(
        name=f"a{number}", provider=provider, count=int(rng.integers(1, 3)), region=pick("us", "eu"),
        dedicated_to=pick(None, None, None, "enterprise"), keys=1, standby_keys=1,
        state="active" if number == 0 else pick("active", "active", "standby", "orderable"), lead_time_s=3.0, limits=tuple(limits),
    )  # fmt: skip


def _chance_limit(rng: np.random.Generator, pick: Callable[..., object], dimension: str, model_class: object) -> Limit:
    size = {
        "rpm": 60.0, "tpm": 30_000.0, "itpm": 20_000.0, "otpm": 20_000.0, "rpd": 100.0, "tpd": 80_000.0,
        "spend": 0.2, "concurrency": 4.0, "acceleration": 8_000.0,
    }[dimension]  # fmt: skip
    window = None
    charge = None
    if dimension in ("rpm", "tpm", "itpm", "otpm"):
        window = pick("token_bucket", "paced", "fixed", "sliding")
    if dimension == "spend":
        window = pick("fixed", "sliding", "day")
    if dimension in ("tpm", "itpm"):
        charge = pick("max_tokens", "input", "uncached_input", "total")
    return Limit(
        dimension=dimension, limit=float(np.round(size * rng.uniform(0.5, 3.0), 3 if dimension == "spend" else 0)), window=window,
        window_s=float(pick(5.0, 20.0, 60.0)), burst_s=float(pick(2.0, 10.0, 60.0)), charge=charge, model_class=model_class,
    )  # fmt: skip
