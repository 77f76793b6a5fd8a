"""Demand follows the day, the week, growth and onboarding in the tenants' own time."""

import numpy as np
import pytest

from tests.workload.groups import MONDAY_US, Demand, Tenants, build, rows_of, synthetic

DAY_S = 86_400.0


def test_the_day_peaks_where_and_as_high_as_asked():
    rows = synthetic(5 * DAY_S, requests_per_s=2.0, diurnal={"peak_over_mean": 2.5, "peak_hour": 15.0})
    hours = (rows["arrive_us"] - MONDAY_US) // 3_600_000_000 % 24
    per_hour = np.bincount(hours, minlength=24) / (rows.size / 24)
    assert 14 <= per_hour.argmax() <= 15
    assert per_hour.max() == pytest.approx(2.5, rel=0.05)
    assert per_hour[3] < 0.3
    assert rows.size == pytest.approx(2.0 * 5 * DAY_S, rel=0.01)


@pytest.mark.parametrize(("timezone", "peak_utc"), [("Asia/Tokyo", 3.0), ("America/New_York", 17.0)])
def test_the_day_is_the_tenants_own(timezone, peak_utc):
    demand = Demand.model_validate({"requests_per_s": 3.0, "diurnal": {"peak_over_mean": 4.0, "peak_hour": 12.0}})
    rows = rows_of(build([Tenants(timezone=timezone, demand=demand)], DAY_S))
    angles = (rows["arrive_us"] - MONDAY_US) / 3.6e9 / 24 * 2 * np.pi
    mean_hour = np.angle(np.exp(1j * angles).mean()) / (2 * np.pi) * 24 % 24
    assert mean_hour == pytest.approx(peak_utc, abs=0.1)


def test_weekends_have_their_factor_and_the_week_its_mean():
    rows = synthetic(7 * DAY_S, requests_per_s=0.5, weekend_factor=0.25)
    per_day = np.bincount((rows["arrive_us"] - MONDAY_US) // int(DAY_S * 1e6), minlength=7)
    assert per_day[5:].mean() / per_day[:5].mean() == pytest.approx(0.25, rel=0.05)
    assert rows.size == pytest.approx(0.5 * 7 * DAY_S, rel=0.01)


def test_growth_compounds_by_week():
    rows = synthetic(21 * DAY_S, requests_per_s=0.3, growth_per_week=1.0)
    per_week = np.bincount((rows["arrive_us"] - MONDAY_US) // int(7 * DAY_S * 1e6), minlength=3)
    assert per_week[1:] / per_week[:-1] == pytest.approx(2.0, rel=0.02)


def test_tenants_join_in_their_wave():
    rows = synthetic(400.0, count=500, requests_per_s_each=1.0, starts_after_s=100.0, onboarding_over_s=200.0)
    firsts_s = (rows["arrive_us"][rows["number"] == 0] - MONDAY_US) / 1e6
    assert firsts_s.min() >= 100.0
    assert np.quantile(firsts_s, 0.5) == pytest.approx(201.0, abs=15.0)
    assert rows[rows["arrive_us"] >= MONDAY_US + 320_000_000].size == pytest.approx(80 * 500, rel=0.02)
