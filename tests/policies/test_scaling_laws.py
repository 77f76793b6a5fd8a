"""Laws of scaling: bounds, cooldown, hysteresis, and foresight that is never later."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import scaling
from policies.bundle import PolicyBundle, Scaling
from policies.plain import plain
from policies.state import POOL, SETTINGS

PERIOD_US = 60_000_000
change = plain(scaling.change)
use = st.lists(st.floats(0, 2), min_size=1, max_size=60)
settings_of = st.builds(
    Scaling,
    policy=st.sampled_from(["threshold", "predictive"]),
    add_above=st.floats(0.5, 1.0), retire_below=st.floats(0.0, 0.45), hold_periods=st.integers(1, 5),
    cooldown_s=st.sampled_from([0.0, 60.0, 300.0]), min_accounts=st.integers(0, 3), max_accounts=st.integers(3, 8),
)  # fmt: skip


def tables(spec):
    settings, pool = np.zeros(1, dtype=SETTINGS), np.zeros(1, dtype=POOL)
    row = settings[0]
    row["scaling"], row["period_us"] = scaling.SCALING_CODES[spec.policy], PERIOD_US
    row["hold_periods"], row["scaling_cooldown_us"] = spec.hold_periods, round(spec.cooldown_s * 1e6)
    row["min_accounts"], row["max_accounts"] = spec.min_accounts, spec.max_accounts
    row["add_above"], row["retire_below"], row["horizon_s"] = spec.add_above, spec.retire_below, spec.horizon_s
    pool["accounts"], pool["changed_us"] = 3, -(2**62)
    return settings[0], pool[0]


def play(spec, utilization):
    """(tick, change, accounts before) as the gateway would act on it."""
    settings, pool = tables(spec)
    for tick, share in enumerate(utilization):
        pool["utilization"] = share
        before, now_us = int(pool["accounts"]), (tick + 1) * PERIOD_US
        step = change(pool, settings, now_us)
        if step:
            pool["accounts"] += step
            pool["changed_us"], pool["above"], pool["below"] = now_us, 0, 0
        yield tick, step, before


@given(spec=settings_of, utilization=use)
def test_one_account_at_a_time_and_within_the_bounds(spec, utilization):
    for _, step, before in play(spec, utilization):
        assert step in (-1, 0, 1)
        assert step <= 0 or before < spec.max_accounts
        assert step >= 0 or before > max(spec.min_accounts, 1)


def test_the_last_account_stays_whatever_the_minimum():
    spec = Scaling(policy="threshold", hold_periods=1, cooldown_s=0.0, min_accounts=0)
    assert sum(step for _, step, _ in play(spec, [0.0] * 20)) == 1 - 3


@given(spec=settings_of, utilization=use)
def test_changes_are_a_cooldown_apart(spec, utilization):
    ticks = [tick for tick, step, _ in play(spec, utilization) if step]
    assert all((later - tick) * 60 >= spec.cooldown_s for tick, later in pairwise(ticks))


@given(spec=settings_of, utilization=use)
def test_the_threshold_must_be_crossed_for_every_period_held(spec, utilization):
    if spec.policy != "threshold":
        return
    for tick, step, _ in play(spec, utilization):
        lately = utilization[max(0, tick + 1 - spec.hold_periods) : tick + 1]
        if step > 0:
            assert len(lately) == spec.hold_periods
            assert all(share > spec.add_above for share in lately)
        if step < 0:
            assert all(share < spec.retire_below for share in lately)


@given(spec=settings_of, share=st.floats(0, 1), ticks=st.integers(1, 60))
def test_between_the_bounds_nothing_changes(spec, share, ticks):
    level = spec.retire_below + share * (spec.add_above - spec.retire_below)
    steady = spec.model_copy(update={"policy": "threshold"})
    assert not any(step for _, step, _ in play(steady, [level] * ticks))


@given(utilization=use)
def test_foresight_adds_no_later_than_hindsight(utilization):
    base = Scaling(policy="threshold", hold_periods=1, cooldown_s=0.0, max_accounts=4)
    first = {
        policy: next((tick for tick, step, _ in play(base.model_copy(update={"policy": policy}), utilization) if step > 0), None)
        for policy in ("threshold", "predictive")
    }
    retired = any(step < 0 for policy in first for _, step, _ in play(base.model_copy(update={"policy": policy}), utilization))
    if first["threshold"] is not None and not retired:
        assert first["predictive"] is not None
        assert first["predictive"] <= first["threshold"]


def test_a_rising_load_is_seen_before_it_is_there():
    rising = [0.3 + 0.02 * tick for tick in range(40)]
    first = {}
    for policy in ("threshold", "predictive"):
        spec = Scaling(policy=policy, hold_periods=3)
        first[policy] = next(tick for tick, step, _ in play(spec, rising) if step > 0)
    assert first["predictive"] < first["threshold"]


def test_a_scaling_policy_of_ones_own_is_refused_by_name(tmp_path):
    from forge1sim.errors import ScenarioError
    from forge1sim.scenario.load import load_scenario
    from tests.scenario.examples import changed, write

    scenario = write(tmp_path, changed("{policy: headroom}", "{policy: headroom}\n  scaling: {policy: 'mine.py:more'}"))
    with pytest.raises(ScenarioError, match=r"policies.scaling.policy is 'mine.py:more', no shipped policy"):
        load_scenario(scenario)


def test_every_scaling_policy_of_the_bundle_is_known():
    assert PolicyBundle().scaling.policy in scaling.SCALING_CODES
