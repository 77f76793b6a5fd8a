"""An account whose limit nobody told us: it is asked by one request first, and never flooded."""

from collections import Counter

import numpy as np
import pytest

from forge1sim.check import check_log
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from policies import log

SCENARIO = """
name: unsure
models:
  - {name: small, provider: a, input_usd_per_1m: 0.1, output_usd_per_1m: 0.1, speed: {service_s: {kind: KIND, mean: 1}}}
accounts:
  - {name: known, provider: a, limits: [{dimension: rpm, limit: 60}]}
  - {name: unsure, provider: a, limits: [LIMIT]}
tenants:
  - {name: crowd, count: 20, demand: {requests_per_s: 5, max_output_tokens: 100, deadline_s: {mean: 60}}}
providers: [{name: a, retry_after: RETRY_AFTER}]
horizon_s: 30min
"""
PER_MINUTE = "{dimension: rpm, limit: 60, window: fixed, known: false}"


def run(folder, limit, *, driver="compiled", retry_after="false", kind="deterministic"):
    """The rows of a run, which the checker has found nothing wrong with."""
    path = folder / "unsure.yaml"
    path.write_text(SCENARIO.replace("LIMIT", limit).replace("RETRY_AFTER", retry_after).replace("KIND", kind))
    loaded, chunks = load_scenario(path), []
    simulate(loaded, driver=driver, sinks=(lambda rows: chunks.append(rows.copy()),))
    rows = np.concatenate(chunks)
    report = check_log([rows], loaded.platform, loaded.bundle, start_us=loaded.start_us)
    assert report.findings == []
    return rows


def ends(rows):
    """How many rows there are of each kind, rejections by reason."""
    kinds = Counter(log.KIND_NAMES[kind] for kind in rows["kind"])
    return kinds | Counter(log.REASON_NAMES[code] for code in rows["code"][rows["kind"] == log.REJECT])


@pytest.mark.parametrize("retry_after", ["true", "false"])
@pytest.mark.parametrize("kind", ["deterministic", "exponential"])
@pytest.mark.parametrize(
    "limit",
    [
        PER_MINUTE,
        "{dimension: rpm, limit: 60, burst_s: 10, known: false}",
        "{dimension: rpm, limit: 60, burst_s: 10, known: false, model_class: small}",
        "{dimension: concurrency, limit: 2, known: false}",
    ],
)
def test_an_unknown_limit_is_used_and_not_flooded(tmp_path, limit, kind, retry_after):
    rows = run(tmp_path, limit, kind=kind, retry_after=retry_after)
    found = ends(rows)
    assert found["refused"] < 0.25 * found["arrive"]
    assert found["attempts_spent"] < 10
    assert found["complete"] > 1.4 * 60 * 30       # the known account alone serves 60 a minute


def test_both_clocks_agree_on_trials(tmp_path):
    one, other = (run(tmp_path, PER_MINUTE, driver=driver) for driver in ("compiled", "simpy"))
    assert one.tobytes() == other.tobytes()


def of_unsure(rows, kind):
    return rows[(rows["kind"] == kind) & (rows["deployment"] == 1)]


def test_while_nothing_is_served_each_rest_doubles_the_next_up_to_a_bound(tmp_path):
    rows = run(tmp_path, "{dimension: rpd, limit: 1, window: day, charge: requests, known: false}".replace("rpd", "rpm"))
    cools = rows[rows["kind"] == log.COOL]
    rests_s = np.unique(cools["v1"] - cools["time_us"]) / 1e6
    assert rests_s.tolist() == [5, 10, 20, 40, 80]
    sent = of_unsure(rows, log.DISPATCH)
    # After the first refusal one request goes after each rest, and no other.
    first_us = of_unsure(rows, log.REFUSED)["time_us"][0]
    later = sent["time_us"][sent["time_us"] > first_us]
    assert len(later) == len(cools) - np.sum(cools["time_us"] < later[0])


def test_answers_let_one_more_go_at_a_time(tmp_path):
    """In flight once a rest has not been in vain: one, then two, then four. Answers take a second."""
    rows = run(tmp_path, PER_MINUTE)
    rests_us = rows[rows["kind"] == log.COOL]["v1"]
    served_us = of_unsure(rows, log.COMPLETE)["time_us"] - 1_000_000
    first_us = served_us[served_us > rests_us[0]][0]
    sent = of_unsure(rows, log.DISPATCH)["time_us"]
    seconds = ((sent[sent >= first_us][:15] - first_us) / 1e6).astype(int)
    assert Counter(seconds.tolist()) == {0: 1, 1: 2, 2: 4, 3: 8}


def test_a_limit_that_is_known_and_told_needs_no_trial(tmp_path):
    """A limit that was cut is known; all go when its rest is over."""
    path = tmp_path / "cut.yaml"
    text = SCENARIO.replace("LIMIT", PER_MINUTE.replace("known: false", "known: true")).replace("RETRY_AFTER", "true")
    path.write_text(text.replace("KIND", "deterministic") + "faults: [{kind: limit_cut, start_s: 30, duration_s: 600, factor: 0.5}]\n")
    loaded, chunks = load_scenario(path), []
    simulate(loaded, sinks=(lambda rows: chunks.append(rows.copy()),))
    rows = np.concatenate(chunks)
    cools = rows[rows["kind"] == log.COOL]
    sent = of_unsure(rows, log.DISPATCH)["time_us"]
    assert check_log([rows], loaded.platform, loaded.bundle, start_us=loaded.start_us).findings == []
    assert all(np.sum((sent >= cool["v1"]) & (sent < cool["v1"] + 900_000)) != 1 for cool in cools[:1])
