"""What is kept of traffic: decisions and inputs, and what only the wire knows of an attempt. Who keeps it is behind `Keeper`."""

import asyncio
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
    """Keeps what happened. Nothing is acknowledged to a client before `settle` says that it would survive the end of this process.

    `error` says why it cannot be kept now; None where it can.
    """

    error: str | None

    def keep(self, kept: Kept) -> None:
        """Take over rows of log and inputs."""

    def fact(self, fact: Fact) -> None:
        """Take over what the wire saw."""

    def changed(self, number: int, bundle: PolicyBundle) -> None:
        """From now on the bundle of this number is in force."""

    def settle(self) -> "asyncio.Future[None] | None":
        """Make all that was handed over safe: None where it is, else a future that is done when it is. One at a time."""

    def close(self) -> None:
        """There will be no more."""


class NoKeeper:
    """Keeps nothing."""

    error: str | None = None

    def keep(self, kept: Kept) -> None:
        """Let it go."""

    def fact(self, fact: Fact) -> None:
        """Let it go."""

    def changed(self, number: int, bundle: PolicyBundle) -> None:
        """Let it go."""

    def settle(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to close."""
