"""The command `forecast`: what it prints and writes, and how it refuses."""

import json

import numpy as np
import pandas as pd
import pytest

from forge1sim.cli.main import main
from forge1sim.forecast import forecast, read_history


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hours = np.arange(24 * 9)
    requests = 100 + 40 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 5, hours.size)
    pd.DataFrame({
        "at": pd.date_range("2026-11-02", periods=hours.size, freq="h").strftime("%Y-%m-%dT%H:%M:%SZ"), "n": requests.round(),
        "input_tokens": 500 * requests.round(),
    }).to_csv("ledger.csv", index=False)  # fmt: skip
    return ("ledger.csv", "--column", "timestamp=at", "--column", "requests=n")


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["forecast", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_json_is_the_forecast(ledger, capsys):
    assert run(*ledger, "--horizon", "2d", "--paths", 5, "--seed", 3, "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)
    made = forecast(read_history("ledger.csv", columns={"timestamp": "at", "requests": "n"}), 48, paths=5, seed=3)
    assert found["scenarios"]["requests"] == made.scenarios["requests"].tolist()
    assert found["quantiles"]["input_tokens"]["p95"] == made.quantiles["input_tokens"][6].tolist()
    assert found["unidentified"] == list(made.unidentified)
    assert (found["hours"], found["hours_seen"], found["paths"], found["bursts"]) == (48, 216, 5, None)
    assert found["starts_us"] == pd.Timestamp("2026-11-11T00:00Z").value // 1000


def test_a_table_and_what_is_not_told(ledger, capsys):
    assert run(*ledger, "--horizon", "24h", "--backtest", "--no-color") == 0
    told = capsys.readouterr()
    assert "24 hours after the 216 of ledger.csv" in told.out
    assert "Backtest: 18 origins" in told.out
    assert "- Week shape: 9.0 days were seen, under two weeks" in told.out
    assert "Next: the same with --out DIR" in told.err


def test_a_folder_that_appears_whole_and_is_not_replaced_unasked(ledger, tmp_path, capsys):
    assert run(*ledger, "--horizon", "1d", "--paths", 2, "--out", "next", "--quiet") == 0
    names = {path.name for path in (tmp_path / "next").iterdir()}
    assert names == {
        "summary.json", "scenarios.parquet", "bands.parquet", "requests.html", "input_tokens.html", "path_01_arrivals.csv",
        "path_01_lengths.csv", "path_02_arrivals.csv", "path_02_lengths.csv",
    }  # fmt: skip
    assert run(*ledger, "--out", "next") == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert run(*ledger, "--horizon", "1d", "--paths", 2, "--out", "next", "--force", "--quiet") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--horizon", "soon"), "--horizon 'soon': must be whole hours, days or weeks, as 36h, 7d or 2w"),
        (("--horizon", "0d"), "horizon_hours is 0, must be between 1 and 8,784"),
        (("--paths", "0"), "paths is 0, must be between 1 and 1,000"),
        (("--column", "requests"), "--column 'requests': must be FIELD=NAME"),
        (("--only", "tenant=acme"), "ledger.csv: only 'tenant': there is no such column"),
        (("--missing", "maybe"), "missing_rows is 'maybe', must be gap or zero"),
        (("--format", "xls"), "format 'xls' cannot be forecast"),
        (("--horizon", "6d", "--backtest"), "a backtest 144 hours ahead after the first 144 needs 288"),
    ],
)
def test_bad_input_is_one_message_and_status_2(ledger, arguments, message, capsys):
    assert run(*ledger, *arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("error:") == 1
    assert said.out == ""
