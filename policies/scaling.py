"""Scaling: whether a pool should gain or lose an account, asked at every tick.

A scaling policy is `(pool, params, memory, now_us) -> wish`:

pool          the POOL row: `utilization` is the use of its active accounts over the last period, 0 to 1 and
              above; `accounts`, `draining`, `standby`, `orderable` and `ordered` are how many of them there are
params        the bundle's `scaling.params`; for a shipped policy what the other fields say
memory        the pool's own, the only argument that may be written; part of the state
now_us        the driver's clock

It returns ADD, RETIRE or KEEP. `allowed` holds every policy to the bundle's bounds and cooldown. The
gateway activates a standby account at once, else orders one that is ready after its lead time; a retired
account drains first. See docs/policies.md.
"""

from policies.compile import compiled, inlined
from policies.rows import Floats, Row

ADD, KEEP, RETIRE = 1, 0, -1

# `scaling.policy` by name: a number for the compiled switch; USER runs a registered function.
OFF, THRESHOLD, PREDICTIVE, USER = range(4)
SCALING_CODES = {"none": OFF, "threshold": THRESHOLD, "predictive": PREDICTIVE}

# params of the shipped policies
ADD_ABOVE, RETIRE_BELOW, HOLD_PERIODS, PERIODS_AHEAD = range(4)
# words of their memory
CHANGED_US, ABOVE, BELOW, LEVEL, TREND = range(5)
_LEVEL_WEIGHT, _TREND_WEIGHT = 0.5, 0.2


@inlined
def _judged(pool: Row, expected: float, params: Floats, memory: Floats) -> int:
    """Hysteresis: a bound must have been crossed for so many ticks in a row since the pool last changed."""
    if memory[CHANGED_US] != pool["changed_us"]:
        memory[CHANGED_US], memory[ABOVE], memory[BELOW] = pool["changed_us"], 0.0, 0.0
    memory[ABOVE] = memory[ABOVE] + 1.0 if expected > params[ADD_ABOVE] else 0.0
    memory[BELOW] = memory[BELOW] + 1.0 if expected < params[RETIRE_BELOW] else 0.0
    if memory[ABOVE] >= params[HOLD_PERIODS]:
        return ADD
    return RETIRE if memory[BELOW] >= params[HOLD_PERIODS] else KEEP


@compiled
def threshold(pool: Row, params: Floats, memory: Floats, now_us: int) -> int:
    """Judges the use of the last period."""
    return _judged(pool, pool["utilization"], params, memory)


@compiled
def predictive(pool: Row, params: Floats, memory: Floats, now_us: int) -> int:
    """Judges the greater of the use now and the use foreseen, by Holt's linear smoothing.

    Source: Holt 1957, reprinted IJF 20, 2004.
    """
    before = memory[LEVEL]
    level = _LEVEL_WEIGHT * pool["utilization"] + (1.0 - _LEVEL_WEIGHT) * (before + memory[TREND])
    memory[TREND] = _TREND_WEIGHT * (level - before) + (1.0 - _TREND_WEIGHT) * memory[TREND]
    memory[LEVEL] = level
    return _judged(pool, max(pool["utilization"], level + params[PERIODS_AHEAD] * memory[TREND]), params, memory)


@inlined
def choose(code: int, pool: Row, params: Floats, memory: Floats, now_us: int) -> int:
    """Run the shipped scaling policy with this code."""
    if code == PREDICTIVE:
        return predictive(pool, params, memory, now_us)
    return threshold(pool, params, memory, now_us)


@inlined
def allowed(wish: int, pool: Row, settings: Row, now_us: int) -> int:
    """What of a policy's wish bounds and cooldown allow: ADD, RETIRE or KEEP. The last account stays."""
    if now_us - pool["changed_us"] < settings["scaling_cooldown_us"]:
        return KEEP
    coming = pool["accounts"] + pool["ordered"]
    if wish > 0 and coming < settings["max_accounts"]:
        return ADD
    if wish < 0 and coming > settings["min_accounts"] and coming > 1:
        return RETIRE
    return KEEP
