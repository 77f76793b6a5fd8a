"""Plans that the fluid program proposes: what is simulated first, and where to look when there are too many plans to look at all."""

from collections.abc import Iterator

from forge1sim.errors import PlanError
from forge1sim.planning.demand import Demand
from forge1sim.planning.fluid import Proposal, propose
from forge1sim.planning.from_scenario import Which, plan_of, problem_of
from forge1sim.planning.options import Plan
from forge1sim.planning.simulated import Prices

MOST_RESERVATIONS = 4
_TRIED: tuple[Which, ...] = ("proposal", "bound")
_GAP, _SOLVE_S = 1e-3, 20.0


def proposals_of(demand: Demand, prices: Prices) -> list[Plan]:
    """The plan for the busiest minutes and the plan for mean demand, each under the first reservations; none where nothing fits."""
    options = demand.reach.options
    return list(dict.fromkeys(
        plan_of(options, proposal.counts, reservation)
        for proposal in _proposed(demand, prices) for reservation in range(min(MOST_RESERVATIONS, len(options.reservations)))
    ))  # fmt: skip


def _proposed(demand: Demand, prices: Prices) -> Iterator[Proposal]:
    for which in _TRIED:
        try:
            yield propose(problem_of(demand, prices, which, merged=True), gap=_GAP, time_limit_s=_SOLVE_S)
        except PlanError:               # what a flow cannot keep, a simulation may, or will say better why not
            continue
