"""Chats as Gemini's generateContent has them (API reference, November 2026). Tool calls have no ids there: names stand for them."""

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

_KNOWN = frozenset(("model", "contents", "systemInstruction", "system_instruction", "generationConfig", "tools", "toolConfig"))
_KNOWN_CONFIG = frozenset(("maxOutputTokens", "temperature", "topP", "stopSequences", "candidateCount"))
_ENDED = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filtered": "SAFETY"}
_ENDS = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "filtered", "RECITATION": "filtered", "PROHIBITED_CONTENT": "filtered"}
_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY"}


def read_chat(body: dict[str, Any]) -> Chat:
    """A chat from a body. Raises UntranslatableError."""
    demand_known(body, _KNOWN, "")
    config = body.get("generationConfig") or {}
    demand_known(config, _KNOWN_CONFIG, "generationConfig.")
    if config.get("candidateCount") not in (None, 1):
        raise UntranslatableError("generationConfig.candidateCount above 1 has no counterpart at the provider that was chosen")
    system = body.get("systemInstruction") or body.get("system_instruction") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names: list[str] = calling.get("allowedFunctionNames") or []
    mode = str(calling.get("mode", "AUTO")).lower()
    return Chat(
        system=text_of(system.get("parts"), "systemInstruction.parts"),
        turns=tuple(_turn(content) for content in body.get("contents") or ()), most_tokens=config.get("maxOutputTokens") or 0,
        temperature=config.get("temperature"), top_p=config.get("topP"), stop=tuple(config.get("stopSequences") or ()),
        tools=tuple(_tool(one) for tool in body.get("tools") or () for one in _declared(tool)),
        tool_choice=str(names[0]) if mode == "any" and names else mode,
    )  # fmt: skip


def _turn(content: dict[str, Any]) -> Turn:
    return Turn("assistant" if content.get("role") == "model" else "user", tuple(_part(part) for part in content.get("parts") or ()))


def _part(part: dict[str, Any]) -> Part:
    if isinstance(part.get("text"), str):
        return Text(part["text"])
    if inline := part.get("inlineData") or part.get("inline_data"):
        return Image(str(inline.get("mimeType") or inline.get("mime_type")), str(inline.get("data")))
    if call := part.get("functionCall"):
        return ToolCall(str(call["name"]), str(call["name"]), call.get("args") or {})
    if result := part.get("functionResponse"):
        return ToolResult(str(result["name"]), json.dumps(result.get("response") or {}))
    raise UntranslatableError(f"contents.parts with {sorted(part)} has no counterpart at the provider that was chosen")


def _declared(tool: dict[str, Any]) -> list[dict[str, Any]]:
    if set(tool) - {"functionDeclarations"}:
        raise UntranslatableError(f"tools with {sorted(tool)} have no counterpart at the provider that was chosen")
    return list(tool.get("functionDeclarations") or ())


def _tool(one: dict[str, Any]) -> Tool:
    schema = one.get("parametersJsonSchema") or one.get("parameters") or {"type": "object"}
    return Tool(str(one["name"]), str(one.get("description") or ""), schema)


def write_chat(chat: Chat, model: str) -> dict[str, Any]:
    """The body for this provider; the model is in the path."""
    del model
    names = {part.id: part.name for turn in chat.turns for part in turn.parts if isinstance(part, ToolCall)}
    body: dict[str, Any] = {"contents": [
        {"role": "model" if turn.role == "assistant" else "user", "parts": [_content(part, names) for part in turn.parts]}
        for turn in chat.turns
    ]}  # fmt: skip
    config = {"maxOutputTokens": chat.most_tokens or None, "temperature": chat.temperature, "topP": chat.top_p,
              "stopSequences": list(chat.stop) or None}  # fmt: skip
    if said := {name: value for name, value in config.items() if value is not None}:
        body["generationConfig"] = said
    if chat.system:
        body["systemInstruction"] = {"parts": [{"text": chat.system}]}
    if chat.tools:
        body["tools"] = [{"functionDeclarations": [
            {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.schema} for tool in chat.tools
        ]}]  # fmt: skip
        named = {"mode": "ANY", "allowedFunctionNames": [chat.tool_choice]}
        calling = {"mode": _MODES[chat.tool_choice]} if chat.tool_choice in _MODES else named
        body["toolConfig"] = {"functionCallingConfig": calling}
    return body


def _content(part: Part, names: dict[str, str]) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image):
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    if isinstance(part, ToolCall):
        return {"functionCall": {"name": part.name, "args": part.arguments}}
    return {"functionResponse": {"name": names.get(part.id, part.id), "response": {"result": part.text}}}


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body."""
    candidate, usage = (body.get("candidates") or [{}])[0], body.get("usageMetadata") or {}
    parts = (candidate.get("content") or {}).get("parts") or ()
    calls = tuple(
        ToolCall(f"call_{number}", str(part["functionCall"]["name"]), part["functionCall"].get("args") or {})
        for number, part in enumerate(parts) if part.get("functionCall")
    )  # fmt: skip
    return Reply(
        id=str(body.get("responseId", "")), text="".join(part.get("text", "") for part in parts if not part.get("thought")), calls=calls,
        ended="tools" if calls else _ENDS.get(candidate.get("finishReason", ""), "stop"), input_tokens=usage.get("promptTokenCount", 0),
        cached_tokens=usage.get("cachedContentTokenCount", 0),
        output_tokens=usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0),
    )  # fmt: skip


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol, which has no time."""
    del now_s
    parts: list[dict[str, Any]] = [{"text": reply.text}] if reply.text else []
    parts += [{"functionCall": {"name": call.name, "args": call.arguments}} for call in reply.calls]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": _ENDED[reply.ended]}],
        "usageMetadata": _usage(reply.input_tokens, reply.cached_tokens, reply.output_tokens), "modelVersion": model,
        "responseId": reply.id,
    }  # fmt: skip


def _usage(input_tokens: int, cached_tokens: int, output_tokens: int) -> dict[str, int]:
    return {"promptTokenCount": input_tokens, "cachedContentTokenCount": cached_tokens, "candidatesTokenCount": output_tokens,
            "totalTokenCount": input_tokens + output_tokens}  # fmt: skip


def read_event(value: dict[str, Any]) -> list[Delta]:
    """Pieces of an answer from one event of a stream. Tool calls come whole."""
    found, candidate = [], (value.get("candidates") or [{}])[0]
    called = False
    for number, part in enumerate((candidate.get("content") or {}).get("parts") or ()):
        if part.get("text") and not part.get("thought"):
            found.append(Delta(text=part["text"]))
        if call := part.get("functionCall"):
            called = True
            arguments = json.dumps(call.get("args") or {})
            found.append(Delta(tool=number, tool_id=f"call_{number}", tool_name=str(call["name"]), arguments=arguments))
    if reason := candidate.get("finishReason"):
        found.append(Delta(ended="tools" if called else _ENDS.get(reason, "stop")))
    return found


class Writer:
    """Writes a stream in this protocol. Arguments of tools are gathered, since they come whole here."""

    def __init__(self, model: str, number: str, now_s: int, *, usage: bool) -> None:
        del now_s, usage
        self._model, self._number = model, number
        self._names: dict[int, str] = {}
        self._arguments: dict[int, str] = {}
        self._ended = "stop"

    def write(self, delta: Delta) -> bytes:
        """The events of a piece."""
        if delta.tool >= 0:
            self._names[delta.tool] = delta.tool_name or self._names.get(delta.tool, "")
            self._arguments[delta.tool] = self._arguments.get(delta.tool, "") + delta.arguments
        if delta.ended:
            self._ended = delta.ended
        return self._event([{"text": delta.text}], None, None) if delta.text else b""

    def end(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> bytes:
        """What closes the stream."""
        parts = [
            {"functionCall": {"name": name, "args": json.loads(self._arguments[number] or "{}")}} for number, name in self._names.items()
        ]
        return self._event(parts, _ENDED[self._ended], _usage(input_tokens, cached_tokens, output_tokens))

    def _event(self, parts: list[dict[str, Any]], reason: str | None, usage: dict[str, int] | None) -> bytes:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        value = {"candidates": [candidate], "modelVersion": self._model, "responseId": self._number}
        return b"data: " + json.dumps(value | ({"usageMetadata": usage} if usage else {}), separators=(",", ":")).encode() + b"\n\n"
