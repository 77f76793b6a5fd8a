"""What providers do wrong, over real sockets: nothing hangs, nothing leaks, no key shows, and the gateway's books are in order."""

import asyncio
import gc
import json
from typing import Any

import httpx2
import openai
import pytest

from live_adapter.config import Attempts
from live_adapter.pool import Answer
from live_adapter.reception import receive
from live_adapter.transport import Httpx2PooledTransport
from policies.bundle import PolicyBundle
from policies.log import NO_KEYS
from provider_emulator.config import FaultSpec
from tests.live_adapter.platforms import Stage, platform, staged

QUICK = PolicyBundle.model_validate({"retry": {"max_attempts": 3, "backoff_s": 0.01, "backoff_max_s": 0.02}, "cooldown": {
    "throttle_s": 0.05, "overload_s": 0.05, "cooldown_s": 0.05}})  # fmt: skip
IMPATIENT = {"attempts": Attempts(connect_s=0.5, stall_s=0.3, timeout_s=1.0)}


async def ask(stage: Stage, model: str = "gpt", *, stream: bool = False, deadline_s: float = 5.0, tokens: int = 5) -> Answer:
    """One chat of a tenant."""
    asked = {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "word"}]}
    headers = {"x-emulate-output-tokens": str(tokens), "x-forge1-deadline-s": str(deadline_s)}
    return await receive(stage.pool, 0, "POST", "/v1/chat/completions", headers, json.dumps(asked).encode())


async def whole(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join([part async for part in answer.body])


def in_stage(work: Any, **given: Any) -> None:
    """Run `work(stage)`, then look whether everything was given back."""

    async def run() -> None:
        async with staged(**{"bundle": QUICK, **IMPATIENT, **given}) as stage:
            await asyncio.wait_for(work(stage), 30)
            await asyncio.sleep(0.05)
            demand_in_order(stage)
        gc.collect()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks are left: {left}"

    asyncio.run(run())


def demand_in_order(stage: Stage) -> None:
    state = stage.pool.driver.state
    assert stage.pool.under_way == 0
    assert state.pulse[0]["in_system"] == state.pulse[0]["in_flight"] == state.pulse[0]["waiting"] == 0
    assert not state.limits["held"].any()
    assert not state.tenants["budget_held"].any()
    assert not state.deployments["in_flight"].any()


def fail(stage: Stage, kind: str, **given: Any) -> None:
    """From now on something goes wrong."""
    import time

    stage.emulator.faults = [(FaultSpec(kind=kind, **given), time.monotonic())]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", ["error", "unavailable", "overloaded", "reset", "reset_midway", "half_body", "wrong_length", "hang", "stall"]
)
def test_a_provider_that_fails_is_tried_again_and_then_told_of(kind: str) -> None:
    async def work(stage: Stage) -> None:
        fail(stage, kind)
        answer = await ask(stage)
        assert answer.status in (502, 504)
        assert b"sk-emulated" not in await whole(answer)
        assert sum(stage.pool.outcomes.values()) == 3
        stage.emulator.faults = []
        await asyncio.sleep(0.2)
        assert (await ask(stage)).status == 200

    in_stage(work)


@pytest.mark.parametrize("kind", ["reset_midway", "stall", "wrong_length"])
def test_a_stream_that_breaks_is_not_tried_again_and_ends_with_an_error(kind: str) -> None:
    async def work(stage: Stage) -> None:
        fail(stage, kind)
        said = await whole(await ask(stage, stream=True, tokens=40))
        assert b"word" in said
        if kind != "wrong_length":
            assert b"stream_broken" in said
        assert stage.emulator.accounts[0].counts["attempts"] == 1

    in_stage(work)


def test_a_slow_loris_is_cut_off_in_the_end() -> None:
    async def work(stage: Stage) -> None:
        fail(stage, "slow_loris")
        assert (await ask(stage)).status in (502, 504)

    in_stage(work, attempts=Attempts(connect_s=0.5, stall_s=5.0, timeout_s=0.4))


def test_a_provider_that_is_not_there() -> None:
    async def work(stage: Stage) -> None:
        for address in ("http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"):
            for target in stage.pool.site.targets:
                object.__setattr__(target, "site", target.site.model_copy(update={"base_url": address}))
            assert (await ask(stage)).status in (502, 504)
            await asyncio.sleep(0.1)

    in_stage(work)


def test_a_revoked_key_is_dropped_for_the_next_and_without_one_the_account_is_out() -> None:
    async def work(stage: Stage) -> None:
        account = stage.emulator.accounts[0]
        account.revoked.add(account.spec.keys[0])
        assert (await ask(stage)).status == 200
        account.revoked.add(account.spec.keys[1])
        assert (await ask(stage, deadline_s=0.3)).status in (429, 502, 504)
        assert stage.pool.driver.state.accounts[0]["state"] == NO_KEYS
        assert (await ask(stage, "claude")).status != 500

    in_stage(work)


@pytest.mark.parametrize("retry_after", ["1", None])
def test_a_throttle_with_and_without_retry_after_is_waited_for(retry_after: str | None) -> None:
    async def work(stage: Stage) -> None:
        fail(stage, "throttle", retry_after=retry_after, duration_s=0.03)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await ask(stage)).status == 200
        assert loop.time() - began >= (1.0 if retry_after else 0.04)

    in_stage(work)


def test_a_skewed_clock_of_a_provider_changes_no_wait() -> None:
    async def work(stage: Stage) -> None:
        answers = await asyncio.gather(*(ask(stage) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}

    in_stage(work, emulated=lambda config: config.model_copy(update={"clock_skew_s": -7200.0}))


def test_a_client_that_goes_away_frees_its_place_and_is_billed() -> None:
    slow = {"ttft_s": 0.0, "tokens_per_s": 50.0, "noise_sigma": 0.0}
    fast = platform()
    models = tuple(model.model_copy(update={"speed": model.speed.model_validate(slow)}) for model in fast.models)
    of = fast.model_copy(update={"models": models})

    async def work(stage: Stage) -> None:
        answer = await ask(stage, stream=True, tokens=50)
        assert not isinstance(answer.body, bytes)
        await anext(answer.body)
        await asyncio.sleep(0.2)
        await answer.body.aclose()
        assert stage.pool.driver.state.tenants[0]["budget_used"] > 0
        waiting = asyncio.create_task(ask(stage, tokens=50))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    in_stage(work, of=of)


def test_a_stream_that_nobody_reads_frees_its_place_when_it_is_closed() -> None:
    async def work(stage: Stage) -> None:
        answer = await ask(stage, stream=True, tokens=50)
        assert not isinstance(answer.body, bytes)
        await answer.body.aclose()
        await answer.body.aclose()

    in_stage(work)


def test_a_client_that_goes_away_while_waiting_leaves_the_queue() -> None:
    narrow = [{"dimension": "rpm", "limit": 60.0, "burst_s": 1.0}]

    async def work(stage: Stage) -> None:
        await ask(stage)
        waiting = [asyncio.create_task(ask(stage, deadline_s=20)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert stage.pool.driver.state.pulse[0]["waiting"] >= 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    in_stage(work, of=platform(o={"limits": narrow}))


def test_a_refused_request_says_which_limit_and_when() -> None:
    narrow = [{"dimension": "rpm", "limit": 1.0}]

    async def work(stage: Stage) -> None:
        await asyncio.sleep(0.01)
        answer = await ask(stage, deadline_s=0.2)
        told = json.loads(await whole(answer))
        assert answer.status == 504
        assert "o.rpm" in told["error"]["message"] or "deadline" in told["error"]["message"]

    in_stage(work, of=platform(o={"limits": narrow}))


def test_a_bundle_changes_under_load_without_losing_a_request() -> None:
    async def work(stage: Stage) -> None:
        calls = [asyncio.create_task(ask(stage)) for _ in range(100)]
        await asyncio.sleep(0.01)
        stage.pool.change(QUICK.model_copy(update={"reservation": QUICK.reservation.model_copy(update={"mode": "partition"})}))
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} == {200}

    in_stage(work)


def test_the_sdk_raises_what_its_user_expects() -> None:
    async def work(stage: Stage) -> None:
        http = httpx2.AsyncClient(transport=Httpx2PooledTransport(stage.pool, "acme"))
        client = openai.AsyncOpenAI(api_key="not-a-key", http_client=http, max_retries=0)
        with pytest.raises(openai.NotFoundError, match="no-such-model"):
            await client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "word"}])
        with pytest.raises(openai.BadRequestError, match="x-forge1-complexity"):
            await client.chat.completions.create(
                model="gpt", messages=[{"role": "user", "content": "word"}], extra_headers={"x-forge1-complexity": "very"}
            )

    in_stage(work)
