"""A saturating load through the pool for two minutes, counters unknown at the start, `max_tokens` four times the real output.

Three accounts of one emulator, each limited in another way: a token bucket, a minute enforced over spans of ten seconds, a fixed window
whose phase nobody is told. Kept: the largest share of attempts answered 429, and the smallest share used of what was allowed (burst plus
refill, or all windows that were open, under the provider's charge rule).
`python -m benchmarks.bench_saturation SECONDS` for another length.
"""

import asyncio
import json
import sys
import time
from typing import Any

from live_adapter.driver import WallClock
from live_adapter.emulated import FakeKeys, emulated_config, sites_at
from live_adapter.pool import Pool
from live_adapter.reception import receive
from live_adapter.site import Site
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.schema import Platform
from provider_emulator.server import Emulator, serve

RESULTS = ("saturation_429_share", "saturation_use_share")
RUN_S = 120.0
CLIENTS = 120                   # of each account, each with one call at a time: more than fit
TOKENS_PER_MIN = 600_000
INPUT_TOKENS, OUTPUT_TOKENS = 100, 50
_LIMITS: dict[str, dict[str, Any]] = {
    "bucket": {"window": "token_bucket"}, "paced": {"window": "paced", "burst_s": 10.0}, "fixed": {"window": "fixed"},
}  # fmt: skip


def platform() -> Platform:
    """A provider, a model and an account for each kind of limit."""
    speed = {"ttft_s": 0.2, "tokens_per_s": 100.0, "noise_sigma": 0.3}
    return Platform.model_validate({
        "models": [{"name": name, "provider": name, "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0, "speed": speed} for name in _LIMITS],
        "accounts": [
            {"name": name, "provider": name, "limits": [{"dimension": "tpm", "limit": float(TOKENS_PER_MIN), **limit}]}
            for name, limit in _LIMITS.items()
        ],
        "tenants": [{"name": "acme", "tier": "standard"}],
    })  # fmt: skip


def body_of(model: str) -> bytes:
    """A call."""
    said = [{"role": "user", "content": "x" * 4 * INPUT_TOKENS}]
    return json.dumps({"model": model, "max_tokens": 4 * OUTPUT_TOKENS, "messages": said}).encode()


async def _client(pool: Pool, model: str, until_s: float) -> None:
    body = body_of(model)
    headers = {"x-emulate-output-tokens": str(OUTPUT_TOKENS), "x-forge1-deadline-s": "600"}
    while (left_s := until_s - time.monotonic()) > 0:
        try:
            await asyncio.wait_for(receive(pool, 0, "POST", "/v1/chat/completions", headers, body), left_s)
        except TimeoutError:
            return


async def saturate(run_s: float) -> dict[str, tuple[float, float]]:
    """By account the share of attempts answered 429, and the share used of what was allowed."""
    layout = lay_out(platform(), WallClock.now()())
    async with serve(emulated_config(layout)) as (url, emulator):
        clock = WallClock.now()
        site = Site(layout=layout, bundle=PolicyBundle(), config=sites_at(layout, url), start_us=clock(), seed=1)
        async with Pool(site, FakeKeys(layout), clock=clock) as pool:
            began_s = time.monotonic()
            until_s = began_s + run_s
            await asyncio.gather(*(_client(pool, model, until_s) for model in _LIMITS for _ in range(CLIENTS)))
            return {account.spec.name: shares(emulator, number, began_s) for number, account in enumerate(emulator.accounts)}


def shares(emulator: Emulator, number: int, began_s: float) -> tuple[float, float]:
    """Of an account: the share of attempts answered 429, and the share used of what was allowed since `began_s`."""
    account = emulator.accounts[number]
    held = account.limits[0]
    assert held.limiter is not None
    allowed = held.limiter.allowed(time.monotonic()) - held.limiter.allowed(began_s) + held.limiter.capacity
    return account.counts["throttled"] / account.counts["attempts"], held.used / allowed


def run(run_s: float = RUN_S) -> dict[str, float]:
    """Every account is printed."""
    found = asyncio.run(saturate(run_s))
    for name, (refused, used) in found.items():
        print(f"{name}: {refused:.3%} of attempts answered 429, {used:.2%} of what was allowed used")
    return {RESULTS[0]: max(one for one, _ in found.values()), RESULTS[1]: min(one for _, one in found.values())}


if __name__ == "__main__":
    print(run(*(float(seconds) for seconds in sys.argv[1:])))
