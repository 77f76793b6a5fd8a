"""The search finds the cheapest of all plans, and its bound is never above it: judged by simulating every plan on the same draws.

Every plan of a dozen small platforms is simulated once; the search is then given these results as it asks for them. Faults are
planted one by one in the search and in the bound: each must be caught by the same checks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.platforms import platform, written
from forge1sim.ask import Ask
from forge1sim.planning.bound import Bounds, Least, arrived_per_day, bounds_of, draws_of, pricings_of
from forge1sim.planning.finding import first_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.reach import Reach
from forge1sim.planning.search import Search
from forge1sim.planning.simulated import Prices, Promise, Simulated, Simulator, prices_of

SEEDS = (2, 3, 5, 7, 14, 16, 17, 22, 24, 25)
FOREVER = float("inf")


@dataclass(frozen=True)
class Table:
    """Every plan of a platform, simulated on the same draws."""

    options: Options
    bounds: Bounds
    prices: Prices
    all: dict[Plan, Simulated]

    @property
    def cheapest_usd(self) -> float:
        """Of all plans that keep all promises; infinite if none does."""
        return min((one.usd_per_month for one in self.all.values() if one.holds), default=FOREVER)

    def search(self) -> Search:
        """A search that gets the results it asks for. It has the bound without limits alone, so that much is left to the search."""
        fixed = np.array([self.options.fixed_usd_per_month(plan) for plan in self.options.plans])
        plain = Bounds(self.bounds.affine[:1], self.bounds.tiers)
        bounds_usd = fixed + plain.of(self.options.plans, list(self.all.values()))
        return Search(self.options, lambda plans, _seeds: [self.all[plan] for plan in plans], bounds_usd, (1, 2, 3))

    def violations(self) -> list[str]:
        """What is wrong with what the search says."""
        search = self.search()
        search.run(first_of(self.options), FOREVER, lambda _round: None)
        found = []
        if search.best_usd != self.cheapest_usd:
            found.append(f"found {search.best_usd}, the cheapest is {self.cheapest_usd}")
        if search.best is not None and not self.all[search.best.plan].holds:
            found.append("the plan found breaks a promise")
        if search.bound_usd > self.cheapest_usd:
            found.append(f"bound {search.bound_usd} is above the cheapest, {self.cheapest_usd}")
        running = self.bounds.of(self.options.plans, list(self.all.values()))
        for plan, bound_usd in zip(self.options.plans, running, strict=True):
            seen = self.all[plan]
            if not seen.impossible and bound_usd > seen.usd_per_month - seen.fixed_usd + 1e-9:
                found.append(f"{self.options.shown(plan)}: running bound {bound_usd} is above {seen.usd_per_month - seen.fixed_usd}")
        return found


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    made = []
    for seed in SEEDS:
        ask = Ask(scenario=str(written(tmp_path_factory.mktemp(f"platform{seed}"), platform(seed))))
        options = Options(ask.load())
        draws, demand = draws_of(Reach(options), (1, 2, 3))
        prices = prices_of(options.loaded, arrived_per_day(draws))
        bounds = bounds_of(demand, prices, (1, 2, 3), pricings_of(demand, prices))
        simulator = Simulator(ask=ask, options=options, prices=prices, confidence=0.95)
        found = simulator(options.plans, (1, 2, 3))
        made.append(Table(options, bounds, prices, dict(zip(options.plans, found, strict=True))))
    return made


def test_the_tables_hold_what_the_checks_need(tables: list[Table]) -> None:
    """Plans that keep all promises and plans that do not, dearer ones and cheaper ones, at most 200 a platform."""
    for table in tables:
        assert any(one.holds for one in table.all.values())
        assert len(table.all) <= 200
    assert sum(not all(one.holds for one in table.all.values()) for table in tables) >= 8
    assert sum(len(table.options.reservations) > 1 for table in tables) >= 3
    assert sum(any(entry.account.dedicated_to for entry in table.options.entries) for table in tables) >= 2


def test_the_search_finds_the_cheapest_of_all_and_its_bound_is_never_above(tables: list[Table]) -> None:
    assert {table.options.loaded.name: table.violations() for table in tables if table.violations()} == {}


def test_the_search_simulates_fewer_plans_than_there_are(tables: list[Table]) -> None:
    searches = [table.search() for table in tables]
    for table, search in zip(tables, searches, strict=True):
        search.run(first_of(table.options), FOREVER, lambda _round: None)
    assert sum(len(search.seen) for search in searches) < 0.9 * sum(len(table.all) for table in tables)


def test_more_capacity_that_breaks_a_promise_is_told(tables: list[Table]) -> None:
    """A table in which the largest plan breaks what a smaller one keeps: the search must notice."""
    table = next(one for one in tables if one.all[one.options.largest].holds)
    largest = table.options.largest
    turned = Table(table.options, table.bounds, table.prices, {**table.all, largest: _broken(table.all[largest])})
    search = turned.search()
    search.run([plan for plan in table.options.plans if table.all[plan].holds], FOREVER, lambda _round: None)
    assert search.exceptions
    assert search.exceptions[0][0] == largest


def _broken(one: Simulated) -> Simulated:
    promise = Promise(
        name="x", tier="all", metric="served_ratio", target=">= 1", mean=0, low=0, high=0, p_value=1, holds=False, kept_on_average=False
    )
    return Simulated(plan=one.plan, days=one.days, fixed_usd=one.fixed_usd, prices=one.prices, promises=(promise,))


def _cuts_upwards(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "_below", Search._above)


def _cuts_what_costs_no_more(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "_below", lambda self, row: self.bounds_usd <= self.bounds_usd[row])


def _cuts_by_the_sum_of_accounts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "_below", lambda self, row: self.at.sum(axis=1) <= self.at[row].sum())


def _stops_at_the_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "open", property(lambda self: np.zeros(len(self.plans), dtype=bool)))


def _takes_any_plan_for_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Simulated, "holds", property(lambda self: not self.impossible and sum(one.holds for one in self.promises) >= 2))


def _forgets_fees(patch: pytest.MonkeyPatch) -> None:
    whole = Search.best_usd.fget
    assert whole is not None
    patch.setattr(Search, "best_usd", property(lambda self: whole(self) - (self.best.fixed_usd if self.best else 0.0)))


def _bounds_by_what_is_dear(patch: pytest.MonkeyPatch) -> None:
    whole = Least.without
    patch.setattr(Least, "without", lambda self, own: 1.5 * whole(self, own))


FAULTS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    _cuts_upwards, _cuts_what_costs_no_more, _cuts_by_the_sum_of_accounts, _stops_at_the_first, _takes_any_plan_for_kept,
    _forgets_fees, _bounds_by_what_is_dear,
)  # fmt: skip


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__.strip("_"))
def test_planted_faults_are_caught(
    plant: Callable[[pytest.MonkeyPatch], None], tables: list[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    cheapest = [table.cheapest_usd for table in tables]
    plant(monkeypatch)
    monkeypatch.setattr(Table, "cheapest_usd", property(lambda self: cheapest[tables.index(self)]))
    monkeypatch.setattr(Table, "__eq__", object.__eq__)
    assert any(table.violations() for table in tables)
