"""The program against every plan tried one by one."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from forge1sim.errors import PlanError
from forge1sim.planning.fluid import propose
from tests.planning.plan_draws import drawn, with_goals
from tests.planning.plan_oracle import cheapest, cost_of, plans

EXACT = 1e-9


@cache
def oracle(draw, seed):
    return cheapest(draw(seed))[0]


def proposed_usd(problem, cuts=(), solver="highs") -> float:
    """The proposal's cost, infinite where nothing keeps all that is asked."""
    try:
        return propose(problem, cuts=cuts, gap=EXACT, solver=solver).usd_per_month
    except PlanError as error:
        assert "nothing keeps all that is asked" in str(error)
        return np.inf


@pytest.mark.parametrize("seed", range(30))
def test_cost_is_that_of_the_cheapest_of_all_plans(seed):
    assert proposed_usd(drawn(seed)) == pytest.approx(oracle(drawn, seed), rel=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_so_it_is_with_goals_survivals_budget_and_commitments(seed):
    assert proposed_usd(with_goals(seed)) == pytest.approx(oracle(with_goals, seed), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("draw", [drawn, with_goals])
def test_both_solvers_agree(draw, seed):
    assert proposed_usd(draw(seed), solver="cbc") == pytest.approx(proposed_usd(draw(seed)), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_given_accounts_cost_what_the_oracle_says(seed):
    problem = drawn(seed)
    for counts in list(plans(problem))[::3]:
        assert propose(problem, fixed=counts, gap=EXACT).usd_per_month == pytest.approx(cost_of(problem, counts), rel=1e-6)


@pytest.mark.parametrize("draw", [drawn, with_goals])
def test_parts_flows_and_rooms_of_a_proposal_agree(draw):
    problem = draw(5)
    proposal = propose(problem, gap=EXACT)
    weight = problem.probability[:, None] * problem.repeats
    usd = np.stack([one.usd for one in problem.classes])
    assert proposal.tokens_usd == pytest.approx(np.einsum("sckmb,ckm,sb->", proposal.flows, usd, weight))
    refused = np.einsum("scb,c,sb->", proposal.unmet, [one.refusal_usd for one in problem.classes], weight)
    assert proposal.refusals_usd == pytest.approx(refused)
    np.testing.assert_allclose(proposal.flows.sum(axis=(2, 3)) + proposal.unmet, problem.demand, atol=1e-6)
    for use in proposal.rooms:
        assert (use.free >= -1e-6 * (1 + use.used)).all()
    assert proposal.bound_usd_per_month <= proposal.usd_per_month * (1 + 1e-9)
    assert proposal.proven
    assert proposal.solver_gap <= EXACT * 10


@pytest.mark.parametrize("seed", range(6))
def test_a_rent_is_what_a_little_more_room_saves(seed):
    """With accounts as they are. Where nothing is kept for a tier, the saving of a unit is the row's price."""
    problem = drawn(seed)
    proposal = propose(problem, gap=EXACT)
    for number, (room, use) in enumerate(zip(problem.rooms, proposal.rooms, strict=True)):
        if room.kept_for.any() or not np.isfinite(use.usable).all() or use.usable.sum() == 0:
            continue
        step = 1e-4
        larger = replace(room, capacity=room.capacity * (1 + step))
        more = replace(problem, rooms=(*problem.rooms[:number], larger, *problem.rooms[number + 1 :]))
        saved = proposal.usd_per_month - propose(more, fixed=proposal.counts, gap=EXACT).usd_per_month
        expected = float((use.rent_usd * use.usable).sum()) * step
        assert saved == pytest.approx(expected, rel=1e-2, abs=1e-7 * proposal.usd_per_month)
