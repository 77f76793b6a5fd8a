"""Runs on many workers: the same outcomes everywhere, and what becomes of them when workers die."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.experiments.backends import QUEUED_PER_WORKER
from forge1sim.experiments.outcome import replicate
from forge1sim.experiments.workers import MOST_DEATHS, as_finished, evaluate
from tests.small import SMALL

WORKERS = 2
HERE = str(Path(__file__).parent)
sys.path.append(HERE)       # workers get it, and import from it; `tests` may be another package there
works = importlib.import_module("works_for_workers")


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return [Ask(scenario=str(path), overrides=("tenants.client.demand.requests_per_s=6",), seed=seed) for seed in range(1, 7)]


def noting(tmp_path, seeds=8):
    return [Ask(scenario=str(tmp_path / "attempts"), seed=seed) for seed in range(1, seeds + 1)]


def attempts(tmp_path):
    lines = (tmp_path / "attempts").read_text(encoding="utf-8").splitlines()
    return Counter(int(line.split()[0]) for line in lines)


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_give_what_a_plain_loop_gives_to_the_last_bit(small, workers):
    expected = [repr(replicate(ask)) for ask in small]
    assert len(set(expected)) == len(expected)
    assert [repr(outcome) for outcome in evaluate(small, workers=workers)] == expected
    assert [repr(outcome) for outcome in evaluate(small, backend="serial")] == expected


def test_joblib_of_the_user_works_beside_the_workers(tmp_path):
    script = """
from joblib import Parallel, delayed
from forge1sim.ask import Ask
from forge1sim.experiments.workers import evaluate
from works_for_workers import twice

asks = [Ask(scenario="none", seed=seed) for seed in range(4)]
print(evaluate(asks, workers=2, work=twice), Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(3)), evaluate(asks, workers=1, work=twice))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.strip() == "[0, 2, 4, 6] [0, 1, 2] [0, 2, 4, 6]", ended.stderr


def check_cluster(backend, small, tmp_path):
    """A local cluster gives what a plain loop gives; a killed worker costs runs in flight only."""
    expected = [repr(replicate(ask)) for ask in small]
    assert [repr(outcome) for outcome in evaluate(small, workers=WORKERS, backend=backend)] == expected
    check_one_death(backend, tmp_path)


def check_one_death(backend, tmp_path):
    asks = noting(tmp_path)
    assert evaluate(asks, workers=WORKERS, backend=backend, work=works.dies_once) == [ask.seed for ask in asks]
    made = attempts(tmp_path)
    assert made[4] == 2
    assert sum(made.values()) - len(asks) <= WORKERS * QUEUED_PER_WORKER
    assert made[1] == 1, "it had ended long before"


def test_a_killed_process_costs_the_runs_in_flight_and_no_more(tmp_path):
    check_one_death("processes", tmp_path)


@pytest.mark.slow
def test_ray_equals_the_local_one_and_survives_a_killed_worker(small, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)
    try:
        check_cluster("ray", small, tmp_path)
    finally:
        ray.shutdown()


def test_dask_equals_the_local_one_and_survives_a_killed_worker(small, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster, distributed.Client(cluster):
        check_cluster("dask", small, tmp_path)


def test_a_run_that_kills_its_workers_is_given_up_and_named_while_the_others_go_on(tmp_path):
    asks = noting(tmp_path)
    done = list(as_finished(asks, workers=WORKERS, work=works.always_dies))
    assert sorted(one.number for one in done) == list(range(len(asks)))
    assert {one.ask.seed: one.value for one in done} == {ask.seed: None if ask.seed == 4 else ask.seed for ask in asks}
    lost = next(one for one in done if one.lost)
    assert f"died {MOST_DEATHS} times" in lost.failure
    assert attempts(tmp_path)[4] == MOST_DEATHS


def test_a_failed_run_is_told_and_the_others_go_on(tmp_path):
    asks = noting(tmp_path, 3)
    done = {one.ask.seed: one for one in as_finished(asks, backend="serial", work=works.refuses)}
    assert (done[2].failure, done[2].lost, done[3].value) == ("too much", False, 3)
    with pytest.raises(ExperimentError, match="--seed 2: too much"):
        evaluate(asks, backend="serial", work=works.refuses)


def test_a_bug_is_not_taken_for_a_failed_run(tmp_path):
    with pytest.raises(ZeroDivisionError):
        evaluate(noting(tmp_path, 1), workers=1, work=works.has_a_bug)


def test_each_run_is_told_when_it_ends_and_answers_are_in_the_order_of_the_asks(tmp_path):
    told = []
    asks = noting(tmp_path, 5)[::-1]
    assert evaluate(asks, workers=WORKERS, work=works.seed_of, on_done=told.append) == [5, 4, 3, 2, 1]
    assert sorted(one.number for one in told) == [0, 1, 2, 3, 4]
    assert all(one.ask == asks[one.number] for one in told)


def test_workers_stay_warm_and_have_one_thread_for_linear_algebra(tmp_path):
    asks = noting(tmp_path, 6)
    first = set(evaluate(asks, workers=WORKERS, work=works.process))
    again = set(evaluate(asks, workers=WORKERS, work=works.process))
    assert os.getpid() not in first
    assert len(first | again) <= WORKERS
    assert set(evaluate(asks, workers=WORKERS, work=works.one_thread)) == {"1 1"}


def test_nothing_asked_is_nothing_done():
    assert evaluate([]) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"workers": 0}, "workers is 0, should be a whole number from 1"),
        ({"workers": 2.0}, "workers is 2.0"),
        ({"workers": True}, "workers is True"),
        ({"workers": 10**6}, "workers is 1000000"),
        ({"backend": "spark"}, "backend is 'spark', should be one of processes, serial, ray, dask"),
        ({"cluster": "tcp://head:1"}, "backend 'processes' knows no clusters; take ray or dask"),
        ({"backend": "dask", "cluster": "a::b"}, "Dask cluster a::b cannot be used"),
    ],
)
def test_bad_arguments_are_named(small, arguments, said):
    with pytest.raises(ExperimentError) as error:
        evaluate(small, **arguments)
    assert said in str(error.value)


@pytest.mark.parametrize(("backend", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_package_is_named_with_what_to_install(small, monkeypatch, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExperimentError, match=rf"needs the package {module}, .*pip install 'forge1sim\[cluster\]'"):
        evaluate(small, backend=backend)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(tmp_path, root, how):
    code = (
        f"import signal, sys; sys.path.append({HERE!r})\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"         # a shell that runs tests in the background has it ignored
        "from forge1sim.ask import Ask\n"
        "from forge1sim.experiments.workers import evaluate\n"
        "from works_for_workers import sleeps\n"
        f"evaluate([Ask(scenario={str(tmp_path / 'attempts')!r}, seed=seed) for seed in range(4)], workers={WORKERS}, work=sleeps)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.PIPE) as command:
        family = wait_for_family(command, tmp_path / "attempts")
        command.send_signal(how)
        gone, alive = psutil.wait_procs(family, timeout=30)
        for process in alive:
            process.kill()      # else the block's end would wait for it
    assert not alive
    assert len(gone) > WORKERS


def wait_for_family(command: "subprocess.Popen[bytes]", attempts_file: Path) -> list[psutil.Process]:
    """The process and all that it has started, once all its workers are at work."""
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s:
        if attempts_file.exists() and len(attempts_file.read_text(encoding="utf-8").splitlines()) == WORKERS:
            whole = psutil.Process(command.pid)
            return [whole, *whole.children(recursive=True)]
        assert command.poll() is None, "it ended before its workers began"
        time.sleep(0.05)
    raise AssertionError("the workers did not begin")
