"""Recorded traces: each format read as it is, every row accounted for, time and rate as asked."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from forge1sim.errors import WorkloadError
from forge1sim.workload.spec import Demand, Source
from forge1sim.workload.table import AUTO
from tests.workload.groups import MONDAY_US, Tenants, build, rows_of

GROUPS = [Tenants("acme", 1), Tenants("small", 4)]
HOUR_S = 3600.0


def replay(folder, source, groups=GROUPS, horizon_s=HOUR_S, seed=1):
    """Rows and account of one source, given as in a scenario file."""
    parsed = TypeAdapter(Source).validate_python(source)
    workload = build(groups, horizon_s, seed=seed, sources=(parsed,), folders=(folder,))
    rows = rows_of(workload)
    (account,) = workload.accounting()
    assert account.rows_read == account.rows_used + account.skipped.total()
    assert account.requests == rows.size
    assert rows.tobytes() == rows_of(workload).tobytes()
    assert (rows == rows[np.lexsort((rows["number"], rows["tenant"], rows["arrive_us"]))]).all()
    for tenant in np.unique(rows["tenant"]):
        assert rows["number"][rows["tenant"] == tenant].tolist() == list(range((rows["tenant"] == tenant).sum()))
    return rows, account


def write(folder: Path, name: str, text: str) -> str:
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return name


def seconds(rows):
    return ((rows["arrive_us"] - MONDAY_US) / 1e6).tolist()


AZURE_2023 = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
AZURE_2024 = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,10,1\n2024-05-10 02:00:01.009930+02:00,11,2\n"
)
AZURE_2025 = "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n2025-01-01T00:00:00.5Z,2,10,1\n2025-01-01T00:00:02Z,0,11,2\n"


@pytest.mark.parametrize(
    ("text", "times", "inputs"),
    [(AZURE_2023, [0.0, 4.314579], [374, 396]), (AZURE_2024, [0.0, 1.0], [10, 11]), (AZURE_2025, [0.0, 1.5], [210, 11])],
)
def test_azure_of_three_years(tmp_path, text, times, inputs):
    for name in ("trace.csv", "trace.csv.gz"):
        source = {"kind": "azure", "path": write(tmp_path, name, text), "tokens_per_image": 100}
        rows, account = replay(tmp_path, source)
        assert seconds(rows) == times
        assert rows["input_tokens"].tolist() == inputs
        assert account.rows_used == 2


@pytest.mark.parametrize("release", [1, 2])
def test_burstgpt_skips_or_keeps_failed_calls(tmp_path, release):
    extra = ("Session ID,Elapsed time,", "7,1.5,") if release == 2 else ("", "")
    text = (
        f"Timestamp,{extra[0]}Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        f"5,{extra[1]}ChatGPT,472,18,490,Conversation log\n45,{extra[1]}GPT-4,1087,0,1087,API log\n"
    )
    source = {"kind": "burstgpt", "path": write(tmp_path, "b.csv", text), "models": {"GPT-4": "large"}}
    rows, account = replay(tmp_path, source)
    assert account.skipped["failed"] == 1
    assert rows["wanted"].tolist() == [AUTO]
    rows, account = replay(tmp_path, source | {"failed": "keep"})
    assert account.notes["failed_kept"] == 1
    assert rows["output_tokens"].tolist() == [18, 0]
    assert rows["wanted"].tolist() == [AUTO, 1]


def jsonl(*entries: dict[str, object]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def test_mooncake_blocks_seen_before_are_cached(tmp_path):
    text = jsonl(
        {"timestamp": 0, "input_length": 1300, "output_length": 5, "hash_ids": [1, 2, 3]},
        {"timestamp": 2500, "input_length": 1400, "output_length": 6, "hash_ids": [1, 2, 9]},
        {"timestamp": 3000, "input_length": 800, "output_length": 7, "hash_ids": [1, 2]},
    )
    source = {"kind": "mooncake", "path": write(tmp_path, "m.jsonl", text)}
    rows, _ = replay(tmp_path, source)
    assert seconds(rows) == [0.0, 2.5, 3.0]
    assert rows["cached_tokens"].tolist() == [0, 1024, 800]
    rows, _ = replay(tmp_path, source | {"cache_blocks": 0})
    assert not rows["cached_tokens"].any()


def test_bailian_conversations_keep_to_one_tenant(tmp_path):
    entries = [
        {"chat_id": n, "parent_chat_id": n - 40 if n >= 40 else -1, "timestamp": n / 4, "input_length": 40,
         "output_length": 5, "type": "text", "turn": 1 + n // 40, "hash_ids": [n % 40 * 3, n % 40 * 3 + 1, 1000 + n]}
        for n in range(160)
    ]  # fmt: skip
    rows, _ = replay(tmp_path, {"kind": "bailian", "path": write(tmp_path, "q.jsonl.gz", jsonl(*entries))})
    assert seconds(rows)[:3] == [0.0, 0.25, 0.5]
    tenants = rows["tenant"].reshape(4, 40)
    assert (tenants == tenants[0]).all()
    assert np.unique(tenants).size > 1
    assert rows["cached_tokens"].tolist() == [0] * 40 + [32] * 120


def test_arena_labels_take_tenants_in_order_and_names_their_own(tmp_path):
    labels = ["x", "small-3", "y", "x", "z", "acme", "u", "v"]
    text = "req_id,adapter_dir,prompt_len,output_len,req_time\n"
    text += "".join(f"{n},{label},13,199,{n / 2}\n" for n, label in enumerate(labels))
    rows, account = replay(tmp_path, {"kind": "arena", "path": write(tmp_path, "a.csv", text)})
    assert rows["tenant"].tolist() == [0, 3, 1, 0, 2, 0, 3, 4]
    assert account.notes["tenant_labels"] == 7
    assert account.notes["labels_sharing_a_tenant"] == 2


TABLE = """when,who,which,in,out,hit,most,hard
2026-03-01T08:00:00Z,acme,small,100,10,50,64,0.25
2026-03-01T08:00:03Z,small-2,fancy,200,20,0,0,1
"""
COLUMNS = {"timestamp": "when", "tenant": "who", "model": "which", "input_tokens": "in", "output_tokens": "out",
           "cached_tokens": "hit", "max_output_tokens": "most", "complexity": "hard"}  # fmt: skip


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_any_table_by_a_map_of_columns(tmp_path, name):
    write(tmp_path, "t.csv", TABLE)
    if name == "t.parquet":
        import pandas as pd

        pd.read_csv(tmp_path / "t.csv", parse_dates=["when"]).to_parquet(tmp_path / name)
    else:
        write(tmp_path, name, TABLE)
    rows, _ = replay(tmp_path, {"kind": "table", "path": name, "columns": COLUMNS, "models": {"fancy": "large"}})
    assert seconds(rows) == [0.0, 3.0]
    for field, wanted in {
        "tenant": [0, 2], "wanted": [0, 1], "input_tokens": [100, 200], "output_tokens": [10, 20],
        "cached_tokens": [50, 0], "max_output_tokens": [64, 0], "complexity_pm": [250, 1000],
    }.items():  # fmt: skip
        assert rows[field].tolist() == wanted


PLAIN = "arrive_s,input_tokens,output_tokens\n" + "".join(f"{n},{n},1\n" for n in range(1000))


def plain(folder, **options):
    return replay(folder, {"kind": "table", "path": write(folder, "p.csv", PLAIN), **options})


def test_start_warp_limit_and_horizon(tmp_path):
    rows, account = plain(tmp_path, start_at_s=100.0, time_scale=0.5, limit_rows=10)
    assert seconds(rows) == [100.0 + n / 2 for n in range(10)]
    assert account.rows_read == 10
    rows, account = plain(tmp_path, time_scale=10.0)
    assert (rows.size, account.skipped["after_horizon"]) == (360, 640)


def test_thinning_keeps_a_share(tmp_path):
    rows, account = plain(tmp_path, rate_scale=0.3)
    assert abs(rows.size - 300) < 4 * np.sqrt(1000 * 0.3 * 0.7)
    assert account.skipped["thinned"] == 1000 - rows.size
    assert (rows["input_tokens"] == np.rint(seconds(rows))).all()


def test_replication_copies_each_row_a_little_later(tmp_path):
    rows, account = plain(tmp_path, rate_scale=2.5, jitter_s=20.0)
    assert account.rows_used == 1000
    assert abs(rows.size - 2500) < 4 * np.sqrt(250)
    late_s = np.array(seconds(rows)) - rows["input_tokens"]
    assert (late_s == 0).sum() == 1000
    assert 0 <= late_s.min() <= late_s.max() < 20
    assert late_s[late_s > 0].mean() == pytest.approx(10, abs=1)


def test_a_loop_fills_the_horizon(tmp_path):
    rows, account = plain(tmp_path, loop=True)
    assert seconds(rows) == list(range(3600))
    assert account.skipped["after_horizon"] == 400


def test_sort_puts_an_unsorted_trace_in_order(tmp_path):
    name = write(tmp_path, "u.csv", "arrive_s,input_tokens,output_tokens\n7,1,1\n5,2,1\n9,3,1\n")
    rows, _ = replay(tmp_path, {"kind": "table", "path": name, "sort": True})
    assert rows["input_tokens"].tolist() == [2, 1, 3]
    assert seconds(rows) == [0.0, 2.0, 4.0]


def test_rows_go_to_groups_by_share_and_to_tenants_by_zipf(tmp_path):
    rows, _ = plain(tmp_path, assign={"groups": {"acme": 1.0, "small": 3.0}, "zipf": 1.0})
    shares = np.bincount(rows["tenant"], minlength=5) / 1000
    wanted = np.array([0.25, *(0.75 / np.array([1, 2, 3, 4]) * 12 / 25)])
    assert np.all(np.abs(shares - wanted) < 4 * np.sqrt(wanted / 1000))


def test_a_groups_demand_describes_its_rows_else_the_source_does(tmp_path):
    groups = [Tenants("a", demand=Demand(max_output_tokens=7, cached_share=0.5), request_budget_usd=1.0), Tenants("b")]
    source = {"kind": "table", "path": write(tmp_path, "p.csv", PLAIN), "requests": {"max_output_tokens": 9}}
    rows, _ = replay(tmp_path, source, groups)
    first = rows["tenant"] == 0
    assert set(rows["max_output_tokens"][first].tolist()) == {7}
    assert set(rows["max_output_tokens"][~first].tolist()) == {9}
    assert (rows["cached_tokens"][first] == rows["input_tokens"][first] // 2).all()
    assert set(rows["budget_nano_usd"][first].tolist()) == {1_000_000_000}


SESSIONS = (
    "session_id,agent_id,index,t,type,model,in,out,prefix_tokens_shared_with_previous\n"
    + "".join(f"s{k},main,{n},{n * 10.0},n,claude,{100 * n + k},5,{90 * n}\n" for k in range(5) for n in range(4))
)  # fmt: skip


def test_agent_sessions_start_at_random_and_keep_their_times(tmp_path):
    source = {"kind": "agent_sessions", "path": write(tmp_path, "s.csv", SESSIONS), "sessions_per_s": 0.01, "loop": False}
    rows, account = replay(tmp_path, source, horizon_s=50_000.0)
    assert (rows.size, account.rows_read, account.notes["sessions_started"]) == (20, 20, 5)
    for k in range(5):
        own = rows[rows["input_tokens"] % 100 == k]
        assert np.diff(own["arrive_us"]).tolist() == [10_000_000] * 3
        assert own["cached_tokens"].tolist() == [0, 90, 180, 270]
        assert np.unique(own["tenant"]).size == 1


@pytest.mark.parametrize("order", ["shuffled", "random"])
def test_agent_sessions_come_at_their_rate(tmp_path, order):
    source = {"kind": "agent_sessions", "path": write(tmp_path, "s.csv", SESSIONS), "sessions_per_s": 0.5, "order": order}
    rows, account = replay(tmp_path, source)
    assert abs(account.notes["sessions_started"] - 1800) < 4 * np.sqrt(1800)
    assert account.skipped["after_horizon"] > 0
    counts = np.bincount(rows["input_tokens"][rows["input_tokens"] < 5])
    assert np.ptp(counts) <= (1 if order == "shuffled" else 120)


def test_sessions_that_never_start_are_accounted_for(tmp_path):
    source = {"kind": "agent_sessions", "path": write(tmp_path, "s.csv", SESSIONS), "sessions_per_s": 1e-9}
    rows, account = replay(tmp_path, source)
    assert (rows.size, account.skipped["session_not_started"]) == (0, 20)


def test_sources_merge_and_number_through(tmp_path):
    parse = TypeAdapter(tuple[Source, ...]).validate_python
    table = {"kind": "table", "path": write(tmp_path, "p.csv", PLAIN)}
    workload = build(
        [Tenants("t", 3, demand=Demand(requests_per_s=1.0))], HOUR_S,
        sources=parse([{"kind": "synthetic"}, table, table]), folders=(tmp_path,),
    )  # fmt: skip
    rows = rows_of(workload)
    assert [account.rows_used for account in workload.accounting()] == [1000, 1000]
    assert (rows == rows[np.lexsort((rows["number"], rows["tenant"], rows["arrive_us"]))]).all()
    assert sum(rows["number"] == 0) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assign": {"groups": {"nobody": 1.0}}}, r"there is no tenant group 'nobody'; known are acme, small"),
        ({"models": {"x": "gpt-9"}}, r"'x' stands for 'gpt-9', which is no model of the platform"),
        ({"requests": {"models": {"gpt-9": 1.0}}}, r"'gpt-9' is no model of the platform"),
    ],
)
def test_names_unknown_to_the_platform(tmp_path, options, message):
    with pytest.raises(WorkloadError, match=message):
        plain(tmp_path, **options)
