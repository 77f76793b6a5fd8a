"""How long answers take: in distribution as documented, the same for the same key."""

import numpy as np
import pytest
from scipy import stats

from policies.log import CALLER, FAILED, OVERLOAD, TIMEOUT
from policies.schema import Distribution, Model, Speed

COUNT = 20_000


def durations_s(world, speed: Speed, **attempt: int) -> np.ndarray:
    emulated = world(speed=speed)
    seconds = np.empty(COUNT)
    for number in range(COUNT):
        answer = emulated.begin(number, tenant=number % 7, number=number, **attempt)
        emulated.end(number)
        seconds[number] = answer["duration_us"] / 1e6
    return seconds


def lognormal(mean: float, cv: float):
    sigma = np.sqrt(np.log1p(cv**2))
    return stats.lognorm(sigma, scale=mean * np.exp(-(sigma**2) / 2))


def gamma(mean: float, cv: float):
    return stats.gamma(1 / cv**2, scale=mean * cv**2)


@pytest.mark.parametrize(
    ("service", "law"),
    [
        (Distribution(kind="exponential", mean=2.0), stats.expon(scale=2.0)),
        (Distribution(kind="lognormal", mean=2.0, cv=0.5), lognormal(2.0, 0.5)),
        (Distribution(kind="lognormal", mean=2.0, cv=1.5), lognormal(2.0, 1.5)),
        (Distribution(kind="gamma", mean=2.0, cv=0.3), gamma(2.0, 0.3)),
        (Distribution(kind="gamma", mean=2.0, cv=1.0), stats.expon(scale=2.0)),
        (Distribution(kind="gamma", mean=2.0, cv=1.8), gamma(2.0, 1.8)),
    ],
    ids=["exponential", "lognormal-0.5", "lognormal-1.5", "gamma-0.3", "gamma-1", "gamma-1.8"],
)
def test_service_times_follow_their_law(world, service: Distribution, law) -> None:
    seconds = durations_s(world, Speed(service_s=service))
    assert stats.kstest(seconds, law.cdf).pvalue > 0.001
    assert seconds.mean() == pytest.approx(2.0, rel=0.04)


def test_speed_has_mean_one_noise(world) -> None:
    """1 s to the first token, 10 tokens in at 2 s per thousand, 20 out at 100 a second: 1.22 s."""
    speed = Speed(ttft_s=1.0, s_per_1k_input=2.0, tokens_per_s=100.0, noise_sigma=0.4)
    seconds = durations_s(world, speed)
    assert stats.kstest(seconds, stats.lognorm(0.4, scale=1.22 * np.exp(-0.08)).cdf).pvalue > 0.001


def test_empirical_values_are_equally_likely_and_capped(world) -> None:
    service = Distribution(kind="empirical", values=(0.5, 1.0, 4.0, 9.0), at_most=5.0)
    values, counts = np.unique(durations_s(world, Speed(service_s=service)), return_counts=True)
    assert list(values) == [0.5, 1.0, 4.0, 5.0]
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("kind", ["deterministic", "lognormal", "gamma"])
def test_without_variation_it_is_the_mean(world, kind) -> None:
    emulated = world(speed=Speed(service_s=Distribution(kind=kind, mean=1.5, cv=0.0)))
    assert emulated.begin(0)["duration_us"] == 1_500_000


def test_each_model_has_its_own_values(world) -> None:
    models = tuple(
        Model(
            name=f"m{row}", provider="p", input_usd_per_1m=1.0, output_usd_per_1m=1.0,
            speed=Speed(service_s=Distribution(kind="empirical", values=(float(row),) * row)),
        )
        for row in (1, 2, 3)
    )  # fmt: skip
    emulated = world(models=models)
    assert [emulated.begin(0, deployment=row)["duration_us"] for row in range(3)] == [1_000_000, 2_000_000, 3_000_000]


def test_load_slows_answers_down(world) -> None:
    """50 % slower per 100 others in flight of the same deployment."""
    emulated = world(speed=Speed(ttft_s=1.0, tokens_per_s=20.0, noise_sigma=0.0, load_slope=0.5))
    times_us = [int(emulated.begin(0)["duration_us"]) for _ in range(3)]
    assert times_us == [2_000_000, 2_010_000, 2_020_000]
    emulated.end(1)
    emulated.end(1)
    assert emulated.begin(2)["duration_us"] == 2_010_000


def test_an_answer_takes_at_least_a_microsecond(world) -> None:
    emulated = world(speed=Speed(service_s=Distribution(kind="deterministic", mean=0.0)))
    assert emulated.begin(0)["duration_us"] == 1


def test_luck_belongs_to_the_request_not_to_the_order(world) -> None:
    """What an attempt meets depends on seed, tenant, number and attempt, whatever came before."""
    speed = Speed(noise_sigma=0.5)
    alone = world(speed=speed).begin(0, tenant=3, number=8)["duration_us"]
    busy = world(speed=speed)
    for number in range(100):
        busy.begin(number, tenant=5, number=number)
    assert busy.begin(1_000, tenant=3, number=8)["duration_us"] == alone
    different = {
        int(world(speed=speed, seed=seed).begin(0, tenant=tenant, number=number, attempt=attempt)["duration_us"])
        for seed, tenant, number, attempt in [(1, 3, 8, 1), (2, 3, 8, 1), (1, 4, 8, 1), (1, 3, 9, 1), (1, 3, 8, 2)]
    }
    assert len(different) == 5


def test_failures_come_as_often_as_told_and_take_their_time(world) -> None:
    chances = {"error": 0.05, "timeout": 0.02, "overload": 0.1, "caller_error": 0.03}
    emulated = world(
        provider={f"{name}_probability": chance for name, chance in chances.items()}
        | {"timeout_s": 30.0, "error_after_s": 0.4, "refusal_after_s": 0.1}
    )
    seen = dict.fromkeys((0, FAILED, TIMEOUT, OVERLOAD, CALLER), 0)
    took_us = {FAILED: 400_000, TIMEOUT: 30_000_000, OVERLOAD: 400_000, CALLER: 100_000, 0: 1_200_000}
    for number in range(COUNT):
        answer = emulated.begin(number, number=number)
        seen[int(answer["outcome"])] += 1
        assert answer["duration_us"] == took_us[int(answer["outcome"])]
        assert answer["outcome"] == 0 or answer["input_tokens"] == answer["output_tokens"] == 0
    expected = np.array([0.8, 0.05, 0.02, 0.1, 0.03]) * COUNT
    assert stats.chisquare(list(seen.values()), expected).pvalue > 0.001
