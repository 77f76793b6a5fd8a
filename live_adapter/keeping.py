"""What is kept of traffic: decisions and inputs, and what only the wire knows of an attempt. Who keeps it is behind `Keeper`."""

from typing import NamedTuple, Protocol

from live_adapter.driver import Kept
from policies.bundle import PolicyBundle


class Fact(NamedTuple):
    """An attempt as the wire saw it; -1 for what is not known."""

    time_us: int
    request: int
    attempt: int
    http_status: int
    first_token_us: int
    cache_write_tokens: int
    reasoning_tokens: int


class Keeper(Protocol):
    """Keeps what happened. `settled` returns when all that was handed over before would survive the end of this process."""

    def keep(self, kept: Kept) -> None:
        """Take over rows of log and inputs."""

    def fact(self, fact: Fact) -> None:
        """Take over what the wire saw."""

    def changed(self, number: int, bundle: PolicyBundle) -> None:
        """From now on the bundle of this number is in force."""

    async def settled(self) -> None:
        """Wait until it is safe."""

    def close(self) -> None:
        """There will be no more."""


class NoKeeper:
    """Keeps nothing."""

    def keep(self, kept: Kept) -> None:
        """Let it go."""

    def fact(self, fact: Fact) -> None:
        """Let it go."""

    def changed(self, number: int, bundle: PolicyBundle) -> None:
        """Let it go."""

    async def settled(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to close."""
