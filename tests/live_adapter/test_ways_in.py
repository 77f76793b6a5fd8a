"""The current SDKs of OpenAI and Anthropic, and plain httpx clients, work through a pool over real sockets, unmodified."""

import asyncio
import json
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from live_adapter.transport import (
    Httpx2PooledTransport,
    PooledTransport,
    PoolThread,
    SyncHttpx2PooledTransport,
    SyncPooledTransport,
)
from tests.live_adapter.platforms import Stage, staged

WORDS = {"x-emulate-output-tokens": "7"}
ASKED: list[Any] = [{"role": "user", "content": "Say a word seven times."}]


def in_stage(work: Any, **given: Any) -> Any:
    """Run `work(stage)` before a pool and an emulator."""

    async def run() -> Any:
        async with staged(**given) as stage:
            return await asyncio.wait_for(work(stage), 30)

    return asyncio.run(run())


def openai_of(stage: Stage) -> openai.AsyncOpenAI:
    client = httpx2.AsyncClient(transport=Httpx2PooledTransport(stage.pool, "acme"))
    return openai.AsyncOpenAI(api_key="not-a-key", http_client=client, max_retries=0, default_headers=WORDS)


def anthropic_of(stage: Stage) -> anthropic.AsyncAnthropic:
    client = httpx2.AsyncClient(transport=Httpx2PooledTransport(stage.pool, "acme"))
    return anthropic.AsyncAnthropic(api_key="not-a-key", http_client=client, max_retries=0, default_headers=WORDS)


def test_openai_chat() -> None:
    async def work(stage: Stage) -> None:
        answer = await openai_of(stage).chat.completions.create(model="gpt", messages=ASKED, max_tokens=50)
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 7
        assert answer.choices[0].message.content == " ".join(["word"] * 7)

    in_stage(work)


@pytest.mark.parametrize("wants_usage", [False, True])
def test_openai_chat_streamed(wants_usage: bool) -> None:
    async def work(stage: Stage) -> None:
        options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
        stream = await openai_of(stage).chat.completions.create(model="gpt", messages=ASKED, max_tokens=50, stream=True, **options)
        chunks = [chunk async for chunk in stream]
        said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        assert said.split() == ["word"] * 7
        assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == ([7] if wants_usage else [])
        assert stage.pool.under_way == 0

    in_stage(work)


def test_openai_responses_and_embeddings() -> None:
    async def work(stage: Stage) -> None:
        client = openai_of(stage)
        answer = await client.responses.create(model="gpt", input="Say a word.", max_output_tokens=50)
        assert answer.output_text.split() == ["word"] * 7
        stream = await client.responses.create(model="gpt", input="Say a word.", max_output_tokens=50, stream=True)
        assert [event.type async for event in stream][-1] == "response.completed"
        vectors = await client.embeddings.create(model="gpt", input="some text", encoding_format="float")
        assert len(vectors.data[0].embedding) == 4
        assert {model.id async for model in client.models.list()} >= {"gpt", "claude", "gemini", "forge1-auto"}

    in_stage(work)


def test_anthropic_messages() -> None:
    async def work(stage: Stage) -> None:
        client = anthropic_of(stage)
        answer = await client.messages.create(model="claude", max_tokens=50, messages=ASKED)
        assert answer.usage.output_tokens == 7
        async with client.messages.stream(model="claude", max_tokens=50, messages=ASKED) as stream:
            text = "".join([part async for part in stream.text_stream])
            final = await stream.get_final_message()
        assert text.split() == ["word"] * 7
        assert final.usage.output_tokens == 7
        assert stage.pool.under_way == 0

    in_stage(work)


@pytest.mark.parametrize("model", ["claude", "gemini", "forge1-auto"])
def test_a_model_of_another_protocol_answers_in_the_clients_own(model: str) -> None:
    async def work(stage: Stage) -> None:
        client = openai_of(stage)
        answer = await client.chat.completions.create(model=model, messages=ASKED, max_tokens=50)
        assert answer.choices[0].message.content == " ".join(["word"] * 7)
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 7
        stream = await client.chat.completions.create(model=model, messages=ASKED, max_tokens=50, stream=True)
        assert "".join([choice.delta.content or "" async for chunk in stream for choice in chunk.choices]).split() == ["word"] * 7
        assert stage.pool.under_way == 0

    in_stage(work)


@pytest.mark.parametrize("model", ["gpt", "gemini"])
def test_anthropics_sdk_talks_to_other_providers(model: str) -> None:
    async def work(stage: Stage) -> None:
        async with anthropic_of(stage).messages.stream(model=model, max_tokens=50, messages=ASKED) as stream:
            assert "".join([part async for part in stream.text_stream]).split() == ["word"] * 7
            assert (await stream.get_final_message()).usage.output_tokens == 7

    in_stage(work)


def test_what_another_provider_cannot_do_is_told_by_name() -> None:
    async def work(stage: Stage) -> None:
        with pytest.raises(openai.BadRequestError, match="logprobs has no counterpart"):
            await openai_of(stage).chat.completions.create(model="claude", messages=ASKED, max_tokens=50, logprobs=True)
        assert stage.emulator.accounts[1].counts["attempts"] == 0

    in_stage(work)


def test_gemini_by_plain_httpx() -> None:
    async def work(stage: Stage) -> None:
        async with httpx.AsyncClient(transport=PooledTransport(stage.pool, "beta"), headers=WORDS) as client:
            body = {"contents": [{"role": "user", "parts": [{"text": "Say a word."}]}], "generationConfig": {"maxOutputTokens": 50}}
            base = "https://generativelanguage.googleapis.com/v1beta/models/gemini"
            answer = await client.post(f"{base}:generateContent", json=body)
            assert answer.json()["usageMetadata"]["candidatesTokenCount"] == 7
            async with client.stream("POST", f"{base}:streamGenerateContent?alt=sse", json=body) as streamed:
                lines = [line async for line in streamed.aiter_lines() if line.startswith("data:")]
            assert json.loads(lines[-1][5:])["candidates"][0]["finishReason"] == "STOP"

    in_stage(work)


def test_synchronous_clients() -> None:
    """The pool lives in a thread; the emulator in this one's stage, which must go on meanwhile."""

    async def work(stage: Stage) -> None:
        from live_adapter.emulated import FakeKeys
        from live_adapter.pool import Pool

        def call() -> None:
            with PoolThread(lambda: Pool(stage.pool.site, FakeKeys(stage.layout))) as thread:
                http = httpx2.Client(transport=SyncHttpx2PooledTransport(thread, "acme"))
                client = openai.OpenAI(api_key="not-a-key", http_client=http, max_retries=0, default_headers=WORDS)
                answer = client.chat.completions.create(model="gpt", messages=ASKED, max_tokens=50)
                assert answer.choices[0].message.content == " ".join(["word"] * 7)
                stream = client.chat.completions.create(model="gpt", messages=ASKED, max_tokens=50, stream=True)
                assert sum(bool(choice.delta.content) for chunk in stream for choice in chunk.choices) == 7
                with httpx.Client(transport=SyncPooledTransport(thread, "acme"), headers=WORDS) as plain:
                    asked = {"model": "gpt", "messages": ASKED, "max_tokens": 50}
                    assert plain.post("https://api.openai.com/v1/chat/completions", json=asked).status_code == 200

        await asyncio.to_thread(call)

    in_stage(work)


def test_the_tenant_may_be_given_by_request_and_must_be_known() -> None:
    async def work(stage: Stage) -> None:
        from live_adapter.errors import LiveConfigError

        asked = {"model": "gpt", "messages": ASKED, "max_tokens": 50}
        async with httpx.AsyncClient(transport=PooledTransport(stage.pool)) as client:
            url = "https://api.openai.com/v1/chat/completions"
            answer = await client.post(url, json=asked, extensions={"forge1_tenant": "beta"})
            assert answer.status_code == 200
            with pytest.raises(LiveConfigError, match="none of this platform's 2"):
                await client.post(url, json=asked)

    in_stage(work)
