"""What a pool promises: the same results as the command line, one at a time, cancelled at once, every failure told."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from forge1sim.errors import RunError, ScenarioError
from forge1sim.metrics.store import read_table
from forge1sim.run import simulate
from forge1sim.runs import Ask, RunPool, RunStore, Status

RUNNING = Status.RUNNING


def is_running(run):
    return run.status is RUNNING


def test_a_run_gives_what_simulate_gives(pool, small, wait_for):
    ask = Ask(scenario=small, overrides=("accounts.openai.count=2",), seed=5)
    run = wait_for(pool.start(ask, owner="anna", name="two accounts"))
    assert (run.status, run.name, run.ask) == (Status.DONE, "two accounts", ask)
    expected = simulate(ask.load(), seed=5).summary
    told = run.summary()
    for part in ("requests", "tiers", "cost_nano_usd", "event_log_sha256"):
        assert told[part] == expected[part]
    assert read_table(run.folder, "tiers")["arrived"].sum() == expected["requests"]["arrived"]
    assert "--set accounts.openai.count=2" in run.command
    assert "--seed 5" in run.command
    assert run.load().hash == ask.load().hash


def test_the_same_run_is_not_made_twice(pool, store, small, wait_for):
    ask = Ask(scenario=small, seed=7)
    first = wait_for(pool.start(ask, owner="anna"))
    assert pool.start(ask, owner="anna") == first.id
    assert pool.start(Ask(scenario=small, seed=8), owner="anna") != first.id
    # Another owner gets a run of their own at once, which outlives the first.
    other = store.get(pool.start(ask, owner="bert"))
    assert (other.status, other.owner) == (Status.DONE, "bert")
    assert [pool.start(ask, owner=owner) for owner in ("anna", "bert", "anna")] == [first.id, other.id, first.id]
    store.delete(first.id)
    assert other.summary()["requests"]["arrived"] > 0


def test_owners_see_their_own_runs_only(pool, store, small, wait_for):
    mine = wait_for(pool.start(Ask(scenario=small, seed=21), owner="carl"))
    theirs = wait_for(pool.start(Ask(scenario=small, seed=22), owner="dora"))
    assert [run.id for run in store.runs("carl")] == [mine.id]
    assert [run.id for run in store.runs("dora")] == [theirs.id]


def test_cancel_takes_effect_within_a_second_and_leaves_no_process(pool, store, endless, wait_for):
    run_id = pool.start(Ask(scenario=endless), owner="anna")
    wait_for(run_id, lambda run: store.progress(run.id) is not None)
    waiting = pool.start(Ask(scenario=endless, seed=2), owner="anna")
    assert (pool.place_in_queue(run_id), pool.place_in_queue(waiting)) == (0, 1)
    pool.cancel(waiting)
    assert store.get(waiting).status is Status.CANCELLED
    began_s = time.monotonic()
    pool.cancel(run_id)
    run = wait_for(run_id)
    assert time.monotonic() - began_s < 1.0
    assert run.status is Status.CANCELLED
    assert not list(run.folder.glob("*.parquet"))
    assert len(pool.worker_pids) <= 1


def test_progress_tells_how_far_a_run_is(pool, store, endless, wait_for):
    run_id = pool.start(Ask(scenario=endless, seed=3, overrides=("horizon_s=30d",)), owner="anna")
    wait_for(run_id, lambda run: bool((progress := store.progress(run.id)) and len(progress.series["start_us"]) > 1))
    progress = store.progress(run_id)
    pool.cancel(run_id)
    assert 0 < progress.share < 1
    assert progress.left_s > 0
    assert progress.requests > 0
    # 4 requests a second arrive, and an account of 300 a minute serves at most 5 a second
    assert progress.series["arrived_per_s"]["standard"][0] == pytest.approx(4, rel=0.05)
    assert progress.tiers["standard"]["served"] <= progress.tiers["standard"]["arrived"]
    wait_for(run_id)


def test_a_killed_worker_fails_its_run_and_no_other(pool, store, small, endless, wait_for):
    before = wait_for(pool.start(Ask(scenario=small, seed=31), owner="anna"))
    run_id = pool.start(Ask(scenario=endless, seed=32), owner="anna")
    wait_for(run_id, lambda run: store.progress(run.id) is not None)
    os.kill(pool.worker_pids[0], signal.SIGKILL)
    run = wait_for(run_id)
    assert run.status is Status.FAILED
    assert "killed from outside" in run.reason
    assert before.summary()["requests"]["arrived"] > 0
    assert wait_for(pool.start(Ask(scenario=small, seed=33), owner="anna")).status is Status.DONE


def test_a_bad_policy_fails_its_run_with_its_reason(pool, small, tmp_path, monkeypatch, wait_for, store):
    (tmp_path / "mine.py").write_text("def choose(request):\n    return 0\n")
    monkeypatch.setenv("FORGE1SIM_POLICY_FOLDERS", str(tmp_path))
    pool_with_folder = RunPool(store, workers=1)     # workers take the environment over when they start
    try:
        ask = Ask(scenario=small, overrides=("policies.routing.policy=mine.py:choose",))
        run = wait_for(pool_with_folder.start(ask, owner="anna"))
    finally:
        pool_with_folder.close()
    assert run.status is Status.FAILED
    assert "choose" in run.reason
    with pytest.raises(RunError, match="has no results: it is failed"):
        run.summary()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file that is always full")
def test_a_full_disk_fails_the_run_in_words_and_the_next_one_runs(pool, store, small, endless, wait_for):
    first = pool.start(Ask(scenario=endless, seed=41), owner="anna")
    wait_for(first, is_running)
    run_id = pool.start(Ask(scenario=small, seed=42), owner="anna")
    (store.folder / run_id / ".tiers.parquet.unfinished").symlink_to("/dev/full")
    pool.cancel(first)
    run = wait_for(run_id)
    assert run.status is Status.FAILED
    assert "No space left on device" in run.reason or "disk is full" in run.reason
    again = wait_for(pool.start(Ask(scenario=small, seed=42), owner="anna"))
    assert again.status is Status.DONE


def test_a_scenario_that_does_not_load_starts_nothing(pool, store, small):
    with pytest.raises(ScenarioError, match=r"accounts\.nobody is unknown"):
        pool.start(Ask(scenario=small, overrides=("accounts.nobody.count=2",)), owner="erik")
    assert store.runs("erik") == []


def test_runs_of_a_stopped_program_are_told_as_such(small, tmp_path):
    store = RunStore(tmp_path / "runs")
    pool = RunPool(store, workers=1)
    run_id = pool.start(Ask(scenario=small), owner="anna")
    pool.close()
    run = RunStore(store.folder).get(run_id)
    assert run.status is Status.FAILED
    assert "stopped before the end" in run.reason


def test_a_question_is_answered_once_and_kept(pool, small, wait_for):
    run = wait_for(pool.start(Ask(scenario=small, seed=51), owner="anna"))

    def ask(request):
        until_s = time.monotonic() + 60
        while not (answer := pool.ask(run.id, "life", request=request)).status.is_over:
            assert time.monotonic() < until_s
            time.sleep(0.02)
        return answer

    answer = ask(3)
    assert answer.status is Status.DONE
    assert "request 3 of client-" in answer.value["sentences"][0]["text"]
    assert pool.ask(run.id, "life", request=3) == answer
    assert "there is no such request" in ask(10**9).reason


def test_old_what_ifs_go_and_kept_ones_stay(store, pool, small, wait_for, monkeypatch):
    monkeypatch.setattr("forge1sim.runs.store.MOST_WHAT_IFS", 2)
    started = [
        wait_for(pool.start(Ask(scenario=small, seed=60 + n), owner="fred", kind="what-if")).id for n in range(2)
    ]
    store.keep(started[0], "worth keeping")
    for n in range(2, 5):
        started.append(wait_for(pool.start(Ask(scenario=small, seed=60 + n), owner="fred", kind="what-if")).id)
    assert [run.id for run in store.runs("fred", kind="what-if")] == [started[4], started[3]]
    assert [run.name for run in store.runs("fred")] == ["worth keeping"]


def test_a_closed_pool_leaves_no_process(tmp_path, small):
    pool = RunPool(RunStore(tmp_path / "runs"), workers=1)
    until_s = time.monotonic() + 60
    while not pool.is_warm:
        assert time.monotonic() < until_s
        time.sleep(0.05)
    pids = pool.worker_pids
    assert pids
    pool.close()
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < until_s
        time.sleep(0.05)


