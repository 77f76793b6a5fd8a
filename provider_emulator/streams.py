"""A streamed answer as bytes: what comes before the first word, the words, what comes after the last. All words are one filler word."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provider_emulator.accounts import Answer

WORD = "word "
_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Stream:
    """`words(first, count)` are the bytes of so many words from that one on."""

    before: bytes
    words: Callable[[int, int], bytes]
    after: bytes
    content_type: str = "text/event-stream"


def visible_tokens(answer: Answer) -> int:
    """Tokens that are sent: those that were not spent on reasoning. Each is a word."""
    return answer.output_tokens - answer.reasoning_tokens


def text_of(answer: Answer) -> str:
    """The whole text."""
    return (WORD * visible_tokens(answer)).rstrip()


def event(value: Any, name: str = "") -> bytes:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {compact(value)}\n\n".encode()


def compact(value: Any) -> str:
    """JSON without spaces."""
    return _JSON.encode(value)
