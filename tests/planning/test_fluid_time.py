"""A plan that time cut short says so."""

import numpy as np
import pytest

from benchmarks.planned import Size, problem
from forge1sim.errors import PlanError
from forge1sim.planning.fluid import propose

SMALL = Size(models=6, kinds=6, scenarios=2, blocks=6)


def small(seed: int = 3):
    return problem(seed, SMALL, np.full(6, 730 / 6))


def test_a_plan_is_within_the_gap_that_was_asked_and_its_bound_holds():
    near, exact = propose(small(), gap=0.05), propose(small(), gap=1e-3, time_limit_s=120)
    assert near.proven
    assert near.solver_gap <= 0.05
    assert near.bound_usd_per_month <= exact.usd_per_month * (1 + 1e-6)
    assert exact.usd_per_month <= near.usd_per_month * (1 + 1e-6)


def test_a_plan_that_time_cut_short_is_not_called_proven():
    """Whatever the solver's status says: its cost is known under all rows, its bound is what was reached."""
    try:
        hasty = propose(small(), gap=0.0, time_limit_s=1.0)
    except PlanError as error:
        assert "in time" in str(error)
    else:
        assert hasty.bound_usd_per_month > 0
        assert not hasty.proven or hasty.solver_gap <= 1e-9


def test_without_time_there_is_a_message():
    with pytest.raises(PlanError, match="in time"):
        propose(small(), time_limit_s=0.0)
