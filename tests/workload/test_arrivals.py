"""Arrivals have the distribution they are named after, from the first second on."""

import numpy as np
import pytest
from scipy import stats

from tests.workload.groups import MONDAY_US, Demand, Tenants, build, gaps_s, rows_of, synthetic

KINDS = [
    {"kind": "poisson"}, {"kind": "gamma", "cv": 0.4}, {"kind": "gamma", "cv": 3.0}, {"kind": "deterministic"},
    {"kind": "mmpp", "burst_factor": 20.0, "burst_share": 0.1, "burst_s": 5.0},
]  # fmt: skip


@pytest.mark.parametrize("arrivals", KINDS, ids=str)
def test_mean_count_is_exact_even_over_a_short_time(arrivals):
    """Equilibrium from the start: 4,000 tenants, 2.5 mean gaps each; a plain renewal start would be off by far."""
    rows = synthetic(2.5, count=4000, requests_per_s_each=1.0, arrivals=arrivals)
    counts = np.bincount(rows["tenant"], minlength=4000)
    error = counts.std() / np.sqrt(4000)
    assert abs(counts.mean() - 2.5) < 4 * max(error, 1e-3)


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_gamma_gaps_have_their_cv(cv):
    gaps = gaps_s(synthetic(50_000.0, requests_per_s=1.0, arrivals={"kind": "gamma", "cv": cv}))
    assert gaps.mean() == pytest.approx(1.0, abs=4 * cv / np.sqrt(gaps.size))
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.06)
    # Times are whole microseconds, below which a share of very bursty gaps lies: compare above.
    for level in (0.4, 0.6, 0.8, 0.95, 0.99):
        below = (gaps < stats.gamma.ppf(level, cv**-2, scale=cv**2)).mean()
        assert below == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / gaps.size) + 1e-3)


def test_poisson_gaps_are_exponential_and_independent():
    """One seed in a thousand fails any test at the 0.1% level: the p-values of many seeds must be uniform."""
    samples = [gaps_s(synthetic(20_000.0, seed=seed, requests_per_s=1.0)) for seed in range(20)]
    assert stats.kstest([stats.kstest(gaps, "expon").pvalue for gaps in samples], "uniform").pvalue > 1e-3
    for gaps in samples:
        assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 4.5 / np.sqrt(gaps.size)


def test_deterministic_gaps_are_equal_and_tenants_out_of_step():
    rows = synthetic(100.0, count=50, requests_per_s_each=2.0, arrivals={"kind": "deterministic"})
    assert gaps_s(rows) == pytest.approx(0.5, abs=2e-6)
    firsts = rows["arrive_us"][rows["number"] == 0] - MONDAY_US
    assert stats.kstest(firsts / 5e5, "uniform").pvalue > 1e-3


def test_mmpp_varies_as_its_theory_says():
    """Variance of counts over a time t: Fischer and Meier-Hellstern, Performance Evaluation 18, 1993."""
    share, factor, burst_s, rate, t = 0.2, 10.0, 4.0, 5.0, 200.0
    arrivals = {"kind": "mmpp", "burst_factor": factor, "burst_share": share, "burst_s": burst_s}
    rows = synthetic(t, count=4000, requests_per_s_each=rate, arrivals=arrivals)
    counts = np.bincount(rows["tenant"], minlength=4000)
    calm = rate / (1 - share + share * factor)
    switching = 1 / burst_s + share / (burst_s * (1 - share))
    step = (factor - 1) ** 2 * calm**2 * share * (1 - share) / switching
    variance = rate * t + 2 * step * (t - (1 - np.exp(-switching * t)) / switching)
    assert counts.mean() == pytest.approx(rate * t, abs=4 * np.sqrt(variance / 4000))
    assert counts.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / 4000))


def test_zipf_shares():
    rows = synthetic(2000.0, count=4, requests_per_s=50.0, zipf=1.0)
    counts = np.bincount(rows["tenant"])
    shares = np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12)
    assert np.all(np.abs(counts - 1e5 * shares) < 4 * np.sqrt(1e5 * shares))


def test_expected_requests_agrees_with_what_comes():
    demand = Demand.model_validate({
        "requests_per_s": 3.0, "diurnal": {"peak_over_mean": 3.0}, "weekend_factor": 0.3, "growth_per_week": 0.5,
        "starts_after_s": 3600.0, "onboarding_over_s": 7200.0,
    })  # fmt: skip
    workload = build([Tenants(count=20, demand=demand)], 40_000.0)
    expected = workload.expected_requests
    assert abs(rows_of(workload).size - expected) < 4 * np.sqrt(expected)
