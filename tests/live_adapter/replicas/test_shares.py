"""Shares of accounts: the rule, its twin in Redis, and what a gateway makes of its share."""

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.driver import Driver, Kept
from live_adapter.replicas.store import RedisLeases
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.feed import SEND
from policies.inputs import ARRIVAL, SEEN, SERVED, SHARE, UNKNOWN
from policies.layout import Layout, lay_out
from policies.leases import MINUTE_US, WHOLE_PM, alone_share, lags, least_since, next_share
from policies.schema import Platform
from tests.live_adapter.platforms import platform
from tests.live_adapter.replicas.server import redis_server

SECOND_US = 1_000_000


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 50))
def test_a_share_never_takes_what_others_have(using: int, others: int, demand: int, more: int, replicas: int) -> None:
    share = next_share(using, others, demand, demand + more, replicas)
    assert 0 <= share <= max(using, WHOLE_PM - others)
    assert share <= WHOLE_PM


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_shares_settle_by_demand_and_never_add_up_to_more_than_all(demand: list[int], r: random.Random) -> None:
    """Replicas come one after the other and renew in any order; what one gives up counts as its own until it has renewed."""
    kept, using = [0] * len(demand), [0] * len(demand)
    for _ in range(60):
        row = r.randrange(len(demand))
        share = next_share(using[row], sum(kept) - kept[row], demand[row], sum(demand), len(demand))
        kept[row] = max(share, using[row])
        assert sum(kept) - kept[row] + share <= WHOLE_PM
        using[row] = share
        kept[row] = kept[row]
    for row in list(range(len(demand))) * 4:
        using[row] = next_share(using[row], sum(kept) - kept[row], demand[row], sum(demand), len(demand))
        kept[row] = using[row]
    for row, share in enumerate(using):
        even, of_demand = 500 / len(demand), 500 * demand[row] / sum(demand)
        assert abs(share - even - of_demand) <= 50 * len(demand) + 2


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 1000)), min_size=1, max_size=8), st.integers(0, 200))
def test_the_least_share_of_a_span(changes: list[tuple[int, int]], now: int) -> None:
    held = sorted((time, share) for time, share in changes if time <= now) or [(0, 1000)]
    found = least_since(held, now, 60, 250)
    begins = max(now - 60, held[0][0])
    inside = [share for at, (time, share) in enumerate(held) if time >= begins or at == len(held) - 1 or held[at + 1][0] > begins]
    assert found == (min(inside) if held[0][0] <= now - 60 else min(*inside, 250))


def test_alone_is_at_most_an_even_part() -> None:
    assert (alone_share(600, 4), alone_share(100, 4), alone_share(1000, 1)) == (250, 100, 1000)


def test_the_script_in_redis_is_the_same_rule(tmp_path: Path) -> None:
    layout = lay_out(platform(), 0)
    accounts = len(layout.accounts)

    async def run(url: str) -> None:
        r = random.Random(5)
        stores = [RedisLeases(url, layout, f"r{number}", 60.0, hold_s=0.0) for number in range(4)]
        kept = [[0] * accounts for _ in stores]
        asked = [[0] * accounts for _ in stores]
        using = [[0] * accounts for _ in stores]
        live: set[int] = set()
        for _ in range(200):
            row = r.randrange(len(stores))
            live.add(row)
            asked[row] = [r.randint(1, 400) for _ in range(accounts)]
            told = await stores[row].renew(using[row], asked[row])
            for account in range(accounts):
                others = sum(kept[other][account] for other in live - {row})
                everyone = sum(asked[other][account] for other in live)
                mine = next_share(using[row][account], others, asked[row][account], everyone, len(live))
                assert told[account] == mine
                kept[row][account] = max(mine, using[row][account])
                assert others + mine <= WHOLE_PM
            using[row] = told
        for store in stores:
            await store.close()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.url))


def test_the_lease_of_who_does_not_renew_returns(tmp_path: Path) -> None:
    layout = lay_out(platform(), 0)
    accounts = len(layout.accounts)

    async def run(url: str) -> None:
        here, lost = RedisLeases(url, layout, "here", 60.0, hold_s=0.0), RedisLeases(url, layout, "lost", 0.3, hold_s=0.0)
        first = await lost.renew([0] * accounts, [1] * accounts)
        assert first == [WHOLE_PM] * accounts
        assert await here.renew([0] * accounts, [1] * accounts) == [0] * accounts
        await asyncio.sleep(0.4)
        assert await here.renew([0] * accounts, [1] * accounts) == [WHOLE_PM] * accounts
        await here.leave()
        assert await lost.renew([0] * accounts, [1] * accounts) == [WHOLE_PM] * accounts
        await here.close()
        await lost.close()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.url))


def test_a_redis_that_has_forgotten_gives_nobody_more_until_all_have_told(tmp_path: Path) -> None:
    layout = lay_out(platform(), 0)
    accounts = len(layout.accounts)

    async def run(url: str) -> None:
        stores = [RedisLeases(url, layout, f"r{number}", 60.0, hold_s=0.3) for number in range(3)]
        held = [250, 250, 500]
        for store, share in zip(stores, held, strict=True):
            assert max(await store.renew([share] * accounts, [1000] * accounts)) <= share
        assert max(await stores[0].renew([250] * accounts, [9000] * accounts)) <= 250
        await asyncio.sleep(0.4)
        await stores[2].renew([250] * accounts, [1] * accounts)
        assert min(await stores[0].renew([250] * accounts, [9000] * accounts)) > 250
        for store in stores:
            await store.close()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server.url))


def limited(*limits: dict[str, object]) -> Layout:
    return lay_out(Platform.model_validate({
        "models": [{"name": "m", "provider": "p", "input_usd_per_1m": 1.0, "output_usd_per_1m": 1.0}],
        "accounts": [{"name": "a", "provider": "p", "limits": list(limits)}], "tenants": [{"name": "t", "tier": "standard"}],
    }), 0)  # fmt: skip


class Told:
    """A gateway on a clock that tests move."""

    def __init__(self, layout: Layout) -> None:
        self.clock, self.sent, self.number = 0, [], 0
        gateway = build_state(layout, PolicyBundle(), 0, 1)

        def keep(_: Kept) -> None:
            pass

        self.driver = Driver(gateway, lambda: self.clock, self.sent.append, keep, start_us=0, user_policy=0)

    def share(self, flow: int, window: int | None = None, since_us: int = 0, minute: int | None = None, longer: int = 250) -> None:
        window, minute = flow if window is None else window, flow if minute is None else minute
        self.driver.tell(SHARE, 0, -1, flow, window, since_us, minute, longer)

    def ask(self, count: int) -> int:
        """How many of so many requests (100 tokens in, 900 out at most) are sent at once."""
        before = len([order for order in self.sent if order[0] == SEND])
        for _ in range(count):
            self.driver.tell(ARRIVAL, 0, self.number, 0, 0, 500, 100, 0, 900, self.clock + 600 * SECOND_US, 0)
            self.number += 1
        return len([order for order in self.sent if order[0] == SEND]) - before

    @property
    def limit(self) -> object:
        return self.driver.state.limits[0]


@pytest.mark.parametrize("share", [1000, 500, 250, 100])
def test_of_a_limit_that_refills_the_share_is_used_and_no_more(share: int) -> None:
    told = Told(limited({"dimension": "tpm", "limit": 60_000.0}))
    told.share(share)
    assert told.ask(100) == 60 * share // 1000
    sent = len(told.sent)
    told.clock += 30 * SECOND_US
    told.driver.ring()
    assert len(told.sent) - sent == pytest.approx(30 * share // 1000, abs=1)


def test_a_larger_share_brings_no_tokens_and_a_smaller_one_keeps_at_most_its_room() -> None:
    told = Told(limited({"dimension": "tpm", "limit": 60_000.0}))
    told.share(500)
    level = int(told.limit["level"])  # type: ignore[index]
    told.share(1000)
    assert level <= int(told.limit["level"]) <= level + 5 * int(told.limit["rate"])  # type: ignore[index]
    told.share(100)
    assert int(told.limit["level"]) == int(told.limit["capacity"])  # type: ignore[index]


def test_a_larger_share_of_a_fixed_window_counts_from_the_next_on() -> None:
    told = Told(limited({"dimension": "rpm", "limit": 100.0, "window": "fixed", "window_s": 60.0}))
    told.share(200)
    assert told.ask(100) == 20
    told.clock += 20 * SECOND_US
    told.share(800, since_us=told.clock)
    assert told.limit["share_pm"] == 200  # type: ignore[index]
    assert lags(told.driver.state, 0, 800)
    told.clock = 61 * SECOND_US
    told.share(800, since_us=told.clock - 5 * SECOND_US)
    assert told.limit["share_pm"] == 800  # type: ignore[index]
    assert not lags(told.driver.state, 0, 800)
    told.share(100, since_us=told.clock)
    assert told.limit["share_pm"] == 100  # type: ignore[index]


def test_windows_of_hours_have_an_even_part_and_what_slides_its_least() -> None:
    day, slides = {"dimension": "rpd", "limit": 1000.0}, {"dimension": "rpm", "limit": 100.0, "window": "sliding", "window_s": 60.0}
    told = Told(limited(slides, day, {"dimension": "concurrency", "limit": 100.0}))
    told.share(900, minute=300, longer=250)
    shares = {int(limit["capacity_configured"]): int(limit["share_pm"]) for limit in told.driver.state.limits[:3]}
    assert sorted(shares.items()) == [(100, 300), (1000, 250)]


@pytest.mark.parametrize(("share", "level"), [(1000, 40_000), (250, 10_000)])
def test_where_nothing_is_known_ours_is_our_share_of_what_remains(share: int, level: int) -> None:
    told = Told(limited({"dimension": "tpm", "limit": 60_000.0}))
    told.driver.tell(UNKNOWN)
    told.share(share)
    told.ask(1)
    told.clock += 10 * SECOND_US
    told.driver.ring()
    (sent,) = [order for order in told.sent if order[0] == SEND]
    told.driver.tell(SEEN, sent[1], sent[2], 0, -1, 40_000, -1, 0)
    assert int(told.limit["level"]) == pytest.approx(level * 60_000_000, rel=0.05)  # type: ignore[index]
    told.driver.tell(SERVED, sent[1], sent[2], 100, 0, 900, 500)


def test_what_others_use_does_not_cut_our_share_until_less_is_there_than_ours() -> None:
    told = Told(limited({"dimension": "tpm", "limit": 60_000.0}))
    told.share(500)
    told.ask(1)
    (sent,) = [order for order in told.sent if order[0] == SEND]
    level = int(told.limit["level"])  # type: ignore[index]
    told.driver.tell(SEEN, sent[1], sent[2], 0, -1, 31_000, -1, 0)
    assert int(told.limit["level"]) >= level  # type: ignore[index]
    told.driver.tell(SEEN, sent[1], sent[2], 0, -1, 1_000, -1, 0)
    assert int(told.limit["level"]) == pytest.approx(1_000 * 60_000_000, rel=0.05)  # type: ignore[index]
    assert MINUTE_US == 60 * SECOND_US
