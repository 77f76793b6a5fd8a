"""Quantiles of waits fit the means that other formulas give, and the cases that can be checked by hand."""

import numpy as np
import pytest

from forge1sim.errors import TheoryError
from forge1sim.theory.erlang import erlang_c, mmc_wait_s
from forge1sim.theory.general import mg1_wait_s
from forge1sim.theory.quantiles import md1_wait_quantile_s, mmc_wait_quantile_s

SHARES = (np.arange(4000) + 0.5) / 4000


@pytest.mark.parametrize("load", [0.3, 0.8])
def test_quantiles_average_to_the_mean(load):
    waits_s = [mmc_wait_quantile_s(2 * load, 1.0, 2, share) for share in SHARES]
    assert np.mean(waits_s) == pytest.approx(mmc_wait_s(2 * load, 1.0, 2), rel=2e-3)


def test_quantiles_of_constant_service_average_to_the_mean():
    shares = SHARES[::10] + 4.5 / 4000
    assert np.mean([md1_wait_quantile_s(0.6, 1.0, share) for share in shares]) == pytest.approx(mg1_wait_s(0.6, 1.0, 0.0), rel=0.01)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.9])
def test_who_finds_nobody_does_not_wait(load):
    assert md1_wait_quantile_s(load, 1.0, 1 - load) == 0.0
    assert md1_wait_quantile_s(load, 1.0, 1 - load + 1e-6) < 1e-4
    assert mmc_wait_quantile_s(2 * load, 1.0, 2, 1 - erlang_c(2 * load, 2)) == pytest.approx(0.0, abs=1e-12)
    assert mmc_wait_quantile_s(2 * load, 1.0, 2, 0.1) == 0.0


def test_within_the_first_service_erlangs_formula_is_exact():
    """P(W <= t) = (1 - load) exp(arrivals t) as long as t is below the service time."""
    ratio = (1 - 0.5) * np.exp(0.5 * 0.7)
    assert md1_wait_quantile_s(0.5, 1.0, ratio) == pytest.approx(0.7)
    assert md1_wait_quantile_s(0.05, 10.0, ratio) == pytest.approx(7.0)


def test_bad_input_is_told():
    with pytest.raises(TheoryError, match="ratio is 99"):
        mmc_wait_quantile_s(1.0, 1.0, 2, 99)
    with pytest.raises(TheoryError, match="no stationary state"):
        md1_wait_quantile_s(2.0, 1.0, 0.5)
