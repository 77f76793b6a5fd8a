"""Small platforms to plan: a few entries of accounts, minutes of demand, promises that some plans keep and others break."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

MODELS = ("one", "two", "three")
TIERS = ("enterprise", "professional", "standard")
ARRIVALS: tuple[dict[str, Any], ...] = (
    {"kind": "deterministic"}, {"kind": "poisson"}, {"kind": "gamma", "cv": 3.0},
    {"kind": "mmpp", "burst_factor": 5.0, "burst_share": 0.1, "burst_s": 20.0},
)  # fmt: skip
_FALLS_BACK, _WAITS_LITTLE = 0.25, 0.5


def platform(seed: int) -> dict[str, Any]:
    """A platform drawn from a seed: two or three models and entries, limits of several kinds, a tier or two, terms of at most 200 plans."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 4))
    models = [_model(rng, row, count) for row in range(count)]
    accounts = [_account(rng, row) for row in range(count)]
    if seed % 3 == 0:
        accounts.append({**_account(rng, 0), "name": "kept", "dedicated_to": "enterprise", "count": 1})
    per_s = float(rng.uniform(0.9, 2.2))
    scenario: dict[str, Any] = {
        "name": f"platform {seed}", "horizon_s": 300, "models": models, "accounts": accounts,
        "tenants": [
            _tenants("large", "enterprise", per_s / 2, {"auto": 3, "one": 1}, rng),
            _tenants("small", "standard", per_s, {"auto": 1}, rng),
        ],
        "slos": [
            {"name": "large are served", "tier": "enterprise", "metric": "served_ratio", "at_least": 0.98},
            {"name": "large wait little", "tier": "enterprise", "metric": "wait_p95_s", "at_most": float(rng.uniform(1, 4))},
            {"name": "small are served", "tier": "standard", "metric": "served_ratio", "at_least": float(rng.uniform(0.8, 0.95))},
            {"name": "answers are good", "tier": "all", "metric": "quality_mean", "at_least": 0.6},
        ],
        "plan": {
            "draws": 3, "fresh_draws": 5, "refusal_usd": {"enterprise": 0.004, "standard": 0.001},
            "accounts": [
                {"name": one["name"], "at_most": int(rng.integers(one["count"], 5 if count < 3 else 4)), "permission": "ours"}
                for one in accounts
            ],
        },
    }  # fmt: skip
    if seed % 2 == 0:
        scenario["plan"]["reservations"] = [
            {"name": "much", "guaranteed_capacity": {"enterprise": 0.8}}, {"name": "little", "guaranteed_capacity": {"enterprise": 0.2}},
        ]  # fmt: skip
    return scenario


def uneven(seed: int) -> dict[str, Any]:
    """A platform whose models are asked for in different ways: evenly, by chance, in bursts; by clients who wait and clients who do not.

    Three entries of up to twelve accounts each; tiers are promised answers, and some of them short waits. Clients name their model, as most
    do; some of them take another where theirs is full.
    """
    rng = np.random.default_rng(seed)
    models = [_model(rng, row, 3) for row in range(3)]
    for model in models:
        model["fallbacks"] = [name for name in model["fallbacks"] if rng.uniform() < _FALLS_BACK]
    arrivals = [ARRIVALS[place] for place in rng.permutation(len(ARRIVALS))[:3]]
    accounts, tenants = [], []
    for row, model in enumerate(models):
        account = _account(rng, row)
        limit = account["limits"][0]
        per_min = {"tpm": limit["limit"] // 900, "concurrency": 20 * limit["limit"]}.get(limit["dimension"], limit["limit"])
        per_s = float(rng.uniform(1.2, 3.0)) * per_min / 60
        accounts.append({**account, "count": 2, "usd_per_month": int(rng.integers(1_000, 4_000))})
        group = _tenants(f"of {model['name']}", TIERS[row], per_s, {model["name"]: 1}, rng)
        group["demand"] |= {"arrivals": arrivals[row], "deadline_s": {"kind": "deterministic", "mean": float(rng.choice([6, 15, 60]))}}
        tenants.append(group)
    return {
        "name": f"uneven platform {seed}", "horizon_s": 600, "models": models, "accounts": accounts, "tenants": tenants,
        "slos": [promise for tier in TIERS for promise in _promises(rng, tier)],
        "plan": {
            "draws": 5, "fresh_draws": 8,
            "accounts": [{"name": one["name"], "at_most": 12, "permission": "ours"} for one in accounts],
        },
    }  # fmt: skip


def _promises(rng: np.random.Generator, tier: str) -> list[dict[str, Any]]:
    """To be served, and for some not to wait long: who is promised the latter alone would be kept waiting least by refusing all."""
    served = {"name": f"{tier} is served", "tier": tier, "metric": "served_ratio", "at_least": float(np.round(rng.uniform(0.93, 0.99), 3))}
    if rng.uniform() >= _WAITS_LITTLE:
        return [served]
    at_most = float(np.round(rng.uniform(1, 4), 1))
    return [served, {"name": f"{tier} waits little", "tier": tier, "metric": "wait_p95_s", "at_most": at_most}]


def written(folder: Path, scenario: dict[str, Any]) -> Path:
    """The scenario as a file."""
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(scenario), encoding="utf-8")
    return path


def _model(rng: np.random.Generator, row: int, count: int) -> dict[str, Any]:
    price = float(np.round(rng.uniform(1, 4) * (1 + row), 2))
    return {
        "name": MODELS[row], "provider": f"provider-{row}", "input_usd_per_1m": price, "output_usd_per_1m": 3 * price,
        "performance": [0.95, 0.9, 0.8 + 0.05 * row, 0.7 + 0.1 * row, 0.6 + 0.1 * row],
        "speed": {"service_s": {"kind": "exponential", "mean": float(rng.uniform(0.5, 2))}},
        "fallbacks": [MODELS[other] for other in range(count) if other != row],
    }  # fmt: skip


def _account(rng: np.random.Generator, row: int) -> dict[str, Any]:
    per_min = int(rng.integers(15, 40))
    limits = (
        {"dimension": "rpm", "limit": per_min, "burst_s": 20},
        {"dimension": "tpm", "limit": per_min * 900, "window": "paced", "burst_s": 20},
        {"dimension": "rpm", "limit": per_min, "window": "fixed"},
        {"dimension": "concurrency", "limit": max(1, per_min // 20)},
    )
    return {
        "name": f"entry-{row}", "provider": f"provider-{row}", "count": int(rng.integers(1, 3)),
        "usd_per_month": int(rng.integers(100, 900)), "limits": [limits[int(rng.integers(len(limits)))]],
    }  # fmt: skip


def _tenants(name: str, tier: str, per_s: float, models: dict[str, int], rng: np.random.Generator) -> dict[str, Any]:
    return {
        "name": name, "count": 3, "tier": tier, "contract_usd_per_month": 100,
        "demand": {
            "requests_per_s": per_s, "models": models, "max_output_tokens": 300, "cancel_probability": 0.01,
            "input_tokens": {"kind": "lognormal", "mean": 400, "cv": 1, "at_most": 4000},
            "output_tokens": {"kind": "lognormal", "mean": 120, "cv": 1},
            "deadline_s": {"kind": "deterministic", "mean": float(rng.integers(10, 40))},
        },
    }  # fmt: skip
