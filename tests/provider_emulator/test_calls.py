"""Bodies of calls: whatever comes is read, or refused in words; nothing else is raised."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provider_emulator.calls import BadCallError, key_of, read_call

PATHS = {
    "openai": ("chat/completions", "responses", "embeddings"), "anthropic": ("messages",),
    "gemini": ("generateContent", "streamGenerateContent", "embedContent"),
}  # fmt: skip
NAMES = st.sampled_from(
    ["model", "messages", "input", "contents", "content", "max_tokens", "generationConfig", "maxOutputTokens", "stream", "stream_options"]
)
HEADERS = st.sampled_from(["x-emulate-output-tokens", "x-emulate-service-s", "x-emulate-seed"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from([(protocol, path) for protocol, paths in PATHS.items() for path in paths]),
    st.dictionaries(NAMES, VALUES) | VALUES, st.dictionaries(HEADERS, st.text(max_size=12)),
)  # fmt: skip
@example(("openai", "embeddings"), {"model": "m", "input": ["x", [[]]]}, {})
@example(("openai", "embeddings"), {"model": "m", "input": [1, True]}, {})
@example(("openai", "chat/completions"), {"model": "\ud800", "messages": ["\ud800"]}, {"x-emulate-output-tokens": "²"})
def test_any_body_is_read_or_refused(of: tuple[str, str], body: Any, headers: dict[str, str]) -> None:
    try:
        call = read_call(*of, {"anthropic-version": "2023-06-01", **headers}, json.dumps(body).encode())
    except BadCallError as error:
        assert str(error)
        return
    assert call.asked.input_tokens >= 1
    assert call.asked.most_output_tokens is None or call.asked.most_output_tokens >= 0
    assert call.asked.service_s is None or call.asked.service_s >= 0


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_in_words(raw: bytes) -> None:
    with pytest.raises(BadCallError):
        read_call("openai", "chat/completions", {}, raw)


@pytest.mark.parametrize(
    ("given_as", "tokens"), [("x" * 9, 3), (["x" * 9, "x"], 4), ([5, 6, 7], 3), ([[5, 6, 7], [8]], 4), (["xxxx", [5, 6]], 3)]
)
def test_embeddings_count_texts_and_tokens(given_as: Any, tokens: int) -> None:
    call = read_call("openai", "embeddings", {}, json.dumps({"model": "m", "input": given_as}).encode())
    assert (call.asked.input_tokens, call.asked.most_output_tokens, call.asked.output_tokens) == (tokens, 0, 0)


def test_more_texts_than_one_call_takes_are_refused() -> None:
    with pytest.raises(BadCallError, match="2048"):
        read_call("openai", "embeddings", {}, json.dumps({"model": "m", "input": ["x"] * 2049}).encode())


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer k"}, {"authorization": "bearer  k "}, {"x-api-key": "k"}, {"x-goog-api-key": "k"}]
)
def test_a_key_comes_in_any_of_the_ways_of_the_protocols(headers: dict[str, str]) -> None:
    assert key_of(headers) == "k"
    assert key_of({"authorization": "Basic k"}) == ""
