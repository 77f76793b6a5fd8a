"""A pool that needs more than it holds: more of what is cheap has to be waited for, and a dear one can be had at once."""

from typing import Any


def waiting(**changes: Any) -> dict[str, Any]:
    """One account of `ours` is too little, two are enough after ten days; one more of `cloud`, which is dear, helps at once."""
    rate = [{"dimension": "rpm", "limit": 60, "burst_s": 15}]
    scenario: dict[str, Any] = {
        "name": "waiting", "start": "2026-11-02T00:00:00Z", "horizon_s": 600,
        "models": [{
            "name": "one", "provider": "p", "input_usd_per_1m": 2.0, "output_usd_per_1m": 6.0,
            "speed": {"service_s": {"kind": "deterministic", "mean": 0.5}},
        }],
        "accounts": [
            {"name": "ours", "provider": "p", "count": 1, "usd_per_month": 100, "limits": rate},
            {"name": "cloud", "provider": "p", "count": 1, "usd_per_month": 3000, "limits": rate},
        ],
        "tenants": [{
            "name": "clients", "count": 4, "tier": "standard",
            "demand": {
                "requests_per_s": 2.2, "max_output_tokens": 100,
                "input_tokens": {"kind": "deterministic", "mean": 300}, "output_tokens": {"kind": "deterministic", "mean": 100},
                "deadline_s": {"kind": "deterministic", "mean": 5},
            },
        }],
        "slos": [{"name": "served", "tier": "standard", "metric": "served_ratio", "at_least": 0.97}],
        "plan": {
            "draws": 3, "fresh_draws": 3, "refusal_usd": {"standard": 0.01},
            "accounts": [
                {"name": "ours", "at_most": 4, "permission": "ours", "lead_time_days": 10, "setup_usd": 70},
                {"name": "cloud", "at_most": 3, "permission": "ours", "notice_days": 30, "setup_usd": 40},
            ],
        },
    }  # fmt: skip
    scenario["plan"] |= changes.pop("plan", {})
    return scenario | changes
