"""Exports hold what the tables hold, and no cell runs as a formula."""

import csv
import io
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from forge1sim.errors import RunError
from forge1sim.metrics.store import MAKERS, read_table
from forge1sim.report.export import csv_bytes, file_name, parquet_bytes, safe_cell, zip_bytes
from forge1sim.results.read import read_run
from tests.metrics.make_log import make_log, make_static
from tests.report.test_report import EVIL, run_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    static = make_static(tenant_names=EVIL)
    return read_run(run_folder(tmp_path_factory.mktemp("export") / "run", static, make_log(static, requests=3000, places=1)))


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_csv_has_every_row_and_value(run):
    table = run.table("tenants")
    rows = rows_of(csv_bytes(table))
    assert len(rows) == len(EVIL)
    assert [int(row["arrived"]) for row in rows] == table["arrived"].tolist()
    assert [float(row["wait_p95_s"]) if row["wait_p95_s"] else None for row in rows] == [
        None if np.isnan(value) else value for value in table["wait_p95_s"].tolist()
    ]


def test_names_from_outside_are_no_formulas(run):
    names = [row["tenant"] for row in rows_of(csv_bytes(run.table("tenants")))]
    assert "'=cmd()" in names
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\r=x"])
def test_what_a_spreadsheet_runs_is_quoted(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1.5, 3, "plain", "a=b"])
def test_what_it_does_not_run_is_left_alone(value):
    assert safe_cell(value) == value


def test_the_zip_holds_the_whole_run(run, tmp_path):
    archive = zipfile.ZipFile(io.BytesIO(zip_bytes(run)))
    expected = {"manifest.json", "summary.json", "scenario.json", "report.html", "tiers.csv", "tenants.csv"}
    assert set(archive.namelist()) == expected | {f"{name}.parquet" for name in MAKERS}
    archive.extractall(tmp_path)
    assert read_table(tmp_path, "tenants")["arrived"].tolist() == run.table("tenants")["arrived"].tolist()


def test_parquet_is_the_table(run):
    table = pq.read_table(io.BytesIO(parquet_bytes(run, "tiers")))
    assert table["arrived"].to_pylist() == run.table("tiers")["arrived"].tolist()
    with pytest.raises(RunError, match="none of"):
        parquet_bytes(run, "../secrets")


def test_file_names_tell_the_run_and_hold_no_path():
    class Run:
        name, seed = "../my scenario / x", 5

    assert file_name(Run(), "tenants") == "my-scenario-x-seed5-tenants"


def test_a_run_of_another_time_lacks_tables_and_says_so(tmp_path):
    static = make_static()
    folder = run_folder(tmp_path / "run", static, make_log(static, requests=50))
    (folder / "limits.parquet").unlink()
    with pytest.raises(RunError, match="lacks the tables limits; run the scenario again"):
        read_run(folder)
