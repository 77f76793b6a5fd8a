"""Intervals are those of the textbooks, hold the truth as often as they say, and say when they cannot be trusted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forge1sim.errors import ExperimentError
from forge1sim.statistics import (
    adjusted,
    fewest_events,
    mean_interval,
    mean_of_quantiles,
    paired_interval,
    paired_p_value,
    pooled_quantile,
    quantile_interval,
    ratio_interval,
)

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def test_a_mean_has_students_interval():
    values = np.random.default_rng(1).normal(5, 2, 12)
    found, expected = mean_interval(values, 0.9), stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.count, found.confidence, found.trusted) == (12, 0.9, True)
    assert found.relative == pytest.approx(found.half_width / values.mean())


@given(st.lists(NUMBERS, min_size=2, max_size=30), NUMBERS, st.floats(0.01, 100))
def test_an_interval_moves_and_grows_with_its_values(values, shift, scale):
    one, other = mean_interval(values), mean_interval(np.asarray(values) * scale + shift)
    if one.trusted and other.trusted:
        size = 1e-6 * (abs(shift) + scale * max(map(abs, values)) + 1)
        assert other.low == pytest.approx(one.low * scale + shift, abs=size)
        assert one.low <= one.value <= one.high


def test_pairs_are_a_paired_t_test():
    rng = np.random.default_rng(2)
    before = rng.normal(size=9)
    after = before + rng.normal(0.5, 0.2, 9)
    test = stats.ttest_rel(after, before)
    found = paired_interval(before, after)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert paired_p_value(before, after) == pytest.approx(test.pvalue)


def test_differences_that_are_all_equal_are_judged_by_their_sign():
    assert paired_p_value([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert paired_p_value([1.0, 2.0, 3.0], [1.5, 2.5, 3.5]) == 0.25
    assert np.isnan(paired_p_value([1.0], [2.0]))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "0 replications"), ([3.0], "1 replications"), ([0.0, 0.0, 0.0], "all values are equal"),
        ([1.0, float("nan"), 2.0], "nothing was measured in 1 of 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_trusted_has_no_bounds_and_says_why(values, why):
    found = mean_interval(values)
    assert not found.trusted
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert why in found.why
    assert why in str(found)
    assert not found.holds(0.0)


def test_a_quantile_needs_ten_values_beyond_it():
    assert [fewest_events(ratio) for ratio in (0.5, 0.9, 0.95, 0.99, 0.999)] == [20, 100, 200, 1000, 10000]
    few = quantile_interval([1.0, 2.0, 3.0], [5000, 999, 5000], 0.99)
    assert not few.trusted
    assert "999 requests in a replication, a p99 needs 1,000" in few.why
    assert quantile_interval([1.0, 2.0, 3.0], [1000, 1000, 1000], 0.99).trusted
    few = pooled_quantile(np.random.default_rng(1).normal(size=(10, 30)), 0.95)
    assert not few.trusted
    assert "independent requests lie above the p95, 20 are needed" in few.why
    assert "nothing was measured" in pooled_quantile([[], []], 0.95).why


def test_values_in_clusters_count_as_few():
    """Each value fifty times over: fifty times the requests, but no more is known."""
    samples = np.random.default_rng(6).exponential(size=(20, 100))
    assert pooled_quantile(samples, 0.95).trusted
    clustered = pooled_quantile(np.repeat(samples[:, :10], 50, axis=1), 0.95)
    assert not clustered.trusted
    assert "runs are too short" in clustered.why


def test_quantiles_hold_the_truth():
    rng = np.random.default_rng(3)
    truth = stats.expon.ppf(0.95)
    hits = {"pooled": 0, "mean": 0}
    for _ in range(400):
        samples = rng.exponential(size=(10, 400))
        hits["pooled"] += pooled_quantile(samples, 0.95).holds(truth)
        hits["mean"] += mean_of_quantiles(samples, 0.95).holds(truth)
    for found in hits.values():
        assert stats.binomtest(found, 400, 0.95).pvalue > 0.01


def test_the_pooled_quantile_is_that_of_all_values():
    samples = np.random.default_rng(4).exponential(size=(5, 1000))
    assert pooled_quantile(samples, 0.99).value == np.quantile(samples, 0.99)


@pytest.mark.parametrize("method", ["jackknife", "fieller", "delta"])
def test_ratios_hold_the_truth(method):
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        below = rng.normal(100, 15, 12)
        above = 0.02 * below + rng.normal(0, 0.1, 12)
        hits += ratio_interval(above, below, method=method).holds(0.02)
    assert stats.binomtest(hits, 400, 0.95).pvalue > 0.01


def test_a_ratio_with_a_denominator_about_zero_is_not_trusted():
    found = ratio_interval([1.0, 2.0, 3.0], [-1.0, 0.5, 1.0])
    assert not found.trusted
    assert found.why == "the denominator may be 0"
    assert ratio_interval([1.0, 1.1, 1.2], [2.0, 2.2, 2.4]).why == "all ratios are equal"
    assert "at least 3" in ratio_interval([1.0, 2.0], [2.0, 5.0]).why


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_never_stricter_than_bonferroni_and_keeps_the_order(seed):
    rng = np.random.default_rng(seed)
    p_values = rng.uniform(size=rng.integers(1, 20)) ** 3
    holm, bonferroni = adjusted(p_values), adjusted(p_values, "bonferroni")
    assert (np.asarray(p_values) <= holm).all()
    assert (holm <= bonferroni + 1e-12).all()
    assert (np.diff(holm[np.argsort(p_values, kind="stable")]) >= -1e-12).all()


def test_holm_by_hand_and_what_was_not_measured_is_no_question():
    assert adjusted([0.01, float("nan"), 0.04, 0.03]) == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: mean_interval([1, 2], 95), "confidence is 95"), (lambda: mean_interval([[1, 2]]), "shape (1, 2)"),
        (lambda: mean_interval([1, np.inf]), "infinite"), (lambda: paired_interval([1], [1, 2]), "1 and 2 replications"),
        (lambda: quantile_interval([1, 2], [3], 0.5), "2 quantiles and 1 counts"), (lambda: fewest_events(99), "ratio is 99"),
        (lambda: ratio_interval([1], [1], method="best"), "method is 'best'"), (lambda: ratio_interval([1], [1, 2]), "1 numerators"),
        (lambda: adjusted([2.0]), "between 0 and 1"), (lambda: adjusted([0.5], "fdr"), "correction is 'fdr'"),
    ],
)  # fmt: skip
def test_bad_input_is_told(call, told):
    with pytest.raises(ExperimentError) as error:
        call()
    assert told in str(error.value)
