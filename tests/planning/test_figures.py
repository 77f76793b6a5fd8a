"""Pictures of a plan: they show what the plan holds, and their sentences say it."""

from dataclasses import replace

import pytest

from forge1sim.ask import Ask
from forge1sim.planning.figures import LEAST_MARGIN, cost_parts, costs, course, course_table, front_of, margins, trade
from forge1sim.planning.plan import plan
from forge1sim.planning.planned import as_json
from tests.planning.pool import POOL


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "pool.yaml"
    path.write_text(POOL)
    return plan(Ask(scenario=str(path), seed=1), backend="serial")


def trace(figure, name):
    return next(one for one in figure.data if one.name == name)


def test_the_course_has_best_and_bound_of_every_round(planned):
    figure, sentence = course(planned.rounds)
    rounds = as_json(planned)["rounds"]
    best, bound = trace(figure, "best so far"), trace(figure, "no plan costs less")
    assert list(best.y) == [one["best_usd_per_month"] for one in rounds]
    assert list(bound.y) == [one["bound_usd_per_month"] for one in rounds]
    assert all(low <= high for low, high in zip(bound.y, best.y, strict=True) if high is not None)
    assert f"{planned.usd_per_month:,.0f}" in sentence
    assert "no plan is left" in sentence


def test_rounds_without_a_plan_that_keeps_all_promises_say_so(planned):
    none = [replace(planned.rounds[0], best_usd=float("inf"), left=3)]
    assert course_table(none)["best_usd"] == [None]
    assert "no plan keeps all promises; 3 are left" in course(none)[1]
    assert course([])[1] == "Nothing was simulated yet."


def test_rounds_with_plans_left_name_the_bound(planned):
    open_still = [replace(planned.rounds[-1], left=5, bound_usd=1234.0)]
    assert "5 plans could still be cheaper, none costs less than $1,234" in course(open_still)[1]


def test_every_simulated_plan_is_a_point_at_its_cost(planned):
    figure, sentence = trade(planned)
    kept, broken = trace(figure, "keeps all promises"), trace(figure, "does not")
    assert len(kept.x) + len(broken.x) == planned.simulated
    assert len(kept.x) > 0
    assert len(broken.x) > 0
    assert f"{len(kept.x)} of {planned.simulated} simulated plans" in sentence
    assert list(trace(figure, "planned").x) == [planned.usd_per_month]
    assert all(room >= LEAST_MARGIN for room in (*kept.y, *broken.y))


def test_the_room_is_that_of_the_tightest_promise(planned):
    rows = {slo.name: slo for slo in planned.options.loaded.slos}
    for one in margins(planned):
        rooms = [(promise.mean - rows[promise.name].at_least) / rows[promise.name].at_least for promise in one.one.promises]
        assert one.margin == pytest.approx(min(rooms))
        assert one.margin > 0 or not one.one.holds


def test_no_plan_that_keeps_all_beats_one_of_the_front(planned):
    plans = [one for one in margins(planned) if one.one.holds]
    front = front_of(plans)
    assert front[0].one.plan == planned.plan
    for one in front:
        assert not any(other.one.usd_per_month < one.one.usd_per_month and other.margin >= one.margin for other in plans)


def test_the_parts_of_the_cost_add_up_and_stand_beside_what_is_held(planned):
    parts = cost_parts(planned)
    for column in ("held_usd", "planned_usd"):
        assert sum(parts[column][:-1]) == pytest.approx(parts[column][-1])
    figure, sentence = costs(planned)
    assert [sum(bar.x[row] for bar in figure.data) for row in (0, 1)] == pytest.approx([planned.held.usd_per_month, planned.usd_per_month])
    assert "than what is held today" in sentence


def test_costs_of_what_is_held_already(planned):
    assert costs(replace(planned, held=planned.on_draws))[1].endswith("it is what is held today.")


def test_costs_do_without_what_is_held(planned):
    figure, sentence = costs(replace(planned, held=None))
    assert list(figure.data[0].y) == ["planned"]
    assert "what is held today was not simulated" in sentence
    assert cost_parts(replace(planned, held=None))["held_usd"] == [None] * 4
