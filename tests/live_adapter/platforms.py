"""A small platform with all three protocols, and a pool before an emulator of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from live_adapter.config import Attempts, LiveConfig
from live_adapter.driver import WallClock
from live_adapter.emulated import FakeKeys, emulated_config, sites_at
from live_adapter.keeping import Keeper
from live_adapter.pool import Pool
from live_adapter.site import Site
from policies.bundle import PolicyBundle
from policies.layout import Layout, lay_out
from policies.schema import Platform
from provider_emulator.config import EmulatorConfig
from provider_emulator.server import Emulator, serve

FAST = {"ttft_s": 0.0, "tokens_per_s": 1e9, "noise_sigma": 0.0}
WIDE = [{"dimension": "rpm", "limit": 600_000.0}, {"dimension": "tpm", "limit": 100_000_000.0}]


def platform(**accounts: Any) -> Platform:
    """Three providers, a model each; `accounts` overrides fields of the account of that name."""
    models = [
        {"name": "gpt", "provider": "openai", "input_usd_per_1m": 1.0, "output_usd_per_1m": 4.0, "speed": FAST},
        {"name": "claude", "provider": "anthropic", "input_usd_per_1m": 3.0, "output_usd_per_1m": 15.0, "speed": FAST},
        {"name": "gemini", "provider": "google", "input_usd_per_1m": 0.5, "output_usd_per_1m": 2.0, "speed": FAST},
    ]  # fmt: skip
    rows = [
        {"name": name, "provider": provider, "keys": 1, "standby_keys": 1, "limits": WIDE, **accounts.get(name, {})}
        for name, provider in (("o", "openai"), ("a", "anthropic"), ("g", "google"))
    ]  # fmt: skip
    tenants = [{"name": "acme", "tier": "enterprise"}, {"name": "beta", "tier": "standard"}]
    return Platform.model_validate({"models": models, "accounts": rows, "tenants": tenants})


@dataclass
class Stage:
    """A pool, the emulator before it, and where that is."""

    pool: Pool
    emulator: Emulator
    url: str
    layout: Layout


@asynccontextmanager
async def staged(
    of: Platform | None = None, bundle: PolicyBundle | None = None, *, keeper: Keeper | None = None, seed: int = 1,
    emulated: Callable[[EmulatorConfig], EmulatorConfig] = lambda config: config, **config: Any,
) -> AsyncIterator[Stage]:  # fmt: skip
    """Serve a platform by an emulator, and open a pool before it. `config` overrides parts of the live configuration."""
    layout = lay_out(of or platform(), WallClock.now()())
    async with serve(emulated(emulated_config(layout, seed=seed))) as (url, emulator):
        given = {"attempts": Attempts(connect_s=2, stall_s=2, timeout_s=10), **config}
        live: LiveConfig = sites_at(layout, url).model_copy(update=given)
        clock = WallClock.now()
        site = Site(layout=layout, bundle=bundle or PolicyBundle(), config=live, start_us=clock(), seed=seed)
        async with Pool(site, FakeKeys(layout), keeper=keeper, clock=clock) as pool:
            yield Stage(pool, emulator, url, layout)
