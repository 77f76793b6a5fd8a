"""httpx transports: a client built on httpx, or on httpx2, goes through a pool by one argument.

`httpx.AsyncClient(transport=PooledTransport(pool, tenant="acme"))`; `Httpx2PooledTransport` for the SDKs of OpenAI and Anthropic, which
are built on httpx2. The `Sync...` ones serve synchronous clients: a `PoolThread` has the pool's event loop in a thread of its own.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any

import httpx
import httpx2

from live_adapter.errors import LiveConfigError
from live_adapter.pool import Answer, Body, Pool
from live_adapter.reception import receive

TENANT = "forge1_tenant"
_JOIN_S = 10.0


def tenant_row(pool: Pool, tenant: str | None, extensions: Any) -> int:
    """Whose call this is: that of the request's extension `forge1_tenant`, else of the transport. Raises LiveConfigError."""
    name = extensions.get(TENANT) or tenant
    row = pool.site.tenant_rows.get(str(name))
    if row is None:
        raise LiveConfigError(f"tenant {name!r} is none of this platform's {len(pool.site.tenant_rows):,}; name one as `tenant`")
    return row


async def _answered(pool: Pool, tenant: str | None, request: Any) -> Answer:
    row = tenant_row(pool, tenant, request.extensions)
    # Most bodies are in memory already; reading them as streams takes longer than serving them.
    body = request._content if hasattr(request, "_content") else await request.aread()
    return await receive(pool, row, request.method, request.url.path, _plain(request), body)


def _plain(request: Any) -> dict[str, str]:
    """Headers by name in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}


def _response(http: Any, answer: Answer, stream: Callable[[Body], Any]) -> Any:
    """The answer as `http`, which is httpx or httpx2, has it. Headers go in as they would over the wire, which it takes as they are."""
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    if isinstance(answer.body, bytes):
        headers.append((b"content-length", b"%d" % len(answer.body)))
        return http.Response(answer.status, headers=headers, stream=http.ByteStream(answer.body))
    return http.Response(answer.status, headers=headers, stream=stream(answer.body))


class _Chunks:
    """The body of an answer, for httpx."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        await self._body.aclose()


class _AsyncChunks(_Chunks, httpx.AsyncByteStream):
    pass


class _AsyncChunks2(_Chunks, httpx2.AsyncByteStream):
    pass


class PooledTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`. The pool is opened and closed by its owner."""

    def __init__(self, pool: Pool, tenant: str | None = None) -> None:
        self._pool, self._tenant = pool, tenant

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        response: httpx.Response = _response(httpx, await _answered(self._pool, self._tenant, request), _AsyncChunks)
        return response


class Httpx2PooledTransport(httpx2.AsyncBaseTransport):
    """For `httpx2.AsyncClient`, and so for `openai.AsyncOpenAI` and `anthropic.AsyncAnthropic` (`http_client=`)."""

    def __init__(self, pool: Pool, tenant: str | None = None) -> None:
        self._pool, self._tenant = pool, tenant

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        response: httpx2.Response = _response(httpx2, await _answered(self._pool, self._tenant, request), _AsyncChunks2)
        return response


class PoolThread:
    """A pool in an event loop of its own thread, for synchronous clients. Use it as a context manager.

    `make` makes the pool; it is called in that thread.
    """

    def __init__(self, make: Callable[[], Pool]) -> None:
        self._make = make
        self.loop = asyncio.new_event_loop()
        self._ready: Future[Pool] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="forge1-pool", daemon=True)

    def __enter__(self) -> "PoolThread":
        self._thread.start()
        self._ready.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_JOIN_S)

    @property
    def pool(self) -> Pool:
        """The pool, to look at."""
        return self._ready.result()

    def do(self, work: Any) -> Any:
        """Wait for a coroutine that runs beside the pool."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        try:
            pool = self._make()
            async with pool:
                self._ready.set_result(pool)
                await self._stop.wait()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise


class _SyncChunks:
    """The body of an answer, pulled from the pool's thread."""

    def __init__(self, thread: PoolThread, body: Body) -> None:
        self._thread, self._body = thread, body

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._thread.do(_next(self._body))
            except StopAsyncIteration:
                return

    def close(self) -> None:
        self._thread.do(self._body.aclose())


class _SyncChunks1(_SyncChunks, httpx.SyncByteStream):
    pass


class _SyncChunks2(_SyncChunks, httpx2.SyncByteStream):
    pass


async def _next(body: Body) -> bytes:
    return await anext(body)


class SyncPooledTransport(httpx.BaseTransport):
    """For `httpx.Client`."""

    def __init__(self, thread: PoolThread, tenant: str | None = None) -> None:
        self._thread, self._tenant = thread, tenant

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        answer = _sync_answer(self._thread, self._tenant, request)
        response: httpx.Response = _response(httpx, answer, partial(_SyncChunks1, self._thread))
        return response


class SyncHttpx2PooledTransport(httpx2.BaseTransport):
    """For `httpx2.Client`, and so for `openai.OpenAI` and `anthropic.Anthropic`."""

    def __init__(self, thread: PoolThread, tenant: str | None = None) -> None:
        self._thread, self._tenant = thread, tenant

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        answer = _sync_answer(self._thread, self._tenant, request)
        response: httpx2.Response = _response(httpx2, answer, partial(_SyncChunks2, self._thread))
        return response


def _sync_answer(thread: PoolThread, tenant: str | None, request: Any) -> Answer:
    row = tenant_row(thread.pool, tenant, request.extensions)
    found: Answer = thread.do(receive(thread.pool, row, request.method, request.url.path, _plain(request), request.read()))
    return found
