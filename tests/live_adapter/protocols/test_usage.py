"""Usage from answers and from streams, however the bytes are split."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.protocols.calls import Call, Route, read_call
from live_adapter.protocols.usage import StreamReader, Usage, usage_of


def call_of(route: Route, **body: Any) -> Call:
    return read_call(route, json.dumps({"model": "m", "stream": True, **body}).encode(), "m")


def event(value: Any, name: str = "", end: str = "\n") -> bytes:
    head = f"event: {name}{end}" if name else ""
    return f"{head}data: {json.dumps(value, ensure_ascii=False)}{end}{end}".encode()


CHUNK = {"choices": [{"index": 0, "delta": {"content": "wörd "}}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2},
                                  "completion_tokens_details": {"reasoning_tokens": 1}}}  # fmt: skip
OPENAI = event(CHUNK) * 3 + event(USAGE) + b"data: [DONE]\n\n"
ANTHROPIC = (
    event({"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
                                                          "output_tokens": 1}}}, "message_start")
    + event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hello"}}, "content_block_delta")
    + event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}}, "message_delta")
    + event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 12}}, "message_delta")
    + event({"type": "message_stop"}, "message_stop")
)  # fmt: skip
GEMINI = (
    event({"candidates": [{"content": {"parts": [{"text": "hi"}]}}], "usageMetadata": {"promptTokenCount": 8}}, end="\r\n")
    + event({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 5,
                                                                        "thoughtsTokenCount": 2, "cachedContentTokenCount": 3}}, end="\r\n")
)  # fmt: skip
STREAMS: list[tuple[Any, Route, bytes, Usage]] = [
    ("openai", "chat/completions", OPENAI, Usage(input_tokens=9, cached_tokens=2, output_tokens=4, reasoning_tokens=1)),
    ("anthropic", "messages", ANTHROPIC, Usage(input_tokens=10, cached_tokens=3, cache_write_tokens=2, output_tokens=12)),
    ("gemini", "streamGenerateContent", GEMINI, Usage(input_tokens=8, cached_tokens=3, output_tokens=7, reasoning_tokens=2)),
]


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 2_000), max_size=30))
def test_splits_change_nothing(stream: tuple[Any, Route, bytes, Usage], cuts: list[int]) -> None:
    dialect, route, data, expected = stream
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    reader = StreamReader(call_of(route, stream_options={"include_usage": True}), dialect)
    passed = b"".join(reader.feed(data[lo:hi]) for lo, hi in pairwise(places)) + reader.rest()
    assert passed == data
    assert reader.finished
    assert reader.saw_token
    assert reader.usage == expected


def test_a_usage_chunk_that_was_not_asked_for_is_kept_from_the_client() -> None:
    reader = StreamReader(call_of("chat/completions"), "openai")
    passed = b"".join(reader.feed(OPENAI[at : at + 7]) for at in range(0, len(OPENAI), 7)) + reader.rest()
    assert passed == event(CHUNK) * 3 + b"data: [DONE]\n\n"
    assert reader.usage is not None
    assert reader.usage.output_tokens == 4


@given(st.sampled_from(STREAMS), st.integers(0, 2_000))
def test_a_stream_that_breaks_off_is_not_finished_and_can_be_estimated(stream: tuple[Any, Route, bytes, Usage], cut: int) -> None:
    dialect, route, data, _ = stream
    reader = StreamReader(call_of(route), dialect)
    reader.feed(data[: cut % (len(data) - 30)])
    assert not reader.finished
    assert reader.estimated_output_tokens >= 0


@given(st.sampled_from(["openai", "anthropic", "gemini"]), st.binary(max_size=400))
def test_any_bytes_pass(dialect: Any, data: bytes) -> None:
    reader = StreamReader(call_of("chat/completions", stream_options={"include_usage": True}), dialect)
    assert reader.feed(data) + reader.rest() == data


@pytest.mark.parametrize(("dialect", "answer"), [
    ("openai", {}), ("openai", {"usage": None}), ("openai", []), ("anthropic", {"usage": "x"}), ("gemini", {"usageMetadata": 3}),
])  # fmt: skip
def test_an_answer_that_does_not_say(dialect: Any, answer: Any) -> None:
    assert usage_of(dialect, answer) is None


def test_counts_that_make_no_sense_are_bounded() -> None:
    said = {"prompt_tokens": -5, "completion_tokens": 10**30, "prompt_tokens_details": {"cached_tokens": True}}
    found = usage_of("openai", {"usage": said})
    assert found == Usage(output_tokens=1_000_000_000)
