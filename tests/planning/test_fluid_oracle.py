"""The program against every plan tried one by one."""

from functools import cache

import numpy as np
import pytest

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import CostsAtLeast, NotWithin
from forge1sim.planning.fluid import propose
from forge1sim.planning.problem import Counts
from tests.planning.plan_draws import cuts_for, drawn, with_goals
from tests.planning.plan_oracle import cheapest, cost_of, plans

EXACT = 1e-9


@cache
def oracle(draw, seed, cuts=()):
    return cheapest(draw(seed), cuts)[0]


def proposed_usd(problem, cuts=(), solver="highs") -> float:
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
