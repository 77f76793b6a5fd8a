"""Scenarios by chance: a platform, its clients and its troubles, drawn from a seed.

About 4,000 requests in half an hour, on three to five models of two or three providers whose limits hold 0.6 to 1.3 times what is
asked for. For checks on scenarios that nobody has chosen (`benchmarks.drawn`).
"""

import random
from pathlib import Path
from typing import Any

import yaml

HORIZON_MIN = 30
MODELS = {
    "openai": ("gpt-6-luna", "gpt-5.4-mini", "gpt-5.6-terra", "gpt-6.1-sol"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5-5"),
    "google": ("gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.1-pro-preview"),
}
USAGE_TIERS = {"openai": "tier-4", "anthropic": "scale", "google": "tier-3"}
WINDOWS = {"openai": "paced", "anthropic": "token_bucket", "google": "fixed"}
TIERS = {"enterprise": 250_000, "professional": 80_000, "standard": 5_000}


def drawn_scenario(seed: int, number: int, folder: Path) -> Path:
    """Write scenario `number` of a seed into a folder."""
    file = folder / f"drawn-{seed}-{number}.yaml"
    file.write_text(yaml.safe_dump(_document(random.Random(f"{seed}-{number}"), f"drawn-{number}"), sort_keys=False), encoding="utf-8")
    return file


def _document(chance: random.Random, name: str) -> dict[str, Any]:
    models = _models(chance)
    tenants = [_tenants(chance, tier) for tier in TIERS]
    asked_per_min = 60 * sum(group["demand"]["requests_per_s"] for group in tenants)
    accounts = _accounts(chance, models, asked_per_min * chance.uniform(0.6, 1.3))
    return {
        "name": name, "start": "2026-11-02T12:00:00Z", "horizon_s": f"{HORIZON_MIN}min", "models": models, "accounts": accounts,
        "providers": [{"name": account["provider"], "error_probability": chance.choice([0.0, 0.003, 0.02])} for account in accounts],
        "tenants": tenants, "faults": [_outage(chance, accounts)] if chance.random() < 0.5 else [],
        "slos": [
            {"name": "enterprise waits little", "tier": "enterprise", "metric": "wait_p95_s", "at_most": 5},
            {"name": "most are served", "tier": "all", "metric": "served_ratio", "at_least": 0.6},
        ],
    }  # fmt: skip


def _models(chance: random.Random) -> list[str]:
    providers = chance.sample(sorted(MODELS), chance.choice([2, 3]))
    own = [chance.choice(MODELS[provider]) for provider in providers]
    others = [model for provider in providers for model in MODELS[provider] if model not in own]
    return own + chance.sample(others, chance.randint(1, 2))


def _accounts(chance: random.Random, models: list[str], capacity_per_min: float) -> list[dict[str, Any]]:
    """One group for each provider; the capacity is shared out between models by chance."""
    shares = {model: chance.uniform(0.3, 1.0) for model in models}
    accounts = []
    for provider, known in MODELS.items():
        mine = [model for model in models if model in known]
        if not mine:
            continue
        count = chance.randint(1, 3)
        limits = []
        for model in mine:
            per_min = capacity_per_min * shares[model] / sum(shares.values()) / count
            rule: dict[str, Any] = {"model_class": model, "window": WINDOWS[provider]}
            if provider == "openai":
                rule |= {"dimension": "tpm", "limit": max(4000, round(per_min * 1000)), "charge": "max_tokens"}
            else:
                rule |= {"dimension": "rpm", "limit": max(3, round(per_min))}
            limits.append(rule if provider == "google" else rule | {"burst_s": 15})
        accounts.append({"name": provider, "provider": provider, "count": count, "usage_tier": USAGE_TIERS[provider], "limits": limits})
    return accounts


def _tenants(chance: random.Random, tier: str) -> dict[str, Any]:
    return {
        "name": tier, "count": chance.randint(3, 40), "contract_usd_per_month": TIERS[tier],
        "demand": {
            "requests_per_s": round(chance.uniform(0.3, 1.2), 2),
            "arrivals": chance.choice([{"kind": "poisson"}, {"kind": "gamma", "cv": 2}]),
            "zipf": chance.choice([0.0, 0.8]),
            "input_tokens": {"kind": "lognormal", "mean": chance.choice([300, 600, 900]), "cv": 1, "at_most": 3000},
            "output_tokens": {"kind": "lognormal", "mean": chance.choice([100, 200]), "cv": 1}, "max_output_tokens": 500,
            "complexity": {"mean": chance.choice([0.3, 0.5, 0.7])},
            "deadline_s": {"kind": "deterministic", "mean": chance.choice([30, 60])},
        },
    }  # fmt: skip


def _outage(chance: random.Random, accounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "outage", "provider": chance.choice(accounts)["provider"], "start_s": chance.choice([300, 900]),
        "duration_s": chance.choice([60, 300]),
    }  # fmt: skip
