"""Tickets: what a call that waits for the gateway is told, and when."""

import asyncio
from dataclasses import dataclass

from live_adapter.driver import Order
from policies.feed import ENDED, SEND


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway has found a place: send attempt number `attempt` there, by the account's key of this number."""

    slot: int
    deployment: int
    key: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The request has ended without an answer: kind and reason as in `policies.log`; the limit to blame, and when it clears."""

    kind: int
    reason: int
    limit: int
    clears_us: int


class Ticket:
    """One request that the gateway knows by this number."""

    __slots__ = ("_turn", "_waiter", "request", "slot")

    def __init__(self, request: int) -> None:
        self.request, self.slot = request, -1
        self._turn: Sent | Refused | None = None
        self._waiter: asyncio.Future[None] | None = None

    def take(self, order: Order) -> None:
        """An order about this request."""
        kind, slot, _, *words = order
        if kind == SEND:
            self.slot = slot
            self._turn = Sent(slot, *words[:3])
        elif kind == ENDED:
            self._turn = Refused(*words)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def turn(self) -> Sent | Refused:
        """What comes next. Does not wait where it is known already."""
        while self._turn is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        turn, self._turn = self._turn, None
        return turn
