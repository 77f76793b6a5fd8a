"""Gemini's answers: generateContent, streamGenerateContent, embedContent, models. Source: Gemini API reference, November 2026."""

from typing import Any

from provider_emulator.accounts import Answer
from provider_emulator.calls import Incoming
from provider_emulator.openai_bodies import vector
from provider_emulator.streams import WORD, Stream, compact, event, text_of


def whole(call: Incoming, answer: Answer, number: str, dimensions: int) -> Any:
    """The body of an answer that is not streamed."""
    if call.path == "embedContent":
        asked = call.body.get("outputDimensionality")
        wanted = asked if isinstance(asked, int) and not isinstance(asked, bool) and 0 < asked <= dimensions else dimensions
        return {"embedding": {"values": vector(call.body["content"], wanted)}}
    return _part(answer, text_of(answer), number, ended=True)


def stream(answer: Answer, number: str, *, events: bool) -> Stream:
    """Chunks as events (`alt=sse`), or else as an array of JSON that is sent piece by piece."""
    word, last = _part(answer, WORD, number, ended=False), _part(answer, "", number, ended=True)
    if events:
        one = event(word)
        return Stream(b"", lambda _, count: one * count, event(last))
    piece = f"{compact(word)}\n,\r\n".encode()
    return Stream(b"[", lambda _, count: piece * count, f"{compact(last)}\n]".encode(), "application/json")


def models(names: list[str]) -> Any:
    """The list of models."""
    methods = ["generateContent", "streamGenerateContent", "embedContent"]
    return {"models": [{"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods} for name in names]}


def _part(answer: Answer, text: str, number: str, *, ended: bool) -> Any:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": answer.input_tokens}
    if answer.cached_tokens:
        usage["cachedContentTokenCount"] = answer.cached_tokens
    if ended:
        candidate["finishReason"] = "MAX_TOKENS" if answer.cut_short else "STOP"
        usage["candidatesTokenCount"] = answer.output_tokens - answer.reasoning_tokens
        if answer.reasoning_tokens:
            usage["thoughtsTokenCount"] = answer.reasoning_tokens
        usage["totalTokenCount"] = answer.input_tokens + answer.output_tokens
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": answer.model, "responseId": number}
