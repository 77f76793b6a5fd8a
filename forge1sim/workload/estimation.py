"""What the gateway takes a request for: the truth with the error that estimators have (`policies.estimators`).

The error is a keyed draw of the request, so that it is the same under every policy and whoever else asks.
"""

import math
from typing import Any

import numpy as np

from forge1sim.workload.spec import TOKENS_MAX, Estimation
from policies.compile import inlined
from policies.draw import COMPLEXITY_ESTIMATE, INPUT_ESTIMATE, draw, normal
from policies.rows import Row

ERRORS = np.dtype([("has_any", "<i8"), ("log_mean", "<f8"), ("log_sd", "<f8"), ("complexity_sd_pm", "<f8")])


def errors_of(estimation: Estimation) -> tuple[Any, ...]:
    """One ERRORS row: a lognormal factor with mean `input_tokens_bias`, and a normal error of the complexity."""
    variance = math.log1p(estimation.input_tokens_cv**2)
    log_mean = math.log(estimation.input_tokens_bias) - variance / 2.0
    return not estimation.is_exact, log_mean, math.sqrt(variance), 1000.0 * estimation.complexity_sd


@inlined
def guessed_tokens(errors: Row, seed: int, tenant: int, number: int, tokens: int) -> int:
    """Input tokens as estimated: at least 1 where there are any."""
    u = draw(seed, INPUT_ESTIMATE, tenant, number, 0)
    guess = tokens * math.exp(errors["log_mean"] + errors["log_sd"] * normal(u))
    return int(max(min(guess, float(TOKENS_MAX)), float(min(tokens, 1))) + 0.5)


@inlined
def guessed_complexity_pm(errors: Row, seed: int, tenant: int, number: int, complexity_pm: int) -> int:
    """Complexity as estimated, 0 to 1000 per mille."""
    u = draw(seed, COMPLEXITY_ESTIMATE, tenant, number, 0)
    return int(max(0.0, min(1000.0, complexity_pm + errors["complexity_sd_pm"] * normal(u))) + 0.5)
