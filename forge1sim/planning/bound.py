"""What a month of these draws costs at least, whatever is contracted and however it is routed.

Each request that is answered costs no less than the cheapest answer that is open to it with everything contracted that may be;
one that is not answered costs its price of a refusal. The cheaper of both, summed over all requests of a draw, is a bound:
no limit, deadline or policy is in it that could make it too high. What clients may end themselves (they leave, or their own limits and
budgets refuse them) counts as nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.planning.reach import Demanded
from forge1sim.planning.simulated import Prices, Simulated
from forge1sim.workload.table import NEVER_US

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw's requests. `cheapest_usd`, shape (n,), is their cheapest answer, infinite where none is open; `tier` the row of their tier.
    `leaves` marks clients that may leave by themselves."""

    seed: int
    arrived: tuple[int, ...]
    cheapest_usd: Floats
    tier: Ints
    leaves: Flags

    def floor_usd(self) -> float:
        """The cheapest answers of all that can be answered, limits set aside: what no plan can avoid."""
        return float(self.cheapest_usd[np.isfinite(self.cheapest_usd)].sum())

    def least_usd(self, prices: Prices, own: Sequence[int]) -> float:
        """The least that the draw can cost, where of each tier at most `own` requests are refused for the client's own limits."""
        refused = np.asarray(prices.refusal_usd)[self.tier]
        value = np.where(self.leaves | ~np.isfinite(self.cheapest_usd), 0.0, np.minimum(self.cheapest_usd, refused))
        total = float(value.sum())
        for row, count in enumerate(own):
            mine = value[self.tier == row]
            if count > 0 and len(mine):
                total -= float(np.partition(mine, max(0, len(mine) - count))[-count:].sum())
        return total


def draw_of(choices: Demanded) -> Draw:
    """A draw, priced with all that may be contracted."""
    requests = choices.requests
    cheapest = np.full(len(requests), np.inf)
    for row, route in enumerate(choices.routes):
        here = choices.open_to(row)
        cheapest[here] = np.minimum(cheapest[here], choices.nano_usd[here, route.model] / 1e9)
    counted = np.bincount(choices.tier, minlength=len(choices.realised.bundle.tiers))
    leaves = np.asarray(requests["cancel_us"] < NEVER_US)
    return Draw(seed=choices.realised.seed, arrived=tuple(counted.tolist()), cheapest_usd=cheapest, tier=choices.tier, leaves=leaves)


def running_bound_usd(draws: Sequence[Draw], prices: Prices, seen: Sequence[Simulated]) -> float:
    """The least running cost of any plan per month. `seen` tell how many requests clients' own limits refuse: the most of any plan."""
    total = 0.0
    for number, draw in enumerate(draws):
        of_plans = [one.days[number].own for one in seen if one.days]
        own = np.max(of_plans, axis=0).tolist() if of_plans else [0] * len(draw.arrived)
        total += draw.least_usd(prices, own)
    return prices.days_per_month * total / len(draws)


def floor_usd_per_month(draws: Sequence[Draw], prices: Prices) -> float:
    """The token cost of the same demand on the cheapest models that may answer it, without limits."""
    return prices.days_per_month * float(np.mean([draw.floor_usd() for draw in draws]))


def arrived_per_day(draws: Sequence[Draw]) -> list[float]:
    """Requests of each tier on a day, on average."""
    return [float(count) for count in np.mean([draw.arrived for draw in draws], axis=0)]


