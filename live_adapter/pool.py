"""The pool: one gateway on the wall clock. Calls go in, answers come out; between them the gateway decides and the wire obeys.

A call waits for its turns (`tickets`), sends what it is told to send, and tells what came of it. It knows no limit, no queue and
no backoff: whether there is another attempt, where, and when, is the gateway's answer to what it is told.
"""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from live_adapter.driver import Driver, Order, WallClock
from live_adapter.keeping import Fact, Keeper, NoKeeper
from live_adapter.passing import Passing
from live_adapter.protocols.calls import Call
from live_adapter.protocols.chat import UntranslatableError
from live_adapter.protocols.errors import error_body, error_event
from live_adapter.protocols.limits import limits_seen
from live_adapter.protocols.outgoing import Outgoing, outgoing
from live_adapter.protocols.refusing import Refusal, classify, classify_event
from live_adapter.protocols.usage import StreamReader, Usage
from live_adapter.refusals import told_of
from live_adapter.replaying import Recording
from live_adapter.restart import resume
from live_adapter.site import Site, Target
from live_adapter.tickets import Refused, Sent, Ticket
from live_adapter.upstream import Exchange, Failure, Upstream
from live_adapter.wishes import Wishes
from policies.bundle import PolicyBundle
from policies.change import changed_state
from policies.errors import SchemaError
from policies.feed import ABORT, ENDED, SEND, SET_ACCOUNT
from policies.inputs import ARRIVAL, GONE, REFUSAL, SEEN, SERVED, UNKNOWN
from policies.log import CALLER, CALLER_FAULT, CLIENT_GONE, FAILED, PREEMPTED, REFUSAL_NAMES
from policies.rows import Bytes, Plugged

_LOG = logging.getLogger(__name__)
_PASSED_BACK = ("content-type", "x-request-id", "request-id", "openai-processing-ms")
_ABORTED = "the place was taken back"
_SOONEST_S = 0.0005
_LAST_WRITE_S = 5.0


class Body:
    """A stream that is read to its end, or closed. `drop` is called if it is closed before anybody has read of it."""

    def __init__(self, chunks: AsyncGenerator[bytes], drop: Callable[[], None]) -> None:
        self._chunks, self._drop, self._is_read = chunks, drop, False

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        self._is_read = True
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """There will be no more readers."""
        # What a generator does in the end it does only if it has begun.
        if not self._is_read:
            self._is_read = True
            self._drop()
        await self._chunks.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client gets."""

    status: int
    headers: dict[str, str]
    body: bytes | Body


class Keys(Protocol):
    """Where keys come from."""

    def key_of(self, account: int, number: int) -> str:
        """The key of an account, by the gateway's count of those that it has used up."""


@dataclass(slots=True)
class _Going:
    """A call under way."""

    call: Call
    headers: Mapping[str, str]
    ticket: Ticket
    complexity_pm: int
    task: "asyncio.Task[object] | None" = None
    aborted: bool = False
    used: Usage = field(default_factory=Usage)

    def was_taken_back(self) -> bool:
        """Whether this task was cancelled because its place was taken back, and goes on all the same."""
        if not self.aborted:
            return False
        self.aborted = False
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return True


class Pool:
    """Use it as an async context manager: it opens connections, and drains on leaving.

    With a `recording` it goes on where that ends (`site` must begin where the recording does); else what providers have counted so far
    is not known.
    """

    def __init__(
        self, site: Site, keys: Keys, *, keeper: Keeper | None = None, clock: Callable[[], int] | None = None,
        recording: Recording | None = None,
    ) -> None:  # fmt: skip
        self.site, self._keys, self._keeper = site, keys, keeper or NoKeeper()
        self.upstream = Upstream(site.config.attempts)
        self.bundle = site.bundle
        self._bundles = 0
        self.driver = Driver(
            site.state(), clock or WallClock.now(), self._carry_out, self._keeper.keep, start_us=site.start_us,
            user_policy=site.user_policy,
        )  # fmt: skip
        self._going: dict[int, _Going] = {}
        self._numbers = [0] * len(site.layout.tenant_names)
        self._is_known = recording is not None
        if recording is not None:
            self._numbers = resume(self.driver, recording)
            self.bundle, self._bundles = recording.bundle, recording.changes
        self._timer: asyncio.TimerHandle | None = None
        self._armed_us = 0
        self._idle = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._is_settling = False
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self.draining = False

    async def __aenter__(self) -> "Pool":
        await self.upstream.open()
        if not self._is_known:
            self.doubt()
        self._arm()
        # What is there by now stays there: to look at it again and again would be a sixth of all work.
        gc.freeze()
        return self

    def doubt(self) -> None:
        """What providers have counted so far is not known."""
        self.driver.tell(UNKNOWN)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.drain(0.0)

    async def drain(self, at_most_s: float) -> None:
        """Take no more calls, let those under way end for so long, then close."""
        self.draining = True
        if self._going and at_most_s > 0:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), at_most_s)
        if self._timer is not None:
            self._timer.cancel()
        self.driver.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), max(at_most_s, _LAST_WRITE_S))
        self._keeper.close()
        await self.upstream.close()

    @property
    def is_blocked(self) -> bool:
        """Nothing can be kept now, as with the disk full: answers wait."""
        return self._keeper.error is not None

    @property
    def under_way(self) -> int:
        """Calls that have come and not ended."""
        return len(self._going)

    def change(self, bundle: PolicyBundle) -> None:
        """Put another bundle in force, at once and without losing a request. Raises SchemaError for one that does not fit."""
        before, site = self.bundle, self.site
        # A policy of one's own needs its file, and a start.
        if bundle.own_policies() != before.own_policies():
            raise SchemaError(f"policies of one's own: {bundle.own_policies()} in place of {before.own_policies()}; start the gateway anew")

        def build(gateway: Bytes) -> tuple[Bytes, Plugged]:
            return changed_state(gateway, site.layout, before, bundle, dict(site.plugged)), site.user_policy

        # Built twice: once to see that it can be, before anything is on record.
        build(self.driver.gateway)
        self._bundles += 1
        self._keeper.changed(self._bundles, bundle)
        self.driver.change(self._bundles, build)
        self.bundle = bundle
        self._arm()

    async def call(self, call: Call, tenant: int, headers: Mapping[str, str], wishes: Wishes) -> Answer:
        """Serve one call of a tenant. `headers` are the client's, with names in lower case."""
        wanted = self.site.model_row(call.model)
        if wanted is None:
            return _error(call, 404, "model_not_found", f"model {call.model!r} is not one of {', '.join(self.site.model_rows)}", 0)
        driver, number = self.driver, self._numbers[tenant]
        self._numbers[tenant] = number + 1
        ticket = Ticket(driver.next_request)
        going = _Going(call, headers, ticket, wishes.complexity_pm)
        self._going[ticket.request] = going
        now_us = max(driver.now_us, self._now_us())
        self.tell(
            ARRIVAL, tenant, number, wanted, 0, wishes.complexity_pm, wishes.input_tokens, 0, call.most_output_tokens,
            now_us + wishes.deadline_us, wishes.budget_nano_usd,
        )  # fmt: skip
        ticket.slot, keep = driver.slot, False
        try:
            answer = await self._serve(going)
            keep = not isinstance(answer.body, bytes)
            return answer
        except asyncio.CancelledError:
            self._gone(going)
            raise
        except Exception:  # noqa: BLE001  (ours to mend; but the gateway must not think it is under way for ever)
            _LOG.exception("request %d failed", ticket.request)
            self._gone(going)
            return _error(call, 500, "internal_error", "the gateway failed; it is on its log", 0)
        finally:
            if not keep:
                self._leave(going)

    async def _serve(self, going: _Going) -> Answer:
        """Turn by turn, until there is an answer."""
        last: Answer | None = None
        while True:
            turn = await going.ticket.turn()
            if isinstance(turn, Refused):
                await self._settled()
                if turn.reason == CALLER_FAULT and last is not None:
                    return last
                told = told_of(turn, self.site.limit_names, self.driver.now_us)
                return _error(going.call, told.status, told.code, told.message, told.retry_after_s)
            try:
                answer = await self._attempt(going, turn)
            except asyncio.CancelledError:
                # Whoever took the place back has told the gateway; its answer is the next turn.
                if not going.was_taken_back():
                    raise
                continue
            if answer.status < 400:
                return answer
            last = answer

    async def _attempt(self, going: _Going, sent: Sent) -> Answer:
        """One attempt. An answer of 400 and above has been told to the gateway, which says what is next."""
        target = self.site.targets[sent.deployment]
        going.task, going.used = asyncio.current_task(), Usage()
        try:
            model = self.site.layout.models[target.model].name
            passing = Passing(going.call, target, model, going.ticket.request, self.driver.now_us // 1_000_000)
        except UntranslatableError as error:
            self._refuse(going, sent, Refusal(kind=CALLER), 0)
            return _error(going.call, 400, "untranslatable", str(error), 0)
        key = self._keys.key_of(target.account, sent.key)
        out = outgoing(passing.there, passing.dialect, target.model_name, key, target.site.base_url, going.headers)
        try:
            return await self._exchange(going, sent, passing, out)
        except Failure as failure:
            self._refuse(going, sent, Refusal(kind=failure.kind), 0)
            return _error(going.call, 502, "provider_failed", str(failure), 0)

    async def _exchange(self, going: _Going, sent: Sent, passing: Passing, out: Outgoing) -> Answer:
        """What the provider answers. Raises Failure."""
        began_us = self.driver.now_us
        exchange = await self.upstream.send("POST", out.url, out.headers, out.body)
        head = exchange.head
        self._see(going, self.site.targets[sent.deployment], head.headers)
        if head.status >= 400:
            return await self._refused(going, sent, exchange, passing)
        if going.call.stream:
            return await self._begin_stream(going, sent, exchange, passing, began_us)
        used, body = passing.whole(await exchange.read())
        if used is None:
            raise Failure(FAILED, "the answer is not what the protocol says")
        self._served(going, sent, used, head.status, -1)
        await self._settled()
        return Answer(status=head.status, headers=self._headers_back(going, sent, head.headers), body=body)

    async def _begin_stream(self, going: _Going, sent: Sent, exchange: Exchange, passing: Passing, began_us: int) -> Answer:
        """The first bytes decide: up to them another attempt may be made, after them not."""
        chunks, first = exchange.chunks(), b""
        async for chunk in chunks:
            first = passing.feed(chunk)
            if first:
                break
        first_us = self._now_us() - began_us
        body = self._stream(going, sent, exchange, passing, first, chunks, first_us)

        def drop() -> None:
            exchange.close()
            self._abandon(going, passing.reader)
            self._leave(going)

        headers = self._headers_back(going, sent, exchange.head.headers)
        return Answer(status=exchange.head.status, headers=headers, body=Body(body, drop))

    async def _stream(
        self, going: _Going, sent: Sent, exchange: Exchange, passing: Passing, first: bytes, chunks: AsyncIterator[bytes], first_us: int
    ) -> AsyncGenerator[bytes]:
        """Pass a stream on. However it ends, the gateway hears of it once."""
        reader, ended = passing.reader, False
        try:
            going.task = asyncio.current_task()
            if first:
                yield first
            async for chunk in chunks:
                going.task = asyncio.current_task()
                if passed := passing.feed(chunk):
                    yield passed
            used = self._used(going, reader)
            rest, ended = passing.rest(used), True
            if reader.finished and not passing.failed:
                self._served(going, sent, used, exchange.head.status, first_us)
            else:
                said = classify_event(passing.dialect, reader.error, self._now_us()) if reader.failed else Refusal(kind=FAILED)
                self._break(going, sent, reader, said)
            await self._settled()
            if rest and reader.finished:
                yield rest
            if not reader.finished:
                yield error_event(going.call.dialect, "stream_broken", "the provider ended the stream too soon")
        except Failure as failure:
            ended = True
            self._break(going, sent, reader, Refusal(kind=failure.kind))
            await self._settled()
            yield error_event(going.call.dialect, "stream_broken", str(failure))
        except asyncio.CancelledError:
            if not going.was_taken_back():
                raise
            ended = True
            yield error_event(going.call.dialect, "preempted", _ABORTED)
        finally:
            exchange.close()
            if not ended:
                self._abandon(going, reader)
            self._leave(going)

    def _abandon(self, going: _Going, reader: StreamReader) -> None:
        """Nobody reads a stream any more."""
        going.used = self._used(going, reader)
        self._gone(going)

    def _used(self, going: _Going, reader: StreamReader) -> Usage:
        """What a stream says that it used, or an estimate."""
        if (said := reader.usage) is not None:
            return said
        request = self.driver.state.requests[going.ticket.slot]
        return Usage(input_tokens=int(request["input_tokens"]), output_tokens=reader.estimated_output_tokens)

    def _served(self, going: _Going, sent: Sent, used: Usage, status: int, first_us: int) -> None:
        self._note(going, sent, "served", status, first_us, used)
        self.tell(SERVED, sent.slot, going.ticket.request, used.input_tokens, used.cached_tokens, used.output_tokens, going.complexity_pm)

    def _break(self, going: _Going, sent: Sent, reader: StreamReader, said: Refusal) -> None:
        """A stream broke, as the provider said or did: for the client there is no other attempt."""
        used = self._used(going, reader)
        request = going.ticket.request
        self._note(going, sent, REFUSAL_NAMES[said.kind], 200, -1, used)
        limit = self._limit_of(sent, said)
        self.tell(
            REFUSAL, sent.slot, request, said.kind, limit, said.retry_after_us, used.input_tokens, used.cached_tokens, used.output_tokens
        )
        self.tell(GONE, sent.slot, request, 0, 0, 0, CLIENT_GONE)

    async def _refused(self, going: _Going, sent: Sent, exchange: Exchange, passing: Passing) -> Answer:
        body, head = await exchange.read_some(), exchange.head
        refusal = classify(passing.dialect, head.status, head.headers, body, self._now_us())
        self._refuse(going, sent, refusal, head.status)
        if refusal.kind != CALLER:
            return _error(going.call, head.status, "provider_refused", "the provider refused", 0)
        told = passing.error(head.status, body)
        return Answer(status=head.status, headers=self._headers_back(going, sent, head.headers), body=told)

    def _refuse(self, going: _Going, sent: Sent, refusal: Refusal, status: int) -> None:
        self._note(going, sent, REFUSAL_NAMES[refusal.kind], status, -1, Usage())
        self.tell(REFUSAL, sent.slot, going.ticket.request, refusal.kind, self._limit_of(sent, refusal), refusal.retry_after_us)

    def _limit_of(self, sent: Sent, refusal: Refusal) -> int:
        """The row of the limit that a refusal names, or -1."""
        return self.site.targets[sent.deployment].limits.get(refusal.dimension, -1)

    def _note(self, going: _Going, sent: Sent, outcome: str, status: int, first_us: int, used: Usage) -> None:
        """Count an attempt that has ended, and keep what the wire saw of it."""
        self.outcomes[self.site.targets[sent.deployment].account, outcome] += 1
        seen = (status, first_us, used.cache_write_tokens, used.reasoning_tokens)
        self._keeper.fact(Fact(self.driver.now_us, going.ticket.request, sent.attempt, *seen))

    def _see(self, going: _Going, target: Target, headers: Mapping[str, str]) -> None:
        """Tell what headers show of limits."""
        for seen in limits_seen(target.site.protocol, headers, self._now_us()):
            row = target.limits.get(seen.dimension)
            if row is not None:
                self.tell(
                    SEEN, going.ticket.slot, going.ticket.request, row, seen.limit, seen.remaining, seen.resets_us, seen.rounded_to
                )

    def _gone(self, going: _Going) -> None:
        """The client is gone: its place is free, and what was used is billed."""
        used = going.used
        self.tell(
            GONE, going.ticket.slot, going.ticket.request, used.input_tokens, used.cached_tokens, used.output_tokens, CLIENT_GONE
        )

    def _leave(self, going: _Going) -> None:
        self._going.pop(going.ticket.request, None)
        if not self._going:
            self._idle.set()

    def _headers_back(self, going: _Going, sent: Sent, headers: Mapping[str, str]) -> dict[str, str]:
        found = {name: headers[name] for name in _PASSED_BACK if name in headers}
        model = self.site.layout.models[self.site.targets[sent.deployment].model].name
        return found | {"x-forge1-model": model, "x-forge1-attempts": str(sent.attempt), "x-forge1-request": str(going.ticket.request)}

    async def _settled(self) -> None:
        """Wait until all that has happened is safe. Whoever asks in one turn of the loop waits for one write."""
        if isinstance(self._keeper, NoKeeper):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._begin_settling()
        await waiter

    def _begin_settling(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.driver.flush()
        pending = self._keeper.settle()
        if pending is None:
            self._safe(waiting)
        else:
            pending.add_done_callback(lambda _: self._safe(waiting))

    def _safe(self, waiting: "list[asyncio.Future[None]]") -> None:
        """What these wait for is safe. Who came meanwhile is next: what they tell of is not in this write."""
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._is_settling = False
        if self._waiting:
            self._begin_settling()

    def _now_us(self) -> int:
        return self.driver.clock()

    def tell(self, kind: int, row: int, request: int, *values: int) -> None:
        """Tell the gateway what happened (`policies.inputs`)."""
        self.driver.tell(kind, row, request, *values)
        if self.driver.next_us < self._armed_us:
            self._arm()

    def _carry_out(self, order: Order) -> None:
        kind, _, request, *_ = order
        if kind == SET_ACCOUNT:
            return
        going = self._going.get(request)
        if going is None:
            return
        if kind in (SEND, ENDED):
            going.ticket.take(order)
        elif kind == ABORT:
            used = going.used
            self.driver.tell(
                GONE, going.ticket.slot, request, used.input_tokens, used.cached_tokens, used.output_tokens, PREEMPTED
            )
            going.aborted = True
            if going.task is not None:
                going.task.cancel(_ABORTED)

    def _arm(self) -> None:
        """Have the gateway's next timer ring in time."""
        if self._timer is not None:
            self._timer.cancel()
        self._armed_us = self.driver.next_us
        wait_s = max(_SOONEST_S, (self._armed_us - self._now_us()) / 1e6)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self.driver.ring()
        self._arm()
        if self._going and not isinstance(self._keeper, NoKeeper):
            # What is under way is on record, too, however long it takes.
            self._begin_settling()


def _error(call: Call, status: int, code: str, message: str, retry_after_s: int) -> Answer:
    headers = {"content-type": "application/json"}
    if retry_after_s > 0:
        headers["retry-after"] = str(retry_after_s)
    return Answer(status=status, headers=headers, body=error_body(call.dialect, status, code, message))
