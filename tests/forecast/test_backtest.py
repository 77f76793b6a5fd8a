"""The backtest itself: what it scores, and against what."""

import numpy as np
import pytest

from forge1sim.errors import WorkloadError
from forge1sim.forecast import NAIVES, backtest
from forge1sim.forecast.backtest import SCORED_LEVELS, pinball
from tests.forecast.made import history, noisy


def test_pinball_is_that_of_the_formula():
    bands = np.linspace(10.0, 20.0, len(SCORED_LEVELS))[:, None]
    for came in (5.0, 14.0, 30.0):
        by_hand = [max(level * (came - band), (level - 1) * (came - band)) for level, band in zip(SCORED_LEVELS, bands[:, 0], strict=True)]
        assert pinball(bands, np.array([came])) == pytest.approx([np.mean(by_hand)])


def test_the_true_quantiles_lose_least():
    came = np.random.default_rng(1).normal(100.0, 10.0, 20_000)
    true = np.quantile(came, SCORED_LEVELS)[:, None]
    losses = [pinball(true + shift, came).mean() for shift in (-5.0, 0.0, 5.0)]
    assert min(losses) == losses[1]


def test_better_than_naive_and_calibrated_on_made_data():
    found = backtest(history(noisy(14, 2, sd=0.3, persistence=0.8)), 24)
    assert 0.8 <= found.band_cover <= 0.97
    assert all(found.pinball_over(naive) < 1.0 for naive in NAIVES)


def test_it_never_looks_ahead():
    """What comes after an origin changes its score, not its forecast: a change after the last held-out hour changes nothing."""
    past = noisy(8, 3)
    changed = past.copy()
    changed[120:] *= 10.0
    first, other = (backtest(history(one), 24, first_hours=96, step_hours=1000).origins[0] for one in (past, changed))
    assert first == other


def test_hours_not_recorded_are_not_scored():
    past = noisy(6, 4)
    past[100:110] = np.nan
    found = backtest(history(past), 24, first_hours=96, step_hours=1000)
    assert found.origins[0].scored == 14
    assert np.isfinite(found.origins[0].pinball)


def test_moments_of_which_too_little_was_known_are_left_out():
    past = noisy(8, 6)
    past[1:100] = np.nan
    found = backtest(history(past), 24, step_hours=10, draws=50)
    assert found.origins[0].hours_known == 132
    assert all(np.isfinite(one.naive_pinball["last_day"]) for one in found.origins)


def test_every_origin_is_a_row():
    found = backtest(history(noisy(5, 5)), 24, first_hours=72, step_hours=12, draws=50)
    assert [one.hours_known for one in found.origins] == [72, 84, 96]
    frame = found.frame()
    assert frame["band_cover"].mul(frame["scored"]).sum() / frame["scored"].sum() == pytest.approx(found.band_cover)


def test_too_short_a_history_is_refused():
    with pytest.raises(WorkloadError, match="made: has 72 hours; a backtest 24 hours ahead after the first 72 needs 96"):
        backtest(history(noisy(3, 1)), 24)
    with pytest.raises(WorkloadError, match="first_hours 24"):
        backtest(history(noisy(3, 1)), 24, first_hours=24)
