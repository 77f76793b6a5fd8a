"""Calls of clients: read whatever comes, and refuse in words what no provider would take."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.entry import route_of
from live_adapter.protocols.calls import CallError, Route, read_call
from live_adapter.protocols.outgoing import outgoing

NAMES = ["model", "messages", "stream", "max_tokens", "input", "contents", "tools", "generationConfig", "content", "stream_options"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip
ROUTES: list[Route] = ["chat/completions", "responses", "embeddings", "messages", "generateContent", "streamGenerateContent"]


@given(JSON, st.sampled_from(ROUTES), st.booleans())
def test_any_json_is_read_or_refused_in_words(value: Any, route: Route, named: bool) -> None:
    try:
        call = read_call(route, json.dumps(value).encode(), "some-model" if named else "")
    except CallError as error:
        assert str(error)
        return
    assert call.text_bytes >= 0
    assert 0 <= call.most_output_tokens <= 100_000_000


@given(st.binary(max_size=300), st.sampled_from(ROUTES))
def test_any_bytes_are_read_or_refused_in_words(raw: bytes, route: Route) -> None:
    try:
        read_call(route, raw, "some-model")
    except CallError as error:
        assert str(error)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"model": "m", "messages": ' + b"[" * 200 + b"]" * 200 + b"}", b'{"a":' * 50_000])
def test_deep_nesting_is_refused(raw: bytes) -> None:
    with pytest.raises(CallError):
        read_call("chat/completions", raw)


@pytest.mark.parametrize(("field", "value", "told"), [
    ("model", 7, "model must be a name"), ("model", "", "model must be a name"), ("stream", "yes", "stream must be true or false"),
    ("max_tokens", -1, "max_tokens must be a whole number"), ("max_tokens", True, "max_tokens must be a whole number"),
    ("max_completion_tokens", 10**12, "max_completion_tokens must be a whole number"),
])  # fmt: skip
def test_a_bad_field_is_named(field: str, value: Any, told: str) -> None:
    with pytest.raises(CallError, match=told):
        read_call("chat/completions", json.dumps({"model": "m", "messages": [], field: value}).encode())


@pytest.mark.parametrize(("path", "expected"), [
    ("/v1/chat/completions", ("chat/completions", "")), ("/chat/completions/", ("chat/completions", "")),
    ("/v1/messages", ("messages", "")),
    ("/v1beta/models/gemini-3:streamGenerateContent", ("streamGenerateContent", "gemini-3")), ("/v1/files", None), ("/", None),
    ("/v1/messages/count_tokens", None),
])  # fmt: skip
def test_paths_are_known(path: str, expected: Any) -> None:
    assert route_of(path) == expected


def test_what_a_call_does_not_say_for_us_passes_untouched() -> None:
    raw = b'{"model": "gpt",  "messages": [], "unknown_field": {"x": [1, 2.50]}, "seed": 3}'
    client = {"cookie": "c", "authorization": "theirs"}
    out = outgoing(read_call("chat/completions", raw), "openai", "gpt", "key-1", "http://there/v1", client)
    assert out.body == raw
    assert out.url == "http://there/v1/chat/completions"
    assert out.headers == {"content-type": "application/json", "authorization": "Bearer key-1"}
    assert "key-1" not in repr(out)


def test_only_the_models_name_and_the_wish_for_usage_are_changed() -> None:
    raw = b'{"model": "gpt", "messages": [], "stream": true, "unknown_field": 1}'
    out = outgoing(read_call("chat/completions", raw), "openai", "gpt-2026", "k", "http://there/v1", {})
    expected = {"model": "gpt-2026", "messages": [], "stream": True, "unknown_field": 1, "stream_options": {"include_usage": True}}
    assert json.loads(out.body) == expected


def test_images_count_for_something_and_settings_for_nothing() -> None:
    text = {"model": "m", "messages": [{"role": "user", "content": "abcd"}]}
    image = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:" + "x" * 9999}}]}]}
    assert read_call("chat/completions", json.dumps(text).encode()).text_bytes == 4
    assert read_call("chat/completions", json.dumps({**text, "user": "someone", "metadata": {"a": "b"}}).encode()).text_bytes == 4
    assert 1_000 < read_call("chat/completions", json.dumps(image).encode()).text_bytes < 9_000
