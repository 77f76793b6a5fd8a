"""Limiters of the emulator against arithmetic and brute force written here."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_emulator.config import LimitSpec
from provider_emulator.limiters import Acceleration, Bucket, Days, Sliding, Windows, limiter_of

STEPS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=60)


@given(STEPS, st.floats(1, 600), st.floats(1, 120), st.booleans())
def test_a_bucket_holds_what_the_scarcest_span_leaves(
    steps: list[tuple[float, int]], per_min: float, burst_s: float, overdraws: bool
) -> None:  # fmt: skip
    """Of all spans that end now and begin with a take: capacity, less what was taken in it, and its refill; the least counts."""
    bucket, now_s, taken = Bucket(per_min, burst_s, 0.0, overdraws=overdraws), 0.0, list[tuple[float, int]]()
    capacity = max(1.0, per_min * burst_s / 60)
    for wait_s, units in steps:
        now_s += wait_s
        spans = [
            capacity - sum(one for _, one in taken[place:]) + (now_s - at_s) * per_min / 60 for place, (at_s, _) in enumerate(taken)
        ]  # fmt: skip
        holds = min([capacity, *spans])
        assert bucket.room(now_s) == pytest.approx(holds, abs=1e-6)
        passes = units <= holds or (overdraws and units > capacity and holds >= capacity)
        if abs(units - holds) > 1e-6 and abs(holds - capacity) > 1e-6:
            assert bucket.fits(units, now_s) == passes
        if bucket.fits(units, now_s):
            bucket.take(units, now_s)
            taken.append((now_s, units))


@given(STEPS, st.floats(1, 600), st.floats(1, 120))
def test_a_bucket_never_gives_more_than_burst_and_refill(steps: list[tuple[float, int]], per_min: float, burst_s: float) -> None:
    bucket, now_s, given_out = Bucket(per_min, burst_s, 0.0, overdraws=False), 0.0, 0.0
    for wait_s, units in steps:
        now_s += wait_s
        if bucket.fits(units, now_s):
            bucket.take(units, now_s)
            given_out += units
        assert given_out <= bucket.allowed(now_s) + 1e-6
        assert bucket.room(now_s) <= bucket.capacity + 1e-9


@given(STEPS, st.floats(1, 600), st.floats(1, 120))
def test_what_a_bucket_says_to_wait_is_enough_and_no_more(steps: list[tuple[float, int]], per_min: float, burst_s: float) -> None:
    bucket, now_s = Bucket(per_min, burst_s, 0.0, overdraws=False), 0.0
    for wait_s, units in steps:
        now_s += wait_s
        if not bucket.fits(units, now_s) and units <= bucket.capacity:
            there_s = bucket.wait_s(units, now_s)
            assert not bucket.fits(units, now_s + there_s * 0.99 - 1e-6)
            now_s += there_s + 1e-6
            assert bucket.fits(units, now_s)
        bucket.take(units, now_s)


@given(STEPS, st.integers(1, 100), st.floats(1, 60), st.floats(0, 60))
def test_windows_count_as_a_table_of_windows_would(steps: list[tuple[float, int]], amount: int, window_s: float, phase_s: float) -> None:
    windows, now_s, table = Windows(amount, window_s, phase_s, 0.0), 0.0, dict[int, int]()
    for wait_s, units in steps:
        now_s += wait_s
        number = int((now_s - phase_s) // window_s)
        fits = table.get(number, 0) + units <= amount
        assert windows.fits(units, now_s) == fits
        if fits:
            windows.take(units, now_s)
            table[number] = table.get(number, 0) + units
        assert sum(table.values()) <= windows.allowed(now_s) + 1e-9


@given(STEPS, st.integers(1, 100), st.floats(1, 60))
def test_a_sliding_limit_passes_exactly_what_the_last_span_leaves(steps: list[tuple[float, int]], amount: int, window_s: float) -> None:
    sliding, now_s, taken = Sliding(amount, window_s, 0.0), 0.0, list[tuple[float, int]]()
    for wait_s, units in steps:
        now_s += wait_s
        passes = sum(one for at_s, one in taken if at_s + window_s > now_s) + units <= amount
        assert sliding.fits(units, now_s) == passes
        if passes:
            sliding.take(units, now_s)
            taken.append((now_s, units))
        assert sum(one for _, one in taken) <= sliding.allowed(now_s) + 1e-9


@given(STEPS, st.integers(1, 100), st.floats(1, 60), st.integers(1, 5))
def test_a_sliding_limit_with_a_short_log_is_never_too_generous(
    steps: list[tuple[float, int]], amount: int, window_s: float, longest: int
) -> None:  # fmt: skip
    sliding, now_s, taken = Sliding(amount, window_s, 0.0, longest), 0.0, list[tuple[float, int]]()
    for wait_s, units in steps:
        now_s += wait_s
        if sliding.fits(units, now_s):
            sliding.take(units, now_s)
            taken.append((now_s, units))
        assert sum(one for at_s, one in taken if at_s + window_s > now_s) <= amount
        assert len(sliding._log) <= longest


@given(STEPS, st.integers(1, 100), st.floats(1, 60))
def test_what_windows_and_spans_say_to_wait_is_enough(steps: list[tuple[float, int]], amount: int, window_s: float) -> None:
    for limiter in (Windows(amount, window_s, 3.0, 0.0), Sliding(amount, window_s, 0.0)):
        now_s = 0.0
        for wait_s, units in steps:
            now_s += wait_s
            wanted = min(units, amount)
            now_s += limiter.wait_s(wanted, now_s) + 1e-6
            assert limiter.fits(wanted, now_s)
            limiter.take(wanted, now_s)


@given(STEPS, st.integers(1, 100), st.floats(1, 60), st.floats(1.1, 4))
def test_acceleration_allows_growth_over_the_window_before(
    steps: list[tuple[float, int]], amount: int, window_s: float, growth: float
) -> None:  # fmt: skip
    limiter, now_s, table = Acceleration(amount, window_s, growth, 0.0), 0.0, dict[int, float]()
    for wait_s, units in steps:
        now_s += wait_s
        number = int(now_s // window_s)
        most = max(amount, growth * table.get(number - 1, 0.0))
        passes = table.get(number, 0.0) == 0 or table[number] + units <= most + 1e-9
        assert limiter.fits(units, now_s) == passes
        if passes:
            limiter.take(units, now_s)
            table[number] = table.get(number, 0.0) + units


def test_a_paced_minute_lets_one_oversized_request_pass_a_full_bucket() -> None:
    bucket = Bucket(60, 10, 0.0, overdraws=True)
    assert bucket.fits(50, 0.0)
    bucket.take(50, 0.0)
    assert not bucket.fits(1, 39.0)
    assert bucket.fits(1, 41.1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(datetime(2026, 3, 8, 8, tzinfo=UTC), 23), (datetime(2026, 11, 1, 7, tzinfo=UTC), 25), (datetime(2026, 12, 1, 8, tzinfo=UTC), 24)],
)
def test_a_day_ends_at_the_providers_midnight_also_when_clocks_change(day: datetime, hours: int) -> None:
    """Each begins at midnight in Los Angeles."""
    days = Days(10, "America/Los_Angeles", day.timestamp(), 0.0)
    days.take(10, 0.0)
    assert days.resets_in_s(0.0) == hours * 3600
    assert not days.fits(1, hours * 3600 - 1)
    assert days.fits(10, hours * 3600 + 1)
    assert days.allowed(hours * 3600 + 1) == 20


def test_a_window_of_unsaid_phase_takes_the_one_that_is_drawn_and_a_said_one_counts_from_the_start() -> None:
    told = LimitSpec(dimension="rpm", amount=1, window="fixed", charge="requests", phase_s=10)
    untold = told.model_copy(update={"phase_s": None})
    for spec, ends_s in ((told, 10.0), (untold, 25.0)):
        limiter = limiter_of(spec, 1000.0, 25.0, 0.0)
        assert limiter is not None
        assert limiter.resets_in_s(1000.0) == pytest.approx(ends_s)
