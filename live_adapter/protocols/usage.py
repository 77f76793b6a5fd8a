"""Token usage, from whole answers and from streams as they pass.

Sources: OpenAI API reference (usage of chat completions, responses and embeddings; events of their streams), Anthropic API reference
(usage; input_tokens leaves out what was read from or written to the cache), Gemini API reference (UsageMetadata); November 2026.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from live_adapter.protocols.calls import Call, Dialect
from live_adapter.protocols.events import Events, data_of

_MOST_TOKENS = 1_000_000_000
_BYTES_PER_TOKEN = 4
_LAST_RESPONSE_EVENTS = frozenset(("response.completed", "response.incomplete", "response.failed"))


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
        return _usage(
            _whole(found, "input_tokens") + read + written, read, written, _whole(found, "output_tokens"),
            _whole(found.get("output_tokens_details"), "thinking_tokens"),
        )  # fmt: skip
    first = "input_tokens" if "input_tokens" in found else "prompt_tokens"
    last = "output_tokens" if "output_tokens" in found else "completion_tokens"
    details = found.get(f"{first}_details")
    return _usage(
        _whole(found, first), _whole(details, "cached_tokens"), _whole(details, "cache_write_tokens"), _whole(found, last),
        _whole(found.get(f"{last}_details"), "reasoning_tokens"),
    )  # fmt: skip


def _gemini(found: Any) -> Usage | None:
    if not isinstance(found, dict):
        return None
    thoughts = _whole(found, "thoughtsTokenCount")
    return _usage(
        _whole(found, "promptTokenCount") + _whole(found, "toolUsePromptTokenCount"), _whole(found, "cachedContentTokenCount"), 0,
        _whole(found, "candidatesTokenCount") + thoughts, thoughts,
    )  # fmt: skip


def _usage(input_tokens: int, cached: int, written: int, output_tokens: int, reasoning: int) -> Usage:
    """A part is never more than what it is part of, whatever is said."""
    cached = min(cached, input_tokens)
    return Usage(
        input_tokens=input_tokens, cached_tokens=cached, cache_write_tokens=min(written, input_tokens - cached),
        output_tokens=output_tokens, reasoning_tokens=min(reasoning, output_tokens),
    )  # fmt: skip


def _whole(table: Any, name: str) -> int:
    value = table.get(name) if isinstance(table, dict) else None
    return min(max(value, 0), _MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) else 0


class StreamReader:
    """Reads server-sent events while they pass. What it returns is for the client: all of it, but for a usage chunk not asked for.

    `saw_token` is true from the first content on, `finished` after the end that the protocol has, `error` is the data of an event that
    tells of a failure (`refusing.classify_event` knows its class).
    """

    def __init__(self, call: Call, dialect: Dialect) -> None:
        self._dialect, self._route = dialect, call.route
        self._hides_usage = dialect == "openai" and call.route == "chat/completions" and not call.wants_usage
        self._events = Events()
        self._said: dict[str, Any] = {}
        self._text_bytes = 0
        self.saw_token = self.finished = False
        self.error = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take in bytes, however they are split; returns those to pass on, in whole events."""
        return b"".join(event for event, whole in self._events.feed(chunk) if not (whole and self._read(event)))

    def rest(self) -> bytes:
        """What came after the last whole event."""
        rest, whole = self._events.rest()
        return b"" if whole and rest and self._read(rest) else rest

    @property
    def failed(self) -> bool:
        """Whether the stream has told of a failure."""
        return bool(self.error)

    @property
    def usage(self) -> Usage | None:
        """What the stream has said that it used; None if it has not. Up to its end, output is at least what was seen of it."""
        said = self._usage_said
        if said is None or self.finished:
            return said
        return replace(said, output_tokens=self.estimated_output_tokens)

    @property
    def estimated_output_tokens(self) -> int:
        """For a stream that breaks before it says: a token for each 4 bytes (UTF-8) of content so far, rounded up, and not less than said.

        Assumption: as for input (`policies.estimators`). Reasoning that is not shown is not seen.
        """
        said = self._usage_said
        return max(said.output_tokens if said is not None else 0, -(-self._text_bytes // _BYTES_PER_TOKEN))

    @property
    def _usage_said(self) -> Usage | None:
        return usage_of(self._dialect, {"usageMetadata" if self._dialect == "gemini" else "usage": self._said}) if self._said else None

    def _read(self, event: bytes) -> bool:
        """Learn from an event. Returns whether it is to be kept from the client."""
        data = data_of(event)
        if not data:
            return False
        if data.strip() == b"[DONE]":
            self.finished = True
            return False
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(value, dict):
            return False
        if value.get("error") or value.get("type") in ("error", "response.failed"):
            self.error = self.error or data
        if self._dialect == "anthropic":
            self._read_anthropic(value)
        elif self._dialect == "gemini":
            self._read_gemini(value)
        elif self._route == "responses":
            self._read_response(value)
        else:
            return self._read_chunk(value) and self._hides_usage
        return False

    def _read_chunk(self, value: dict[str, Any]) -> bool:
        """A chunk of a chat completion. Returns whether it holds nothing but usage."""
        self._keep(value.get("usage"))
        choices = value.get("choices")
        for choice in _objects(choices):
            delta = _object(choice.get("delta"))
            for name in ("content", "refusal", "tool_calls", "function_call", "reasoning_content", "audio"):
                self._count(delta.get(name))
        return choices == [] and isinstance(value.get("usage"), dict)

    def _read_response(self, value: dict[str, Any]) -> None:
        kind = str(value.get("type"))
        if kind.endswith(".delta"):
            self._count(value.get("delta"))
        elif kind in _LAST_RESPONSE_EVENTS:
            self._keep(_object(value.get("response")).get("usage"))
            self.finished = True

    def _read_anthropic(self, value: dict[str, Any]) -> None:
        kind = value.get("type")
        if kind == "message_start":
            self._keep(_object(value.get("message")).get("usage"))
        elif kind == "content_block_start":
            self._count(_object(value.get("content_block")).get("name"))
        elif kind == "content_block_delta":
            delta = _object(value.get("delta"))
            for name in ("text", "partial_json", "thinking"):
                self._count(delta.get(name))
        elif kind == "message_delta":
            self._keep(value.get("usage"))
        elif kind == "message_stop":
            self.finished = True

    def _read_gemini(self, value: dict[str, Any]) -> None:
        self._keep(value.get("usageMetadata"))
        for candidate in _objects(value.get("candidates")):
            for part in _objects(_object(candidate.get("content")).get("parts")):
                for name in ("text", "functionCall", "inlineData", "executableCode"):
                    self._count(part.get(name))
            self.finished = self.finished or bool(candidate.get("finishReason"))
        self.finished = self.finished or bool(_object(value.get("promptFeedback")).get("blockReason"))

    def _keep(self, usage: Any) -> None:
        """The last value of each count holds: counts in streams are cumulative."""
        if isinstance(usage, dict):
            self._said |= {name: value for name, value in usage.items() if value is not None}

    def _count(self, content: Any) -> None:
        if content:
            self.saw_token = True
            text = content if isinstance(content, str) else json.dumps(content)
            self._text_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
