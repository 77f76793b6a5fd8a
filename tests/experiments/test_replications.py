"""Replications, comparisons and selections of real runs: the same luck for all, results that do not depend on workers, figures."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from forge1sim.errors import ExperimentError
from forge1sim.experiments import Ask, Precision, compare, replications, select_best, steady_state
from forge1sim.experiments.outcome import replicate
from forge1sim.experiments.steady_state import waits_of
from tests.conftest import ROOT
from tests.small import SMALL

QUEUE = ROOT / "scenarios" / "theory" / "mm1.yaml"
FEWER = "accounts.openai.limits.0.limit=200"
MEASURES = ("all.wait_mean_s", "all.wait_p95_s", "all.key_cost_usd")
MORE = "accounts.openai.limits.0.limit=320"


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    path = tmp_path_factory.mktemp("replications") / "small.yaml"
    path.write_text(SMALL.replace("limit: 300", "limit: 220"))
    return Ask(scenario=str(path), overrides=("policies.queue.max_in_system=4096",), seed=5)


def changed(ask, *overrides):
    return replace(ask, overrides=(*ask.overrides, *overrides))


@pytest.fixture(scope="module")
def made(ask):
    return replications(ask, 6, backend="serial")


@pytest.fixture(scope="module")
def compared(ask):
    three = {"base": ask, "fewer": changed(ask, FEWER), "more": changed(ask, MORE)}
    return compare(three, 6, measures=MEASURES, backend="serial")


def test_replication_n_is_the_run_with_the_nth_seed(ask, made):
    assert made.seeds == (5, 6, 7, 8, 9, 10)
    assert made.outcomes[2] == pytest.approx(replicate(replace(ask, seed=7)), nan_ok=True)
    assert list(made.draws().index) == list(made.seeds)
    expected = stats.ttest_1samp(made.values("all.wait_mean_s"), 0).confidence_interval(0.95)
    found = made.interval("all.wait_mean_s")
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_numbers_that_cannot_be_trusted_say_so_in_the_frame(made):
    frame = made.frame()
    assert frame.loc["all.wait_mean_s", "trusted"]
    assert frame.loc["all.key_cost_usd", "why"] == "all values are equal"
    assert np.isnan(frame.loc["all.key_cost_usd", "low"])


def test_a_p99_of_few_answers_has_no_interval(ask):
    short = replications(changed(ask, "horizon_s=1min"), 4, backend="serial")
    assert "a p99 needs 1,000" in short.interval("all.latency_p99_s").why
    assert short.interval("all.latency_mean_s").trusted


def test_a_ratio_is_of_the_sums(made):
    found = made.ratio("all.cost_usd", "all.served")
    whole = made.values("all.cost_usd").sum() / made.values("all.served").sum()
    assert found.value == pytest.approx(whole, rel=1e-3)
    assert found.trusted


def test_it_goes_on_until_the_number_is_known_and_no_further(ask):
    precision = Precision("all.wait_mean_s", relative=0.2)
    found = replications(ask, until=precision, backend="serial")
    interval = found.interval("all.wait_mean_s")
    assert found.reached
    assert len(found.seeds) >= precision.minimum
    assert interval.relative <= 0.2
    again = replications(ask, until=precision, workers=2)
    assert again.draws().equals(found.draws())


def test_a_precision_that_takes_too_many_is_told(ask):
    found = replications(ask, until=Precision("all.wait_mean_s", relative=0.001), most=11, backend="serial")
    assert not found.reached
    assert len(found.seeds) == 11


def test_a_precision_that_no_number_of_replications_can_reach_ends_at_once(ask):
    found = replications(changed(ask, "horizon_s=1min"), until=Precision("all.latency_p99_s", relative=0.5), backend="serial")
    assert not found.reached
    assert len(found.seeds) == 10
    assert "a p99 needs 1,000" in found.interval("all.latency_p99_s").why


def test_alternatives_meet_the_same_arrivals(compared):
    arrived = [one.values("all.arrived").tolist() for one in compared.replications]
    assert arrived[0] == arrived[1] == arrived[2]


def test_verdicts_follow_the_paired_test_and_its_correction(compared):
    worse, better = (compared.of(name, "all.wait_mean_s") for name in ("fewer", "more"))
    assert (worse.verdict, better.verdict) == ("worse", "better")
    assert better.interval.high < 0 < worse.interval.low
    assert compared.of("fewer", "all.key_cost_usd").verdict == "same"
    for one in compared.differences:
        assert not one.adjusted < one.p_value
    before, after = (side.values("all.wait_mean_s") for side in compared.replications[:2])
    assert worse.p_value == pytest.approx(stats.ttest_rel(after, before).pvalue)
    assert worse.variance_ratio == pytest.approx(np.var(after - before) / (np.var(after) + np.var(before)))


def test_fewer_questions_are_corrected_less(ask, compared):
    one = compare({"base": ask, "more": changed(ask, MORE)}, 6, measures=["all.wait_mean_s"], backend="serial").differences
    assert len(one) == 1
    assert one[0].adjusted == one[0].p_value
    assert one[0].adjusted < compared.of("more", "all.wait_mean_s").adjusted


def test_workers_change_nothing(ask, compared):
    again = compare({"base": ask, "fewer": changed(ask, FEWER), "more": changed(ask, MORE)}, 6, workers=2)
    for mine, its in zip(compared.replications, again.replications, strict=True):
        assert mine.draws().equals(its.draws())


def test_the_best_is_selected_with_its_promise(ask):
    found = select_best({"fewer": changed(ask, FEWER), "base": ask, "more": changed(ask, MORE)}, "all.wait_mean_s", 0.5, backend="serial")
    assert found.name == "more"
    assert found.ask.overrides[-1] == MORE
    assert found.selection.trusted
    assert found.frame().loc["more", "best"]


def test_figures_and_frames_tell_what_was_found(compared, made):
    assert made.figure("all.wait_mean_s").layout.title.text.startswith("all.wait_mean_s: ")
    assert {trace.name for trace in compared.figure("fewer").data} >= {"better", "worse"}
    frame = compared.frame()
    assert set(frame.verdict) <= {"better", "worse", "unclear", "same"}
    assert len(frame) == len(compared.differences)


def test_the_steady_state_is_found_without_its_start():
    ask = Ask(scenario=str(QUEUE), overrides=("horizon_s=20000", "policies.queue.max_in_system=4096"))
    found = steady_state(ask, until=Precision("all.wait_mean_s", relative=0.1), backend="serial")
    assert found.reached
    assert found.warm_up is not None
    assert found.warm_up.trusted
    assert found.intervals["all.wait_mean_s"].holds(1.0)
    assert found.intervals["all.wait_p99_s"].holds(2 * np.log(50))
    assert found.frame().loc["all.wait_mean_s", "trusted"]


def test_a_horizon_too_short_for_its_start_is_doubled():
    """At load 0.95 the queue grows for hundreds of seconds."""
    overrides = ("horizon_s=200", "tenants.callers.demand.requests_per_s=0.95", "policies.queue.max_in_system=1024")
    found = steady_state(Ask(scenario=str(QUEUE), overrides=overrides), 10, backend="serial")
    assert found.horizon_s > 200
    assert found.horizon_s % 200 == 0
    assert "the run is too short" in found.intervals["all.wait_p99_s"].why.replace("runs are", "the run is")


def test_a_given_start_is_cut_off():
    ask = Ask(scenario=str(QUEUE), overrides=("horizon_s=2000",))
    found = steady_state(ask, 3, warm_up_s=500.0, measures=["all.wait_mean_s"], backend="serial")
    waits = [waits_of(replace(ask, seed=seed)) for seed in found.seeds]
    assert found.intervals["all.wait_mean_s"].value == pytest.approx(np.mean([one.wait_s[one.arrive_s >= 500].mean() for one in waits]))


def test_waits_from_the_log_are_those_of_the_summary(ask):
    waits, outcome = waits_of(ask), replicate(ask)
    assert len(waits.wait_s) == outcome["all.served"]
    assert waits.of("all.wait_mean_s", 0.0).mean() == pytest.approx(outcome["all.wait_mean_s"])
    assert waits.of("all.latency_mean_s", 0.0).mean() == pytest.approx(outcome["all.latency_mean_s"])
    assert (np.diff(waits.arrive_s) >= 0).all()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda ask: replications(ask, 5, until=Precision("all.cost_usd", relative=0.1)), "either count or until"),
        (lambda ask: replications(ask, 0), "count is 0"),
        (lambda ask: compare([ask]), "at least 2"),
        (lambda ask: compare([ask, ask]), "the same scenario"),
        (lambda ask: compare([ask, replace(ask, seed=9)]), "seeds [5, 9]"),
        (lambda ask: compare({"a": ask, "b": changed(ask, MORE)}, 2, measures=["all.wait"], backend="serial"), "did you mean all.wait_"),
        (lambda ask: select_best({"a": ask, "b": changed(ask, MORE)}, "all.arrived", 1.0), "neither better"),
        (lambda ask: select_best({"a": ask, "b": changed(ask, MORE)}, "all.wait_mean_s", 0.0), "indifference is 0.0"),
        (lambda ask: steady_state(ask, measures=["all.cost_usd"]), "not of the steady state"),
        (lambda ask: steady_state(ask, warm_up_s=1e9), "warm_up_s is"),
        (lambda ask: steady_state(ask, 3, until=Precision("all.wait_mean_s", relative=0.1)), "either count or until"),
    ],
)
def test_bad_input_is_told(ask, call, told):
    with pytest.raises(ExperimentError) as error:
        call(ask)
    assert told in str(error.value)
