"""Calls of chats as Gemini's generateContent has them (API reference, November 2026).

Names may be given in camel or in snake case. Ids of tool calls are optional: where there are none, calls are numbered, and a result
belongs to the first call of its name that has none yet. Gemini 3 refuses calls of tools in a history that bear no signature of its
own; SKIP_SIGNATURE stands for it where another model made them (ai.google.dev, thought signatures).
"""

import json
from typing import Any

from live_adapter.protocols.chat import (
    Chat,
    Image,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    UntranslatableError,
    alternating,
    demand_known,
    object_in,
    objects_in,
    refused,
    settings_in,
    settings_named,
    string_in,
    strings_in,
    texts,
)

SKIP_SIGNATURE = "skip_thought_signature_validator"
_SETTINGS = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed", "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}  # fmt: skip
_KNOWN = frozenset(("model", "contents", "systemInstruction", "generationConfig", "tools", "toolConfig"))
_KNOWN_CONFIG = frozenset(_SETTINGS.values()) | frozenset((
    "maxOutputTokens", "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema",
))  # fmt: skip
_CONFIG_DEFAULTS = {"candidateCount": (1,), "responseModalities": (["TEXT"],)}
_PART_DEFAULTS = {"thoughtSignature": (SKIP_SIGNATURE,)}
_CONTENTS = ("text", "inlineData", "functionCall", "functionResponse")
_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY"}
_MOST_STOPS = 5


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    body = _camel(body)
    demand_known(body, _KNOWN, "")
    config = _camel(object_in(body, "generationConfig", ""))
    demand_known(config, _KNOWN_CONFIG, "generationConfig.", _CONFIG_DEFAULTS)
    json_only, schema = _form(config)
    tools = [
        _tool(_camel(one), f"tools.{number}.functionDeclarations.")
        for number, tool in enumerate(objects_in(body, "tools", "")) for one in _declared(_camel(tool), f"tools.{number}.")
    ]  # fmt: skip
    return Chat(
        system=_system(object_in(body, "systemInstruction", "")), turns=_turns(objects_in(body, "contents", "")),
        most_tokens=config.get("maxOutputTokens") or 0, settings=settings_in(config, _SETTINGS, "generationConfig."),
        stop=strings_in(config, "stopSequences", "generationConfig."), tools=tuple(tools),
        tool_choice=_choice(_camel(object_in(body, "toolConfig", ""))), json_only=json_only, schema=schema,
    )  # fmt: skip


def _form(config: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
    kind = config.get("responseMimeType") or "text/plain"
    if kind not in ("text/plain", "application/json"):
        raise refused("generationConfig.responseMimeType")
    schema = object_in(config, "responseJsonSchema", "generationConfig.")
    schema = schema or json_schema(object_in(config, "responseSchema", "generationConfig."))
    return kind == "application/json" and not schema, schema or None


def _system(system: dict[str, Any]) -> str:
    found = []
    for number, part in enumerate(objects_in(system, "parts", "systemInstruction.")):
        demand_known(part, frozenset(("text",)), f"systemInstruction.parts.{number}.")
        found.append(string_in(part, "text", f"systemInstruction.parts.{number}."))
    return "\n\n".join(found)


def _turns(contents: list[dict[str, Any]]) -> tuple[Turn, ...]:
    turns, open_calls, calls = [], list[ToolCall](), 0
    for number, content in enumerate(contents):
        role = content.get("role") or "user"
        if role not in ("user", "model", "function"):
            raise UntranslatableError(f"contents.{number}.role must be user or model")
        parts: list[Part] = []
        for place, part in enumerate(objects_in(content, "parts", f"contents.{number}.")):
            where, fields = f"contents.{number}.parts.{place}.", _camel(part)
            kind = _kind(fields, where)
            if kind == "functionCall":
                calls += 1
                open_calls.append(_call(object_in(fields, kind, where), f"call_{calls}", f"{where}{kind}."))
                parts.append(open_calls[-1])
            elif kind == "functionResponse":
                parts.append(_result(object_in(fields, kind, where), open_calls, f"{where}{kind}."))
            else:
                parts += _part(kind, fields, where)
        turns.append(Turn("assistant" if role == "model" else "user", tuple(parts)))
    return alternating(turns)


def _kind(fields: dict[str, Any], where: str) -> str:
    kinds = [name for name in _CONTENTS if fields.get(name) is not None]
    demand_known(fields, frozenset(_CONTENTS), where, _PART_DEFAULTS)
    if len(kinds) != 1:
        raise UntranslatableError(f"{where[:-1]} must have one of {', '.join(_CONTENTS)}")
    return kinds[0]


def _part(kind: str, fields: dict[str, Any], where: str) -> tuple[Part, ...]:
    if kind == "text":
        return texts(string_in(fields, "text", where))
    inline = _camel(object_in(fields, kind, where))
    media_type = string_in(inline, "mimeType", f"{where}inlineData.")
    if not media_type.startswith("image/"):
        raise refused(f"{where}inlineData.mimeType {media_type[:80]!r}")
    return (Image(media_type, string_in(inline, "data", f"{where}inlineData.")),)


def _call(call: dict[str, Any], number: str, where: str) -> ToolCall:
    return ToolCall(string_in(call, "id", where, "") or number, string_in(call, "name", where), object_in(call, "args", where))


def _result(result: dict[str, Any], open_calls: list[ToolCall], where: str) -> ToolResult:
    demand_known(result, frozenset(("id", "name", "response")), where)
    name, said = string_in(result, "name", where), string_in(result, "id", where, "")
    call = next((one for one in open_calls if (one.id == said if said else one.name == name)), None)
    if call is None:
        raise UntranslatableError(f"{where}name must be that of a call before it")
    open_calls.remove(call)
    response = object_in(result, "response", where)
    for field, is_error in (("output", False), ("error", True)):
        if list(response) == [field] and isinstance(response[field], str):
            return ToolResult(call.id, response[field], is_error)
    return ToolResult(call.id, json.dumps(response))


def _declared(tool: dict[str, Any], where: str) -> list[dict[str, Any]]:
    for name in tool:
        if name != "functionDeclarations":      # `googleSearch: {}` says something, though it is empty
            raise refused(f"{where}{name[:80]}")
    return objects_in(tool, "functionDeclarations", where)


def _tool(one: dict[str, Any], where: str) -> Tool:
    demand_known(one, frozenset(("name", "description", "parameters", "parametersJsonSchema")), where)
    schema = object_in(one, "parametersJsonSchema", where) or json_schema(object_in(one, "parameters", where)) or {"type": "object"}
    return Tool(string_in(one, "name", where), string_in(one, "description", where, ""), schema)


def _choice(config: dict[str, Any]) -> str:
    demand_known(config, frozenset(("functionCallingConfig",)), "toolConfig.")
    where = "toolConfig.functionCallingConfig."
    calling = _camel(object_in(config, "functionCallingConfig", "toolConfig."))
    demand_known(calling, frozenset(("mode", "allowedFunctionNames")), where)
    names, mode = strings_in(calling, "allowedFunctionNames", where), string_in(calling, "mode", where, "AUTO").lower()
    if mode not in _MODES or len(names) > 1 or (names and mode != "any"):
        raise refused(f"{where}{'allowedFunctionNames' if names else 'mode'}")
    return f"={names[0]}" if names else mode


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Gemini's own kind of schema (OpenAPI 3.0: `STRING`, `nullable`) as a JSON Schema."""
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            found[name] = [value.lower(), "null"] if schema.get("nullable") is True else value.lower()
        elif name == "properties" and isinstance(value, dict):
            found[name] = {inner: json_schema(one) if isinstance(one, dict) else one for inner, one in value.items()}
        elif isinstance(value, dict) and name in ("items", "additionalProperties"):
            found[name] = json_schema(value)
        elif isinstance(value, list) and name in ("anyOf", "prefixItems"):
            found[name] = [json_schema(one) if isinstance(one, dict) else one for one in value]
        elif name != "nullable":
            found[name] = value
    return found


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields by their names in camel case."""
    found = {}
    for name, value in fields.items():
        first, *others = name.split("_")
        camel = first + "".join(one.capitalize() for one in others)
        if camel in found:
            raise UntranslatableError(f"{camel[:80]} is given twice")
        found[camel] = value
    return found


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider; the model is in the path. Raises UntranslatableError for what it has no place for."""
    del model
    names = {part.id: part.name for turn in chat.turns for part in turn.parts if isinstance(part, ToolCall)}
    body: dict[str, Any] = {"contents": [
        {"role": "model" if turn.role == "assistant" else "user", "parts": [_content(part, names) for part in turn.parts]}
        for turn in chat.turns
    ]}  # fmt: skip
    if config := _config(chat):
        body["generationConfig"] = config
    if chat.system:
        body["systemInstruction"] = {"parts": [{"text": chat.system}]}
    if chat.tools and chat.one_tool_a_turn:
        raise refused("one tool a turn")
    if chat.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in chat.tools]}]
        named = {"mode": "ANY", "allowedFunctionNames": [chat.tool_choice[1:]]}
        calling = {"mode": _MODES[chat.tool_choice]} if chat.tool_choice in _MODES else named
        body["toolConfig"] = {"functionCallingConfig": calling}
    return body


def _config(chat: Chat) -> dict[str, Any]:
    config: dict[str, Any] = dict(settings_named(chat, _SETTINGS))
    if chat.most_tokens:
        config["maxOutputTokens"] = chat.most_tokens
    if len(chat.stop) > _MOST_STOPS:
        raise refused(f"more than {_MOST_STOPS} stop sequences")
    if chat.stop:
        config["stopSequences"] = list(chat.stop)
    if chat.json_only or chat.schema is not None:
        config["responseMimeType"] = "application/json"
    if chat.schema is not None:
        config["responseJsonSchema"] = chat.schema
    return config


def _declaration(tool: Tool) -> dict[str, Any]:
    if tool.strict:
        raise refused("tools.strict")
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, "parametersJsonSchema": tool.schema} | described


def _content(part: Part, names: dict[str, str]) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image):
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    if isinstance(part, ToolCall):
        return {"functionCall": {"id": part.id, "name": part.name, "args": part.arguments}, "thoughtSignature": SKIP_SIGNATURE}
    if isinstance(part, ToolResult):
        if part.id not in names:
            raise UntranslatableError("the result of a tool must name a call before it")
        response = {"error" if part.is_error else "output": part.text}
        return {"functionResponse": {"id": part.id, "name": names[part.id], "response": response}}
    raise refused("an image by its address")
