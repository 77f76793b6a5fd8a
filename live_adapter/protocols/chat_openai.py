"""Chats as OpenAI's chat completions have them (API reference, November 2026)."""

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

_KNOWN = frozenset((
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools", "tool_choice", "stream",
    "stream_options", "user", "metadata", "store", "parallel_tool_calls", "service_tier", "safety_identifier", "prompt_cache_key",
))  # fmt: skip
_ENDED = {"stop": "stop", "length": "length", "tools": "tool_calls", "filtered": "content_filter"}
_ENDS = {"stop": "stop", "length": "length", "tool_calls": "tools", "function_call": "tools", "content_filter": "filtered"}


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    if body.get("n") not in (None, 1):
        raise UntranslatableError("n above 1 has no counterpart at the provider that was chosen")
    demand_known({name: value for name, value in body.items() if name != "n"}, _KNOWN, "")
    system, turns = [], []
    for message in body.get("messages") or ():
        if message.get("role") in ("system", "developer"):
            system.append(text_of(message.get("content"), "messages.content"))
        else:
            turns.append(_turn(message))
    stop = body.get("stop")
    return Chat(
        system="\n\n".join(system), turns=tuple(turns), most_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 0,
        temperature=body.get("temperature"), top_p=body.get("top_p"), stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        tools=tuple(_tool(tool) for tool in body.get("tools") or ()), tool_choice=_choice(body.get("tool_choice")),
        stream=body.get("stream") is True,
    )  # fmt: skip


def _turn(message: dict[str, Any]) -> Turn:
    role = message.get("role")
    if role == "tool":
        return Turn("user", (ToolResult(str(message.get("tool_call_id")), text_of(message.get("content"), "messages.content")),))
    if role not in ("user", "assistant"):
        raise UntranslatableError(f"messages.role {role!r} is none of system, developer, user, assistant, tool")
    content = message.get("content")
    parts: list[Part] = [Text(content)] if isinstance(content, str) and content else []
    parts += [_part(one) for one in content] if isinstance(content, list) else []
    for call in message.get("tool_calls") or ():
        parts.append(ToolCall(str(call["id"]), str(call["function"]["name"]), json.loads(call["function"].get("arguments") or "{}")))
    return Turn(str(role), tuple(parts))


def _part(part: dict[str, Any]) -> Part:
    if part.get("type") == "text":
        return Text(str(part.get("text", "")))
    if part.get("type") == "image_url":
        url = str(part["image_url"].get("url", ""))
        head, _, data = url.partition(",")
        if head.startswith("data:") and head.endswith(";base64"):
            return Image(head[5:-7], data)
        raise UntranslatableError("messages.content.image_url: an address; give the image itself (data:...;base64,...)")
    raise UntranslatableError(f"messages.content of type {part.get('type')!r} has no counterpart at the provider that was chosen")


def _tool(tool: dict[str, Any]) -> Tool:
    if tool.get("type") != "function":
        raise UntranslatableError(f"tools of type {tool.get('type')!r} have no counterpart at the provider that was chosen")
    function = tool["function"]
    return Tool(str(function["name"]), str(function.get("description") or ""), function.get("parameters") or {"type": "object"})


def _choice(choice: Any) -> str:
    if choice is None or isinstance(choice, str):
        return {"required": "any"}.get(choice or "auto", choice or "auto")
    return str(choice["function"]["name"])


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": chat.system}] if chat.system else []
    for turn in chat.turns:
        messages += _messages(turn)
    body: dict[str, Any] = {"model": model, "messages": messages}
    if chat.most_tokens:
        body["max_completion_tokens"] = chat.most_tokens
    body |= {name: value for name, value in (("temperature", chat.temperature), ("top_p", chat.top_p)) if value is not None}
    if chat.stop:
        body["stop"] = list(chat.stop)
    if chat.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema}}
            for tool in chat.tools
        ]  # fmt: skip
        named = {"type": "function", "function": {"name": chat.tool_choice}}
        body["tool_choice"] = {"auto": "auto", "none": "none", "any": "required"}.get(chat.tool_choice, named)
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _messages(turn: Turn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": part.id, "content": part.text} for part in turn.parts if isinstance(part, ToolResult)
    ]
    calls = [
        {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": json.dumps(part.arguments)}}
        for part in turn.parts if isinstance(part, ToolCall)
    ]  # fmt: skip
    content = [_content(part) for part in turn.parts if isinstance(part, Text | Image)]
    if content or calls:
        plain = content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content or None
        found.append({"role": turn.role, "content": plain} | ({"tool_calls": calls} if calls else {}))
    return found


def _content(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body."""
    choice = body["choices"][0]
    message, usage = choice["message"], body.get("usage") or {}
    calls = tuple(
        ToolCall(str(call["id"]), str(call["function"]["name"]), json.loads(call["function"].get("arguments") or "{}"))
        for call in message.get("tool_calls") or ()
    )
    return Reply(
        id=str(body.get("id", "")), text=message.get("content") or "", calls=calls, ended=_ENDS.get(choice.get("finish_reason"), "stop"),
        input_tokens=usage.get("prompt_tokens", 0), output_tokens=usage.get("completion_tokens", 0),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    )  # fmt: skip


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for call in reply.calls
        ]  # fmt: skip
    return {
        "id": reply.id, "object": "chat.completion", "created": now_s, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _ENDED[reply.ended]}],
        "usage": _usage(reply.input_tokens, reply.cached_tokens, reply.output_tokens),
    }  # fmt: skip


def _usage(input_tokens: int, cached_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }  # fmt: skip


def read_event(value: dict[str, Any]) -> list[Delta]:
    """Pieces of an answer from one event of a stream."""
    found = []
    for choice in value.get("choices") or ():
        delta = choice.get("delta") or {}
        if delta.get("content"):
            found.append(Delta(text=delta["content"]))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            found.append(Delta(tool=call.get("index", 0), tool_id=call.get("id") or "", tool_name=function.get("name") or "",
                               arguments=function.get("arguments") or ""))  # fmt: skip
        if choice.get("finish_reason"):
            found.append(Delta(ended=_ENDS.get(choice["finish_reason"], "stop")))
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

    def end(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> bytes:
        """What closes the stream."""
        last = self._event({"choices": [], "usage": _usage(input_tokens, cached_tokens, output_tokens)}) if self._usage else b""
        return last + b"data: [DONE]\n\n"

    def _event(self, more: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(self._base | more, separators=(",", ":")).encode() + b"\n\n"
