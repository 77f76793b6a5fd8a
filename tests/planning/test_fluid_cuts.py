"""What cuts do, against every plan with the cut applied by hand."""

from functools import cache

import pytest

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import CostsAtLeast, NotWithin
from forge1sim.planning.fluid import propose
from forge1sim.planning.problem import Counts
from tests.planning.plan_draws import cuts_for, drawn, with_goals
from tests.planning.plan_oracle import cheapest, is_within, plans
from tests.planning.test_fluid_oracle import EXACT, proposed_usd

CUTS = {"not within": 0, "costs at least": 1, "affine cost": 2, "slope": 3}


@cache
def cut_oracle(draw, seed, cut):
    return cheapest(draw(seed), cuts_for(seed)[CUTS[cut] : CUTS[cut] + 1])[0]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("seed", range(8))
def test_a_cut_binds_exactly_the_plans_that_it_names(seed, cut):
    number = CUTS[cut]
    assert proposed_usd(drawn(seed), cuts_for(seed)[number : number + 1]) == pytest.approx(cut_oracle(drawn, seed, cut), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_cuts_hold_together_and_beside_goals(seed):
    problem, cuts = with_goals(seed), cuts_for(seed)[:3]
    assert proposed_usd(problem, cuts) == pytest.approx(cheapest(problem, cuts)[0], rel=1e-6)


@pytest.mark.parametrize("cut", CUTS)
def test_each_form_of_cut_raises_some_cost(cut):
    """Else the tests above would show nothing."""
    assert any(cut_oracle(drawn, seed, cut) > cheapest(drawn(seed))[0] * (1 + 1e-6) for seed in range(8))


def test_plans_that_failed_are_proposed_once_each_until_none_is_left():
    problem, cuts, said = drawn(6), [], ""
    while not said:
        try:
            counts = propose(problem, cuts=cuts, gap=EXACT).counts
        except PlanError as error:
            said = str(error)
        else:
            assert not any(is_within(counts, cut.counts) for cut in cuts)
            cuts.append(NotWithin(counts=counts))
    assert "more than a plan that broke a goal in simulation\n" in said
    assert all(any(is_within(counts, cut.counts) for cut in cuts) for counts in plans(problem))


def test_what_a_simulation_cost_beyond_the_flows_is_told_apart():
    problem = drawn(6)
    plain = propose(problem, gap=EXACT)
    everything = Counts(accounts=tuple((*[0] * (len(kind.states) - 1), kind.at_most) for kind in problem.kinds))
    proposal = propose(problem, cuts=(CostsAtLeast(counts=everything, usd=100 * plain.usd_per_month),), gap=EXACT)
    assert proposal.running_usd == pytest.approx(100 * plain.usd_per_month)
    assert proposal.beyond_usd > 0
