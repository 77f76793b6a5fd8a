"""What a test or a demonstration changes at run time and asks afterwards: `/_emulator/...`, with a token of its own.

`POST faults` (one fault), `DELETE faults` (all of them), `POST keys/revoke` (`{"key": ...}`), `GET stats`.
"""

import hmac
import math
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import ValidationError

from provider_emulator.accounts import Account, Held
from provider_emulator.config import FaultSpec, told

if TYPE_CHECKING:
    from provider_emulator.server import Emulator

_MOST_FAULTS = 1000
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_admin(app: web.Application, emulator: "Emulator") -> None:
    """Add the paths."""
    admin = Admin(emulator)
    app.router.add_get("/_emulator/stats", admin.guarded(admin.stats))
    app.router.add_post("/_emulator/faults", admin.guarded(admin.add_fault))
    app.router.add_delete("/_emulator/faults", admin.guarded(admin.clear_faults))
    app.router.add_post("/_emulator/keys/revoke", admin.guarded(admin.revoke))


class Admin:
    """Handlers of these paths for one emulator."""

    def __init__(self, emulator: "Emulator") -> None:
        self._emulator = emulator

    def guarded(self, handler: _Handler) -> _Handler:
        """The handler, for those alone who have the token; without one, for this machine alone."""
        token = self._emulator.config.admin_token

        async def handle(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-emulator-token", "")
            may = _is_local(request) if token is None else hmac.compare_digest(given.encode(errors="replace"), token.encode())
            return await handler(request) if may else _wrong("x-emulator-token: missing or wrong", 403)

        return handle

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Per account: counts, counts per model, limits, all since the start. Concurrency and acceleration have no `allowed`."""
        now_s = self._emulator.clock()
        return web.json_response({account.spec.name: _stats_of(account, now_s) for account in self._emulator.accounts})

    async def add_fault(self, request: web.Request) -> web.StreamResponse:
        """From now on, something more goes wrong; its `start_s` counts from now."""
        if len(self._emulator.faults) >= _MOST_FAULTS:
            return _wrong(f"faults: there are {_MOST_FAULTS} already; DELETE them first", 409)
        try:
            fault = FaultSpec.model_validate(await request.json())
        except JSONDecodeError:
            return _wrong("the body is no JSON", 400)
        except ValidationError as error:
            return _wrong(told(error), 400)
        self._emulator.faults.append((fault, self._emulator.clock()))
        return web.json_response({"faults": len(self._emulator.faults)})

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """Nothing goes wrong any more."""
        self._emulator.faults.clear()
        return web.json_response({"faults": 0})

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """A key is not known any more."""
        try:
            body = await request.json()
        except JSONDecodeError:
            return _wrong("the body is no JSON", 400)
        key = body.get("key") if isinstance(body, dict) else None
        account = self._emulator.by_key.get(key) if isinstance(key, str) else None
        if account is None or key is None:
            return _wrong("key: not one of the configuration", 400)
        account.revoked.add(key)
        return web.json_response({"account": account.spec.name, "revoked": len(account.revoked)})


def _stats_of(account: Account, now_s: float) -> dict[str, Any]:
    return {
        "counts": dict(account.counts), "models": {name: dict(counts) for name, counts in account.model_counts.items()},
        "limits": {held.name: _limit_stats(held, now_s) for held in account.limits},
    }  # fmt: skip


def _limit_stats(held: Held, now_s: float) -> dict[str, Any]:
    allowed = held.limiter.allowed(now_s) if held.limiter is not None else math.inf
    return {
        "used": held.used, "drawn": held.drawn, "refused": held.refused, "in_flight": held.in_flight,
        "allowed": allowed if math.isfinite(allowed) else None,
    }  # fmt: skip


def _is_local(request: web.Request) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _wrong(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)
