"""A request's life names its true candidates and what their limits had let through; notable requests are notable."""

from pathlib import Path

import numpy as np
import pytest

from forge1sim.errors import RunError
from forge1sim.life import life_of
from forge1sim.notable import MOST_EACH, notable_requests
from forge1sim.run import explain, simulate
from forge1sim.scenario.load import LoadedScenario, load_scenario
from policies import log

SCENARIO = """
name: two doors
start: 2026-11-02T00:00:00Z
horizon_s: 10min
models:
  - {catalogue: gpt-5.4-mini, fallbacks: [claude-haiku-4-5]}
  - claude-haiku-4-5
accounts:
  - name: shared
    provider: openai
    limits: [{dimension: rpm, model_class: gpt-5.4-mini, limit: 30, window: fixed}]
  - {name: gold-only, provider: openai, dedicated_to: enterprise}
  - name: other
    provider: anthropic
    limits: [{dimension: rpm, model_class: claude-haiku-4-5, limit: 10, window: fixed}]
tenants:
  - {name: gold, tier: enterprise, demand: {requests_per_s: 0.2, models: {gpt-5.4-mini: 1}}}
  - name: iron
    tier: standard
    demand: {requests_per_s: 1, models: {gpt-5.4-mini: 1}, deadline_s: {kind: deterministic, mean: 20}}
seed: 3
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> LoadedScenario:
    file: Path = tmp_path_factory.mktemp("life") / "doors.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return load_scenario(file)


@pytest.fixture(scope="module")
def rows(loaded) -> np.ndarray:
    kept: list[np.ndarray] = []
    simulate(loaded, sinks=(lambda chunk: kept.append(chunk.copy()),))
    return np.concatenate(kept)


def life(loaded, request: int):
    return life_of(loaded, "compiled", loaded.seed, int(request))


def test_sentences_are_those_of_explain(loaded, rows):
    request = rows["request"][rows["kind"] == log.QUEUE][0]
    told = explain(loaded, "compiled", loaded.seed, int(request))
    assert [line.split(" s  ", 1)[1] for line in told] == [step["text"] for step in life(loaded, request)["sentences"]]


def test_candidates_are_open_to_the_tenant_and_serve_model_or_fallback(loaded, rows):
    doors = {"iron": ["shared/gpt-5.4-mini", "other/claude-haiku-4-5"]}
    doors["gold"] = ["shared/gpt-5.4-mini", "gold-only/gpt-5.4-mini", "other/claude-haiku-4-5"]
    for tenant, name in enumerate(("gold", "iron")):
        request = rows["request"][(rows["kind"] == log.DISPATCH) & (rows["tenant"] == tenant)][0]
        told = life(loaded, request)
        assert told["tenant"] == name
        assert sorted(one["deployment"] for one in told["moments"][0]["candidates"]) == sorted(doors[name])


def test_the_chosen_one_is_where_the_attempt_went(loaded, rows):
    sent = rows[rows["kind"] == log.DISPATCH][40]
    moment = life(loaded, sent["request"])["moments"][-1]
    chosen = [one["deployment"] for one in moment["candidates"] if one["state"] == "chosen"]
    names = ["shared/gpt-5.4-mini", "gold-only/gpt-5.4-mini", "other/claude-haiku-4-5"]
    assert chosen == [names[sent["deployment"]]]


def test_who_waits_meets_only_full_limits_and_the_count_is_that_of_the_log(loaded, rows):
    place = np.flatnonzero((rows["kind"] == log.QUEUE) & (rows["code"] == log.NO_CAPACITY))[0]
    row = rows[place]
    moment = next(one for one in life(loaded, row["request"])["moments"] if one["title"] == "It has to wait")
    assert {one["state"] for one in moment["candidates"]} == {"full"}
    minute_us = row["time_us"] - row["time_us"] % 60_000_000
    before = rows[:place]
    sent = np.count_nonzero((before["kind"] == log.DISPATCH) & (before["deployment"] == 0) & (before["time_us"] >= minute_us))
    shared = next(one for one in moment["candidates"] if one["deployment"].startswith("shared"))
    assert f"{sent} of 30 requests" in shared["sent"]
    assert sent == 30


def test_a_request_that_is_not_there_is_named(loaded):
    with pytest.raises(RunError, match="request 999999: there is no such request; they are numbered 0 to"):
        life(loaded, 999_999)


def test_notable_requests_waited_longest_or_ended_badly(loaded, rows):
    found = notable_requests(loaded, "compiled", loaded.seed)
    answers = rows[rows["kind"] == log.COMPLETE]
    waits_s = np.sort((answers["v4"] & ((1 << 48) - 1)) / 1e6)[::-1][:MOST_EACH]
    longest = [one for one in found if one["why"] == "waited longest"]
    assert [one["wait_s"] for one in longest] == pytest.approx(waits_s.tolist())
    expired = [one for one in found if one["why"].startswith("expired")]
    assert expired
    for one in expired:
        end = rows[(rows["request"] == one["request"]) & (rows["kind"] == log.EXPIRE)]
        assert end.size == 1
        assert end["time_us"][0] == one["ended_us"]
    assert max(sum(other["why"] == one["why"] for other in found) for one in found) <= MOST_EACH
