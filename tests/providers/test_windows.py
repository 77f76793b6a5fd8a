"""Each window kind against the plainest statement of its rule: lists and fractions, nothing clever."""

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.layout import DAY_US
from policies.log import ACCELERATION, DAILY_QUOTA, MONEY, THROTTLE
from policies.schema import Limit

SECOND_US = 1_000_000
START_US = 1_760_000_000_000_000
AT_END = ("output", "total", "cost")
LONGEST = 10**8 - 50         # with 50 of output it fills the context


class Bucket:
    """A token bucket: continuous refill per minute up to a depth."""

    def __init__(self, per_min: int, depth: int, paced: bool) -> None:
        self.per_min, self.depth, self.paced = per_min, depth, paced
        self.level, self.as_of_us = Fraction(depth), 0

    def _refill(self, now_us: int) -> None:
        self.level = min(Fraction(self.depth), self.level + Fraction(self.per_min * (now_us - self.as_of_us), 60 * SECOND_US))
        self.as_of_us = now_us

    def passes(self, units: int, now_us: int) -> bool:
        self._refill(now_us)
        return units <= self.level or (self.paced and self.level == self.depth)

    def has_some(self, now_us: int) -> bool:
        self._refill(now_us)
        return self.level > 0

    def use(self, units: int, now_us: int) -> bool:
        """Charge, and say whether the limit was broken."""
        self._refill(now_us)
        self.level -= units
        return self.level < 0 and not (self.paced and units > self.depth)


class Counter:
    """Fixed windows, days, sliding logs and acceleration: all charges ever made, and a rule of which count."""

    def __init__(self, kind: str, amount: int, window_us: int, growth: float = 0.0) -> None:
        self.kind, self.amount, self.window_us, self.growth = kind, amount, window_us, growth
        self.charges: dict[int, int] = defaultdict(int)

    def _used(self, now_us: int) -> int:
        if self.kind == "sliding":
            return sum(units for at_us, units in self.charges.items() if now_us - self.window_us < at_us <= now_us)
        return self._used_in(self._window(now_us))

    def _window(self, now_us: int) -> int:
        return (START_US + now_us) // self.window_us

    def _used_in(self, window: int) -> int:
        return sum(units for at_us, units in self.charges.items() if self._window(at_us) == window)

    def _allowed(self, now_us: int) -> int:
        if self.kind != "acceleration":
            return self.amount
        return max(self.amount, int(self._used_in(self._window(now_us) - 1) * Fraction(round(self.growth * 1000), 1000)))

    def passes(self, units: int, now_us: int) -> bool:
        return self._used(now_us) + units <= self._allowed(now_us)

    def has_some(self, now_us: int) -> bool:
        return self._used(now_us) < self._allowed(now_us)

    def use(self, units: int, now_us: int) -> bool:
        self.charges[now_us] += units
        return self._used(now_us) > self._allowed(now_us)


def reference(limit: Limit) -> Bucket | Counter:
    amount = round(limit.limit * 10**9) if limit.charge == "cost" else round(limit.limit)
    if limit.window in ("token_bucket", "paced"):
        return Bucket(amount, max(1, round(amount * limit.burst_s / 60)), limit.window == "paced")
    window_us = DAY_US if limit.window == "day" else round(limit.window_s * SECOND_US)
    kind = "acceleration" if limit.dimension == "acceleration" else str(limit.window)
    return Counter(kind, amount, window_us, limit.growth)


def units_of(charge: str, attempt: dict[str, int]) -> int:
    """Written out from the charge rules of `policies.schema`; prices are 3 and 15 USD per million tokens."""
    fresh = attempt["input_tokens"] - attempt["cached_tokens"]
    said = min(attempt["output_tokens"], attempt["max_output_tokens"])
    return {
        "requests": 1,
        "max_tokens": attempt["input_tokens"] + attempt["max_output_tokens"],
        "input": attempt["input_tokens"],
        "uncached_input": fresh,
        "output": said,
        "total": attempt["input_tokens"] + said,
        "cost": 3_000 * attempt["input_tokens"] + 15_000 * said,
    }[charge]


@st.composite
def limits(draw) -> Limit:
    dimension = draw(st.sampled_from(["tpm", "tpd", "spend", "acceleration"]))
    charge = draw(st.sampled_from(["requests", "max_tokens", "input", "uncached_input", "output", "total", "cost"]))
    windows = {"tpd": ["day"], "acceleration": ["fixed"]}.get(dimension, ["token_bucket", "paced", "fixed", "sliding"])
    if charge == "cost":
        windows = [window for window in windows if window not in ("token_bucket", "paced")] or ["fixed"]
    amount = draw(st.integers(1, 6) if charge == "requests" else st.integers(1, 400))
    return Limit(
        dimension=dimension, charge=charge, window=draw(st.sampled_from(windows)),
        limit=amount * 1e-5 if charge == "cost" else float(amount),
        window_s=draw(st.sampled_from([0.01, 1.0, 7.5, 60.0])), burst_s=draw(st.sampled_from([1.0, 15.0, 60.0, 90.0])),
        growth=draw(st.sampled_from([1.0, 1.5, 2.0])),
    )  # fmt: skip


attempts = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(10, 90),
        "cached_tokens": st.integers(0, 10),
        "output_tokens": st.integers(0, 120),
        "max_output_tokens": st.integers(1, 100),
    }
)
# Steps of time in parts of the window, where the edges are, or any; then an attempt, or the end of the oldest one.
gaps = st.one_of(
    st.tuples(st.sampled_from([0, 1, 2, 3, 4, 8, 12]), st.sampled_from([-1, 0, 0, 0, 1])),
    st.tuples(st.just(0), st.one_of(st.integers(0, 20 * SECOND_US), st.integers(0, 2 * DAY_US))),
)
steps = st.lists(st.tuples(gaps, st.one_of(st.none(), attempts)), min_size=1, max_size=60)


def gap_us(limit: Limit, gap: tuple[int, int]) -> int:
    quarters, more_us = gap
    window_us = DAY_US if limit.window == "day" else round(limit.window_s * SECOND_US)
    return max(0, quarters * window_us // 4 + more_us)


@settings(max_examples=400)
@given(limit=limits(), steps=steps)
def test_a_limit_decides_as_its_rule_says(world, limit, steps) -> None:
    """Every attempt passes or not, and every end overdraws or not, exactly as the plain rule says."""
    emulated, rule = world((limit,)), reference(limit)
    now_us, broken, in_flight = 0, 0, []
    for gap, attempt in steps:
        now_us += gap_us(limit, gap)
        if attempt is not None:
            at_end = limit.charge in AT_END
            units = units_of(limit.charge, attempt)
            expected = rule.has_some(now_us) if at_end else units == 0 or rule.passes(units, now_us)
            answer = emulated.begin(now_us, **attempt)
            assert (answer["outcome"] == 0) == expected
            if expected:
                in_flight.append(attempt)
                if not at_end:
                    rule.use(units, now_us)
        elif in_flight:
            ended = in_flight.pop(0)
            said = min(ended["output_tokens"], ended["max_output_tokens"])
            emulated.end(now_us, 0, ended["input_tokens"], 0, said)
            if limit.charge in AT_END:
                broken += rule.use(units_of(limit.charge, ended), now_us)
    assert emulated.tables.limits[0]["overdrawn"] == broken


@settings(max_examples=200)
@given(limit=limits(), steps=steps)
def test_retry_after_is_when_the_limit_clears(world, limit, steps) -> None:
    """An attempt refused with a wait passes after it, and a millisecond before it does not."""
    emulated, now_us = world((limit,)), 0
    for gap, attempt in steps:
        now_us += gap_us(limit, gap)
        if attempt is None:
            continue
        answer = emulated.begin(now_us, **attempt)
        if answer["outcome"] == 0:
            said = int(answer["output_tokens"])
            emulated.end(now_us, 0, attempt["input_tokens"], attempt["cached_tokens"], said)
            continue
        wait_us = int(answer["retry_after_us"])
        assert wait_us % 1000 == 0
        if wait_us > 0:
            assert emulated.fork().begin(now_us + wait_us, **attempt)["outcome"] == 0
        if wait_us > 1000:
            assert emulated.fork().begin(now_us + wait_us - 1000, **attempt)["outcome"] != 0
        if wait_us == 0:
            assert emulated.fork().begin(now_us + 3 * DAY_US, **attempt)["outcome"] != 0


@settings(max_examples=60)
@given(
    gaps=st.lists(st.integers(0, 3 * SECOND_US), min_size=20, max_size=200),
    tokens=st.integers(20_000, 90_000),
)
def test_a_coarse_sliding_log_is_never_stricter_than_the_rule_and_hardly_laxer(world, gaps, tokens) -> None:
    """Above 65,536 units per window the log joins charges within 1/4096 of the window, and dates them early."""
    window_us, amount = 60 * SECOND_US, 600_000
    emulated = world((Limit(dimension="tpm", charge="input", window="sliding", limit=float(amount)),))
    accepted: list[tuple[int, int]] = []
    now_us = 0
    for gap in gaps:
        now_us += gap // 50
        passed = emulated.begin(now_us, input_tokens=tokens)["outcome"] == 0
        exact = sum(units for at_us, units in accepted if at_us > now_us - window_us)
        surely = sum(units for at_us, units in accepted if at_us > now_us - window_us + window_us // 4096 + 1)
        assert passed or exact + tokens > amount
        assert not passed or surely + tokens <= amount
        if passed:
            accepted.append((now_us, tokens))


def test_a_sliding_log_survives_more_entries_than_it_keeps(world) -> None:
    """Raised tenfold, a limit of 3 lets 30 pass, although its log has 3 entries."""
    from forge1sim.providers import set_limit_scale

    emulated = world((Limit(dimension="rpm", window="sliding", limit=3.0),))
    set_limit_scale(emulated.block, 0, 10_000, START_US)
    passed = [emulated.begin(second * 1000)["outcome"] == 0 for second in range(40)]
    assert passed == [True] * 30 + [False] * 10
    assert emulated.begin(120 * SECOND_US)["outcome"] == 0


def test_a_sliding_log_forgets_a_charge_exactly_one_window_later(world) -> None:
    """Two a minute: those of 0 and 1 us leave at 60 s and 60 s + 1 us, one by one."""
    emulated = world((Limit(dimension="rpm", window="sliding", limit=2.0),))
    times_us = [0, 1, 2, 60 * SECOND_US - 1, 60 * SECOND_US, 60 * SECOND_US, 60 * SECOND_US + 1, 60 * SECOND_US + 2]
    assert [emulated.begin(at_us)["outcome"] == 0 for at_us in times_us] == [True, True, False, False, True, False, True, False]


def test_acceleration_forgets_all_but_the_window_before(world) -> None:
    """10 a minute, or twice the minute before: 10, 20, then an idle minute, and 10 again."""
    emulated = world((Limit(dimension="acceleration", charge="requests", limit=10.0, growth=2.0),))
    minute_us = 60 * SECOND_US
    passed = [sum(emulated.begin(minute * minute_us)["outcome"] == 0 for _ in range(50)) for minute in (1, 2, 4)]
    assert passed == [10, 20, 10]


def test_what_charges_nothing_passes_a_bucket_in_debt(world) -> None:
    emulated = world((Limit(dimension="itpm", charge="uncached_input", window="paced", limit=600.0, burst_s=1.0),))
    assert emulated.begin(0, input_tokens=40)["outcome"] == 0
    assert emulated.begin(1, input_tokens=40, cached_tokens=39)["outcome"] == THROTTLE
    assert emulated.begin(1, input_tokens=40, cached_tokens=40)["outcome"] == 0


def test_concurrency_counts_attempts_in_flight(world) -> None:
    emulated = world((Limit(dimension="concurrency", limit=2.0),))
    answers = [emulated.begin(at_us) for at_us in range(3)]
    assert [answer["outcome"] for answer in answers] == [0, 0, THROTTLE]
    assert answers[2]["retry_after_us"] == 0, "nobody knows when one ends"
    emulated.end(10)
    assert emulated.begin(10)["outcome"] == 0
    assert emulated.begin(11)["outcome"] == THROTTLE


def test_sixty_a_minute_by_kind_of_window(world) -> None:
    """A burst of 61 and then one a second: what each window makes of it."""
    arrivals_us = [0] * 61 + [second * SECOND_US for second in range(1, 31)]
    passed = {}
    for window in ("token_bucket", "paced", "sliding"):
        emulated = world((Limit(dimension="rpm", window=window, limit=60.0, burst_s=60.0 if window != "paced" else 1.0),))
        passed[window] = sum(emulated.begin(at_us)["outcome"] == 0 for at_us in arrivals_us)
    assert passed == {"token_bucket": 90, "paced": 31, "sliding": 60}


def test_a_paced_limit_lets_one_oversized_request_overdraw_a_full_bucket(world) -> None:
    """600 a minute over slices of 1 s holds 10; 40 at once pass when it is full, and it is paid back."""
    emulated = world((Limit(dimension="tpm", charge="input", window="paced", limit=600.0, burst_s=1.0),))
    assert emulated.begin(0, input_tokens=40)["outcome"] == 0
    refused = emulated.begin(0, input_tokens=1)
    assert refused["outcome"] == THROTTLE
    assert refused["retry_after_us"] == 3_100_000, "30 below zero, and one more, at 10 a second"
    assert emulated.begin(3_999_999, input_tokens=40)["outcome"] == THROTTLE
    assert emulated.begin(4_000_000, input_tokens=40)["outcome"] == 0


@pytest.mark.parametrize(
    ("dimension", "outcome"),
    [("rpm", THROTTLE), ("rpd", DAILY_QUOTA), ("tpd", DAILY_QUOTA), ("spend", MONEY), ("acceleration", ACCELERATION)],
)
def test_the_dimension_decides_the_class_of_refusal(world, dimension, outcome) -> None:
    emulated = world((Limit(dimension=dimension, charge="requests", limit=1.0),))
    assert emulated.begin(0)["outcome"] == 0
    answer = emulated.begin(1)
    assert answer["outcome"] == outcome
    assert answer["limit"] == 0
    assert answer["input_tokens"] == answer["output_tokens"] == 0


def test_a_day_ends_at_the_providers_midnight(world) -> None:
    """2025-10-09 08:53:20 UTC is 01:53:20 in Los Angeles (UTC-7): midnight is 22 h 06 min 40 s away."""
    emulated = world((Limit(dimension="rpd", limit=1.0),), provider={"timezone": "America/Los_Angeles"})
    midnight_us = (22 * 3600 + 6 * 60 + 40) * SECOND_US
    assert emulated.begin(0)["outcome"] == 0
    assert emulated.begin(1)["retry_after_us"] == midnight_us
    assert emulated.begin(midnight_us - 1)["outcome"] == DAILY_QUOTA
    assert emulated.begin(midnight_us)["outcome"] == 0


def test_a_long_idle_bucket_is_full_and_nothing_overflows(world) -> None:
    emulated = world((Limit(dimension="tpm", charge="input", limit=1e9),))
    year_us = 365 * DAY_US
    for at_us in (0, 100 * year_us):
        assert all(emulated.begin(at_us, input_tokens=LONGEST)["outcome"] == 0 for _ in range(10))
        assert emulated.begin(at_us, input_tokens=LONGEST)["outcome"] == THROTTLE


def test_a_huge_limit_is_no_limit(world) -> None:
    emulated = world((Limit(dimension="spend", limit=1e9), Limit(dimension="acceleration", limit=1e12, growth=1000)))
    for at_us in range(0, 200 * SECOND_US, SECOND_US):
        assert emulated.begin(at_us, input_tokens=LONGEST)["outcome"] == 0
        emulated.end(at_us, 0, LONGEST, 0, 10**6)
