"""A replica among others: it renews its lease, and tells its gateway which shares of the accounts' limits are its own."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

from live_adapter.pool import Pool
from live_adapter.replicas.store import LeaseStore
from policies.inputs import SHARE
from policies.leases import MINUTE_US, SETTLED_US, WHOLE_PM, alone_share, demand_of, lags, least_since

_LOG = logging.getLogger(__name__)
LEASED, LAST_LEASE, ALONE = "leased", "last_lease", "alone"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """At most so many replicas share the accounts; a lease is renewed every `period_s` and lasts `ttl_s`."""

    replicas: int
    period_s: float = 0.25
    ttl_s: float = 3.0


class Replica:
    """Keeps the lease of one pool. Use it as an async context manager, inside the pool's."""

    def __init__(self, pool: Pool, store: LeaseStore, terms: Terms) -> None:
        self._pool, self._store, self._terms = pool, store, terms
        accounts = len(pool.site.layout.accounts)
        self.shares_pm = [0] * accounts
        self.state = ALONE
        self._leased_pm = [WHOLE_PM] * accounts
        self._demand: list[int] = []
        self._held: list[list[tuple[int, int]]] = [[] for _ in range(accounts)]
        self._ends_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Replica":
        # What other replicas have used meanwhile is not in this one's books.
        self._pool.doubt()
        await self._begin()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._store.leave(), self._terms.ttl_s)
        await self._store.close()

    async def _begin(self) -> None:
        """Have about a part of every account before the first call comes: the others give up theirs when they renew.

        A window's share that began small would stay so until the window ends.
        """
        until_s = time.monotonic() + 2 * self._terms.ttl_s
        while time.monotonic() < until_s:
            try:
                self.shares_pm = await self._told()
            except (OSError, TimeoutError) as error:
                self._go_on_without(error)
                return
            if 2 * min(self.shares_pm) >= WHOLE_PM // self._terms.replicas:
                break
            await asyncio.sleep(self._terms.period_s)
        self._is_now(LEASED, "leased")
        self._use(self.shares_pm)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._terms.period_s)
            await self._renew()

    async def _renew(self) -> None:
        try:
            told = await self._told()
        except (OSError, TimeoutError) as error:
            self._go_on_without(error)
            return
        self._is_now(LEASED, "the lease is renewed again")
        self._use(told)

    async def _told(self) -> list[int]:
        """The shares from now on. Raises OSError or TimeoutError."""
        began_s = time.monotonic()
        self._demand = demand_of(self._pool.driver.state, self._demand)
        told = await asyncio.wait_for(self._store.renew(self.shares_pm, self._demand), self._terms.ttl_s)
        # It runs out where it is kept no later than here.
        self._ends_s = began_s + self._terms.ttl_s
        self._leased_pm = told
        return told

    def _go_on_without(self, error: Exception) -> None:
        if time.monotonic() < self._ends_s:
            self._is_now(LAST_LEASE, f"no new lease ({error}); the last one goes on until it runs out")
            self._use(self.shares_pm)
            return
        self._is_now(ALONE, f"no lease ({error}); at most an even part of each account is used")
        self._use([alone_share(share, self._terms.replicas) for share in self._leased_pm])

    def _is_now(self, state: str, told: str) -> None:
        if state != self.state:
            _LOG.log(logging.INFO if state == LEASED else logging.WARNING, "replica: %s", told)
        self.state = state

    def _use(self, shares_pm: list[int]) -> None:
        """Tell the gateway of shares that are others than before, or that windows are to follow."""
        driver, even_pm = self._pool.driver, WHOLE_PM // self._terms.replicas
        now_us = driver.clock()
        for account, share_pm in enumerate(shares_pm):
            held = self._held[account]
            is_new = not held or held[-1][1] != share_pm
            if is_new:
                held.append((now_us, share_pm))
            if is_new or lags(driver.state, account, share_pm):
                settled = least_since(held, now_us, SETTLED_US, even_pm)
                minute = least_since(held, now_us, MINUTE_US, even_pm)
                self._pool.tell(SHARE, account, -1, share_pm, min(share_pm, settled), now_us - SETTLED_US, min(share_pm, minute), even_pm)
            _forget(held, now_us - MINUTE_US)
        self.shares_pm = shares_pm


def _forget(held: list[tuple[int, int]], before_us: int) -> None:
    """Drop what is older, but for the last of it, which was in force up to then."""
    while len(held) > 1 and held[1][0] <= before_us:
        del held[0]
