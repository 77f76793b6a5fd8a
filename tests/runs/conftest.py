"""A pool with one real worker, which all tests here share: it takes seconds to warm up."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forge1sim.runs import Run, RunPool, RunStore
from tests.small import ENDLESS, SMALL


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return RunStore(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def pool(store: RunStore) -> Iterator[RunPool]:
    pool = RunPool(store, workers=1)
    yield pool
    pool.close()


@pytest.fixture
def small(tmp_path: Path) -> str:
    """The path of a scenario that runs in a moment."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """The path of a scenario that does not end by itself while a test runs."""
    path = tmp_path / "endless.yaml"
    path.write_text(ENDLESS)
    return str(path)


@pytest.fixture
def wait_for(store: RunStore) -> Callable[..., Run]:
    """Wait until a run is as a condition says."""

    def wait(run_id: str, is_so: Callable[[Run], bool] = lambda run: run.is_over, seconds: float = 120.0) -> Run:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            run = store.get(run_id)
            if is_so(run):
                return run
            time.sleep(0.02)
        raise AssertionError(f"still {store.get(run_id).status} after {seconds} s")

    return wait
