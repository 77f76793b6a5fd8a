"""A call as a provider is to get it: address, headers with the key, body with the model's name there, all else as it came."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from live_adapter.protocols.calls import Call, Dialect

ANTHROPIC_VERSION = "2023-06-01"
# What a client may tell the provider. Its authorization, cookies and host, and what belongs to one connection, stay here.
_FORWARDED = frozenset(("accept", "user-agent", "openai-beta", "anthropic-version", "anthropic-beta", "idempotency-key"))
_FORWARDED_PREFIX = "x-emulate-"        # to the provider emulator; real providers ignore it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request to a provider. The key is in `headers`, which therefore are not shown."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def outgoing(call: Call, dialect: Dialect, model: str, key: str, base_url: str, client: Mapping[str, str]) -> Outgoing:
    """The call, which is in this dialect, for a provider at `base_url`. `client` are the client's headers, in lower case."""
    headers = {
        name: value for name, value in client.items()
        if (name in _FORWARDED or name.startswith(_FORWARDED_PREFIX)) and value.isprintable()
    } | {"content-type": "application/json"}  # fmt: skip
    base = base_url.rstrip("/")
    if dialect == "gemini":
        url = f"{base}/v1beta/models/{quote(model, safe='')}:{call.route}"
        return Outgoing(url=f"{url}?alt=sse" if call.stream else url, headers=headers | {"x-goog-api-key": key}, body=call.raw)
    if dialect == "anthropic":
        headers = {"anthropic-version": ANTHROPIC_VERSION} | headers | {"x-api-key": key}
        return Outgoing(url=f"{base}/v1/messages", headers=headers, body=_body(call, model))
    return Outgoing(url=f"{base}/{call.route}", headers=headers | {"authorization": f"Bearer {key}"}, body=_body(call, model))


def _body(call: Call, model: str) -> bytes:
    """As it came where nothing in it has to change."""
    changed: dict[str, Any] = {} if call.body.get("model") == model else {"model": model}
    if call.route == "chat/completions" and call.stream and not call.wants_usage:
        options = call.body.get("stream_options")
        changed["stream_options"] = (options if isinstance(options, dict) else {}) | {"include_usage": True}
    return json.dumps({**call.body, **changed}, separators=(",", ":")).encode() if changed else call.raw
