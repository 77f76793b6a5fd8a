"""Calls as they come in: which protocol, path and model, how much of everything."""

import json
from dataclasses import dataclass
from typing import Any

from provider_emulator.accounts import CHARACTERS_PER_TOKEN, Asked


class BadCallError(Exception):
    """A body that the provider refuses with 400."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call: its path's last word, whether it streams, whether usage is wanted at the end of the stream."""

    path: str
    asked: Asked
    stream: bool
    usage: bool


def key_of(headers: Any, query: Any) -> str:
    """The key that a call brings, in any of the ways of the three protocols; empty for none."""
    bearer = headers.get("authorization", "")
    if bearer.lower().startswith("bearer "):
        return str(bearer[7:]).strip()
    return str(headers.get("x-api-key") or headers.get("x-goog-api-key") or query.get("key") or "")


def read_call(protocol: str, path: str, headers: Any, raw: bytes, model: str = "") -> Incoming:
    """A call from its body. Raises BadCallError."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise BadCallError("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise BadCallError("The body must be an object.")
    name = model or body.get("model")
    if not isinstance(name, str) or not name:
        raise BadCallError("you must provide a model parameter")
    asked = Asked(
        model=name, input_tokens=_number(headers, "x-emulate-input-tokens") or max(1, -(-_characters(body) // CHARACTERS_PER_TOKEN)),
        most_output_tokens=0 if path == "embeddings" else _most(protocol, body), output_tokens=_output(path, headers),
        service_s=_seconds(headers, "x-emulate-service-s"), seed=headers.get("x-emulate-seed", ""),
    )  # fmt: skip
    options = body.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return Incoming(path, asked, path == "streamGenerateContent" or body.get("stream") is True, usage)


def _output(path: str, headers: Any) -> int | None:
    return 0 if path in ("embeddings", "embedContent") else _number(headers, "x-emulate-output-tokens")


def _most(protocol: str, body: dict[str, Any]) -> int:
    if protocol == "gemini":
        config = body.get("generationConfig")
        value = config.get("maxOutputTokens") if isinstance(config, dict) else None
    else:
        value = next((body[name] for name in ("max_completion_tokens", "max_output_tokens", "max_tokens") if body.get(name)), None)
    if protocol == "anthropic" and value is None:
        raise BadCallError("max_tokens: Field required")
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadCallError("max_tokens: must be a whole number of at least 1")
    return value


def _characters(value: Any) -> int:
    """Of all text in the parts that a model reads."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    if isinstance(value, dict):
        return sum(_characters(item) for name, item in value.items() if name not in ("model", "role", "type"))
    return 0


def _number(headers: Any, name: str) -> int | None:
    value = headers.get(name)
    return int(value) if value is not None and value.isdigit() else None


def _seconds(headers: Any, name: str) -> float | None:
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None
