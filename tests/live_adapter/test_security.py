"""What clients send, however hostile: the gateway goes on, answers in HTTP, shows no key, and lets nobody choose what is not theirs."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from live_adapter.gateway_keys import GatewayKeys, hash_of, mint, revoke
from live_adapter.server import GatewayApp
from tests.live_adapter.platforms import Stage, platform, staged
from tests.live_adapter.test_faults import demand_in_order

PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1beta/models/gemini:generateContent", "/v1/models",
         "/v1beta/models/gpt:streamGenerateContent", "/", "/../etc/passwd", "//v1/chat/completions", "/v1/%00", "/metrics")  # fmt: skip
HEADERS = ("authorization", "x-api-key", "x-forge1-deadline-s", "x-forge1-budget-usd", "x-forge1-complexity", "anthropic-version", "host",
           "content-length", "transfer-encoding", "x-forge1-account", "cookie", "x-emulate-output-tokens", "accept")  # fmt: skip
MODELS = ("gpt", "claude", "gemini", "forge1-auto", "o", "../x", "", "gpt\u0000", 7, None, ["gpt"])
ODD: tuple[Any, ...] = (None, True, -1, 0, 2**63, 1e308, "", "x", [], {}, [[]], {"a": {"b": []}}, "\ud800", "data:a/b;base64,", "\u0000")
VALUES = ("", "1", "-1", "nan", "x" * 50, "\r\nx: y", "0.1", "1e99", "\u0000")
SOUND = json.dumps({"model": "gpt", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).encode()
FIELDS = ("messages", "input", "contents", "max_tokens", "max_completion_tokens", "stream", "tools", "tool_choice", "temperature", "n",
          "system", "generationConfig", "stream_options", "response_format", "stop")  # fmt: skip


class Asgi:
    """Calls an ASGI application as a server would."""

    def __init__(self, app: GatewayApp) -> None:
        self._app = app

    async def ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes, bytes]:
        """Status, headers and body of the answer."""
        scope = {"type": "http", "method": method, "path": path, "headers": [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers]}  # fmt: skip
        sent: list[Any] = []
        told = iter([{"type": "http.request", "body": body}])
        forever = asyncio.Event()

        async def receive() -> Any:
            message = next(told, None)
            if message is None:
                await forever.wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        head = b"".join(name + value for name, value in sent[0]["headers"])
        return int(sent[0]["status"]), head, b"".join(message.get("body", b"") for message in sent[1:])


def hostile_body(r: random.Random) -> bytes:
    """A call that was once well-formed."""
    body: dict[str, Any] = {"model": r.choice(MODELS) if r.random() < 0.3 else "gpt", "max_tokens": 5,
                            "messages": [{"role": "user", "content": "hello"}]}  # fmt: skip
    for _ in range(r.randint(0, 3)):
        body[r.choice(FIELDS)] = r.choice(ODD)
    if r.random() < 0.2:
        body["messages"] = [r.choice(ODD), {"role": r.choice(ODD), "content": r.choice(ODD)}]
    raw = json.dumps(body).encode()
    if r.random() < 0.3:
        place = r.randrange(len(raw))
        raw = raw[:place] + bytes(r.randrange(256) for _ in range(r.randint(0, 4))) + raw[place + r.randint(0, 4) :]
    return raw


async def attack(stage: Stage, app: GatewayApp, secret: str, count: int) -> None:
    """So many hostile requests, some side by side."""
    asgi, r = Asgi(app), random.Random(1)
    secrets = [key.encode() for account in stage.emulator.config.accounts for key in account.keys] + [secret.encode()]

    async def one() -> None:
        headers = [("authorization", f"Bearer {secret}" if r.random() < 0.9 else r.choice(("", "Bearer ", "Bearer f1-x", "x" * 300)))]
        headers += [(r.choice(HEADERS), r.choice(VALUES)) for _ in range(r.randint(0, 3))]
        method = r.choice(("POST", "POST", "POST", "GET", "DELETE"))
        status, head, body = await asyncio.wait_for(asgi.ask(method, r.choice(PATHS), headers, hostile_body(r)), 20)
        assert 200 <= status < 600
        assert status != 500, body
        assert not any(one in head or one in body for one in secrets)

    for _ in range(count // 20):
        await asyncio.gather(*(one() for _ in range(20)))
    assert (await asgi.ask("POST", PATHS[0], [("authorization", f"Bearer {secret}")], SOUND))[0] == 200


def attacked(tmp_path: Path, count: int) -> None:
    secret = mint(tmp_path / "keys.json", "acme")

    async def run() -> None:
        async with staged() as stage:
            app = GatewayApp(lambda: stage.pool, keys=GatewayKeys(tmp_path / "keys.json"))
            app._pool = stage.pool
            await attack(stage, app, secret, count)
            demand_in_order(stage)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_hostile_requests_are_answered_and_nothing_shows(tmp_path: Path) -> None:
    attacked(tmp_path, 3_000)


@pytest.mark.slow
def test_a_hundred_thousand_hostile_requests(tmp_path: Path) -> None:
    attacked(tmp_path, 100_000)


def test_a_tenant_sees_and_spends_only_its_own(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    mine, other = mint(keys, "acme"), mint(keys, "beta")
    tenants = platform().tenants
    poor = platform().model_copy(update={"tenants": (tenants[0].model_copy(update={"budget_usd_per_month": 0.0}), tenants[1])})

    async def run() -> None:
        async with staged(poor) as stage:
            app = GatewayApp(lambda: stage.pool, keys=GatewayKeys(keys))
            app._pool = stage.pool
            for secret, expected in ((mine, 402), (other, 200)):
                for claim in ((), (("x-forge1-tenant", "beta"), ("forge1_tenant", "beta"))):
                    status, _, _ = await Asgi(app).ask("POST", PATHS[0], [("authorization", f"Bearer {secret}"), *claim], SOUND)
                    assert status == expected
            state = stage.pool.driver.state
            assert state.tenants[0]["budget_used"] == 0
            assert state.tenants[1]["budget_used"] > 0

    asyncio.run(run())


def test_nobody_chooses_a_deployment_a_key_or_an_address(tmp_path: Path) -> None:
    secret = mint(tmp_path / "keys.json", "acme")

    async def run() -> None:
        async with staged() as stage:
            app = GatewayApp(lambda: stage.pool, keys=GatewayKeys(tmp_path / "keys.json"))
            app._pool = stage.pool
            body = json.dumps({"model": "gpt", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "base_url": "http://evil",
                               "api_key": "evil", "account": "a", "deployment": "a/claude"}).encode()  # fmt: skip
            headers = [("authorization", f"Bearer {secret}"), ("host", "evil"), ("x-forge1-account", "a"), ("x-api-key", "evil")]
            assert (await Asgi(app).ask("POST", PATHS[0], headers, body))[0] == 200
            assert [account.counts["ok"] for account in stage.emulator.accounts] == [1, 0, 0]

    asyncio.run(run())


def test_limits_on_headers_and_bodies(tmp_path: Path) -> None:
    secret = mint(tmp_path / "keys.json", "acme")

    async def run() -> None:
        async with staged() as stage:
            app = GatewayApp(lambda: stage.pool, keys=GatewayKeys(tmp_path / "keys.json"))
            app._pool = stage.pool
            own = [("authorization", f"Bearer {secret}")]
            assert (await Asgi(app).ask("POST", PATHS[0], [*own, *((f"x-{n}", "y") for n in range(200))], b"{}"))[0] == 431
            assert (await Asgi(app).ask("POST", PATHS[0], [*own, ("x", "y" * 40_000)], b"{}"))[0] == 431
            assert (await Asgi(app).ask("POST", PATHS[0], own, b"x" * 40_000_000))[0] == 413

    asyncio.run(run())


def test_keys_are_kept_as_hashes_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second = mint(path, "acme"), mint(path, "acme")
    keys = GatewayKeys(path)
    assert keys.tenant_of(first) == keys.tenant_of(second) == "acme"
    assert first not in path.read_text()
    assert hash_of(first) in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert keys.tenant_of("") is None
    assert keys.tenant_of(first + "x") is None
    assert revoke(path, "acme") == 2
    keys.refresh()
    assert keys.tenant_of(first) is None
