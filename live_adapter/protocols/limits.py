"""Rate-limit headers: limit, what remains, and when it is reset, for each dimension that a provider shows.

Sources: OpenAI rate limit guide (`x-ratelimit-*`, those of a project since June 2026), Anthropic rate limits (`anthropic-ratelimit-*`,
tokens rounded to 1,000; `tokens` shows the most restrictive limit in force); Gemini shows none (November 2026).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from live_adapter.protocols.calls import Dialect
from live_adapter.protocols.waits import moment_us, span_us

_ROUNDED_TO = 1_000
_MOST = 10**12
_WHAT = ("limit", "remaining", "reset")
_OPENAI = tuple(
    (name, *(f"x-ratelimit-{what}-{word}" for what in _WHAT))
    for name, word in (("rpm", "requests"), ("tpm", "tokens"), ("project_tpm", "project-tokens"))
)
_ANTHROPIC = tuple(
    (name, *(f"anthropic-ratelimit-{word}-{what}" for what in _WHAT))
    for name, word in (("rpm", "requests"), ("tpm", "tokens"), ("itpm", "input-tokens"), ("otpm", "output-tokens"))
)


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
        return [
            _seen(name, limit, remaining, span_us(headers.get(reset, "")), now_us, 0)
            for name, limit, remaining, reset in _said(_OPENAI, headers)
        ]
    if dialect == "anthropic":
        return [
            _seen(name, limit, remaining, moment_us(headers.get(reset, ""), headers, now_us), now_us, 0 if name == "rpm" else _ROUNDED_TO)
            for name, limit, remaining, reset in _said(_ANTHROPIC, headers)
        ]
    return []


def _said(names: tuple[tuple[str, ...], ...], headers: Mapping[str, str]) -> Iterator[tuple[str, int, int, str]]:
    """The dimensions of which anything is said: limit, what remains, and the name of the header that tells of the reset."""
    for name, of_limit, of_remaining, of_reset in names:
        limit, remaining = _whole(headers.get(of_limit, "")), _whole(headers.get(of_remaining, ""))
        if limit >= 0 or remaining >= 0:
            yield name, limit, remaining, of_reset


def _seen(name: str, limit: int, remaining: int, wait_us: int | None, now_us: int, rounded_to: int) -> SeenLimit:
    resets_us = -1 if wait_us is None else now_us + wait_us
    return SeenLimit(dimension=name, limit=limit, remaining=remaining, resets_us=resets_us, rounded_to=rounded_to)


def _whole(text: str) -> int:
    return min(int(text), _MOST) if text.isascii() and text.isdigit() and len(text) < 19 else -1
