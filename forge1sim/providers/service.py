"""How long a provider takes to answer: a function of the attempt and of keyed draws alone."""

import math

from policies.compile import compiled, leaf
from policies.draw import GAMMA as GAMMA_DRAWS
from policies.draw import GAMMA_TRIES, draw, draw_from, exponential, normal
from policies.rows import Floats, Row

BY_SPEED, DETERMINISTIC, EXPONENTIAL, LOGNORMAL, GAMMA, EMPIRICAL = range(6)
KINDS = {
    "deterministic": DETERMINISTIC, "exponential": EXPONENTIAL, "lognormal": LOGNORMAL,
    "gamma": GAMMA, "empirical": EMPIRICAL,
}  # fmt: skip

_LONGEST_S = 1e12


@leaf
def service_us(
    model: Row, values: Floats, settings: Row, tenant: int, number: int, attempt: int,
    input_tokens: int, output_tokens: int, in_flight: int, slowdown: float,
) -> int:  # fmt: skip
    """Whole microseconds, at least 1, from receipt to the last token.

    `in_flight` counts the other attempts of the deployment; `slowdown` is the factor of latency
    faults. The lognormal noise has mean 1, so that the mean is what `Speed` says.
    """
    if model["service"] == BY_SPEED:
        seconds = model["ttft_s"] + input_tokens * model["s_per_input_token"] + output_tokens * model["s_per_output_token"]
        sigma = model["noise_sigma"]
        if sigma > 0.0:
            u = draw_from(settings["service_stem"], tenant, number, attempt)
            seconds *= math.exp(sigma * normal(u) - model["noise_shift"])
        if model["load_slope"] != 0.0:
            seconds *= 1.0 + model["load_slope"] * in_flight / 100.0
    else:
        seconds = _drawn_s(model, values, settings, tenant, number, attempt)
    return max(1, int(min(seconds * slowdown, _LONGEST_S) * 1e6 + 0.5))


@compiled
def _drawn_s(model: Row, values: Floats, settings: Row, tenant: int, number: int, attempt: int) -> float:
    """Seconds from the distribution that replaces speed. Kept out of line: most models have none."""
    kind, mean_s = model["service"], model["mean_s"]
    seconds = mean_s
    u = draw_from(settings["service_stem"], tenant, number, attempt)
    if kind == EXPONENTIAL:
        seconds = mean_s * exponential(u)
    elif kind == LOGNORMAL:
        sigma = model["sigma"]
        seconds = mean_s * math.exp(sigma * normal(u) - 0.5 * sigma * sigma)
    elif kind == GAMMA:
        seconds = mean_s / model["shape"] * standard_gamma(model["shape"], settings["seed"], tenant, number, attempt)
    elif kind == EMPIRICAL:
        seconds = values[model["values_lo"] + int(u * model["values_count"])]
    return float(min(seconds, model["at_most_s"]))


@compiled
def standard_gamma(shape: float, seed: int, tenant: int, number: int, attempt: int) -> float:
    """A gamma variate of scale 1 from keyed draws.

    Source: Marsaglia and Tsang, ACM TOMS 26 (2000), 363-372: rejection with at least 95 %
    accepted, and for shapes below 1 a variate of shape + 1 times u ** (1 / shape).
    """
    boost = 1.0
    if shape < 1.0:
        boost = draw(seed, GAMMA_DRAWS, tenant, number, attempt) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    for attempted in range(GAMMA_TRIES):
        purpose = GAMMA_DRAWS + 1 + 2 * attempted
        x = normal(draw(seed, purpose, tenant, number, attempt))
        v = 1.0 + c * x
        if v > 0.0:
            v = v * v * v
            u = draw(seed, purpose + 1, tenant, number, attempt)
            if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                return d * v * boost
    return d * boost
