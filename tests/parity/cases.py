"""Random small platforms with requests that tie often: the ground on which clocks are compared."""

import hashlib
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.drivers.compiled_driver import run_compiled
from forge1sim.drivers.simpy_driver import run_simpy
from forge1sim.drivers.stage import Stage
from forge1sim.workload.table import AUTO, NEVER_US, REQUESTS
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.schema import Platform

SECOND_US = 1_000_000
_WINDOWS = {
    "rpm": ("token_bucket", "paced", "fixed", "sliding"), "tpm": ("token_bucket", "paced", "fixed", "sliding"),
    "itpm": ("token_bucket", "sliding"), "otpm": ("token_bucket", "fixed"), "rpd": ("day",), "spend": ("fixed", "sliding"),
    "concurrency": ("none",), "acceleration": ("fixed",),
}  # fmt: skip
_LIMITS = {
    "rpm": (10, 200), "tpm": (5_000, 60_000), "itpm": (5_000, 40_000), "otpm": (3_000, 20_000), "rpd": (50, 400),
    "spend": (1, 5), "concurrency": (1, 8), "acceleration": (2_000, 20_000),
}  # fmt: skip
_DISTRIBUTIONS = ("deterministic", "exponential", "lognormal", "gamma")


@dataclass(frozen=True)
class Case:
    """One platform, its policies and its requests."""

    platform: Platform
    bundle: PolicyBundle
    requests: NDArray[np.void]
    horizon_us: int
    seed: int


def _limit(r: random.Random, classes: list[str]) -> dict[str, object]:
    dimension = r.choice(sorted(_LIMITS))
    low, high = _LIMITS[dimension]
    limit = {
        "dimension": dimension, "limit": float(r.randint(low, high)), "window": r.choice(_WINDOWS[dimension]),
        "window_s": float(r.choice((1, 10, 60))), "burst_s": float(r.choice((1, 15, 60))),
        "model_class": r.choice([*classes, "*"]), "known": r.random() < 0.85,
    }  # fmt: skip
    if dimension == "itpm" and r.random() < 0.5:
        limit["charge"] = "uncached_input"
    return limit


def _account(r: random.Random, number: int, models: list[dict[str, object]]) -> dict[str, object]:
    provider = r.choice(sorted({str(model["provider"]) for model in models}))
    classes = [str(model["name"]) for model in models if model["provider"] == provider]
    return {
        "name": f"a{number}", "provider": provider, "count": r.randint(1, 3), "keys": 1, "standby_keys": r.randint(0, 1),
        "region": r.choice(("eu", "us")), "state": r.choice(("active", "active", "active", "standby", "orderable")),
        "lead_time_s": float(r.choice((0, 20))), "dedicated_to": r.choice((None, None, "enterprise")),
        "weight": float(r.randint(0, 3)), "limits": [_limit(r, classes) for _ in range(r.randint(0, 4))],
    }  # fmt: skip


def _model(r: random.Random, number: int) -> dict[str, object]:
    service = {"kind": r.choice(_DISTRIBUTIONS), "mean": float(r.choice((1, 2, 5))), "cv": 0.5}
    return {
        "name": f"m{number}", "provider": r.choice(("p", "q")), "input_usd_per_1m": float(r.randint(0, 9)),
        "output_usd_per_1m": float(r.randint(0, 30)), "context_tokens": r.choice((4_000, 32_000)),
        "max_output_tokens": r.choice((500, 4_000)), "performance": sorted((r.random() for _ in range(5)), reverse=True),
        "speed": {"service_s": service} if r.random() < 0.6 else {"load_slope": r.choice((0.0, 5.0))},
        "fallbacks": [f"m{r.randrange(number)}"] if number and r.random() < 0.5 else [],
    }  # fmt: skip


def _tenants(r: random.Random) -> list[dict[str, object]]:
    groups = []
    for tier in ("enterprise", "professional", "standard"):
        groups.append({
            "name": tier[:3], "tier": tier, "count": r.randint(1, 4),
            "requests_per_min": r.choice((None, None, 30.0)), "tokens_per_min": r.choice((None, None, 20_000.0)),
            "budget_usd_per_month": r.choice((None, None, 0.5)), "request_budget_usd": r.choice((None, None, 0.05)),
            "weight": r.choice((1.0, 2.0)), "regions": r.choice(((), (), ("eu",))), "quality_floor": r.choice((None, 0.2)),
        })  # fmt: skip
    return groups


def _fault(r: random.Random, accounts: list[dict[str, object]]) -> dict[str, object]:
    kinds = ("outage", "brownout", "throttle_storm", "latency", "limit_cut", "key_revoked")
    return {
        "kind": r.choice(kinds), "start_s": float(r.randint(0, 60)), "duration_s": float(r.randint(1, 60)),
        "account": r.choice(accounts)["name"], "probability": r.choice((0.3, 1.0)), "factor": r.choice((0.5, 2.0)),
    }  # fmt: skip


def random_bundle(r: random.Random) -> dict[str, object]:
    routing = ("cost_efficiency", "headroom", "least_in_flight", "latency", "weighted", "round_robin", "random")
    return {
        "routing": {
            "policy": r.choice(routing), "model_choice": r.choice(("cost_efficiency", "cheapest", "best_quality", "any")),
            "bid_price_usd_per_request": {"m0": r.choice((0.0, 0.002))}, "bid_price_usd_per_1m_tokens": {"m0": r.choice((0.0, 3.0))},
        },
        "reservation": {
            "mode": r.choice(("none", "floor", "floor", "partition", "trunk", "cap", "preempt")),
            "oversubscription": r.choice(("priority", "proportional")), "dedicated_overflow": r.random() < 0.7,
        },
        "queue": {
            "enabled": r.random() < 0.85, "max_waiting": r.choice((3, 1_000)), "max_waiting_per_tenant": r.choice((2, 1_000)),
            "max_in_system": r.choice((20, 512)), "aging_per_s": r.choice((0.0, 1.0, 10.0)), "fair_share": r.random() < 0.6,
        },
        "retry": {"max_attempts": r.randint(1, 5), "backoff_s": r.choice((0.5, 2.0)), "fallback_models": r.random() < 0.8},
        "cooldown": {"failures_to_cool": r.randint(1, 3), "cooldown_s": float(r.choice((5, 20)))},
        "scaling": {"policy": r.choice(("none", "threshold", "predictive")), "period_s": 10.0, "cooldown_s": 10.0, "hold_periods": 1},
    }  # fmt: skip


def _requests(r: random.Random, models: int, tenants: int, count: int) -> NDArray[np.void]:
    draws = np.random.default_rng(r.getrandbits(32))
    rows = np.zeros(count, REQUESTS)
    grid_us = r.choice((1, SECOND_US // 2, SECOND_US))
    times = np.sort(draws.integers(0, 120 * SECOND_US, count))
    rows["arrive_us"] = times // grid_us * grid_us
    rows["tenant"] = draws.integers(0, tenants, count)
    order = np.lexsort((rows["tenant"], rows["arrive_us"]))
    rows = rows[order]
    for tenant in range(tenants):
        mine = rows["tenant"] == tenant
        rows["number"][mine] = np.arange(mine.sum())
    rows["input_tokens"] = draws.lognormal(6, 1, count).astype(int) + 1
    rows["cached_tokens"] = rows["input_tokens"] * draws.integers(0, 2, count) // 2
    rows["output_tokens"] = draws.lognormal(5, 1, count).astype(int) + 1
    rows["max_output_tokens"] = np.where(draws.random(count) < 0.7, rows["output_tokens"] * 2, 0)
    rows["complexity_pm"] = draws.integers(0, 1001, count)
    rows["wanted"] = draws.integers(AUTO, models, count)
    patience_us = draws.choice(np.array([5, 20, 60]), count) * SECOND_US
    rows["deadline_us"] = np.where(draws.random(count) < 0.8, rows["arrive_us"] + patience_us, NEVER_US)
    rows["cancel_us"] = np.where(draws.random(count) < 0.1, rows["arrive_us"] + 3 * SECOND_US, NEVER_US)
    rows["budget_nano_usd"] = np.where(draws.random(count) < 0.1, 10_000_000, 0)
    return rows


def make_case(r: random.Random, count: int = 250) -> Case:
    """A platform with every kind of rule now and then, and `count` requests in two minutes."""
    models = [_model(r, number) for number in range(r.randint(1, 4))]
    accounts = [_account(r, number, models) for number in range(r.randint(1, 4))]
    tenants = _tenants(r)
    platform = Platform.model_validate({
        "models": models, "accounts": accounts, "tenants": tenants,
        "providers": [{"name": "p", "error_probability": r.choice((0.0, 0.05)), "caller_error_probability": 0.01},
                      {"name": "q", "overload_probability": r.choice((0.0, 0.05)), "retry_after": r.random() < 0.7}],
        "faults": [_fault(r, accounts) for _ in range(r.randint(0, 2))],
    })  # fmt: skip
    bundle = PolicyBundle.model_validate(random_bundle(r))
    requests = _requests(r, len(models), sum(int(str(group["count"])) for group in tenants), count)
    return Case(platform, bundle, requests, 120 * SECOND_US, r.getrandbits(31))


def log_of(case: Case, driver: str) -> NDArray[np.void]:
    """All log rows of a case under one clock."""
    rows: list[NDArray[np.void]] = []
    stage = Stage(
        lay_out(case.platform, 0), case.bundle, case.platform.faults, iter([case.requests.copy()]), start_us=0,
        horizon_us=case.horizon_us, drain_us=600 * SECOND_US, seed=case.seed, sink=lambda chunk: rows.append(chunk.copy()),
    )  # fmt: skip
    {"simpy": run_simpy, "compiled": run_compiled}[driver](stage)
    return np.concatenate(rows)


def digest_of(case: Case, driver: str) -> str:
    """SHA-256 of a case's log."""
    return hashlib.sha256(log_of(case, driver).tobytes()).hexdigest()


def seeded(number: int) -> Case:
    """Case `number` of a fixed list."""
    return make_case(random.Random(number), 120)


if __name__ == "__main__":
    import sys

    for number in range(int(sys.argv[1])):
        print(digest_of(seeded(number), "simpy"), digest_of(seeded(number), "compiled"))
