"""Calls as they come in: which protocol, path and model, how much of everything."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider_emulator.accounts import Asked
from provider_emulator.config import LONGEST_S, MOST_TOKENS

CHARACTERS_PER_TOKEN = 4
MOST_INPUTS = 2048      # texts of one call for embeddings (OpenAI API reference, 2026-11)
_EMBEDDING = frozenset(("embeddings", "embedContent"))
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_READ = {
    "chat/completions": "messages", "messages": "messages", "responses": "input", "embeddings": "input", "embedContent": "content",
    "generateContent": "contents", "streamGenerateContent": "contents",
}  # fmt: skip
_NOT_READ = frozenset(("model", "role", "type", "stream_options", "metadata", "user", "encoding_format", "mime_type", "mimeType"))


class BadCallError(Exception):
    """A body that the provider refuses with 400; `field` is what it is about."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call: its path's last word, what it asks, its body, whether it streams and whether usage is wanted at the end of the stream."""

    path: str
    asked: Asked
    body: dict[str, Any]
    stream: bool
    usage: bool


def key_of(headers: Mapping[str, str]) -> str:
    """The key that a call brings in a header, in any of the ways of the three protocols; empty for none."""
    bearer = headers.get("authorization", "")
    if bearer[:7].lower() == "bearer ":
        return bearer[7:].strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or ""


def read_call(protocol: str, path: str, headers: Mapping[str, str], raw: bytes, model: str = "") -> Incoming:
    """A call from its body. Tokens of input are its text's characters by 4, rounded up, unless a header says. Raises BadCallError."""
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise BadCallError("The body must be an object.")
        input_tokens = max(1, _tokens(body, path))
    except (ValueError, RecursionError):
        raise BadCallError("We could not parse the JSON body of your request.") from None
    name = model or body.get("model")
    if not isinstance(name, str) or not name:
        raise BadCallError("you must provide a model parameter", "model")
    if not body.get(_READ[path]):
        raise BadCallError(f"{_READ[path]}: Field required", _READ[path])
    if protocol == "anthropic" and "anthropic-version" not in headers:
        raise BadCallError("anthropic-version: header is required")
    embeds = path in _EMBEDDING
    asked = Asked(
        model=name, input_tokens=_told_tokens(headers, "x-emulate-input-tokens") or input_tokens,
        most_output_tokens=0 if embeds else _most(protocol, body),
        output_tokens=0 if embeds else _told_tokens(headers, "x-emulate-output-tokens"),
        service_s=_told_s(headers, "x-emulate-service-s"), seed=headers.get("x-emulate-seed", ""),
    )  # fmt: skip
    options = body.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return Incoming(path, asked, body, path == "streamGenerateContent" or (body.get("stream") is True and not embeds), usage)


def _most(protocol: str, body: dict[str, Any]) -> int | None:
    if protocol == "gemini":
        config = body.get("generationConfig")
        name, value = "maxOutputTokens", config.get("maxOutputTokens") if isinstance(config, dict) else None
    else:
        name = next((name for name in _MOST if body.get(name) is not None), "max_tokens")
        value = body.get(name)
    if protocol == "anthropic" and value is None:
        raise BadCallError("max_tokens: Field required", "max_tokens")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadCallError(f"{name}: must be a whole number of at least 1", name)
    return value


def _tokens(body: dict[str, Any], path: str) -> int:
    """Of what a model reads; for embeddings it may come as tokens already."""
    if path != "embeddings":
        return -(-_characters(body) // CHARACTERS_PER_TOKEN)
    given = body.get("input")
    inputs: list[Any] = given if isinstance(given, list) else [given]
    if all(_is_token(one) for one in inputs):
        return len(inputs)
    if len(inputs) > MOST_INPUTS or not all(isinstance(one, str) or _is_tokens(one) for one in inputs):
        raise BadCallError(f"input: must be a text, tokens, or up to {MOST_INPUTS} of either", "input")
    return sum(-(-len(one) // CHARACTERS_PER_TOKEN) if isinstance(one, str) else len(one) for one in inputs)


def _is_token(value: Any) -> bool:
    return type(value) is int       # true and false are none


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and all(_is_token(one) for one in value)


def _characters(value: Any) -> int:
    """Of all text in the parts that a model reads."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum([_characters(item) for item in value])
    if isinstance(value, dict):
        return sum([_characters(item) for name, item in value.items() if name not in _NOT_READ])
    return 0


def _told_tokens(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 8 and int(value) <= MOST_TOKENS):
        raise BadCallError(f"{name}: must be a whole number up to {MOST_TOKENS}", name)
    return int(value)


def _told_s(headers: Mapping[str, str], name: str) -> float | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST_S:
        raise BadCallError(f"{name}: must be seconds from 0 to {LONGEST_S:.0f}", name)
    return seconds
