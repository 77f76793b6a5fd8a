"""API calls of clients: what the gateway must know of them. Fields that it does not know pass through untouched."""

from dataclasses import dataclass, field
from typing import Any, Literal

from live_adapter.protocols.bodies import Body, CallError
from live_adapter.protocols.counting import MOST_DEPTH, Counted, TooDeepError

__all__ = ["DIALECT_OF", "Call", "CallError", "Dialect", "Route", "read_call"]

Dialect = Literal["openai", "anthropic", "gemini"]
Route = Literal["chat/completions", "responses", "embeddings", "messages", "generateContent", "streamGenerateContent", "embedContent"]
DIALECT_OF: dict[str, Dialect] = {
    "chat/completions": "openai", "responses": "openai", "embeddings": "openai", "messages": "anthropic",
    "generateContent": "gemini", "streamGenerateContent": "gemini", "embedContent": "gemini",
}  # fmt: skip
_MOST_TOKENS = 100_000_000
_LONGEST_NAME = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. What it says is not shown where a call is printed.

    `text_bytes` is what the model reads (UTF-8, tools and an allowance for each medium included; `counting` says how), `tool_bytes` the
    JSON among it: tools on offer, their arguments and results, schemas. `most_output_tokens` 0: not said.
    """

    route: Route
    dialect: Dialect
    model: str
    stream: bool
    wants_usage: bool
    most_output_tokens: int
    text_bytes: int
    tool_bytes: int
    images: int
    audios: int
    files: int
    messages: int
    tools: int
    has_code: bool
    content: Body = field(repr=False)

    @property
    def body(self) -> dict[str, Any]:
        """The body's fields."""
        return self.content.fields

    @property
    def raw(self) -> bytes:
        """The body as it came."""
        return self.content.raw


def read_call(route: Route, raw: bytes, model: str = "") -> Call:
    """A call from its path and body; `model` where the path names it. Raises CallError, and nothing else."""
    content = Body(raw)
    body, dialect = content.fields, DIALECT_OF[route]
    name = model or body.get("model")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise CallError("model must be a name, such as forge1-auto")
    stream = body.get("stream", False)
    if not isinstance(stream, bool | None):
        raise CallError("stream must be true or false")
    options = body.get("stream_options")
    if not isinstance(options, dict | None):
        raise CallError("stream_options must be an object, such as {\"include_usage\": true}")
    counted = Counted()
    try:
        counted.take_body(body)
    except TooDeepError:
        raise CallError(f"the body is nested more than {MOST_DEPTH} levels deep") from None
    messages = body.get("messages") or body.get("input") or body.get("contents") or []
    tools = body.get("tools")
    return Call(
        route=route, dialect=dialect, model=name, stream=route == "streamGenerateContent" or stream is True,
        wants_usage=options is not None and options.get("include_usage") is True, most_output_tokens=_most(dialect, body),
        text_bytes=counted.text_bytes, tool_bytes=counted.json_bytes, images=counted.images, audios=counted.audios, files=counted.files,
        messages=len(messages) if isinstance(messages, list) else 1, tools=len(tools) if isinstance(tools, list) else 0,
        has_code=counted.has_code, content=content,
    )  # fmt: skip


def _most(dialect: Dialect, body: dict[str, Any]) -> int:
    """The largest of all that is said, since it is not known which of them the provider obeys."""
    names: tuple[str, ...] = ("max_completion_tokens", "max_output_tokens", "max_tokens")
    config: Any = body
    if dialect == "gemini":
        names = ("maxOutputTokens", "max_output_tokens")
        config = body.get("generationConfig") or body.get("generation_config") or {}
        if not isinstance(config, dict):
            raise CallError("generationConfig must be an object")
    most = 0
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
            raise CallError(f"{name} must be a whole number from 1 to {_MOST_TOKENS:,}")
        most = max(most, value)
    return most
