"""A scenario's terms and draws as a problem: rooms by charge rule, demand by class and block, promises as goals."""

from typing import Any

import numpy as np
import pytest

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.planning.bound import arrived_per_day, draws_of
from forge1sim.planning.demand import Demand
from forge1sim.planning.fluid import propose
from forge1sim.planning.from_scenario import counts_of, plan_of, problem_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.problem import Counts, Problem
from forge1sim.planning.proposed import proposals_of
from forge1sim.planning.reach import Reach
from forge1sim.planning.simulated import Prices, prices_of

HOUR_S = 3600


def scenario() -> dict[str, Any]:
    """Half a day; two models that share a bucket and one of another provider, limits per minute, day and month, a dedicated account."""
    exact = {"input_tokens": {"kind": "deterministic", "mean": 300}, "output_tokens": {"kind": "deterministic", "mean": 100}}
    return {
        "name": "whole", "horizon_s": 12 * HOUR_S, "start": "2026-11-02T00:00:00Z",
        "models": [
            {"name": "a1", "provider": "a", "model_class": "a", "input_usd_per_1m": 1.0, "output_usd_per_1m": 5.0, "fallbacks": ["b"]},
            {"name": "a2", "provider": "a", "model_class": "a", "input_usd_per_1m": 2.0, "output_usd_per_1m": 9.0},
            {"name": "b", "provider": "b", "input_usd_per_1m": 3.0, "output_usd_per_1m": 15.0},
        ],
        "accounts": [
            {
                "name": "to-a", "provider": "a", "count": 2, "usd_per_month": 10,
                "limits": [
                    {"dimension": "tpm", "model_class": "a", "limit": 40_000, "burst_s": 30},
                    {"dimension": "spend", "limit": 365, "window": "fixed", "window_s": 730 * HOUR_S},
                ],
            },
            {"name": "to-b", "provider": "b", "usd_per_month": 20, "limits": [{"dimension": "rpd", "limit": 5000}]},
            {"name": "own", "provider": "b", "dedicated_to": "enterprise", "limits": [{"dimension": "concurrency", "limit": 3}]},
        ],
        "tenants": [
            {"name": "large", "contract_usd_per_month": 250_000,
             "demand": exact | {"requests_per_s": 0.1, "max_output_tokens": 200, "models": {"a1": 1}}},
            {"name": "small", "contract_usd_per_month": 5_000, "demand": exact | {"requests_per_s": 0.2, "max_output_tokens": 500}},
        ],
        "slos": [
            {"name": "s", "tier": "enterprise", "metric": "served_ratio", "at_least": 0.9},
            {"name": "q", "tier": "all", "metric": "quality_mean", "at_least": 0.5},
            {"name": "c", "tier": "all", "metric": "cost_per_request_usd", "at_most": 0.01},
            {"name": "w", "tier": "all", "metric": "wait_p95_s", "at_most": 9},
        ],
        "plan": {
            "draws": 3, "refusal_usd": {"enterprise": 9, "standard": 0.5}, "budget_usd_per_month": 5000,
            "survive": [{"tier": "enterprise"}], "accounts": [{"name": "to-a", "at_most": 4, "permission": "ours"}],
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Demand, Prices]:
    options = Options(Ask(scenario=str(written(tmp_path_factory.mktemp("whole"), scenario()))).load())
    draws, demand = draws_of(Reach(options), (1, 2))
    return demand, prices_of(options.loaded, arrived_per_day(draws))


@pytest.fixture
def problem(known: tuple[Demand, Prices]) -> Problem:
    return problem_of(*known, "bound")


def test_rooms_have_the_charge_rules_of_the_simulator(problem: Problem) -> None:
    """One row for models that share a bucket; tokens by max_tokens, money by true tokens, seconds of an answer."""
    rooms = {room.name: room for room in problem.rooms}
    assert set(rooms) == {"to-a: a tpm", "to-a: * spend per 2.628e+06 s", "to-b: * rpd", "own: * concurrency"}
    large = next(row for row, one in enumerate(problem.classes) if one.tier == 0)
    small = next(row for row, one in enumerate(problem.classes) if one.tier == 2)
    assert rooms["to-a: a tpm"].units[large].tolist() == [500, 0, 0]                # it names a1, of which b is the fallback
    assert rooms["to-a: a tpm"].units[small].tolist() == [800, 800, 0]
    assert rooms["to-a: * spend per 2.628e+06 s"].units[small].tolist() == [800_000, 1_500_000, 0]
    assert rooms["to-b: * rpd"].units[small].tolist() == [0, 0, 1]
    assert rooms["own: * concurrency"].units[large, 2] == pytest.approx(0.5 + 100 / 80)


def test_limits_count_over_their_own_spans(known: tuple[Demand, Prices]) -> None:
    """Per minute by block, per day over its blocks, per month over all; a proposal gets a month's share of a cap, a bound all of it."""
    bound, proposal = (problem_of(*known, which) for which in ("bound", "proposal"))
    by_name = {room.name: (room, other) for room, other in zip(bound.rooms, proposal.rooms, strict=True)}
    tokens, less = by_name["to-a: a tpm"]
    length_min = float(np.diff(known[0].blocks.edges)[0]) / 60e6
    assert all(len(span) == 1 for span in tokens.spans)
    assert tokens.capacity[0, 0] == pytest.approx(40_000 * length_min + 20_000)
    assert less.capacity[0, 0] == pytest.approx(40_000 * length_min)
    assert less.usable[0] < 1 == tokens.usable[0]
    spend, share = by_name["to-a: * spend per 2.628e+06 s"]
    assert len(spend.spans) == 1
    assert spend.capacity[0, 0] == 365e9
    assert share.capacity[0, 0] == pytest.approx(365e9 * 13 / 730)                   # with the hour after the horizon
    assert by_name["to-b: * rpd"][0].capacity[0, 0] == 5000


def test_all_requests_are_in_the_demand(known: tuple[Demand, Prices], problem: Problem) -> None:
    draws = problem.demand.sum(axis=2)
    for tier, per_s in ((0, 0.1), (2, 0.2)):
        of_tier = draws[:, [one.tier == tier for one in problem.classes]].sum(axis=1)
        assert of_tier == pytest.approx(12 * HOUR_S * per_s, rel=0.15)
    merged = problem_of(*known, "bound", merged=True)
    assert merged.demand.shape[0] == 1
    assert merged.demand[0] == pytest.approx(problem.demand.mean(axis=0))


def test_who_may_go_where(problem: Problem, known: tuple[Demand, Prices]) -> None:
    """A dedicated account is open to its tier; a fallback freely for the bound, and for a small share in a proposal."""
    large = next(one for one in problem.classes if one.tier == 0)
    small = next(one for one in problem.classes if one.tier == 2)
    assert large.most_share.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert small.most_share.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    careful = next(one for one in problem_of(*known, "proposal").classes if one.tier == 0)
    assert careful.most_share.tolist() == [[1, 0, 0], [0, 0, 0.2], [0, 0, 0.2]]
    assert small.usd[0].tolist() == pytest.approx([0.0008, 0.0015, 0.0024])


def test_promises_become_goals(known: tuple[Demand, Prices], problem: Problem) -> None:
    assert [(goal.tier, goal.served_share, goal.quality_mean, goal.usd_per_request) for goal in problem.goals] == [
        (0, 0.9, None, None), (None, None, 0.5, None), (None, None, None, 0.01),
    ]  # fmt: skip
    assert problem.budget_usd_per_month == 5000
    assert not problem.survivals
    assert [one.lost for one in problem_of(*known, "proposal").survivals] == ["account"]


def test_the_program_takes_it_and_its_counts_are_plans(known: tuple[Demand, Prices], problem: Problem) -> None:
    options = known[0].reach.options
    plan = plan_of(options, propose(problem).counts)
    assert plan in options.plans
    assert plan_of(options, counts_of(options, plan)) == plan
    assert all(one in options.plans for one in proposals_of(*known))


def test_a_plan_reaches_every_model_though_the_program_would_not(known: tuple[Demand, Prices]) -> None:
    options = known[0].reach.options
    assert plan_of(options, Counts(accounts=((0,), (1,), (0,)))).counts == (1, 1, 0)


def test_a_box_lies_about_its_plan_and_is_no_larger_than_asked(known: tuple[Demand, Prices]) -> None:
    options = known[0].reach.options
    assert options.size >= len(options)
    plan = Plan(counts=(2, 1, 0), states=(0, 0, 0))
    box = options.around(plan, most=6)
    assert plan in box.plans
    assert len(box) <= box.size <= 6
    assert set(box.plans) < set(options.plans)
    assert box.is_box
    assert not options.is_box
    assert set(options.around(plan, most=10_000).plans) == set(options.plans)


@pytest.mark.parametrize("which", ["bound", "proposal"])
def test_planning_with_half_of_each_limit_takes_half_of_what_can_be_used(known, which):
    whole, half = (problem_of(*known, which, usable=usable).rooms for usable in (1.0, 0.5))
    for one, other in zip(whole, half, strict=True):
        assert other.usable == pytest.approx(0.5 * one.usable), one.name
