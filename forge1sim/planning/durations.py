"""The least and the most that an answer can take, whatever luck it has: normal draws of 53 bits lie within 8.5 deviations."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.schema import Distribution, Fault, Model

Floats = NDArray[np.float64]
_DEVIATIONS = 8.5
_LONGEST_EXPONENTIAL = 38.0         # -log of the least draw above 0


def shortest_s(model: Model, fresh_tokens: Floats, output_tokens: Floats, faults: Sequence[Fault]) -> Floats:
    """The least seconds of an answer with nobody beside it, shape (n,)."""
    slow = math.prod(min(1.0, fault.factor) for fault in faults if fault.kind == "latency")
    if model.speed.service_s is not None:
        return np.full(len(fresh_tokens), _range_of(model.speed.service_s)[0] * slow)
    return _by_speed(model, fresh_tokens, output_tokens) * (_noise(model.speed.noise_sigma)[0] * slow)


def longest_s(model: Model, input_tokens: Floats, output_tokens: Floats, faults: Sequence[Fault]) -> float:
    """The most seconds of any of these answers; infinite where it depends without bound on how many are in flight."""
    slow = math.prod(max(1.0, fault.factor) for fault in faults if fault.kind == "latency")
    if model.speed.service_s is not None:
        return _range_of(model.speed.service_s)[1] * slow
    if model.speed.load_slope > 0:
        return math.inf
    return float(_by_speed(model, input_tokens, output_tokens).max(initial=0.0)) * _noise(model.speed.noise_sigma)[1] * slow


def _by_speed(model: Model, input_tokens: Floats, output_tokens: Floats) -> Floats:
    speed = model.speed
    return np.asarray(speed.ttft_s + input_tokens * speed.s_per_1k_input / 1000 + output_tokens / speed.tokens_per_s)


def _noise(sigma: float) -> tuple[float, float]:
    """The range of lognormal noise of mean 1, which no sigma of 0 widens."""
    return (math.exp(-_DEVIATIONS * sigma - sigma * sigma / 2), math.exp(_DEVIATIONS * sigma)) if sigma > 0 else (1.0, 1.0)


def _range_of(drawn: Distribution) -> tuple[float, float]:
    most = math.inf if drawn.at_most is None else drawn.at_most
    if drawn.kind == "deterministic":
        low = high = drawn.mean
    elif drawn.kind == "empirical":
        low, high = min(drawn.values), max(drawn.values)
    elif drawn.kind == "lognormal":
        least, largest = _noise(math.sqrt(math.log1p(drawn.cv * drawn.cv)))
        low, high = drawn.mean * least, drawn.mean * largest
    elif drawn.kind == "exponential":
        low, high = 0.0, drawn.mean * _LONGEST_EXPONENTIAL
    else:
        low, high = 0.0, math.inf
    return min(low, most), min(high, most)
