"""What a forecast promises: laws for any data, and that it finds what was put into made data."""

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forge1sim.errors import Forge1Error, TraceError, WorkloadError
from forge1sim.forecast import forecast
from tests.forecast.made import DAY_SHAPE, WEEKEND, history, noisy

any_hours = st.integers(24, 400).flatmap(
    lambda size: arrays(float, size, elements=st.one_of(st.just(0.0), st.just(np.nan), st.floats(0.01, 1e6)))
).filter(lambda values: np.nansum(values) > 0 and np.isfinite(values).sum() >= 24)  # fmt: skip
some = settings(max_examples=40)


@some
@given(any_hours, st.integers(1, 200), st.integers(0, 5))
def test_paths_and_bands_are_finite_not_negative_and_in_order(requests, horizon, seed):
    made = forecast(history(requests), horizon, paths=7, seed=seed, draws=40)
    paths, bands = made.scenarios["requests"], made.quantiles["requests"]
    assert paths.shape == (7, horizon)
    assert bands.shape == (len(made.levels), horizon)
    assert np.isfinite(paths).all()
    assert (paths >= 0).all()
    assert (np.diff(bands, axis=0) >= 0).all()
    assert (np.diff(paths.sum(axis=1)) >= 0).all()
    assert paths.max() <= 4.0 * np.nanmax(requests) * (1 + 1e-9)


@some
@given(any_hours, st.sampled_from([2.0**-8, 2.0**5, 3.0, 1000.0]))
def test_a_thousand_times_the_demand_is_a_thousand_times_the_forecast(requests, factor):
    once, often = (forecast(history(one), 30, paths=5, draws=40) for one in (requests, requests * factor))
    wanted = factor * once.quantiles["requests"]
    assert often.quantiles["requests"] == pytest.approx(wanted, rel=1e-6, abs=factor * np.nanmax(requests) * 1e-7)


@some
@given(any_hours, st.integers(0, 2**40))
def test_the_same_seed_makes_the_same_paths(requests, seed):
    one, other = (forecast(history(requests), 48, paths=5, seed=seed, draws=40) for _ in range(2))
    assert (one.scenarios["requests"] == other.scenarios["requests"]).all()


def test_another_seed_makes_other_paths():
    past = history(noisy(5, 1))
    one, other = (forecast(past, 48, seed=seed) for seed in (1, 2))
    assert (one.scenarios["requests"] != other.scenarios["requests"]).any()


def test_more_paths_do_not_change_the_bands():
    past = history(noisy(5, 1))
    assert (forecast(past, 24, paths=3).quantiles["requests"] == forecast(past, 24, paths=50).quantiles["requests"]).all()


def test_the_shape_of_the_day_is_found():
    median = forecast(history(noisy(10, 3)), 24).quantiles["requests"][3]
    assert median == pytest.approx(1000 * DAY_SHAPE, rel=0.15)


def test_quiet_weekends_are_found_in_three_weeks():
    median = forecast(history(noisy(21, 4, week=True)), 168).quantiles["requests"][3].reshape(7, 24).sum(axis=1)
    assert median[5:].mean() / median[:5].mean() == pytest.approx(WEEKEND.min(), rel=0.15)


def test_growth_is_carried_on_and_fades():
    flat, grown = (forecast(history(noisy(21, 5, sd=0.05, growth_per_day=growth)), 168) for growth in (0.0, 0.04))
    days = [made.quantiles["requests"][3].reshape(7, 24).sum(axis=1) for made in (flat, grown)]
    assert days[0] / days[0][0] == pytest.approx(np.ones(7), abs=0.1)
    assert 1.02 ** 6 < days[1][6] / days[1][0] < 1.04**6


def test_chance_alone_is_not_taken_for_growth():
    claimed = [forecast(history(noisy(14, seed)), 24, paths=2, draws=2).unidentified[0] for seed in range(20)]
    assert sum("none is assumed" in sentence for sentence in claimed) >= 10


@pytest.mark.parametrize("horizon", [24, 72])
def test_bands_hold_what_they_promise_on_made_data(horizon):
    """Ninety of a hundred hours between 5% and 95%, over 60 independent pasts of nine days."""
    inside = []
    for seed in range(60):
        whole = noisy(9 + horizon // 24, 100 + seed, sd=0.3, persistence=0.8)
        bands = forecast(history(whole[: 9 * 24]), horizon, draws=300).quantiles["requests"]
        inside.append(((bands[0] <= whole[9 * 24 :]) & (whole[9 * 24 :] <= bands[6])).mean())
    assert 0.86 <= np.mean(inside) <= 0.97


def test_paths_are_joint_over_hours():
    """A busy hour is followed by a busy one, as in the past: sums over a day vary more than independent hours would."""
    paths = forecast(history(noisy(14, 7, sd=0.3, persistence=0.9)), 24, paths=500).scenarios["requests"]
    assert paths.sum(axis=1).var() > 3.0 * paths.var(axis=0).sum()


def test_tokens_go_with_their_requests():
    requests = noisy(8, 8, sd=0.4)
    each = 800.0 + 0.0 * requests
    made = forecast(history(requests, tokens={"input_tokens": each * requests, "output_tokens": each * requests / 4}), 24)
    assert made.scenarios["input_tokens"] == pytest.approx(800.0 * made.scenarios["requests"], rel=1e-6)
    assert set(made.frame().columns) == {"path", "hour", "starts", "requests", "input_tokens", "output_tokens"}


def test_tokens_of_few_hours_with_requests_are_enough():
    requests = np.zeros(72)
    requests[[3, 40]] = 10.0
    made = forecast(history(requests, tokens={"input_tokens": 500 * requests}), 24)
    assert made.scenarios["input_tokens"] == pytest.approx(500 * made.scenarios["requests"])


def test_gaps_are_unknown_and_not_quiet():
    requests = noisy(10, 9)
    gone = requests.copy()
    gone[100:130] = np.nan
    gone[-2:] = np.nan
    made, whole = forecast(history(gone), 24), forecast(history(requests), 24)
    assert made.quantiles["requests"][3].mean() == pytest.approx(whole.quantiles["requests"][3].mean(), rel=0.1)
    assert "Gaps: 32 of 240 hours" in " ".join(made.unidentified)
    quiet = forecast(history(np.nan_to_num(gone)), 24)
    assert quiet.quantiles["requests"][0].mean() < 0.7 * made.quantiles["requests"][0].mean()


def test_every_other_hour_is_enough():
    gone = noisy(6, 10)
    gone[1::2] = np.nan
    assert np.isfinite(forecast(history(gone), 24).scenarios["requests"]).all()


def test_a_single_burst_is_said_and_neither_lost_nor_repeated_every_day():
    requests = np.zeros(24 * 9)
    requests[50] = 5000.0
    made = forecast(history(requests), 48)
    assert "Single burst: 100% of all requests came in one hour" in " ".join(made.unidentified)
    median = made.quantiles["requests"][3]
    assert np.flatnonzero(median > 500.0).tolist() == [2], "the same hour of the week, which half of the paths repeat"
    assert "repeat it at the same hour" in " ".join(made.unidentified)


def test_the_same_every_hour_is_forecast_as_the_same():
    assert forecast(history(np.full(200, 7.0)), 48).scenarios["requests"] == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("hours", "said", "not_said"),
    [
        (24, ("Day shape: 24 hours", "Week shape: 1.0 days", "Trend: in 1.0 days, under a week"), ()),
        (72, ("Week shape: 3.0 days", "Trend: in 3.0 days, under a week"), ("Day shape",)),
        (240, ("Week shape: 10.0 days", "Trend: in 10.0 days, under two weeks, growth cannot be told"), ("Day shape", "under a week,")),
        (24 * 21, ("whether growth goes on is not in the data",), ("Day shape", "Week shape")),
    ],
)
def test_what_too_little_data_cannot_tell_is_said(hours, said, not_said):
    told = " ".join(forecast(history(noisy(21, 1)[:hours]), 12).unidentified)
    for words in (*said, "Rare events", "Bursts: the data has hours only", "Tokens: the data has none"):
        assert words in told
    for words in not_said:
        assert words not in told
    assert ("Not verified for other days" in told) == (hours < 8 * 24)


def test_a_horizon_beyond_the_past_and_a_clock_without_dates_are_said():
    told = " ".join(forecast(history(noisy(2, 1), dated=False), 100).unidentified)
    assert "reaches 100 hours ahead, farther than the 48 hours seen" in told
    assert "Calendar: the data has no dates" in told


def test_one_day_has_bands_as_wide_as_its_hours_differ():
    bands = forecast(history(1000 * DAY_SHAPE), 24).quantiles["requests"]
    assert bands[6, 12:].mean() > 1300
    assert bands[0, 12:].mean() < 700


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon_hours": 0}, "horizon_hours is 0, must be between 1 and 8,784"),
        ({"paths": 0}, "paths is 0, must be between 1 and 1,000"),
        ({"paths": 2000}, "paths is 2000, must be between 1 and 1,000"),
        ({"seed": -1}, "seed is -1"),
        ({"levels": (0.5, 0.1)}, "must rise and lie between 0 and 1"),
        ({"levels": (0.5, 1.0)}, "must rise and lie between 0 and 1"),
    ],
)
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(WorkloadError, match=message):
        forecast(history(noisy(3, 1)), **{"horizon_hours": 24, **change})


def test_too_short_or_empty_a_history_is_refused():
    with pytest.raises(TraceError, match="made: has 23 whole hours; a forecast needs 24 or more"):
        history(np.ones(23))
    with pytest.raises(TraceError, match="made: has no requests"):
        history(np.zeros(50))
    assert issubclass(TraceError, Forge1Error)


def test_tables_and_figure():
    made = forecast(history(noisy(3, 1)), 24, paths=4)
    frame, bands = made.frame(), made.bands()
    assert len(frame) == 4 * 24
    assert str(frame["starts"].iloc[0]) == "2026-11-05 00:00:00"
    assert (frame["requests"].to_numpy().reshape(4, 24) == made.scenarios["requests"]).all()
    assert list(bands.columns[3:]) == ["p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99"]
    figure = made.figure()
    assert isinstance(figure, go.Figure)
    assert {trace.name for trace in figure.data} >= {"recorded", "5% to 95%", "25% to 75%", "path 1", "path 4"}
    with pytest.raises(WorkloadError, match="has no 'output_tokens' to draw; there are requests"):
        made.figure("output_tokens")
