"""The current SDKs of OpenAI and Anthropic against the emulator, unmodified, over real sockets."""

from typing import Any

import anthropic
import openai
import pytest

from tests.provider_emulator.stage import Stage, on_stage

ASKED: list[Any] = [{"role": "user", "content": "Say a word seven times."}]
WORDS = " ".join(["word"] * 7)


def openai_of(stage: Stage, key: str = "sk-fake-openai") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=f"{stage.url}/openai/v1", max_retries=0)


def anthropic_of(stage: Stage, key: str = "sk-fake-anthropic") -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=key, base_url=f"{stage.url}/anthropic", max_retries=0)


def test_openai_chat() -> None:
    async def work(stage: Stage) -> None:
        answer = await openai_of(stage).chat.completions.create(model="m", messages=ASKED, max_completion_tokens=50)
        assert answer.choices[0].message.content == WORDS
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 7, 13)

    on_stage(work)


@pytest.mark.parametrize("wants_usage", [False, True])
def test_openai_chat_streamed(wants_usage: bool) -> None:
    async def work(stage: Stage) -> None:
        options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
        stream = await openai_of(stage).chat.completions.create(model="m", messages=ASKED, max_tokens=5, stream=True, **options)
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices[0].delta.role == "assistant"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text.split() == ["word"] * 5
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
        usages = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
        assert usages == ([5] if wants_usage else [])

    on_stage(work)


def test_openai_chat_by_the_helper_that_gathers_a_stream() -> None:
    async def work(stage: Stage) -> None:
        async with openai_of(stage).chat.completions.stream(model="m", messages=ASKED, stream_options={"include_usage": True}) as stream:
            done = await stream.get_final_completion()
        assert (done.choices[0].message.content or "").split() == ["word"] * 7
        assert done.usage is not None
        assert done.usage.completion_tokens == 7

    on_stage(work)


def test_openai_responses() -> None:
    async def work(stage: Stage) -> None:
        client = openai_of(stage)
        answer = await client.responses.create(model="m", input="Say a word.", max_output_tokens=50)
        assert (answer.output_text, answer.status) == (WORDS, "completed")
        cut = await client.responses.create(model="m", input="Say a word.", max_output_tokens=3)
        assert cut.status == "incomplete"
        assert cut.incomplete_details is not None
        assert cut.incomplete_details.reason == "max_output_tokens"

    on_stage(work)


def test_openai_responses_streamed_in_order_and_gathered() -> None:
    async def work(stage: Stage) -> None:
        client = openai_of(stage)
        events = [event async for event in await client.responses.create(model="m", input="Say a word.", stream=True)]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert [event.type.removeprefix("response.") for event in events] == [
            "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 7,
            "output_text.done", "content_part.done", "output_item.done", "completed",
        ]  # fmt: skip
        async with client.responses.stream(model="m", input="Say a word.") as stream:
            done = await stream.get_final_response()
        assert done.output_text == WORDS
        assert done.usage is not None
        assert done.usage.output_tokens == 7
        events = [event async for event in await client.responses.create(model="m", input="x", max_output_tokens=3, stream=True)]
        assert events[-1].type == "response.incomplete"

    on_stage(work)


def test_openai_embeddings_are_one_for_each_text_in_either_encoding() -> None:
    async def work(stage: Stage) -> None:
        client = openai_of(stage)
        floats = await client.embeddings.create(model="m", input=["one", "two", "one"], encoding_format="float")
        packed = await client.embeddings.create(model="m", input=["one", "two", "one"])
        assert [len(one.embedding) for one in floats.data] == [8, 8, 8]
        assert floats.data[0].embedding == floats.data[2].embedding != floats.data[1].embedding
        for one, other in zip(floats.data, packed.data, strict=True):
            assert other.embedding == pytest.approx(one.embedding, abs=1e-6)
        short = await client.embeddings.create(model="m", input=[1, 2, 3, 4, 5], dimensions=3)
        assert (len(short.data[0].embedding), len(short.data), short.usage.prompt_tokens) == (3, 1, 5)
        assert stage.counts()["output_tokens"] == 0

    on_stage(work, model={"embedding_dimensions": 8})


def test_openai_models() -> None:
    async def work(stage: Stage) -> None:
        assert [model.id async for model in openai_of(stage).models.list()] == ["m"]
        with pytest.raises(openai.AuthenticationError):
            await openai_of(stage, "sk-fake-wrong").models.list()

    on_stage(work)


def test_anthropic_messages() -> None:
    async def work(stage: Stage) -> None:
        client = anthropic_of(stage)
        answer = await client.messages.create(model="m", max_tokens=50, messages=ASKED)
        assert answer.content[0].type == "text"
        assert (answer.content[0].text, answer.stop_reason) == (WORDS, "end_turn")
        assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (3, 3, 7)
        cut = await client.messages.create(model="m", max_tokens=3, messages=ASKED)
        assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
        assert [model.id async for model in client.models.list()] == ["m"]

    on_stage(work, model={"cached_share": 0.5})


def test_anthropic_messages_streamed_in_order_and_gathered() -> None:
    async def work(stage: Stage) -> None:
        client = anthropic_of(stage)
        events = [event.type async for event in await client.messages.create(model="m", max_tokens=50, messages=ASKED, stream=True)]
        assert events == [
            "message_start", "content_block_start", *["content_block_delta"] * 7, "content_block_stop", "message_delta", "message_stop",
        ]  # fmt: skip
        async with client.messages.stream(model="m", max_tokens=50, messages=ASKED) as stream:
            text = "".join([part async for part in stream.text_stream])
            done = await stream.get_final_message()
        assert text.split() == ["word"] * 7
        assert (done.usage.input_tokens, done.usage.output_tokens, done.stop_reason) == (6, 7, "end_turn")

    on_stage(work)


@pytest.mark.parametrize(
    ("fault", "of_openai", "of_anthropic"),
    [
        ("error", openai.InternalServerError, anthropic.InternalServerError),
        ("overloaded", openai.InternalServerError, anthropic.InternalServerError),
        ("unauthorized", openai.AuthenticationError, anthropic.AuthenticationError),
        ("throttle", openai.RateLimitError, anthropic.RateLimitError), ("reset", openai.APIConnectionError, anthropic.APIConnectionError),
    ],
)  # fmt: skip
def test_faults_raise_what_users_of_the_sdks_expect(fault: str, of_openai: Any, of_anthropic: Any) -> None:
    async def work(stage: Stage) -> None:
        with pytest.raises(of_openai):
            await openai_of(stage).chat.completions.create(model="m", messages=ASKED)
        with pytest.raises(of_anthropic):
            await anthropic_of(stage).messages.create(model="m", max_tokens=5, messages=ASKED)

    on_stage(work, faults=[{"kind": fault}])


def test_refusals_raise_with_the_code_and_the_wait() -> None:
    narrow = [{"dimension": "rpm", "amount": 1, "window": "token_bucket", "charge": "requests", "burst_s": 60}]

    async def work(stage: Stage) -> None:
        client, other = openai_of(stage), anthropic_of(stage)
        await client.chat.completions.create(model="m", messages=ASKED)
        with pytest.raises(openai.RateLimitError) as refused:
            await client.chat.completions.create(model="m", messages=ASKED)
        assert (refused.value.code, refused.value.type) == ("rate_limit_exceeded", "requests")
        assert 58 <= int(refused.value.response.headers["retry-after"]) <= 60
        with pytest.raises(openai.NotFoundError, match="no-such"):
            await client.chat.completions.create(model="no-such", messages=ASKED)
        await other.messages.create(model="m", max_tokens=5, messages=ASKED)
        with pytest.raises(anthropic.RateLimitError, match="1 requests per minute"):
            await other.messages.create(model="m", max_tokens=5, messages=ASKED)

    on_stage(work, limits=narrow)


def test_a_client_with_retries_waits_as_told_and_gets_its_answer() -> None:
    narrow = [{"dimension": "rpm", "amount": 60, "window": "token_bucket", "charge": "requests", "burst_s": 1}]

    async def work(stage: Stage) -> None:
        client = openai_of(stage).with_options(max_retries=2)
        for _ in range(2):
            await client.chat.completions.create(model="m", messages=ASKED)
        assert stage.counts()["throttled"] >= 1

    on_stage(work, limits=narrow)
