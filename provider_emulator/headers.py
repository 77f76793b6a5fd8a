"""What each provider tells in headers: ids, its clock, limits and waits.

Sources: OpenAI rate limit guide; Anthropic API reference (rate limits); as of November 2026. Gemini tells nothing of limits.
"""

import math
import time
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from provider_emulator.accounts import Account, Held
from provider_emulator.config import ModelSpec

RetryAfter = Literal["seconds", "date", "missing"]
_ROUNDED = 1000         # Anthropic rounds remaining tokens
_WORDS = {
    "openai": {"rpm": "requests", "tpm": "tokens"},
    "anthropic": {"rpm": "requests", "tpm": "tokens", "itpm": "input-tokens", "otpm": "output-tokens"}, "gemini": {},
}  # fmt: skip
_ID_HEADER = {"openai": "x-request-id", "anthropic": "request-id"}


def id_headers(protocol: str, request_id: str, wall_s: float) -> dict[str, str]:
    """The request's id, and the provider's idea of the time."""
    name = _ID_HEADER.get(protocol)
    date = _date(int(wall_s))
    return {"date": date, name: request_id} if name else {"date": date}


def limit_headers(protocol: str, account: Account, model: ModelSpec, now_s: float, wall_s: float, scale: float) -> dict[str, str]:
    """Limit, what remains of it and when it is whole again; of several limits in one dimension the one that has least left."""
    least: dict[str, tuple[float, Held]] = {}
    for held in account.limits_of(model):
        word = _WORDS[protocol].get(held.spec.dimension)
        if word is None or held.limiter is None or not held.spec.shown:
            continue
        room = max(0.0, held.limiter.room(now_s)) * scale
        if word not in least or room < least[word][0]:
            least[word] = room, held
    if protocol == "anthropic" and "tokens" not in least:
        tokens = [least[word] for word in ("input-tokens", "output-tokens") if word in least]
        if tokens:
            least["tokens"] = min(tokens, key=lambda one: one[0])
    told: dict[str, str] = {}
    for word, (room, held) in least.items():
        assert held.limiter is not None
        amount, resets_s = str(int(held.spec.amount * scale)), held.limiter.resets_in_s(now_s)
        if protocol == "openai":
            told[f"x-ratelimit-limit-{word}"] = amount
            told[f"x-ratelimit-remaining-{word}"] = str(int(room))
            told[f"x-ratelimit-reset-{word}"] = span(resets_s)
        else:
            told[f"anthropic-ratelimit-{word}-limit"] = amount
            told[f"anthropic-ratelimit-{word}-remaining"] = str(int(room) if word == "requests" else round(room / _ROUNDED) * _ROUNDED)
            told[f"anthropic-ratelimit-{word}-reset"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(math.ceil(wall_s + resets_s)))
    return told


def retry_after(wait_s: float, form: RetryAfter, wall_s: float) -> dict[str, str]:
    """When to come back: whole seconds, or a date by the provider's clock; never too soon."""
    if form == "missing":
        return {}
    if form == "date":
        return {"retry-after": _date(math.ceil(wall_s + wait_s))}
    return {"retry-after": str(max(1, math.ceil(wait_s)))}


@lru_cache(maxsize=64)
def _date(at_s: int) -> str:
    return formatdate(at_s, usegmt=True)


def span(seconds: float) -> str:
    """`120ms`, `1s`, `6m0s`, `23h59m59.5s`: as OpenAI's headers have it, to a thousandth, rounded up."""
    total_ms = max(0, math.ceil(seconds * 1000 - 1e-6))
    if total_ms < 1000:
        return f"{total_ms}ms"
    minutes, rest_ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{rest}"
    return f"{minutes}m{rest}" if minutes else rest
