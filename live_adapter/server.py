"""The gateway over HTTP, as an ASGI application: OpenAI's, Anthropic's and Gemini's calls, health and metrics.

Plain ASGI: three messages a call are all there is to it, and a framework's routing would be most of the time of a call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from live_adapter.gateway_keys import GatewayKeys
from live_adapter.metrics import exposed
from live_adapter.pool import Answer, Pool
from live_adapter.protocols.calls import Dialect
from live_adapter.reception import receive, refusal
from live_adapter.replicas.renewing import Replica

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_MIB = 1024 * 1024
_MOST_HEADERS, _MOST_HEADER_BYTES = 100, 32_768
_REFRESH_S = 1.0


class GatewayApp:
    """An ASGI application before a pool. Without `keys` all calls are the one tenant's that is named: for loopback only."""

    def __init__(
        self, make: Callable[[], Pool], *, keys: GatewayKeys | None = None, tenant: str | None = None, drain_s: float = 30.0,
        replica_of: Callable[[Pool], Replica] | None = None,
    ) -> None:  # fmt: skip
        self._make, self._keys, self._tenant, self._drain_s = make, keys, tenant, drain_s
        self._replica_of = replica_of
        self._replica: Replica | None = None
        self._pool: Pool | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pool(self) -> Pool:
        """The pool, once the application has started."""
        assert self._pool is not None, "the application has not started"
        return self._pool

    async def __call__(self, scope: Scope, receive_message: Receive, send: Send) -> None:
        """One connection's scope, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive_message, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive_message, send)

    async def _live(self, receive_message: Receive, send: Send) -> None:
        while True:
            message = await receive_message()
            if message["type"] == "lifespan.startup":
                try:
                    self._pool = await self._make().__aenter__()
                    if self._replica_of is not None:
                        self._replica = await self._replica_of(self._pool).__aenter__()
                except Exception as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
                self._watch = asyncio.create_task(self._refresh())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._watch is not None:
                    self._watch.cancel()
                await self.pool.drain(self._drain_s)
                if self._replica is not None:
                    await self._replica.__aexit__()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _refresh(self) -> None:
        """Notice keys that come and go."""
        while self._keys is not None:
            await asyncio.sleep(_REFRESH_S)
            try:
                self._keys.refresh()
            except Exception:  # noqa: BLE001  (a file half edited: the keys known so far hold)
                continue

    async def _serve(self, scope: Scope, receive_message: Receive, send: Send) -> None:
        path, method = str(scope["path"]), str(scope["method"])
        if (plain := self._status(path)) is not None:
            await _say(send, plain)
            return
        raw = scope["headers"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
        dialect: Dialect = "anthropic" if "anthropic-version" in headers else "openai"
        if len(raw) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > _MOST_HEADER_BYTES:
            await _say(send, refusal(dialect, 431, "headers_too_large", f"at most {_MOST_HEADERS} headers, {_MOST_HEADER_BYTES:,} bytes"))
            return
        tenant = self._tenant_of(headers, scope)
        if tenant is None:
            await _say(send, refusal(dialect, 401, "invalid_api_key", "no gateway key, or one that is not known; bring yours as api key"))
            return
        body = await _body(receive_message, round(self.pool.site.config.calls.most_body_mib * _MIB))
        if body is None:
            await _say(send, refusal(dialect, 413, "too_large", f"at most {self.pool.site.config.calls.most_body_mib:g} MiB are taken"))
            return
        await _answer(send, receive_message, receive(self.pool, tenant, method, path, headers, body))

    def _status(self, path: str) -> Answer | None:
        if path == "/healthz":
            return Answer(status=200, headers={"content-type": "text/plain"}, body=b"ok\n")
        if path == "/readyz":
            ready = self._pool is not None and not self._pool.draining
            told = "ready\n" if ready else "draining\n"
            if self._replica is not None:
                told += f"lease: {self._replica.state}\n"
            return Answer(status=200 if ready else 503, headers={"content-type": "text/plain"}, body=told.encode())
        if path == "/metrics":
            return Answer(status=200, headers={"content-type": "text/plain; version=0.0.4"}, body=exposed(self.pool, self._replica))
        return None

    def _tenant_of(self, headers: Mapping[str, str], scope: Scope) -> int | None:
        if self._keys is None:
            return self.pool.site.tenant_rows.get(self._tenant or "")
        bearer = headers.get("authorization", "")
        key = bearer[7:] if bearer.lower().startswith("bearer ") else headers.get("x-api-key") or headers.get("x-goog-api-key") or ""
        name = self._keys.tenant_of(key.strip())
        return None if name is None else self.pool.site.tenant_rows.get(name)


async def _body(receive_message: Receive, most_bytes: int) -> bytes | None:
    """The whole body; None for one that is too large."""
    parts, size = [], 0
    while True:
        message = await receive_message()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


async def _gone(receive_message: Receive) -> None:
    while (await receive_message())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, receive_message: Receive, work: Awaitable[Answer]) -> None:
    """Answer a call; a client that goes away ends it."""
    answering = asyncio.ensure_future(_send_all(send, work))
    leaving = asyncio.ensure_future(_gone(receive_message))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    finally:
        leaving.cancel()
        answering.cancel()


async def _send_all(send: Send, work: Awaitable[Answer]) -> None:
    answer = await work
    if isinstance(answer.body, bytes):
        await _say(send, answer)
        return
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": _encoded(answer.headers)})
        async for chunk in answer.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await answer.body.aclose()


async def _say(send: Send, answer: Answer) -> None:
    assert isinstance(answer.body, bytes)
    headers = [*_encoded(answer.headers), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
