"""The emulator's HTTP: one base path for each provider, `/{provider}/...`, and one for tests, `/_emulator/...`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from provider_emulator import anthropic_bodies, gemini_bodies, openai_bodies, refusals
from provider_emulator.accounts import Account
from provider_emulator.admin import add_admin
from provider_emulator.answering import Attempt, attempt, say
from provider_emulator.calls import BadCallError, key_of, read_call
from provider_emulator.config import EmulatorConfig, FaultSpec
from provider_emulator.faults import conditions
from provider_emulator.headers import id_headers

_LARGEST_BODY_BYTES = 64 * 1024 * 1024
_READ_S = 60.0          # for a client to send its body
_PATHS = {
    "openai": ("v1/chat/completions", "v1/responses", "v1/embeddings"), "anthropic": ("v1/messages",),
    "gemini": (),
}  # fmt: skip
_GEMINI_CALLS = frozenset(("generateContent", "streamGenerateContent", "embedContent"))
_MODELS = {"openai": openai_bodies.models, "anthropic": anthropic_bodies.models, "gemini": gemini_bodies.models}


class Emulator:
    """All accounts of a configuration, behind HTTP. `clock` gives seconds that never go back, `wall` those since the epoch.

    `faults` may be changed at any time: each with the time of `clock` that its `start_s` counts from.
    """

    def __init__(
        self, config: EmulatorConfig, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:  # fmt: skip
        self.config, self.clock = config, clock
        began_s = clock()
        self._epoch_s = wall() - began_s
        self.accounts = [Account(spec, began_s, config.seed, self._epoch_s) for spec in config.accounts]
        self.by_key = {key: account for account in self.accounts for key in account.spec.keys}
        self.faults: list[tuple[FaultSpec, float]] = [(fault, began_s) for fault in config.faults]
        self._number = 0

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        for provider, protocol in {account.spec.provider: account.spec.protocol for account in self.accounts}.items():
            for path in _PATHS[protocol]:
                app.router.add_post(f"/{provider}/{path}", partial(self._call, provider, protocol, path.removeprefix("v1/")))
            version = "v1beta" if protocol == "gemini" else "v1"
            app.router.add_get(f"/{provider}/{version}/models", partial(self._models, provider, protocol))
            if protocol == "gemini":
                app.router.add_post(f"/{provider}/{version}/models/{{call}}", partial(self._gemini, provider))
            app.router.add_route("*", f"/{provider}/{{path:.*}}", partial(self._no_path, provider, protocol))
        add_admin(app, self)
        return app

    async def _gemini(self, provider: str, request: web.Request) -> web.StreamResponse:
        model, _, path = request.match_info["call"].rpartition(":")
        if path not in _GEMINI_CALLS:
            return await self._no_path(provider, "gemini", request)
        return await self._call(provider, "gemini", path, request, model)

    async def _no_path(self, provider: str, protocol: str, request: web.Request) -> web.StreamResponse:
        number = self._next()
        return self._say(protocol, number, refusals.no_path(protocol, request.path, f"req_{number}"))

    async def _models(self, provider: str, protocol: str, request: web.Request) -> web.StreamResponse:
        number, account = self._next(), self._account_of(request, provider)
        if account is None:
            return self._say(protocol, number, refusals.unauthorized(protocol, f"req_{number}"))
        return self._say(protocol, number, refusals.Said(200, _MODELS[protocol](sorted(account.models))))

    async def _call(
        self, provider: str, protocol: str, path: str, request: web.Request, model_name: str = ""
    ) -> web.StreamResponse:  # fmt: skip
        number = self._next()
        try:
            async with asyncio.timeout(None if request.content.is_eof() else _READ_S):
                raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._say(protocol, number, refusals.too_large(protocol, f"req_{number}"))
        account = self._account_of(request, provider)
        if account is None:
            return self._say(protocol, number, refusals.unauthorized(protocol, f"req_{number}"))
        account.count("attempts", None)
        ready = self._ready(request, account, path, raw, model_name, number)
        if isinstance(ready, refusals.Said):
            account.count("bad", None)
            return self._say(protocol, number, ready)
        account.model_counts[ready.model.name]["attempts"] += 1
        return await attempt(ready)

    def _ready(
        self, request: web.Request, account: Account, path: str, raw: bytes, model_name: str, number: str
    ) -> Attempt | refusals.Said:  # fmt: skip
        """An attempt that may be tried, or why not."""
        protocol, request_id = account.spec.protocol, f"req_{number}"
        try:
            call = read_call(protocol, path, request.headers, raw, model_name)
        except BadCallError as error:
            return refusals.bad_request(protocol, str(error), param=error.field, request_id=request_id)
        asked = call.asked
        model = account.models.get(asked.model)
        if model is None:
            return refusals.no_model(protocol, asked.model, request_id)
        if asked.input_tokens > model.context_tokens:
            return refusals.too_long(protocol, asked.input_tokens, model.context_tokens, request_id)
        if asked.most_output_tokens is not None and asked.most_output_tokens > model.max_output_tokens:
            message = f"max_tokens is too large: {asked.most_output_tokens}. This model supports at most {model.max_output_tokens}."
            return refusals.bad_request(protocol, message[:300], param="max_tokens", request_id=request_id)
        key = account.next_key(asked)
        return Attempt(
            request, account, model, call, account.answer_to(asked, model, key, self.config.speed_up),
            conditions(self.faults, account, model.name, key, self.clock(), self.config.clock_skew_s), number, self.clock, self._epoch_s,
        )  # fmt: skip

    def _account_of(self, request: web.Request, provider: str) -> Account | None:
        key = key_of(request.headers) or request.query.get("key", "")
        account = self.by_key.get(key)
        if account is None or account.spec.provider != provider:
            return None
        if key in account.revoked:
            account.count("unauthorized_key", None)
            return None
        return account

    def _next(self) -> str:
        self._number += 1
        return f"{self._number:08d}"

    def _say(self, protocol: str, number: str, said: refusals.Said) -> web.Response:
        wall_s = self._epoch_s + self.clock() + self.config.clock_skew_s
        return say(said, id_headers(protocol, f"req_{number}", wall_s))


@asynccontextmanager
async def serve(
    config: EmulatorConfig, host: str = "127.0.0.1", port: int = 0, *, clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[tuple[str, Emulator]]:  # fmt: skip
    """Run an emulator; gives its base address and itself. Port 0 takes a free one. Raises OSError where it cannot listen."""
    emulator = Emulator(config, clock, wall)
    runner = web.AppRunner(emulator.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        address: Any = runner.addresses[0]
        at = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"http://{at}:{address[1]}", emulator
    finally:
        await runner.cleanup()
