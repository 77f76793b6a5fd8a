"""The emulator's HTTP: one base path for each provider, `/{provider}/...`, and one for tests, `/_emulator/...`."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from provider_emulator import shapes
from provider_emulator.accounts import Account, Answer
from provider_emulator.calls import BadCallError, Incoming, key_of, read_call
from provider_emulator.config import EmulatorConfig, FaultKind, FaultSpec, ModelSpec

_LONGEST_HANG_S = 3600.0
_DRIP_S = 0.5
_WRITE_S = 0.02
_STATUS_FAULTS: dict[FaultKind, dict[str, tuple[int, str]]] = {
    "error": {"openai": (500, "server_error"), "anthropic": (500, "api_error"), "gemini": (500, "INTERNAL")},
    "unavailable": {"openai": (503, "server_error"), "anthropic": (503, "api_error"), "gemini": (503, "UNAVAILABLE")},
    "overloaded": {"openai": (503, "server_error"), "anthropic": (529, "overloaded_error"), "gemini": (503, "UNAVAILABLE")},
    "unauthorized": {"openai": (401, "invalid_request_error"), "anthropic": (401, "authentication_error"),
                     "gemini": (401, "UNAUTHENTICATED")},
    "throttle": {"openai": (429, "requests"), "anthropic": (429, "rate_limit_error"), "gemini": (429, "RESOURCE_EXHAUSTED")},
}  # fmt: skip
_MIDWAY: frozenset[FaultKind] = frozenset(("reset_midway", "half_body", "wrong_length", "stall", "slow_loris"))


@dataclass(slots=True)
class _Produced:
    """Output tokens so far."""

    tokens: int = 0


class Emulator:
    """All accounts of a configuration, behind HTTP."""

    def __init__(self, config: EmulatorConfig) -> None:
        self.config = config
        self._began_s = time.monotonic()
        self.accounts = [Account(spec, self._began_s, config.seed) for spec in config.accounts]
        self._by_key = {key: account for account in self.accounts for key in account.spec.keys}
        self._protocols = {account.spec.provider: account.spec.protocol for account in self.accounts}
        self.faults: list[tuple[FaultSpec, float]] = [(fault, self._began_s) for fault in config.faults]
        self.scales: dict[str, float] = {}
        self._number = 0

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/_emulator/stats", self._stats)
        app.router.add_post("/_emulator/{what}", self._administer)
        app.router.add_get("/{provider}/v1/models", self._models)
        app.router.add_post("/{provider}/{version}/models/{call}", self._gemini)
        app.router.add_post("/{provider}/v1/{path:(chat/completions|responses|embeddings|messages)}", self._call)
        return app

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        model, _, path = request.match_info["call"].rpartition(":")
        return await self._serve(request, path, model)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, request.match_info["path"], "")

    async def _models(self, request: web.Request) -> web.Response:
        provider = request.match_info["provider"]
        names = sorted({name for account in self.accounts if account.spec.provider == provider for name in account.models})
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model", "owned_by": "emulator"} for name in names]})

    async def _serve(self, request: web.Request, path: str, model_name: str) -> web.StreamResponse:
        provider = request.match_info["provider"]
        protocol = self._protocols.get(provider)
        if protocol is None:
            return web.json_response({"error": f"no provider {provider!r} is emulated"}, status=404)
        self._number += 1
        raw = await request.read()
        key = key_of(request.headers, request.query)
        account = self._by_key.get(key)
        if account is None or account.spec.provider != provider or key in account.revoked:
            if account is not None:
                account.counts["unauthorized"] += 1
            return self._say(protocol, _unauthorized(protocol))
        account.counts["attempts"] += 1
        try:
            call = read_call(protocol, path, request.headers, raw, model_name)
        except BadCallError as error:
            account.counts["bad"] += 1
            return self._say(protocol, shapes.error(protocol, 400, _bad(protocol), str(error)))
        model = account.models.get(call.asked.model)
        if model is None:
            account.counts["bad"] += 1
            kind = {"anthropic": "not_found_error", "gemini": "NOT_FOUND"}.get(protocol, "invalid_request_error")
            told = shapes.error(protocol, 404, kind, f"model {call.asked.model} does not exist", "model_not_found")
            return self._say(protocol, told)
        if call.asked.input_tokens > model.context_tokens:
            account.counts["bad"] += 1
            message = "This model's maximum context length is exceeded."
            return self._say(protocol, shapes.error(protocol, 400, _bad(protocol), message, "context_length_exceeded"))
        return await self._attempt(request, account, model, call)

    async def _attempt(self, request: web.Request, account: Account, model: ModelSpec, call: Incoming) -> web.StreamResponse:
        protocol, now_s = account.spec.protocol, time.monotonic()
        answer = account.answer_to(call.asked, model, self.config.speed_up)
        fault = self._fault_of(account, now_s)
        if fault is not None and fault.kind not in _MIDWAY:
            return await self._fail(request, account, model, fault)
        scale = self.scales.get(account.spec.name, 1.0)
        turned = account.begin(model, answer, call.asked.most_output_tokens, now_s, scale)
        if turned is not None:
            account.counts["throttled"] += 1
            retry_after = fault.retry_after if fault else None
            said = shapes.throttled(protocol, model.name, turned.held, turned.wait_s, retry_after)
            return self._say(protocol, said, self._limit_headers(account, model))
        produced = _Produced()
        try:
            answering = self._stream if call.stream else self._whole
            response = await answering(request, account, model, call, answer, fault, produced)
            account.counts["ok" if fault is None else fault.kind] += 1
        except (ConnectionResetError, asyncio.CancelledError):
            account.counts["client_gone"] += 1
            raise
        finally:
            account.end(model, answer, produced.tokens, time.monotonic())
            account.counts["output_tokens"] += produced.tokens
            account.counts["input_tokens"] += answer.input_tokens
        return response

    async def _whole(
        self, request: web.Request, account: Account, model: ModelSpec, call: Incoming, answer: Answer, fault: FaultSpec | None,
        produced: "_Produced",
    ) -> web.StreamResponse:  # fmt: skip
        headers = self._limit_headers(account, model)
        if answer.total_s > 0:
            await asyncio.sleep(answer.total_s)
        produced.tokens = answer.output_tokens
        body = json.dumps(shapes.whole(account.spec.protocol, call.path, answer, str(self._number)), separators=(",", ":")).encode()
        if fault is None:
            return web.Response(body=body, content_type="application/json", headers=headers)
        return await _broken(request, body, headers, fault.kind, "application/json")

    async def _stream(
        self, request: web.Request, account: Account, model: ModelSpec, call: Incoming, answer: Answer, fault: FaultSpec | None,
        produced: "_Produced",
    ) -> web.StreamResponse:  # fmt: skip
        """Chunk by chunk, at the pace of the model."""
        headers = self._limit_headers(account, model)
        first, middle, last = shapes.pieces(account.spec.protocol, call.path, answer, str(self._number), usage=call.usage)
        if fault is not None:
            produced.tokens = answer.output_tokens // 2
            return await _broken(request, b"".join((*first, *middle, *last)), headers, fault.kind, "text/event-stream")
        response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream", "cache-control": "no-cache"})
        if answer.first_s > 0:
            await asyncio.sleep(answer.first_s)
        await response.prepare(request)
        began_s, sent, words = time.monotonic(), 0, answer.output_tokens - answer.reasoning_tokens
        await response.write(b"".join(first))
        left_s = answer.total_s - answer.first_s
        # A few chunks a write: timers of a millisecond each would be all that a core does.
        while sent < words:
            due = words if left_s <= 0 else min(words, int(words * (time.monotonic() - began_s) / left_s) + 1)
            await response.write(b"".join(chunk for chunk, _ in zip(middle, range(due - sent), strict=False)))
            sent = produced.tokens = due
            if sent < words:
                await asyncio.sleep(min(_WRITE_S, left_s / words))
        produced.tokens = answer.output_tokens
        await response.write(b"".join(last))
        await response.write_eof()
        return response

    def _limit_headers(self, account: Account, model: ModelSpec) -> dict[str, str]:
        protocol, now_s = account.spec.protocol, time.monotonic()
        wall_s = time.time() + self.config.clock_skew_s
        scale = self.scales.get(account.spec.name, 1.0)
        told = shapes.limit_headers(protocol, account, model, now_s, wall_s, scale)
        return {**told, **shapes.id_headers(protocol, str(self._number), wall_s)}

    def _say(self, protocol: str, said: shapes.Said, headers: dict[str, str] | None = None) -> web.Response:
        ids = shapes.id_headers(protocol, str(self._number), time.time() + self.config.clock_skew_s)
        return web.json_response(said.body, status=said.status, headers={**ids, **(headers or {}), **said.headers})

    def _fault_of(self, account: Account, now_s: float) -> FaultSpec | None:
        for number, (fault, since_s) in enumerate(self.faults):
            begins_s = since_s + fault.start_s
            ends_s = begins_s + fault.duration_s if fault.duration_s is not None else float("inf")
            concerned = fault.account in (None, account.spec.name) and begins_s <= now_s < ends_s
            if concerned and account.chance(f"fault{number}") < fault.share:
                return fault
        return None

    async def _fail(self, request: web.Request, account: Account, model: ModelSpec, fault: FaultSpec) -> web.StreamResponse:
        account.counts[fault.kind] += 1
        protocol = account.spec.protocol
        if fault.kind == "hang":
            await asyncio.sleep(_LONGEST_HANG_S)
        if fault.kind in ("reset", "hang"):
            _cut(request)
            return web.Response(status=500)
        status, kind = _STATUS_FAULTS[fault.kind][protocol]
        said = shapes.error(protocol, status, kind, f"Emulated: {fault.kind}.", "rate_limit_exceeded" if status == 429 else None)
        headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
        return self._say(protocol, said, {**self._limit_headers(account, model), **headers})

    async def _stats(self, request: web.Request) -> web.Response:
        if not self._may(request):
            return web.json_response({"error": "wrong token"}, status=403)
        now_s = time.monotonic()
        return web.json_response({
            account.spec.name: {
                "counts": dict(account.counts),
                "limits": {
                    held.name: {
                        "used": held.used, "refused": held.refused, "in_flight": held.in_flight,
                        "allowed": held.limiter.allowed(now_s) if held.limiter is not None else None,
                    }
                    for held in account.limits
                },
            }
            for account in self.accounts
        })  # fmt: skip

    async def _administer(self, request: web.Request) -> web.Response:
        """`faults` (a fault; `clear: true` first forgets the others), `revoke` (a key), `scale` (account, share of its limits)."""
        if not self._may(request):
            return web.json_response({"error": "wrong token"}, status=403)
        body, what = await request.json(), request.match_info["what"]
        if what == "faults":
            if body.pop("clear", False):
                self.faults = []
            if body:
                try:
                    self.faults.append((FaultSpec.model_validate(body), time.monotonic()))
                except ValidationError as error:
                    return web.json_response({"error": str(error)}, status=400)
        elif what == "revoke" and (account := self._by_key.get(body.get("key", ""))):
            account.revoked.add(body["key"])
        elif what == "scale" and body.get("account") in [account.spec.name for account in self.accounts]:
            self.scales[body["account"]] = float(body["share"])
        else:
            return web.json_response({"error": f"{what}: unknown, or names what is not there"}, status=400)
        return web.json_response({})

    def _may(self, request: web.Request) -> bool:
        return self.config.admin_token is None or request.headers.get("x-emulator-token") == self.config.admin_token


def _bad(protocol: str) -> str:
    return "INVALID_ARGUMENT" if protocol == "gemini" else "invalid_request_error"


def _unauthorized(protocol: str) -> shapes.Said:
    if protocol == "gemini":
        return shapes.error(protocol, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
                            details=[{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}])  # fmt: skip
    if protocol == "anthropic":
        return shapes.error(protocol, 401, "authentication_error", "invalid x-api-key")
    return shapes.error(protocol, 401, "invalid_request_error", "Incorrect API key provided.", "invalid_api_key")


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _broken(request: web.Request, body: bytes, headers: dict[str, str], kind: FaultKind, content_type: str) -> web.StreamResponse:
    """Half of an answer, and what then goes wrong."""
    response = web.StreamResponse(headers={**headers, "content-type": content_type})
    if kind == "wrong_length":
        response.content_length = len(body) + 100
    elif kind != "half_body":
        response.content_length = len(body)
    await response.prepare(request)
    if kind == "slow_loris":
        for place in range(len(body)):
            await response.write(body[place : place + 1])
            await asyncio.sleep(_DRIP_S)
        return response
    await response.write(body if kind == "wrong_length" else body[: len(body) // 2])
    if kind == "stall":
        await asyncio.sleep(_LONGEST_HANG_S)
    if kind == "half_body":
        await response.write_eof()
    else:
        _cut(request)
    return response


@asynccontextmanager
async def serve(config: EmulatorConfig, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[str, Emulator]]:
    """Run an emulator; gives its base address and itself. Port 0 takes a free one."""
    emulator = Emulator(config)
    runner = web.AppRunner(emulator.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        address: Any = runner.addresses[0]
        yield f"http://{address[0]}:{address[1]}", emulator
    finally:
        await runner.cleanup()
