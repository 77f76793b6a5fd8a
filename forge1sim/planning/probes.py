"""Probe clients: drawn by chance, and how large each may be before a promise breaks, by simulation.

Each probe has draws of its own, so that what is learned from the others errs about it as it errs about a client on days to come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.experiments.clairvoyant.choices import INPUT, MAX_TOKENS
from forge1sim.experiments.workers import as_finished
from forge1sim.planning.client import Busy, Client, at_rate, client_node, rate_per_s, with_client
from forge1sim.planning.simulated import Day, Promise, day_of, promises_of
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.schema import ScenarioTenants
from forge1sim.workload.spec import AUTO_NAME, Demand, Diurnal

PROBE_SEEDS = 5_000_000             # above the seeds of searches and of their verification
NAME = "client-that-asks"
SMALLEST, LARGEST = 0.005, 4.0      # size of probes over all that the scenario's tenants ask for
NEAR_ENOUGH = 1.2                   # ratio of the smallest size that breaks to the largest that holds
FIRST_STEP = 2.0
FIRST_DRAWS = 3                     # as many as a test of means needs; the others only where these leave doubt
_LIMITS = ("requests_per_min", "tokens_per_min", "budget_usd_per_month", "request_budget_usd")
OnRound = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A client, by what decides how much of it fits. All promises hold at load `holds`, and not at `breaks`; infinite, or 0, if unknown."""

    tier: str
    wishes: dict[str, float]
    input_tokens: float
    output_tokens: float
    load_per_request: float
    holds: float
    breaks: float
    broken: str


def typical(loaded: LoadedScenario, tier: str) -> ScenarioTenants:
    """The largest group of a tier, or of all where the tier has none, as a single tenant of that tier without limits of its own.

    Raises PlanError where no group says what it asks for.
    """
    groups = [one for one in loaded.groups if one.demand is not None]
    mine = [one for one in groups if one.tier == tier] or groups
    if not mine:
        raise PlanError("no tenant group has demand, so nothing says what clients are like; give one `demand`")
    largest = max(mine, key=rate_per_s)
    free = dict.fromkeys(_LIMITS)
    fields = largest.model_dump(exclude_unset=True, exclude={"demand", "contract_usd_per_month"})
    return ScenarioTenants.model_validate({**fields, **free, "name": NAME, "tier": tier, "count": 1, "demand": largest.demand})


def drawn(loaded: LoadedScenario, rng: np.random.Generator) -> ScenarioTenants:
    """A client by chance: tier, what it asks for, tokens within a factor of four of the tier's typical, peak, number of tenants."""
    tier = str(rng.choice(sorted({str(one.tier) for one in loaded.groups})))
    group = typical(loaded, tier)
    assert group.demand is not None
    demand = group.demand
    names = [model.name for model in loaded.platform.models]
    kind, named, share = rng.random(), str(rng.choice(names)), round(float(rng.uniform(0.1, 0.6)), 2)
    wishes = {AUTO_NAME: 1.0} if kind < 0.5 else {named: 1.0} if kind < 0.8 else {AUTO_NAME: 1 - share, named: share}
    more_in, more_out = (float(4.0 ** rng.uniform(-1, 1)) for _ in range(2))
    peak = Diurnal(peak_over_mean=round(float(rng.uniform(1, 3)), 2), peak_hour=round(float(rng.uniform(0, 24)), 1))
    changes: dict[str, Any] = {
        "models": wishes, "diurnal": peak, "zipf": 0.0,
        "input_tokens": demand.input_tokens.model_copy(update={"mean": demand.input_tokens.mean * more_in}),
        "output_tokens": demand.output_tokens.model_copy(update={"mean": demand.output_tokens.mean * more_out}),
        "max_output_tokens": round(demand.max_output_tokens * more_out),
    }  # fmt: skip
    changed = Demand.model_validate({**demand.model_dump(exclude_unset=True), **changes})
    return group.model_copy(update={"demand": changed, "count": int(rng.choice([1, 3, 10, 30]))})


@dataclass
class Trial:
    """A probe under way: sizes over what the scenario's tenants ask for."""

    ask: Ask
    loaded: LoadedScenario
    client: Client
    busy: Busy
    seeds: range
    holds: float = 0.0
    breaks: float = inf
    at: float = 0.3
    broken: str = ""

    @property
    def over(self) -> bool:
        """Whether its threshold is known well enough, or lies outside of what is looked at."""
        known = self.breaks < self.holds * NEAR_ENOUGH
        return known or self.breaks <= SMALLEST or self.holds >= LARGEST

    def group_at(self, size: float) -> ScenarioTenants:
        """The client at a size: its mean until the horizon over that of all tenants."""
        return at_rate(self.client.group, size * self.busy.requests_per_s / float(self.client.factors.mean()))

    def asks(self) -> list[Ask]:
        """The next runs."""
        return asks_of(self.ask, self.loaded, self.group_at(self.at), self.seeds)

    def note(self, promises: Sequence[Promise]) -> None:
        """Draw the conclusion, and choose the next size."""
        if all(one.holds for one in promises):
            self.holds = self.at
        else:
            self.breaks, self.broken = self.at, max(promises, key=lambda one: one.p_value).name
        if self.holds == 0:
            self.at = max(SMALLEST, self.breaks / FIRST_STEP)
        elif self.breaks == inf:
            self.at = min(LARGEST, self.holds * FIRST_STEP)
        else:
            self.at = (self.holds * self.breaks) ** 0.5

    def load_at(self, size: float) -> float:
        """The client's load at a size."""
        rate = size * self.busy.requests_per_s / float(self.client.factors.mean())
        return self.busy.with_load(rate * self.client.load_per_request(self.busy) * self.client.factors)

    def probe(self) -> Probe:
        """What was found."""
        breaks = self.load_at(self.breaks) if isfinite(self.breaks) else inf
        return probe_of(self.client, self.busy, holds=self.load_at(self.holds), breaks=breaks, broken=self.broken)


def probe_of(client: Client, busy: Busy, *, holds: float = 0.0, breaks: float = inf, broken: str = "") -> Probe:
    """A client by what decides how much of it fits: tokens are means over its requests, output as it is reserved."""
    inputs = float(client.choices.uses(INPUT).mean())
    return Probe(
        tier=client.tier, wishes=client.wishes, input_tokens=inputs, output_tokens=float(client.choices.uses(MAX_TOKENS).mean()) - inputs,
        load_per_request=client.load_per_request(busy), holds=holds, breaks=breaks, broken=broken,
    )  # fmt: skip


def probed(
    ask: Ask, loaded: LoadedScenario, busy: Busy, count: int, draws: int, *, workers: int | None, backend: str, on_round: OnRound
) -> list[Probe]:
    """`count` probes, each on `draws` draws of its own. Raises PlanError for a run that fails."""
    rng = np.random.default_rng(loaded.seed)
    trials: list[Trial] = []
    while len(trials) < count:
        group = drawn(loaded, rng)
        client = Client.of(ask, client_node(at_rate(group, busy.requests_per_s), "probe"))
        if client.answerable.mean() > 0.99:
            first = ask.seed + PROBE_SEEDS + len(trials) * draws
            trials.append(Trial(ask=ask, loaded=loaded, client=client, busy=busy, seeds=range(first, first + draws)))
    while left := [one for one in trials if not one.over]:
        on_round(count - len(left), count)
        for trial, promises in zip(left, verdicts(loaded, [one.asks() for one in left], workers, backend), strict=True):
            trial.note(promises)
    return [trial.probe() for trial in trials]


def asks_of(ask: Ask, loaded: LoadedScenario, group: ScenarioTenants, seeds: Sequence[int]) -> list[Ask]:
    """The scenario with a client on each seed."""
    overrides = (*ask.overrides, with_client(loaded, group))
    return [replace(ask, overrides=overrides, seed=seed) for seed in seeds]


def verdicts(loaded: LoadedScenario, wanted: Sequence[Sequence[Ask]], workers: int | None, backend: str) -> list[tuple[Promise, ...]]:
    """The promises of each, over its asks. After FIRST_DRAWS of them it is over where all promises hold already, or one broke on each.

    Raises PlanError for a run that fails.
    """
    days: list[list[Day]] = [[] for _ in wanted]
    for first, last in ((0, FIRST_DRAWS), (FIRST_DRAWS, None)):
        left = [row for row in range(len(wanted)) if not days[row] or not _settled(loaded, days[row])]
        seen = iter(days_of([one for row in left for one in wanted[row][first:last]], workers, backend))
        for row in left:
            days[row] += [next(seen) for _ in wanted[row][first:last]]
    return [promises_of(loaded, one, loaded.scenario.plan.confidence) for one in days]


def _settled(loaded: LoadedScenario, days: Sequence[Day]) -> bool:
    """Whether more draws would hardly change the verdict."""
    if all(one.holds for one in promises_of(loaded, days, loaded.scenario.plan.confidence)):
        return True
    for row, slo in enumerate(loaded.slos):
        seen = [day.slo[row] for day in days]
        if all(value < slo.at_least if slo.at_least is not None else value > (slo.at_most or 0.0) for value in seen):
            return True
    return False


def days_of(asks: Sequence[Ask], workers: int | None, backend: str) -> list[Day]:
    """One day of each ask, in order. Raises PlanError for a run that fails."""
    days: list[Day | None] = [None] * len(asks)
    for done in as_finished(asks, workers=workers, backend=backend, work=day_of):
        if done.value is None:
            raise PlanError(f"a probe with seed {done.ask.seed} cannot be simulated: {done.failure}")
        days[done.number] = done.value
    return [day for day in days if day is not None]
