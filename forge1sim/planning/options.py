"""The plans that a scenario's terms allow: accounts of each entry, their usage tier, guaranteed shares."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import PlanError
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.terms import AccountTerms, Reservation, UsageTierTerms
from policies.schema import Account

MOST_PLANS = 1_000_000
MOST_IN_BOX = 20_000
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is contracted and reserved: accounts of each entry, the row of their usage tier, the row of the reservation."""

    counts: tuple[int, ...]
    states: tuple[int, ...]
    reservation: int = 0


@dataclass(frozen=True, kw_only=True)
class State:
    """A usage tier that an entry's accounts can be in; name None where the entry states its own limits."""

    name: str | None
    usd_per_month: float
    terms: UsageTierTerms | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Accounts alike, as one entry of the scenario: how many are held, and from how many to how many a plan may have."""

    name: str
    provider: str
    account: Account
    held: int
    at_least: int
    at_most: int
    states: tuple[State, ...]
    terms: AccountTerms


@dataclass(frozen=True, kw_only=True)
class Range:
    """From how many to how many accounts of an entry, from which state to which, both ends included."""

    fewest: int
    most: int
    lowest: int
    highest: int

    @property
    def size(self) -> int:
        """Pairs of count and state; without accounts the state is no matter."""
        return (self.most - max(1, self.fewest) + 1) * (self.highest - self.lowest + 1) + (self.fewest == 0)


class Options:
    """Every plan of a scenario's terms, or those of a box of them (`around`). Raises PlanError where there is none."""

    def __init__(self, loaded: LoadedScenario) -> None:
        self.loaded, terms = loaded, loaded.scenario.plan
        by_name = {one.name: one for one in terms.accounts}
        self.entries = tuple(
            _entry(account, written.usage_tier, by_name.get(account.name) or AccountTerms(name=account.name), named_by_faults(loaded))
            for account, written in zip(loaded.platform.accounts, loaded.scenario.accounts, strict=True)
        )
        self.reservations: tuple[Reservation | None, ...] = terms.reservations or (None,)
        self.ranges = tuple(
            Range(fewest=one.at_least, most=one.at_most, lowest=0, highest=len(one.states) - 1) for one in self.entries
        )
        self.is_box = False
        self._demand_some()

    @property
    def held(self) -> Plan:
        """What is held today, with the first reservation."""
        return Plan(counts=tuple(one.held for one in self.entries), states=(0,) * len(self.entries))

    @property
    def largest(self) -> Plan:
        """Everything that may be had, in the highest usage tiers."""
        return Plan(counts=tuple(one.at_most for one in self.entries), states=tuple(len(one.states) - 1 for one in self.entries))

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def size(self) -> int:
        """How many plans there are, without going through them; a few of them may leave a model without an account."""
        return len(self.reservations) * prod(one.size for one in self.ranges)

    def around(self, plan: Plan, most: int = MOST_IN_BOX) -> "Options":
        """A box of at most `most` plans about this one: fewer accounts, more, other states, a step further as long as it fits."""
        found = copy(self)
        found.__dict__.pop("plans", None)
        found.is_box = True
        found.ranges = tuple(
            Range(fewest=count, most=count, lowest=state, highest=state) for count, state in zip(plan.counts, plan.states, strict=True)
        )
        grown = True
        while grown:
            grown = False
            for field in ("fewest", "most", "highest", "lowest"):
                for row in range(len(found.ranges)):
                    grown |= found._grow(row, field, self.ranges[row], most)
        return found

    def _grow(self, row: int, field: str, whole: Range, most: int) -> bool:
        """Widen a range by one at one end, if there is more and it fits."""
        before, value = self.ranges, getattr(self.ranges[row], field)
        if value == getattr(whole, field):
            return False
        wider = replace(before[row], **{field: value + (1 if field in ("most", "highest") else -1)})
        self.ranges = (*before[:row], wider, *before[row + 1 :])
        if self.size > most:
            self.ranges = before
            return False
        return True

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """All of them, in order of their fixed cost. Raises PlanError for more than a million."""
        if self.size > MOST_PLANS:
            raise PlanError(
                f"the terms allow {self.size:,} plans, at most {MOST_PLANS:,} are compared; narrow at_least and at_most in plan.accounts"
            )
        found = sorted(self._all(), key=lambda plan: (self.fixed_usd_per_month(plan), plan.counts, plan.states, plan.reservation))
        if not found:
            raise PlanError("the terms leave no plan in which every model is reached through an account; raise at_most or lower at_least")
        return tuple(found)

    def coordinates(self, plan: Plan) -> tuple[int, ...]:
        """What only adds capacity as it grows: of each entry the accounts in each usage tier or above."""
        return tuple(
            count if state >= step else 0
            for one, count, state in zip(self.entries, plan.counts, plan.states, strict=True)
            for step in range(len(one.states))
        )

    def fixed_usd_per_month(self, plan: Plan) -> float:
        """Fees of accounts, whatever is asked of them."""
        return float(sum(
            count * one.states[state].usd_per_month
            for one, count, state in zip(self.entries, plan.counts, plan.states, strict=True)
        ))  # fmt: skip

    def overrides(self, plan: Plan) -> tuple[str, ...]:
        """`path=value` by which the scenario becomes the plan's; the terms go, since they may name what the plan gives up."""
        found: list[str] = []
        for one, count, state in zip(self.entries, plan.counts, plan.states, strict=True):
            if count == 0:
                found.append(f"accounts.{one.name}.drop=true")
                continue
            if count != one.account.count:
                found.append(f"accounts.{one.name}.count={count}")
            if state:
                found.append(f"accounts.{one.name}.usage_tier={one.states[state].name}")
        if option := self.reservations[plan.reservation]:
            found += [f"policies.tiers.{tier}.guaranteed_capacity={share:g}" for tier, share in option.guaranteed_capacity.items()]
        return (*found, "plan={}")

    def shown(self, plan: Plan) -> str:
        """In words: `openai 4, google 3 (tier-3)`, without what it has none of."""
        parts = []
        for one, count, state in zip(self.entries, plan.counts, plan.states, strict=True):
            if count:
                named = f" ({one.states[state].name})" if len(one.states) > 1 else ""
                parts.append(f"{one.name} {count}{named}")
        if option := self.reservations[plan.reservation]:
            parts.append(f"reservation {option.name}")
        return ", ".join(parts) or "nothing"

    def below(self, plan: Plan) -> Iterator[tuple[int, Plan]]:
        """The plans with one account of one entry fewer, and the row of the entry."""
        for row, count in enumerate(plan.counts):
            if count > 0:
                counts = (*plan.counts[:row], count - 1, *plan.counts[row + 1 :])
                yield row, Plan(counts=counts, states=plan.states, reservation=plan.reservation)

    def reaches_all_models(self, plan: Plan) -> bool:
        """Whether every model is served by an account that is not dedicated to one tier, as far as one ever was."""
        return self._all_models <= self.models_reached(plan)

    def models_reached(self, plan: Plan) -> set[str]:
        """Models that an account serves which is not dedicated to one tier."""
        return {
            model
            for one, count in zip(self.entries, plan.counts, strict=True) if count and one.account.dedicated_to is None
            for model in self._models_of(one)
        }  # fmt: skip

    @cached_property
    def _all_models(self) -> set[str]:
        shared = [one for one in self.entries if one.account.dedicated_to is None and one.at_most]
        return {model for one in shared for model in self._models_of(one)}

    def _models_of(self, entry: Entry) -> set[str]:
        platform = self.loaded.platform
        return set(entry.account.models) or {model.name for model in platform.models if model.provider == entry.provider}

    def _demand_some(self) -> None:
        if not any(one.at_most for one in self.entries):
            raise PlanError("the terms allow no account at all; raise at_most of some in plan.accounts")

    def _all(self) -> Iterator[Plan]:
        ranges = [
            [(0, 0)] * (one.fewest == 0)
            + [(count, state) for count in range(max(1, one.fewest), one.most + 1) for state in range(one.lowest, one.highest + 1)]
            for one in self.ranges
        ]
        for reservation in range(len(self.reservations)):
            for chosen in product(*ranges):
                plan = Plan(counts=tuple(one[0] for one in chosen), states=tuple(one[1] for one in chosen), reservation=reservation)
                if self.reaches_all_models(plan):
                    yield plan


def named_by_faults(loaded: LoadedScenario) -> frozenset[str]:
    """Accounts and entries that a fault strikes by name: a plan without them would have a fault of nothing."""
    return frozenset(fault.account for fault in loaded.faults if fault.account is not None)


def _entry(account: Account, usage_tier: str | None, terms: AccountTerms, named: frozenset[str]) -> Entry:
    at_most = account.count if terms.at_most is None else terms.at_most
    struck = [number for number in range(account.count, 0, -1) if f"{account.name}-{number}" in named]
    at_least = max(terms.at_least, struck[0] if struck else int(account.name in named))
    if at_least > at_most:
        raise PlanError(
            f"plan.accounts.{account.name}.at_most is {at_most}, but a fault names account {at_least} of it; raise it or drop the fault"
        )
    now = State(name=usage_tier, usd_per_month=account.usd_per_month)
    higher = tuple(
        State(name=one.usage_tier, terms=one, usd_per_month=account.usd_per_month if one.usd_per_month is None else one.usd_per_month)
        for one in terms.usage_tiers if one.usage_tier != usage_tier
    )  # fmt: skip
    return Entry(
        name=account.name, provider=account.provider, account=account, held=min(account.count, at_most), at_least=at_least, at_most=at_most,
        states=(now, *higher), terms=terms,
    )  # fmt: skip
