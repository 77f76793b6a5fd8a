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
    ("max_completion_tokens", 10**12, "max_completion_tokens must be a whole number"), ("stream_options", 3, "stream_options must be"),
    ("model", "a\ud800b", "model must be a name"), ("model", "a\nb", "model must be a name"),
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


@pytest.mark.parametrize(("raw", "told"), [
    (b'{"model": "a", "mod\\u0065l": "b"}', "'model' is given twice"), (b'{"model": "m", "temperature": NaN}', "not valid JSON"),
    (b'{"model": "m", "x": [1e999]}', "not valid JSON"), ('{"model": "m"}'.encode("utf-16"), "UTF-8|JSON"), (b'{"model": "\xff"}', "UTF-8"),
    (b'{"model": "m"} x', "not valid JSON"), (b'{"model": "m",}', "not valid JSON"), (b"[]", "a JSON object"), (b"", "not valid JSON"),
    (b'{"model": "m", "x": ' + b"9" * 5_000 + b"}", "not valid JSON"), (b"{", "not valid JSON"), (b'{"a" 1}', "not valid JSON"),
])  # fmt: skip
def test_what_readers_may_understand_differently_is_refused(raw: bytes, told: str) -> None:
    with pytest.raises(CallError, match=told):
        read_call("chat/completions", raw)


TEXT = st.text(max_size=8)
FIELDS = st.dictionaries(TEXT.filter(lambda name: name not in ("model", "stream", "stream_options", *NAMES)), JSON.filter(
    lambda value: "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value)), max_size=4)  # fmt: skip


@given(FIELDS, st.sampled_from([None, 0, 2]), st.booleans(), st.booleans())
def test_a_body_reads_the_same_there_but_for_changes(fields: dict[str, Any], indent: int | None, ascii_: bool, asks: bool) -> None:
    body = {**fields, "model": "ours", "messages": [], "stream": asks}
    try:
        raw = json.dumps(body, indent=indent, ensure_ascii=ascii_).encode()
    except UnicodeEncodeError:
        raw = json.dumps(body, indent=indent).encode()
    out = outgoing(read_call("chat/completions", raw), "openai", "theirs", "k", "http://there/v1", {})
    usage = {"stream_options": {"include_usage": True}} if asks else {}
    assert json.loads(out.body) == {**body, "model": "theirs", **usage}


def test_all_other_bytes_stay_as_they_came() -> None:
    raw = b' { "seed" : 12345678901234567890123 , "temperature":1.0e0,\n "model" : "ours", "messages":[{"content":"\\u00e9\xc3\xa9"}]}\n'
    out = outgoing(read_call("chat/completions", raw), "openai", "theirs", "k", "http://there/v1", {})
    assert out.body == raw.replace(b'"ours"', b'"theirs"')


def test_a_wish_for_usage_keeps_the_other_options() -> None:
    raw = b'{"model": "m", "messages": [], "stream": true, "stream_options": {"include_obfuscation": false}, "x": 1}'
    out = outgoing(read_call("chat/completions", raw), "openai", "m", "k", "http://there/v1", {})
    assert json.loads(out.body)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    responses = b'{"model": "m", "input": "x", "stream": true}'
    assert outgoing(read_call("responses", responses), "openai", "m", "k", "http://there/v1", {}).body == responses


def test_geminis_model_is_named_in_the_path_and_wherever_the_body_names_it() -> None:
    call = read_call("embedContent", b'{"model": "models/ours", "content": {"parts": [{"text": "x"}]}}', "ours")
    out = outgoing(call, "gemini", "gemini/../x?y", "k", "http://there/", {})
    assert out.url == "http://there/v1beta/models/gemini%2F..%2Fx%3Fy:embedContent"
    assert json.loads(out.body)["model"] == "models/gemini/../x?y"
    stream = read_call("streamGenerateContent", b'{"contents": []}', "m")
    out = outgoing(stream, "gemini", "m", "k", "http://there", {})
    assert (out.url, out.body) == ("http://there/v1beta/models/m:streamGenerateContent?alt=sse", b'{"contents": []}')
    assert out.headers["x-goog-api-key"] == "k"


CLIENT = {"authorization": "Bearer theirs", "x-api-key": "theirs", "x-goog-api-key": "theirs", "cookie": "theirs", "host": "theirs",
          "connection": "keep-alive", "transfer-encoding": "chunked", "content-length": "9", "openai-organization": "theirs",
          "openai-project": "theirs", "proxy-authorization": "theirs", "x-forwarded-for": "theirs", "user-agent": "sdk", "openai-beta": "o",
          "anthropic-beta": "a", "anthropic-version": "2024-01-01", "idempotency-key": "i"}  # fmt: skip


@pytest.mark.parametrize(("dialect", "route", "own"), [
    ("openai", "chat/completions", {"openai-beta": "o", "authorization": "Bearer k"}),
    ("anthropic", "messages", {"anthropic-beta": "a", "anthropic-version": "2024-01-01", "x-api-key": "k"}),
    ("gemini", "generateContent", {"x-goog-api-key": "k"}),
])  # fmt: skip
def test_of_a_clients_headers_only_what_is_meant_for_this_provider_goes_there(dialect: Any, route: Route, own: dict[str, str]) -> None:
    out = outgoing(read_call(route, b'{"model": "m"}', "m"), dialect, "m", "k", "http://there", CLIENT)
    assert out.headers == {"content-type": "application/json", "user-agent": "sdk", "idempotency-key": "i"} | own


def test_headers_that_cannot_be_sent_stay_here() -> None:
    client = {"user-agent": "a\r\nx-api-key: b", "idempotency-key": "x" * 5_000}
    out = outgoing(read_call("messages", b'{"model": "m"}'), "anthropic", "m", "k", "http://there", client)
    assert out.headers == {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": "k"}


def test_what_a_client_says_is_not_shown_where_a_call_is_printed() -> None:
    assert "hush" not in repr(read_call("chat/completions", b'{"model": "m", "messages": [{"role": "user", "content": "hush"}]}'))


def bytes_of(route: Route, **body: Any) -> int:
    return read_call(route, json.dumps({"model": "m", **body}).encode(), "m").text_bytes


BIG = "x" * 100_000


@pytest.mark.parametrize(("route", "body"), [
    ("chat/completions", {"messages": [{"role": "system", "content": BIG}]}),
    ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": BIG}]}]}),
    ("chat/completions", {"messages": [{"role": "user", "name": BIG, "content": ""}]}),
    ("chat/completions", {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {BIG: {}}}}}]}),
    ("chat/completions", {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": BIG}}]}]}),
    ("chat/completions", {"response_format": {"type": "json_schema", "json_schema": {"schema": {"description": BIG}}}}),
    ("messages", {"system": [{"type": "text", "text": BIG}]}),
    ("messages", {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"url": BIG}}]}]}),
    ("messages", {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"type": "image", "text": BIG}}]}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": BIG}]}]}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": BIG}}]}]}),
    ("responses", {"instructions": BIG}), ("responses", {"input": [{"type": "message", "role": "user", "content": BIG}]}),
    ("generateContent", {"systemInstruction": {"parts": [{"text": BIG}]}}),
    ("generateContent", {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {"data": BIG}}}]}]}),
    ("embedContent", {"content": {"parts": [{"text": BIG}]}}), ("embeddings", {"input": [BIG]}),
    ("embeddings", {"input": [list(range(25_000))]}), ("chat/completions", {"not_known_to_us": {"deep": [BIG]}}),
])  # fmt: skip
def test_whatever_a_model_reads_counts_wherever_it_stands(route: Route, body: dict[str, Any]) -> None:
    assert 100_000 <= bytes_of(route, **body) < 100_500


def test_media_are_counted_by_kind_and_not_by_their_bytes() -> None:
    parts = [{"type": "image_url", "image_url": {"url": BIG}}, {"type": "input_audio", "input_audio": {"data": "x" * 9_000_000}},
             {"type": "file", "file": {"file_data": "x" * 750_000}}]  # fmt: skip
    call = read_call("chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode())
    assert (call.images, call.audios, call.files) == (1, 1, 1)
    assert call.text_bytes == 4 * (850 + 9_000 + 15_000)
    inline = [{"inlineData": {"mimeType": kind, "data": "x"}} for kind in ("image/png", "audio/wav", "application/pdf")]
    call = read_call("generateContent", json.dumps({"contents": [{"parts": inline}]}).encode(), "m")
    assert (call.images, call.audios, call.files) == (1, 1, 1)


def test_the_largest_bound_on_output_counts() -> None:
    assert read_call("chat/completions", b'{"model": "m", "max_tokens": 900, "max_completion_tokens": 5}').most_output_tokens == 900
    assert read_call("generateContent", b'{"generationConfig": {"maxOutputTokens": 7}}', "m").most_output_tokens == 7
