"""Faults strike whom they should, from their first microsecond to their last."""

import pytest

from forge1sim.providers import set_limit_scale, set_outage
from policies.log import CREDENTIAL, FAILED, THROTTLE
from policies.schema import Account, Fault, Limit

S = 1_000_000
START_US = 1_760_000_000_000_000
PAIR = (
    Account(name="east", provider="p", region="us"),
    Account(name="west", provider="p", region="eu", count=2),
)


def test_an_outage_lasts_from_start_to_stop(world) -> None:
    emulated = world(faults=(Fault(kind="outage", start_s=10.0, duration_s=5.0),), provider={"error_after_s": 0.3})
    outcomes = {at_us: int(emulated.begin(at_us)["outcome"]) for at_us in (10 * S - 1, 10 * S, 15 * S - 1, 15 * S)}
    assert outcomes == {10 * S - 1: 0, 10 * S: FAILED, 15 * S - 1: FAILED, 15 * S: 0}


def test_a_failed_attempt_charges_and_holds_nothing(world) -> None:
    emulated = world(
        (Limit(dimension="rpm", limit=1.0), Limit(dimension="concurrency", limit=1.0)),
        faults=(Fault(kind="outage", start_s=0.0, duration_s=1.0),),
    )
    assert emulated.begin(0)["outcome"] == FAILED
    assert emulated.begin(1)["outcome"] == FAILED
    assert emulated.begin(S)["outcome"] == 0


@pytest.mark.parametrize(
    ("selector", "struck"),
    [
        ({}, [True, True, True]),
        ({"provider": "p"}, [True, True, True]),
        ({"account": "west"}, [False, True, True]),
        ({"account": "west-2"}, [False, False, True]),
        ({"region": "us"}, [True, False, False]),
        ({"provider": "p", "region": "eu", "account": "west-1"}, [False, True, False]),
    ],
)
def test_selectors_must_all_match(world, selector, struck) -> None:
    emulated = world(accounts=PAIR, faults=(Fault(kind="outage", start_s=0.0, **selector),))
    assert [emulated.begin(1, deployment=row)["outcome"] == FAILED for row in range(3)] == struck


@pytest.mark.parametrize(("kind", "outcome"), [("brownout", FAILED), ("throttle_storm", THROTTLE)])
def test_partial_faults_strike_with_their_probability(world, kind, outcome) -> None:
    """Two at once of 0.2 and 0.5 leave 0.8 * 0.5 unharmed."""
    faults = tuple(Fault(kind=kind, start_s=1.0, duration_s=1.0, probability=p) for p in (0.2, 0.5))
    emulated = world(faults=faults)
    struck = [int(emulated.begin(S, number=number)["outcome"]) for number in range(5_000)]
    assert set(struck) == {0, outcome}
    assert struck.count(outcome) / 5_000 == pytest.approx(0.6, abs=0.025)
    assert {int(emulated.begin(2 * S, number=number)["outcome"]) for number in range(500)} == {0}


def test_brownout_and_storm_strike_independently(world) -> None:
    faults = tuple(Fault(kind=kind, start_s=0.0, probability=0.5) for kind in ("brownout", "throttle_storm"))
    emulated = world(faults=faults)
    outcomes = [int(emulated.begin(0, number=number)["outcome"]) for number in range(5_000)]
    assert outcomes.count(0) / 5_000 == pytest.approx(0.25, abs=0.025)


def test_latency_stretches_answers(world) -> None:
    faults = (Fault(kind="latency", start_s=1.0, duration_s=9.0, factor=3.0), Fault(kind="latency", start_s=2.0, factor=2.0))
    emulated = world(faults=faults)
    assert [int(emulated.begin(at_s * S)["duration_us"]) for at_s in (0, 1, 2, 10)] == [
        1_200_000, 3_600_000, 7_200_000, 2_400_000,
    ]  # fmt: skip


def test_revoked_keys_are_refused_for_ever_in_order_of_use(world) -> None:
    faults = tuple(Fault(kind="key_revoked", start_s=at_s, duration_s=1.0) for at_s in (10.0, 20.0))
    emulated = world(faults=faults)
    outcomes = {
        at_s: [int(emulated.begin(at_s * S, key=key)["outcome"]) for key in range(3)] for at_s in (9, 10, 19, 20, 1000)
    }
    assert outcomes == {
        9: [0, 0, 0], 10: [CREDENTIAL, 0, 0], 19: [CREDENTIAL, 0, 0],
        20: [CREDENTIAL, CREDENTIAL, 0], 1000: [CREDENTIAL, CREDENTIAL, 0],
    }  # fmt: skip


def test_a_cut_takes_effect_at_its_time_however_late_it_is_noticed(world) -> None:
    """60 a minute, emptied at 0; halved from 10 s on: 10 tokens by then, 10 more by 30 s."""
    limit = Limit(dimension="tpm", charge="input", limit=60.0)
    cut = Fault(kind="limit_cut", start_s=10.0, duration_s=100.0, factor=0.5)

    def after_30_s(tokens: int, looks_us: tuple[int, ...]) -> int:
        emulated = world((limit,), faults=(cut,))
        emulated.begin(0, input_tokens=60)
        for at_us in looks_us:
            emulated.begin(at_us, input_tokens=61)
        return int(emulated.begin(30 * S, input_tokens=tokens)["outcome"])

    for looks_us in ((), (10 * S,), (5 * S, 10 * S - 1, 10 * S, 12 * S)):
        assert after_30_s(20, looks_us) == 0
        assert after_30_s(21, looks_us) == THROTTLE


def test_a_cut_clips_what_a_bucket_holds_and_shows_in_answers(world) -> None:
    cut = Fault(kind="limit_cut", start_s=10.0, duration_s=10.0, factor=0.5)
    emulated = world((Limit(dimension="tpm", charge="input", limit=60.0),), faults=(cut,))
    assert emulated.begin(0, input_tokens=1)["limit_scale_pm"] == 1000
    refused = emulated.begin(10 * S, input_tokens=31)
    assert (refused["outcome"], refused["limit_scale_pm"], refused["retry_after_us"]) == (THROTTLE, 500, 0)
    assert emulated.fork().begin(10 * S, input_tokens=30)["outcome"] == 0
    restored = emulated.begin(20 * S, input_tokens=31)
    assert (restored["outcome"], restored["limit_scale_pm"]) == (THROTTLE, 1000), "what was clipped is refilled, not given back"
    assert emulated.begin(21 * S, input_tokens=31)["outcome"] == 0


@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_a_cut_window_counts_what_was_used_before(world, window) -> None:
    emulated = world(
        (Limit(dimension="rpm", window=window, limit=10.0),), faults=(Fault(kind="limit_cut", start_s=10.0, factor=0.5),)
    )
    minute_us = 20 * S  # the first full minute after START_US
    for at_us in range(6):
        assert emulated.begin(at_us)["outcome"] == 0
    assert emulated.begin(10 * S)["outcome"] == THROTTLE
    later_us = minute_us + 60 * S
    assert [emulated.begin(later_us + at_us)["outcome"] for at_us in range(6)] == [0] * 5 + [THROTTLE]


def test_a_cut_of_a_limit_of_few_leaves_one(world) -> None:
    emulated = world((Limit(dimension="concurrency", limit=1.0),), faults=(Fault(kind="limit_cut", start_s=0.0, factor=0.1),))
    assert [emulated.begin(at_us)["outcome"] for at_us in range(2)] == [0, THROTTLE]


def test_a_callers_scale_multiplies_with_faults_and_can_be_lifted(world) -> None:
    emulated = world(
        accounts=(Account(name="a", provider="p", limits=(Limit(dimension="concurrency", limit=8.0),), count=2),),
        faults=(Fault(kind="limit_cut", start_s=10.0, duration_s=10.0, factor=0.5, account="a-1"),),
    )
    set_limit_scale(emulated.block, 0, 500, START_US + 5 * S)
    allowed = {}
    for at_s in (5, 10, 20):
        allowed[at_s] = [int(emulated.begin(at_s * S, deployment=row)["limit_scale_pm"]) for row in range(2)]
    assert allowed == {5: [500, 1000], 10: [250, 1000], 20: [500, 1000]}
    set_limit_scale(emulated.block, 0, 1000, START_US + 21 * S)
    assert emulated.begin(21 * S)["limit_scale_pm"] == 1000


def test_a_callers_outage_adds_to_faults(world) -> None:
    emulated = world(accounts=PAIR, faults=(Fault(kind="outage", start_s=10.0, duration_s=10.0, account="east"),))

    def fails(at_s: int) -> list[bool]:
        return [emulated.begin(at_s * S, deployment=row)["outcome"] == FAILED for row in range(3)]

    set_outage(emulated.block, 1, True)
    assert fails(0) == [False, True, False]
    assert fails(10) == [True, True, False]
    set_outage(emulated.block, 0, False)
    assert fails(11) == [True, True, False], "a fault is not lifted by hand"
    set_outage(emulated.block, 1, False)
    assert fails(12) == [True, False, False]
    assert fails(20) == [False, False, False]
