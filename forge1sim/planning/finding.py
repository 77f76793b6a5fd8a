"""The search for the cheapest plan of one scenario, from its terms to the last round: draws, bounds, proposals, rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forge1sim.ask import Ask
from forge1sim.planning.bound import Bounds, Draw, arrived_per_day, bounds_of, draws_of, pricings_of
from forge1sim.planning.demand import Demand
from forge1sim.planning.options import MOST_PLANS, Options, Plan
from forge1sim.planning.proposed import proposals_of
from forge1sim.planning.reach import Reach
from forge1sim.planning.search import Round, Search
from forge1sim.planning.simulated import Prices, Simulator, prices_of
from forge1sim.planning.survival import losses_of

FRESH_SEEDS = 3_000_000             # above the seeds of replications, searches and their proofs
OnRound = Callable[[Round], None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A search that is over, with what it rested on. `after` is to be called after every further round."""

    ask: Ask
    search: Search
    simulator: Simulator
    draws: tuple[Draw, ...]
    demand: Demand
    bounds: Bounds
    after: OnRound


def find(
    ask: Ask, *, until_s: float, workers: int | None = None, backend: str = "processes", on_round: OnRound = lambda _: None,
    prices: Prices | None = None,
) -> Found:  # fmt: skip
    """Search until no plan is left that could be cheaper, or `time.perf_counter()` says `until_s`.

    Refusals are priced as `prices` say, else as this scenario's terms do. Raises PlanError, ScenarioError or WorkloadError.
    """
    loaded = ask.load()
    options, terms = Options(loaded), loaded.scenario.plan
    seeds = range(ask.seed, ask.seed + terms.draws)
    draws, demand = draws_of(Reach(options), seeds)
    prices = prices or prices_of(loaded, arrived_per_day(draws))
    proposed = proposals_of(demand, prices)
    bounds = bounds_of(demand, prices, seeds, pricings_of(demand, prices))
    if options.size > MOST_PLANS:
        options = options.around(proposed[0] if proposed else options.largest)
    fixed = np.array([options.fixed_usd_per_month(one) for one in options.plans])
    simulator = Simulator(
        ask=ask, options=options, prices=prices, confidence=terms.confidence, losses=losses_of(options, draws), workers=workers,
        backend=backend,
    )  # fmt: skip
    search = Search(options, simulator, fixed + bounds.of(options.plans, ()), seeds)

    def after(made: Round) -> None:
        search.bounds_usd = fixed + bounds.of(options.plans, list(search.seen.values()))
        on_round(made)

    search.run([*first_of(options), *proposed], until_s, after)
    return Found(ask=ask, search=search, simulator=simulator, draws=tuple(draws), demand=demand, bounds=bounds, after=after)


def first_of(options: Options) -> Sequence[Plan]:
    """What is looked at first: what is held, and everything that may be had, under each reservation."""
    largest = options.largest
    whole = [Plan(counts=largest.counts, states=largest.states, reservation=row) for row in range(len(options.reservations))]
    return list(dict.fromkeys([options.held, *whole]))
