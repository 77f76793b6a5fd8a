"""Everything that a plan may have, laid out as one platform: an account for each entry and usage tier that it can be in.

What requests of a draw could be answered by in any plan is what they could be answered by here: dedicated accounts may always flow
over, and limits that a fault raises for a while are raised all along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.experiments.clairvoyant.realised import Realised, requests_of
from forge1sim.planning.commitments import largest_discounts
from forge1sim.planning.options import Options
from forge1sim.scenario.load import load_scenario
from policies.layout import lay_out
from policies.schema import Account, Fault

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Seat:
    """An entry in one of its states, by their rows; its account has the same row in the layout."""

    entry: int
    state: int


class Demanded(Choices):
    """Choices of requests that nobody has answered yet: one that names a model may also get any of its fallbacks.

    `discounts` are the largest by provider that a commitment could take off.
    """

    def __init__(self, realised: Realised, discounts: Mapping[str, float]) -> None:
        super().__init__(realised)
        self.discounts = discounts

    def least_usd(self, route: int) -> Floats:
        """The least that an answer by a route can come to under any commitment, shape (n,)."""
        layout, one = self.realised.layout, self.routes[route]
        provider = layout.providers[layout.accounts[self.pools[one.pool].accounts[0]].provider].name
        return np.asarray(self.nano_usd[:, one.model] / 1e9 * (1 - self.discounts.get(provider, 0.0)))

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

    @cached_property
    def tier(self) -> Ints:
        """The row of each request's tier, shape (n,)."""
        layout = self.realised.layout
        names = [tier.name for tier in self.realised.bundle.tiers]
        of_group = np.array([names.index(str(group.tier)) for group in layout.tenant_groups], dtype=np.int64)
        return np.asarray(of_group[np.array(layout.tenant_group, dtype=np.int64)[self.requests["tenant"]]])


class Reach:
    """The layout of everything that may be had, with a `Seat` for each of its accounts. Raises ScenarioError."""

    def __init__(self, options: Options) -> None:
        self.options, loaded = options, options.loaded
        of_state = [_accounts(options, state) for state in range(max(len(entry.states) for entry in options.entries))]
        self.seats = tuple(
            Seat(entry=row, state=state)
            for row, entry in enumerate(options.entries) if entry.at_most for state in range(len(entry.states))
        )  # fmt: skip
        accounts = tuple(
            of_state[seat.state][seat.entry].model_copy(
                update={"name": f"{options.entries[seat.entry].name}/{seat.state}", "count": 1, "state": "active"}
            )
            for seat in self.seats
        )
        self.layout = lay_out(loaded.platform.model_copy(update={"accounts": accounts}), loaded.start_us)
        flowing = loaded.bundle.reservation.model_copy(update={"dedicated_overflow": True})
        self.bundle = loaded.bundle.model_copy(update={"reservation": flowing})
        self.faults = tuple(_everywhere(fault) for fault in loaded.faults if fault.kind == "limit_cut" and fault.factor > 1)

    def choices(self, seed: int) -> Demanded:
        """What the requests of a seed could be answered by. Raises WorkloadError or ExperimentError."""
        loaded = self.options.loaded
        requests = requests_of(loaded, self.layout, seed)
        nobody = np.zeros(len(requests), dtype=np.int64)
        return Demanded(Realised(
            layout=self.layout, bundle=self.bundle, faults=self.faults, estimation=loaded.scenario.workload.estimation, seed=seed,
            start_us=loaded.start_us, end_us=loaded.start_us + loaded.horizon_us + loaded.drain_us, requests=requests,
            deployments=nobody, sent_us=nobody, answer_nano_usd=nobody, paid_nano_usd=0, quality_pm=0,
        ), largest_discounts(loaded.scenario.plan))  # fmt: skip


def _accounts(options: Options, state: int) -> tuple[Account, ...]:
    """The scenario's accounts with the limits of their usage tier in this state, as far as they have one."""
    if state == 0:
        return options.loaded.platform.accounts
    loaded = options.loaded
    tiers = [f"accounts.{one.name}.usage_tier={one.states[state].name}" for one in options.entries if state < len(one.states)]
    return load_scenario(loaded.path, (*loaded.overrides, *tiers, "plan={}"), folders=loaded.folders).platform.accounts


def _everywhere(fault: Fault) -> Fault:
    return fault.model_copy(update={"provider": None, "account": None, "region": None})
