"""What commitments to providers and prepaid credit do to a bill, month by month.

A commitment changes no capacity, and routing goes by list prices. So it is a matter of money alone: which ones to take follows from
what a plan's days cost at list prices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from forge1sim.planning.problem import Commitment
from forge1sim.scenario.terms import CreditTerms, PlanTerms

Floats = NDArray[np.float64]


def offered(terms: PlanTerms) -> tuple[Commitment, ...]:
    """The commitments to choose from; where one is held with a provider, that one alone."""
    held = {one.provider for one in terms.commitments if one.held}
    return tuple(
        Commitment(name=one.name, provider=one.provider, usd_per_month=one.usd_per_month, discount=one.discount)
        for one in terms.commitments if one.held or one.provider not in held
    )  # fmt: skip


def largest_discounts(terms: PlanTerms) -> dict[str, float]:
    """By provider the largest share that a commitment could take off its tokens."""
    found: dict[str, float] = {}
    for one in offered(terms):
        found[one.provider] = max(found.get(one.provider, 0.0), one.discount)
    return found


def billed(list_usd: Floats, taken: Commitment) -> Floats:
    """What a month costs under a commitment: the discounted tokens, and no less than was committed to."""
    return np.maximum(taken.usd_per_month, list_usd * (1 - taken.discount))


def cheapest(terms: PlanTerms, list_usd: Mapping[str, Floats]) -> tuple[Commitment, ...]:
    """Those to take, at most one of each provider: what makes the mean month cheapest, and what is held anyway.

    `list_usd` has months at list price by provider; a provider that it leaves out costs nothing.
    """
    held = {one.name for one in terms.commitments if one.held}
    found = []
    for provider, rivals in groupby(sorted(offered(terms), key=lambda one: one.provider), key=lambda one: one.provider):
        usd = list_usd.get(provider, np.zeros(1))
        best = min(rivals, key=lambda one: (float(billed(usd, one).mean()), one.usd_per_month))
        if best.name in held or float(billed(usd, best).mean()) < float(usd.mean()):
            found.append(best)
    return tuple(found)


def added_usd(taken: Sequence[Commitment], list_usd: Mapping[str, Floats]) -> Floats | float:
    """What commitments add to each month's bill (below 0: save), beyond list prices."""
    return sum((billed(usd, one) - usd for one in taken for usd in [list_usd.get(one.provider, np.zeros(1))]), start=0.0)


@dataclass(frozen=True, kw_only=True)
class CreditEnd:
    """What becomes of a prepaid credit: the months from the start until it is used up or gone, and what is lost, in USD."""

    name: str
    provider: str
    usd: float
    months: float
    lost_usd: float


def draw_down(credit: CreditTerms, billed_usd: Sequence[float], days_per_month: float) -> tuple[list[float], CreditEnd]:
    """How much of each month's bill a credit pays, and its end; a month counts in the share of it before the credit expires.

    A credit that outlives the months asked about has lost nothing yet.
    """
    left, used, months = credit.usd, [], 0.0
    for number, usd in enumerate(billed_usd):
        alive = 1.0 if credit.expires_after_days is None else min(1.0, max(0.0, credit.expires_after_days / days_per_month - number))
        paid = min(left, usd * alive)
        if left > 0:
            months = number + (left / usd if paid == left and usd > 0 else alive)
        left -= paid
        used.append(paid)
    expired = credit.expires_after_days is not None and credit.expires_after_days <= len(used) * days_per_month
    lost_usd = left if expired else 0.0
    return used, CreditEnd(name=credit.name, provider=credit.provider, usd=credit.usd, months=months, lost_usd=lost_usd)
