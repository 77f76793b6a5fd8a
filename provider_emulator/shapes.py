"""How each provider says it: bodies, streams, headers and errors.

Sources: OpenAI API reference (chat completions, responses, embeddings) and rate limit guide; Anthropic API reference (messages,
streaming, errors, rate limits); Gemini API reference (generateContent, errors). All as of November 2026.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from provider_emulator.accounts import Account, Answer, Held
from provider_emulator.config import ModelSpec

WORD = "word "
_ROUNDED = 1000         # Anthropic rounds remaining tokens
_HEADER_OF = {"rpm": "requests", "tpm": "tokens", "itpm": "input-tokens", "otpm": "output-tokens"}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of status, headers and JSON."""

    status: int
    headers: dict[str, str]
    body: Any


def text_of(answer: Answer) -> str:
    """Filler of about as many words as there are visible tokens."""
    return (WORD * (answer.output_tokens - answer.reasoning_tokens)).strip()


def _span(seconds: float) -> str:
    """`1s`, `6m0s`, `120ms`: as OpenAI's headers have it."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


def limit_headers(protocol: str, account: Account, model: ModelSpec, now_s: float, wall_s: float, scale: float) -> dict[str, str]:
    """What a provider tells of its limits with every answer. The nearest limit of a dimension counts."""
    found: dict[str, str] = {}
    for held in account.limits_of(model):
        word = _HEADER_OF.get(held.spec.dimension)
        if word is None or held.limiter is None or not held.spec.shown:
            continue
        room = max(0.0, held.limiter.room(now_s) - (1 - scale) * held.limiter.capacity)
        resets_s = held.limiter.resets_in_s(now_s)
        amount = int(held.spec.amount * scale)
        if protocol == "openai":
            found |= {
                f"x-ratelimit-limit-{word}": str(amount), f"x-ratelimit-remaining-{word}": str(int(room)),
                f"x-ratelimit-reset-{word}": _span(resets_s),
            }  # fmt: skip
        elif protocol == "anthropic":
            left = int(room) if word == "requests" else round(room / _ROUNDED) * _ROUNDED
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s + resets_s + 0.999))
            found |= {
                f"anthropic-ratelimit-{word}-limit": str(amount), f"anthropic-ratelimit-{word}-remaining": str(left),
                f"anthropic-ratelimit-{word}-reset": at,
            }  # fmt: skip
    return found


def id_headers(protocol: str, number: str, wall_s: float) -> dict[str, str]:
    """The request's id, and the provider's idea of the time."""
    name = {"openai": "x-request-id", "anthropic": "request-id"}.get(protocol)
    return {"date": formatdate(wall_s, usegmt=True)} | ({name: f"req_{number}"} if name else {})


def error(protocol: str, status: int, kind: str, message: str, code: str | None = None, details: list[Any] | None = None) -> Said:
    """An error in the provider's shape. `kind` is OpenAI's type, Anthropic's type or Google's status."""
    if protocol == "anthropic":
        return Said(status, {}, {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_emulated"})
    if protocol == "gemini":
        return Said(status, {}, {"error": {"code": status, "message": message, "status": kind, "details": details or []}})
    return Said(status, {}, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def throttled(protocol: str, model: str, held: Held, wait_s: float, retry_after: str | None) -> Said:
    """A limit has turned a request away."""
    dimension, wait_s = held.spec.dimension, max(wait_s, 0.001)
    told = retry_after if retry_after is not None else f"{max(1, round(wait_s + 0.499))}"
    headers = {"retry-after": told} if told != "none" else {}
    unit = {"rpm": "requests", "rpd": "requests"}.get(dimension, "tokens")
    if protocol == "anthropic":
        if dimension == "spend":
            # A spent cap comes without retry-after.
            return error(protocol, 429, "rate_limit_error", "This request would exceed your organization's monthly spend limit.")
        word = {"itpm": "input tokens", "otpm": "output tokens", "rpm": "requests"}.get(dimension, "tokens")
        message = f"This request would exceed your organization's rate limit of {held.spec.amount:,.0f} {word} per minute."
        if dimension == "acceleration":
            message = "This request would exceed your organization's maximum usage increase rate for input tokens per minute."
        return Said(429, headers, error(protocol, 429, "rate_limit_error", message).body)
    if protocol == "gemini":
        per = "Day" if dimension in ("rpd", "tpd") else "Minute"
        violation = {"quotaId": f"GenerateRequestsPer{per}PerProjectPerModel", "quotaValue": str(int(held.spec.amount))}
        details: list[Any] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
        if retry_after != "none":
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait_s:.3f}s"})
        return error(protocol, 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", details=details)
    if dimension == "spend":
        return error(protocol, 429, "insufficient_quota", "You exceeded your current quota, please check your plan.", "insufficient_quota")
    name = {"rpm": "requests per min (RPM)", "rpd": "requests per day (RPD)"}.get(dimension, "tokens per min (TPM)")
    message = (
        f"Rate limit reached for {model} in organization org-emulated on {name}: Limit {held.spec.amount:.0f}. "
        f"Please try again in {_span(wait_s)}. Visit the rate limits page to learn more."
    )
    return Said(429, headers, error(protocol, 429, unit, message, "rate_limit_exceeded").body)


def whole(protocol: str, path: str, answer: Answer, number: str) -> Any:
    """The body of an answer that is not streamed."""
    if protocol == "anthropic":
        return {**_message(answer, number), "content": [{"type": "text", "text": text_of(answer)}], "stop_reason": _stop(answer),
                "usage": {**_anthropic_input(answer), "output_tokens": answer.output_tokens}}  # fmt: skip
    if protocol == "gemini":
        return _gemini_part(answer, text_of(answer), number, ended=True)
    if path == "embeddings":
        return {
            "object": "list", "model": answer.model, "data": [{"object": "embedding", "index": 0, "embedding": [0.0, 0.5, -0.5, 1.0]}],
            "usage": {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens},
        }  # fmt: skip
    if path == "responses":
        return _response(answer, number, "completed", text_of(answer))
    return {
        "id": f"chatcmpl-{number}", "object": "chat.completion", "created": int(time.time()), "model": answer.model,
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": text_of(answer), "refusal": None}, "logprobs": None,
            "finish_reason": "length" if answer.cut_short else "stop",
        }],
        "usage": _openai_usage(answer), "service_tier": "default",
    }  # fmt: skip


def pieces(protocol: str, path: str, answer: Answer, number: str, *, usage: bool) -> tuple[list[bytes], Iterator[bytes], list[bytes]]:
    """A stream: what comes before the first word, a chunk for each word, what comes after the last."""
    words = answer.output_tokens - answer.reasoning_tokens
    if protocol == "anthropic":
        return _anthropic_stream(answer, number, words)
    if protocol == "gemini":
        middle = (_data(_gemini_part(answer, WORD, number, ended=False)) for _ in range(words))
        return [], middle, [_data(_gemini_part(answer, "", number, ended=True))]
    if path == "responses":
        return _responses_stream(answer, number, words)
    base = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": int(time.time()), "model": answer.model}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return _data({**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    last = [chunk({}, "length" if answer.cut_short else "stop")]
    if usage:
        last.append(_data({**base, "choices": [], "usage": _openai_usage(answer)}))
    return [chunk({"role": "assistant", "content": ""})], (chunk({"content": WORD}) for _ in range(words)), [*last, b"data: [DONE]\n\n"]


def _data(value: Any, event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _openai_usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens, "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens, "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }  # fmt: skip


def _stop(answer: Answer) -> str:
    return "max_tokens" if answer.cut_short else "end_turn"


def _anthropic_input(answer: Answer) -> dict[str, int]:
    return {
        "input_tokens": answer.input_tokens - answer.cached_tokens, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
    }  # fmt: skip


def _message(answer: Answer, number: str) -> dict[str, Any]:
    return {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": answer.model, "content": [], "stop_reason": None,
        "stop_sequence": None,
    }  # fmt: skip


def _anthropic_stream(answer: Answer, number: str, words: int) -> tuple[list[bytes], Iterator[bytes], list[bytes]]:
    message = {**_message(answer, number), "usage": {**_anthropic_input(answer), "output_tokens": 1}}
    first = [
        _data({"type": "message_start", "message": message}, "message_start"),
        _data({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start"),
        _data({"type": "ping"}, "ping"),
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORD}}
    end = {"type": "message_delta", "delta": {"stop_reason": _stop(answer), "stop_sequence": None},
           "usage": {"output_tokens": answer.output_tokens}}  # fmt: skip
    last = [
        _data({"type": "content_block_stop", "index": 0}, "content_block_stop"), _data(end, "message_delta"),
        _data({"type": "message_stop"}, "message_stop"),
    ]  # fmt: skip
    return first, (_data(delta, "content_block_delta") for _ in range(words)), last


def _gemini_part(answer: Answer, text: str, number: str, *, ended: bool) -> Any:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": answer.input_tokens, "cachedContentTokenCount": answer.cached_tokens}
    if ended:
        candidate["finishReason"] = "MAX_TOKENS" if answer.cut_short else "STOP"
        usage |= {
            "candidatesTokenCount": answer.output_tokens - answer.reasoning_tokens, "thoughtsTokenCount": answer.reasoning_tokens,
            "totalTokenCount": answer.input_tokens + answer.output_tokens,
        }  # fmt: skip
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": answer.model, "responseId": number}


def _response(answer: Answer, number: str, status: str, text: str | None) -> dict[str, Any]:
    item = {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text or "", "annotations": []}],
    }  # fmt: skip
    usage = {
        "input_tokens": answer.input_tokens, "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens, "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }  # fmt: skip
    return {
        "id": f"resp_{number}", "object": "response", "created_at": int(time.time()), "status": status, "model": answer.model,
        "output": [item] if text is not None else [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": usage if text is not None else None, "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
        "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def _responses_stream(answer: Answer, number: str, words: int) -> tuple[list[bytes], Iterator[bytes], list[bytes]]:
    first = _data({"type": "response.created", "sequence_number": 0, "response": _response(answer, number, "in_progress", None)},
                  "response.created")  # fmt: skip
    delta = {"type": "response.output_text.delta", "item_id": f"msg_{number}", "output_index": 0, "content_index": 0, "delta": WORD,
             "logprobs": []}  # fmt: skip
    done = _response(answer, number, "completed", text_of(answer))
    last = _data({"type": "response.completed", "sequence_number": words + 1, "response": done}, "response.completed")
    middle = (_data({**delta, "sequence_number": place + 1}, "response.output_text.delta") for place in range(words))
    return [first], middle, [last]
