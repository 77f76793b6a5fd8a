"""Laws of the wall clock's driver: what it did can be done again under every clock, and its books are in order at the end."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live_adapter.driver import WallClock
from policies import log
from policies.change import changed_state
from policies.errors import SchemaError
from policies.inputs import BUNDLE
from tests.live_adapter.fed import REPLAYS, Fed
from tests.parity.cases import make_case

ENDS = (log.COMPLETE, log.REJECT, log.EXPIRE, log.CANCEL)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_a_recording_gives_the_same_log_under_every_clock(r: Any) -> None:
    recording = Fed(make_case(r), r, shares=r.random() < 0.5).run()
    for driver in REPLAYS:
        assert np.array_equal(recording.replay(driver), recording.log), driver


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 200))
def test_what_timers_decided_is_on_record_though_no_input_follows(r: Any, most: int) -> None:
    """As after `kill -9`: the recording ends with what was kept."""
    recording = Fed(make_case(r), r, shares=True).run_until_killed(most)
    for driver in REPLAYS:
        assert recording.replay(driver).tobytes() == recording.log.tobytes()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_every_request_ends_once_and_nothing_stays_held(r: Any) -> None:
    fed = Fed(make_case(r), r)
    recording = fed.run()
    ended = recording.log["request"][np.isin(recording.log["kind"], ENDS)]
    assert sorted(ended.tolist()) == list(range(len(fed.case.requests)))
    state = fed.driver.state
    assert not state.deployments["in_flight"].any()
    assert not state.accounts["in_flight"].any()
    assert not state.limits["held"].any()
    assert not state.shares["held"].any()
    assert not state.tenants["budget_held"].any()
    assert not state.tenants["waiting"].any()
    assert state.pulse[0]["waiting"] == state.pulse[0]["deadlines"] == state.pulse[0]["in_flight"] == 0


def test_bundles_do_change_in_these_recordings() -> None:
    changed = [Fed(make_case(random.Random(seed)), random.Random(seed)).run().inputs["kind"] == BUNDLE for seed in range(12)]
    assert sum(part.any() for part in changed) >= 6


def test_a_changed_parameter_shows_at_the_first_event_that_differs() -> None:
    found = 0
    for seed in range(8):
        fed = Fed(make_case(random.Random(seed)), random.Random(seed))
        recording = fed.run()
        first = recording.bundles[0]
        other = first.model_copy(update={"retry": first.retry.model_copy(update={"backoff_s": first.retry.backoff_s * 1.5})})
        got = recording.replay("compiled", other)
        found += not np.array_equal(got, recording.log)
    assert found >= 4


@pytest.mark.parametrize("change", ["tiers", "places"])
def test_a_bundle_that_cannot_follow_is_refused_by_name(change: str) -> None:
    case = make_case(random.Random(1))
    fed = Fed(case, random.Random(1))
    first = case.bundle
    tiers = first.model_copy(update={"tiers": (*first.tiers[:-1], first.tiers[-1].model_copy(update={"name": "other"}))})
    places = first.model_copy(update={"queue": first.queue.model_copy(update={"max_in_system": first.queue.max_in_system + 1})})
    with pytest.raises(SchemaError, match="by a restart only"):
        changed_state(fed.driver.gateway, fed.layout, first, tiers if change == "tiers" else places, {})


@pytest.mark.parametrize("back_ns", [0, 1, 10**9])
def test_time_never_stands_still_for_two_inputs(back_ns: int) -> None:
    """Not even where the clock does, or the wall's is set back."""
    fed = Fed(make_case(random.Random(1)), random.Random(1))
    fed.now_us = 5
    fed.driver.ring()
    fed.now_us = max(0, 5 - back_ns // 1000)
    fed.driver.ring()
    assert fed.driver.now_us == 6


def test_the_wall_clock_tells_microseconds_since_the_epoch_and_goes_on() -> None:
    clock = WallClock.now()
    first, second = clock(), clock()
    assert 1_700_000_000_000_000 < first <= second
