"""Histories from files: every format counts alike, and what cannot be used is refused with file, field and value."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from forge1sim.errors import TraceError
from forge1sim.forecast import forecast, read_history
from forge1sim.forecast.servegen import history_of_clients
from forge1sim.workload.clients import read_clients
from forge1sim.workload.files import TraceFile

START = pd.Timestamp("2026-11-02T00:00Z")
HOURS = 30


@pytest.fixture(scope="module")
def rows():
    """Requests of thirty hours, about forty an hour, the first and last minute not empty."""
    chance = np.random.default_rng(1)
    seconds = np.sort(np.concatenate([[5.0], chance.uniform(0, HOURS * 3600, 1200), [HOURS * 3600 - 5.0]])).round(3)
    size = seconds.size
    return pd.DataFrame({
        "s": seconds, "in": chance.integers(1, 2000, size), "out": chance.integers(1, 500, size),
        "who": np.where(chance.random(size) < 0.3, "acme", "others"),
    })  # fmt: skip


def by_hour(rows, column=None):
    return np.bincount((rows["s"] // 3600).astype(int), None if column is None else rows[column], HOURS)


def stamps(rows):
    return (START + pd.to_timedelta(rows["s"], unit="s")).dt.strftime("%Y-%m-%d %H:%M:%S.%f")


def written(rows, form, folder):
    """The same requests as a file of each format."""
    path = folder / f"{form}.data"
    times = stamps(rows)
    tables = {
        "azure": {"TIMESTAMP": times, "ContextTokens": rows["in"], "GeneratedTokens": rows["out"]},
        "burstgpt": {"Timestamp": rows["s"], "Model": rows["who"], "Request tokens": rows["in"], "Response tokens": rows["out"]},
        "arena": {"adapter_dir": rows["who"], "prompt_len": rows["in"], "output_len": rows["out"], "req_time": rows["s"]},
        "ledger": {"timestamp": times, "input_tokens": rows["in"], "output_tokens": rows["out"], "tenant": rows["who"]},
    }
    if form in tables:
        pd.DataFrame(tables[form]).to_csv(path, index=False)
        return path
    scale = 1000 if form == "mooncake" else 1
    extra = {"chat_id": 1, "parent_chat_id": -1} if form == "bailian" else {}
    lines = [
        json.dumps({**extra, "timestamp": s * scale, "input_length": tokens_in, "output_length": tokens_out, "hash_ids": []})
        for s, tokens_in, tokens_out in zip(*(rows[name].tolist() for name in ("s", "in", "out")), strict=True)
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("form", ["azure", "burstgpt", "mooncake", "bailian", "arena", "ledger"])
@pytest.mark.parametrize("told", [True, False])
def test_every_format_counts_the_same_hours(rows, form, told, tmp_path):
    found = read_history(written(rows, form, tmp_path), format=form if told else None)
    assert (found.requests == by_hour(rows)).all()
    assert (found.tokens["input_tokens"] == by_hour(rows, "in")).all()
    assert (found.tokens["output_tokens"] == by_hour(rows, "out")).all()
    assert found.counts.shape == (HOURS, 60)
    assert found.dated == (form in ("azure", "ledger"))


def test_order_gzip_and_parquet_do_not_matter(rows, tmp_path):
    plain = read_history(written(rows, "ledger", tmp_path))
    shuffled = rows.sample(frac=1.0, random_state=3)
    path = written(shuffled, "ledger", tmp_path)
    packed = tmp_path / "ledger.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    columns = tmp_path / "ledger.parquet"
    pd.read_csv(path, parse_dates=["timestamp"]).to_parquet(columns)
    for other in (path, packed, columns):
        assert (read_history(other).counts == plain.counts).all()


def test_hours_that_the_trace_does_not_fill_are_left_out(rows, tmp_path):
    cut = rows[(rows["s"] > 1800) & (rows["s"] < 28.5 * 3600)]
    found = read_history(written(cut, "azure", tmp_path))
    assert (found.requests == by_hour(rows)[1:28]).all()
    assert found.start_us == int(START.timestamp() + 3600) * 1_000_000


def test_a_silent_hour_of_a_trace_had_no_requests(rows, tmp_path):
    cut = rows[(rows["s"] < 5 * 3600) | (rows["s"] > 7 * 3600)]
    assert list(read_history(written(cut, "azure", tmp_path)).requests[5:7]) == [0.0, 0.0]


def test_one_tenant_alone_keeps_the_hours_of_all(rows, tmp_path):
    for form in ("arena", "ledger"):
        found = read_history(written(rows, form, tmp_path), only={"tenant": "acme"})
        assert (found.requests == by_hour(rows[rows["who"] == "acme"])).all()
    found = read_history(written(rows, "burstgpt", tmp_path), only={"model": "acme"})
    assert (found.requests == by_hour(rows[rows["who"] == "acme"])).all()


def counted(rows, folder, minutes, name="counts.csv"):
    """A ledger of counts, a row for each interval and tenant that has any."""
    at = START + pd.to_timedelta((rows["s"] // (60 * minutes) * minutes).astype(int), unit="min")
    table = rows.assign(at=at).groupby(["at", "who"], as_index=False).agg(n=("s", "size"), tokens=("in", "sum"))
    path = folder / name
    table.to_csv(path, index=False)
    return path


CALLED = {"timestamp": "at", "requests": "n", "input_tokens": "tokens", "tenant": "who"}


@pytest.mark.parametrize(("minutes", "bins"), [(60, 1), (15, 4), (1, 60)])
def test_counts_of_hours_and_minutes(rows, minutes, bins, tmp_path):
    found = read_history(counted(rows, tmp_path, minutes), columns=CALLED, missing_rows="zero")
    assert (found.requests == by_hour(rows)).all()
    assert (found.tokens["input_tokens"] == by_hour(rows, "in")).all()
    assert "output_tokens" not in found.tokens
    assert found.counts.shape == (HOURS, bins)


def test_an_hour_without_a_row_is_a_gap_unless_said(rows, tmp_path):
    path = counted(rows[(rows["s"] < 5 * 3600) | (rows["s"] >= 6 * 3600)], tmp_path, 60)
    assert np.isnan(read_history(path, columns=CALLED).requests[5])
    assert read_history(path, columns=CALLED, missing_rows="zero").requests[5] == 0.0


def test_hours_that_begin_at_half_past(rows, tmp_path):
    table = pd.DataFrame({"timestamp": pd.date_range("2026-11-02T00:30Z", periods=30, freq="h"), "requests": np.arange(30.0)})
    table.to_csv(tmp_path / "half.csv", index=False)
    found = read_history(tmp_path / "half.csv")
    assert (found.requests == np.arange(30.0)).all()
    assert found.start_us == int(START.timestamp() + 1800) * 1_000_000


def test_fractions_are_counts_too_and_seconds_are_a_clock(tmp_path):
    pd.DataFrame({"arrive_s": np.arange(48) * 3600, "requests": 0.5}).to_csv(tmp_path / "halves.csv", index=False)
    found = read_history(tmp_path / "halves.csv")
    assert not found.dated
    assert found.requests.sum() == 24.0


def arrivals(folder, gone=()):
    """Two clients over two days: 0 sends 2, 1 sends 1 a second, but only at night; and their lengths, of client 0 alone."""
    steady = [(0, window * 600, 2.0, 1.0, "Gamma", 1.0, 1.0) for window in range(288) if window not in gone]
    night = [(1, window * 600, 1.0, 1.0, "Gamma", 1.0, 1.0) for window in range(288) if window % 144 < 36 and window not in gone]
    names = ["client_id", "window_start_s", "rate", "cv", "pattern", "pattern_arg1", "pattern_arg2"]
    pd.DataFrame(steady + night, columns=names).to_csv(folder / "arrivals.csv", index=False)
    levels = ["p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max"]
    lengths = [(0, 0, "input_tokens", *[100] * 11), (0, 0, "output_tokens", *[30] * 11)]
    pd.DataFrame(lengths, columns=["client_id", "window_start_s", "field", *levels]).to_csv(folder / "lengths.csv", index=False)
    return folder / "arrivals.csv", folder / "lengths.csv"


def test_servegen_clients_add_up(tmp_path):
    path, lengths = arrivals(tmp_path)
    found = read_history(path, lengths=lengths)
    assert found.requests == pytest.approx(np.tile(np.repeat([3.0, 2.0], [6, 18]), 2) * 3600)
    assert found.tokens["input_tokens"] == pytest.approx(100 * found.requests)
    assert found.tokens["output_tokens"] == pytest.approx(30 * found.requests)
    assert found.bin_s == 600
    assert found.notes == ("Tokens: lengths of clients with 11% of the requests are not published; taken as those of the others.",)


def test_a_window_in_which_no_client_asks_was_not_recorded(tmp_path):
    path, lengths = arrivals(tmp_path, gone=(100,))
    found = read_history(path, lengths=lengths)
    assert np.flatnonzero(np.isnan(found.requests)).tolist() == [16]
    assert "Gaps: 1 of 48 hours" in " ".join(forecast(found, 24).unidentified)


def test_a_client_alone_has_its_own_pauses_and_tokens_only_if_published(tmp_path):
    clients = read_clients(*(TraceFile(path, 2**30) for path in arrivals(tmp_path, gone=(100,))))
    night = history_of_clients(clients, "night", 1)
    assert (np.nan_to_num(night.requests, nan=-1.0)[[0, 7, 16]] == [3600.0, 0.0, -1.0]).all()
    assert night.tokens == {}
    assert "Tokens: the data has none" in " ".join(forecast(night, 24).unidentified)


def ledger(folder, **columns):
    path = folder / "bad.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


HOURLY = [f"2026-11-{2 + hour // 24:02}T{hour % 24:02}:00:00Z" for hour in range(30)]
AZURE = {"TIMESTAMP": HOURLY, "ContextTokens": 1, "GeneratedTokens": 1}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"timestamp": HOURLY[:5], "requests": 1}, {}, r"bad\.csv: has 5 whole hours; a forecast needs 24 or more"),
        ({"timestamp": HOURLY, "requests": 0}, {}, r"bad\.csv: has no requests"),
        ({"timestamp": HOURLY, "requests": [1] * 29 + [-3]}, {}, r"bad\.csv: row 30, column 'requests': -3 must be 0 or more"),
        ({"timestamp": HOURLY, "requests": ["x"] + ["1"] * 29}, {}, r"bad\.csv: row 1, column 'requests': x must be a number"),
        ({"timestamp": ["noon", *HOURLY[1:]], "requests": 1}, {}, r"bad\.csv: row 1, column 'timestamp': noon must be a date and time"),
        ({"timestamp": HOURLY, "requests": 1, "input_tokens": [-1] + [0] * 29}, {}, r"row 1, column 'input_tokens': -1 must be 0 or more"),
        ({"arrive_s": np.arange(30) * 3600 + 7, "requests": 1}, {}, r"row 1, column 'arrive_s': 7 must begin a minute, an hour"),
        ({"arrive_s": np.arange(30) * 86400, "requests": 1}, {}, "its rows are 1440 minutes apart or more"),
        ({"arrive_s": [0, 3600, 3_999_999_600], "requests": 1}, {}, "spans 1,111,112 hours, more than 100,000; is its time"),
        ({"arrive_s": np.arange(30) * 1800, "requests": 1}, {"missing_rows": "none"}, "missing_rows is 'none', must be gap or zero"),
        ({"hour": HOURLY, "requests": 1}, {}, r"bad\.csv: needs one column of times.*--column timestamp=NAME.*hour, requests"),
        ({"timestamp": HOURLY, "requests": 1}, {"columns": {"requests": "calls"}}, r"bad\.csv: has no column 'calls' for requests"),
        ({"timestamp": HOURLY, "requests": 1}, {"columns": {"calls": "requests"}}, "'calls' is no field of a ledger; there are timestamp"),
        ({"timestamp": HOURLY, "requests": 1}, {"only": {"tenant": "acme"}}, "only 'tenant': there is no such column"),
        ({"timestamp": HOURLY, "requests": 1, "tenant": "b"}, {"only": {"tenant": "acme"}}, "no row has tenant 'acme'; there are b"),
        ({"timestamp": HOURLY, "requests": 1}, {"format": "csv"}, "format 'csv' cannot be forecast; there are azure"),
        (AZURE, {"only": {"tenant": "a"}}, "there are none, for this format has no"),
        (AZURE, {"columns": {"requests": "n"}}, "columns are given for format azure"),
        ({"client_id": [1], "window_start_s": 0, "rate": 1}, {}, "format servegen needs the file of lengths"),
        ({"session_id": [1], "t": 0, "prefix_tokens_shared_with_previous": 1}, {}, "recorded sessions have no time of day"),
    ],
)
def test_what_cannot_be_used_is_refused(columns, options, message, tmp_path):
    with pytest.raises(TraceError, match=message):
        read_history(ledger(tmp_path, **columns), **options)


def test_sparse_minutes_are_told_what_to_say(rows, tmp_path):
    with pytest.raises(TraceError, match=r"counts\.csv: has 0 whole hours.*if nobody asked in them, say missing_rows='zero'"):
        read_history(counted(rows, tmp_path, 1), columns=CALLED)


def test_missing_and_empty_files_are_refused(tmp_path):
    with pytest.raises(TraceError, match=r"none\.csv: there is no such file"):
        read_history(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TraceError, match=r"empty\.csv: is empty"):
        read_history(tmp_path / "empty.csv")
    (tmp_path / "torn.jsonl").write_text("{")
    with pytest.raises(TraceError, match=r"torn\.jsonl: line 1: is no JSON object"):
        read_history(tmp_path / "torn.jsonl")
