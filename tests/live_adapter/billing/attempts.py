"""Attempts as the ledger has them, drawn by Hypothesis or made by hand, with the terms that they were booked at."""

from typing import Any

from hypothesis import strategies as st

from live_adapter.billing.money import month_span_us
from live_adapter.billing.terms import Terms, terms_of
from policies.schema import Platform

RUN_US = month_span_us("2026-12")[0]
PLATFORM = Platform.model_validate({
    "models": [
        {"name": "small", "provider": "openai", "input_usd_per_1m": 0.15, "cached_input_usd_per_1m": 0.075, "output_usd_per_1m": 0.6},
        {"name": "large", "provider": "anthropic", "input_usd_per_1m": 3.0, "output_usd_per_1m": 15.0},
        {"name": "free", "provider": "openai", "input_usd_per_1m": 0.0, "output_usd_per_1m": 0.0},
    ],
    "accounts": [{"name": "o", "provider": "openai", "count": 2}, {"name": "a", "provider": "anthropic"}],
    "tenants": [{"name": "red"}, {"name": "blue"}],
})  # fmt: skip
TERMS: Terms = terms_of(RUN_US, PLATFORM)
ACCOUNTS = {"small": ("o-1", "o-2"), "free": ("o-1",), "large": ("a",)}


def attempt(number: int = 0, *, model: str = "small", after_s: float = 0.0, status: str = "served", **given: Any) -> dict[str, Any]:
    """One row; what it cost follows from its tokens unless given."""
    row: dict[str, Any] = {
        "run_us": RUN_US, "request": number, "attempt": 1, "tenant": "red", "tier": "standard", "model": model,
        "account": ACCOUNTS[model][0], "sent_us": RUN_US + round(after_s * 1e6), "status": status, "input_tokens": 0,
        "cached_tokens": 0, "output_tokens": 0, "http_status": 200, "first_token_us": None, "cache_write_tokens": None,
        "reasoning_tokens": None, **given,
    }  # fmt: skip
    row.setdefault("ended_us", row["sent_us"] + 1_000_000)
    price = TERMS.price(RUN_US, model)
    kinds = row["input_tokens"] - row["cached_tokens"], row["cached_tokens"], row["output_tokens"]
    exact = sum(tokens * per_1m for tokens, per_1m in zip(kinds, price.by_meter(), strict=True))
    row.setdefault("cost_nano_usd", -(-exact // 1_000_000))
    return row


@st.composite
def attempts(draw: st.DrawFn, most: int = 30, most_s: int = 40 * 86_400) -> list[dict[str, Any]]:
    """Rows in order of time, over more than a month: served with tokens, or ended otherwise with a cost alone."""
    times = sorted(draw(st.lists(st.integers(0, most_s), max_size=most)))
    return [_drawn(draw, number, after_s) for number, after_s in enumerate(times)]


def _drawn(draw: st.DrawFn, number: int, after_s: int) -> dict[str, Any]:
    model = draw(st.sampled_from(("small", "large", "free")))
    given: dict[str, Any] = {
        "account": draw(st.sampled_from(ACCOUNTS[model])), "tenant": draw(st.sampled_from(("red", "blue"))),
        "attempt": draw(st.integers(1, 3)),
    }  # fmt: skip
    if draw(st.booleans()):
        cost = draw(st.integers(0, 10**9)) if model != "free" else 0
        status = draw(st.sampled_from(("throttle", "failed", "cancelled")))
        return attempt(number, model=model, after_s=after_s, status=status, cost_nano_usd=cost, **given)
    total, output = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**5))
    tokens = {"input_tokens": total, "cached_tokens": draw(st.integers(0, total)), "output_tokens": output}
    return attempt(number, model=model, after_s=after_s, **given, **tokens)
