"""`forge1sim workload`: figures that follow from the rows, whatever their chunks."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from forge1sim.cli.main import app
from forge1sim.cli.workload import _Tally
from forge1sim.scenario.load import load_scenario
from forge1sim.workload.build import build_workload
from forge1sim.workload.table import REQUESTS
from tests.scenario.examples import VALID, write


def test_the_table_is_what_a_pass_over_the_rows_gives(tmp_path):
    path = write(tmp_path)
    loaded = load_scenario(path)
    built = build_workload(
        loaded.located_sources(), loaded.groups, [model.name for model in loaded.platform.models],
        loaded.start_us, 3600.0, loaded.seed, loaded.source_folders,
    )  # fmt: skip
    rows = np.concatenate(list(built.chunks()))
    result = CliRunner().invoke(app, ["workload", str(path), "--json", "--quiet"])
    big, small, everyone = json.loads(result.stdout)["groups"]
    assert everyone["requests"] == rows.size == big["requests"] + small["requests"]
    assert big["requests"] == np.count_nonzero(rows["tenant"] == 0)
    assert everyone["mean_input_tokens"] == pytest.approx(rows["input_tokens"].mean())
    assert everyone["busiest_minute_per_s"] * 60 == np.bincount((rows["arrive_us"] - loaded.start_us) // 60_000_000).max()
    assert everyone["requests_per_s"] == pytest.approx(2.0, rel=0.2)


def test_the_seed_changes_the_requests_and_nothing_else_does(tmp_path):
    path = str(write(tmp_path))
    one, again, other = (CliRunner().invoke(app, ["workload", path, "--json", "--seed", seed]).stdout for seed in ("1", "1", "2"))
    assert one == again != other


@given(
    gaps_s=st.lists(st.integers(0, 100), min_size=1, max_size=60),
    tenants=st.lists(st.integers(0, 3), min_size=60, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_chunks_make_no_difference(gaps_s, tenants, cuts):
    rows = np.zeros(len(gaps_s), REQUESTS)
    rows["arrive_us"] = np.cumsum(gaps_s) * 1_000_000
    rows["tenant"] = tenants[: rows.size]
    rows["input_tokens"] = 7
    whole, parts = _Tally(np.array([0, 0, 1, 1])), _Tally(np.array([0, 0, 1, 1]))
    whole.add(rows)
    for part in np.split(rows, sorted(cut for cut in cuts if cut <= rows.size)):
        parts.add(part)
    figures = [SimpleNamespace(**whole.figures(row, "", 60.0)) for row in range(3)]
    assert figures == [SimpleNamespace(**parts.figures(row, "", 60.0)) for row in range(3)]
    assert round(figures[2].busiest_minute_per_s * 60) == np.unique(rows["arrive_us"] // 60_000_000, return_counts=True)[1].max()


@pytest.mark.realdata
def test_check_compares_measured_clients_with_what_was_published(tmp_path):
    arrivals, lengths = (f"'shared:servegen_m-small_{part}.csv.gz'" for part in ("arrivals", "lengths"))
    source = f"{{kind: servegen, path: {arrivals}, lengths: {lengths}, requests_per_s: 2}}"
    path = write(tmp_path, VALID.replace("count: 10", "count: 42") + f"workload: {{sources: [{source}]}}\n")
    result = CliRunner().invoke(app, ["workload", str(path), "--check", "--json", "--set", "horizon_s=6h"])
    rows = {row["name"]: row for row in json.loads(result.stdout)["check"]}
    assert {"requests_per_s", "top_1_share", "gap_cv_p50", "input_tokens_p50"} <= set(rows)
    assert rows["requests_per_s"]["ratio"] == pytest.approx(1, abs=0.1)


def test_check_needs_measured_clients(tmp_path):
    result = CliRunner().invoke(app, ["workload", str(write(tmp_path)), "--check"])
    assert result.exit_code == 2
    assert "servegen" in result.stderr
