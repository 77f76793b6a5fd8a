"""Our beta distribution against SciPy's, and the complexities that come of it."""

import numpy as np
import pytest
from scipy import special

from forge1sim.workload.beta import beta_cdf
from forge1sim.workload.spec import Complexity
from forge1sim.workload.traits import COMPLEXITY_STEPS, complexity_steps

X = (np.arange(1000) + 0.5) / 1000
CASES = [(mean, concentration) for mean in (0.001, 0.1, 0.45, 0.6, 0.999) for concentration in (0.1, 1.0, 5.0, 300.0, 10_000.0)]


@pytest.mark.parametrize(("mean", "concentration"), CASES)
def test_the_distribution_is_scipys(mean: float, concentration: float) -> None:
    a = mean * concentration
    assert np.abs(beta_cdf(a, concentration - a, X) - special.betainc(a, concentration - a, X)).max() < 1e-10


@pytest.mark.parametrize(("mean", "concentration"), CASES)
def test_complexities_are_rounded_quantiles(mean: float, concentration: float) -> None:
    levels = (np.arange(COMPLEXITY_STEPS) + 0.5) / COMPLEXITY_STEPS
    a = mean * concentration
    expected = np.rint(special.betaincinv(a, concentration - a, levels) * 1000)
    assert np.array_equal(complexity_steps(Complexity(mean=mean, concentration=concentration)), expected)
