"""Each limiter of the checker against the plainest statement of its window."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from forge1sim.check.facts import LimitFact
from forge1sim.check.limiters import BUCKET_UNIT, Limiter, limiter_of, part_of

START_US = 1_000_000_000
Steps = list[tuple[int, int]]
steps = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 12)), max_size=40)


def limit(window: str, amount: int = 20, **fields: int) -> LimitFact:
    return LimitFact(name="x", window=window, charge="requests", amount=amount, depth=fields.pop("depth", amount), **fields)


def taken(limiter: Limiter, wanted: Steps) -> Steps:
    """(time, units) of what fitted and was taken, asking after so many microseconds each."""
    now_us, found = START_US, []
    for after_us, units in wanted:
        now_us += after_us
        if limiter.fits(units, now_us):
            limiter.take(units, now_us)
            found.append((now_us, units))
    return found


@given(steps)
def test_a_sliding_window_never_holds_more_than_the_limit(wanted):
    found = taken(limiter_of(limit("sliding", window_us=5_000_000), START_US), wanted)
    for end_us, _ in found:
        assert sum(units for at_us, units in found if end_us - 5_000_000 < at_us <= end_us) <= 20


@given(steps)
def test_a_fixed_window_never_holds_more_than_the_limit(wanted):
    found = taken(limiter_of(limit("fixed", window_us=5_000_000, offset_us=1_234), START_US), wanted)
    windows = {(at_us - 1_234) // 5_000_000 for at_us, _ in found}
    for window in windows:
        assert sum(units for at_us, units in found if (at_us - 1_234) // 5_000_000 == window) <= 20


@given(steps)
def test_a_bucket_holds_what_its_definition_says(wanted):
    limiter = limiter_of(limit("token_bucket", amount=60, depth=15), START_US)
    level, since_us, now_us = Fraction(15), START_US, START_US
    for after_us, units in wanted:
        now_us += after_us
        level, since_us = min(Fraction(15), level + Fraction(60 * (now_us - since_us), BUCKET_UNIT)), now_us
        assert limiter.fits(units, now_us) == (units <= level)
        if units <= level:
            limiter.take(units, now_us)
            level -= units


def test_a_paced_bucket_lets_one_oversized_request_overdraw_it_when_full():
    limiter = limiter_of(limit("paced", amount=60, depth=10), START_US)
    assert limiter.fits(25, START_US)
    limiter.take(25, START_US)
    assert not limiter.fits(25, START_US + 24_999_999)
    assert limiter.fits(25, START_US + 25_000_000)


def test_acceleration_allows_growth_over_the_window_before():
    limiter = limiter_of(limit("acceleration", window_us=10_000_000, growth_pm=2000), 0)
    limiter.take(20, 5_000_000)
    assert limiter.fits(20, 10_000_000)
    assert not limiter.fits(21, 10_000_000)       # sent, but not known to have been served
    limiter.confirm(15, 5_000_000, 11_000_000)
    assert limiter.fits(30, 11_000_000)
    assert not limiter.fits(31, 11_000_000)
    limiter.take(10, 11_000_000)
    limiter.confirm(5, 5_000_000, 12_000_000)      # an answer that comes late lets the present window grow
    assert limiter.fits(30, 12_000_000)
    assert not limiter.fits(31, 12_000_000)
    assert limiter.fits(20, 30_000_000)
    assert not limiter.fits(21, 30_000_000)        # a window without use lies between


@given(steps)
def test_what_is_held_cannot_be_taken(wanted):
    limiter = limiter_of(limit("token_bucket", amount=600, depth=30), START_US)
    limiter.hold(10)
    found = taken(limiter, wanted)
    assert all(units <= 20 for _, units in found)
    assert limiter.left(found[-1][0] if found else START_US) >= 0


def test_a_cut_bucket_spills_and_a_cut_window_keeps_its_use():
    bucket = limiter_of(limit("token_bucket", amount=60, depth=60), 0)
    bucket.rescale(500, 0)
    bucket.rescale(1000, 0)
    assert bucket.left(0) == 30 * BUCKET_UNIT
    window = limiter_of(limit("fixed", window_us=10_000_000), 0)
    window.take(15, 0)
    window.rescale(500, 0)
    assert window.left(0) == -5


def test_a_part_is_floored_in_scaled_units():
    assert part_of(limit("token_bucket", amount=3), 0, 333_333, share=True).left(0) == 3 * BUCKET_UNIT * 333_333 // 1_000_000
