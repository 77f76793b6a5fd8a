"""Bins grow by at most 1.6 %, edges fit them, and quantiles come close to the exact ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge1sim.metrics.histogram import (
    BINS,
    SKETCH_BINS,
    bin_of,
    edges_us,
    exceedance,
    quantiles_us,
    sketch_bin_of,
    sketch_edges_us,
)

EDGES, SKETCH_EDGES = edges_us(), sketch_edges_us()


@settings(deadline=None)
@given(st.integers(0, 2**43 - 1))
def test_a_value_lies_inside_its_bin(value):
    row = bin_of(value)
    assert EDGES[row] <= value < EDGES[row + 1]
    if value >= 64:
        assert EDGES[row + 1] / EDGES[row] <= 1 + 1 / 64


@settings(deadline=None)
@given(st.integers(0, 2**41 - 1))
def test_a_value_lies_inside_its_sketch_bin(value):
    row = sketch_bin_of(value)
    assert SKETCH_EDGES[row] <= value < SKETCH_EDGES[row + 1]


def test_ends_of_the_range():
    assert bin_of(-5) == bin_of(0) == sketch_bin_of(0) == 0
    assert bin_of(2**60) == BINS - 1
    assert sketch_bin_of(2**60) == SKETCH_BINS - 1
    assert len(EDGES) == BINS + 1
    assert len(SKETCH_EDGES) == SKETCH_BINS + 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quantiles_are_within_two_percent(seed):
    values = np.random.default_rng(seed).lognormal(13.0, 1.5, 20_000).astype(np.int64)
    counts = np.bincount([bin_of(int(value)) for value in values], minlength=BINS)
    found = quantiles_us(counts, (0.5, 0.95, 0.99))
    assert found == pytest.approx(np.quantile(values, (0.5, 0.95, 0.99)).tolist(), rel=0.02)


def test_zero_waits_are_exactly_zero_and_nothing_is_none():
    counts = np.zeros(BINS, np.int64)
    assert quantiles_us(counts, (0.5,)) == [None]
    counts[0], counts[bin_of(10**6)] = 98, 2
    half, tail = quantiles_us(counts, (0.5, 0.99))
    assert half == 0.0
    assert tail == pytest.approx(10**6, rel=0.02)


def test_tail_curve_falls_to_nothing_with_few_points():
    counts = np.bincount([bin_of(int(v)) for v in np.random.default_rng(1).lognormal(12, 2, 50_000)], minlength=BINS)
    seconds, above = exceedance(counts, 200)
    assert len(seconds) <= 200
    assert (np.diff(seconds) > 0).all()
    assert (np.diff(above) <= 0).all()
    assert above[-1] == 0.0
    assert exceedance(np.zeros(BINS, np.int64))[0].size == 0
