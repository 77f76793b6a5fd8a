"""Laws of scaling: bounds, cooldown, hysteresis, and foresight that is never later."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import samples, scaling
from policies.build import scaling_params
from policies.bundle import PolicyBundle, Scaling
from policies.contracts import MEMORY_WORDS, PARAMS
from policies.plain import plain
from policies.state import POOL, SETTINGS
from tests.policies.contract import check_contract

PERIOD_US = 60_000_000
POLICIES = {"threshold": scaling.threshold, "predictive": scaling.predictive}
allowed = plain(scaling.allowed)
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
    row["scaling_cooldown_us"] = round(spec.cooldown_s * 1e6)
    row["min_accounts"], row["max_accounts"] = spec.min_accounts, spec.max_accounts
    pool["accounts"], pool["changed_us"] = 3, -(2**62)
    return settings[0], pool[0]


def play(spec, utilization, policy=None):
    """(tick, change, accounts before) as the gateway would act on it."""
    settings, pool = tables(spec)
    params, memory = np.zeros(PARAMS), np.zeros(MEMORY_WORDS)
    of_spec = scaling_params(spec)
    params[: len(of_spec)] = of_spec
    ask = policy or POLICIES[spec.policy]
    for tick, share in enumerate(utilization):
        pool["utilization"] = share
        before, now_us = int(pool["accounts"]), (tick + 1) * PERIOD_US
        step = allowed(ask(pool, params, memory, now_us), pool, settings, now_us)
        if step:
            pool["accounts"] += step
            pool["changed_us"] = now_us
        yield tick, step, before


def test_every_shipped_name_is_tried_here():
    assert set(POLICIES) | {"none"} == set(scaling.SCALING_CODES)


@pytest.mark.parametrize("name", POLICIES)
def test_shipped_policies_hold_the_contract_that_a_users_must(name):
    check_contract("scaling", POLICIES[name], scaling.__file__)


@pytest.mark.parametrize("name", POLICIES)
def test_the_name_leads_to_the_policy(name):
    for question in samples.questions("scaling"):
        one, other = question.copy(), question.copy()
        chosen = plain(scaling.choose)(scaling.SCALING_CODES[name], *one.arguments)
        assert chosen == POLICIES[name](*other.arguments)
        assert one.memory.tobytes() == other.memory.tobytes()


@given(spec=settings_of, utilization=use)
def test_one_account_at_a_time_and_within_the_bounds(spec, utilization):
    for _, step, before in play(spec, utilization):
        assert step in (-1, 0, 1)
        assert step <= 0 or before < spec.max_accounts
        assert step >= 0 or before > max(spec.min_accounts, 1)


@given(spec=settings_of, wishes=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60))
def test_whatever_a_policy_wishes_bounds_and_cooldown_hold(spec, wishes):
    asked = iter(wishes)
    changes = [(tick, step, before) for tick, step, before in play(spec, wishes, lambda *_: next(asked)) if step]
    assert all(before < spec.max_accounts if step > 0 else before > max(spec.min_accounts, 1) for _, step, before in changes)
    assert all((later[0] - tick[0]) * 60 >= spec.cooldown_s for tick, later in pairwise(changes))


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
    since = 0
    for tick, step, _ in play(spec, utilization):
        lately = utilization[max(since, tick + 1 - spec.hold_periods) : tick + 1]
        if step > 0:
            assert len(lately) == spec.hold_periods
            assert all(share > spec.add_above for share in lately)
        if step < 0:
            assert len(lately) == spec.hold_periods
            assert all(share < spec.retire_below for share in lately)
        since = tick + 1 if step else since


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


def test_every_scaling_policy_of_the_bundle_is_known():
    assert PolicyBundle().scaling.policy in scaling.SCALING_CODES
