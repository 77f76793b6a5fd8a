"""The start is found where there is one; what is left gives intervals that hold the truth, or say that they cannot."""

import numpy as np
import pytest
from scipy import signal, stats

from forge1sim.errors import ExperimentError
from forge1sim.statistics import batch_means_interval, deletion_interval, mser5

MEAN = 10.0


def _autoregressive(rng, count, *, start=0.0, memory=0.7):
    """A series with mean 10 that begins `start` above it and forgets by a factor a step."""
    noise = signal.lfilter([1.0], [1.0, -memory], rng.normal(size=count))
    return MEAN + noise + start * memory ** np.arange(count)


def test_a_start_far_off_is_cut_and_a_series_without_one_is_nearly_kept():
    rng = np.random.default_rng(1)
    far = mser5(np.mean([_autoregressive(rng, 2000, start=200.0, memory=0.98) for _ in range(10)], axis=0))
    assert far.trusted
    assert far.cut % 5 == 0
    assert 100 <= far.cut <= 600
    cuts = [mser5(np.mean([_autoregressive(rng, 2000) for _ in range(10)], axis=0)) for _ in range(40)]
    assert np.median([one.cut for one in cuts]) <= 200


def test_a_series_that_never_settles_is_not_trusted():
    found = mser5(np.r_[np.linspace(50, 0, 600), np.random.default_rng(2).normal(0, 0.01, 400)])
    assert not found.trusted
    assert "second half" in found.why
    assert "at least 50" in mser5(np.zeros(49)).why


def test_deletion_takes_away_the_bias_of_the_start():
    rng = np.random.default_rng(3)
    hits = raw = 0
    for _ in range(300):
        runs = [_autoregressive(rng, 1000, start=60.0, memory=0.95) for _ in range(10)]
        cut = mser5(np.mean(runs, axis=0)).cut
        hits += deletion_interval(runs, cut).holds(MEAN)
        raw += deletion_interval(runs, 0).holds(MEAN)
    assert stats.binomtest(hits, 300, 0.925, "less").pvalue > 0.01
    assert raw < 0.5 * hits


def test_one_long_run_holds_the_truth_or_says_that_it_is_too_short():
    rng = np.random.default_rng(4)
    found = [batch_means_interval(_autoregressive(rng, 20_000)) for _ in range(300)]
    trusted = [one for one in found if one.trusted]
    assert len(trusted) > 250
    assert stats.binomtest(sum(one.holds(MEAN) for one in trusted), len(trusted), 0.925, "less").pvalue > 0.01
    short = batch_means_interval(_autoregressive(rng, 2_000, memory=0.995), cut=0)
    assert not short.trusted
    assert "too short" in short.why
    assert "20 batches need 200" in batch_means_interval(np.arange(100.0), cut=0).why


def test_bad_input_is_told():
    with pytest.raises(ExperimentError, match="not measured"):
        mser5([1.0, float("nan")])
    with pytest.raises(ExperimentError, match="cut is -1"):
        deletion_interval([[1.0]], -1)
    with pytest.raises(ExperimentError, match="batches is 2"):
        batch_means_interval([1.0], batches=2)
