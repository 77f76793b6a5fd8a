"""Comparisons name what was changed and what it did, and paired intervals hold what they promise."""

import numpy as np
import pytest
from scipy import stats

from forge1sim.errors import RunError
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.compare import by_tier, change, compare, in_short, value_of
from forge1sim.results.inputs import ABSENT, differing, leaves_of
from forge1sim.results.measures import MEASURES
from forge1sim.results.paired import corrected, forest, interval_of, paired_intervals

TIGHT = "{dimension: rpm, model_class: gpt-5.4-mini, limit: %d}, {dimension: tpm, model_class: gpt-5.4-mini, limit: 100000000}"


@pytest.fixture(scope="module")
def sides(make_run):
    """Four replications of a tight platform, and of one with half again as much room."""
    seeds = (11, 12, 13, 14)
    return [[make_run(alpha_limits=TIGHT % limit, requests_per_s=0.6, seed=seed) for seed in seeds] for limit in (60, 90)]


def test_the_only_input_that_differs_is_named(sides):
    comparison = compare([sides[0][0], sides[1][0]])
    assert [one.field for one in comparison.inputs] == ["accounts.alpha.limits.0.limit"]
    assert comparison.inputs[0].values == (60.0, 90.0)
    assert comparison.same_draws


def test_runs_on_other_seeds_are_told_apart(sides):
    comparison = compare([sides[0][0], sides[0][1]])
    assert comparison.inputs == ()
    assert not comparison.same_draws


def test_both_runs_meet_the_same_requests(sides):
    line = next(line for line in compare([sides[0][0], sides[1][0]]).of(ALL_TIERS) if line.measure.name == "served_ratio")
    arrived = [run.summary["requests"]["arrived"] for run in (sides[0][0], sides[1][0])]
    assert arrived[0] == arrived[1]
    assert line.values == tuple(run.summary["all"]["served_ratio"] for run in (sides[0][0], sides[1][0]))
    assert line.changes[0].verdict == "better"


def test_more_room_is_better_in_words(sides):
    sentence = in_short(compare([sides[0][0], sides[1][0]]), ("tight", "roomy"))[0]
    assert sentence.startswith("roomy against tight: better: served +")
    assert "wait p95 \u2212" in sentence


def test_a_run_against_itself_differs_in_nothing(scarce):
    comparison = compare([scarce, scarce])
    assert comparison.inputs == ()
    assert {one.verdict for line in comparison.lines for one in line.changes} == {"same"}
    assert in_short(comparison, ("a", "b")) == ["b against a: no difference worth telling."]


@pytest.mark.parametrize("count", [1, 7])
def test_too_few_or_too_many_runs_are_refused(scarce, count):
    with pytest.raises(RunError, match="choose 2 to 6"):
        compare([scarce] * count)


@pytest.mark.parametrize(
    ("name", "before", "after", "verdict"),
    [
        ("served_ratio", 0.9, 0.95, "better"), ("served_ratio", 0.9, 0.8, "worse"), ("wait_p95_s", 2.0, 1.0, "better"),
        ("wait_p95_s", 1.0, 2.0, "worse"), ("wait_p95_s", 1.0, 1.0005, "same"), ("arrived", 1.0, 9.0, "same"),
        ("margin_usd", -5.0, 5.0, "better"), ("cost_usd", float("nan"), 1.0, "same"), ("wait_p95_s", 0.0, 0.5, "worse"),
    ],
)  # fmt: skip
def test_better_and_worse_follow_the_measure(name, before, after, verdict):
    assert change(before, after, MEASURES[name]).verdict == verdict


def test_the_interval_is_that_of_a_paired_t_test(sides):
    served = next(one for one in paired_intervals(*sides) if one.tier == ALL_TIERS and one.measure.name == "served_ratio")
    before, after = ([value_of(run, ALL_TIERS, MEASURES["served_ratio"]) for run in side] for side in sides)
    expected = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (served.low, served.high) == pytest.approx((expected.low, expected.high))
    assert served.mean == pytest.approx(np.mean(after) - np.mean(before))
    assert served.verdict == "better"
    assert served.replications == 4


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(600):
        luck = rng.normal(size=5)
        one = interval_of("all", MEASURES["wait_p95_s"], luck, luck + rng.normal(0.3, 1.0, 5), 0.95)
        hits += one.low <= 0.3 <= one.high
    assert 0.925 <= hits / 600 <= 0.975


def test_of_many_measures_without_a_difference_seldom_any_looks_like_one():
    """Sixty questions at once, a hundred times: without correction nearly every time one of them would."""
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(100):
        asked = [interval_of("all", MEASURES["wait_p95_s"], *rng.normal(size=(2, 6))) for _ in range(60)]
        wrong += any(one.verdict in ("better", "worse") for one in corrected(asked, 0.95))
    assert wrong <= 14          # the chance of more, at 5 %, is below one in ten thousand


def test_no_difference_in_any_replication_is_the_same_and_not_unclear(sides):
    assert {one.verdict for one in paired_intervals(sides[0], sides[0])} == {"same"}


def test_pairs_need_the_same_seeds_and_two_of_them(sides):
    with pytest.raises(RunError, match="need the same seed"):
        paired_intervals(sides[0], sides[1][::-1])
    with pytest.raises(RunError, match="at least 2"):
        paired_intervals(sides[0][:1], sides[1][:1])


def test_figures_of_a_comparison_say_what_they_show(sides):
    made, sentence = by_tier(compare([sides[0][0], sides[1][0]]), "wait_p95_s", ("tight", "roomy"))
    assert [trace.name for trace in made.data] == ["tight", "roomy"]
    assert sentence.startswith("wait p95 over all requests: tight: ")
    made, sentence = forest(paired_intervals(*sides), ALL_TIERS)
    assert "clearly better: served, " in sentence
    better = next(trace for trace in made.data if trace.name == "better")
    assert "served" in better.y


def test_demand_is_named_by_its_tenants_as_in_the_file(sides, make_run):
    other = make_run(alpha_limits=TIGHT % 60, requests_per_s=0.7, seed=11)
    fields = {one.field: one.values for one in compare([sides[0][0], other]).inputs}
    assert fields["tenants.gold.demand.requests_per_s"] == (0.6, 0.7)
    assert all("demand.0" not in field and not field.startswith("platform") for field in fields)


def test_nothing_is_like_absence():
    assert differing([{"a": None, "b": 1}, {"b": 1}]) == []


def test_leaves_go_by_name_and_absent_fields_are_told():
    one = {"accounts": [{"name": "a", "limit": 1}, {"name": "b", "limit": 2}]}
    other = {"accounts": [{"name": "a", "limit": 5}]}
    assert dict(leaves_of(one))["accounts.b.limit"] == 2
    found = {item.field: item.values for item in differing([one, other])}
    assert found["accounts.a.limit"] == (1, 5)
    assert found["accounts.b.limit"] == (2, ABSENT)
