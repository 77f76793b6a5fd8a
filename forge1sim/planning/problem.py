"""What a plan decides about, as plain data: kinds of account, what limits them, who asks for what, and what must hold.

Nothing here knows of scenario files or of a solver. `fluid.program` builds the mixed-integer program of a problem, `from_scenario`
makes a problem of a scenario. Demand is in requests per block of time; a block stands for `repeats` such blocks a month. Money is
USD per month, unless a name says otherwise.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class State:
    """A state that an account can be in, as a usage tier. States of a kind rise; each account is in exactly one.

    `most` is how many accounts of the kind may be in this state or a higher one: states follow paid spend and days, and are not bought.
    """

    name: str
    usd_per_month: float
    most: int


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Accounts alike. `held` counts those held today by state; `at_least` to `at_most` may be had in all."""

    name: str
    provider: str
    states: tuple[State, ...]
    held: tuple[int, ...]
    at_least: int
    at_most: int


@dataclass(frozen=True, kw_only=True)
class Room:
    """One limit of every account of a kind, shared by some models (a bucket).

    `units`, shape (classes, models), is what a request takes of it by its charge rule, 0 for models that do not share it.
    `spans` are groups of blocks over which the limit counts: each block alone for a limit per minute, the blocks of a day, all of
    them for a monthly cap. `times`, shape (blocks,), is how often a block counts in its span: once for a limit per minute, as often as
    a day has it for a limit per day, `repeats` for a monthly cap. `capacity`, shape (states, spans), is what one account in that state
    gives in a span, infinite without limit.
    `usable` is the share of it that may be planned with, by span. `kept_for`, shape (tiers,), is the share of the room that only this
    tier may use; tiers are in order of rank.
    """

    name: str
    kind: int
    units: Floats
    spans: tuple[tuple[int, ...], ...]
    times: Floats
    capacity: Floats
    usable: Floats
    kept_for: Floats


@dataclass(frozen=True, kw_only=True)
class DemandClass:
    """Requests alike: of a tier, for a model or any.

    `most_share`, shape (kinds, models), is the largest share of the class that may be answered there: 1 where it may freely, 0
    where never, between for a fallback. `usd`, the same shape, is what an answer costs; `quality`, shape (models,), what it is worth,
    0 to 1. A request that is not answered costs `refusal_usd`.
    """

    name: str
    tier: int
    most_share: Floats
    usd: Floats
    quality: Floats
    refusal_usd: float


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What must hold of a tier (None: of all requests together). None where nothing is asked.

    The share of a demand scenario is over all its blocks, weighted by `repeats`; a scenario that asks nothing counts as served.
    `served_share` must hold on average over demand scenarios, or in each of them (`in_each`), or in the mean of the worst 1 - `tail` of
    them (conditional value at risk of the loss) where `tail` is given. `quality_mean` and `usd_per_request` (tokens at list price) are
    means over what is expected to be answered.
    """

    tier: int | None
    served_share: float | None = None
    quality_mean: float | None = None
    usd_per_request: float | None = None
    in_each: bool = False
    tail: float | None = None


@dataclass(frozen=True, kw_only=True)
class Survival:
    """A tier is served to `served_share` in the blocks `moments` (scenario, block), though one account, or one provider, is lost.

    Each kind that could have an account loses one (in the highest state that it has), or each provider is lost, in turn. Flows are
    chosen anew for each loss, together for all tiers that survive it; of longer spans only the moment itself counts.
    """

    tier: int
    lost: Literal["account", "provider"]
    served_share: float
    moments: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """Pay a provider at least `usd_per_month` for tokens, and get `discount` (0 to 1) on all of them. Taken or not.

    At most one is taken of each provider.
    """

    name: str
    provider: str
    usd_per_month: float
    discount: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All of it. `demand`, shape (scenarios, classes, blocks), is in requests; `probability`, shape (scenarios,), sums to 1.

    The budget is for fees and tokens, in expectation. `most_share_per_provider` is of what is expected to be answered.
    """

    tiers: tuple[str, ...]
    models: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rooms: tuple[Room, ...]
    classes: tuple[DemandClass, ...]
    demand: Floats
    probability: Floats
    repeats: Floats
    goals: tuple[Goal, ...] = ()
    survivals: tuple[Survival, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    budget_usd_per_month: float | None = None
    most_share_per_provider: float | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is contracted: accounts by kind and state, and the commitments taken."""

    accounts: tuple[tuple[int, ...], ...]
    commitments: tuple[bool, ...] = ()

    def of_kind(self, kind: int) -> int:
        """Accounts of a kind in whatever state."""
        return sum(self.accounts[kind])

    @property
    def at_or_above(self) -> tuple[tuple[int, ...], ...]:
        """Accounts by kind in each state or a higher one: more of them is never less capacity."""
        return tuple(tuple(sum(states[state:]) for state in range(len(states))) for states in self.accounts)
