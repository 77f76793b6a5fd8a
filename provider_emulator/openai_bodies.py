"""OpenAI's answers: chat completions, responses, embeddings, models. Source: OpenAI API reference, November 2026."""

import base64
import hashlib
import struct
from typing import Any

from provider_emulator.accounts import Answer
from provider_emulator.calls import Incoming
from provider_emulator.streams import WORD, Stream, event, text_of, visible_tokens


def whole(call: Incoming, answer: Answer, number: str, created: int, dimensions: int) -> Any:
    """The body of an answer that is not streamed."""
    if call.path == "embeddings":
        return _embeddings(call, answer, dimensions)
    if call.path == "responses":
        return _response(answer, number, created, ended=True)
    return {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": created, "model": answer.model,
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": text_of(answer), "refusal": None, "annotations": []},
            "logprobs": None, "finish_reason": _finish(answer),
        }],
        "usage": _usage(answer), "service_tier": "default", "system_fingerprint": None,
    }  # fmt: skip


def stream(call: Incoming, answer: Answer, number: str, created: int) -> Stream:
    """Chunks of a chat completion, or events of a response."""
    if call.path == "responses":
        return _response_stream(answer, number, created)
    base = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": created, "model": answer.model,
            "service_tier": "default", "system_fingerprint": None}  # fmt: skip
    unused: dict[str, Any] = {"usage": None} if call.usage else {}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return event({**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}], **unused})

    word = chunk({"content": WORD})
    after = chunk({}, _finish(answer))
    if call.usage:
        after += event({**base, "choices": [], "usage": _usage(answer)})
    return Stream(chunk({"role": "assistant", "content": "", "refusal": None}), lambda _, count: word * count, after + b"data: [DONE]\n\n")


def models(names: list[str]) -> Any:
    """The list of models."""
    return {"object": "list", "data": [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "emulator"} for name in names]}


def vector(text: Any, dimensions: int) -> list[float]:
    """Of length 1, the same for the same text."""
    raw = hashlib.shake_128(repr(text).encode()).digest(dimensions)
    values = [byte - 127.5 for byte in raw]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def _finish(answer: Answer) -> str:
    return "length" if answer.cut_short else "stop"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens, "audio_tokens": 0, "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }  # fmt: skip


def _embeddings(call: Incoming, answer: Answer, most_dimensions: int) -> Any:
    given, asked = call.body["input"], call.body.get("dimensions")
    texts = given if isinstance(given, list) and isinstance(given[0], str | list) else [given]
    dimensions = min(asked, most_dimensions) if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0 else most_dimensions
    data = []
    for place, text in enumerate(texts):
        numbers = vector(text, dimensions)
        told: Any = numbers
        if call.body.get("encoding_format") == "base64":
            told = base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode()
        data.append({"object": "embedding", "index": place, "embedding": told})
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    return {"object": "list", "model": answer.model, "data": data, "usage": usage}


def _item(answer: Answer, number: str, *, ended: bool) -> dict[str, Any]:
    status = ("incomplete" if answer.cut_short else "completed") if ended else "in_progress"
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": status,
            "content": [_part(text_of(answer))] if ended else []}  # fmt: skip


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(answer: Answer, number: str, created: int, *, ended: bool) -> dict[str, Any]:
    usage = {
        "input_tokens": answer.input_tokens, "input_tokens_details": {"cached_tokens": answer.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens, "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }  # fmt: skip
    status = ("incomplete" if answer.cut_short else "completed") if ended else "in_progress"
    return {
        "id": f"resp_{number}", "object": "response", "created_at": created, "status": status, "model": answer.model,
        "output": [_item(answer, number, ended=True)] if ended else [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": usage if ended else None, "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if ended and answer.cut_short else None,
        "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def _response_stream(answer: Answer, number: str, created: int) -> Stream:
    item = {"item_id": f"msg_{number}", "output_index": 0}
    part = {**item, "content_index": 0}
    words = visible_tokens(answer)

    def sent(first: int, *told: tuple[str, dict[str, Any]]) -> bytes:
        return b"".join(
            event({"type": f"response.{kind}", "sequence_number": first + place, **value}, f"response.{kind}")
            for place, (kind, value) in enumerate(told)
        )

    def some_words(first: int, count: int) -> bytes:
        return sent(4 + first, *[("output_text.delta", {**part, "delta": WORD, "logprobs": []})] * count)

    begun = {"response": _response(answer, number, created, ended=False)}
    done = _response(answer, number, created, ended=True)
    before = sent(
        0, ("created", begun), ("in_progress", begun),
        ("output_item.added", {"output_index": 0, "item": _item(answer, number, ended=False)}),
        ("content_part.added", {**part, "part": _part("")}),
    )  # fmt: skip
    after = sent(
        4 + words, ("output_text.done", {**part, "text": text_of(answer), "logprobs": []}),
        ("content_part.done", {**part, "part": _part(text_of(answer))}),
        ("output_item.done", {"output_index": 0, "item": _item(answer, number, ended=True)}), (done["status"], {"response": done}),
    )  # fmt: skip
    return Stream(before, some_words, after)
