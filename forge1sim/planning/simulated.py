"""What a plan comes to in simulation: money and promises, day by day, on the same draws for every plan."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.experiments.workers import as_finished
from forge1sim.metrics.static import MONTH_US
from forge1sim.planning.commitments import added_usd, cheapest
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.problem import Commitment
from forge1sim.planning.spending import Spent, spent_of_flows
from forge1sim.planning.survival import Loss, override_of
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.terms import PlanTerms
from forge1sim.statistics.corrections import adjusted
from forge1sim.statistics.means import is_constant
from policies.log import CALLER_FAULT, NOT_ELIGIBLE, REQUEST_BUDGET, TENANT_BUDGET, TENANT_LIMIT, TOO_LARGE

if TYPE_CHECKING:
    from forge1sim.run import RunResult

T = TypeVar("T")
Floats = NDArray[np.float64]
OWN_REASONS = (TENANT_LIMIT, TENANT_BUDGET, REQUEST_BUDGET, NOT_ELIGIBLE, TOO_LARGE, CALLER_FAULT)
"""Refusals that the client's own contract or request asks for: no capacity would change them."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """One replication of a plan.

    `refused`, by tier, are requests that capacity refused, let expire or never got to; `own` those refused for the client's own limits
    or budgets. `slo` holds what was seen of each promise, NaN for nothing, in the scenario's order. `served` counts answers by
    provider, `usd_by_provider` is its tokens at list price; what ends in `_by_tier` is of the answered, with what their attempts cost;
    `usd_by_account` is what was paid for tokens, by account, `spent` the same by tier and model with what was bought for it.
    """

    arrived: tuple[int, ...]
    refused: tuple[int, ...]
    own: tuple[int, ...]
    tokens_usd: float
    slo: tuple[float, ...]
    served: dict[str, int]
    usd_by_provider: dict[str, float] = field(default_factory=dict)
    served_by_tier: tuple[int, ...] = ()
    usd_by_tier: tuple[float, ...] = ()
    tokens_by_tier: tuple[int, ...] = ()
    usd_by_account: dict[str, float] = field(default_factory=dict)
    spent: tuple[Spent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A promise over all days: their mean, and how likely days so good are if it does not hold (Holm over all promises).

    `kept_on_average`: the mean is inside what was promised, if only by luck.
    """

    name: str
    tier: str
    metric: str
    target: str
    mean: float
    low: float
    high: float
    p_value: float
    holds: bool
    kept_on_average: bool


@dataclass(frozen=True, kw_only=True)
class Survived:
    """The promises to a tier on days on which something is lost."""

    loss: Loss
    promises: tuple[Promise, ...]


@dataclass(frozen=True, kw_only=True)
class Prices:
    """How a day becomes money per month: `refusal_usd` by tier, and how many such days a month has."""

    refusal_usd: tuple[float, ...]
    days_per_month: float

    def running(self, day: Day) -> float:
        """Tokens and refusals of a month of such days, in USD."""
        return self.days_per_month * (day.tokens_usd + self.refusals(day))

    def refusals(self, day: Day) -> float:
        """What a day's refusals are worth, in USD."""
        return float(np.dot(day.refused, self.refusal_usd))


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A plan on its draws, with its costs per month and the promises.

    `impossible` says why it cannot be simulated at all, `over` what it has too much of: cost, or of one provider. Losses are simulated
    only where the promises hold without them.
    """

    plan: Plan
    days: tuple[Day, ...]
    fixed_usd: float
    prices: Prices
    promises: tuple[Promise, ...]
    impossible: str = ""
    over: tuple[str, ...] = ()
    survived: tuple[Survived, ...] = ()
    taken: tuple[Commitment, ...] = ()

    @property
    def keeps_promises(self) -> bool:
        """Whether all promises hold together, in every loss that must be survived as well."""
        return not self.impossible and all(one.holds for one in (*self.promises, *self.after_losses))

    @property
    def after_losses(self) -> tuple[Promise, ...]:
        """The promises of all losses that were simulated: those to the tier in question."""
        return tuple(promise for one in self.survived for promise in one.promises)

    @property
    def holds(self) -> bool:
        """Whether all promises hold together, within budget and the largest share of a provider."""
        return self.keeps_promises and not self.over

    @cached_property
    def running_usd(self) -> Floats:
        """Tokens and refusals per month, by day, with what commitments add to it or take off."""
        at_list = np.array([self.prices.running(day) for day in self.days])
        return at_list + added_usd(self.taken, list_usd_of(self.days, self.prices.days_per_month))

    @property
    def commitments_usd(self) -> float:
        """What commitments add to tokens at list price (below 0: save) per month."""
        return float(np.mean(added_usd(self.taken, list_usd_of(self.days, self.prices.days_per_month))))

    @property
    def tokens_usd(self) -> float:
        """Tokens per month, at list price."""
        return self.prices.days_per_month * float(np.mean([day.tokens_usd for day in self.days]))

    @property
    def refusals_usd(self) -> float:
        """Priced refusals per month."""
        return self.prices.days_per_month * float(np.mean([self.prices.refusals(day) for day in self.days]))

    @property
    def usd_per_month(self) -> float:
        """Fees, tokens and priced refusals; infinite where it cannot be simulated."""
        return float("inf") if self.impossible else self.fixed_usd + float(self.running_usd.mean())

    @property
    def worst(self) -> Promise | None:
        """The promise that is least sure to hold."""
        return max(self.promises, key=lambda one: (not one.holds, one.p_value), default=None)


def list_usd_of(days: Sequence[Day], days_per_month: float) -> dict[str, Floats]:
    """Months of such days by provider, at list price, shape (days,)."""
    providers = {provider for day in days for provider in day.usd_by_provider}
    return {one: days_per_month * np.array([day.usd_by_provider.get(one, 0.0) for day in days]) for one in providers}


def day_of(ask: Ask) -> Day:
    """Simulate one replication. Raises ScenarioError, WorkloadError or RunError."""
    from forge1sim.run import simulate

    return day_from(simulate(ask.load(), driver=ask.driver, seed=ask.seed, hash_log=False))


def day_from(result: "RunResult") -> Day:
    """What a replication came to."""
    from forge1sim.metrics import columns as c
    from forge1sim.metrics.interval_tables import flow_table
    from forge1sim.metrics.tables import TENANT, tier_counts

    tiers = result.metrics.state.tier
    ends = tiers[:, c.TIER_UNSERVED :].reshape(len(tiers), len(c.UNSERVED_KINDS), c.REASONS)[:, :2].sum(axis=1)
    own = ends[:, OWN_REASONS].sum(axis=1)
    counts = tier_counts(result.metrics)
    arrived, served, usd = (counts[:, TENANT(name)] for name in ("arrived", "served", "cost_nano_usd"))
    still = arrived - served - sum(counts[:, TENANT(name)] for name in ("rejected", "expired", "cancelled"))
    tokens = counts[:, TENANT("input_tokens")] + counts[:, TENANT("output_tokens")]
    return Day(
        arrived=tuple(arrived.tolist()), refused=tuple((ends.sum(axis=1) - own + still).tolist()), own=tuple(own.tolist()),
        tokens_usd=result.summary["cost_usd"], slo=tuple(_seen(slo) for slo in result.slos),
        served=_by_provider(result.summary["accounts"].values(), "served"),
        usd_by_provider=_by_provider(result.summary["accounts"].values(), "cost_usd"), served_by_tier=tuple(served.tolist()),
        usd_by_tier=tuple((usd / 1e9).tolist()), tokens_by_tier=tuple(tokens.tolist()),
        usd_by_account={name: row["cost_nano_usd"] / 1e9 for name, row in result.summary["accounts"].items()},
        spent=spent_of_flows(flow_table(result.metrics)),
    )  # fmt: skip


def mean_of(days: Sequence[Day], field: str) -> Floats:
    """Mean over days of one of their fields, by tier."""
    return np.asarray(np.mean([getattr(day, field) for day in days], axis=0), dtype=np.float64)


def _by_provider(accounts: Iterable[Mapping[str, Any]], column: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for account in accounts:
        found[account["provider"]] = found.get(account["provider"], 0) + account[column]
    return found


def _seen(slo: Mapping[str, Any]) -> float:
    """What was seen; where nothing was measured, the target if that counts as kept, else NaN."""
    if slo["value"] is not None:
        return float(slo["value"])
    target = slo["at_least"] if slo["at_least"] is not None else slo["at_most"]
    return float(target) if slo["met"] else float("nan")


class Evaluate(Protocol):
    """Simulates plans."""

    def __call__(self, plans: Sequence[Plan], seeds: Sequence[int]) -> list[Simulated]:
        """Each plan on each seed, in the order of the plans."""
        ...


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Simulates plans of a scenario in parallel. Promises hold together at `confidence`.

    `taken` are the commitments that each plan pays; None: those that make it cheapest.
    """

    ask: Ask
    options: Options
    prices: Prices
    confidence: float
    losses: tuple[Loss, ...] = ()
    taken: tuple[Commitment, ...] | None = None
    workers: int | None = None
    backend: str = "processes"

    def __call__(self, plans: Sequence[Plan], seeds: Sequence[int]) -> list[Simulated]:
        """See Evaluate. A plan that the scenario's own checks refuse is impossible. Raises PlanError for a run that fails otherwise."""
        impossible = [self.why_not(plan) for plan in plans]
        able = [plan for plan, why in zip(plans, impossible, strict=True) if not why]
        days = dict(zip(able, self.each([(plan, ()) for plan in able], seeds, day_of), strict=True))
        found = [self._simulated(plan, days.get(plan, ()), why) for plan, why in zip(plans, impossible, strict=True)]
        return self._with_losses(found, seeds) if self.losses else found

    def changed(self, wanted: Sequence[tuple[Plan, tuple[str, ...]]], seeds: Sequence[int]) -> list[Simulated]:
        """Plans under further `path=value` changes of the scenario, losses left out. Raises ScenarioError or PlanError."""
        days = self.each(wanted, seeds, day_of)
        return [self._simulated(plan, of_plan, "") for (plan, _), of_plan in zip(wanted, days, strict=True)]

    def _with_losses(self, found: Sequence[Simulated], seeds: Sequence[int]) -> list[Simulated]:
        """The same, with what must be survived, for plans that keep all promises without it."""
        at = [
            (row, loss, override)
            for row, one in enumerate(found) if one.holds
            for loss in self.losses if (override := override_of(self.options, one.plan, loss)) is not None
        ]  # fmt: skip
        days = self.each([(found[row].plan, (override,)) for row, _, override in at], seeds, day_of)
        survived: dict[int, list[Survived]] = {}
        for (row, loss, _), seen in zip(at, days, strict=True):
            promises = promises_of(self.options.loaded, seen, self.confidence, tier=loss.tier)
            survived.setdefault(row, []).append(Survived(loss=loss, promises=promises))
        return [replace(one, survived=tuple(survived.get(row, ()))) for row, one in enumerate(found)]

    def each(self, wanted: Sequence[tuple[Plan, tuple[str, ...]]], seeds: Sequence[int], work: Callable[[Ask], T]) -> list[tuple[T, ...]]:
        """What `work` (importable) makes of plans under overrides on each seed. Raises PlanError for a run that fails."""
        asks = [self._ask(plan, seed, overrides) for plan, overrides in wanted for seed in seeds]
        values: list[T | None] = [None] * len(asks)
        for done in as_finished(asks, workers=self.workers, backend=self.backend, work=work):
            if done.value is None:
                raise PlanError(f"{self.options.shown(wanted[done.number // len(seeds)][0])}, seed {done.ask.seed}: {done.failure}")
            values[done.number] = done.value
        made = [value for value in values if value is not None]
        return [tuple(made[first : first + len(seeds)]) for first in range(0, len(made), len(seeds))]

    def _ask(self, plan: Plan, seed: int, overrides: tuple[str, ...] = ()) -> Ask:
        return replace(self.ask, overrides=(*self.ask.overrides, *self.options.overrides(plan), *overrides), seed=seed)

    def why_not(self, plan: Plan, overrides: tuple[str, ...] = ()) -> str:
        """Why the scenario's own checks refuse a plan; empty where they do not."""
        from forge1sim.errors import ScenarioError

        try:
            self._ask(plan, self.ask.seed, overrides).load()
        except ScenarioError as error:
            return error.problems[0]
        return ""

    def _simulated(self, plan: Plan, days: tuple[Day, ...], why: str) -> Simulated:
        fixed_usd, loaded = self.options.fixed_usd_per_month(plan), self.options.loaded
        if why:
            return Simulated(plan=plan, days=(), fixed_usd=fixed_usd, prices=self.prices, promises=(), impossible=why)
        taken = self.taken
        if taken is None:
            taken = cheapest(loaded.scenario.plan, list_usd_of(days, self.prices.days_per_month))
        promises = promises_of(loaded, days, self.confidence)
        found = Simulated(plan=plan, days=days, fixed_usd=fixed_usd, prices=self.prices, promises=promises, taken=taken)
        return replace(found, over=tuple(_too_much(loaded.scenario.plan, found)))


def _too_much(terms: PlanTerms, one: Simulated) -> Iterator[str]:
    """What the plan has too much of."""
    paid_usd = one.fixed_usd + one.tokens_usd + one.commitments_usd
    if terms.budget_usd_per_month is not None and paid_usd > terms.budget_usd_per_month:
        yield f"{paid_usd:,.0f} USD a month, over the budget of {terms.budget_usd_per_month:,.0f}"
    served = sum((Counter(day.served) for day in one.days), Counter[str]())
    most = terms.most_share_per_provider
    for provider, count in served.items():
        share = count / max(1, served.total())
        if most is not None and share > most:
            yield f"{share:.1%} of all answers by {provider}, more than {most:.1%}"


def promises_of(loaded: LoadedScenario, days: Sequence[Day], confidence: float, *, tier: str | None = None) -> tuple[Promise, ...]:
    """Each promise (to `tier`) over the days: a one-sided t-test of its mean, corrected by Holm, so that all hold at `confidence`."""
    rows = [row for row, slo in enumerate(loaded.slos) if tier in (None, slo.tier)]
    slos = [loaded.slos[row] for row in rows]
    if not slos:
        return ()
    seen = np.array([day.slo for day in days])[:, rows]
    signs = np.array([1.0 if slo.at_least is not None else -1.0 for slo in slos])
    targets = np.array([slo.at_least if slo.at_least is not None else slo.at_most for slo in slos], dtype=np.float64)
    p_values = adjusted([_p_value(sign * (values - target)) for values, sign, target in zip(seen.T, signs, targets, strict=True)])
    found = []
    for slo, values, target, sign, p_value in zip(slos, seen.T, targets, signs, p_values, strict=True):
        low, high = _two_sided(values, confidence)
        holds = bool(p_value <= 1 - confidence)
        found.append(Promise(
            name=slo.name, tier=slo.tier, metric=slo.metric, target=f"{'>=' if sign > 0 else '<='} {target:g}", mean=float(values.mean()),
            low=low, high=high, p_value=float(p_value), holds=holds, kept_on_average=bool(sign * (values.mean() - target) >= 0),
        ))  # fmt: skip
    return tuple(found)


def _p_value(margins: Floats) -> float:
    """How likely days so far inside a promise are, if their mean is outside: one-sided t; 1 where a day measured nothing."""
    from scipy import stats

    if np.isnan(margins).any():
        return 1.0
    if len(margins) < 2 or is_constant(margins):
        return 0.0 if float(margins.min()) >= 0 else 1.0
    return float(stats.ttest_1samp(margins, 0.0, alternative="greater").pvalue)


def _two_sided(values: Floats, confidence: float) -> tuple[float, float]:
    from forge1sim.statistics.means import mean_interval

    interval = mean_interval(values, confidence)
    mean = float(values.mean())
    return (interval.low, interval.high) if interval.trusted else (mean, mean)


def prices_of(loaded: LoadedScenario, arrived: Sequence[float]) -> Prices:
    """What refusals cost by the terms: at least what a tier's contracts pay for each of its requests, `arrived` of them on a day.

    Raises PlanError for a price below that.
    """
    days_per_month = MONTH_US / loaded.horizon_us
    found = []
    for row, tier in enumerate(loaded.bundle.tiers):
        monthly = sum(group.count * group.contract_usd_per_month for group in loaded.groups if group.tier == tier.name)
        requests = days_per_month * arrived[row]
        revenue = monthly / requests if requests > 0 else 0.0
        price = loaded.scenario.plan.refusal_usd.get(tier.name, revenue)
        if price < revenue * (1 - 1e-9):
            raise PlanError(
                f"plan.refusal_usd.{tier.name} is {price:g}, less than the {revenue:.4g} USD that contracts of this tier pay per request; "
                f"leave it out, or give more"
            )
        found.append(price)
    return Prices(refusal_usd=tuple(found), days_per_month=days_per_month)
