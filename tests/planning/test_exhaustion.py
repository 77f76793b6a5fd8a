"""When limits are full: by simulations that are known beforehand, and by dates that follow from them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.planning.exhaustion import Exhaustion, exhaustion_of, full_at
from forge1sim.planning.growth import growth_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.simulated import Prices, Simulator
from forge1sim.planning.told import exhaustion_json, exhaustion_sentences, exhaustion_table
from tests.planning.waiting import waiting

SEEDS = (1, 2, 3)
LIMITS = [
    {"dimension": "rpm", "limit": 600, "burst_s": 60},
    {"dimension": "rpd", "limit": 400_000},
    {"dimension": "spend", "limit": 20_000, "window": "fixed", "window_s": 2_592_000},
]


def _told(folder: Path, *overrides: str, planned: int = 2, limits=LIMITS) -> Exhaustion:
    scenario = waiting()
    scenario["accounts"] = [{"name": "ours", "provider": "p", "count": 1, "usd_per_month": 100, "limits": limits}]
    scenario["plan"]["accounts"] = scenario["plan"]["accounts"][:1]
    ask = Ask(scenario=str(written(folder, scenario)), overrides=overrides)
    options = Options(ask.load())
    prices = Prices(refusal_usd=(0.0, 0.0, 0.01), days_per_month=4380.0)
    simulator = Simulator(ask=ask, options=options, prices=prices, confidence=0.95, backend="serial")
    growth = growth_of(options.loaded)
    return exhaustion_of(simulator, SEEDS, Plan(counts=(planned,), states=(0,)), growth, held=True)


def _days(date: str | None) -> int:
    assert date is not None
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - datetime(2026, 11, 2, tzinfo=UTC)).days


def test_each_limit_has_its_date_as_held_and_as_planned(tmp_path: Path) -> None:
    """2.2 requests a second are 190,080 a day and, at 0.0012 USD each, 6,843 USD in 30 days: 400,000 a day are reached at 2.10 times
    the demand, 20,000 USD at 2.92 times, 600 a minute not within 5 times; two accounts share it, and take twice as long in demand."""
    told = _told(tmp_path, "plan.growth.per_week=0.04", "plan.months=9")
    rows = {row.limit: row for row in told.limits}
    assert set(rows) == {"* rpm", "* rpd", "* spend per 2.592e+06 s"}
    for name, factor in (("* rpd", 400_000 / 190_080), ("* spend per 2.592e+06 s", 20_000 / (2.2 * 0.0012 * 2_592_000))):
        held, planned = rows[name].held, rows[name].planned
        assert held is not None
        assert planned is not None
        assert held.use == pytest.approx(1 / factor, rel=0.1)
        assert planned.use == pytest.approx(held.use / 2, rel=0.1)
        assert _days(held.full.date) == pytest.approx(7 * np.log(factor) / np.log(1.04), abs=20)
        assert held.full.earliest <= held.full.date <= held.full.latest
    first, second = rows["* rpd"].held, rows["* rpd"].planned
    assert first is not None
    assert second is not None
    assert second.full.date is None or second.full.date > first.full.date
    assert rows["* spend per 2.592e+06 s"].planned.full.shown(told.not_within) == f"not before {told.until}"


def test_uncertain_growth_makes_an_interval_and_slower_growth_a_later_date(tmp_path: Path) -> None:
    sure = _told(tmp_path, "plan.growth.per_week=0.04").limits[1].held
    wide = _told(tmp_path, "plan.growth={per_week: 0.04, low: 0.02, high: 0.08}").limits[1].held
    assert sure is not None
    assert wide is not None
    assert abs(_days(wide.full.date) - _days(sure.full.date)) <= 7          # other points in between, the same growth
    assert _days(wide.full.earliest) < 0.7 * _days(sure.full.earliest)
    assert _days(wide.full.latest) > 1.5 * _days(sure.full.latest)


def test_what_never_fills_up_says_so_and_what_is_full_is_full_from_the_start(tmp_path: Path) -> None:
    told = _told(tmp_path, limits=[{"dimension": "rpm", "limit": 60, "burst_s": 15}])
    (row,) = told.limits
    assert row.held.full.shown(told.not_within) == "from the start"
    assert told.held.last is None
    assert told.held.breaks == ("served",)
    told = _told(tmp_path, limits=[{"dimension": "rpm", "limit": 6000}])
    assert told.limits[0].held.full.shown(told.not_within) == "not before 2027-11-02"
    assert (told.held.last, told.held.first_broken) == ("2027-11-02", None)


def test_promises_last_as_long_as_there_is_room_and_no_longer(tmp_path: Path) -> None:
    """A bucket of 180 a minute and 3% that may be lost: 132 a minute at the start can grow by a third, and a little for what is lost."""
    told = _told(tmp_path, "plan.growth.per_week=0.02", planned=1, limits=[{"dimension": "rpm", "limit": 180, "burst_s": 15}])
    assert told.held == told.planned
    expected = 7 * np.log(180 / 132) / np.log(1.02)
    assert _days(told.planned.last) < _days(told.planned.first_broken)
    assert _days(told.planned.last) > 0.6 * expected
    assert _days(told.planned.first_broken) < 1.6 * expected


def test_a_limit_of_a_whole_window_is_full_when_all_of_it_is_used() -> None:
    names = ("* rpd", "* tpd", "* spend per 600 s", "one rpm", "one tpm", "* concurrency")
    assert [full_at(name) for name in names] == [1.0, 1.0, 1.0, 0.9, 0.9, 0.9]


def test_dates_are_told_in_json_as_a_table_and_in_words(tmp_path: Path) -> None:
    told = _told(tmp_path, "plan.growth.per_week=0.04")
    found = exhaustion_json(told)
    assert found["looked_until"] == told.until
    assert found["limits"][1]["held"]["date"] == told.limits[1].held.full.date
    table = exhaustion_table(told, 2)
    assert table["limit"] == ["* rpd", "* spend per 2.592e+06 s"]           # the first to be full
    words = " ".join(exhaustion_sentences(told))
    assert "all demand grows by 4.00% a week" in words
    assert "* rpd of ours" in words


def test_a_forecast_gives_the_dates_by_its_own_command(tmp_path: Path) -> None:
    """Four weeks that grow by a tenth each: the forecast's paths say when the plan's limit is full, and how sure that is."""
    began = datetime(2026, 10, 1, tzinfo=UTC)
    hours = [f"{(began + timedelta(hours=hour)).isoformat()},{round(1000 * 1.1 ** (hour / 168))}" for hour in range(672)]
    (tmp_path / "ledger.csv").write_text("\n".join(["timestamp,requests", *hours, ""]))
    path, runner = written(tmp_path, waiting()), CliRunner()
    made = runner.invoke(app, ["forecast", str(tmp_path / "ledger.csv"), "--horizon", "8w", "--out", str(tmp_path / "ahead"), "--quiet"])
    assert made.exit_code == 0, made.output
    made = runner.invoke(app, ["plan", str(path), "--forecast", str(tmp_path / "ahead"), "--json", "--quiet", "--backend", "serial"])
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)["answers"]["exhaustion"]
    assert told["looked_until"] == "2026-12-28"
    assert told["growth"].startswith("the 20 paths of a forecast of 56 days")
    ours = next(row["planned"] for row in told["limits"] if row["account"] == "ours")
    assert "2026-11-02" < ours["earliest"] <= ours["date"] < "2026-12-28"
    refused = runner.invoke(app, ["plan", str(path), "--forecast", str(tmp_path)])
    assert refused.exit_code == 2
    assert "summary.json: cannot be read" in refused.stderr
