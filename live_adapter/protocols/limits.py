"""Rate-limit headers: limit, what remains, and when it is reset, for each dimension that a provider shows.

Sources: OpenAI rate limit guide (`x-ratelimit-*`), Anthropic rate limits (`anthropic-ratelimit-*`, tokens rounded to 1,000); Gemini shows
none (November 2026).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from live_adapter.protocols.calls import Dialect
from live_adapter.protocols.refusing import span_us

_SECOND_US = 1_000_000
_ROUNDED_TO = 1_000
_MOST = 10**12
_OPENAI = (("rpm", "requests"), ("tpm", "tokens"))
_ANTHROPIC = (("rpm", "requests"), ("itpm", "input-tokens"), ("otpm", "output-tokens"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLimit:
    """One dimension: -1 for what is not said. `resets_us` since the epoch; `rounded_to` is what `remaining` may be off by."""

    dimension: str
    limit: int
    remaining: int
    resets_us: int
    rounded_to: int


def limits_seen(dialect: Dialect, headers: Mapping[str, str], now_us: int) -> list[SeenLimit]:
    """What the headers of an answer show. What makes no sense counts as not said."""
    if dialect == "openai":
        return [one for name, word in _OPENAI if (one := _openai(name, word, headers, now_us)) is not None]
    if dialect == "anthropic":
        return [one for name, word in _ANTHROPIC if (one := _anthropic(name, word, headers, now_us)) is not None]
    return []


def _openai(name: str, word: str, headers: Mapping[str, str], now_us: int) -> SeenLimit | None:
    limit, remaining = _whole(headers.get(f"x-ratelimit-limit-{word}")), _whole(headers.get(f"x-ratelimit-remaining-{word}"))
    if limit < 0 and remaining < 0:
        return None
    reset = headers.get(f"x-ratelimit-reset-{word}")
    return SeenLimit(
        dimension=name, limit=limit, remaining=remaining, resets_us=now_us + span_us(reset) if reset else -1, rounded_to=0
    )


def _anthropic(name: str, word: str, headers: Mapping[str, str], now_us: int) -> SeenLimit | None:
    base = f"anthropic-ratelimit-{word}"
    limit, remaining = _whole(headers.get(f"{base}-limit")), _whole(headers.get(f"{base}-remaining"))
    if limit < 0 and remaining < 0:
        return None
    return SeenLimit(
        dimension=name, limit=limit, remaining=remaining, resets_us=_date_us(headers.get(f"{base}-reset"), headers.get("date"), now_us),
        rounded_to=0 if word == "requests" else _ROUNDED_TO,
    )  # fmt: skip


def _whole(text: str | None) -> int:
    return min(int(text), _MOST) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else -1


def _date_us(text: str | None, provider_date: str | None, now_us: int) -> int:
    """A moment by our clock: where the provider shows its own, the two may differ."""
    if text is None:
        return -1
    try:
        at = datetime.fromisoformat(text).timestamp()
        began = parsedate_to_datetime(provider_date).timestamp() if provider_date else now_us / 1e6
    except (ValueError, TypeError, OverflowError, IndexError):
        return -1
    return now_us + max(0, round((at - began) * _SECOND_US))
