"""Chats from any protocol to any other, and their answers back; what has no counterpart is named and not dropped."""

import json
from typing import Any

import anthropic.types
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from live_adapter.protocols import chat_anthropic, chat_gemini, chat_openai
from live_adapter.protocols.calls import Call, Dialect, Route, read_call
from live_adapter.protocols.chat import Chat, Image, Reply, Text, Tool, ToolCall, ToolResult, Turn, UntranslatableError
from live_adapter.protocols.translating import StreamBack, answer_back, translated
from live_adapter.protocols.usage import StreamReader, Usage

CHATS: dict[Dialect, Any] = {"openai": chat_openai, "anthropic": chat_anthropic, "gemini": chat_gemini}
PAIRS = [(one, other) for one in CHATS for other in CHATS if one != other]
ROUTES: dict[Dialect, Route] = {"openai": "chat/completions", "anthropic": "messages", "gemini": "generateContent"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT = Chat(
    system="Be brief.",
    turns=(
        Turn("user", (Text("What is this, and how warm is it?"), Image("image/png", "aGVsbG8="))),
        Turn("assistant", (Text("Let me see."), ToolCall("weather", "weather", {"city": "Oslo"}))),
        Turn("user", (ToolResult("weather", "12 degrees"),)),
    ),
    most_tokens=300, temperature=0.5, top_p=0.9, stop=("END",), tools=(Tool("weather", "Tells it.", SCHEMA),), tool_choice="weather",
)  # fmt: skip
REPLY = Reply(id="r1", text="It is warm.", calls=(ToolCall("call_1", "weather", {"city": "Oslo"}),), ended="tools", input_tokens=50,
              cached_tokens=10, output_tokens=20)  # fmt: skip


def call_in(dialect: Dialect, chat: Chat = CHAT, **more: Any) -> Call:
    body = CHATS[dialect].write_chat(chat, "there") | more
    return read_call(ROUTES[dialect], json.dumps(body).encode(), "there")


@pytest.mark.parametrize("dialect", CHATS)
def test_what_is_written_is_read_again(dialect: Dialect) -> None:
    again = CHATS[dialect].read_chat(CHATS[dialect].write_chat(CHAT, "m"))
    if dialect == "gemini":             # results of tools are objects there
        assert again.turns[:2] == CHAT.turns[:2]
        assert json.loads(again.turns[2].parts[0].text) == {"result": "12 degrees"}
    else:
        assert again == CHAT


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_call_keeps_its_meaning(one: Dialect, other: Dialect) -> None:
    there = translated(call_in(one), other, "model-there")
    read = CHATS[other].read_chat(there.body)
    assert (read.system, read.most_tokens, read.temperature, read.top_p, read.stop, read.tools, read.tool_choice) == (
        CHAT.system, CHAT.most_tokens, CHAT.temperature, CHAT.top_p, CHAT.stop, CHAT.tools, CHAT.tool_choice)  # fmt: skip
    assert [turn.role for turn in read.turns] == ["user", "assistant", "user"]
    assert read.turns[0] == CHAT.turns[0]
    assert there.route == ROUTES[other]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_an_answer_keeps_its_meaning(one: Dialect, other: Dialect) -> None:
    body = json.dumps(CHATS[other].write_reply(REPLY, "there", 1)).encode()
    back = json.loads(answer_back(body, call_in(one), other, "here", 2))
    read = CHATS[one].read_reply(back)
    assert (read.text, read.ended, read.input_tokens, read.cached_tokens, read.output_tokens) == ("It is warm.", "tools", 50, 10, 20)
    assert [(call.name, call.arguments) for call in read.calls] == [("weather", {"city": "Oslo"})]
    if one == "openai":
        ChatCompletion.model_validate(back)
    if one == "anthropic":
        anthropic.types.Message.model_validate(back)


def stream_in(dialect: Dialect) -> bytes:
    """A stream of the reply, as a provider of this dialect writes it."""
    writer = CHATS[dialect].Writer("there", "1", 1, usage=True)
    from live_adapter.protocols.chat import Delta

    deltas = [Delta(text="It is "), Delta(text="warm."), Delta(tool=1, tool_id="call_1", tool_name="weather"),
              Delta(tool=1, arguments='{"city": '), Delta(tool=1, arguments='"Oslo"}'), Delta(ended="tools")]  # fmt: skip
    return b"".join(writer.write(delta) for delta in deltas) + bytes(writer.end(50, 10, 20))


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("width", [1, 17, 10_000])
def test_a_stream_keeps_its_meaning_however_it_is_split(one: Dialect, other: Dialect, width: int) -> None:
    call = call_in(one, **({"stream": True, "stream_options": {"include_usage": True}} if one == "openai" else {}))
    reader, back, data = StreamReader(translated(call, other, "there"), other), StreamBack(call, other, "here", "7", 2), stream_in(other)
    passed = b"".join(back.feed(reader.feed(data[at : at + width])) for at in range(0, len(data), width))
    passed += back.feed(reader.rest())
    assert reader.finished
    assert reader.usage is not None
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (50, 20)
    passed += back.end(reader.usage)
    again = StreamReader(call, one)
    again.feed(passed)
    assert again.finished
    assert again.usage == Usage(input_tokens=50, cached_tokens=10, output_tokens=20)
    events = [json.loads(line[6:]) for line in passed.decode().splitlines() if line.startswith("data: {")]
    deltas = [delta for event in events for delta in CHATS[one].read_event(event)]
    assert "".join(delta.text for delta in deltas) == "It is warm."
    assert json.loads("".join(delta.arguments for delta in deltas)) == {"city": "Oslo"}
    assert [delta.ended for delta in deltas if delta.ended] == ["tools"]
    if one == "openai":
        for event in events:
            ChatCompletionChunk.model_validate(event)
    if one == "anthropic":
        for event in events:
            TypeAdapter(anthropic.types.RawMessageStreamEvent).validate_python(event)


def said(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [content]}]}


@pytest.mark.parametrize(("dialect", "more", "told"), [
    ("openai", {"n": 3}, "n above 1"),
    ("openai", {"logprobs": True}, "logprobs"),
    ("openai", {"response_format": {"type": "json_schema"}}, "response_format"),
    ("openai", {"seed": 5}, "seed"),
    ("openai", {"temperature": 1.7}, "temperature 1.7"),
    ("openai", said({"type": "input_audio", "input_audio": {}}), "input_audio"),
    ("openai", said({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}), "an address"),
    ("openai", {"messages": [{"role": "narrator", "content": "x"}]}, "narrator"),
    ("openai", {"tools": [{"type": "function"}]}, "not what its protocol says"),
    ("anthropic", {"thinking": {"type": "enabled"}}, "thinking"),
    ("anthropic", {"tools": [{"type": "web_search_20250305", "name": "w"}]}, "web_search"),
    ("gemini", {"safetySettings": [{}]}, "safetySettings"),
    ("gemini", {"generationConfig": {"responseSchema": {}, "seed": 4}}, "seed"),
])  # fmt: skip
def test_what_has_no_counterpart_is_named(dialect: Dialect, more: dict[str, Any], told: str) -> None:
    plain = Chat(system="", turns=(Turn("user", (Text("hello"),)),))
    with pytest.raises(UntranslatableError, match=told):
        translated(call_in(dialect, plain, **more), "anthropic" if dialect != "anthropic" else "openai", "there")


@pytest.mark.parametrize("route", ["responses", "embeddings"])
def test_calls_that_are_no_chats_stay_with_their_protocol(route: Route) -> None:
    with pytest.raises(UntranslatableError, match=route):
        translated(read_call(route, b'{"model": "m", "input": "x"}'), "gemini", "there")
