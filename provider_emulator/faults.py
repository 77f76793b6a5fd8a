"""What goes wrong now, and how an answer breaks on its way."""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from provider_emulator.accounts import Account
from provider_emulator.config import FaultKind, FaultSpec
from provider_emulator.headers import RetryAfter

MIDWAY: frozenset[FaultKind] = frozenset(("reset_midway", "half_body", "wrong_length", "stall", "slow_loris"))
_PROMISED_MORE = 100


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which one attempt takes place: what breaks it, the share of limits that is there, the clock's error, how waits are told."""

    breaks: FaultSpec | None = None
    scale: float = 1.0
    skew_s: float = 0.0
    retry_after: RetryAfter = "seconds"


def conditions(
    faults: Sequence[tuple[FaultSpec, float]], account: Account, model: str, key: str, now_s: float, skew_s: float
) -> Conditions:
    """Of the faults (each with the time it counts from) that strike this attempt, the first breaks it; those beside it all hold."""
    breaks: FaultSpec | None = None
    scale = 1.0
    form: RetryAfter = "seconds"
    for number, (fault, since_s) in enumerate(faults):
        if not _strikes(fault, since_s, account, model, now_s):
            continue
        if fault.share < 1 and account.chance.uniform(f"fault{number}", key) >= fault.share:
            continue
        match fault.kind:
            case "limit_scale":
                scale *= fault.scale
            case "clock_skew":
                skew_s += fault.skew_s
            case "retry_after_date":
                form = "date"
            case "retry_after_missing":
                form = "missing"
            case _:
                breaks = breaks or fault
    return Conditions(breaks, scale, skew_s, form)


def _strikes(fault: FaultSpec, since_s: float, account: Account, model: str, now_s: float) -> bool:
    if fault.account not in (None, account.spec.name) or fault.model not in (None, model):
        return False
    begins_s = since_s + fault.start_s
    return begins_s <= now_s and (fault.duration_s is None or now_s < begins_s + fault.duration_s)


def cut(request: web.Request) -> None:
    """Reset the connection: what is not sent yet never is."""
    transport = request.transport
    if transport is None:
        return
    under = transport.get_extra_info("socket")
    if under is not None:
        # A linger of 0 s makes the kernel answer with RST, not with an orderly end.
        under.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def send_broken(
    request: web.Request, body: bytes, headers: Mapping[str, str], content_type: str, fault: FaultSpec
) -> web.StreamResponse:  # fmt: skip
    """Send an answer up to where it breaks: half of it, or (`wrong_length`) all of it with more promised."""
    kind = fault.kind
    response = web.StreamResponse(headers={**headers, "content-type": content_type})
    if kind == "wrong_length":
        response.content_length = len(body) + _PROMISED_MORE
    elif kind != "half_body":
        response.content_length = len(body)
    await response.prepare(request)
    if kind == "slow_loris":
        for place in range(len(body)):
            await response.write(body[place : place + 1])
            await asyncio.sleep(fault.pause_s)
        await response.write_eof()
        return response
    await response.write(body if kind == "wrong_length" else body[: len(body) // 2])
    if kind == "half_body":
        await response.write_eof()
        return response
    if kind == "stall":
        await asyncio.sleep(fault.longest_s)
    cut(request)
    return response
