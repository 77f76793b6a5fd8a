"""Throughput of the pool beside bare clients, against one emulator in a process of its own: medians over interleaved blocks.

The pool has limits, journal and metrics on. Beside it: httpx over the bare aiohttp transport, and httpx over its own. At half of what the
pool serves, what it adds to the bare client's latency at the 99th percentile; and the time of one step of the gateway with 10,000 tenants
and 200 deployments. With FORGE1SIM_LITELLM_PYTHON, a Python that has litellm, its Router runs beside them, in a process of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import yaml
from httpx_aiohttp import AiohttpTransport

from benchmarks.common import ROOT
from live_adapter.driver import Driver, Kept, Order, WallClock
from live_adapter.emulated import FakeKeys, emulated_config, fake_key, sites_at
from live_adapter.journal import Journal
from live_adapter.pool import Pool
from live_adapter.site import Site
from live_adapter.transport import PooledTransport
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.feed import SEND
from policies.inputs import ARRIVAL, SERVED
from policies.layout import Layout, lay_out
from policies.plug import plug
from policies.routing import unplugged
from policies.schema import Platform

RESULTS = (
    "live_over_httpx_aiohttp_50", "live_over_httpx_aiohttp_200", "live_over_httpx_50", "live_over_litellm_50", "gateway_requests_per_s",
    "gateway_step_us_p99", "added_p99_ms",
)  # fmt: skip
BLOCKS, BLOCK_S = 10, 1.5
_PATH = "/openai/v1/chat/completions"
_BODY = json.dumps({"model": "gpt", "max_tokens": 20, "messages": [{"role": "user", "content": "word " * 20}]}).encode()
_SAID = {"content-type": "application/json", "x-emulate-output-tokens": "10"}
_WIDE = [{"dimension": "rpm", "limit": 6e7}, {"dimension": "tpm", "limit": 9e8}, {"dimension": "concurrency", "limit": 1e5}]


def platform() -> Platform:
    """One fast model behind one account whose limits are wide."""
    speed = {"ttft_s": 0.0, "tokens_per_s": 1e9, "noise_sigma": 0.0}
    return Platform.model_validate({
        "models": [{"name": "gpt", "provider": "openai", "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0, "speed": speed}],
        "accounts": [{"name": "o", "provider": "openai", "limits": _WIDE}], "tenants": [{"name": "acme", "tier": "standard"}],
    })  # fmt: skip


async def _block(client: httpx.AsyncClient, url: str, in_flight: int, run_s: float) -> float:
    """Requests a second, closed loop."""
    done, until_s = 0, time.perf_counter() + run_s

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < until_s:
            answer = await client.post(url, content=_BODY, headers={**_SAID, "authorization": f"Bearer {fake_key('o', 0)}"})
            assert answer.status_code == 200, answer.text
            done += 1

    began_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return done / (time.perf_counter() - began_s)


async def _latencies_ms(client: httpx.AsyncClient, url: str, per_s: float, run_s: float) -> list[float]:
    """Open loop at a steady rate."""
    found: list[float] = []

    async def one() -> None:
        began_s = time.perf_counter()
        await client.post(url, content=_BODY, headers={**_SAID, "authorization": f"Bearer {fake_key('o', 0)}"})
        found.append(1e3 * (time.perf_counter() - began_s))

    began_s, tasks = time.perf_counter(), []
    for number in range(round(per_s * run_s)):
        await asyncio.sleep(max(0.0, began_s + number / per_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return found


@asynccontextmanager
async def _clients(layout: Layout, url: str, folder: Path) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    clock = WallClock.now()
    site = Site(layout=layout, bundle=PolicyBundle(), config=sites_at(layout, url), start_us=clock(), seed=1)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with Pool(site, FakeKeys(layout), keeper=Journal(folder, site), clock=clock) as pool:
        clients = {
            "pool": httpx.AsyncClient(transport=PooledTransport(pool, "acme"), timeout=60),
            "aiohttp": httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=60),
            "httpx": httpx.AsyncClient(limits=limits, timeout=60),
        }
        try:
            yield clients
        finally:
            for client in clients.values():
                await client.aclose()


@contextmanager
def _litellm(base: str) -> Iterator[Callable[[], float] | None]:
    """A block of LiteLLM's Router at 50 in flight, requests a second; None without a Python that has it."""
    python = os.environ.get("FORGE1SIM_LITELLM_PYTHON")
    if not python:
        print("no LiteLLM: set FORGE1SIM_LITELLM_PYTHON", flush=True)
        yield None
        return
    command = [python, str(ROOT / "benchmarks" / "litellm_rate.py"), base, fake_key("o", 0)]
    environment = dict(os.environ, LITELLM_LOCAL_MODEL_COST_MAP="True")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout
        assert back.readline().strip() == "ready"

        def block() -> float:
            to.write(f"50 {BLOCK_S}\n")
            to.flush()
            return float(back.readline())

        block()
        yield block
        to.close()


async def _measure(layout: Layout, base: str, folder: Path) -> dict[str, float]:
    url = base + _PATH
    with _litellm(base) as litellm:
        async with _clients(layout, base, folder) as clients:
            return await _beside(clients, url, litellm)


async def _beside(clients: dict[str, httpx.AsyncClient], url: str, litellm: Callable[[], float] | None) -> dict[str, float]:
    """All figures of one run, blocks of all clients in turn."""
    for client in clients.values():
        await _block(client, url, 50, 0.5)
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(BLOCKS):
        for name, in_flight in (("pool", 50), ("aiohttp", 50), ("httpx", 50), ("pool", 200), ("aiohttp", 200)):
            rates.setdefault((name, in_flight), []).append(await _block(clients[name], url, in_flight, BLOCK_S))
        if litellm is not None:
            rates.setdefault(("litellm", 50), []).append(await asyncio.to_thread(litellm))
    of = {key: median(values) for key, values in rates.items()}
    for (name, in_flight), rate in of.items():
        print(f"{name} at {in_flight} in flight: {rate:,.0f} requests/s", flush=True)
    half = of["pool", 50] / 2
    p99 = {name: [] for name in ("pool", "aiohttp")}  # type: ignore[var-annotated]
    for _ in range(3):
        for name, found in p99.items():
            found.append(float(np.quantile(await _latencies_ms(clients[name], url, half, 3.0), 0.99)))
    return {
        "live_over_httpx_aiohttp_50": of["pool", 50] / of["aiohttp", 50],
        "live_over_httpx_aiohttp_200": of["pool", 200] / of["aiohttp", 200],
        "live_over_httpx_50": of["pool", 50] / of["httpx", 50], "gateway_requests_per_s": of["pool", 50],
        "added_p99_ms": median(p99["pool"]) - median(p99["aiohttp"]),
    } | ({"live_over_litellm_50": of["pool", 50] / of["litellm", 50]} if litellm is not None else {})  # fmt: skip


def step_us_p99(steps: int = 100_000) -> float:
    """Of arrivals and answers, called from Python, at 10,000 tenants and 200 deployments."""
    layout = lay_out(Platform.model_validate({
        "models": [{"name": f"m{n}", "provider": "p", "input_usd_per_1m": 1.0 + n, "output_usd_per_1m": 4.0 + n} for n in range(4)],
        "accounts": [{"name": "a", "provider": "p", "count": 50, "limits": _WIDE}],
        "tenants": [{"name": "t", "tier": "standard", "count": 10_000}],
    }), 0)  # fmt: skip
    sent: list[Order] = []

    def take(order: Order) -> None:
        if order[0] == SEND:
            sent.append(order)

    def keep(_: Kept) -> None:
        pass

    gateway = build_state(layout, PolicyBundle(), 0, 1)
    driver = Driver(gateway, WallClock.now(), take, keep, start_us=0, user_policy=plug(unplugged, "routing"))
    rng, took = np.random.default_rng(1), np.empty(steps)
    tenants, models = rng.integers(0, 10_000, steps).tolist(), rng.integers(-1, 4, steps).tolist()
    for number in range(steps):
        began_ns = time.perf_counter_ns()
        if number % 2 == 0:
            driver.tell(ARRIVAL, tenants[number], number, models[number], 0, 500, 300, 0, 200, driver.now_us + 60_000_000)
        elif sent:
            _, slot, request, *_ = sent.pop()
            driver.tell(SERVED, slot, request, 300, 0, 100, 500)
        took[number] = (time.perf_counter_ns() - began_ns) / 1e3
    return float(np.quantile(took[steps // 10 :], 0.99))


def _with_emulator(work: Callable[[Layout, str], Awaitable[dict[str, float]]]) -> dict[str, float]:
    layout = lay_out(platform(), WallClock.now()())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "emulator.yaml"
        path.write_text(yaml.safe_dump(emulated_config(layout).model_dump(mode="json")), encoding="utf-8")
        command: list[Any] = [sys.executable, "-m", "provider_emulator", str(path), "--port", "0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as emulator:
            try:
                assert emulator.stdout is not None
                return asyncio.run(work(layout, emulator.stdout.readline().strip()))  # type: ignore[arg-type]
            finally:
                emulator.terminate()


def run() -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        found = _with_emulator(lambda layout, url: _measure(layout, url, Path(folder)))
    return {**found, "gateway_step_us_p99": step_us_p99()}


if __name__ == "__main__":
    print(run())
