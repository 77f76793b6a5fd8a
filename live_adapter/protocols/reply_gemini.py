"""Answers to chats as Gemini's generateContent has them, whole and as streams (API reference, November 2026)."""

import json
import re
from typing import Any

from live_adapter.protocols.chat import Delta, Reply, ToolCall, UntranslatableError, object_in, objects_in, string_in
from live_adapter.protocols.usage import Usage, usage_of

_ENDED = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filtered": "SAFETY"}
# Any other reason, such as SAFETY or OTHER, is no end of the model's own.
_ENDS = {"STOP": "stop", "MAX_TOKENS": "length", "None": "stop", "FINISH_REASON_UNSPECIFIED": "stop"}
_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


def read_reply(body: dict[str, Any]) -> Reply:
    """An answer from its body. Raises UntranslatableError if it is not what the protocol says."""
    reader = Reader()
    deltas = reader.read(body)
    calls = tuple(ToolCall(one.tool_id, one.tool_name, json.loads(one.arguments)) for one in deltas if one.tool >= 0)
    return Reply(
        id=string_in(body, "responseId", "", ""), text="".join(one.text for one in deltas), calls=calls,
        ended=next((one.ended for one in deltas if one.ended), "stop"), usage=usage_of("gemini", body) or Usage(),
    )  # fmt: skip


def write_reply(reply: Reply, model: str, now_s: int) -> dict[str, Any]:
    """The body of an answer in this protocol, which has no time."""
    del now_s
    parts: list[dict[str, Any]] = [{"text": reply.text}] if reply.text else []
    parts += [{"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in reply.calls]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": _ENDED[reply.ended]}],
        "usageMetadata": _usage(reply.usage), "modelVersion": model, "responseId": reply.id,
    }  # fmt: skip


def _usage(used: Usage) -> dict[str, int]:
    return {
        "promptTokenCount": used.input_tokens, "cachedContentTokenCount": used.cached_tokens,
        "candidatesTokenCount": used.output_tokens - used.reasoning_tokens, "thoughtsTokenCount": used.reasoning_tokens,
        "totalTokenCount": used.input_tokens + used.output_tokens,
    }  # fmt: skip


class Reader:
    """Reads the events of a stream in this protocol. Tool calls come whole."""

    def __init__(self) -> None:
        self._calls = 0

    def read(self, value: dict[str, Any]) -> list[Delta]:
        """Pieces of an answer. Raises UntranslatableError."""
        if object_in(value, "promptFeedback", "").get("blockReason"):
            return [Delta(ended="filtered")]
        candidates = objects_in(value, "candidates", "")
        if not candidates:
            return []
        found = []
        for number, part in enumerate(objects_in(object_in(candidates[0], "content", ""), "parts", "content.")):
            found += self._piece(part, f"parts.{number}.", string_in(value, "responseId", "", ""))
        if reason := candidates[0].get("finishReason"):
            ended = _ENDS.get(str(reason), "filtered")
            found.append(Delta(ended="tools" if ended == "stop" and self._calls else ended))
        return found

    def _piece(self, part: dict[str, Any], where: str, response: str) -> list[Delta]:
        if part.get("thought"):
            return []
        if "functionCall" in part:
            call = object_in(part, "functionCall", where)
            self._calls += 1
            # Ids must differ in all of a conversation, of which this answer becomes a part.
            made = _PLAIN.sub("", f"call_{response[:40]}_{self._calls}")
            return [Delta(
                tool=self._calls - 1, tool_id=string_in(call, "id", where, "") or made, tool_name=string_in(call, "name", where),
                arguments=json.dumps(object_in(call, "args", where)),
            )]  # fmt: skip
        if set(part) - {"text", "thoughtSignature"}:
            raise UntranslatableError(f"{where[:-1]} with {', '.join(sorted(part))[:80]} has no counterpart")
        text = string_in(part, "text", where, "")
        return [Delta(text=text)] if text else []


class Writer:
    """Writes a stream in this protocol. Tool calls are gathered until the end, since they come whole here."""

    def __init__(self, model: str, number: str, now_s: int, *, usage: bool) -> None:
        del now_s, usage
        self._model, self._number = model, number
        self._calls: dict[int, dict[str, str]] = {}
        self._ended = "stop"

    def write(self, delta: Delta) -> bytes:
        """The events of a piece."""
        if delta.tool >= 0:
            call = self._calls.setdefault(delta.tool, {"id": "", "name": "", "arguments": ""})
            call["id"], call["name"] = call["id"] or delta.tool_id, call["name"] or delta.tool_name
            call["arguments"] += delta.arguments
        self._ended = delta.ended or self._ended
        return self._event([{"text": delta.text}], None, None) if delta.text else b""

    def end(self, used: Usage) -> bytes:
        """What closes the stream. Of calls that were cut short by the bound on output, those that are whole are said."""
        parts, reason = [], _ENDED[self._ended]
        for call in self._calls.values():
            try:
                args = json.loads(call["arguments"] or "{}")
            except (ValueError, RecursionError):
                reason = reason if self._ended == "length" else "MALFORMED_FUNCTION_CALL"
                continue
            parts.append({"functionCall": {"id": call["id"], "name": call["name"], "args": args}})
        return self._event(parts, reason, _usage(used))

    def _event(self, parts: list[dict[str, Any]], reason: str | None, usage: dict[str, int] | None) -> bytes:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        value = {"candidates": [candidate], "modelVersion": self._model, "responseId": self._number}
        return b"data: " + json.dumps(value | ({"usageMetadata": usage} if usage else {}), separators=(",", ":")).encode() + b"\n\n"
