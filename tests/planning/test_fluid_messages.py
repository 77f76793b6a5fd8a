"""What is said of problems that no plan can keep, and of those that make no sense."""

from dataclasses import replace

import numpy as np
import pytest

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import AffineCost, NotWithin
from forge1sim.planning.fluid import propose
from forge1sim.planning.problem import Commitment, Counts, Goal, Survival
from tests.planning.plan_draws import drawn

PROBLEM = drawn(5)


def said(problem, **more) -> str:
    with pytest.raises(PlanError) as caught:
        propose(problem, gap=1e-9, **more)
    return str(caught.value)


def conflict(message: str) -> list[str]:
    """What is named in conflict, by line."""
    return [line.strip("- ") for line in message.partition("\nThe cheapest way out:")[0].splitlines()[1:]]


def way_out(message: str) -> list[str]:
    return [line.strip("- ") for line in message.partition("The cheapest way out:\n")[2].splitlines()]


def test_a_budget_too_small_for_a_goal_names_both_and_the_least_that_would_do():
    asked = replace(PROBLEM, goals=(Goal(tier=None, served_share=0.6),))
    needed = propose(replace(asked, classes=tuple(replace(one, refusal_usd=0.0) for one in asked.classes)), gap=1e-9)
    least = needed.fixed_usd + needed.tokens_usd
    message = said(replace(asked, budget_usd_per_month=least - 5.0))
    assert conflict(message) == ["all requests together: at least 0.6 served on average", f"a budget of USD {least - 5.0:,.2f} a month"]
    assert way_out(message) == [f"a budget of USD {least - 5.0:,.2f} a month, raised by USD 5.00"]


def test_what_conflicts_does_not_name_what_is_innocent():
    goals = (Goal(tier=0, served_share=0.0), Goal(tier=1, quality_mean=0.95), Goal(tier=1, served_share=0.2))
    named = conflict(said(replace(PROBLEM, goals=goals, budget_usd_per_month=1e6, most_share_per_provider=0.99)))
    assert named == ["tier standard: mean quality of at least 0.95", "tier standard: at least 0.2 served on average"]


def test_giving_up_any_one_of_a_conflict_would_do():
    goals = (Goal(tier=None, served_share=0.9, usd_per_request=0.05),)
    problem = replace(PROBLEM, goals=goals)
    named = ["all requests together: at least 0.9 served on average", "all requests together: at most USD 0.05 per request"]
    assert conflict(said(problem)) == named
    for left in (replace(goals[0], served_share=None), replace(goals[0], usd_per_request=None)):
        try:
            propose(replace(problem, goals=(left,)))
        except PlanError as error:      # more is asked than accounts allow, but no longer this
            assert "at most 2 accounts" in str(error)


def test_more_accounts_are_named_where_terms_forbid_them():
    message = said(replace(PROBLEM, demand=PROBLEM.demand * 5, goals=(Goal(tier=None, served_share=1.0, in_each=True),)))
    assert "all requests together: at least 1 served in each scenario" in conflict(message)
    assert any(line.startswith("at most 2 accounts of cloud, raised by") or "lowered by" in line for line in way_out(message))


def test_a_loss_that_cannot_be_survived_is_named():
    lost = Survival(tier=0, lost="account", served_share=0.9, moments=((0, 0),))
    lone = replace(PROBLEM, kinds=(replace(PROBLEM.kinds[0], at_most=1), replace(PROBLEM.kinds[1], at_most=0)), survivals=(lost,))
    assert "tier enterprise: at least 0.9 served though one account is lost" in conflict(said(lone))


def test_given_accounts_that_cannot_do_it_name_the_goal_alone():
    none = Counts(accounts=((PROBLEM.kinds[0].at_least, 0), (0,)))
    message = said(replace(PROBLEM, goals=(Goal(tier=None, served_share=0.99),)), fixed=none)
    assert conflict(message) == ["all requests together: at least 0.99 served on average"]


def kind(**more):
    return replace(PROBLEM, kinds=(replace(PROBLEM.kinds[0], **more), PROBLEM.kinds[1]))


def room(**more):
    return replace(PROBLEM, rooms=(replace(PROBLEM.rooms[0], **more), *PROBLEM.rooms[1:]))


def cls(**more):
    return replace(PROBLEM, classes=(replace(PROBLEM.classes[0], **more), *PROBLEM.classes[1:]))


def goal(**more):
    return replace(PROBLEM, goals=(Goal(**more),))


def survival(**more):
    return replace(PROBLEM, survivals=(Survival(tier=0, served_share=0.5, **more),))


CONTRADICTIONS = {
    "kind tiered: at_least is 5, above at_most, 3": kind(at_least=5),
    "kind tiered: held has 1 figures, must have one for each of 2 states": kind(held=(1,)),
    "room bucket: kept_for sums to 1.4, must sum to 1 at most": room(kept_for=np.array([0.7, 0.7])),
    "room bucket: kept_for has shape (3,), must have (2,)": room(kept_for=np.zeros(3)),
    "room bucket: usable[0] is nan, must be from 0 to 1": room(usable=np.array([np.nan, 1.0])),
    "room bucket: capacity[0, 1] is -1.0, must be a number of at least 0": room(capacity=np.array([[1.0, -1.0], [2.0, 2.0]])),
    "room bucket: units[0, 0] is inf, must be a number of at least 0": room(units=np.full((3, 2), np.inf)),
    "room bucket: a block of its spans is 7, must be from 0 to 1": room(spans=((0,), (7,))),
    "class enterprise 0: most_share[0, 0] is 1.5, must be from 0 to 1": cls(most_share=np.full((2, 2), 1.5)),
    "class enterprise 0: usd[0, 0] is -1.0, must be a number of at least 0": cls(usd=np.full((2, 2), -1.0)),
    "class enterprise 0: refusal_usd is inf, must be a number of at least 0": cls(refusal_usd=np.inf),
    "class enterprise 0: tier is 2, must be from 0 to 1": cls(tier=2),
    "probability sums to 0.5, must sum to 1": replace(PROBLEM, probability=PROBLEM.probability / 2),
    "goal for tier 0: served_share is 1.2, must be from 0 to 1": goal(tier=0, served_share=1.2),
    "goal for all has both tail and in_each, must have one of them": goal(tier=None, served_share=0.5, tail=0.5, in_each=True),
    "goal for tier 1: tail is 1, must be below 1": goal(tier=1, served_share=0.5, tail=1.0),
    "commitment c: provider is X, must be one of P, Q": replace(
        PROBLEM, commitments=(Commitment(name="c", provider="X", usd_per_month=1, discount=0.1),)),
    "a survival's block is 9, must be from 0 to 1": survival(lost="account", moments=((0, 9),)),
    "a survival's lost is 'region', must be 'account' or 'provider'": survival(lost="region", moments=()),
    "budget_usd_per_month is nan, must be a number of at least 0": replace(PROBLEM, budget_usd_per_month=float("nan")),
}  # fmt: skip


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_a_contradiction_gets_one_message_before_a_solver_is_called(message):
    assert said(CONTRADICTIONS[message]) == message


def test_demand_that_is_no_number_is_named_by_its_place():
    demand = PROBLEM.demand.copy()
    demand[0, 1, 1] = np.nan
    assert said(replace(PROBLEM, demand=demand)) == "demand[0, 1, 1] is nan, must be a number of at least 0"


def test_cuts_and_given_accounts_must_fit_the_problem():
    odd, endless = Counts(accounts=((1,), (1,))), AffineCost(constant_usd=float("inf"), usd_by_coordinate=((0, 0), (0,)))
    shapes = "cut 1: counts has [1, 1] figures by kind, must have [2, 1], one for each state"
    assert said(PROBLEM, cuts=(NotWithin(counts=odd),)) == shapes
    assert said(PROBLEM, cuts=(endless,)).startswith("cut 1: constant_usd is inf")
    assert said(PROBLEM, fixed=Counts(accounts=((9, 0), (0,)))) == "fixed accounts of tiered are 9, must be from 1 to 3"


def test_a_problem_without_demand_accounts_or_classes_has_a_plan():
    """Degenerate, and in order."""
    quiet = propose(replace(PROBLEM, demand=np.zeros_like(PROBLEM.demand)))
    assert quiet.usd_per_month == pytest.approx(PROBLEM.kinds[0].at_least * PROBLEM.kinds[0].states[0].usd_per_month)
    nowhere = tuple(replace(one, most_share=np.zeros((0, 2)), usd=np.zeros((0, 2))) for one in PROBLEM.classes)
    bare = propose(replace(PROBLEM, rooms=(), kinds=(), classes=nowhere))
    assert bare.usd_per_month == pytest.approx(bare.refusals_usd)
    empty = propose(replace(PROBLEM, classes=(), rooms=(), demand=np.zeros((1, 0, 2)), probability=np.ones(1)))
    assert empty.tokens_usd == 0
