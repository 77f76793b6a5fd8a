"""One attempt from a call to its last byte: limits, latency, the answer whole or word by word, and what was produced if it breaks off."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from provider_emulator import anthropic_bodies, gemini_bodies, openai_bodies, refusals
from provider_emulator.accounts import Account, Answer
from provider_emulator.calls import Incoming
from provider_emulator.config import LONGEST_S, ModelSpec
from provider_emulator.faults import MIDWAY, Conditions, cut, send_broken
from provider_emulator.headers import id_headers, limit_headers
from provider_emulator.streams import Stream, compact

_WRITE_S = 0.02         # a few words a write: timers of a millisecond each would be all that a core does
_AT_ONCE_S = 1e-4       # shorter than a timer is worth
_COUNT_S = 0.5          # how often output that nobody sees yet is counted
_WRITE_WORDS = 1000     # at most at once, so that memory stays small


@dataclass(slots=True)
class Attempt:
    """What is known of one attempt; `clock` gives monotonic seconds, `epoch_s` is the time of day when it is at 0."""

    request: web.Request
    account: Account
    model: ModelSpec
    call: Incoming
    answer: Answer
    under: Conditions
    number: str
    clock: Callable[[], float]
    epoch_s: float
    produced: int = 0

    @property
    def protocol(self) -> str:
        """Whose protocol is spoken."""
        return self.account.spec.protocol

    def wall_s(self, now_s: float) -> float:
        """The time of day by the provider's clock."""
        return self.epoch_s + now_s + self.under.skew_s

    def produce(self, tokens: int) -> None:
        """So much output is there in all."""
        self.account.produce(self.model, tokens - self.produced, self.clock(), self.under.scale)
        self.produced = max(self.produced, tokens)

    def headers(self, now_s: float) -> dict[str, str]:
        """With which every answer to a known key begins."""
        wall_s = self.wall_s(now_s)
        told = limit_headers(self.protocol, self.account, self.model, now_s, wall_s, self.under.scale)
        return id_headers(self.protocol, f"req_{self.number}", wall_s) | told


async def attempt(one: Attempt) -> web.StreamResponse:
    """Serve it. Counts under its outcome exactly once."""
    account, model, fault, now_s = one.account, one.model, one.under.breaks, one.clock()
    if fault is not None and fault.kind not in MIDWAY:
        account.count(fault.kind, model)
        account.failed(model, now_s, one.under.scale)
        return await _fail(one, now_s)
    turned = account.begin(model, one.answer, now_s, one.under.scale)
    if turned is not None:
        account.count("throttled", model)
        said = refusals.throttled(
            one.protocol, model.name, turned, one.under.scale, one.under.retry_after, one.wall_s(now_s), f"req_{one.number}"
        )
        return say(said, one.headers(now_s))
    account.count("input_tokens", model, one.answer.input_tokens)
    outcome: str = "client_gone" if fault is None else fault.kind
    try:
        response = await (_stream(one, now_s) if one.call.stream else _whole(one, now_s))
        outcome = "ok" if fault is None else fault.kind
        return response
    finally:
        account.end(model)
        account.count(outcome, model)


def say(said: refusals.Said, headers: dict[str, str]) -> web.Response:
    """A short answer."""
    return web.Response(
        body=compact(said.body).encode(), status=said.status, headers={"content-type": "application/json", **headers, **said.headers}
    )


async def _fail(one: Attempt, now_s: float) -> web.StreamResponse:
    fault = one.under.breaks
    assert fault is not None
    if fault.kind in ("hang", "reset"):
        if fault.kind == "hang":
            await asyncio.sleep(fault.longest_s)
        cut(one.request)
        return web.Response(status=500)
    headers = one.headers(now_s) | ({"retry-after": fault.retry_after} if fault.retry_after else {})
    return say(refusals.failed(one.protocol, fault.kind, f"req_{one.number}"), headers)


async def _whole(one: Attempt, now_s: float) -> web.StreamResponse:
    headers, answer = one.headers(now_s), one.answer
    if answer.total_s > _AT_ONCE_S:
        await _work(one)
    one.produce(answer.output_tokens)
    body = compact(_body(one, now_s)).encode()
    if one.under.breaks is not None:
        return await send_broken(one.request, body, headers, "application/json", one.under.breaks)
    return web.Response(body=body, headers={"content-type": "application/json", **headers})


async def _work(one: Attempt) -> None:
    """Until a whole answer is ready; its output counts as it comes into being, also if nobody waits for it to the end."""
    answer, loop = one.answer, asyncio.get_running_loop()
    first_s, span_s = loop.time() + answer.first_s, answer.total_s - answer.first_s
    try:
        while (left_s := first_s + span_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, _COUNT_S))
            one.produce(_done(answer, loop.time() - first_s, span_s))
    except asyncio.CancelledError:
        one.produce(_done(answer, loop.time() - first_s, span_s))
        raise


def _done(answer: Answer, since_first_s: float, span_s: float) -> int:
    """Tokens produced so long after the first, if all take `span_s`."""
    if since_first_s < 0:
        return 0
    share = since_first_s / span_s if since_first_s < span_s else 1.0
    return min(answer.output_tokens, int(answer.output_tokens * share) + 1)


async def _stream(one: Attempt, now_s: float) -> web.StreamResponse:
    """Words at the pace of the model. Those of reasoning come first, and are not sent."""
    headers, answer, parts = one.headers(now_s), one.answer, _parts(one, now_s)
    words = answer.output_tokens - answer.reasoning_tokens
    if one.under.breaks is not None:
        one.produce(answer.reasoning_tokens + words // 2)
        body = parts.before + parts.words(0, min(words, _WRITE_WORDS)) + parts.after
        return await send_broken(one.request, body, headers, parts.content_type, one.under.breaks)
    if answer.first_s > 0:
        await asyncio.sleep(answer.first_s)
    response = web.StreamResponse(headers={**headers, "content-type": parts.content_type, "cache-control": "no-cache"})
    # A client that reads no further does not hold it up for ever.
    async with asyncio.timeout(LONGEST_S):
        await response.prepare(one.request)
        await response.write(parts.before)
        await _send_words(one, response, parts, words)
        await response.write(parts.after)
        await response.write_eof()
    return response


async def _send_words(one: Attempt, response: web.StreamResponse, parts: Stream, words: int) -> None:
    answer, loop, sent = one.answer, asyncio.get_running_loop(), 0
    span_s = answer.total_s - answer.first_s
    began_s, pause_s = loop.time(), min(_WRITE_S, span_s / max(1, answer.output_tokens))
    while sent < words or one.produced < answer.output_tokens:
        one.produce(_done(answer, loop.time() - began_s, span_s))
        due = min(one.produced - answer.reasoning_tokens, sent + _WRITE_WORDS)
        if due > sent:
            await response.write(parts.words(sent, due - sent))
            sent = due
        if one.produced < answer.output_tokens:
            await asyncio.sleep(pause_s)


def _body(one: Attempt, now_s: float) -> object:
    if one.protocol == "anthropic":
        return anthropic_bodies.whole(one.answer, one.number)
    if one.protocol == "gemini":
        return gemini_bodies.whole(one.call, one.answer, one.number, one.model.embedding_dimensions)
    return openai_bodies.whole(one.call, one.answer, one.number, int(one.wall_s(now_s)), one.model.embedding_dimensions)


def _parts(one: Attempt, now_s: float) -> Stream:
    if one.protocol == "anthropic":
        return anthropic_bodies.stream(one.answer, one.number)
    if one.protocol == "gemini":
        return gemini_bodies.stream(one.answer, one.number, events=one.request.query.get("alt") == "sse")
    return openai_bodies.stream(one.call, one.answer, one.number, int(one.wall_s(now_s)))
