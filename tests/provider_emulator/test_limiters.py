"""Limiters of the emulator against arithmetic and brute force written here."""

from hypothesis import given
from hypothesis import strategies as st

from provider_emulator.limiters import Bucket, Sliding, Windows

STEPS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=60)


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
    windows, now_s, table = Windows(amount, window_s, phase_s, 0.0), 0.0, {}  # type: ignore[var-annotated]
    for wait_s, units in steps:
        now_s += wait_s
        number = int((now_s - phase_s) // window_s)
        fits = table.get(number, 0) + units <= amount
        assert windows.fits(units, now_s) == fits
        if fits:
            windows.take(units, now_s)
            table[number] = table.get(number, 0) + units


@given(STEPS, st.integers(1, 100), st.floats(1, 60))
def test_a_sliding_limit_holds_in_every_span(steps: list[tuple[float, int]], amount: int, window_s: float) -> None:
    sliding, now_s, taken = Sliding(amount, window_s, 0.0), 0.0, []  # type: ignore[var-annotated]
    for wait_s, units in steps:
        now_s += wait_s
        if sliding.fits(units, now_s):
            sliding.take(units, now_s)
            taken.append((now_s, units))
        # Entries within a thousandth of the span are joined, dated by the first.
        assert sum(units for at_s, units in taken if at_s > now_s - window_s * 0.999) <= amount


def test_a_paced_minute_lets_one_oversized_request_pass_a_full_bucket() -> None:
    bucket = Bucket(60, 10, 0.0, overdraws=True)
    assert bucket.fits(50, 0.0)
    bucket.take(50, 0.0)
    assert not bucket.fits(1, 39.0)
    assert bucket.fits(1, 41.1)
