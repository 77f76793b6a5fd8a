"""Faults that builders of such programs make, planted one at a time: each makes the program and the oracle disagree."""

from dataclasses import replace

import numpy as np
import pytest

from forge1sim.planning.fluid import flow, program, proposal, solve, stock
from tests.planning.plan_draws import cuts_for, drawn, with_goals
from tests.planning.test_fluid_cuts import cut_oracle
from tests.planning.test_fluid_oracle import oracle, proposed_usd


def without_spend_caps(problem):
    return replace(problem, rooms=tuple(room for room in problem.rooms if room.name != "spend"))


def with_buckets_by_model(problem):
    alone = np.eye(len(problem.models))
    return replace(problem, rooms=tuple(replace(room, units=room.units * model) for room in problem.rooms for model in alone))


def with_months_of_one_day(problem):
    return replace(problem, rooms=tuple(replace(room, times=np.ones_like(room.times)) for room in problem.rooms))


def with_free_fallbacks(problem):
    return replace(problem, classes=tuple(replace(one, most_share=(one.most_share > 0).astype(float)) for one in problem.classes))


def with_full_ceilings(problem):
    return replace(problem, rooms=tuple(replace(room, usable=np.ones_like(room.usable)) for room in problem.rooms))


def with_equal_chances(problem):
    return replace(problem, probability=np.full(len(problem.probability), 1 / len(problem.probability)))


def without_repeats(problem):
    return replace(problem, repeats=np.ones_like(problem.repeats))


def with_discounts_for_nothing(problem):
    return replace(problem, commitments=tuple(replace(one, usd_per_month=0.0) for one in problem.commitments))


def with_tails_as_means(problem):
    return replace(problem, goals=tuple(replace(goal, tail=None) for goal in problem.goals))


def without_budget(problem):
    return replace(problem, budget_usd_per_month=None)


def without_survivals(problem):
    return replace(problem, survivals=())


FAULTS = {
    with_buckets_by_model: drawn, without_spend_caps: drawn, with_months_of_one_day: drawn, with_free_fallbacks: drawn,
    with_full_ceilings: drawn, with_equal_chances: drawn, without_repeats: drawn, with_discounts_for_nothing: with_goals,
    with_tails_as_means: with_goals, without_budget: with_goals, without_survivals: with_goals,
}  # fmt: skip


def differs(draw) -> bool:
    """Whether some drawn problem tells the program from the oracle."""
    return any(proposed_usd(draw(seed)) != pytest.approx(oracle(draw, seed), rel=1e-6) for seed in range(30))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_program_of_another_problem_is_caught(monkeypatch, fault):
    monkeypatch.setattr(proposal, "build", lambda problem, *more: program.build(fault(problem), *more))
    assert differs(FAULTS[fault])


def test_states_bought_freely_are_caught(monkeypatch):
    def bounds(kinds, fixed):
        low, high = stock_bounds(kinds, fixed)
        return low, [np.full(len(of_kind), float(kind.at_most)) for kind, of_kind in zip(kinds, high, strict=True)]

    stock_bounds = stock._bounds
    monkeypatch.setattr(stock, "_bounds", bounds)
    assert differs(drawn)


def test_room_kept_for_nobody_is_caught(monkeypatch):
    monkeypatch.setattr(flow, "shares_for", lambda kept_for, tiers: [(frozenset(tiers), 1.0)])
    assert differs(drawn)


def test_room_kept_from_single_tiers_but_not_from_two_together_is_caught(monkeypatch):
    def singles(kept_for, tiers):
        return [(frozenset([tier]), 1.0 - float(np.delete(kept_for, tier).sum())) for tier in tiers]

    monkeypatch.setattr(flow, "shares_for", singles)
    assert differs(drawn)


def test_a_first_plan_taken_for_a_proven_one_is_caught(monkeypatch):
    """What trusting a status at a time limit comes to."""
    monkeypatch.setattr(solve._Search, "is_proven", property(lambda search: search.values is not None))
    assert differs(drawn)


def test_rows_left_out_for_good_are_caught(monkeypatch):
    monkeypatch.setattr("forge1sim.planning.fluid.relaxation.Relaxation.broken_by", lambda relaxation, values: np.zeros(0, np.int64))
    assert differs(drawn)


def test_a_loss_that_takes_nothing_is_caught(monkeypatch):
    monkeypatch.setattr(stock.Stock, "one_less", stock.Stock.all_of)
    assert differs(with_goals)


def test_a_cut_that_is_too_strong_is_caught(monkeypatch):
    """One account more than the failed plan does not do: two are asked."""

    def higher(made, counts):
        marks, sure = [], False
        for kind, states in enumerate(counts.at_or_above):
            marks += [made.stock.mark(kind, at, n + 2) for at, n in enumerate(states) if made.stock.high[kind][at] > n + 1]
        return np.array(marks, np.int64), sure

    monkeypatch.setattr(program, "_higher", higher)
    cost = [(proposed_usd(drawn(seed), cuts_for(seed)[:1]), cut_oracle(drawn, seed, "not within")) for seed in range(8)]
    assert any(usd != pytest.approx(right, rel=1e-6) for usd, right in cost)
