"""Calls of chats as OpenAI's chat completions have them (API reference, November 2026)."""

import json
from typing import Any

from live_adapter.protocols.chat import (
    Chat,
    Image,
    ImageAddress,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    UntranslatableError,
    alternating,
    demand_known,
    flag_in,
    object_in,
    objects_in,
    refused,
    settings_in,
    settings_named,
    string_in,
    strings_in,
    texts,
)

_SETTINGS = {name: name for name in ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")}
_LABELS = frozenset(("metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"))
_KNOWN = _LABELS | frozenset(_SETTINGS) | frozenset((
    "model", "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls", "stream",
    "stream_options", "response_format", "user",
))  # fmt: skip
_DEFAULTS = {"n": (1,), "service_tier": ("auto", "default"), "verbosity": ("medium",), "modalities": (["text"],)}
_MESSAGE = frozenset(("role", "content", "tool_calls", "tool_call_id"))
_MOST_STOPS = 4
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    demand_known(body, _KNOWN, "", _DEFAULTS)
    system, turns = [], []
    for number, message in enumerate(objects_in(body, "messages", "")):
        where = f"messages.{number}."
        demand_known(message, _MESSAGE, where)
        if message.get("role") not in ("system", "developer"):
            turns.append(_turn(message, where))
        elif turns:
            raise refused(f"{where}role: a system message among the turns")
        else:
            system.append(_text_of(message, where))
    form = object_in(body, "response_format", "")
    json_only, schema = _form(form)
    return Chat(
        system="\n\n".join(system), turns=alternating(turns), most_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 0,
        settings=settings_in(body, _SETTINGS, ""), stop=strings_in(body, "stop", ""),
        tools=tuple(_tool(tool, f"tools.{number}.") for number, tool in enumerate(objects_in(body, "tools", ""))),
        tool_choice=_choice(body.get("tool_choice")), one_tool_a_turn=not flag_in(body, "parallel_tool_calls", "", default=True),
        json_only=json_only, schema=schema, user=string_in(body, "user", "", ""), stream=body.get("stream") is True,
    )  # fmt: skip


def _form(form: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
    kind = form.get("type", "text")
    if kind == "json_schema":
        schema = object_in(object_in(form, "json_schema", "response_format."), "schema", "response_format.json_schema.")
        if not schema:
            raise UntranslatableError("response_format.json_schema.schema must be an object")
        return True, schema
    if kind not in ("text", "json_object"):
        raise refused("response_format.type")
    return kind == "json_object", None


def _turn(message: dict[str, Any], where: str) -> Turn:
    role = message.get("role")
    if role == "tool":
        return Turn("user", (ToolResult(string_in(message, "tool_call_id", where), _text_of(message, where)),))
    if role not in ("user", "assistant"):
        raise UntranslatableError(f"{where}role must be system, developer, user, assistant or tool")
    content = message.get("content")
    parts: list[Part] = [*texts(content)] if isinstance(content, str) else []
    if not isinstance(content, str | None):
        for number, part in enumerate(objects_in(message, "content", where)):
            parts += _part(part, f"{where}content.{number}.")
    for number, call in enumerate(objects_in(message, "tool_calls", where)):
        parts.append(read_tool_call(call, f"{where}tool_calls.{number}."))
    return Turn(role, tuple(parts))


def _text_of(message: dict[str, Any], where: str) -> str:
    content = message.get("content")
    if isinstance(content, str | None):
        return content or ""
    found = []
    for number, part in enumerate(objects_in(message, "content", where)):
        if part.get("type") != "text":
            raise refused(f"{where}content.{number}.type")
        found.append(string_in(part, "text", f"{where}content.{number}."))
    return "".join(found)


def _part(part: dict[str, Any], where: str) -> tuple[Part, ...]:
    kind = part.get("type")
    if kind == "text":
        demand_known(part, frozenset(("type", "text")), where)
        return texts(string_in(part, "text", where))
    if kind != "image_url":
        raise refused(f"{where}type {str(kind)[:80]!r}")
    image = object_in(part, "image_url", where)
    demand_known(image, frozenset(("url",)), f"{where}image_url.", {"detail": ("auto",)})
    url = string_in(image, "url", f"{where}image_url.")
    head, _, data = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        return (Image(head[5:-7], data),)
    if url.startswith(("https://", "http://")):
        return (ImageAddress(url),)
    raise UntranslatableError(f"{where}image_url.url must be an address, or an image (data:...;base64,...)")


def read_tool_call(call: dict[str, Any], where: str) -> ToolCall:
    """The use of a tool. Raises UntranslatableError."""
    if call.get("type", "function") != "function":
        raise refused(f"{where}type")
    function = object_in(call, "function", where)
    try:
        arguments = json.loads(string_in(function, "arguments", f"{where}function.", "") or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise UntranslatableError(f"{where}function.arguments must be a JSON object")
    return ToolCall(string_in(call, "id", where), string_in(function, "name", f"{where}function."), arguments)


def _tool(tool: dict[str, Any], where: str) -> Tool:
    if tool.get("type") != "function":
        raise refused(f"{where}type {str(tool.get('type'))[:80]!r}")
    function, inner = object_in(tool, "function", where), f"{where}function."
    demand_known(function, frozenset(("name", "description", "parameters", "strict")), inner)
    return Tool(
        string_in(function, "name", inner), string_in(function, "description", inner, ""),
        object_in(function, "parameters", inner) or {"type": "object"}, flag_in(function, "strict", inner),
    )  # fmt: skip


def _choice(choice: Any) -> str:
    if choice is None or (isinstance(choice, str) and choice in _CHOICES):
        return _CHOICES[choice or "auto"]
    if isinstance(choice, dict) and choice.get("type") == "function":
        return "=" + string_in(object_in(choice, "function", "tool_choice."), "name", "tool_choice.function.")
    raise refused("tool_choice")


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider. Raises UntranslatableError for what it has no place for."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": chat.system}] if chat.system else []
    for turn in chat.turns:
        messages += _messages(turn)
    body: dict[str, Any] = {"model": model, "messages": messages} | settings_named(chat, _SETTINGS)
    if chat.most_tokens:
        body["max_completion_tokens"] = chat.most_tokens
    if len(chat.stop) > _MOST_STOPS:
        raise refused(f"more than {_MOST_STOPS} stop sequences")
    if chat.stop:
        body["stop"] = list(chat.stop)
    if chat.tools:
        body |= _tools(chat)
    if chat.json_only:
        body["response_format"] = {"type": "json_object"}
    if chat.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": chat.schema, "strict": True}}
    if chat.user:
        body["user"] = chat.user
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _tools(chat: Chat) -> dict[str, Any]:
    tools = []
    for tool in chat.tools:
        function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
        function |= ({"description": tool.description} if tool.description else {}) | ({"strict": True} if tool.strict else {})
        tools.append({"type": "function", "function": function})
    plain = {ours: theirs for theirs, ours in _CHOICES.items()}
    named = {"type": "function", "function": {"name": chat.tool_choice[1:]}}
    one = {"parallel_tool_calls": False} if chat.one_tool_a_turn else {}
    return {"tools": tools, "tool_choice": plain.get(chat.tool_choice, named)} | one


def _messages(turn: Turn) -> list[dict[str, Any]]:
    """Results of tools come first: here they stand beside what the user says."""
    found: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, ToolResult):
            if part.is_error:
                raise refused("the result of a tool that is marked as an error")
            found.append({"role": "tool", "tool_call_id": part.id, "content": part.text})
    content = [_content(part) for part in turn.parts if isinstance(part, Text | Image | ImageAddress)]
    if turn.role == "assistant" and any(part["type"] != "text" for part in content):
        raise refused("an image of the assistant's")
    calls = [write_tool_call(part) for part in turn.parts if isinstance(part, ToolCall)]
    if content or calls:
        plain = content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content or None
        found.append({"role": turn.role, "content": plain} | ({"tool_calls": calls} if calls else {}))
    return found


def _content(part: Text | Image | ImageAddress) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    url = part.url if isinstance(part, ImageAddress) else f"data:{part.media_type};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def write_tool_call(call: ToolCall) -> dict[str, Any]:
    """The use of a tool, its arguments as text."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
