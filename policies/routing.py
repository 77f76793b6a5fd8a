"""Routing: which model for a request that names none, and which deployment among those with room.

A routing policy is `(request, candidates, deployments, tenant, params, memory, now_us) -> row`:

request       the REQUEST row: tokens, complexity, tier; never the true output length
candidates    rows of `deployments` that are eligible and have room now, ascending, at least one
deployments   every DEPLOYMENT row; for candidates `expected_nano_usd`, `performance_pm` and
              `free_ratio` are of this request
tenant        the TENANT row
params        the bundle's `routing.params`
memory        the only argument that may be written; part of the state
now_us        the driver's clock

It returns one of `candidates`, or NOWHERE to let the request wait. See docs/policies.md.
"""

import math

from policies import draw as keyed
from policies.compile import compiled, inlined, leaf
from policies.rows import Floats, Ints, Row, Rows
from policies.state import POINTS_PER_MODEL

NOWHERE = -1
ROUND_ROBIN_LAST = 0        # memory word of round robin: the deployment chosen last, plus one
UNIFORM = 1                 # memory word the gateway fills with the request's own uniform draw


@compiled
def headroom(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """The deployment that keeps the largest share of its tightest limit free; ties to the lowest row."""
    best, best_ratio = candidates[0], -1.0
    for row in candidates:
        ratio = deployments[row]["free_ratio"]
        if ratio > best_ratio:
            best, best_ratio = row, ratio
    return int(best)


@compiled
def least_in_flight(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """The deployment with the fewest requests in flight; ties to the lowest row."""
    best, fewest = candidates[0], deployments[candidates[0]]["in_flight"]
    for row in candidates:
        in_flight = deployments[row]["in_flight"]
        if in_flight < fewest:
            best, fewest = row, in_flight
    return int(best)


@compiled
def latency(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """The deployment seen fastest (moving average of answers); one not seen yet is tried first."""
    best, fastest = candidates[0], deployments[candidates[0]]["latency_us"]
    for row in candidates:
        seen = deployments[row]["latency_us"]
        if seen < fastest:
            best, fastest = row, seen
    return int(best)


@compiled
def weighted(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """A deployment by chance in proportion to its `weight`, from the request's own uniform draw."""
    total = 0.0
    for row in candidates:
        total += deployments[row]["weight"]
    if total <= 0.0:
        return int(candidates[0])
    point = memory[UNIFORM] * total
    for row in candidates:
        point -= deployments[row]["weight"]
        if point < 0.0:
            return int(row)
    return int(candidates[candidates.size - 1])


@compiled
def uniform_choice(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """Any candidate with equal chance, from the request's own uniform draw."""
    return int(candidates[int(memory[UNIFORM] * candidates.size)])


@compiled
def round_robin(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """The next candidate after the deployment chosen last."""
    last = int(memory[ROUND_ROBIN_LAST]) - 1
    chosen = candidates[0]
    for row in candidates:
        if row > last:
            chosen = row
            break
    memory[ROUND_ROBIN_LAST] = chosen + 1
    return int(chosen)


@compiled
def cheapest_deployment(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """Best performance at the task's complexity per expected dollar; then the most headroom."""
    best, best_value, best_ratio = candidates[0], -1.0, -1.0
    for row in candidates:
        value = value_for_money(deployments[row]["performance_pm"], deployments[row]["expected_nano_usd"])
        ratio = deployments[row]["free_ratio"]
        if value > best_value or (value == best_value and ratio > best_ratio):
            best, best_value, best_ratio = row, value, ratio
    return int(best)


# `routing.policy` by name: a number for the compiled switch; USER runs a registered function.
COST_EFFICIENCY, HEADROOM, LEAST_IN_FLIGHT, LATENCY, WEIGHTED, ROUND_ROBIN, RANDOM, USER = range(8)
ROUTING_CODES = {
    "cost_efficiency": COST_EFFICIENCY, "headroom": HEADROOM, "least_in_flight": LEAST_IN_FLIGHT,
    "latency": LATENCY, "weighted": WEIGHTED, "round_robin": ROUND_ROBIN, "random": RANDOM,
}  # fmt: skip

# `routing.model_choice` by name
BY_COST_EFFICIENCY, BY_PRICE, BY_QUALITY, ANY_MODEL = 0, 1, 2, 3
MODEL_CHOICE_CODES = {
    "cost_efficiency": BY_COST_EFFICIENCY, "cheapest": BY_PRICE, "best_quality": BY_QUALITY, "any": ANY_MODEL,
}  # fmt: skip


@inlined
def choose(  # noqa: PLR0911  (a switch)
    code: int, request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """Run the shipped routing policy with this code."""
    if code == COST_EFFICIENCY:
        return cheapest_deployment(request, candidates, deployments, tenant, params, memory, now_us)
    if code == HEADROOM:
        return headroom(request, candidates, deployments, tenant, params, memory, now_us)
    if code == LEAST_IN_FLIGHT:
        return least_in_flight(request, candidates, deployments, tenant, params, memory, now_us)
    if code == LATENCY:
        return latency(request, candidates, deployments, tenant, params, memory, now_us)
    if code == WEIGHTED:
        return weighted(request, candidates, deployments, tenant, params, memory, now_us)
    if code == ROUND_ROBIN:
        return round_robin(request, candidates, deployments, tenant, params, memory, now_us)
    return uniform_choice(request, candidates, deployments, tenant, params, memory, now_us)


@compiled
def unplugged(
    request: Row, candidates: Ints, deployments: Rows, tenant: Row, params: Floats, memory: Floats, now_us: int
) -> int:
    """Stands where a user's policy would be plugged in."""
    return int(candidates[0])


@leaf
def performance_pm(points: Ints, model_row: int, complexity_pm: int) -> int:
    """Share of tasks of this complexity (0 to 1000) done well, per mille: linear between five known points."""
    rest = complexity_pm % 250
    place = POINTS_PER_MODEL * model_row + complexity_pm // 250
    return int((points[place] * (250 - rest) + points[place + 1] * rest) // 250)


@leaf
def value_for_money(performance: int, nano_usd: int) -> float:
    """Performance per dollar; a free model is worth more than any priced one."""
    return float(performance) / float(nano_usd + 1)


@leaf
def model_score(choice: int, performance: int, nano_usd: int) -> float:
    """How early a model is tried for a request that names none: highest first."""
    if choice == BY_COST_EFFICIENCY:
        return value_for_money(performance, nano_usd)
    if choice == BY_PRICE:
        return -float(nano_usd)
    if choice == BY_QUALITY:
        return float(performance)
    return 0.0


@inlined
def backoff_delay_us(seed: int, base_us: int, most_us: int, tenant: int, number: int, attempt: int) -> int:
    """Exponential backoff before attempt + 1, jittered over its upper half.

    Source: "Exponential backoff and jitter", equal jitter (Brooker, 2015).
    """
    ceiling = base_us
    for _ in range(attempt - 1):
        ceiling = min(ceiling * 2, most_us)
    ceiling = min(ceiling, most_us)
    u = keyed.draw(seed, keyed.BACKOFF, tenant, number, attempt)
    return int(ceiling // 2 + math.floor(u * (ceiling - ceiling // 2)))
