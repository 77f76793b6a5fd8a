"""An uploaded trace is known by its columns, and becomes a scenario that loads."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge1sim.errors import TraceError
from forge1sim.run import simulate
from forge1sim.runs import Shelf
from forge1sim.runs.document import as_values, as_yaml
from forge1sim.runs.shelf import as_one_file
from forge1sim.runs.traces import replaying, source_of
from forge1sim.scenario.load import load_scenario

HEADERS = {
    "azure": "TIMESTAMP,ContextTokens,GeneratedTokens\n",
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n",
    "arena": "adapter_dir,prompt_len,output_len,req_time\n",
    "table": "arrive_s,input_tokens,output_tokens,tenant\n",
    "mooncake": '{"timestamp": 0, "input_length": 10, "output_length": 5, "hash_ids": [1]}\n',
    "bailian": '{"timestamp": 0.5, "input_length": 10, "output_length": 5, "hash_ids": [1], "chat_id": 1, "parent_chat_id": -1}\n',
}


@pytest.mark.parametrize("kind", HEADERS)
def test_each_format_is_known_by_its_columns(tmp_path, kind):
    path = tmp_path / "upload"
    path.write_text(HEADERS[kind])
    name = "trace.jsonl" if HEADERS[kind].startswith("{") else "trace.csv"
    source = source_of(path, name)
    assert (source["kind"], source["path"]) == (kind, name)
    if kind == "table":
        assert source["columns"] == {"arrive_s": "arrive_s", "tenant": "tenant"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"when,what\n1,2\n", r"a\.csv: its columns \(what, when\)"),
        ("a.csv", b"", r"a\.csv: its columns \(\)"),
        ("a.jsonl", b"{broken\n", r"a\.jsonl: cannot be read as JSONL"),
        ("a.csv", b"\xff\xfe\x00", r"a\.csv: cannot be read as CSV"),
        ("a.parquet", b"PAR1", r"a\.parquet: cannot be read as PARQUET"),
    ],
)
def test_a_file_that_is_no_trace_is_told_as_such(tmp_path, name, content, says):
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=says):
        source_of(path, name)


def test_a_parquet_trace_is_replayed_on_the_platform_at_hand(tmp_path):
    path = tmp_path / "upload"
    pq.write_table(pa.table({"arrive_s": np.arange(50.0), "input_tokens": np.full(50, 100), "output_tokens": np.full(50, 20)}), path)
    shelf = Shelf(tmp_path / "shelf")
    document = as_values(as_one_file(shelf.find("quickstart").path))
    text = as_yaml(replaying(document, path, "my_trace.parquet") | {"horizon_s": 60})
    saved = shelf.save(text, {"my_trace.parquet": path})
    loaded = shelf.check(saved.path.read_text(), shelf.data_files(saved.ref))
    assert loaded.name == "my trace"
    assert simulate(load_scenario(saved.path), most_requests=1000).summary["requests"]["arrived"] == 50
