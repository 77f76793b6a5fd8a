"""Selection keeps its promise: in the slippage configuration, with ties, with common luck, and with skewed values.

Held as `benchmarks/bench_best_of_k.py` does: the lower 95 % Clopper-Pearson bound of 500 macro-runs may lie at most 3
points below the promise.
"""

import numpy as np
import pytest

from benchmarks.best_of_k import CONFIDENCE, lower_bound, normal, selected, skewed, successes
from forge1sim.errors import ExperimentError
from forge1sim.statistics import select


@pytest.mark.parametrize("noise", [normal, skewed])
@pytest.mark.parametrize("common", [0.0, 3.0])
def test_the_best_is_selected_where_rivals_are_just_the_indifference_apart(noise, common):
    assert lower_bound(successes(noise, common, good=1, seed=7)) >= CONFIDENCE - 0.03


@pytest.mark.parametrize("noise", [normal, skewed])
def test_with_ties_one_of_the_good_is_selected(noise):
    """Five are equally good and five exactly the indifference worse: any of the first five will do."""
    assert lower_bound(successes(noise, 0.0, good=5, seed=8)) >= CONFIDENCE - 0.03


def test_all_equal_ends_too():
    found = selected(np.random.default_rng(9), frozenset(), normal, 0.0)
    assert found.trusted
    assert max(found.replications) < 1000


def test_twins_under_common_luck_end_with_the_first():
    rng = np.random.default_rng(10)

    def draw(_number, left):
        luck = rng.normal()
        return [luck + (2.0 if one in {1, 2} else 0.0) for one in left]

    found = select(draw, 3, indifference=1.0)
    assert (found.best, found.replications) == (1, (10, 10, 10))


def test_common_luck_saves_replications():
    rng = np.random.default_rng(11)

    def spent(common):
        def draw(_number, left):
            shared = rng.normal()
            return [0.5 * one + 0.3 * rng.normal() + (shared if common else rng.normal()) * 3 for one in left]

        return sum(select(draw, 5, indifference=0.5).replications)

    assert spent(True) < 0.5 * spent(False)


def test_less_can_be_better():
    rng = np.random.default_rng(12)
    found = select(lambda _n, left: [one + rng.normal(0, 0.1) for one in left], 4, indifference=0.5, larger_is_better=False)
    assert found.best == 0
    assert found.means == pytest.approx((0, 1, 2, 3), abs=0.2)


def test_a_budget_that_is_spent_is_told():
    rng = np.random.default_rng(13)
    found = select(lambda _n, left: rng.normal(size=len(left)), 3, indifference=0.01, most=20)
    assert not found.trusted
    assert "alternatives are left after 20 replications" in found.why
    assert max(found.replications) == 20


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"alternatives": 1}, "at least 2"), ({"indifference": 0.0}, "indifference is 0.0"), ({"confidence": 0.4}, "above 0.5"),
        ({"first": 2}, "at least 3"), ({"most": 5}, "at least first"),
    ],
)  # fmt: skip
def test_bad_input_is_told(options, told):
    alternatives = options.pop("alternatives", 2)
    with pytest.raises(ExperimentError) as error:
        select(lambda _n, left: [0.0] * len(left), alternatives, **{"indifference": 1.0, **options})
    assert told in str(error.value)


def test_what_was_not_measured_cannot_be_compared():
    with pytest.raises(ExperimentError, match="nothing was measured"):
        select(lambda _n, left: [float("nan")] * len(left), 2, indifference=1.0)
    with pytest.raises(ExperimentError, match="shape"):
        select(lambda _n, left: [0.0], 2, indifference=1.0)
