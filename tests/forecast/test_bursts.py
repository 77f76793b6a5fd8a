"""Bursts within the hour, against counts whose dispersion is known."""

import numpy as np
import pytest

from forge1sim.forecast import History, forecast
from forge1sim.forecast.bursts import bursts_of


def minutes(counts):
    return History(source="made", start_us=0, dated=False, counts=np.asarray(counts, float), tokens={})


def test_independent_requests_have_an_index_of_dispersion_of_one():
    found = bursts_of(minutes(np.random.default_rng(1).poisson(50.0, (200, 60))))
    assert found.index_of_dispersion == pytest.approx(1.0, abs=0.05)
    assert found.bin_s == 60
    assert found.hours == 200


def test_requests_in_batches_of_ten_have_ten():
    found = bursts_of(minutes(10 * np.random.default_rng(2).poisson(5.0, (200, 60))))
    assert found.index_of_dispersion == pytest.approx(10.0, rel=0.05)


def test_the_busiest_minute_over_the_mean_one():
    counts = np.full((100, 60), 10.0)
    counts[:, 7] = 40.0
    found = bursts_of(minutes(counts))
    assert found.peak_over_mean == pytest.approx((40.0 / 10.5,) * 3)


def test_hours_without_requests_or_not_recorded_say_nothing():
    counts = np.random.default_rng(3).poisson(50.0, (50, 60)).astype(float)
    more = np.concatenate([counts, np.zeros((10, 60)), np.full((10, 60), np.nan)])
    assert bursts_of(minutes(more)) == bursts_of(minutes(counts))


def test_hours_alone_have_no_bursts_and_say_so():
    made = forecast(minutes(np.full((48, 1), 5.0)), 24)
    assert made.bursts is None
    assert any(sentence.startswith("Bursts: the data has hours only") for sentence in made.unidentified)
    assert any("counts intervals of 600 s" in sentence for sentence in forecast(minutes(np.full((48, 6), 5.0)), 24).unidentified)
