"""Paths, keys, headers and refusals of the three protocols as a plain client sees them."""

import asyncio
import json
import re
from datetime import datetime
from typing import Any

import httpx
import pytest

from provider_emulator.config import read_config
from provider_emulator.headers import span
from provider_emulator.server import serve
from tests.provider_emulator.stage import BODIES, FAST, PROTOCOLS, ROUTES, Stage, configured, on_stage

NARROW = {"window": "token_bucket", "charge": "requests", "dimension": "rpm", "amount": 1.0}


def test_gemini_answers_whole_in_events_and_as_an_array() -> None:
    async def work(stage: Stage) -> None:
        whole = (await stage.ask("gemini")).json()
        assert whole["candidates"][0]["content"]["parts"][0]["text"].split() == ["word"] * 5
        assert whole["usageMetadata"] == {
            "promptTokenCount": 10, "cachedContentTokenCount": 1, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 17,
        }  # fmt: skip
        path = "/gemini/v1beta/models/m:streamGenerateContent"
        events = await stage.client.post(f"{path}?alt=sse&key=sk-fake-gemini", json=BODIES["gemini"])
        assert events.headers["content-type"] == "text/event-stream"
        parts = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
        array = (await stage.client.post(f"{path}?key=sk-fake-gemini", json=BODIES["gemini"])).json()
        for stream in (parts, array):
            assert "".join(part["candidates"][0]["content"]["parts"][0]["text"] for part in stream).split() == ["word"] * 5
            assert stream[-1]["candidates"][0]["finishReason"] == "STOP"
            assert stream[-1]["usageMetadata"]["totalTokenCount"] == 17

    on_stage(work, model={"reasoning_share": 0.3, "cached_share": 0.1})


def test_gemini_embeds_and_lists_models() -> None:
    async def work(stage: Stage) -> None:
        headers = ROUTES["gemini"][1]
        body = {"content": {"parts": [{"text": "some words"}]}, "outputDimensionality": 3}
        told = await stage.client.post("/gemini/v1beta/models/m:embedContent", json=body, headers=headers)
        assert len(told.json()["embedding"]["values"]) == 3
        listed = await stage.client.get("/gemini/v1beta/models", headers=headers)
        assert [model["name"] for model in listed.json()["models"]] == ["models/m"]

    on_stage(work)


def test_any_provider_by_name_speaks_the_protocol_it_is_given() -> None:
    account = {"name": "a", "provider": "acme cloud", "protocol": "openai", "keys": ["k"], "models": [{"name": "m", **FAST}]}

    async def work(stage: Stage) -> None:
        for path, status in (("acme cloud/v1/chat/completions", 200), ("acme cloud/v1/messages", 404), ("x/v1/chat/completions", 404)):
            told = await stage.client.post(f"/{path}", json=BODIES["openai"], headers={"authorization": "bearer k"})
            assert told.status_code == status

    on_stage(work, read_config({"accounts": [account]}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_keys_of_nobody_of_others_and_none_are_refused_in_the_providers_shape(protocol: str) -> None:
    async def work(stage: Stage) -> None:
        path, headers = ROUTES[protocol]
        name = next(name for name in headers if name != "anthropic-version")
        others = "sk-fake-openai" if protocol != "openai" else "sk-fake-gemini"
        for given in ({name: "Bearer wrong" if protocol == "openai" else "wrong"}, {}, {"x-api-key": others}):
            told = await stage.client.post(path, json=BODIES[protocol], headers=given)
            error = told.json()["error"]
            if protocol == "gemini":
                assert (told.status_code, error["status"], error["details"][0]["reason"]) == (400, "INVALID_ARGUMENT", "API_KEY_INVALID")
            elif protocol == "anthropic":
                assert (told.status_code, told.json()["type"], error["type"]) == (401, "error", "authentication_error")
            else:
                assert (told.status_code, error["code"]) == (401, "invalid_api_key")

    on_stage(work)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_makes_no_sense_is_refused_with_400_and_never_with_500(protocol: str) -> None:
    bad: list[bytes] = [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": 7}', b"{}", b"[" * 100_000,
        b'{"model":"m","messages":' + b"[" * 900 + b"]" * 900 + b"}",
        json.dumps({**BODIES["openai"], "max_tokens": -1}).encode(), json.dumps({**BODIES["openai"], "max_tokens": 10**400}).encode(),
        json.dumps({**BODIES["openai"], "max_tokens": True}).encode(), json.dumps({**BODIES["openai"], "messages": []}).encode(),
    ]  # fmt: skip
    if protocol == "gemini":
        bad = [*bad[:9], json.dumps({**BODIES["gemini"], "generationConfig": {"maxOutputTokens": 0}}).encode()]

    async def work(stage: Stage) -> None:
        path, headers = ROUTES[protocol]
        for body in bad:
            told = await stage.client.post(path, content=body, headers=headers)
            assert told.status_code == 400, body[:50]
            assert told.json()["error"]["message"]
        for name in ("x-emulate-output-tokens", "x-emulate-input-tokens", "x-emulate-service-s"):
            for value in ("-1", "nan", "1e9", "many"):
                told = await stage.ask(protocol, headers={name: value})
                assert told.status_code == 400
                assert name in told.json()["error"]["message"]

    on_stage(work)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_context_that_is_too_long_and_models_that_are_not_there_are_told_by_the_providers_words(protocol: str) -> None:
    async def work(stage: Stage) -> None:
        told = await stage.ask(protocol, headers={"x-emulate-input-tokens": "1001"})
        message = told.json()["error"]["message"]
        assert told.status_code == 400
        words = {"openai": "maximum context length is 1000", "anthropic": "1001 tokens > 1000", "gemini": "(1001) exceeds"}
        assert words[protocol] in message
        assert protocol != "openai" or told.json()["error"]["code"] == "context_length_exceeded"
        path, headers = ROUTES[protocol]
        missing = await stage.client.post(path.replace("/m:", "/x:"), json={**BODIES[protocol], "model": "x"}, headers=headers)
        assert missing.status_code == 404
        assert stage.counts(protocol)["input_tokens"] == 0

    on_stage(work, model={"context_tokens": 1000})


def test_input_is_a_token_for_four_characters_unless_a_header_says() -> None:
    async def work(stage: Stage) -> None:
        asked = [{"role": "user", "content": "x" * 41}]
        told = await stage.ask(messages=asked)
        assert told.json()["usage"]["prompt_tokens"] == 11
        told = await stage.ask(headers={"x-emulate-input-tokens": "5000", "x-emulate-output-tokens": "9"}, messages=asked)
        assert (told.json()["usage"]["prompt_tokens"], told.json()["usage"]["completion_tokens"]) == (5000, 9)

    on_stage(work)


def test_openai_tells_limits_and_when_they_are_whole_again() -> None:
    limits = [
        {**NARROW, "amount": 60.0}, {"dimension": "tpm", "window": "token_bucket", "charge": "max_tokens", "amount": 6000},
        {"dimension": "tpm", "window": "token_bucket", "charge": "max_tokens", "amount": 60_000}, {**NARROW, "amount": 5.0, "shown": False},
    ]  # fmt: skip

    async def work(stage: Stage) -> None:
        headers = (await stage.ask()).headers
        assert headers["x-ratelimit-limit-requests"] == "60"
        assert headers["x-ratelimit-remaining-requests"] == "59"
        assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("6000", str(6000 - 60))
        assert re.fullmatch(r"\d+ms|1s", headers["x-ratelimit-reset-requests"])
        assert re.fullmatch(r"\d+ms", headers["x-ratelimit-reset-tokens"])
        assert headers["x-request-id"].startswith("req_")

    on_stage(work, limits=limits)


def test_anthropic_tells_rounded_tokens_times_of_day_and_the_tightest_of_its_token_limits() -> None:
    limits = [
        {**NARROW, "amount": 50.0}, {"dimension": "itpm", "window": "token_bucket", "charge": "uncached_input", "amount": 30_000},
        {"dimension": "otpm", "window": "token_bucket", "charge": "output", "amount": 8000},
    ]  # fmt: skip

    async def work(stage: Stage) -> None:
        headers = (await stage.ask("anthropic", headers={"x-emulate-input-tokens": "12600"})).headers
        assert headers["anthropic-ratelimit-requests-remaining"] == "49"
        assert headers["anthropic-ratelimit-input-tokens-limit"] == "30000"
        assert headers["anthropic-ratelimit-input-tokens-remaining"] == "17000"
        assert headers["anthropic-ratelimit-tokens-limit"] == "8000"
        reset = datetime.fromisoformat(headers["anthropic-ratelimit-input-tokens-reset"])
        told = datetime.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S %Z").replace(tzinfo=reset.tzinfo)
        assert 24 <= (reset - told).total_seconds() <= 27
        assert headers["request-id"].startswith("req_")

    on_stage(work, limits=limits)


def test_gemini_tells_nothing_of_limits_in_headers() -> None:
    async def work(stage: Stage) -> None:
        assert not [name for name in (await stage.ask("gemini")).headers if "limit" in name or "retry" in name]
        told = await stage.ask("gemini")
        assert told.status_code == 429
        assert "retry-after" not in told.headers

    on_stage(work, limits=[NARROW])


def limit(dimension: str, charge: str = "requests", window: str = "token_bucket", **given: Any) -> dict[str, Any]:
    return {"dimension": dimension, "charge": charge, "window": window, "amount": 1.0, **given}


@pytest.mark.parametrize(
    ("protocol", "narrow", "wanted"),
    [
        ("openai", limit("rpm"), [
            r"requests per min \(RPM\): Limit 1, Used 1, Requested 1. Please try again in (59|1m0)[.\d]*s", '"type":"requests"',
            '"code":"rate_limit_exceeded"', '"param":null',
        ]),
        ("openai", limit("tpm", "max_tokens", amount=60.0), [r"per min \(TPM\): Limit 60, Used 60, Requested 60", '"type":"tokens"']),
        ("openai", limit("rpd", window="day"), [r"requests per day \(RPD\)"]),
        ("openai", limit("spend", "cost", "sliding", amount=1e-6, window_s=600), [
            '"type":"insufficient_quota"', '"code":"insufficient_quota"',
        ]),
        ("anthropic", limit("rpm"), [
            '"type":"error"', '"type":"rate_limit_error"', "rate limit of 1 requests per minute", '"request_id":"req_',
        ]),
        ("anthropic", limit("otpm", "output", amount=2.0), ["rate limit of 2 output tokens per minute"]),
        ("anthropic", limit("acceleration", "input", "acceleration", amount=5.0), ["usage increase rate for input tokens per minute"]),
        ("anthropic", limit("spend", "cost", "fixed", amount=1e-6, window_s=2e6, phase_s=0), ['_code":"enforced_spend_limit_reached"']),
        ("gemini", limit("rpm"), [
            '"code":429', '"status":"RESOURCE_EXHAUSTED"', "QuotaFailure", "GenerateRequestsPerMinutePerProjectPerModel",
            r'"retryDelay":"(59|60)\.\d{3}s"', "google.rpc.Help",
        ]),
        ("gemini", limit("rpd", window="day"), ["GenerateRequestsPerDayPerProjectPerModel", '"quotaValue":"1"']),
    ],
)  # fmt: skip
def test_a_limit_refuses_in_the_words_of_its_provider(protocol: str, narrow: dict[str, Any], wanted: list[str]) -> None:
    async def work(stage: Stage) -> None:
        assert (await stage.ask(protocol)).status_code == 200
        told = await stage.ask(protocol)
        assert told.status_code == 429
        for pattern in wanted:
            assert re.search(pattern, told.text), told.text
        waits = protocol != "gemini" and narrow["dimension"] != "spend"
        assert ("retry-after" in told.headers) == waits
        assert stage.counts(protocol)["throttled"] == 1

    on_stage(work, limits=[narrow], model={"input_usd_per_1m": 1.0, "output_usd_per_1m": 1.0})


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (59.9996, "1m0s"), (360, "6m0s"), (11.054, "11.054s"), (86_399.5, "23h59m59.5s")],
)
def test_spans_are_written_as_openai_writes_them(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_limits_go_by_the_clock_that_is_given() -> None:
    day = {"dimension": "rpd", "charge": "requests", "window": "day", "amount": 1, "time_zone": "UTC"}
    bucket = {"dimension": "rpm", "charge": "requests", "window": "token_bucket", "amount": 2, "model_class": "m"}
    now_s = 100.0

    async def run() -> list[int]:
        nonlocal now_s
        found = []
        config = configured(limits=[{**day, "amount": 3}, bucket])
        async with serve(config, clock=lambda: now_s, wall=lambda: 86_400.0 * 20_000 + 3600) as (url, _), httpx.AsyncClient() as client:
            path, headers = ROUTES["openai"]
            for at_s in (0, 0, 0, 30, 60, 22.9 * 3600, 23.1 * 3600):
                now_s = 100.0 + at_s
                found.append((await client.post(url + path, json=BODIES["openai"], headers=headers)).status_code)
        return found

    assert asyncio.run(run()) == [200, 200, 429, 200, 429, 429, 200]
