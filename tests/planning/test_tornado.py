"""What a plan rests on: one thing at a time, on the same draws, kept and made anew."""

import json
from pathlib import Path
from time import perf_counter

import pytest

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.planning.figures import bars
from forge1sim.planning.finding import find
from forge1sim.planning.told import tornado_json, tornado_sentences, tornado_table
from forge1sim.planning.tornado import Bar, End, Tornado, moved, tornado_of
from tests.planning.waiting import waiting


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory):
    asked = {"tornado": {"demand": 0.3, "price": 0.2, "limits": 0.4}}
    path = written(tmp_path_factory.mktemp("tornado"), waiting(plan=asked))
    found = find(Ask(scenario=str(path)), until_s=perf_counter() + 60, backend="serial")
    return found, tornado_of(found, minutes=2.0)


def _bar(told: Tornado, name: str) -> Bar:
    return next(one for one in told.bars if one.name == name)


def test_prices_move_what_tokens_cost_and_no_decision(told) -> None:
    found, tornado = told
    bar, tokens_usd = _bar(tornado, "price"), found.search.best.tokens_usd
    assert bar.high.kept.usd_per_month == pytest.approx(0.2 * tokens_usd, rel=1e-6)
    assert bar.low.kept.usd_per_month == pytest.approx(-0.2 * tokens_usd, rel=1e-6)
    assert bar.low.kept.low <= bar.low.kept.usd_per_month <= bar.low.kept.high < 0
    assert bar.low.keeps_promises
    assert bar.high.anew == bar.low.anew == found.search.options.shown(found.search.best.plan)
    assert bar.high.anew_usd == pytest.approx(bar.high.kept_usd)


def test_lower_limits_break_the_plan_kept_and_another_is_bought(told) -> None:
    found, tornado = told
    bar = _bar(tornado, "limits")
    assert bar.low.breaks == ("served",)
    assert not bar.high.breaks
    assert bar.low.anew_usd is not None
    assert bar.low.anew != found.search.options.shown(found.search.best.plan)
    assert bar.high.anew_usd <= bar.high.kept_usd                           # more room: fewer accounts, or the same


def test_a_plan_made_anew_is_no_dearer_than_one_kept_that_keeps_all_promises(told) -> None:
    _, tornado = told
    for bar in tornado.bars:
        for end in (bar.low, bar.high):
            assert end.breaks or end.anew_usd <= end.kept_usd * (1 + 1e-9)


def test_bars_are_sorted_told_and_drawn(told) -> None:
    _, tornado = told
    widths = [bar.width_usd for bar in tornado.bars]
    assert widths == sorted(widths, reverse=True)
    found = json.loads(json.dumps(tornado_json(tornado)))
    assert {bar["name"]: bar["share"] for bar in found["bars"]} == {"demand": 0.3, "price": 0.2, "limits": 0.4}
    assert tornado_table(tornado)["moved"][0].startswith(tornado.bars[0].name)
    drawn, sentence = bars(tornado)
    assert sentence == " ".join(tornado_sentences(tornado))
    kept = {trace.name: trace for trace in drawn.data}["higher, kept"]
    assert dict(zip(kept.y, kept.x, strict=True))["price \u00b120%"] == _bar(tornado, "price").high.kept.usd_per_month
    assert "limits x 0.6" in sentence


def test_a_plan_that_no_terms_allow_anew_says_so(tmp_path: Path) -> None:
    scenario = waiting(plan={"tornado": {"demand": 0.9}})
    scenario["plan"]["accounts"][0] |= {"at_most": 3}
    scenario["plan"]["accounts"][1] |= {"at_most": 0}
    found = find(Ask(scenario=str(written(tmp_path, scenario))), until_s=perf_counter() + 60, backend="serial")
    (bar,) = tornado_of(found, minutes=1.0).bars
    assert isinstance(bar.high, End)
    assert (bar.high.anew_usd, bar.high.anew) == (None, "no plan of the terms keeps all promises")
    assert bar.low.anew == "ours 1"


def test_limits_of_entries_that_the_plan_gives_up_are_left_alone(told) -> None:
    options = told[0].search.options
    plan = told[0].search.best.plan
    assert plan.counts[1] == 0
    assert moved(options, "limits", 0.5, plan) == ("accounts.ours.limit_factor=0.5",)
    assert len(moved(options, "limits", 0.5)) == 2
