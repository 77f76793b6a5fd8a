"""What a month of these draws costs at least, whatever is contracted and however it is routed.

Each request that is answered costs no less than the cheapest answer that is open to it with everything contracted that may be;
one that is not answered costs its price of a refusal. The cheaper of both, summed over all requests of a draw, is a bound:
no limit, deadline or policy is in it that could make it too high. What clients may end themselves (they leave, or their own limits and
budgets refuse them) counts as nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.experiments.clairvoyant.realised import Realised, requests_of
from forge1sim.planning.options import Options
from forge1sim.planning.simulated import Prices, Simulated
from forge1sim.workload.table import NEVER_US
from policies.layout import Layout, lay_out

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
_HOUR_US = 3_600_000_000


class Demanded(Choices):
    """Choices of requests that nobody has answered yet: one that names a model may also get any of its fallbacks."""

    @cached_property
    def asked_for(self) -> Flags:
        """Whether a model is the one asked for, or a fallback of it, or of a fallback, shape (n, models)."""
        models = self.realised.layout.models
        row_of = {model.name: row for row, model in enumerate(models)}
        reached = np.eye(self.models + 1, self.models, dtype=bool)
        for row, model in enumerate(models):
            reached[row, [row_of[name] for name in model.fallbacks if name in row_of]] = True
        for _ in models:
            reached[:-1] |= (reached[:-1].astype(np.int64) @ reached[:-1].astype(np.int64)) > 0
        reached[self.models] = True                     # AUTO is -1: the last row
        return np.asarray(reached[self.requests["wanted"]])


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw's requests. `cheapest_usd`, shape (n,), is their cheapest answer, infinite where none is open; `tier` the row of their tier.
    `leaves` marks clients that may leave by themselves. `by_hour`, shape (tiers, hours), counts arrivals by hour of the run."""

    seed: int
    arrived: tuple[int, ...]
    cheapest_usd: Floats
    tier: Ints
    leaves: Flags
    by_hour: Ints

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


def draws_of(options: Options, seeds: Sequence[int]) -> list[Draw]:
    """The requests of each seed, priced with all that may be contracted. Raises WorkloadError or ExperimentError."""
    return [_draw(options, seed) for seed in seeds]


def _draw(options: Options, seed: int) -> Draw:
    loaded = options.loaded
    layout = _largest(options)
    requests = requests_of(loaded, layout, seed)
    nobody = np.zeros(len(requests), dtype=np.int64)
    realised = Realised(
        layout=layout, bundle=loaded.bundle, faults=(), estimation=loaded.scenario.workload.estimation, seed=seed, start_us=loaded.start_us,
        end_us=loaded.start_us + loaded.horizon_us + loaded.drain_us, requests=requests, deployments=nobody, sent_us=nobody,
        answer_nano_usd=nobody, paid_nano_usd=0, quality_pm=0,
    )  # fmt: skip
    choices = Demanded(realised)
    cheapest = np.full(len(requests), np.inf)
    for row, route in enumerate(choices.routes):
        here = choices.open_to(row)
        cheapest[here] = np.minimum(cheapest[here], choices.nano_usd[here, route.model] / 1e9)
    names = [tier.name for tier in loaded.bundle.tiers]
    tier_of_group = np.array([names.index(str(group.tier)) for group in layout.tenant_groups], dtype=np.int64)
    tier = tier_of_group[np.array(layout.tenant_group, dtype=np.int64)[requests["tenant"]]]
    counted = np.bincount(tier, minlength=len(names))
    return Draw(
        seed=seed, arrived=tuple(counted.tolist()), cheapest_usd=cheapest, tier=tier, leaves=np.asarray(requests["cancel_us"] < NEVER_US),
        by_hour=_by_hour(tier, requests["arrive_us"] - loaded.start_us, len(names), loaded.horizon_us),
    )  # fmt: skip


def _by_hour(tier: Ints, after_us: Ints, tiers: int, horizon_us: int) -> Ints:
    hours = -(-horizon_us // _HOUR_US)
    at = np.minimum(after_us // _HOUR_US, hours - 1)
    return np.bincount(tier * hours + at, minlength=tiers * hours).reshape(tiers, hours)


def _largest(options: Options) -> Layout:
    """The platform with everything contracted that may be, and every account in use."""
    loaded = options.loaded
    accounts = tuple(
        entry.account.model_copy(update={"count": entry.at_most, "state": "active"}) for entry in options.entries if entry.at_most
    )
    return lay_out(loaded.platform.model_copy(update={"accounts": accounts}), loaded.start_us)


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


