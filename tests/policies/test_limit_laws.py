"""Laws of the limiters: nothing beyond the limit, exact refill, and a promise of room that is kept.

The rules are judged by the plainest statement of each window over everything that was charged.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.providers import windows
from forge1sim.providers.tables import ENTRY
from forge1sim.providers.tables import LIMIT as PROVIDER_LIMIT
from policies import limits
from policies.compile import JIT_DISABLED, compiled
from policies.limits import (
    ACCELERATION,
    BUCKET_UNIT,
    DAY,
    FIXED,
    IN_FLIGHT,
    LIMIT,
    LOG_ENTRY,
    PACED,
    SLIDING,
    TOKEN_BUCKET,
)
from policies.plain import plain

START_US = 1_793_577_600_000_000
MINUTE_US = 60_000_000
WINDOWS = {
    "token_bucket": TOKEN_BUCKET, "paced": PACED, "fixed": FIXED, "sliding": SLIDING, "day": DAY, "none": IN_FLIGHT,
    "acceleration": ACCELERATION,
}  # fmt: skip
fits, charge, hold, release, free = (plain(f) for f in (limits.fits, limits.charge, limits.hold, limits.release, limits.free))
bring_up, ready_us = plain(limits.bring_up), plain(limits.ready_us)
confirm, rescale, allowance = plain(limits.confirm), plain(limits.rescale), plain(limits.allowance)
provider_rescale = plain(windows.rescale)


@dataclass
class Limiter:
    """One limiter row with its log, and all that was ever charged."""

    window: int
    amount: int
    depth: int
    window_us: int = MINUTE_US
    growth_pm: int = 2000
    charged: list = field(default_factory=list)

    def __post_init__(self):
        self.rows, self.logs = np.zeros(1, dtype=LIMIT), np.zeros(self.amount, dtype=LOG_ENTRY)
        row = self.rows[0]
        in_bucket = self.window in (TOKEN_BUCKET, PACED)
        row["window"], row["unit"] = self.window, BUCKET_UNIT if in_bucket else 1
        row["capacity"] = row["capacity_configured"] = row["level"] = self.depth * BUCKET_UNIT if in_bucket else self.amount
        row["rate"] = row["rate_configured"] = self.amount if in_bucket else 0
        row["stamp_us"] = START_US - START_US % self.window_us
        row["window_us"], row["growth_pm"], row["scale_pm"] = self.window_us, self.growth_pm, 1000
        row["share_pm"] = 1000
        row["log_size"], row["grid_us"] = self.amount, 0

    def take(self, units, now_us):
        """Charge if it fits, as an attempt that is served at once."""
        if not fits(self.rows, self.logs, 0, units, now_us):
            return False
        charge(self.rows, self.logs, 0, units, now_us)
        confirm(self.rows, self.logs, 0, units, now_us, now_us)
        self.charged.append((now_us, units))
        return True

    def used(self, after_us, until_us):
        """Charged in (after, until]."""
        return sum(units for at_us, units in self.charged if after_us < at_us <= until_us)


def limiter(kind, amount, depth):
    """A limiter of one of WINDOWS; a sliding one whose log takes single units."""
    return Limiter(WINDOWS[kind], amount, depth)


# Gaps reach over a whole window now and then.
gaps_us = st.one_of(st.integers(0, 40_000_000), st.integers(50_000_000, 200_000_000))
steps = st.lists(st.tuples(gaps_us, st.integers(1, 12)), min_size=1, max_size=40)
amounts = st.integers(5, 60)


def play(one, moves):
    now_us = START_US
    for gap_us, units in moves:
        now_us += gap_us
        yield now_us, units, one.take(units, now_us)


@given(amount=amounts, depth=st.integers(1, 60), moves=steps)
def test_a_bucket_gives_its_depth_and_its_rate_and_never_more(amount, depth, moves):
    one = limiter("token_bucket", amount, depth)
    for now_us, _, _ in play(one, moves):
        for since_us, _ in one.charged:
            used = sum(units for at_us, units in one.charged if since_us <= at_us <= now_us)
            assert used * BUCKET_UNIT <= depth * BUCKET_UNIT + amount * (now_us - since_us)


@given(amount=amounts, depth=st.integers(1, 60), moves=steps)
def test_a_bucket_refuses_only_what_it_does_not_hold(amount, depth, moves):
    """The level by whole numbers from the charges alone: full at the start, refilled, never above its depth."""
    one = limiter("token_bucket", amount, depth)
    level, before_us = depth * BUCKET_UNIT, START_US
    for now_us, units, taken in play(one, moves):
        level, before_us = min(depth * BUCKET_UNIT, level + amount * (now_us - before_us)), now_us
        assert taken == (units * BUCKET_UNIT <= level)
        level -= units * BUCKET_UNIT if taken else 0


@given(amount=amounts, depth=st.integers(1, 6), moves=steps)
def test_a_paced_bucket_is_overdrawn_by_one_request_only_when_full(amount, depth, moves):
    one = limiter("paced", amount, depth)
    for now_us, units, _ in play(one, moves):
        level = free(one.rows, one.logs, 0, now_us)
        full = level >= depth * BUCKET_UNIT
        assert fits(one.rows, one.logs, 0, units, now_us) == (units * BUCKET_UNIT <= level or (units > depth and full))


@given(amount=amounts, moves=steps)
def test_a_fixed_window_gives_its_amount_between_two_ticks_of_its_clock(amount, moves):
    one = limiter("fixed", amount, 1)
    for now_us, units, taken in play(one, moves):
        begin_us = now_us - now_us % MINUTE_US
        before = one.used(begin_us - 1, now_us) - (units if taken else 0)
        assert taken == (before + units <= amount)


@given(amount=amounts, moves=steps)
def test_a_sliding_window_gives_its_amount_in_any_minute(amount, moves):
    one = limiter("sliding", amount, 1)
    for now_us, units, taken in play(one, moves):
        before = one.used(now_us - MINUTE_US, now_us) - (units if taken else 0)
        assert taken == (before + units <= amount)


@given(amount=amounts, moves=steps)
def test_acceleration_allows_its_amount_or_growth_times_the_window_before(amount, moves):
    one = limiter("acceleration", amount, 1)
    for now_us, units, taken in play(one, moves):
        begin_us = now_us - now_us % MINUTE_US
        allowed = max(amount, 2 * one.used(begin_us - MINUTE_US - 1, begin_us - 1))
        before = one.used(begin_us - 1, now_us) - (units if taken else 0)
        assert taken == (before + units <= allowed)


attempts = st.lists(
    st.tuples(st.integers(0, 20_000_000), st.integers(1, 12), st.integers(1, 150_000_000), st.booleans()), min_size=1, max_size=60
)


@given(amount=amounts, growth_pm=st.integers(500, 4000), sent=attempts)
def test_acceleration_hopes_for_no_more_than_a_provider_gives_that_counts_what_it_serves(amount, growth_pm, sent):
    """Attempts are in flight for up to three windows, and half of them fail; the provider counted the others when they came."""
    one = Limiter(ACCELERATION, amount, 1, growth_pm=growth_pm)
    counted, flying, now_us = Counter(), [], START_US
    for gap_us, units, flight_us, served in sent:
        now_us += gap_us
        for end_us, begun_us, taken in sorted(flight for flight in flying if flight[0] <= now_us):
            confirm(one.rows, one.logs, 0, taken, begun_us, end_us)
        flying = [flight for flight in flying if flight[0] > now_us]
        if not fits(one.rows, one.logs, 0, units, now_us):
            continue
        charge(one.rows, one.logs, 0, units, now_us)
        window = now_us // MINUTE_US
        if served:
            assert counted[window] + units <= max(amount, counted[window - 1] * growth_pm // 1000)
            counted[window] += units
            flying.append((now_us + flight_us, now_us, units))


def test_growth_of_large_numbers_stays_a_number():
    one = Limiter(ACCELERATION, 5, 1, growth_pm=1_000_000)
    one.rows[0]["previous"] = 10**18
    assert allowance(one.rows[0]) == limits.MOST
    confirm(one.rows, one.logs, 0, 10**17, START_US, START_US)
    assert free(one.rows, one.logs, 0, START_US + MINUTE_US) == limits.MOST


@pytest.mark.parametrize("kind", WINDOWS)
@given(amount=st.integers(1, 10**9), depth=st.integers(1, 10**6), scale_pm=st.integers(1, 1000))
def test_what_is_left_of_a_limit_is_what_the_provider_leaves(kind, amount, depth, scale_pm):
    one = Limiter(WINDOWS[kind], 5, 1)
    row, in_bucket = one.rows[0], kind in ("token_bucket", "paced")
    row["capacity"] = row["capacity_configured"] = row["level"] = depth * BUCKET_UNIT if in_bucket else amount
    row["rate"] = row["rate_configured"] = amount if in_bucket else 0
    theirs = np.zeros(1, dtype=PROVIDER_LIMIT)[0]
    theirs["window"], theirs["amount"], theirs["depth"], theirs["window_us"] = WINDOWS[kind], amount, depth, MINUTE_US
    theirs["allowed"], theirs["since_us"], theirs["until_us"] = amount, START_US, START_US + MINUTE_US
    provider_rescale(theirs, np.zeros(1, dtype=ENTRY), scale_pm, START_US)
    rescale(one.rows, one.logs, 0, scale_pm, START_US)
    assert row["capacity"] == (theirs["room"] if in_bucket else theirs["allowed"]) >= 1
    assert row["rate"] == (theirs["allowed"] if in_bucket else 0)


@pytest.mark.parametrize("kind", WINDOWS)
@given(amount=amounts, depth=st.integers(5, 60), moves=steps, peeks=st.lists(st.integers(0, 40_000_000), max_size=8))
def test_how_often_a_limiter_is_looked_at_changes_nothing(kind, amount, depth, moves, peeks):
    one, other = limiter(kind, amount, depth), limiter(kind, amount, depth)
    now_us = START_US
    for gap_us, units in moves:
        for peek in sorted(peek for peek in peeks if peek < gap_us):
            bring_up(other.rows, other.logs, 0, now_us + peek)
        now_us += gap_us
        assert one.take(units, now_us) == other.take(units, now_us)
    assert free(one.rows, one.logs, 0, now_us) == free(other.rows, other.logs, 0, now_us)


@pytest.mark.parametrize("kind", [kind for kind in WINDOWS if kind not in ("none", "acceleration")])
@given(amount=amounts, depth=st.integers(5, 60), moves=steps, held=st.integers(0, 20), asked=st.integers(1, 12))
def test_room_is_promised_for_the_very_microsecond_it_comes(kind, amount, depth, moves, held, asked):
    one = limiter(kind, amount, depth)
    now_us = START_US
    for now_us, _, _ in play(one, moves):  # noqa: B007
        pass
    if fits(one.rows, one.logs, 0, held, now_us):
        hold(one.rows, 0, held)
    at_us = ready_us(one.rows, one.logs, 0, asked, now_us)
    if at_us >= limits.NEVER_US:
        later_us = now_us + 10 * 86_400_000_000
        assert not fits(one.rows.copy(), one.logs.copy(), 0, asked, later_us)
        return
    assert fits(one.rows.copy(), one.logs.copy(), 0, asked, at_us)
    assert at_us == now_us or not fits(one.rows.copy(), one.logs.copy(), 0, asked, at_us - 1)


@pytest.mark.parametrize("kind", ["token_bucket", "fixed", "sliding", "day", "none", "acceleration"])
@given(
    amount=amounts, depth=st.integers(5, 60),
    moves=st.lists(st.tuples(st.integers(0, 40_000_000), st.integers(1, 12), st.floats(0, 1)), max_size=30),
)  # fmt: skip
def test_hold_then_settle_never_overdraws(kind, amount, depth, moves):
    """Held in the worst case, charged as it was: at no moment is more out than there is."""
    one, flying, now_us = limiter(kind, amount, depth), [], START_US
    for gap_us, worst, share in moves:
        now_us += gap_us
        if fits(one.rows, one.logs, 0, worst, now_us):
            hold(one.rows, 0, worst)
            flying.append((worst, int(worst * share)))
        assert free(one.rows, one.logs, 0, now_us) >= 0
        if flying and share < 0.6:
            held, used = flying.pop(0)
            release(one.rows, 0, held)
            bring_up(one.rows, one.logs, 0, now_us)
            charge(one.rows, one.logs, 0, used, now_us)
            assert free(one.rows, one.logs, 0, now_us) >= 0
    assert one.rows[0]["held"] == sum(held for held, _ in flying) * one.rows[0]["unit"]


@compiled
def _play_compiled(rows, logs, moves, answers):
    now_us = moves[0, 0]
    for step in range(moves.shape[0]):
        now_us = moves[step, 0]
        answers[step] = -1
        if limits.fits(rows, logs, 0, moves[step, 1], now_us):
            limits.charge(rows, logs, 0, moves[step, 1], now_us)
            limits.confirm(rows, logs, 0, moves[step, 1], now_us, now_us)
            answers[step] = limits.free(rows, logs, 0, now_us)


@pytest.mark.skipif(JIT_DISABLED, reason="compares compiled with plain")
@pytest.mark.parametrize("kind", WINDOWS)
@given(amount=amounts, depth=st.integers(1, 60), moves=steps)
def test_compiled_limiters_are_the_plain_ones(kind, amount, depth, moves):
    one, other = limiter(kind, amount, depth), limiter(kind, amount, depth)
    times = START_US + np.cumsum([gap_us for gap_us, _ in moves])
    table = np.stack([times, np.array([units for _, units in moves])], axis=1)
    answers = np.zeros(len(moves), dtype=np.int64)
    _play_compiled(one.rows, one.logs, table, answers)
    plainly = [
        free(other.rows, other.logs, 0, now_us) if taken else -1 for now_us, _, taken in play(other, moves)
    ]
    assert answers.tolist() == plainly
    assert one.rows.tobytes() == other.rows.tobytes()
