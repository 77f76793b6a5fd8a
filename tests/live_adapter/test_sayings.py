"""What providers say in complaints and in streams that break: clients get no keys of it, the gateway gets its class."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from live_adapter.config import Attempts
from live_adapter.driver import Kept, WallClock
from live_adapter.emulated import FakeKeys, emulated_config, sites_at
from live_adapter.keeping import NoKeeper
from live_adapter.pool import Pool
from live_adapter.site import Site
from policies import log
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.schema import Platform
from tests.live_adapter.platforms import Stage, platform
from tests.live_adapter.test_faults import ask, whole

ECHO = {"error": {
    "message": "Invalid 'x' in request of org-abcDEF123456 with sk-proj-verySecret123", "type": "invalid_request_error", "param": "x",
}}  # fmt: skip
CHUNK = b'data: {"choices": [{"delta": {"content": "word"}}]}\n\n'
FULL = {"error": {
    "message": "Rate limit reached for requests per min (RPM). Please try again in 7s", "type": "requests", "code": "rate_limit_exceeded",
}}  # fmt: skip


class Remembering(NoKeeper):
    """Keeps the rows of the log."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def keep(self, kept: Kept) -> None:
        self.rows.append(kept.log)


def before(provider: Callable[[web.Request], Awaitable[web.StreamResponse]], work: Callable[[Pool], Awaitable[None]]) -> Any:
    """A pool before a provider of one answer; returns the log."""

    async def run() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", provider)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        clock, keeper = WallClock.now(), Remembering()
        layout = lay_out(platform(), clock())
        config = sites_at(layout, f"http://{host}:{port}").model_copy(update={"attempts": Attempts(connect_s=2, stall_s=2, timeout_s=5)})
        once = PolicyBundle.model_validate({"retry": {"max_attempts": 1}})
        place = Site(layout=layout, bundle=once, config=config, start_us=clock(), seed=1)
        async with Pool(place, FakeKeys(layout), keeper=keeper, clock=clock) as pool:
            await asyncio.wait_for(work(pool), 20)
        await runner.cleanup()
        return np.concatenate(keeper.rows)

    return asyncio.run(run())


def test_a_complaint_keeps_its_shape_but_no_key_and_no_account_in_it() -> None:
    async def provider(_: web.Request) -> web.StreamResponse:
        return web.json_response(ECHO, status=400)

    async def work(pool: Pool) -> None:
        answer = await ask(Stage(pool, None, "", pool.site.layout))  # type: ignore[arg-type]
        assert answer.status == 400
        said = await whole(answer)
        assert json.loads(said)["error"]["param"] == "x"
        assert b"verySecret" not in said
        assert b"abcDEF" not in said

    before(provider, work)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (FULL, log.THROTTLE), ({"error": {"message": "busy", "type": "overloaded_error"}}, log.OVERLOAD),
        ({"error": {"message": "?"}}, log.FAILED),
    ],
)
def test_an_error_inside_a_stream_is_of_the_class_that_it_says(event: dict[str, Any], kind: int) -> None:
    async def provider(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(CHUNK + b"data: " + json.dumps(event).encode() + b"\n\n")
        return answer

    async def work(pool: Pool) -> None:
        said = await whole(await ask(Stage(pool, None, "", pool.site.layout), stream=True))  # type: ignore[arg-type]
        assert b"word" in said

    rows = before(provider, work)
    refused = rows[rows["kind"] == log.REFUSED]
    assert refused["code"].tolist() == [kind]


def test_the_emulator_has_days_that_end_at_the_providers_midnight() -> None:
    limits = [{"dimension": "rpd", "limit": 1000}, {"dimension": "rpm", "limit": 60}]
    of = Platform.model_validate({
        "models": [{"name": "g", "provider": "google", "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0}],
        "accounts": [{"name": "a", "provider": "google", "limits": limits}], "tenants": [{"name": "acme", "tier": "standard"}],
        "providers": [{"name": "google", "timezone": "America/Los_Angeles"}],
    })  # fmt: skip
    told = {limit.dimension: limit for limit in emulated_config(lay_out(of, 0)).accounts[0].limits}
    assert (told["rpd"].window, told["rpd"].time_zone) == ("day", "America/Los_Angeles")
