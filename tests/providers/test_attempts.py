"""What an attempt is charged, with whom it shares limits, and how it may end."""

import pytest

from forge1sim.providers import begin, build_emulator, cancel, end, new_answers, partial_output
from policies.errors import SchemaError
from policies.log import CALLER, THROTTLE
from policies.schema import Account, Distribution, Fault, Limit, Model, Speed

START_US = 1_760_000_000_000_000


def model(name: str, **fields) -> Model:
    return Model(name=name, provider="p", input_usd_per_1m=2.5, cached_input_usd_per_1m=0.25, output_usd_per_1m=10.0, **fields)


def test_all_limits_or_none(world) -> None:
    """An attempt that one limit refuses is charged to none of them."""
    emulated = world((Limit(dimension="rpd", limit=2.0), Limit(dimension="tpm", charge="input", limit=100.0)))
    assert emulated.begin(0, input_tokens=60)["outcome"] == 0
    refused = emulated.begin(0, input_tokens=60)
    assert (refused["outcome"], refused["limit"]) == (THROTTLE, 1)
    assert emulated.begin(0, input_tokens=40)["outcome"] == 0, "the second request of the day, not the third"
    assert list(emulated.tables.limits["refused"]) == [0, 1]


def test_unknown_limits_bind_all_the_same(world) -> None:
    emulated = world((Limit(dimension="rpm", limit=1.0, known=False), Limit(dimension="tpm", limit=1000.0)))
    assert emulated.begin(0)["outcome"] == 0
    refused = emulated.begin(1)
    assert refused["outcome"] == THROTTLE
    assert emulated.layout.limits[refused["limit"]].known is False


def test_models_of_a_class_share_and_accounts_do_not(world) -> None:
    accounts = (
        Account(
            name="a", provider="p", count=2,
            limits=(Limit(dimension="rpm", limit=2.0, model_class="big"), Limit(dimension="rpd", limit=3.0)),
        ),
    )  # fmt: skip
    models = (model("x", model_class="big"), model("y", model_class="big"), model("z"))
    emulated = world(models=models, accounts=accounts)
    names = [deployment.name for deployment in emulated.layout.deployments]

    def begin(name: str) -> bool:
        return emulated.begin(0, deployment=names.index(name))["outcome"] == 0

    assert [begin("a-1/x"), begin("a-1/y"), begin("a-1/x")] == [True, True, False]
    assert [begin("a-2/y"), begin("a-2/y"), begin("a-2/x")] == [True, True, False]
    assert [begin("a-1/z"), begin("a-1/z")] == [True, False], "three a day for all models of the account"


def test_output_is_cut_at_what_was_asked_for_or_the_model_can_say(world) -> None:
    emulated = world(models=(model("m", max_output_tokens=100, speed=Speed(tokens_per_s=10.0, noise_sigma=0.0)),))
    said = {most: emulated.begin(0, output_tokens=500, max_output_tokens=most) for most in (0, 30, 70)}
    assert {most: int(answer["output_tokens"]) for most, answer in said.items()} == {0: 100, 30: 30, 70: 70}
    assert said[30]["duration_us"] == 3_500_000


@pytest.mark.parametrize(("input_tokens", "asked", "fits"), [(700, 300, True), (701, 300, False), (600, 0, True), (601, 0, False)])
def test_what_does_not_fit_the_context_is_the_callers_fault(world, input_tokens, asked, fits) -> None:
    """Input and the most output together; what was refused so counts against no limit."""
    limits = (Limit(dimension="rpm", limit=1.0),)
    emulated = world(models=(model("m", context_tokens=1000, max_output_tokens=400),), limits=limits)
    answer = emulated.begin(0, input_tokens=input_tokens, max_output_tokens=asked)
    assert answer["outcome"] == (0 if fits else CALLER)
    assert emulated.begin(1)["outcome"] == (THROTTLE if fits else 0)


def test_max_tokens_are_the_models_own_if_none_were_asked_for(world) -> None:
    emulated = world(models=(model("m", max_output_tokens=90),), accounts=(
        Account(name="a", provider="p", limits=(Limit(dimension="tpm", limit=100.0),)),
    ))  # fmt: skip
    assert emulated.begin(0, input_tokens=11, max_output_tokens=0)["outcome"] == THROTTLE
    assert emulated.begin(0, input_tokens=10, max_output_tokens=0)["outcome"] == 0


def test_cached_input_is_free_of_the_limit_but_not_of_charge(world) -> None:
    """1000 in of which 900 cached at 0.25 and 100 fresh at 2.50, 20 out at 10 USD per million: 675,000 nano-USD."""
    limits = (Limit(dimension="itpm", charge="uncached_input", limit=100.0), Limit(dimension="spend", limit=0.000675))
    emulated = world(models=(model("m"),), accounts=(Account(name="a", provider="p", limits=limits),))
    assert emulated.begin(0, input_tokens=1000, cached_tokens=900)["outcome"] == 0
    emulated.end(0, 0, 1000, 900, 20)
    assert emulated.tables.limits[1]["used"] == 675_000
    assert emulated.tables.limits[1]["overdrawn"] == 0
    assert emulated.begin(0, input_tokens=1000, cached_tokens=899)["limit"] == 0
    assert emulated.begin(60_000_000, input_tokens=1000, cached_tokens=1000)["outcome"] == 0, "ten minutes have not passed"


def test_broken_nano_usd_round_up(world) -> None:
    """1 token at 0.0375 USD per million is 37.5 nano-USD: booked as 38."""
    cheap = Model(name="m", provider="p", input_usd_per_1m=0.0375, output_usd_per_1m=0.15)
    emulated = world(
        models=(cheap,), accounts=(Account(name="a", provider="p", limits=(Limit(dimension="spend", limit=1.0),)),)
    )
    emulated.begin(0, input_tokens=1)
    emulated.end(0, 0, 1, 0, 0)
    assert emulated.tables.limits[0]["used"] == 38


def test_work_in_flight_may_overdraw_what_is_charged_at_the_end_and_is_told(world) -> None:
    emulated = world((Limit(dimension="otpm", window="fixed", limit=100.0),))
    for _ in range(3):
        assert emulated.begin(0, output_tokens=45)["outcome"] == 0
    for used in (45, 90, 135):
        emulated.end(1, 0, 10, 0, 45)
        assert emulated.tables.limits[0]["used"] == used
    assert emulated.tables.limits[0]["overdrawn"] == 1
    assert emulated.begin(2)["outcome"] == THROTTLE


def test_an_attempt_that_was_refused_ends_without_trace(world) -> None:
    emulated = world((Limit(dimension="concurrency", limit=1.0), Limit(dimension="otpm", limit=100.0)))
    emulated.begin(0)
    refused = emulated.begin(1)
    before = emulated.block.copy()
    end(emulated.block, 0, bool(refused["outcome"] == 0), 0, 0, 0, START_US + 2)
    assert (emulated.block == before).all()


def test_hanging_up_pays_for_what_was_said(world) -> None:
    """1.2 s for 20 tokens, hung up after half of it: 10 tokens, and the place is free."""
    emulated = world((Limit(dimension="otpm", window="fixed", limit=100.0), Limit(dimension="concurrency", limit=1.0)))
    answer = emulated.begin(0)
    said = partial_output(int(answer["output_tokens"]), int(answer["duration_us"]), 600_000)
    cancel(emulated.block, 0, 10, 0, said, START_US + 600_000)
    assert said == 10
    assert list(emulated.tables.limits["used"]) == [10, 0]
    assert emulated.begin(600_000)["outcome"] == 0


@pytest.mark.parametrize(
    ("elapsed_us", "said"),
    [(-5, 0), (0, 0), (1, 0), (9_999, 0), (10_000, 1), (995_000, 99), (1_000_000, 100), (2_000_000, 100)],
)
def test_partial_output_is_even_and_whole(elapsed_us, said) -> None:
    assert partial_output(100, 1_000_000, elapsed_us) == said


def test_partial_output_of_a_very_long_answer() -> None:
    day_us = 86_400_000_000
    assert partial_output(2_000_000_000, 4 * day_us, day_us) == 500_000_000


def test_wait_is_told_only_by_providers_that_do(world) -> None:
    limit = Limit(dimension="rpm", limit=1.0)
    for tells, wait_us in ((True, 60_000_000), (False, 0)):
        emulated = world((limit,), provider={"retry_after": tells, "refusal_after_s": 0.02})
        emulated.begin(0)
        refused = emulated.begin(0)
        assert (refused["retry_after_us"], refused["duration_us"]) == (wait_us, 20_000)


def test_an_answer_is_written_to_a_row_or_to_a_table_of_one(world) -> None:
    emulated, answers = world(), new_answers(1)
    begin(emulated.block, 0, 0, 0, 1, 0, 10, 0, 20, 50, START_US, answers)
    assert answers[0] == emulated.begin(0)


def test_each_world_is_its_own(world) -> None:
    """Two emulators of one layout share nothing."""
    one = world((Limit(dimension="rpm", limit=1.0),))
    other = build_emulator(one.layout, (), START_US, 1)
    one.begin(0)
    assert one.tables.limits[0]["level"] == 0
    assert type(one)(one.layout, other).begin(0)["outcome"] == 0


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"provider": {"error_probability": 0.7, "timeout_probability": 0.4}}, r"providers\.p: .* add up to 1\.1, must be at most 1"),
        ({"faults": (Fault(kind="outage", start_s=0.0, account="x"),)}, r"faults\.0: no account matches .*'x'"),
        ({"limits": (Limit(dimension="tpm", limit=1e9, burst_s=1e6),)}, r"a\.tpm: limit and burst_s hold \d+ units"),
        ({"limits": (Limit(dimension="rpm", limit=5.0, window="fixed", window_s=1e-7),)}, r"a\.rpm: window_s is 0\.0"),
        ({"models": (Model(name="m", provider="p", input_usd_per_1m=2e6, output_usd_per_1m=1.0),)}, r"models\.m: price is 2e\+06"),
    ],
)
def test_what_cannot_be_emulated_is_named(world, broken, message) -> None:
    with pytest.raises(SchemaError, match=message):
        world(**broken)


def test_a_gamma_service_can_be_capped(world) -> None:
    service = Distribution(kind="gamma", mean=5.0, cv=2.0, at_most=1.0)
    emulated = world(speed=Speed(service_s=service))
    times_us = [int(emulated.begin(0, number=number)["duration_us"]) for number in range(200)]
    assert max(times_us) == 1_000_000
