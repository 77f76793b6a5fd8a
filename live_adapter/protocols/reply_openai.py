"""Answers to chats as OpenAI's chat completions have them, whole and as streams (API reference, November 2026)."""

import json
from typing import Any

from live_adapter.protocols.chat import Delta, Reply, UntranslatableError, object_in, objects_in, string_in
from live_adapter.protocols.chat_openai import read_tool_call, write_tool_call
from live_adapter.protocols.usage import Usage, usage_of

_ENDED = {"stop": "stop", "length": "length", "tools": "tool_calls", "filtered": "content_filter"}
_ENDS = {"stop": "stop", "length": "length", "tool_calls": "tools", "function_call": "tools", "content_filter": "filtered"}


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body. Raises UntranslatableError if it is not what the protocol says."""
    choices = objects_in(body, "choices", "")
    if not choices:
        raise UntranslatableError("choices must have one")
    message = object_in(choices[0], "message", "choices.0.")
    calls = [read_tool_call(call, f"tool_calls.{number}.") for number, call in enumerate(objects_in(message, "tool_calls", "message."))]
    refusal = string_in(message, "refusal", "message.", "")
    return Reply(
        id=string_in(body, "id", "", ""), text=string_in(message, "content", "message.", "") or refusal,
        calls=tuple(calls), ended=_end(choices[0], filtered=bool(refusal)), usage=usage_of("openai", body) or Usage(),
    )  # fmt: skip


def _end(choice: dict[str, Any], *, filtered: bool) -> str:
    return "filtered" if filtered else _ENDS.get(str(choice.get("finish_reason")), "stop")


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [write_tool_call(call) for call in reply.calls]
    return {
        "id": reply.id, "object": "chat.completion", "created": now_s, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _ENDED[reply.ended]}],
        "usage": _usage(reply.usage),
    }  # fmt: skip


def _usage(used: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input_tokens, "completion_tokens": used.output_tokens, "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens, "cache_write_tokens": used.cache_write_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }  # fmt: skip


class Reader:
    """Reads the events of a stream in this protocol."""

    def __init__(self) -> None:
        self._refused = False

    def read(self, value: dict[str, Any]) -> list[Delta]:
        """Pieces of an answer. Raises UntranslatableError."""
        found: list[Delta] = []
        for choice in objects_in(value, "choices", "")[:1]:
            delta = object_in(choice, "delta", "choices.0.")
            refusal = string_in(delta, "refusal", "delta.", "")
            self._refused = self._refused or bool(refusal)
            if text := string_in(delta, "content", "delta.", "") or refusal:
                found.append(Delta(text=text))
            for call in objects_in(delta, "tool_calls", "delta."):
                function, index = object_in(call, "function", "tool_calls."), call.get("index", 0)
                if isinstance(index, bool) or not isinstance(index, int) or index < 0:
                    raise UntranslatableError("tool_calls.index must be a whole number")
                found.append(Delta(
                    tool=index, tool_id=string_in(call, "id", "tool_calls.", ""), tool_name=string_in(function, "name", "function.", ""),
                    arguments=string_in(function, "arguments", "function.", ""),
                ))  # fmt: skip
            if choice.get("finish_reason"):
                found.append(Delta(ended=_end(choice, filtered=self._refused)))
        return found


class Writer:
    """Writes a stream in this protocol."""

    def __init__(self, model: str, number: str, now_s: int, *, usage: bool) -> None:
        self._base = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": now_s, "model": model}
        self._usage, self._began = usage, False

    def write(self, delta: Delta) -> bytes:
        """The events of a piece."""
        said: dict[str, Any] = {} if self._began else {"role": "assistant"}
        self._began = True
        if delta.text:
            said["content"] = delta.text
        if delta.tool >= 0:
            call: dict[str, Any] = {"index": delta.tool, "function": {"arguments": delta.arguments}}
            if delta.tool_name:
                call |= {"id": delta.tool_id, "type": "function"}
                call["function"]["name"] = delta.tool_name
            said["tool_calls"] = [call]
        return self._event({"choices": [{"index": 0, "delta": said, "finish_reason": _ENDED[delta.ended] if delta.ended else None}]})

    def end(self, used: Usage) -> bytes:
        """What closes the stream."""
        last = self._event({"choices": [], "usage": _usage(used)}) if self._usage else b""
        return last + b"data: [DONE]\n\n"

    def _event(self, more: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(self._base | more, separators=(",", ":")).encode() + b"\n\n"
