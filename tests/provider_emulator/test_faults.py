"""Each fault over real sockets: what the client sees, that nothing hangs, and what it costs."""

import asyncio
import json
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.provider_emulator.stage import BODIES, PROTOCOLS, ROUTES, Stage, on_stage

SLOW = {"ttft_s": 0.05, "tokens_per_s": 100.0}


async def said(stage: Stage, *, stream: bool = False, timeout_s: float = 5.0, protocol: str = "openai") -> tuple[bytes, Exception | None]:
    """What came of a call, and how it ended."""
    path, headers = ROUTES[protocol]
    got, body = b"", {**BODIES[protocol], "stream": stream}
    try:
        async with stage.client.stream("POST", path, json=body, headers=headers, timeout=timeout_s) as answer:
            async for part in answer.aiter_bytes():
                got += part
    except httpx.HTTPError as error:
        return got, error
    return got, None


@pytest.mark.parametrize(
    ("kind", "statuses"), [("error", (500, 500, 500)), ("unavailable", (503, 503, 503)), ("overloaded", (503, 529, 503)),
                           ("unauthorized", (401, 401, 400)), ("throttle", (429, 429, 429))],
)  # fmt: skip
def test_a_failure_has_the_status_and_shape_of_its_provider_and_costs_no_token(kind: str, statuses: tuple[int, ...]) -> None:
    async def work(stage: Stage) -> None:
        for protocol, status in zip(PROTOCOLS, statuses, strict=True):
            told = await stage.ask(protocol)
            assert told.status_code == status
            assert told.json()["error"]["message"]
            assert stage.counts(protocol)[kind] == 1
        assert [held.used for account in stage.emulator.accounts for held in account.limits] == [0, 1] * 3

    limits = [
        {"dimension": "tpm", "amount": 1e6, "window": "token_bucket", "charge": "max_tokens"},
        {"dimension": "rpm", "amount": 100, "window": "token_bucket", "charge": "requests", "counts_failed": True},
    ]  # fmt: skip
    on_stage(work, faults=[{"kind": kind}], limits=limits)


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_is_reset_before_an_answer(stream: bool) -> None:
    async def work(stage: Stage) -> None:
        got, error = await said(stage, stream=stream)
        assert got == b""
        assert isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)

    on_stage(work, faults=[{"kind": "reset"}])


@pytest.mark.parametrize("kind", ["reset", "reset_midway"])
def test_a_reset_is_one_of_tcp_and_no_orderly_end(kind: str) -> None:
    async def work(stage: Stage) -> None:
        path, headers = ROUTES["openai"]
        body = json.dumps(BODIES["openai"]).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(stage.url.rsplit(":", 1)[1]))
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {headers['authorization']}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()

    on_stage(work, faults=[{"kind": kind}])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["reset_midway", "wrong_length"])
def test_an_answer_breaks_off_with_an_error_after_some_of_it(kind: str, stream: bool) -> None:
    async def work(stage: Stage) -> None:
        got, error = await said(stage, stream=stream)
        assert len(got) > 50
        assert isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)

    on_stage(work, faults=[{"kind": kind}])


def test_half_a_json_body_ends_as_if_it_were_whole() -> None:
    async def work(stage: Stage) -> None:
        got, error = await said(stage)
        assert error is None
        assert got.startswith(b"{")
        with pytest.raises(json.JSONDecodeError):
            json.loads(got)

    on_stage(work, faults=[{"kind": "half_body"}])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("kind", "some"), [("stall", True), ("hang", False)])
def test_a_stall_sends_some_and_a_hang_nothing_until_the_client_gives_up(kind: str, some: bool, stream: bool) -> None:
    async def work(stage: Stage) -> None:
        began_s = time.monotonic()
        got, error = await said(stage, stream=stream, timeout_s=0.3)
        assert isinstance(error, httpx.ReadTimeout)
        assert bool(got) == some
        assert time.monotonic() - began_s < 2

    on_stage(work, faults=[{"kind": kind}])


@pytest.mark.parametrize("kind", ["stall", "hang"])
def test_a_stall_and_a_hang_end_in_a_reset_when_their_time_is_over(kind: str) -> None:
    async def work(stage: Stage) -> None:
        _, error = await said(stage)
        assert isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)

    on_stage(work, faults=[{"kind": kind, "longest_s": 0.1}])


def test_a_slow_loris_sends_a_byte_now_and_then() -> None:
    async def work(stage: Stage) -> None:
        path, headers = ROUTES["openai"]
        times: list[float] = []
        async with stage.client.stream("POST", path, json=BODIES["openai"], headers=headers) as answer:
            async for part in answer.aiter_raw():
                times.append(time.monotonic())
                assert len(part) <= 3
                if len(times) == 6:
                    break
        assert times[-1] - times[0] >= 0.2

    on_stage(work, faults=[{"kind": "slow_loris", "pause_s": 0.05}])


def test_the_providers_clock_is_off_in_dates_and_resets() -> None:
    async def work(stage: Stage) -> None:
        told = await stage.ask("anthropic")
        date_s = parsedate_to_datetime(told.headers["date"]).timestamp()
        assert -3605 <= date_s - time.time() <= -3595
        reset_s = datetime.fromisoformat(told.headers["anthropic-ratelimit-requests-reset"]).timestamp()
        assert reset_s - date_s == pytest.approx(60, abs=2)

    narrow = [{"dimension": "rpm", "amount": 1, "window": "token_bucket", "charge": "requests"}]
    on_stage(work, limits=narrow, clock_skew_s=-7200.0, faults=[{"kind": "clock_skew", "skew_s": 3600.0}])


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_retry_after_as_a_date_or_not_at_all(protocol: str) -> None:
    async def work(stage: Stage) -> None:
        await stage.ask(protocol)
        told = await stage.ask(protocol)
        wait_s = parsedate_to_datetime(told.headers["retry-after"]).timestamp() - time.time()
        assert 57 <= wait_s <= 61.1
        stage.emulator.faults = [(stage.emulator.faults[0][0].model_copy(update={"kind": "retry_after_missing"}), 0.0)]
        assert "retry-after" not in (await stage.ask(protocol)).headers

    narrow = [{"dimension": "rpm", "amount": 1, "window": "token_bucket", "charge": "requests"}]
    on_stage(work, limits=narrow, faults=[{"kind": "retry_after_date"}])


def test_limits_are_cut_to_a_share() -> None:
    async def work(stage: Stage) -> None:
        statuses = [(await stage.ask()).status_code for _ in range(8)]
        assert statuses == [200] * 3 + [429] * 5
        assert (await stage.ask()).headers["x-ratelimit-limit-requests"] == "3"
        assert [(await stage.ask("anthropic")).status_code for _ in range(8)] == [200] * 8

    narrow = [{"dimension": "rpm", "amount": 12, "window": "sliding", "charge": "requests"}]
    on_stage(work, limits=narrow, faults=[{"kind": "limit_scale", "scale": 0.25, "account": "openai"}])


def test_a_fault_strikes_its_share_its_model_and_its_time_alone() -> None:
    faults = [
        {"kind": "error", "account": "openai", "share": 0.3}, {"kind": "error", "account": "anthropic", "model": "other"},
        {"kind": "error", "account": "gemini", "start_s": 0.0, "duration_s": 0.3},
    ]  # fmt: skip

    async def work(stage: Stage) -> None:
        assert (await stage.ask("gemini")).status_code == 500
        statuses = [(await stage.ask()).status_code for _ in range(200)]
        assert 35 <= statuses.count(500) <= 90
        assert statuses.count(200) + statuses.count(500) == 200
        same = {(await stage.ask(headers={"x-emulate-seed": "s"})).status_code for _ in range(10)}
        assert len(same) == 1
        assert (await stage.ask("anthropic")).status_code == 200
        await asyncio.sleep(0.3)
        assert (await stage.ask("gemini")).status_code == 200

    on_stage(work, faults=faults)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_the_answer_and_what_was_produced_is_charged(stream: bool) -> None:
    limits: list[dict[str, Any]] = [
        {"dimension": "otpm", "amount": 1e6, "window": "token_bucket", "charge": "output"},
        {"dimension": "concurrency", "amount": 1, "window": "none", "charge": "requests"},
    ]  # fmt: skip

    async def work(stage: Stage) -> None:
        path, headers = ROUTES["openai"]
        ask = stage.client.post(path, json={**BODIES["openai"], "stream": stream}, headers=headers | {"x-emulate-output-tokens": "50"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask, 0.3)
        await asyncio.sleep(0.1)
        counts, account = stage.counts(), stage.emulator.accounts[0]
        assert counts["client_gone"] == 1
        assert 10 <= counts["output_tokens"] <= 35
        assert account.limits[0].used == counts["output_tokens"]
        before = counts["output_tokens"]
        await asyncio.sleep(0.3)
        assert counts["output_tokens"] == before
        assert (await stage.ask(headers={"x-emulate-output-tokens": "1"})).status_code == 200

    on_stage(work, model=SLOW, limits=limits)


@pytest.mark.parametrize("stream", [False, True])
def test_output_counts_while_it_is_produced(stream: bool) -> None:
    limits = [{"dimension": "otpm", "amount": 1e6, "window": "token_bucket", "charge": "output"}]

    async def work(stage: Stage) -> None:
        path, headers = ROUTES["anthropic"]
        body = {**BODIES["anthropic"], "max_tokens": 200, "stream": stream}
        ask = asyncio.create_task(stage.client.post(path, json=body, headers=headers | {"x-emulate-output-tokens": "150"}))
        await asyncio.sleep(0.8)
        assert 30 <= stage.counts("anthropic")["output_tokens"] <= 100
        await ask
        assert stage.counts("anthropic")["output_tokens"] == 150

    on_stage(work, model=SLOW, limits=limits)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_takes_its_time_and_a_header_overrides_it(stream: bool) -> None:
    async def work(stage: Stage) -> None:
        took_s = []
        for header in ({"x-emulate-output-tokens": "40"}, {"x-emulate-service-s": "0.2"}):
            began_s = time.monotonic()
            await stage.ask(headers=header, stream=stream)
            took_s.append(time.monotonic() - began_s)
        assert 0.44 <= took_s[0] <= 0.9
        assert 0.19 <= took_s[1] <= 0.4

    on_stage(work, model=SLOW)


def test_the_same_seed_gives_the_same_answer() -> None:
    async def work(stage: Stage) -> None:
        lengths = [(await stage.ask(headers={"x-emulate-seed": seed})).json()["usage"]["completion_tokens"] for seed in "aabbab"]
        assert lengths[0] == lengths[1] == lengths[4]
        assert lengths[2] == lengths[3] == lengths[5]
        assert lengths[0] != lengths[2]

    on_stage(work, model={"output_tokens": {"kind": "gamma", "mean": 25, "cv": 0.5}})
