"""What `--out` writes: tables, and paths that a scenario takes as a workload."""

import numpy as np
import pandas as pd
import pytest

from forge1sim.forecast import History, forecast, read_history
from forge1sim.forecast.files import write_forecast
from forge1sim.workload.clients import read_clients
from forge1sim.workload.files import TraceFile
from tests.forecast.made import noisy


@pytest.fixture(scope="module")
def made():
    requests = noisy(8, 1)
    counts = np.random.default_rng(1).poisson(requests[:, None] / 60, (requests.size, 60)).astype(float)
    tokens = {"input_tokens": 1200.0 * counts.sum(axis=1), "output_tokens": 90.0 * counts.sum(axis=1)}
    return forecast(History(source="made", start_us=0, dated=True, counts=counts, tokens=tokens), 48, paths=3)


def test_a_path_is_a_workload_of_the_same_requests_and_tokens(made, tmp_path):
    write_forecast(made, tmp_path)
    for place in range(3):
        arrivals, lengths = (tmp_path / f"path_0{place + 1}_{part}.csv" for part in ("arrivals", "lengths"))
        again = read_history(arrivals, lengths=lengths)
        assert again.requests == pytest.approx(made.scenarios["requests"][place], rel=1e-6)
        for name in ("input_tokens", "output_tokens"):
            assert again.tokens[name] == pytest.approx(made.scenarios[name][place], rel=0.01)


def test_gaps_are_as_bursty_as_the_minutes(made, tmp_path):
    write_forecast(made, tmp_path)
    clients = read_clients(*(TraceFile(tmp_path / f"path_01_{part}.csv", 2**30) for part in ("arrivals", "lengths")))
    assert clients.windows["cv"] ** 2 == pytest.approx(made.bursts.index_of_dispersion, rel=1e-4)


def test_tables_hold_the_paths_and_bands(made, tmp_path):
    write_forecast(made, tmp_path / "deep" / "folder")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "deep" / "folder" / "scenarios.parquet"), made.frame())
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "deep" / "folder" / "bands.parquet"), made.bands())
