"""Broken traces, met through the command line: one message that names the file, exit status 2."""

import gzip

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from tests.scenario.examples import VALID, write

HEADER = "arrive_s,input_tokens,output_tokens\n"
ROWS = HEADER + "".join(f"{second},100,10\n" for second in range(50))

TRACES = [
    ("empty file", b"", "trace.csv"),
    ("header only", HEADER.encode(), "trace.csv"),
    ("missing column", b"arrive_s,input_tokens\n1,2\n", "output_tokens"),
    ("text for a number", (HEADER + "1,many,2\n").encode(), "many"),
    ("not a number", (HEADER + "nan,1,2\n").encode(), "nan"),
    ("infinite time", (HEADER + "inf,1,2\n").encode(), "inf"),
    ("negative tokens", (HEADER + "1,-5,2\n").encode(), "-5"),
    ("gigantic tokens", (HEADER + f"1,{10**30},2\n").encode(), "trace.csv"),
    ("too few cells", (HEADER + "1,2\n").encode(), "trace.csv"),
    ("unsorted times", (HEADER + "5,1,2\n1,1,2\n").encode(), "trace.csv"),
    ("utf-16", ROWS.encode("utf-16"), "UTF-8"),
    ("latin-1", HEADER.encode() + "1,2,é\n".encode("latin-1"), "trace.csv"),
    ("truncated gzip", gzip.compress(ROWS.encode())[:-20], "trace.csv"),
    ("damaged gzip", b"\x1f\x8b\x08\x00" + b"\xff" * 50, "trace.csv"),
    ("html page", b"<!doctype html><html>not found</html>", "trace.csv"),
    ("damaged parquet", b"PAR1" + b"\0" * 100, "trace.csv"),
]


@pytest.mark.parametrize(("data", "says"), [trace[1:] for trace in TRACES], ids=[trace[0].replace(" ", "-") for trace in TRACES])
def test_a_broken_trace(tmp_path, data, says):
    (tmp_path / "trace.csv").write_bytes(data)
    scenario = write(tmp_path, VALID + "workload: {sources: [{kind: table, path: trace.csv}]}\n")
    result = CliRunner().invoke(app, ["workload", str(scenario)])
    assert result.exit_code == 2, result.output
    assert (result.stdout, result.stderr.count("\n")) == ("", 1), result.output
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert "trace.csv" in result.stderr


def test_a_whole_trace_is_counted(tmp_path):
    (tmp_path / "trace.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    scenario = write(tmp_path, VALID + "workload: {sources: [{kind: table, path: trace.csv.gz}]}\n")
    result = CliRunner().invoke(app, ["workload", str(scenario), "--json", "--quiet"])
    assert '"requests": 50' in result.stdout


@pytest.mark.realdata
def test_shared_data_is_found_beside_a_checkout(tmp_path):
    scenario = write(tmp_path, VALID + "workload: {sources: [{kind: azure, path: 'shared:azure_llm_2023_conv.csv.gz'}]}\n")
    result = CliRunner().invoke(app, ["workload", str(scenario), "--json", "--quiet", "--set", "horizon_s=1d"])
    assert '"requests": 19366' in result.stdout
