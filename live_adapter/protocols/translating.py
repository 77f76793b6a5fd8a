"""A chat of one protocol served by a provider of another: the call there, the answer back, whole or as it comes."""

import json
from dataclasses import replace
from types import ModuleType

from live_adapter.protocols import chat_anthropic, chat_gemini, chat_openai, reply_anthropic, reply_gemini, reply_openai
from live_adapter.protocols.bodies import Body
from live_adapter.protocols.calls import Call, Dialect, Route
from live_adapter.protocols.chat import UntranslatableError
from live_adapter.protocols.errors import error_event
from live_adapter.protocols.events import Events, data_of
from live_adapter.protocols.usage import Usage

_CHATS: dict[Dialect, ModuleType] = {"openai": chat_openai, "anthropic": chat_anthropic, "gemini": chat_gemini}
_REPLIES: dict[Dialect, ModuleType] = {"openai": reply_openai, "anthropic": reply_anthropic, "gemini": reply_gemini}
_ROUTES: dict[Dialect, Route] = {"openai": "chat/completions", "anthropic": "messages", "gemini": "generateContent"}
_CHAT_ROUTES = frozenset(("chat/completions", "messages", "generateContent", "streamGenerateContent"))


def translated(call: Call, dialect: Dialect, model: str) -> Call:
    """The call as a provider of this dialect takes it. Raises UntranslatableError naming the field that has no counterpart."""
    if call.route not in _CHAT_ROUTES:
        raise UntranslatableError(f"{call.route} is not served by the provider that was chosen; name a model of yours")
    chat = replace(_CHATS[call.dialect].read_chat(call.body), stream=call.stream)
    body = _CHATS[dialect].write_chat(chat, model)
    route: Route = "streamGenerateContent" if dialect == "gemini" and call.stream else _ROUTES[dialect]
    return replace(call, route=route, dialect=dialect, model=model, wants_usage=True, content=Body(json.dumps(body).encode()))


def answer_back(body: bytes, call: Call, dialect: Dialect, model: str, now_s: int) -> bytes:
    """A provider's answer in the protocol of the call; `now_s` since the epoch. Raises ValueError if it is not what its protocol says."""
    try:
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("the answer must be a JSON object")
        reply = _REPLIES[dialect].read_reply(answer)
    except (UntranslatableError, RecursionError) as error:
        raise ValueError(f"the answer: {error}") from None
    return json.dumps(_REPLIES[call.dialect].write_reply(reply, model, now_s)).encode()


class StreamBack:
    """A provider's stream in the protocol of the call, event by event.

    `failed` is true after an event that is not what the provider's protocol says: from there on nothing comes but, in place of a clean
    end, an error.
    """

    def __init__(self, call: Call, dialect: Dialect, model: str, number: str, now_s: int) -> None:
        self._dialect, self._events = call.dialect, Events()
        self._reader = _REPLIES[dialect].Reader()
        self._writer = _REPLIES[call.dialect].Writer(model, number, now_s, usage=call.wants_usage)
        self.failed = False

    def feed(self, chunk: bytes) -> bytes:
        """Bytes of the provider's, however they are split, become events of the client's."""
        return b"".join(self._event(event, whole=whole) for event, whole in self._events.feed(chunk))

    def end(self, used: Usage) -> bytes:
        """What closes the stream."""
        rest, whole = self._events.rest()
        last = self._event(rest, whole=whole)
        if self.failed:
            return last + error_event(self._dialect, "stream_broken", "the provider's stream is not what its protocol says")
        return last + bytes(self._writer.end(used))

    def _event(self, event: bytes, *, whole: bool) -> bytes:
        self.failed = self.failed or not whole
        data = data_of(event).strip()
        if self.failed or not data or data == b"[DONE]":
            return b""
        try:
            value = json.loads(data)
            return b"".join(self._writer.write(delta) for delta in self._reader.read(value)) if isinstance(value, dict) else b""
        except (ValueError, RecursionError, UntranslatableError):
            self.failed = True
            return b""
