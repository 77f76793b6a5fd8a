"""Anthropic's answers: messages, models. Source: Anthropic API reference (messages, streaming, models), November 2026."""

from typing import Any

from provider_emulator.accounts import Answer
from provider_emulator.streams import WORD, Stream, event, text_of


def whole(answer: Answer, number: str) -> Any:
    """The body of an answer that is not streamed."""
    content = [{"type": "text", "text": text_of(answer), "citations": None}]
    return {**_message(answer, number), "content": content, "stop_reason": _stop(answer), "usage": _usage(answer, answer.output_tokens)}


def stream(answer: Answer, number: str) -> Stream:
    """The events of a message."""

    def named(name: str, **value: Any) -> bytes:
        return event({"type": name, **value}, name)

    message = {**_message(answer, number), "usage": _usage(answer, min(1, answer.output_tokens))}
    before = named("message_start", message=message)
    before += named("content_block_start", index=0, content_block={"type": "text", "text": ""}) + named("ping")
    word = named("content_block_delta", index=0, delta={"type": "text_delta", "text": WORD})
    after = named("content_block_stop", index=0)
    after += named(
        "message_delta", delta={"stop_reason": _stop(answer), "stop_sequence": None}, usage=_usage(answer, answer.output_tokens)
    )
    return Stream(before, lambda _, count: word * count, after + named("message_stop"))


def models(names: list[str]) -> Any:
    """The list of models."""
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names]
    return {"data": data, "has_more": False, "first_id": names[0] if names else None, "last_id": names[-1] if names else None}


def _stop(answer: Answer) -> str:
    return "max_tokens" if answer.cut_short else "end_turn"


def _usage(answer: Answer, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens, "output_tokens": output_tokens,
    }  # fmt: skip


def _message(answer: Answer, number: str) -> dict[str, Any]:
    return {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": answer.model, "content": [], "stop_reason": None,
        "stop_sequence": None,
    }  # fmt: skip
