"""Chats from any protocol to any other, and their answers back; what has no counterpart is named and not dropped."""

import json
from collections.abc import Iterable
from typing import Any

import anthropic.types
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter, ValidationError

from live_adapter.protocols import chat_anthropic, chat_gemini, chat_openai, reply_anthropic, reply_gemini, reply_openai
from live_adapter.protocols.calls import Call, CallError, Dialect, Route, read_call
from live_adapter.protocols.chat import (
    Chat,
    Delta,
    Image,
    ImageAddress,
    Part,
    Reply,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    UntranslatableError,
    alternating,
)
from live_adapter.protocols.translating import StreamBack, answer_back, translated
from live_adapter.protocols.usage import StreamReader, Usage

CHATS: dict[Dialect, Any] = {"openai": chat_openai, "anthropic": chat_anthropic, "gemini": chat_gemini}
REPLIES: dict[Dialect, Any] = {"openai": reply_openai, "anthropic": reply_anthropic, "gemini": reply_gemini}
PAIRS = [(one, other) for one in CHATS for other in CHATS if one != other]
ROUTES: dict[Dialect, Route] = {"openai": "chat/completions", "anthropic": "messages", "gemini": "generateContent"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT = Chat(
    system="Be brief.",
    turns=(
        Turn("user", (Text("What is this, and how warm is it?"), Image("image/png", "aGVsbG8="))),
        Turn("assistant", (Text("Let me see."), ToolCall("c1", "weather", {"city": "Oslo"}), ToolCall("c2", "weather", {"city": "Rome"}))),
        Turn("user", (ToolResult("c1", "12 degrees"), ToolResult("c2", "24 degrees"), Text("And now?"))),
    ),
    most_tokens=300, settings={"temperature": 0.5, "top_p": 0.9}, stop=("END",), tools=(Tool("weather", "Tells it.", SCHEMA),),
    tool_choice="=weather", schema=SCHEMA, json_only=True,
)  # fmt: skip
USED = Usage(input_tokens=50, cached_tokens=10, output_tokens=20, reasoning_tokens=5)
REPLY = Reply(id="r1", text="It is warm.", calls=(ToolCall("call_1", "weather", {"city": "Oslo"}),), ended="tools", usage=USED)
PLAIN = Chat(system="", turns=(Turn("user", (Text("hello"),)),))


KINDS: dict[Dialect, Any] = {
    "openai": TypeAdapter(CompletionCreateParamsNonStreaming), "anthropic": TypeAdapter(MessageCreateParamsNonStreaming),
}  # fmt: skip


def validated(dialect: Dialect, body: dict[str, Any]) -> None:
    """Demand the body of a call to be as the provider's own library has it."""
    if dialect in KINDS:
        exhaust(KINDS[dialect].validate_python(body))


def exhaust(value: Any) -> None:
    """Lists are validated as they are read."""
    if isinstance(value, dict):
        for inner in value.values():
            exhaust(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for inner in value:
            exhaust(inner)


def test_the_validation_itself_can_fail() -> None:
    with pytest.raises(ValidationError):
        validated("anthropic", {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]})
    with pytest.raises(ValidationError):
        validated("openai", {"model": "m", "messages": [{"role": "tool", "content": "x"}]})


def call_in(dialect: Dialect, chat: Chat = CHAT, more: dict[str, Any] | None = None, route: Route | None = None) -> Call:
    body = CHATS[dialect].write_chat(chat, "there") | (more or {})
    return read_call(route or ROUTES[dialect], json.dumps(body).encode(), "there")


# What all three protocols have.
WORDS = st.text(min_size=1, max_size=12)
OBJECTS = st.dictionaries(WORDS, st.integers() | WORDS | st.lists(st.booleans(), max_size=2), max_size=3)
NAMES = st.sampled_from(["weather", "time", "search"])


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    turns, calls = list[Turn](), 0
    for _ in range(draw(st.integers(0, 3))):
        said: list[Part] = draw(st.lists(st.builds(Text, WORDS) | st.builds(Image, st.just("image/png"), WORDS), min_size=1))
        turns.append(Turn("user", tuple(said)))
        made = [ToolCall(f"c{calls + at}", draw(NAMES), draw(OBJECTS)) for at in range(draw(st.integers(0, 3)))]
        calls += len(made)
        turns.append(Turn("assistant", (Text(draw(WORDS)), *made)))
        results = tuple(ToolResult(call.id, draw(st.text(max_size=9))) for call in made)
        turns.append(Turn("user", (*results, Text(draw(WORDS)))))
    tools = draw(st.lists(st.builds(Tool, NAMES, st.text(max_size=9), st.just(SCHEMA)), max_size=3).map(tuple))
    choice = draw(st.sampled_from(["auto", "none", "any", "=weather"])) if tools else "auto"
    settings = draw(st.dictionaries(st.sampled_from(["temperature", "top_p"]), st.floats(0, 1)))
    return Chat(
        system=draw(st.text(max_size=20)), turns=alternating([*turns, Turn("user", (Text(draw(WORDS)),))]), tools=tools, tool_choice=choice,
        most_tokens=draw(st.integers(1, 10_000)), settings=settings, stop=draw(st.lists(WORDS, max_size=4).map(tuple)),
    )  # fmt: skip


@given(chats())
def test_a_chat_comes_back_from_any_protocol_as_it_was(chat: Chat) -> None:
    for module in CHATS.values():
        assert module.read_chat(module.write_chat(chat, "m")) == chat


@given(chats(), st.sampled_from(PAIRS))
def test_a_chat_comes_back_from_two_translations_as_it_was(chat: Chat, pair: tuple[Dialect, Dialect]) -> None:
    one, other = pair
    there = translated(call_in(one, chat), other, "there")
    validated(other, there.body)
    assert CHATS[one].read_chat(translated(there, one, "here").body) == chat


@pytest.mark.parametrize("dialect", CHATS)
def test_what_is_written_is_read_again(dialect: Dialect) -> None:
    body = CHATS[dialect].write_chat(CHAT, "m")
    validated(dialect, body)
    again = CHATS[dialect].read_chat(body)
    assert (again.system, again.turns, again.settings, again.tools, again.tool_choice, again.schema) == (
        CHAT.system, CHAT.turns, CHAT.settings, CHAT.tools, CHAT.tool_choice, CHAT.schema)  # fmt: skip


@pytest.mark.parametrize(("one", "other", "chat"), [
    ("openai", "gemini", Chat(system="", turns=PLAIN.turns, settings={"seed": 3, "presence_penalty": 0.5})),
    ("openai", "gemini", Chat(system="", turns=PLAIN.turns, json_only=True)),
    ("anthropic", "gemini", Chat(system="", turns=PLAIN.turns, settings={"top_k": 5}, most_tokens=9)),
    ("openai", "anthropic", Chat(system="", turns=PLAIN.turns, tools=(Tool("f", "", SCHEMA, True),), one_tool_a_turn=True, user="u7",
                                 most_tokens=9)),
    ("openai", "anthropic", Chat(system="", turns=(Turn("user", (ImageAddress("https://example.com/a.png"),)),), most_tokens=9)),
    ("anthropic", "gemini", Chat(system="", most_tokens=9, turns=(*CHAT.turns[:2], Turn("user", (ToolResult("c1", "gone", True),))))),
])  # fmt: skip
def test_what_two_of_them_have_passes_between_these(one: Dialect, other: Dialect, chat: Chat) -> None:
    for here, there in ((one, other), (other, one)):
        assert CHATS[there].read_chat(translated(call_in(here, chat), there, "m").body) == chat


def test_a_bound_on_output_is_said_where_it_must_be() -> None:
    assert translated(call_in("openai", PLAIN), "anthropic", "m").body["max_tokens"] == chat_anthropic.MOST_TOKENS


def test_names_of_gemini_may_be_in_snake_case_and_its_schemas_of_its_own_kind() -> None:
    body = {"system_instruction": {"parts": [{"text": "s"}]}, "generation_config": {"max_output_tokens": 5, "response_schema": {
        "type": "OBJECT", "properties": {"type": {"type": "STRING", "nullable": True}}}}, "contents": [
        {"parts": [{"inline_data": {"mime_type": "image/png", "data": "x"}}]}]}  # fmt: skip
    chat = chat_gemini.read_chat(body)
    assert (chat.system, chat.most_tokens, chat.turns[0].parts) == ("s", 5, (Image("image/png", "x"),))
    assert chat.schema == {"type": "object", "properties": {"type": {"type": ["string", "null"]}}}


def test_tool_calls_of_gemini_without_ids_are_told_apart() -> None:
    call, result = {"functionCall": {"name": "f", "args": {}}}, {"functionResponse": {"name": "f", "response": {"output": "x"}}}
    contents = [{"role": "model", "parts": [call, call]}, {"role": "user", "parts": [result, result]}]
    chat = chat_gemini.read_chat({"contents": contents})
    assert [part.id for turn in chat.turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)] == ["call_1", "call_2"] * 2


def test_calls_of_tools_by_other_models_are_marked_for_gemini() -> None:
    parts = translated(call_in("openai"), "gemini", "m").body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, *["skip_thought_signature_validator"] * 2]


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("ended", ["stop", "length", "tools", "filtered"])
def test_an_answer_keeps_its_meaning(one: Dialect, other: Dialect, ended: str) -> None:
    reply = Reply(id="r1", text="It is warm.", calls=REPLY.calls if ended == "tools" else (), ended=ended, usage=USED)
    body = json.dumps(REPLIES[other].write_reply(reply, "there", 1)).encode()
    back = json.loads(answer_back(body, call_in(one), other, "here", 2))
    assert REPLIES[one].read_reply(back) == reply
    if one == "openai":
        ChatCompletion.model_validate(back)
    if one == "anthropic":
        anthropic.types.Message.model_validate(back)


def test_tokens_written_to_a_cache_are_counted_by_both_that_know_them() -> None:
    reply = Reply(id="r", text="x", usage=Usage(input_tokens=50, cached_tokens=10, cache_write_tokens=7, output_tokens=2))
    body = json.dumps(reply_anthropic.write_reply(reply, "m", 1)).encode()
    assert reply_openai.read_reply(json.loads(answer_back(body, call_in("openai"), "anthropic", "m", 1))) == reply


@pytest.mark.parametrize(("dialect", "body", "ended", "text"), [
    ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, "filtered", ""),
    ("gemini", {"candidates": [{"finishReason": "OTHER", "content": {"parts": [{"text": "a"}]}}]}, "filtered", "a"),
    ("gemini", {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "hm", "thought": True}, {"text": "a"}]}}]},
     "stop", "a"),
    ("gemini", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length", ""),
    ("anthropic", {"stop_reason": "model_context_window_exceeded", "content": [{"type": "thinking", "thinking": "hm"}]}, "length", ""),
    ("anthropic", {"stop_reason": "stop_sequence", "content": [{"type": "text", "text": "a"}]}, "stop", "a"),
    ("openai", {"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "no"}}]}, "filtered", "no"),
])  # fmt: skip
def test_why_an_answer_ended_is_kept(dialect: Dialect, body: dict[str, Any], ended: str, text: str) -> None:
    found = REPLIES[dialect].read_reply(body)
    assert (found.ended, found.text) == (ended, text)


@pytest.mark.parametrize(("dialect", "body"), [
    ("openai", {}), ("openai", {"choices": [{"message": {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]}}]}),
    ("openai", []), ("anthropic", {"content": [{"type": "server_tool_use"}]}), ("anthropic", {"content": 3}),
    ("gemini", {"candidates": [{"content": {"parts": [{"inlineData": {}}]}}]}), ("gemini", {"candidates": "x"}),
])  # fmt: skip
def test_an_answer_that_cannot_be_told_is_an_error(dialect: Dialect, body: Any) -> None:
    with pytest.raises(ValueError, match="the answer"):
        answer_back(json.dumps(body).encode(), call_in("openai" if dialect != "openai" else "anthropic"), dialect, "m", 1)


DELTAS = [Delta(text="It is "), Delta(text="warm."), Delta(tool=0, tool_id="call_1", tool_name="weather"),
          Delta(tool=0, arguments='{"city": '), Delta(tool=0, arguments='"Oslo"}'), Delta(tool=1, tool_id="call_2", tool_name="time"),
          Delta(tool=1, arguments="{}"), Delta(ended="tools")]  # fmt: skip


def stream_in(dialect: Dialect) -> bytes:
    """A stream of the deltas, as a provider of this dialect writes it."""
    writer = REPLIES[dialect].Writer("there", "1", 1, usage=True)
    return b"".join(writer.write(delta) for delta in DELTAS) + bytes(writer.end(USED))


def events_in(stream: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]


def streaming(one: Dialect) -> Call:
    more: dict[str, Any] = {} if one == "gemini" else {"stream": True}
    more |= {"stream_options": {"include_usage": True}} if one == "openai" else {}
    return call_in(one, CHAT, more, "streamGenerateContent" if one == "gemini" else None)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("width", [1, 17, 10_000])
def test_a_stream_keeps_its_meaning_however_it_is_split(one: Dialect, other: Dialect, width: int) -> None:
    call, data = streaming(one), stream_in(other)
    reader, back = StreamReader(translated(call, other, "there"), other), StreamBack(call, other, "here", "7", 2)
    passed = b"".join(back.feed(reader.feed(data[at : at + width])) for at in range(0, len(data), width))
    passed += back.feed(reader.rest())
    assert reader.finished
    assert reader.usage == USED
    passed += back.end(reader.usage)
    assert not back.failed
    again = StreamReader(call, one)
    again.feed(passed)
    assert again.finished
    assert again.usage == USED
    events = events_in(passed)
    reading = REPLIES[one].Reader()
    deltas = [delta for event in events for delta in reading.read(event)]
    assert "".join(delta.text for delta in deltas) == "It is warm."
    tools = sorted({delta.tool for delta in deltas if delta.tool >= 0})
    said = [json.loads("".join(delta.arguments for delta in deltas if delta.tool == tool)) for tool in tools]
    assert (tools, said) == ([0, 1], [{"city": "Oslo"}, {}])
    assert [delta.tool_name for delta in deltas if delta.tool_name] == ["weather", "time"]
    assert [delta.tool_id for delta in deltas if delta.tool_id] == ["call_1", "call_2"]
    assert [delta.ended for delta in deltas if delta.ended] == ["tools"]
    if one == "openai":
        for event in events:
            ChatCompletionChunk.model_validate(event)
    if one == "anthropic":
        for event in events:
            TypeAdapter(anthropic.types.RawMessageStreamEvent).validate_python(event)


def test_tool_calls_of_gemini_in_several_events_are_told_apart() -> None:
    def event(name: str) -> bytes:
        call = {"functionCall": {"name": name, "args": {}}}
        return b"data: " + json.dumps({"candidates": [{"content": {"parts": [call]}}], "responseId": "a/b"}).encode() + b"\n\n"

    back = StreamBack(streaming("openai"), "gemini", "m", "1", 1)
    chunks = events_in(back.feed(event("f") + event("g")))
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert [(call["index"], call["id"], call["function"]["name"]) for call in calls] == [(0, "call_ab_1", "f"), (1, "call_ab_2", "g")]


@pytest.mark.parametrize("event", [
    b'data: {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}}\n\n',
    b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 3}}\n\n', b"data: {half\n\n",
    b'data: {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": "{}"}}\n\n',
])  # fmt: skip
@pytest.mark.parametrize("one", ["openai", "gemini"])
def test_a_stream_that_cannot_be_told_ends_in_an_error(one: Dialect, event: bytes) -> None:
    back = StreamBack(streaming(one), "anthropic", "m", "1", 1)
    assert back.feed(event) == b""
    assert back.feed(b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}\n\n') == b""
    assert back.failed
    end = back.end(Usage())
    assert b"[DONE]" not in end
    assert events_in(end)[-1]["error"]


def test_arguments_cut_short_are_not_made_up() -> None:
    for ended, reason in (("length", "MAX_TOKENS"), ("stop", "MALFORMED_FUNCTION_CALL")):
        writer = reply_gemini.Writer("m", "1", 1, usage=True)
        writer.write(Delta(tool=0, tool_id="c", tool_name="f", arguments='{"a": '))
        writer.write(Delta(ended=ended))
        (event,) = events_in(writer.end(Usage()))
        assert (event["candidates"][0]["content"]["parts"], event["candidates"][0]["finishReason"]) == ([], reason)


def said(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content), **more}]}


def parts(*given: Any) -> dict[str, Any]:
    return {"contents": [{"parts": list(given)}]}


TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize(("dialect", "other", "more", "told"), [
    ("openai", "anthropic", {"n": 3}, "n has no counterpart"),
    ("openai", "anthropic", {"logprobs": True}, "logprobs"),
    ("openai", "anthropic", {"response_format": {"type": "json_schema"}}, "response_format"),
    ("openai", "anthropic", {"response_format": {"type": "json_object"}}, "JSON without a schema"),
    ("openai", "anthropic", {"seed": 5}, "seed"),
    ("openai", "anthropic", {"temperature": 1.7}, "temperature 1.7"),
    ("openai", "anthropic", {"temperature": "hot"}, "temperature must be a number"),
    ("openai", "anthropic", {"service_tier": "priority"}, "service_tier"), ("openai", "anthropic", {"store": True}, "store"),
    ("openai", "gemini", {"reasoning_effort": "high"}, "reasoning_effort"),
    ("openai", "gemini", {"logit_bias": {"5": 1}}, "logit_bias"), ("openai", "gemini", {"functions": [{"name": "f"}]}, "functions"),
    ("openai", "gemini", {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "f"}}]}, "one tool a turn"),
    ("openai", "gemini", {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, "tools.strict"),
    ("openai", "gemini", {"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    ("openai", "gemini", {"stop": list("abcdef")}, "stop"),
    ("openai", "anthropic", said({"type": "input_audio", "input_audio": {}}), "messages.0.content.0.type 'input_audio'"),
    ("openai", "anthropic", said(TEXT, {"type": "file", "file": {}}), "messages.0.content.1.type 'file'"),
    ("openai", "anthropic", said(TEXT, name="Ann"), "messages.0.name"),
    ("openai", "gemini", said({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}), "an image by its address"),
    ("openai", "gemini", said({"type": "image_url", "image_url": {"url": "ftp://a"}}), "image_url.url must be"),
    ("openai", "gemini", said({"type": "image_url", "image_url": {"url": "data:,", "detail": "high"}}), "image_url.detail"),
    ("openai", "anthropic", {"messages": [{"role": "narrator", "content": "x"}]}, "messages.0.role"),
    ("openai", "anthropic", {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}]}, "messages.1.role"),
    ("openai", "anthropic", {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "last message"),
    ("openai", "anthropic", {"messages": [
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[]"}}]}]},
     "messages.0.tool_calls.0.function.arguments must be a JSON object"),
    ("openai", "gemini", {"messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]}, "must name a call before it"),
    ("openai", "anthropic", {"tools": [{"type": "function"}]}, "tools.0.function.name must be a string"),
    ("anthropic", "openai", {"thinking": {"type": "enabled", "budget_tokens": 2_000}}, "thinking"),
    ("anthropic", "openai", {"output_config": {"effort": "high"}}, "output_config.effort"), ("anthropic", "openai", {"top_k": 3}, "top_k"),
    ("anthropic", "openai", {"stop_sequences": list("abcde")}, "more than 4 stop"),
    ("anthropic", "openai", said({"type": "thinking", "thinking": "hm", "signature": "s"}), "content.0.type 'thinking'"),
    ("anthropic", "openai", said({"type": "document", "source": {}}), "content.0.type 'document'"),
    ("anthropic", "openai", said({"type": "tool_result", "tool_use_id": "1", "content": "x", "is_error": True}), "marked as an error"),
    ("anthropic", "openai", said({"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image"}]}), "content.0.content.0.type"),
    ("anthropic", "openai", {"tools": [{"type": "web_search_20250305", "name": "w"}]}, "web_search"),
    ("anthropic", "gemini", {"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
    ("gemini", "openai", {"safetySettings": [{"category": "x"}]}, "safetySettings"),
    ("gemini", "anthropic", {"generationConfig": {"seed": 4}}, "seed"), ("gemini", "openai", {"generationConfig": {"topK": 4}}, "top_k"),
    ("gemini", "openai", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}}}, "generationConfig.thinkingConfig"),
    ("gemini", "openai", {"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
    ("gemini", "openai", {"tools": [{"googleSearch": {}}]}, "tools.0.googleSearch"),
    ("gemini", "openai", {"cachedContent": "x"}, "cachedContent"),
    ("gemini", "openai", parts({"text": "x", "thoughtSignature": "abc"}), "contents.0.parts.0.thoughtSignature"),
    ("gemini", "openai", parts({"text": "x", "thought": True}), "contents.0.parts.0.thought"),
    ("gemini", "openai", parts({"fileData": {"fileUri": "x"}}), "contents.0.parts.0.fileData"),
    ("gemini", "openai", parts({"inlineData": {"mimeType": "audio/wav", "data": "x"}}), "inlineData.mimeType 'audio/wav'"),
    ("gemini", "openai", parts({"functionResponse": {"name": "f", "response": {}}}), "name must be that of a call before it"),
    ("gemini", "openai", {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}}}, "functionCallingConfig.mode"),
    ("gemini", "openai", {"contents": "hello"}, "contents must be a list of objects"),
])  # fmt: skip
def test_what_has_no_counterpart_is_named(dialect: Dialect, other: Dialect, more: dict[str, Any], told: str) -> None:
    with pytest.raises(UntranslatableError, match=told):
        translated(call_in(dialect, PLAIN, more), other, "there")


def test_what_asks_nothing_of_a_model_is_no_obstacle() -> None:
    labels = {"metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "k", "user": "u", "n": 1, "logprobs": False,
              "presence_penalty": 0, "store": False, "service_tier": "auto", "tools": [], "stop": None}  # fmt: skip
    assert translated(call_in("openai", PLAIN, labels), "gemini", "m").body == chat_gemini.write_chat(PLAIN, "m")
    block = {**TEXT, "cache_control": {"type": "ephemeral"}, "citations": None}
    more = {**said(block), "system": [block], "thinking": {"type": "disabled"}, "service_tier": "auto"}
    assert chat_openai.read_chat(translated(call_in("anthropic", PLAIN, more), "openai", "m").body).system == "x"


@pytest.mark.parametrize("route", ["responses", "embeddings"])
def test_calls_that_are_no_chats_stay_with_their_protocol(route: Route) -> None:
    with pytest.raises(UntranslatableError, match=route):
        translated(read_call(route, b'{"model": "m", "input": "x"}'), "gemini", "there")


FIELDS = st.sampled_from([
    "messages", "content", "role", "type", "text", "tool_calls", "function", "name", "arguments", "id", "tools", "contents", "parts",
    "functionCall", "functionResponse", "response", "args", "system", "source", "input", "stop", "tool_choice", "generationConfig",
    "candidates", "choices", "message", "delta", "index", "content_block", "usage", "finishReason", "image_url", "url", "response_format",
    "toolConfig",
])  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([
    "user", "assistant", "tool", "text", "image_url", "tool_use", "tool_result", "function", "{}", "content_block_start", "model",
])  # fmt: skip
SHAPES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5), max_leaves=30)


@given(st.dictionaries(FIELDS, SHAPES, max_size=5), st.sampled_from(PAIRS))
def test_a_call_of_any_shape_is_translated_or_refused_in_words(body: dict[str, Any], pair: tuple[Dialect, Dialect]) -> None:
    try:
        translated(read_call(ROUTES[pair[0]], json.dumps(body).encode(), "m"), pair[1], "there")
    except (UntranslatableError, CallError) as error:
        assert str(error)


@given(SHAPES, st.sampled_from(PAIRS))
def test_an_answer_of_any_shape_is_translated_or_an_error(body: Any, pair: tuple[Dialect, Dialect]) -> None:
    raw, call = json.dumps(body).encode(), streaming(pair[0])
    try:
        answer_back(raw, call, pair[1], "m", 1)
    except ValueError as error:
        assert str(error)
    back = StreamBack(call, pair[1], "m", "1", 1)
    back.feed(b"data: " + raw + b"\n\n")
    assert back.end(Usage())


@given(st.permutations(list(range(3))), st.sampled_from(["user", "assistant"]))
def test_turns_of_one_side_become_one(order: list[int], role: str) -> None:
    given_parts: list[Part] = [Text(str(number)) for number in order]
    turns = alternating([Turn("user", ()), *(Turn(role, (part,)) for part in given_parts), Turn("user", (Text("end"),))])
    assert [part for turn in turns for part in turn.parts] == [*given_parts, Text("end")]
    assert len(turns) == (1 if role == "user" else 2)
