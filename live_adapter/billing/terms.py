"""What held while attempts were made: prices of models, and whose the accounts were. Prices are final for a run, as its platform is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_adapter.billing.errors import BillingError
from live_adapter.journal import HEAD, read_journal
from policies.layout import lay_out, nano_usd
from policies.schema import Platform

INPUT, CACHED, OUTPUT = "Input Tokens", "Cached Input Tokens", "Output Tokens"
METERS = (INPUT, CACHED, OUTPUT)


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-USD per 1,000,000 tokens: of input that was not cached, of cached input, of output."""

    input_nano_usd_per_1m: int
    cached_nano_usd_per_1m: int
    output_nano_usd_per_1m: int

    def by_meter(self) -> tuple[int, int, int]:
        """In the order of METERS."""
        return self.input_nano_usd_per_1m, self.cached_nano_usd_per_1m, self.output_nano_usd_per_1m


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By run (when its gateway began) and name: the price of a model, the provider of an account."""

    prices: Mapping[tuple[int, str], Price]
    providers: Mapping[tuple[int, str], str]

    def price(self, run_us: int, model: str) -> Price:
        """Raises BillingError if it is not known: nothing is billed at a price that is not."""
        if (run_us, model) not in self.prices:
            raise BillingError(f"no price of model {model!r} in the run that began at {run_us} us: fold its journal again")
        return self.prices[run_us, model]

    def provider(self, run_us: int, account: str) -> str:
        """Raises BillingError if it is not known."""
        if (run_us, account) not in self.providers:
            raise BillingError(f"no account {account!r} in the run that began at {run_us} us: fold its journal again")
        return self.providers[run_us, account]

    def __or__(self, other: "Terms") -> "Terms":
        """These, and those of other runs."""
        return Terms(prices={**self.prices, **other.prices}, providers={**self.providers, **other.providers})


def terms_of(run_us: int, platform: Platform) -> Terms:
    """The terms of one run."""
    layout = lay_out(platform, run_us)
    prices = {}
    for model in layout.models:
        cached = model.input_usd_per_1m if model.cached_input_usd_per_1m is None else model.cached_input_usd_per_1m
        prices[run_us, model.name] = Price(nano_usd(model.input_usd_per_1m), nano_usd(cached), nano_usd(model.output_usd_per_1m))
    return Terms(prices=prices, providers={(run_us, account.name): account.spec.provider for account in layout.accounts})


def read_terms(folder: Path) -> Terms:
    """The terms of all runs in a journal's folder. Raises JournalError."""
    found = Terms(prices={}, providers={})
    known: set[int] = set()
    for frame in read_journal(folder):
        if frame.kind == HEAD and frame.head["start_us"] not in known:
            known.add(frame.head["start_us"])
            found |= terms_of_head(frame.head)
    return found


def terms_of_head(head: Mapping[str, Any]) -> Terms:
    """The terms of the run that a journal's head tells of."""
    return terms_of(head["start_us"], Platform.model_validate(head["platform"], strict=False))

