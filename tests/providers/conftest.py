"""One small platform, and a hand to play attempts on its emulator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from forge1sim.providers import Emulator, begin, build_emulator, end, new_answers, open_emulator
from policies.layout import Layout, lay_out
from policies.schema import Account, Fault, Limit, Model, Platform, Provider, Speed, TenantGroup

START_US = 1_760_000_000_000_000
QUICK = Speed(ttft_s=1.0, tokens_per_s=100.0, noise_sigma=0.0)


@dataclass
class World:
    """An emulator with its layout; times are given relative to its start."""

    layout: Layout
    block: NDArray[np.uint8]

    def begin(self, at_us: int, **attempt: int) -> Any:
        """The answer to one attempt: 10 tokens in, 20 out of at most 50, unless told otherwise."""
        with_defaults = {
            "deployment": 0, "tenant": 0, "number": 0, "attempt": 1, "key": 0, "input_tokens": 10,
            "cached_tokens": 0, "output_tokens": 20, "max_output_tokens": 50, **attempt,
        }  # fmt: skip
        answer = new_answers(1)[0]
        begin(self.block, *with_defaults.values(), START_US + at_us, answer)
        return answer

    def end(self, at_us: int, deployment: int = 0, input_tokens: int = 10, cached_tokens: int = 0, output_tokens: int = 20) -> None:
        end(self.block, deployment, True, input_tokens, cached_tokens, output_tokens, START_US + at_us)

    @property
    def tables(self) -> Emulator:
        return open_emulator(self.block)

    def fork(self) -> "World":
        """The same world, free to go another way."""
        return World(self.layout, self.block.copy())


def make_world(
    limits: tuple[Limit, ...] = (),
    *,
    speed: Speed = QUICK,
    provider: dict[str, Any] | None = None,
    models: tuple[Model, ...] | None = None,
    accounts: tuple[Account, ...] | None = None,
    faults: tuple[Fault, ...] = (),
    seed: int = 1,
) -> World:
    """A platform of one model on one account with these limits, or what is given instead."""
    platform = Platform(
        models=models or (Model(name="m", provider="p", input_usd_per_1m=3.0, output_usd_per_1m=15.0, context_tokens=10**8, speed=speed),),
        accounts=accounts or (Account(name="a", provider="p", limits=limits),),
        providers=(Provider(name="p", **(provider or {})),),
        tenants=(TenantGroup(name="t"),),
    )
    layout = lay_out(platform, START_US)
    return World(layout, build_emulator(layout, faults, START_US, seed))


@pytest.fixture(scope="session")
def world() -> Callable[..., World]:
    """Makes worlds."""
    return make_world
