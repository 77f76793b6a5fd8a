"""A small configuration with all three protocols and an emulator of it, for the tests beside this file."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from provider_emulator.config import EmulatorConfig, read_config
from provider_emulator.server import Emulator, serve

FAST = {"ttft_s": 0.0, "tokens_per_s": 1e9, "output_tokens": {"mean": 7}}
ROUTES = {
    "openai": ("/openai/v1/chat/completions", {"authorization": "Bearer sk-fake-openai"}),
    "anthropic": ("/anthropic/v1/messages", {"x-api-key": "sk-fake-anthropic", "anthropic-version": "2023-06-01"}),
    "gemini": ("/gemini/v1beta/models/m:generateContent", {"x-goog-api-key": "sk-fake-gemini"}),
}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "openai": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "word " * 8}]},
    "anthropic": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "word " * 8}]},
    "gemini": {"contents": [{"parts": [{"text": "word " * 8}]}], "generationConfig": {"maxOutputTokens": 50}},
}  # fmt: skip
PROTOCOLS = tuple(ROUTES)


@dataclass
class Stage:
    """An emulator, where it is, and a plain client."""

    emulator: Emulator
    url: str
    client: httpx.AsyncClient

    async def ask(self, protocol: str = "openai", *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """A call as its provider has it; `body` overrides parts."""
        path, own = ROUTES[protocol]
        return await self.client.post(path, json=BODIES[protocol] | body, headers=own | (headers or {}))

    def counts(self, protocol: str = "openai") -> dict[str, int]:
        """Of the account that speaks it."""
        return next(account.counts for account in self.emulator.accounts if account.spec.protocol == protocol)


def configured(*, model: dict[str, Any] | None = None, limits: Any = (), **given: Any) -> EmulatorConfig:
    """An account for each protocol, with the same model and limits."""
    accounts = [
        {
            "name": name, "provider": name, "protocol": name, "keys": [f"sk-fake-{name}", f"sk-fake-{name}-2"],
            "models": [{"name": "m", **FAST, **(model or {})}], "limits": limits,
        }
        for name in PROTOCOLS
    ]  # fmt: skip
    return read_config({"accounts": accounts, **given})


def on_stage(work: Callable[[Stage], Awaitable[None]], config: EmulatorConfig | None = None, **given: Any) -> None:
    """Run `work`, within 20 s, and look whether every attempt has one outcome and gave back its place."""

    async def run() -> None:
        async with serve(config or configured(**given)) as (url, emulator):
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                await asyncio.wait_for(work(Stage(emulator, url, client)), 20)
            await asyncio.sleep(0.05)
            demand_in_order(emulator)

    asyncio.run(run())


NOT_OUTCOMES = frozenset(("attempts", "unauthorized_key", "input_tokens", "output_tokens"))


def demand_in_order(emulator: Emulator) -> None:
    """Attempts are the sum of their outcomes, and nothing is in flight."""
    for account in emulator.accounts:
        ended = sum(count for what, count in account.counts.items() if what not in NOT_OUTCOMES)
        assert account.counts["attempts"] == ended, account.counts
        assert all(held.in_flight == 0 for held in account.limits)
        assert account.counts["attempts"] - account.counts["bad"] == sum(counts["attempts"] for counts in account.model_counts.values())
