"""Rate-limit headers: limit, what remains, and when it is reset, for each dimension that a provider shows.

Sources: OpenAI rate limit guide (`x-ratelimit-*`, those of a project since June 2026), Anthropic rate limits (`anthropic-ratelimit-*`,
tokens rounded to 1,000; `tokens` shows the most restrictive limit in force); Gemini shows none (November 2026).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from live_adapter.protocols.calls import Dialect
from live_adapter.protocols.waits import moment_us, span_us

_ROUNDED_TO = 1_000
_MOST = 10**12
_OPENAI = (("rpm", "requests"), ("tpm", "tokens"), ("project_tpm", "project-tokens"))
_ANTHROPIC = (("rpm", "requests"), ("tpm", "tokens"), ("itpm", "input-tokens"), ("otpm", "output-tokens"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLimit:
    """One dimension: -1 for what is not said. `resets_us` since the epoch; `rounded_to` is what `remaining` may be off by."""

    dimension: str
    limit: int
    remaining: int
    resets_us: int
    rounded_to: int


def limits_seen(dialect: Dialect, headers: Mapping[str, str], now_us: int) -> list[SeenLimit]:
    """What the headers (names in lower case) of an answer show. What makes no sense counts as not said."""
    if dialect == "openai":
        return [one for name, word in _OPENAI if (one := _openai(name, word, headers, now_us)) is not None]
    if dialect == "anthropic":
        return [one for name, word in _ANTHROPIC if (one := _anthropic(name, word, headers, now_us)) is not None]
    return []


def _openai(name: str, word: str, headers: Mapping[str, str], now_us: int) -> SeenLimit | None:
    said = [headers.get(f"x-ratelimit-{what}-{word}", "") for what in ("limit", "remaining", "reset")]
    return _seen(name, said, span_us(said[2]), now_us, 0)


def _anthropic(name: str, word: str, headers: Mapping[str, str], now_us: int) -> SeenLimit | None:
    said = [headers.get(f"anthropic-ratelimit-{word}-{what}", "") for what in ("limit", "remaining", "reset")]
    return _seen(name, said, moment_us(said[2], headers, now_us), now_us, 0 if word == "requests" else _ROUNDED_TO)


def _seen(name: str, said: list[str], wait_us: int | None, now_us: int, rounded_to: int) -> SeenLimit | None:
    limit, remaining = _whole(said[0]), _whole(said[1])
    if limit < 0 and remaining < 0:
        return None
    resets_us = -1 if wait_us is None else now_us + wait_us
    return SeenLimit(dimension=name, limit=limit, remaining=remaining, resets_us=resets_us, rounded_to=rounded_to)


def _whole(text: str) -> int:
    return min(int(text), _MOST) if text.isascii() and text.isdigit() and len(text) < 19 else -1
