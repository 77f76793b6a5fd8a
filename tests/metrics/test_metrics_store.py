"""What is written can be read again, nothing half-written stays, and foreign files are refused by name."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge1sim.errors import RunError
from forge1sim.metrics import Metrics
from forge1sim.metrics.log_file import LogWriter, read_log
from forge1sim.metrics.store import MAKERS, read_json, read_manifest, read_table, write_run
from forge1sim.metrics.summary import summarise
from tests.metrics.make_log import cut, make_log, make_static, toy_scenario

STATIC = make_static(tenant_names=("=cmd()", "<script>alert(1)</script>", "Zoë & co", "d"))
ROWS = make_log(STATIC, requests=800, places=1)


def write(folder, metrics, summary=None) -> None:
    result = SimpleNamespace(summary=summary or summarise(metrics), slos=[], metrics=metrics)
    write_run(folder, toy_scenario(), result, driver="compiled", seed=3)


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(STATIC)
    metrics.fold(ROWS)
    metrics.close()
    return metrics


def test_a_run_folder_can_be_read_again(metrics, tmp_path):
    folder = tmp_path / "deep" / "run"
    write(folder, metrics)
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "summary.json", "scenario.json", *(f"{name}.parquet" for name in MAKERS)
    }  # fmt: skip
    for name, make in MAKERS.items():
        expected, found = make(metrics), read_table(folder, name)
        assert list(expected) == list(found)
        for column, values in expected.items():
            np.testing.assert_array_equal(found[column], values)
    manifest = read_manifest(folder)
    assert manifest["seed"] == 3
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["command"] == "forge1sim run toy.yaml --driver compiled --seed 3"
    assert json.loads(json.dumps(summarise(metrics))).items() <= read_json(folder / "summary.json").items()


def test_two_runs_write_the_same_bytes(metrics, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, metrics)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_folder_with_a_run_is_not_overwritten(metrics, tmp_path):
    write(tmp_path, metrics)
    with pytest.raises(RunError, match="holds a run already"):
        write(tmp_path, metrics)


def test_a_run_that_fails_to_be_written_has_no_manifest(metrics, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path, metrics, {"figure": float("nan")})
    with pytest.raises(RunError, match="no such file"):
        read_manifest(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write(tmp_path / "file" / "run", metrics)


def test_a_log_comes_back_as_it_was_however_it_was_cut(tmp_path):
    path = tmp_path / "log.parquet"
    with LogWriter(tmp_path) as writer:
        for chunk in cut(ROWS, [5, 5, 700]):
            reused = chunk.copy()
            writer.write(reused)
            reused["time_us"] = -1  # the driver uses its buffer again
    assert np.concatenate(list(read_log(path))).tobytes() == ROWS.tobytes()


def test_a_log_of_no_rows_is_a_log(tmp_path):
    with LogWriter(tmp_path):
        pass
    assert list(read_log(tmp_path / "log.parquet")) == []


def test_a_cancelled_run_leaves_no_log(tmp_path):
    with pytest.raises(KeyboardInterrupt), LogWriter(tmp_path) as writer:  # noqa: PT012
        writer.write(ROWS)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_refused_by_name(tmp_path):
    bad = tmp_path / "log.parquet"
    with pytest.raises(RunError, match=r"log\.parquet"):
        list(read_log(bad))
    bad.write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(RunError, match="cannot be read"):
        list(read_log(bad))
    with pytest.raises(RunError, match="cannot be read"):
        read_table(tmp_path, "log")
    pq.write_table(pa.table({"x": [1]}), bad)
    with pytest.raises(RunError, match="no event log"):
        list(read_log(bad))
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"forge1sim_log_schema_version": "99"}), bad)
    with pytest.raises(RunError, match="version 99"):
        list(read_log(bad))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="JSON"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema_version": 7}')
    with pytest.raises(RunError, match="7"):
        read_manifest(tmp_path)
