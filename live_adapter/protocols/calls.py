"""API calls of clients: what the gateway must know of them. Fields that it does not know pass through untouched."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from live_adapter.errors import LiveError

Dialect = Literal["openai", "anthropic", "gemini"]
Route = Literal["chat/completions", "responses", "embeddings", "messages", "generateContent", "streamGenerateContent", "embedContent"]
DIALECT_OF: dict[str, Dialect] = {
    "chat/completions": "openai", "responses": "openai", "embeddings": "openai", "messages": "anthropic",
    "generateContent": "gemini", "streamGenerateContent": "gemini", "embedContent": "gemini",
}  # fmt: skip
_MOST_DEPTH = 64
_MOST_TOKENS = 100_000_000
# Text that a model reads stands in any field but these: names, ids and settings.
_NOT_READ = frozenset((
    "model", "role", "type", "id", "tool_call_id", "tool_use_id", "mime_type", "mimeType", "media_type", "detail", "name", "metadata",
    "user", "stream", "cache_control", "service_tier", "generationConfig", "stream_options", "response_format", "safetySettings",
))  # fmt: skip
_BINARY = frozenset(("data", "image_url", "url", "input_audio", "file_data", "inline_data", "inlineData"))
_IMAGE_BYTES = 3_400        # about 850 tokens, what a square of 800 pixels is charged (Anthropic, Vision: width * height / 750)


class CallError(LiveError):
    """A call that no provider would take: says which field is wrong, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `raw` is its body as it came, `body` the same as an object.

    `text_bytes` counts text that the model reads (UTF-8), with an allowance for each image or file. `most_output_tokens` 0: not said.
    """

    route: Route
    dialect: Dialect
    model: str
    stream: bool
    wants_usage: bool
    most_output_tokens: int
    text_bytes: int
    messages: int
    tools: int
    has_code: bool
    raw: bytes
    body: dict[str, Any]


def read_call(route: Route, raw: bytes, model: str = "") -> Call:
    """A call from its path and body; `model` where the path names it. Raises CallError, and nothing else."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise CallError("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise CallError("the body must be a JSON object")
    dialect = DIALECT_OF[route]
    name = model or body.get("model")
    if not isinstance(name, str) or not 0 < len(name) <= 300:
        raise CallError("model must be a name, such as forge1-auto")
    stream = body.get("stream", False)
    if not isinstance(stream, bool | None):
        raise CallError("stream must be true or false")
    options = body.get("stream_options")
    counted = _Counted()
    counted.take(body, 0)
    messages = body.get("messages") or body.get("input") or body.get("contents") or []
    return Call(
        route=route, dialect=dialect, model=name, stream=route == "streamGenerateContent" or stream is True,
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True, most_output_tokens=_most(dialect, body),
        text_bytes=counted.text_bytes, messages=len(messages) if isinstance(messages, list) else 1, tools=_tools(body),
        has_code=counted.has_code, raw=raw, body=body,
    )  # fmt: skip


def _most(dialect: Dialect, body: dict[str, Any]) -> int:
    config = body.get("generationConfig") if dialect == "gemini" else body
    if not isinstance(config, dict):
        return 0
    for name in ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens"):
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
            raise CallError(f"{name} must be a whole number from 1 to {_MOST_TOKENS:,}")
        return value
    return 0


def _tools(body: dict[str, Any]) -> int:
    tools = body.get("tools")
    return len(tools) if isinstance(tools, list) else 0


class _Counted:
    """Bytes of text in a body, and whether there is code among it."""

    def __init__(self) -> None:
        self.text_bytes, self.has_code = 0, False

    def take(self, value: Any, depth: int) -> None:
        """Count what a value holds. Raises CallError for one that is nested too deep."""
        if depth > _MOST_DEPTH:
            raise CallError(f"the body is nested more than {_MOST_DEPTH} levels deep")
        if isinstance(value, str):
            self.text_bytes += len(value.encode("utf-8", "surrogatepass"))
            self.has_code = self.has_code or "```" in value
        elif isinstance(value, list):
            for item in value:
                self.take(item, depth + 1)
        elif isinstance(value, dict):
            for name, item in value.items():
                if name in _BINARY:
                    self.text_bytes += _IMAGE_BYTES
                elif name not in _NOT_READ:
                    self.take(item, depth + 1)
