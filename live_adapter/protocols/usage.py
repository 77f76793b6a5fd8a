"""Token usage, from whole answers and from streams as they pass.

Sources: OpenAI API reference (usage of chat completions, responses and embeddings), Anthropic API reference (usage; input_tokens leaves
out what was read from or written to the cache), Gemini API reference (UsageMetadata); November 2026.
"""

import json
from dataclasses import dataclass
from typing import Any

from live_adapter.protocols.calls import Call, Dialect

_MOST_LINE = 4 * 1024 * 1024
_CHARACTERS_PER_TOKEN = 4
_MOST_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer. Input has cached and cache-writing ones in it, output those of reasoning."""

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


def usage_of(dialect: Dialect, answer: Any) -> Usage | None:
    """What an answer, as JSON, says that it used; None if it does not say."""
    if not isinstance(answer, dict):
        return None
    if dialect == "gemini":
        return _gemini(answer.get("usageMetadata"))
    found = answer.get("usage")
    if not isinstance(found, dict):
        return None
    if dialect == "anthropic":
        read, written = _whole(found, "cache_read_input_tokens"), _whole(found, "cache_creation_input_tokens")
        return Usage(
            input_tokens=_whole(found, "input_tokens") + read + written, cached_tokens=read, cache_write_tokens=written,
            output_tokens=_whole(found, "output_tokens"),
        )  # fmt: skip
    first = "input_tokens" if "input_tokens" in found else "prompt_tokens"
    last = "output_tokens" if "output_tokens" in found else "completion_tokens"
    return Usage(
        input_tokens=_whole(found, first), cached_tokens=_whole(found.get(f"{first}_details"), "cached_tokens"),
        output_tokens=_whole(found, last), reasoning_tokens=_whole(found.get(f"{last}_details"), "reasoning_tokens"),
    )  # fmt: skip


def _gemini(found: Any) -> Usage | None:
    if not isinstance(found, dict):
        return None
    thoughts = _whole(found, "thoughtsTokenCount")
    return Usage(
        input_tokens=_whole(found, "promptTokenCount") + _whole(found, "toolUsePromptTokenCount"),
        cached_tokens=_whole(found, "cachedContentTokenCount"), output_tokens=_whole(found, "candidatesTokenCount") + thoughts,
        reasoning_tokens=thoughts,
    )  # fmt: skip


def _whole(table: Any, name: str) -> int:
    value = table.get(name) if isinstance(table, dict) else None
    return min(max(value, 0), _MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) else 0


class StreamReader:
    """Reads server-sent events while they pass. What it returns is for the client: all of it, but for a usage chunk not asked for."""

    def __init__(self, call: Call, dialect: Dialect) -> None:
        self._dialect, self._route = dialect, call.route
        self._hides_usage = dialect == "openai" and call.route == "chat/completions" and not call.wants_usage
        self._pending = b""
        self._usage: dict[str, Any] = {}
        self._text_characters = 0
        self.saw_token = self.finished = self.failed = False

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes, however they are split; returns those to pass on."""
        self._pending += chunk
        passed: list[bytes] = []
        while True:
            end, width = _event_end(self._pending)
            if end < 0:
                break
            event, self._pending = self._pending[: end + width], self._pending[end + width :]
            if not (self._read(event) and self._hides_usage):
                passed.append(event)
        if len(self._pending) > _MOST_LINE:
            # An event without end: pass it on unread rather than keep it.
            passed.append(self._pending)
            self._pending = b""
        return b"".join(passed)

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest, self._pending = self._pending, b""
        if rest:
            self._read(rest)
        return rest

    @property
    def usage(self) -> Usage | None:
        """What the stream has said that it used; None if it has not."""
        if not self._usage:
            return None
        return usage_of(self._dialect, {"usageMetadata" if self._dialect == "gemini" else "usage": self._usage})

    @property
    def estimated_output_tokens(self) -> int:
        """Of the text so far, for a stream that breaks before it says."""
        return -(-self._text_characters // _CHARACTERS_PER_TOKEN)

    def _read(self, event: bytes) -> bool:
        """Learn from an event. Returns whether it holds nothing but usage."""
        data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
        if not data:
            return False
        if data == b"[DONE]":
            self.finished = True
            return False
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, dict):
            return False
        learn = {"openai": self._openai, "anthropic": self._anthropic, "gemini": self._gemini}[self._dialect]
        return learn(value)

    def _openai(self, value: dict[str, Any]) -> bool:
        if self._route == "responses":
            kind = value.get("type")
            if kind == "response.output_text.delta":
                self._count(value.get("delta"))
            elif kind in ("response.completed", "response.incomplete", "response.failed"):
                response = value.get("response")
                self._keep(response.get("usage") if isinstance(response, dict) else None)
                self.finished, self.failed = True, kind == "response.failed"
            return False
        self.failed = self.failed or "error" in value
        self._keep(value.get("usage"))
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict):
                self._count(delta.get("content") or delta.get("tool_calls") or delta.get("refusal"))
        return choices == [] and isinstance(value.get("usage"), dict)

    def _anthropic(self, value: dict[str, Any]) -> bool:
        kind = value.get("type")
        if kind == "message_start":
            message = value.get("message")
            self._keep(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "content_block_delta":
            delta = value.get("delta")
            if isinstance(delta, dict):
                self._count(delta.get("text") or delta.get("partial_json") or delta.get("thinking"))
        elif kind == "message_delta":
            self._keep(value.get("usage"))
        elif kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self.failed = True
        return False

    def _gemini(self, value: dict[str, Any]) -> bool:
        self.failed = self.failed or "error" in value
        self._keep(value.get("usageMetadata"))
        candidates = value.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            if not isinstance(candidate, dict):
                continue
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in parts if isinstance(parts, list) else ():
                self._count(part.get("text") or part.get("functionCall") if isinstance(part, dict) else None)
            self.finished = self.finished or bool(candidate.get("finishReason"))
        return False

    def _keep(self, usage: Any) -> None:
        """The last value of each count holds: counts in streams are cumulative."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _count(self, content: Any) -> None:
        if content:
            self.saw_token = True
            self._text_characters += len(content) if isinstance(content, str) else len(json.dumps(content))


def _event_end(data: bytes) -> tuple[int, int]:
    """Where the first event ends, and how wide the blank line is; -1 if it has not ended."""
    found = [(place, len(blank)) for blank in (b"\n\n", b"\r\n\r\n", b"\r\r") if (place := data.find(blank)) >= 0]
    return min(found) if found else (-1, 0)
