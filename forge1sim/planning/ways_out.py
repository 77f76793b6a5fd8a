"""Where no plan of the terms keeps all promises: which of what is asked conflicts, and the ways out, each simulated on the same draws.

A promise conflicts with the bound on accounts of an entry if more of these alone would keep it, all other entries at their most. Where
none alone would, but all together, it conflicts with all bounds together; else with what accounts do not change. Ways out are priced as
plans are, refusals included, so that a promise that is lowered is not free.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import PlanError
from forge1sim.planning.finding import FRESH_SEEDS
from forge1sim.planning.infeasible import Broken, Conflict, Infeasible, WayOut
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.scaling import demand_times
from forge1sim.planning.search import Search
from forge1sim.planning.simulated import Promise, Simulated, Simulator

MOST_ENTRIES, DOUBLINGS = 8, 5      # entries of which more are tried, those of the lowest fees; up to 16 accounts more of each
_DEMAND_HALVINGS = 5
NOT_ACCOUNTS = "what no number of accounts changes: deadlines, speed and quality of models, clients' own limits, or a limit that stays"


def infeasible_of(search: Search, simulator: Simulator, fresh: Simulator) -> Infeasible:
    """Look for conflicts and ways out by further simulations; `fresh` simulates fresh days. Raises PlanError if nothing can be at all."""
    tried = [one for row, one in search.seen.items() if not one.impossible and not search.refused[row]]
    if not tried:
        raise PlanError(_nothing(search))
    look = _Look(search, simulator, fresh, tried)
    closest = look.closest
    ways = [*look.more_accounts(), *look.lower_promises(), *look.less_demand(), *look.wider_bounds()]
    return Infeasible(
        closest=search.options.shown(closest.plan), closest_usd_per_month=closest.usd_per_month, broken=tuple(look.broken),
        over=closest.over, conflicts=tuple(look.conflicts()), ways_out=tuple(sorted(ways, key=lambda one: one.usd_per_month)),
        left=int(search.open.sum()),
    )  # fmt: skip


def _how_close(one: Simulated) -> tuple[float, ...]:
    """The lowest is closest: of those that only cost too much the cheapest, of the others the largest."""
    missing = _missing(one)
    return (missing, len(one.over), -sum(one.plan.counts) if missing else one.usd_per_month)


def _missing(one: Simulated) -> int:
    return sum(not promise.holds for promise in (*one.promises, *one.after_losses))


def _nothing(search: Search) -> str:
    if not search.refused.any():
        return f"no plan of the terms can be simulated; the first: {next(iter(search.seen.values())).impossible}"
    return "every plan that kept all promises on the draws broke one on fresh ones; raise plan.draws, so that fewer look good by luck"


class _Look:
    """Simulations about the closest of the plans that were tried."""

    def __init__(self, search: Search, simulator: Simulator, fresh: Simulator, tried: Sequence[Simulated]) -> None:
        self.search, self.simulator, self.fresh, self.tried = search, simulator, fresh, tried
        self.closest = closest = min(tried, key=_how_close)
        self.options: Options = search.options
        counts = tuple(max(count, entry.at_most) for count, entry in zip(closest.plan.counts, self.options.entries, strict=True))
        self.base = Plan(counts=counts, states=self.options.largest.states, reservation=closest.plan.reservation)
        promises = [one for one in (*closest.promises, *closest.after_losses) if not one.holds]
        self.broken = [
            Broken(name=one.name, tier=one.tier, metric=one.metric, target=one.target, comes_to=one.mean) for one in promises
        ]
        self.kept_by: dict[str, set[int]] = {one.name: set() for one in self.broken}
        self.kept_by_all: set[str] = set()

    def _kept_with(self, one: Simulated) -> set[str]:
        """Of the broken promises those that hold there."""
        kept = {promise.name for promise in one.promises if promise.holds} & self.kept_by.keys()
        return kept - {promise.name for promise in one.after_losses if not promise.holds}

    def more_accounts(self) -> list[WayOut]:
        """The fewest more of each entry alone that keep all promises; where none does, so many more of all."""
        everything = range(len(self.options.entries))
        if not self.broken or not self._kept_with(self._with_more(everything, 2 ** (DOUBLINGS - 1))):
            return []                   # what so many more of all do not keep, more of one does not
        rows = sorted(range(len(self.options.entries)), key=lambda row: self.options.entries[row].states[0].usd_per_month)[:MOST_ENTRIES]
        found = [way for row in rows if (way := self._fewest_more([row])) is not None]
        if not all(self.kept_by.values()):
            together = self._fewest_more(everything)
            found += [together] if together is not None and not found else []
        return found

    def _fewest_more(self, rows: Sequence[int]) -> WayOut | None:
        too_few, enough = 0, None
        for more in (2**power for power in range(DOUBLINGS)):
            one = self._with_more(rows, more)
            if one.keeps_promises:
                enough = (more, one)
                break
            too_few = more
        while enough is not None and enough[0] - too_few > 1:
            between = (enough[0] + too_few) // 2
            one = self._with_more(rows, between)
            too_few, enough = (too_few, (between, one)) if one.keeps_promises else (between, enough)
        if enough is None or enough[1].over:
            return None
        more = enough[0]
        names = [f"{self.options.entries[row].name} (at_most {self.base.counts[row] + more})" for row in rows]
        setting = "at_most and permission in plan.accounts"
        words = f"{more} more of {', '.join(names)}, with the provider's permission"
        return WayOut(words=words, setting=setting, usd_per_month=enough[1].usd_per_month, keeps_promises=True)

    def _with_more(self, rows: Sequence[int], more: int) -> Simulated:
        counts = tuple(count + more * (row in rows) for row, count in enumerate(self.base.counts))
        plan = Plan(counts=counts, states=self.base.states, reservation=self.base.reservation)
        one = self.simulator([plan], self.search.seeds)[0]
        for name in self._kept_with(one):
            if len(rows) == 1:
                self.kept_by[name].add(rows[0])
            else:
                self.kept_by_all.add(name)
        return one

    def lower_promises(self) -> list[WayOut]:
        """Broken promises lowered to what a plan is sure to keep, on fresh days too: the closest of those that are over no bound."""
        within = [one for one in self.tried if not one.over and all(promise.holds for promise in one.after_losses)]
        one = min(within, key=_how_close, default=None)
        if one is None:
            return []
        slos, chance = self.options.loaded.slos, 1 - self.simulator.confidence
        first = self.fresh.ask.seed + FRESH_SEEDS
        fresh = self.fresh([one.plan], range(first, first + self.options.loaded.scenario.plan.fresh_draws))[0]
        targets = []
        for row, slo in enumerate(slos):
            if not (one.promises[row].holds and fresh.promises[row].holds):
                seen = [np.array([day.slo[row] for day in of.days]) for of in (one, fresh)]
                if any(np.isnan(values).any() for values in seen):
                    return []
                field, most = ("at_least", min) if slo.at_least is not None else ("at_most", max)
                targets.append((slo.name, field, most(sure_target(values, field, chance, len(slos)) for values in seen)))
        words = ", ".join(f"{name!r} {field} {target:.4g}" for name, field, target in targets)
        setting = "; ".join(f"slos.{name}.{field}={target:.4g}" for name, field, target in targets)
        shown, usd = self.options.shown(one.plan), one.usd_per_month
        return [WayOut(words=f"promise less: {words}, with {shown}", setting=setting, usd_per_month=usd, keeps_promises=False)]

    def less_demand(self) -> list[WayOut]:
        """The largest share of demand with which everything that may be had keeps all promises."""
        if not self.broken:
            return []
        low, high, kept = 0.0, 1.0, None
        for _ in range(_DEMAND_HALVINGS):
            share = (low + high) / 2
            try:
                one = self.simulator.changed([(self.base, demand_times(self.options.loaded, share))], self.search.seeds)[0]
            except PlanError:           # clients whose rate is as published
                return []
            low, high, kept = (share, high, one) if one.keeps_promises else (low, share, kept)
        if kept is None or kept.over:
            return []
        prices = self.simulator.prices
        arrived = np.mean([day.arrived for day in self.closest.days], axis=0)
        lost_usd = (1 - low) * float(arrived @ np.array(prices.refusal_usd)) * prices.days_per_month
        words, usd = f"turn away {1 - low:.0%} of all demand, at the price of refusals", kept.usd_per_month + lost_usd
        return [WayOut(words=words, setting=f"demand times {low:.4g}", usd_per_month=usd, keeps_promises=False)]

    def wider_bounds(self) -> list[WayOut]:
        """Budget, share of a provider and losses to survive: given up where a simulated plan keeps all promises but for them."""
        found = []
        over = min((one for one in self.tried if one.keeps_promises and one.over), key=lambda one: one.usd_per_month, default=None)
        if over is not None:
            words = f"wider bounds, for {self.options.shown(over.plan)}: {'; '.join(over.over)}"
            names = {"budget_usd_per_month": "over the budget", "most_share_per_provider": "of all answers by"}
            setting = "; ".join(f"plan.{name}=null" for name, said in names.items() if any(said in why for why in over.over))
            found.append(WayOut(words=words, setting=setting, usd_per_month=over.usd_per_month, keeps_promises=True))
        lost = [one for one in self.tried if not one.over and all(promise.holds for promise in one.promises) and not one.keeps_promises]
        if lost:
            best = min(lost, key=lambda one: one.usd_per_month)
            words = f"survive no loss: {self.options.shown(best.plan)}"
            found.append(WayOut(words=words, setting="plan.survive=[]", usd_per_month=best.usd_per_month, keeps_promises=False))
        return found

    def conflicts(self) -> list[Conflict]:
        """One for each broken promise, and one for what is over a bound."""
        entries, found = self.options.entries, []
        for one in self.broken:
            alone = sorted(self.kept_by[one.name])
            bounds = [_at_most(self.base.counts[row], entries[row].name) for row in alone]
            if not bounds:
                bounds = ["at most so many accounts of every entry" if one.name in self.kept_by_all else NOT_ACCOUNTS]
            found.append(Conflict(requirements=(one.shown(), *bounds), any_one=bool(alone or one.name in self.kept_by_all)))
        if self.closest.over and not self.broken:
            promises = [_words(one) for one in self.closest.promises]
            found.append(Conflict(requirements=(*self.closest.over, *promises), any_one=False))
        return found


def _at_most(count: int, name: str) -> str:
    return f"at most {count} account{'s' * (count != 1)} of {name}"


def _words(one: Promise) -> str:
    return f"{one.name!r} ({one.tier}.{one.metric} {one.target})"


def sure_target(values: NDArray[np.float64], field: str, chance: float, promises: int) -> float:
    """A target that days like these keep: by a one-sided t-test at `chance` over all promises (Bonferroni, so Holm holds as well).

    `values`, shape (days,), is what was seen of the promise. Rounded to four digits on the safe side.
    """
    from scipy import stats

    mean, spread = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
    half = float(stats.t.ppf(1 - chance / promises, len(values) - 1)) * spread / len(values) ** 0.5 if spread else 0.0
    sure = mean - half if field == "at_least" else mean + half
    digits = 10.0 ** (3 - int(np.floor(np.log10(abs(sure))))) if sure else 1.0
    rounded = np.floor(sure * digits) if field == "at_least" else np.ceil(sure * digits)
    return max(0.0, float(rounded / digits))
