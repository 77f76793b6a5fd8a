"""Who stops when a number is known well enough still keeps the confidence of the interval, and the precision."""

import math

import numpy as np
import pytest
from scipy import stats

from forge1sim.errors import ExperimentError
from forge1sim.statistics import Precision, Watch, mean_interval

EXPERIMENTS = 1000


def _until(precision, values):
    """Show values one by one until the precision is reached; the watch."""
    watch = Watch(precision)
    seen = []
    for value in values:
        seen.append(value)
        spread = float(np.std(seen, ddof=1)) if len(seen) > 1 else float("nan")
        if watch.see(float(np.mean(seen)), spread):
            break
    return watch


def _normal(rng, cv):
    return 1 + cv * rng.normal(size=200)


def _gamma(rng, cv):
    return rng.gamma(cv**-2, cv**2, size=200)


@pytest.mark.parametrize("draw", [_normal, _gamma])
@pytest.mark.parametrize(("cv", "relative"), [(0.07, 0.05), (0.2, 0.1)])
def test_intervals_at_the_stop_hold_the_truth_and_are_as_narrow_as_asked(draw, cv, relative):
    rng = np.random.default_rng(1)
    precision = Precision("wait", relative=relative)
    hits = near = 0
    for _ in range(EXPERIMENTS):
        watch = _until(precision, draw(rng, cv))
        found = watch.interval()
        assert watch.is_reached
        assert watch.count >= precision.minimum
        hits += found.holds(1.0)
        near += abs(found.value - 1.0) <= relative
    assert 0.93 <= hits / EXPERIMENTS <= 0.975
    assert stats.binomtest(near, EXPERIMENTS, 0.95, "less").pvalue > 0.01


def test_the_number_of_replications_follows_the_spread():
    rng = np.random.default_rng(2)
    counts = [_until(Precision("wait", relative=0.1), _normal(rng, cv)).count for cv in (0.01, 0.2, 0.4)]
    assert counts[0] == 10
    assert counts[0] < counts[1] < counts[2]


def test_values_without_spread_are_never_known():
    watch = _until(Precision("wait", absolute=0.1), [0.0] * 50)
    assert not watch.is_reached
    assert not watch.interval().trusted
    watch = _until(Precision("wait", absolute=0.1), [1.0, 2.0, float("nan"), 3.0] * 10)
    assert not watch.is_reached


def test_an_interval_before_the_stop_is_that_of_the_mean():
    values = np.random.default_rng(3).normal(5, 2, 12)
    watch, plain = _until(Precision("wait", relative=0.01), values), mean_interval(values)
    assert not watch.is_reached
    assert (watch.interval().low, watch.interval().high) == pytest.approx((plain.low, plain.high))


def test_a_precision_says_itself():
    assert Precision("all.wait_p99_s", relative=0.05).text == "all.wait_p99_s to within 5 % at 95 %"
    assert Precision("slo.attained", absolute=0.01, confidence=0.9).text == "slo.attained to within 0.01 at 90 %"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "either relative or absolute"), ({"relative": 0.1, "absolute": 1.0}, "either"), ({"relative": 0.0}, "relative is 0.0"),
        ({"absolute": math.inf}, "absolute is inf"), ({"relative": 0.1, "confidence": 1.0}, "confidence is 1.0"),
        ({"relative": 0.1, "minimum": 3}, "minimum is 3"),
    ],
)  # fmt: skip
def test_bad_precisions_are_told(fields, told):
    with pytest.raises(ExperimentError) as error:
        Precision("wait", **fields)
    assert told in str(error.value)
