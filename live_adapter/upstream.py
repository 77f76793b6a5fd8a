"""Bytes to providers and back, over aiohttp: one connection pool, bounds on time and size, and failures in two words.

aiohttp, because httpx's own pool is several times slower with many requests side by side (README, "Live").
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from yarl import URL

from live_adapter.config import Attempts
from policies.log import FAILED, TIMEOUT

_CHUNK = 65_536
_MIB = 1024 * 1024


class Failure(Exception):  # noqa: N818  (not an error of ours: what befell an attempt)
    """The provider did not answer as HTTP asks: FAILED or TIMEOUT, and what happened, without addresses or keys."""

    def __init__(self, kind: int, what: str) -> None:
        super().__init__(what)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an answer."""

    status: int
    headers: Mapping[str, str]


class Upstream:
    """The provider's side. `open` and `close` belong to the event loop that it is used on."""

    def __init__(self, limits: Attempts) -> None:
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._headless: dict[asyncio.Task[object], float] = {}      # attempts without an answer yet, and when each is overdue
        self._sweeping: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Before the first attempt."""
        # The gateway bounds what is in flight; a second bound would let requests wait unseen.
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s, sock_read=self._limits.stall_s)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True, trust_env=False,
            requote_redirect_url=False,
        )  # fmt: skip
        self._sweep()

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _sweep(self) -> None:
        """End attempts that are overdue. One timer for all of them: one each would cost as much as all else that the wire does."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for task, overdue_s in list(self._headless.items()):
            if now_s >= overdue_s:
                self._headless[task] = -1.0
                task.cancel()
        self._sweeping = loop.call_later(min(1.0, self._limits.timeout_s / 4), self._sweep)

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> "Exchange":
        """Send a request; returns when the head of the answer is there. Raises Failure."""
        assert self._session is not None, "open() comes first"
        task = asyncio.current_task()
        assert task is not None
        overdue_s = task.get_loop().time() + self._limits.timeout_s
        self._headless[task] = overdue_s
        try:
            answer = await self._session.request(method, _address(url), headers=headers, data=body, allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _failure(error) from None
        except asyncio.CancelledError:
            if self._headless[task] > 0 or task.uncancel() > 0:
                raise
            raise _failure(TimeoutError()) from None
        finally:
            del self._headless[task]
        return Exchange(answer, round(self._limits.most_answer_mib * _MIB), overdue_s)


class Exchange:
    """An answer that is under way. It must be read to its end, or closed."""

    __slots__ = ("_answer", "_left", "_overdue_s", "head")

    def __init__(self, answer: aiohttp.ClientResponse, most_bytes: int, overdue_s: float) -> None:
        self._answer, self._left, self._overdue_s = answer, most_bytes, overdue_s
        self.head = Head(answer.status, answer.headers)

    async def read(self) -> bytes:
        """The whole body. Raises Failure."""
        content, parts = self._answer.content, []
        # Not by way of `chunks`: a generator costs as much as the rest.
        try:
            while part := await content.readany():
                self._count(part)
                parts.append(part)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failure(error) from None
        finally:
            if not content.at_eof():
                self._answer.close()
        self._answer.release()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def read_some(self) -> bytes:
        """As much of the body as there is before it ends or breaks: for error answers."""
        found = b""
        try:
            async for part in self.chunks():
                found += part
                if len(found) > _CHUNK:
                    break
        except Failure:
            pass
        self.close()
        return found

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Failure, also for one that ends too soon or never."""
        try:
            async for part in self._answer.content.iter_any():
                self._count(part)
                yield part
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failure(error) from None
        finally:
            if not self._answer.content.at_eof():
                self._answer.close()
        self._answer.release()

    def _count(self, part: bytes) -> None:
        """Take in a part. Raises Failure for one too many, or too late; without any part the connection's own time runs out."""
        if asyncio.get_running_loop().time() > self._overdue_s:
            raise _failure(TimeoutError())
        self._left -= len(part)
        if self._left < 0:
            raise Failure(FAILED, "the answer is larger than attempts.most_answer_mib")

    def close(self) -> None:
        """Let go of the connection; of an answer that is not at its end the provider notices."""
        self._answer.close()


@lru_cache(4096)
def _address(url: str) -> URL:
    return URL(url, encoded=True)


def _failure(error: BaseException) -> Failure:
    if isinstance(error, asyncio.TimeoutError | TimeoutError | aiohttp.ServerTimeoutError):
        return Failure(TIMEOUT, "the provider did not answer in time")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failure(FAILED, "the provider's name was not found")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Failure(FAILED, "the provider could not be reached")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure(FAILED, "the answer ended too soon")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError):
        return Failure(FAILED, "the provider closed the connection")
    return Failure(FAILED, f"the answer was not HTTP ({type(error).__name__})")
