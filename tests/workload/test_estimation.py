"""Laws of what the gateway takes requests for: exact without error, right on average, and the request's own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from forge1sim.workload import estimation
from forge1sim.workload.estimation import ERRORS, errors_of
from forge1sim.workload.spec import EXACT, TOKENS_MAX, Estimation
from policies.plain import plain


def _quietly(function):
    """The keyed hash wraps around in uint64 on purpose; NumPy scalars would warn of it."""
    return np.errstate(over="ignore")(plain(function))


guessed_tokens, guessed_complexity_pm = _quietly(estimation.guessed_tokens), _quietly(estimation.guessed_complexity_pm)
seeds, tenants, numbers = st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(0, 2**31 - 1)
specs = st.builds(
    Estimation, input_tokens_bias=st.floats(0.1, 10), input_tokens_cv=st.floats(0, 3), complexity_sd=st.floats(0, 1)
)


def errors(spec):
    row = np.zeros(1, ERRORS)
    row[0] = errors_of(spec)
    return row[0]


@given(seed=seeds, tenant=tenants, number=numbers, tokens=st.integers(0, TOKENS_MAX), complexity=st.integers(0, 1000))
def test_without_error_the_estimate_is_the_truth(seed, tenant, number, tokens, complexity):
    assert guessed_tokens(errors(EXACT), seed, tenant, number, tokens) == tokens
    assert guessed_complexity_pm(errors(EXACT), seed, tenant, number, complexity) == complexity
    assert errors(EXACT)["has_any"] == 0


@given(spec=specs, seed=seeds, tenant=tenants, number=numbers, tokens=st.integers(0, TOKENS_MAX), complexity=st.integers(0, 1000))
def test_estimates_stay_within_bounds(spec, seed, tenant, number, tokens, complexity):
    guess = guessed_tokens(errors(spec), seed, tenant, number, tokens)
    assert min(tokens, 1) <= guess <= (TOKENS_MAX if tokens else 0)
    assert 0 <= guessed_complexity_pm(errors(spec), seed, tenant, number, complexity) <= 1000


@given(spec=specs, seed=seeds, tenant=tenants, number=numbers, tokens=st.integers(1, 10**6), more=st.integers(0, 10**6))
def test_the_same_request_errs_by_the_same_factor(spec, seed, tenant, number, tokens, more):
    """So that who asks for more is never taken for who asks for less."""
    assert guessed_tokens(errors(spec), seed, tenant, number, tokens + more) >= guessed_tokens(errors(spec), seed, tenant, number, tokens)


@pytest.mark.parametrize(("bias", "cv"), [(1.0, 0.1), (1.0, 0.8), (1.3, 0.2), (0.7, 0.5)])
def test_mean_and_spread_are_those_asked_for(bias, cv):
    truth, count = 100_000, 20_000
    row = errors(Estimation(input_tokens_bias=bias, input_tokens_cv=cv))
    ratios = np.array([guessed_tokens(row, 7, number % 50, number, truth) for number in range(count)]) / truth
    assert ratios.mean() == pytest.approx(bias, abs=5 * bias * cv / math.sqrt(count))
    assert ratios.std() / ratios.mean() == pytest.approx(cv, rel=0.08)


def test_complexity_errs_evenly_away_from_its_bounds():
    row = errors(Estimation(complexity_sd=0.1))
    guesses = np.array([guessed_complexity_pm(row, 7, 0, number, 500) for number in range(20_000)])
    assert guesses.mean() == pytest.approx(500, abs=5 * 100 / math.sqrt(20_000))
    assert guesses.std() == pytest.approx(100, rel=0.05)


@given(spec=specs, seed=seeds, tenant=tenants, number=numbers)
def test_the_two_errors_have_nothing_to_do_with_each_other(spec, seed, tenant, number):
    alone = spec.model_copy(update={"complexity_sd": 0.0})
    assert guessed_tokens(errors(spec), seed, tenant, number, 5000) == guessed_tokens(errors(alone), seed, tenant, number, 5000)


@pytest.mark.parametrize("field", ["input_tokens_bias", "input_tokens_cv", "complexity_sd"])
def test_what_cannot_be_is_refused(field):
    with pytest.raises(ValidationError):
        Estimation.model_validate({field: -0.1})
