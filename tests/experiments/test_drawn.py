"""Scenarios drawn by chance can be run, and are others for another seed."""

import pytest

from benchmarks.draw import HORIZON_MIN, drawn_scenario
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario

SEED = 11


@pytest.mark.parametrize("number", range(8))
def test_a_drawn_scenario_loads_and_runs(tmp_path, number):
    loaded = load_scenario(drawn_scenario(SEED, number, tmp_path))
    assert loaded.horizon_us == HORIZON_MIN * 60e6
    requests = simulate(loaded, hash_log=False).summary["requests"]
    assert requests["arrived"] > 1_000
    assert requests["served"] > 0.3 * requests["arrived"]


def test_seed_and_number_decide(tmp_path):
    texts = [drawn_scenario(seed, number, tmp_path).read_text() for seed, number in ((1, 0), (1, 1), (2, 0), (1, 0))]
    assert len(set(texts)) == 3
    assert texts[0] == texts[3]
