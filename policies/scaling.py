"""Scaling: how many accounts a pool should gain or lose, asked at every tick.

A scaling policy is `(pool, settings, now_us) -> change`: +1 adds an account, -1 retires one,
0 leaves the pool. `pool.utilization` is offered load against capacity over the last period,
0 to 1 and above. The gateway activates a standby account at once, else orders one that is
ready after its lead time; a retired account drains first.
"""

from policies.compile import inlined
from policies.rows import Row

OFF, THRESHOLD, PREDICTIVE = 0, 1, 2
SCALING_CODES = {"none": OFF, "threshold": THRESHOLD, "predictive": PREDICTIVE}
_LEVEL_WEIGHT, _TREND_WEIGHT = 0.5, 0.2


@inlined
def _remember(pool: Row, settings: Row, expected: float) -> None:
    pool["above"] = pool["above"] + 1 if expected > settings["add_above"] else 0
    pool["below"] = pool["below"] + 1 if expected < settings["retire_below"] else 0


@inlined
def _follow_trend(pool: Row) -> None:
    """Holt's linear smoothing of utilization. Source: Holt 1957, reprinted IJF 20, 2004."""
    before = pool["previous"]
    level = _LEVEL_WEIGHT * pool["utilization"] + (1.0 - _LEVEL_WEIGHT) * (before + pool["trend"])
    pool["trend"] = _TREND_WEIGHT * (level - before) + (1.0 - _TREND_WEIGHT) * pool["trend"]
    pool["previous"] = level


@inlined
def change(pool: Row, settings: Row, now_us: int) -> int:
    """Accounts to add (+1) or retire (-1) now, 0 for none.

    Hysteresis: the bound must have been crossed for `hold_periods` ticks in a row, and
    `scaling_cooldown_us` must have passed since the last change. The predictive variant judges
    what utilization will be `horizon_s` ahead.
    """
    expected = pool["utilization"]
    if settings["scaling"] == PREDICTIVE:
        _follow_trend(pool)
        periods_ahead = settings["horizon_s"] * 1_000_000.0 / settings["period_us"]
        expected = max(expected, pool["previous"] + periods_ahead * pool["trend"])
    _remember(pool, settings, expected)
    if now_us - pool["changed_us"] < settings["scaling_cooldown_us"]:
        return 0
    coming = pool["accounts"] + pool["ordered"]
    if pool["above"] >= settings["hold_periods"] and coming < settings["max_accounts"]:
        return 1
    if pool["below"] >= settings["hold_periods"] and coming > settings["min_accounts"] and coming > 1:
        return -1
    return 0
