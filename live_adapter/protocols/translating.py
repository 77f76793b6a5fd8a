"""A chat of one protocol served by a provider of another: the call there, the answer back, whole or as it comes."""

import json
from dataclasses import replace
from typing import Any

from live_adapter.protocols import chat_anthropic, chat_gemini, chat_openai
from live_adapter.protocols.bodies import Body
from live_adapter.protocols.calls import Call, Dialect, Route
from live_adapter.protocols.chat import UntranslatableError
from live_adapter.protocols.usage import Usage

_CHATS: dict[Dialect, Any] = {"openai": chat_openai, "anthropic": chat_anthropic, "gemini": chat_gemini}
_ROUTES: dict[Dialect, Route] = {"openai": "chat/completions", "anthropic": "messages", "gemini": "generateContent"}
_CHAT_ROUTES = frozenset(("chat/completions", "messages", "generateContent", "streamGenerateContent"))


def translated(call: Call, dialect: Dialect, model: str) -> Call:
    """The call as a provider of this dialect takes it. Raises UntranslatableError naming the field that has no counterpart."""
    if call.route not in _CHAT_ROUTES:
        raise UntranslatableError(f"{call.route} is not served by the provider that was chosen; name a model of yours")
    try:
        chat = _CHATS[call.dialect].read_chat(call.body)
        body = _CHATS[dialect].write_chat(chat, model)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UntranslatableError(f"the call is not what its protocol says ({type(error).__name__} at {error})") from None
    route: Route = "streamGenerateContent" if dialect == "gemini" and call.stream else _ROUTES[dialect]
    return replace(call, route=route, dialect=dialect, model=model, wants_usage=True, content=Body(json.dumps(body).encode()))


def answer_back(body: bytes, call: Call, dialect: Dialect, model: str, now_s: int) -> bytes:
    """A provider's answer in the protocol of the call; `now_s` since the epoch. Raises ValueError if it is not what its protocol says."""
    try:
        reply = _CHATS[dialect].read_reply(json.loads(body))
        return json.dumps(_CHATS[call.dialect].write_reply(reply, model, now_s)).encode()
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{type(error).__name__} at {error}") from None


class StreamBack:
    """A provider's stream in the protocol of the call, event by event."""

    def __init__(self, call: Call, dialect: Dialect, model: str, number: str, now_s: int) -> None:
        self._read = _CHATS[dialect].read_event
        self._writer = _CHATS[call.dialect].Writer(model, number, now_s, usage=call.wants_usage)

    def feed(self, events: bytes) -> bytes:
        """Whole events, as `StreamReader.feed` gives them, become events of the client's."""
        found = []
        for line in events.splitlines():
            if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
                continue
            try:
                value = json.loads(line[5:])
                found += [self._writer.write(delta) for delta in self._read(value)] if isinstance(value, dict) else []
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                continue
        return b"".join(found)

    def end(self, used: Usage) -> bytes:
        """What closes the stream."""
        return bytes(self._writer.end(used.input_tokens, used.cached_tokens, used.output_tokens))
