"""Usage from answers and from streams, however the bytes are split."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.protocols.calls import Call, Route, read_call
from live_adapter.protocols.events import MOST_EVENT_BYTES, Events
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


def test_an_answer_is_counted_as_its_provider_counts() -> None:
    anthropic = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 9,
                 "output_tokens_details": {"thinking_tokens": 4}}  # fmt: skip
    responses = {"input_tokens": 8, "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 1}, "output_tokens": 3,
                 "output_tokens_details": {"reasoning_tokens": 2}}  # fmt: skip
    assert usage_of("anthropic", {"usage": anthropic}) == Usage(
        input_tokens=10, cached_tokens=3, cache_write_tokens=2, output_tokens=9, reasoning_tokens=4)  # fmt: skip
    assert usage_of("openai", {"usage": responses}) == Usage(
        input_tokens=8, cached_tokens=6, cache_write_tokens=1, output_tokens=3, reasoning_tokens=2)  # fmt: skip
    assert usage_of("openai", {"usage": {"prompt_tokens": 7, "total_tokens": 7}}) == Usage(input_tokens=7)


COUNTS = st.integers(-5, 90)


@given(st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), COUNTS), COUNTS, COUNTS)
def test_a_part_is_never_more_than_the_whole(said: dict[str, int], cached: int, reasoning: int) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": cached},
               "completion_tokens_details": {"reasoning_tokens": reasoning}}  # fmt: skip
    found = usage_of("openai", {"usage": said | details})
    assert found is not None
    assert 0 <= found.cached_tokens + found.cache_write_tokens <= found.input_tokens
    assert 0 <= found.reasoning_tokens <= found.output_tokens


PIECES = st.sampled_from([b"data: 1", b"\r\n", b"\n", b"\r", b": c", b'data: {"a":2}'])


@given(st.lists(PIECES, max_size=25), st.lists(st.integers(0, 200)))
def test_events_are_the_same_however_bytes_are_split(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})

    def cut_out(pieces: list[bytes]) -> list[tuple[bytes, bool]]:
        events = Events()
        return [one for piece in pieces for one in events.feed(piece)] + [events.rest()]

    whole = cut_out([data])
    assert cut_out([data[lo:hi] for lo, hi in pairwise(places)]) == whole
    assert b"".join(event for event, _ in whole) == data


def test_an_event_without_end_is_passed_on_and_what_follows_it_is_read() -> None:
    reader, piece = StreamReader(call_of("chat/completions"), "openai"), b"x" * 1_000_000
    passed, fed = len(reader.feed(b"data: ")), 6
    for _ in range(40):
        passed, fed = passed + len(reader.feed(piece)), fed + len(piece)
        assert fed - passed <= MOST_EVENT_BYTES
    end = [b"\n", b"\ndata: [DO", b"NE]\n\n"]
    passed += sum(len(reader.feed(one)) for one in end)
    assert passed == fed + sum(map(len, end))
    assert reader.finished


def test_usage_that_ends_a_stream_without_a_blank_line_is_kept_from_the_client_too() -> None:
    reader = StreamReader(call_of("chat/completions"), "openai")
    assert reader.feed(event(USAGE)[:-1]) + reader.rest() == b""
    assert reader.usage is not None


@pytest.mark.parametrize(("dialect", "route", "data"), [
    ("anthropic", "messages", event({"type": "error", "error": {"type": "overloaded_error"}}, "error")),
    ("openai", "chat/completions", event({"error": {"message": "x"}})),
    ("openai", "responses", event({"type": "error", "message": "x"}, "error")),
    ("openai", "responses", event({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "response.failed")),
    ("gemini", "streamGenerateContent", event({"error": {"code": 503}})),
])  # fmt: skip
def test_an_error_within_a_stream_is_seen_and_passed(dialect: Any, route: Route, data: bytes) -> None:
    reader = StreamReader(call_of(route), dialect)
    assert reader.feed(data) == data
    assert reader.failed
    assert json.loads(reader.error)


def test_responses_are_read_to_their_end() -> None:
    reader = StreamReader(call_of("responses"), "openai")
    seen = []
    for kind, more in (("response.created", {"response": {"usage": None}}), ("response.function_call_arguments.delta", {"delta": "{}"})):
        reader.feed(event({"type": kind, **more}, kind))
        seen.append(reader.saw_token)
    assert seen == [False, True]
    last = {"type": "response.completed", "response": {"usage": {"input_tokens": 4, "output_tokens": 2}}}
    reader.feed(event(last, "response.completed"))
    assert reader.finished
    assert reader.usage == Usage(input_tokens=4, output_tokens=2)


def test_a_prompt_that_gemini_blocks_ends_its_stream() -> None:
    reader = StreamReader(call_of("streamGenerateContent"), "gemini")
    reader.feed(event({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}))
    assert reader.finished


def test_what_broke_off_is_not_billed_by_a_count_from_its_beginning() -> None:
    reader = StreamReader(call_of("messages"), "anthropic")
    reader.feed(event({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}))
    reader.feed(event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 400}}))
    assert reader.usage == Usage(input_tokens=5, output_tokens=100)
