"""Chats as Anthropic's messages have them (API reference, November 2026)."""

import json
from typing import Any

from live_adapter.protocols.chat import (
    Chat,
    Delta,
    Image,
    Part,
    Reply,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    UntranslatableError,
    demand_known,
    text_of,
)

MOST_TOKENS = 4096              # must be said here; where the client did not
_KNOWN = frozenset((
    "model", "messages", "system", "max_tokens", "temperature", "top_p", "stop_sequences", "tools", "tool_choice", "stream", "metadata",
    "service_tier",
))  # fmt: skip
_ENDED = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filtered": "refusal"}
_ENDS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tools", "refusal": "filtered"}


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    demand_known(body, _KNOWN, "")
    choice = body.get("tool_choice") or {}
    kind = choice.get("type", "auto")
    return Chat(
        system=text_of(body.get("system"), "system"), turns=tuple(_turn(message) for message in body.get("messages") or ()),
        most_tokens=body.get("max_tokens") or 0, temperature=body.get("temperature"), top_p=body.get("top_p"),
        stop=tuple(body.get("stop_sequences") or ()), tools=tuple(_tool(tool) for tool in body.get("tools") or ()),
        tool_choice=str(choice.get("name")) if kind == "tool" else kind, stream=body.get("stream") is True,
    )  # fmt: skip


def _turn(message: dict[str, Any]) -> Turn:
    content = message.get("content")
    parts = (Text(content),) if isinstance(content, str) else tuple(_part(one) for one in content or ())
    return Turn(str(message.get("role")), parts)


def _part(part: dict[str, Any]) -> Part:
    kind = part.get("type")
    if kind == "text":
        return Text(str(part.get("text", "")))
    if kind == "image" and (source := part.get("source") or {}).get("type") == "base64":
        return Image(str(source.get("media_type")), str(source.get("data")))
    if kind == "tool_use":
        return ToolCall(str(part["id"]), str(part["name"]), part.get("input") or {})
    if kind == "tool_result":
        return ToolResult(str(part["tool_use_id"]), text_of(part.get("content"), "messages.content.tool_result"))
    raise UntranslatableError(f"messages.content of type {kind!r} has no counterpart at the provider that was chosen")


def _tool(tool: dict[str, Any]) -> Tool:
    if tool.get("type") not in (None, "custom"):
        raise UntranslatableError(f"tools of type {tool.get('type')!r} have no counterpart at the provider that was chosen")
    return Tool(str(tool["name"]), str(tool.get("description") or ""), tool.get("input_schema") or {"type": "object"})


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider. Turns of one side that follow each other become one, as it asks."""
    messages: list[dict[str, Any]] = []
    for turn in chat.turns:
        content = [_content(part) for part in turn.parts]
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": turn.role, "content": content})
    body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": chat.most_tokens or MOST_TOKENS}
    if chat.system:
        body["system"] = chat.system
    if chat.temperature is not None:
        if chat.temperature > 1:
            raise UntranslatableError(f"temperature {chat.temperature} is above 1, the most that the provider that was chosen takes")
        body["temperature"] = chat.temperature
    if chat.top_p is not None:
        body["top_p"] = chat.top_p
    if chat.stop:
        body["stop_sequences"] = list(chat.stop)
    if chat.tools:
        body["tools"] = [{"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in chat.tools]
        plain = chat.tool_choice in ("auto", "none", "any")
        body["tool_choice"] = {"type": chat.tool_choice} if plain else {"type": "tool", "name": chat.tool_choice}
    if chat.stream:
        body["stream"] = True
    return body


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    return {"type": "tool_result", "tool_use_id": part.id, "content": part.text}


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body."""
    usage, content = body.get("usage") or {}, body.get("content") or ()
    read = usage.get("cache_read_input_tokens") or 0
    return Reply(
        id=str(body.get("id", "")), text="".join(part["text"] for part in content if part.get("type") == "text"),
        calls=tuple(ToolCall(part["id"], part["name"], part.get("input") or {}) for part in content if part.get("type") == "tool_use"),
        ended=_ENDS.get(body.get("stop_reason") or "", "stop"), cached_tokens=read, output_tokens=usage.get("output_tokens", 0),
        input_tokens=usage.get("input_tokens", 0) + read + (usage.get("cache_creation_input_tokens") or 0),
    )  # fmt: skip


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol, which has no time."""
    del now_s
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [_content(call) for call in reply.calls]
    return {
        "id": reply.id, "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": _ENDED[reply.ended],
        "stop_sequence": None, "usage": _usage(reply.input_tokens, reply.cached_tokens, reply.output_tokens),
    }  # fmt: skip


def _usage(input_tokens: int, cached_tokens: int, output_tokens: int) -> dict[str, int]:
    return {"input_tokens": input_tokens - cached_tokens, "cache_read_input_tokens": cached_tokens, "output_tokens": output_tokens}


def read_event(value: dict[str, Any]) -> list[Delta]:
    """Pieces of an answer from one event of a stream."""
    kind = value.get("type")
    if kind == "content_block_start" and (block := value.get("content_block") or {}).get("type") == "tool_use":
        return [Delta(tool=value.get("index", 0), tool_id=block.get("id", ""), tool_name=block.get("name", ""))]
    if kind == "content_block_delta":
        delta = value.get("delta") or {}
        if delta.get("type") == "text_delta":
            return [Delta(text=delta.get("text", ""))]
        if delta.get("type") == "input_json_delta":
            return [Delta(tool=value.get("index", 0), arguments=delta.get("partial_json", ""))]
    if kind == "message_delta" and (reason := (value.get("delta") or {}).get("stop_reason")):
        return [Delta(ended=_ENDS.get(reason, "stop"))]
    return []


class Writer:
    """Writes a stream in this protocol."""

    def __init__(self, model: str, number: str, now_s: int, *, usage: bool) -> None:
        del now_s, usage        # no time here, and usage always
        self._model, self._number = model, number
        self._block, self._open, self._began, self._ended = -1, "", False, "stop"

    def write(self, delta: Delta) -> bytes:
        """The events of a piece."""
        found = b"" if self._began else self._begin()
        if delta.ended:
            self._ended = delta.ended
            return found
        kind = "text" if delta.tool < 0 else f"tool {delta.tool}"
        if kind != self._open and (delta.text or delta.tool_name):
            found += self._close() + self._start(kind, delta)
        if delta.text:
            found += self._piece({"type": "text_delta", "text": delta.text})
        if delta.arguments:
            found += self._piece({"type": "input_json_delta", "partial_json": delta.arguments})
        return found

    def end(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> bytes:
        """What closes the stream."""
        found = (b"" if self._began else self._begin()) + self._close()
        usage = _usage(input_tokens, cached_tokens, output_tokens)
        found += _event("message_delta", {"delta": {"stop_reason": _ENDED[self._ended], "stop_sequence": None}, "usage": usage})
        return found + _event("message_stop", {})

    def _begin(self) -> bytes:
        self._began = True
        message: dict[str, Any] = {"id": f"msg_{self._number}", "type": "message", "role": "assistant", "model": self._model, "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 0, "output_tokens": 0}}  # fmt: skip
        return _event("message_start", {"message": message})

    def _start(self, kind: str, delta: Delta) -> bytes:
        self._block, self._open = self._block + 1, kind
        block: dict[str, Any] = {"type": "text", "text": ""}
        if delta.tool >= 0:
            block = {"type": "tool_use", "id": delta.tool_id, "name": delta.tool_name, "input": {}}
        return _event("content_block_start", {"index": self._block, "content_block": block})

    def _piece(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._block, "delta": delta})

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", {"index": self._block})


def _event(kind: str, value: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **value}, separators=(',', ':'))}\n\n".encode()
