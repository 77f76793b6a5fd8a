"""Every malformed trace gives one error that names file, row, column, value and what would be right."""

import gzip
import json
import os
import re

import pytest
from pydantic import TypeAdapter

from forge1sim.errors import TraceError
from forge1sim.workload import columns, files
from forge1sim.workload.spec import Source
from tests.workload.groups import Tenants, build, rows_of

HEAD = "arrive_s,input_tokens,output_tokens\n"
GOOD = HEAD + "0,1,1\n1,2,2\n"


def refused(folder, data: bytes | str, name: str = "t.csv", **options: object) -> str:
    """The message of the TraceError that this file gives."""
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return refused_source(folder, {"kind": "table", "path": name} | options)


def refused_source(folder, source: dict[str, object]) -> str:
    parsed = TypeAdapter(Source).validate_python(source)
    with pytest.raises(TraceError) as caught:
        rows_of(build([Tenants("t", 2)], 1e6, sources=(parsed,), folders=(folder,)))
    return str(caught.value)


CSV = {
    "empty file": ("", "is no CSV table"),
    "header only": (HEAD, "has a header but no rows"),
    "missing column": ("arrive_s,input_tokens\n0,1\n", "no column 'output_tokens'; its columns are arrive_s, input_tokens"),
    "cut short in a row": (HEAD + "0,1,1\n1,2\n", "row 2, column 'output_tokens'.*must be a number"),
    "too many fields": (HEAD + "0,1,1\n1,2,3,4\n", "is no CSV table: .*Expected 3 fields in line 3, saw 4"),
    "too many everywhere": (HEAD + "0,1,1,9\n1,2,3,4\n", "is no CSV table: Length of header"),
    "not a number": (HEAD + "0,1,1\n1,many,2\n", "t.csv: row 2, column 'input_tokens': many must be a number"),
    "NaN": (HEAD + "0,NaN,1\n", "row 1, column 'input_tokens': NaN must be a number"),
    "empty cell": (HEAD + "0,1,\n", "row 1, column 'output_tokens'"),
    "infinite": (HEAD + "inf,1,1\n", "row 1, column 'arrive_s': inf must be a number"),
    "negative tokens": (HEAD + "0,1,1\n0,1,-5\n", "row 2, column 'output_tokens': -5 must be a whole number of tokens"),
    "half a token": (HEAD + "0,1.5,1\n", "row 1, column 'input_tokens': 1.5 must be a whole number of tokens"),
    "gigantic": (HEAD + "0,1e300,1\n", "row 1, column 'input_tokens': 1e[+]300 is more than 100,000,000 tokens"),
    "gigantic whole": (HEAD + f"0,{10**30},1\n", "row 1, column 'input_tokens': 10+ is more than"),
    "gigantic time": (HEAD + "1e15,1,1\n", "row 1, column 'arrive_s': .* must be seconds, at most"),
    "boolean": (HEAD + "0,True,1\n", "row 1, column 'input_tokens': True must be a number"),
    "unsorted": (HEAD + "5,1,1\n3,1,1\n", "row 2 is 2.0 s earlier than row 1; .* set sort: true"),
    "Latin-1": (HEAD.encode() + b"0,1\xe9,1\n", "not UTF-8 .*save it as UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "is UTF-16; save it as UTF-8"),
    "cut gzip": (gzip.compress(GOOD.encode() * 99)[:-9], "gzip file is damaged or cut short"),
    "broken gzip": (b"\x1f\x8b" + b"nonsense" * 9, "cut short|cannot be read|damaged"),
    "binary": (bytes(range(256)), "t.csv: "),
    "cut Parquet": (b"PAR1" + b"\0" * 40, "is no readable Parquet file"),
}


@pytest.mark.parametrize("case", CSV)
def test_malformed_tables(tmp_path, case):
    data, message = CSV[case]
    told = refused(tmp_path, data)
    assert re.search(message, told, re.DOTALL), told
    assert "t.csv" in told


def test_an_error_far_down_names_its_row(tmp_path):
    rows = "".join(f"{n},1,1\n" for n in range(70_000))
    assert "row 70001, column 'input_tokens': x" in refused(tmp_path, HEAD + rows + "70000,x,1\n")
    assert "row 70001 is 69999.0 s earlier than row 70000" in refused(tmp_path, HEAD + rows + "0,1,1\n")


def test_a_stamp_that_is_none(tmp_path):
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\nyesterday,1,1\n"
    assert "row 2, column 'TIMESTAMP': yesterday must be a date and time" in refused(tmp_path, text, kind="azure")


def test_more_cached_than_input(tmp_path):
    text = "arrive_s,input_tokens,output_tokens,hit\n0,5,1,6\n"
    mapped = {"arrive_s": "arrive_s", "cached_tokens": "hit"}
    assert "row 1, column 'hit': 6 is more than the 5 input tokens" in refused(tmp_path, text, columns=mapped)


def test_complexity_above_one(tmp_path):
    text = "arrive_s,input_tokens,output_tokens,hard\n0,5,1,1.2\n"
    mapped = {"arrive_s": "arrive_s", "complexity": "hard"}
    assert "column 'hard': 1.2 must be between 0 and 1" in refused(tmp_path, text, columns=mapped)


LINE = {"timestamp": 0, "input_length": 9, "output_length": 1, "hash_ids": [1]}
JSONL = {
    "no JSON": ("{oops\n", "line 1: is no JSON object"),
    "no object": ("[1]\n", r"line 1: is no JSON object but \[1\]"),
    "cut short": (json.dumps(LINE) + '\n{"timestamp": 0, "inp', "line 2: is no JSON object"),
    "missing field": ('{"timestamp": 0}\n', "line 1: has no field 'input_length'; its fields are timestamp"),
    "text": (json.dumps(LINE | {"input_length": "9"}), "line 1, field 'input_length': '9' must be a whole number"),
    "boolean": (json.dumps(LINE | {"output_length": True}), "field 'output_length': True must be a whole number"),
    "negative": (json.dumps(LINE | {"output_length": -1}), "field 'output_length': -1 must be a number of tokens"),
    "NaN": (json.dumps(LINE | {"timestamp": float("nan")}), "field 'timestamp': nan must be a number"),
    "hashes": (json.dumps(LINE | {"hash_ids": "1,2"}), "field 'hash_ids': '1,2' must be a list of whole numbers"),
    "empty": ("\n\n", "has no rows"),
    "too deep": ("[" * 200_000, "line 1: is no JSON object"),
    "unsorted": (json.dumps(LINE | {"timestamp": 9}) + "\n" + json.dumps(LINE), "row 2 is 0.009 s earlier than row 1"),
    "Latin-1": (b'{"timestamp": "\xe9"}', "not UTF-8"),
}


@pytest.mark.parametrize("case", JSONL)
def test_malformed_json_lines(tmp_path, case):
    data, message = JSONL[case]
    told = refused(tmp_path, data, "t.jsonl", kind="mooncake")
    assert re.search(message, told), told


def test_sizes_are_bounded(tmp_path, monkeypatch):
    bomb = gzip.compress(HEAD.encode() + b"0,1,1\n" * 300_000)
    assert "is larger than 1,048,576 bytes decompressed" in refused(tmp_path, bomb, max_gib=1 / 1024)
    endless = gzip.compress(b"0" * (files.LINE_BYTES_MAX + 10))
    assert "has a line of more than" in refused(tmp_path, endless)
    monkeypatch.setattr(columns, "ROWS_MAX", 1)
    assert "has more than 1 rows" in refused(tmp_path, GOOD)


def test_a_loop_needs_a_trace_that_lasts(tmp_path):
    assert "lasts 0.0 s" in refused(tmp_path, HEAD + "0,1,1\n", loop=True)


def test_paths_stay_inside_the_folders(tmp_path):
    inside, outside = tmp_path / "scenario", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    (outside / "t.csv").write_text(GOOD)
    (inside / "link.csv").symlink_to(outside / "t.csv")
    os.mkfifo(inside / "pipe.csv")
    for path in ("../elsewhere/t.csv", str(outside / "t.csv"), "link.csv", "/etc/passwd"):
        assert "lies outside the scenario's folder" in refused_source(inside, {"kind": "table", "path": path})
    for path in ("absent.csv", ".", "pipe.csv"):
        assert "there is no such file" in refused_source(inside, {"kind": "table", "path": path})
    assert "no usable path" in refused_source(inside, {"kind": "table", "path": "a\0b"})
    source = TypeAdapter(Source).validate_python({"kind": "table", "path": "../elsewhere/t.csv"})
    assert rows_of(build([Tenants("t")], 9.0, sources=(source,), folders=(inside, outside))).size == 2


SESSION_HEAD = "session_id,model,t,in,out,prefix_tokens_shared_with_previous\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("s,m,-1,9,9,0", "row 1, column 't': -1.0 must be seconds since the session's start"),
        ("s,m,1,9,9,10", "row 1, column 'prefix_tokens_shared_with_previous': 10 is more than all 9 input"),
        (",m,1,9,9,0", "row 1, column 'session_id':  must not be empty"),
    ],
)
def test_malformed_sessions(tmp_path, row, message):
    assert message in refused(tmp_path, SESSION_HEAD + row + "\n", kind="agent_sessions", sessions_per_s=1.0)


WINDOWS = "client_id,window_start_s,rate,cv,pattern,pattern_arg1,pattern_arg2\n"
LENGTHS = "client_id,window_start_s,field,p01,p05,p10,p25,p50,p75,p90,p95,p99,p999,max\n"
BOTH = LENGTHS + "".join(f"0,0,{field}{',5' * 11}\n" for field in ("input_tokens", "output_tokens"))


@pytest.mark.parametrize(
    ("windows", "lengths", "message"),
    [
        ("0,0,-1,1,Gamma,1,1\n", BOTH, "a.csv: row 1, column 'rate': -1 must be above 0"),
        ("0,7,1,1,Gamma,1,1\n", BOTH, "a.csv: row 1, column 'window_start_s': 7 must be a multiple of 600"),
        ("0,0,1,1,Pareto,1,1\n", BOTH, "a.csv: row 1, column 'pattern': Pareto must be Gamma or Weibull"),
        ("0,0,1,1,Gamma,1,1\n" * 2, BOTH, "a.csv: client 0 has two rows for the window at 0 s"),
        ("0,0,1,1,Gamma,1,1\n", BOTH.replace("5,5\n", "5,4\n"), "b.csv: row 1, column 'max': 4 must be 0 or more and no less"),
        ("0,0,1,1,Gamma,1,1\n", BOTH.replace("output_tokens", "other"), "b.csv: needs rows with field output_tokens"),
    ],
)
def test_malformed_client_statistics(tmp_path, windows, lengths, message):
    (tmp_path / "b.csv").write_text(lengths)
    assert message in refused(tmp_path, WINDOWS + windows, "a.csv", kind="servegen", lengths="b.csv")
