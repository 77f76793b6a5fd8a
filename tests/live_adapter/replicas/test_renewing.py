"""Replicas over a real Redis: what they hold together, when one is lost, and while Redis is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from live_adapter.metrics import exposed
from live_adapter.replicas.renewing import ALONE, LAST_LEASE, LEASED, Replica, Terms
from live_adapter.replicas.store import RedisLeases
from live_adapter.server import GatewayApp
from tests.live_adapter.platforms import Stage, staged
from tests.live_adapter.replicas.server import Server, redis_server
from tests.live_adapter.test_faults import ask

TERMS = Terms(replicas=2, period_s=0.05, ttl_s=0.6)


@asynccontextmanager
async def replica(url: str, name: str, terms: Terms = TERMS) -> AsyncIterator[tuple[Stage, Replica]]:
    """A pool of its own with a replica."""
    async with staged() as stage:
        store = RedisLeases(url, stage.pool.site.layout, name, terms.ttl_s, timeout_s=0.2)
        async with Replica(stage.pool, store, terms) as one:
            yield stage, one


async def until(told: str, is_so: Callable[[], bool], most_s: float = 5.0) -> None:
    """Wait for a condition, and say what it was about if it does not come."""
    for _ in range(round(most_s / 0.02)):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not come: {told}")


def test_two_replicas_hold_all_and_the_lost_ones_lease_returns(tmp_path: Path) -> None:
    async def run(url: str) -> None:
        async with replica(url, "one") as (_, one):
            assert set(one.shares_pm) == {1000}
            async with replica(url, "two") as (_, two):
                await until("halves", lambda: set(one.shares_pm) == set(two.shares_pm) == {500})
                two._task.cancel()  # type: ignore[union-attr]
                await until("all again", lambda: set(one.shares_pm) == {1000})

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.url))


def test_a_replica_that_leaves_gives_its_lease_back_at_once(tmp_path: Path) -> None:
    async def run(url: str) -> None:
        long = Terms(replicas=2, period_s=0.05, ttl_s=60)
        async with replica(url, "one", long) as (_, one):
            async with replica(url, "two", long):
                await until("half", lambda: set(one.shares_pm) == {500})
            await until("all again", lambda: set(one.shares_pm) == {1000})

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.url))


def test_while_redis_is_away_the_last_lease_goes_on_and_then_an_even_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run(server: Server) -> None:
        async with replica(server.url, "one") as (stage, one):
            assert one.state == LEASED
            app = GatewayApp(lambda: stage.pool, tenant="acme")
            app._pool, app._replica = stage.pool, one
            server.stop()
            await until(LAST_LEASE, lambda: one.state == LAST_LEASE)
            assert set(one.shares_pm) == {1000}
            assert (await ask(stage)).status == 200
            await until(ALONE, lambda: one.state == ALONE)
            assert set(one.shares_pm) == {500}
            assert (await ask(stage)).status == 200
            told = app._status("/readyz")
            assert told is not None
            assert told.body == b"ready\nlease: alone\n"
            metrics = exposed(stage.pool, one).decode()
            assert 'forge1sim_lease_state{state="alone"} 1' in metrics
            assert "forge1sim_account_share_ratio" in metrics
            server.start()
            await until(LEASED, lambda: one.state == LEASED)
            await until("all again", lambda: set(one.shares_pm) == {1000})

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))
    said = " ".join(record.message for record in caplog.records)
    assert "the last one goes on until it runs out" in said
    assert "at most an even part" in said


def test_a_replica_that_never_found_redis_serves_with_an_even_part(tmp_path: Path) -> None:
    async def run() -> None:
        async with replica("redis://127.0.0.1:9/0", "one") as (stage, one):
            assert one.state == ALONE
            assert set(one.shares_pm) == {500}
            assert (await ask(stage)).status == 200

    asyncio.run(run())
