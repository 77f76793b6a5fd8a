"""A call as a provider is to get it: address, headers with the key, body with the model's name there, all else as it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from live_adapter.protocols.calls import Call, Dialect

ANTHROPIC_VERSION = "2023-06-01"
# What a client may tell any provider, and what only its own. Authorization, cookies and host, and what belongs to one connection, stay
# here; so do organisation and project, which are those of the client's own account.
_FORWARDED = frozenset(("accept", "user-agent", "idempotency-key"))
_FORWARDED_TO: dict[Dialect, frozenset[str]] = {
    "openai": frozenset(("openai-beta",)), "anthropic": frozenset(("anthropic-version", "anthropic-beta")), "gemini": frozenset(),
}  # fmt: skip
_FORWARDED_PREFIX = "x-emulate-"        # to the provider emulator; real providers ignore it
_LONGEST_VALUE = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request (POST) to a provider. The key is in `headers`, which therefore are not shown."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def outgoing(call: Call, dialect: Dialect, model: str, key: str, base_url: str, client: Mapping[str, str]) -> Outgoing:
    """The call, which is in this dialect, for a provider at `base_url`. `client` are the client's headers, in lower case.

    Of the body only these change: the model's name, and for a stream of chat completions the wish for usage, without which nothing
    says what it cost (`StreamReader` keeps the chunk from a client that did not ask for it).
    """
    headers = _forwarded(dialect, client) | {"content-type": "application/json"}
    base = base_url.rstrip("/")
    if dialect == "gemini":
        url = f"{base}/v1beta/models/{quote(model, safe='')}:{call.route}"
        changes = {"model": f"models/{model}"} if "model" in call.body else {}
        return Outgoing(
            url=f"{url}?alt=sse" if call.stream else url, headers=headers | {"x-goog-api-key": key}, body=call.content.changed(changes)
        )
    body = call.content.changed(_changes(call, model))
    if dialect == "anthropic":
        return Outgoing(
            url=f"{base}/v1/messages", headers={"anthropic-version": ANTHROPIC_VERSION} | headers | {"x-api-key": key}, body=body
        )
    return Outgoing(url=f"{base}/{call.route}", headers=headers | {"authorization": f"Bearer {key}"}, body=body)


def _forwarded(dialect: Dialect, client: Mapping[str, str]) -> dict[str, str]:
    known = _FORWARDED | _FORWARDED_TO[dialect]
    return {
        name: value for name, value in client.items()
        if (name in known or name.startswith(_FORWARDED_PREFIX)) and value.isprintable() and len(value) <= _LONGEST_VALUE
    }  # fmt: skip


def _changes(call: Call, model: str) -> dict[str, Any]:
    changes: dict[str, Any] = {} if call.body.get("model") == model else {"model": model}
    if call.route == "chat/completions" and call.stream and not call.wants_usage:
        changes["stream_options"] = (call.body.get("stream_options") or {}) | {"include_usage": True}
    return changes
