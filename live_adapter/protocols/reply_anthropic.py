"""Answers to chats as Anthropic's messages have them, whole and as streams (API reference, November 2026)."""

import json
from typing import Any

from live_adapter.protocols.chat import Delta, Reply, ToolCall, UntranslatableError, object_in, objects_in, string_in
from live_adapter.protocols.chat_anthropic import write_part
from live_adapter.protocols.usage import Usage, usage_of

_ENDED = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use", "filtered": "refusal"}
_ENDS = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tools",
    "refusal": "filtered",
}  # fmt: skip
_REASONING = frozenset(("thinking", "redacted_thinking"))


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body. Raises UntranslatableError if it is not what the protocol says."""
    text, calls = "", []
    for number, part in enumerate(objects_in(body, "content", "")):
        where, kind = f"content.{number}.", part.get("type")
        if kind == "text":
            text += string_in(part, "text", where)
        elif kind == "tool_use":
            calls.append(ToolCall(string_in(part, "id", where), string_in(part, "name", where), object_in(part, "input", where)))
        elif kind not in _REASONING:
            raise UntranslatableError(f"{where}type has no counterpart")
    return Reply(
        id=string_in(body, "id", "", ""), text=text, calls=tuple(calls), ended=_ENDS.get(str(body.get("stop_reason")), "stop"),
        usage=usage_of("anthropic", body) or Usage(),
    )  # fmt: skip


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol, which has no time."""
    del now_s
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [write_part(call) for call in reply.calls]
    return {
        "id": reply.id, "type": "message", "role": "assistant", "model": model, "content": content, "stop_reason": _ENDED[reply.ended],
        "stop_sequence": None, "usage": _usage(reply.usage),
    }  # fmt: skip


def _usage(used: Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.input_tokens - used.cached_tokens - used.cache_write_tokens, "cache_read_input_tokens": used.cached_tokens,
        "cache_creation_input_tokens": used.cache_write_tokens, "output_tokens": used.output_tokens,
        "output_tokens_details": {"thinking_tokens": used.reasoning_tokens},
    }  # fmt: skip


class Reader:
    """Reads the events of a stream in this protocol."""

    def __init__(self) -> None:
        self._tools: dict[str, int] = {}        # number of the tool call by that of its block

    def read(self, value: dict[str, Any]) -> list[Delta]:
        """Pieces of an answer. Raises UntranslatableError."""
        kind = value.get("type")
        if kind == "content_block_start":
            return self._start(value)
        if kind == "content_block_delta":
            return self._piece(value)
        if kind == "message_delta" and (reason := object_in(value, "delta", "").get("stop_reason")):
            return [Delta(ended=_ENDS.get(str(reason), "stop"))]
        return []

    def _start(self, value: dict[str, Any]) -> list[Delta]:
        block = object_in(value, "content_block", "")
        if block.get("type") == "tool_use":
            number = self._tools[str(value.get("index"))] = len(self._tools)
            tool_id, name = string_in(block, "id", "content_block."), string_in(block, "name", "content_block.")
            return [Delta(tool=number, tool_id=tool_id, tool_name=name)]
        if block.get("type") == "text":
            text = string_in(block, "text", "content_block.", "")
            return [Delta(text=text)] if text else []
        if block.get("type") not in _REASONING:
            raise UntranslatableError("content_block.type has no counterpart")
        return []

    def _piece(self, value: dict[str, Any]) -> list[Delta]:
        delta = object_in(value, "delta", "")
        if delta.get("type") == "text_delta":
            return [Delta(text=string_in(delta, "text", "delta."))]
        if delta.get("type") == "input_json_delta":
            if str(value.get("index")) not in self._tools:
                raise UntranslatableError("index is not that of a tool")
            return [Delta(tool=self._tools[str(value.get("index"))], arguments=string_in(delta, "partial_json", "delta."))]
        return []


class Writer:
    """Writes a stream in this protocol: one block at a time."""

    def __init__(self, model: str, number: str, now_s: int, *, usage: bool) -> None:
        del now_s, usage        # no time here, and usage always
        self._model, self._number = model, number
        self._block, self._open, self._began, self._ended = -1, "", False, "stop"

    def write(self, delta: Delta) -> bytes:
        """The events of a piece. Raises UntranslatableError for a piece of a block that is closed already."""
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
            if kind != self._open:
                raise UntranslatableError("arguments of a tool that come after the next one has begun")
            found += self._piece({"type": "input_json_delta", "partial_json": delta.arguments})
        return found

    def end(self, used: Usage) -> bytes:
        """What closes the stream."""
        found = (b"" if self._began else self._begin()) + self._close()
        found += _event("message_delta", {"delta": {"stop_reason": _ENDED[self._ended], "stop_sequence": None}, "usage": _usage(used)})
        return found + _event("message_stop", {})

    def _begin(self) -> bytes:
        self._began = True
        # What the input was is known at the end only; the last count holds.
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
