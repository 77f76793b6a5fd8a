"""Calls of chats as Anthropic's messages have them (API reference, November 2026)."""

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

MOST_TOKENS = 4096              # must be said here; where the client did not
_SETTINGS = {name: name for name in ("temperature", "top_p", "top_k")}
_KNOWN = frozenset(_SETTINGS) | frozenset((
    "model", "messages", "system", "max_tokens", "stop_sequences", "tools", "tool_choice", "stream", "metadata", "output_config",
    "cache_control",
))  # fmt: skip
_DEFAULTS = {"service_tier": ("auto", "standard_only"), "thinking": ({"type": "disabled"},), "speed": ("standard",)}
_FIELDS_OF = {
    "text": frozenset(("type", "text", "cache_control")), "image": frozenset(("type", "source", "cache_control")),
    "tool_use": frozenset(("type", "id", "name", "input", "cache_control")),
    "tool_result": frozenset(("type", "tool_use_id", "content", "is_error", "cache_control")),
}  # fmt: skip
_PART_DEFAULTS = {"caller": ({"type": "direct"},)}
_TOOL = frozenset(("name", "description", "input_schema", "strict", "type", "cache_control"))
_CHOICES = frozenset(("auto", "none", "any"))


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    demand_known(body, _KNOWN, "", _DEFAULTS)
    metadata, output = object_in(body, "metadata", ""), object_in(body, "output_config", "")
    demand_known(output, frozenset(("format",)), "output_config.")
    form = object_in(output, "format", "output_config.")
    choice = object_in(body, "tool_choice", "")
    demand_known(choice, frozenset(("type", "name", "disable_parallel_tool_use")), "tool_choice.")
    return Chat(
        system="\n\n".join(_texts_of(body, "system", "")),
        turns=alternating([_turn(one, f"messages.{number}.") for number, one in enumerate(objects_in(body, "messages", ""))]),
        most_tokens=body.get("max_tokens") or 0, settings=settings_in(body, _SETTINGS, ""), stop=strings_in(body, "stop_sequences", ""),
        tools=tuple(_tool(tool, f"tools.{number}.") for number, tool in enumerate(objects_in(body, "tools", ""))),
        tool_choice=_choice(choice), one_tool_a_turn=flag_in(choice, "disable_parallel_tool_use", "tool_choice."), json_only=bool(form),
        schema=_schema(form) if form else None, user=string_in(metadata, "user_id", "metadata.", ""), stream=body.get("stream") is True,
    )  # fmt: skip


def _schema(form: dict[str, Any]) -> dict[str, Any]:
    schema = object_in(form, "schema", "output_config.format.")
    if form.get("type") != "json_schema" or not schema:
        raise refused("output_config.format without a schema")
    return schema


def _texts_of(fields: dict[str, Any], name: str, where: str) -> list[str]:
    """A string, or blocks of text."""
    value = fields.get(name)
    if isinstance(value, str):
        return [value]
    found = []
    for number, block in enumerate(objects_in(fields, name, where)):
        inner = f"{where}{name}.{number}."
        if block.get("type") != "text":
            raise refused(f"{inner}type {str(block.get('type'))[:80]!r}")
        demand_known(block, _FIELDS_OF["text"], inner)
        found.append(string_in(block, "text", inner))
    return found


def _turn(message: dict[str, Any], where: str) -> Turn:
    demand_known(message, frozenset(("role", "content")), where)
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise UntranslatableError(f"{where}role must be user or assistant")
    if isinstance(message.get("content"), str):
        return Turn(role, texts(message["content"]))
    parts: list[Part] = []
    for number, part in enumerate(objects_in(message, "content", where)):
        parts += _part(part, f"{where}content.{number}.")
    return Turn(role, tuple(parts))


def _part(part: dict[str, Any], where: str) -> tuple[Part, ...]:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS_OF:
        raise refused(f"{where}type {str(kind)[:80]!r}")
    demand_known(part, _FIELDS_OF[kind], where, _PART_DEFAULTS)
    if kind == "text":
        return texts(string_in(part, "text", where))
    if kind == "image":
        return (_image(object_in(part, "source", where), f"{where}source."),)
    if kind == "tool_use":
        return (ToolCall(string_in(part, "id", where), string_in(part, "name", where), object_in(part, "input", where)),)
    text = "".join(_texts_of(part, "content", where))
    return (ToolResult(string_in(part, "tool_use_id", where), text, flag_in(part, "is_error", where)),)


def _image(source: dict[str, Any], where: str) -> Image | ImageAddress:
    if source.get("type") == "base64":
        return Image(string_in(source, "media_type", where), string_in(source, "data", where))
    if source.get("type") == "url":
        return ImageAddress(string_in(source, "url", where))
    raise refused(f"{where}type {str(source.get('type'))[:80]!r}")


def _tool(tool: dict[str, Any], where: str) -> Tool:
    if tool.get("type") not in (None, "custom"):
        raise refused(f"{where}type {str(tool.get('type'))[:80]!r}")
    demand_known(tool, _TOOL, where)
    return Tool(
        string_in(tool, "name", where), string_in(tool, "description", where, ""),
        object_in(tool, "input_schema", where) or {"type": "object"}, flag_in(tool, "strict", where),
    )  # fmt: skip


def _choice(choice: dict[str, Any]) -> str:
    kind = choice.get("type", "auto")
    if kind == "tool":
        return "=" + string_in(choice, "name", "tool_choice.")
    if not isinstance(kind, str) or kind not in _CHOICES:
        raise refused("tool_choice.type")
    return kind


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider. Raises UntranslatableError for what it has no place for."""
    messages = [{"role": turn.role, "content": [write_part(part) for part in turn.parts]} for turn in chat.turns]
    body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": chat.most_tokens or MOST_TOKENS}
    body |= settings_named(chat, _SETTINGS)
    if body.get("temperature", 0) > 1:
        raise UntranslatableError(f"temperature {body['temperature']} is above 1, the most that the provider that was chosen takes")
    if chat.system:
        body["system"] = chat.system
    if chat.stop:
        body["stop_sequences"] = list(chat.stop)
    if chat.tools:
        body |= _tools(chat)
    if chat.json_only and chat.schema is None:
        raise refused("JSON without a schema as the form of the answer")
    if chat.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": chat.schema}}
    if chat.user:
        body["metadata"] = {"user_id": chat.user}
    if chat.stream:
        body["stream"] = True
    return body


def _tools(chat: Chat) -> dict[str, Any]:
    tools = []
    for tool in chat.tools:
        described: dict[str, Any] = {"description": tool.description} if tool.description else {}
        tools.append({"name": tool.name, "input_schema": tool.schema} | described | ({"strict": True} if tool.strict else {}))
    choice: dict[str, Any] = {"type": chat.tool_choice}
    if chat.tool_choice not in _CHOICES:
        choice = {"type": "tool", "name": chat.tool_choice[1:]}
    if chat.one_tool_a_turn and chat.tool_choice != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def write_part(part: Part) -> dict[str, Any]:
    """A block of content."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
    if isinstance(part, ImageAddress):
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    if isinstance(part, ToolCall):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    return {"type": "tool_result", "tool_use_id": part.id, "content": part.text} | ({"is_error": True} if part.is_error else {})
