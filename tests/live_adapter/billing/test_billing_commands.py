"""The billing commands on a ledger that a real run over sockets made: sums hold to the nano-USD, bad input is named."""

import csv
import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from live_adapter.billing.money import moment, month_of, nano_usd_of
from live_adapter.ledger import Ledger
from tests.live_adapter.test_journal import fill
from tests.live_adapter.test_recordings import record


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Ledger]:
    """The ledger of a run with faults, refusals, retries and streams; its address."""
    folder = tmp_path_factory.mktemp("ledger")
    record(folder / "journal", 300)
    fill(folder / "other", 5)
    url = f"sqlite:///{folder}/ledger.db"
    ledger = Ledger(url)
    ledger.fold(folder / "journal")
    ledger.fold(folder / "other")
    return url, ledger


def gateway(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forge1sim.cli", "gateway", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def month(ledger: Ledger) -> str:
    span = ledger.span_us()
    assert span is not None
    return month_of(span[0])


def booked(ledger: Ledger) -> int:
    return sum(row["cost_nano_usd"] for row in ledger.rows())


RULES = """
costs:
  - {name: support, kind: fixed_fee, amount_nano_usd: 1000000007, rule: evenly}
  - {name: reserve, kind: reserve, amount_nano_usd: 77777777777, rule: by-reserved-share}
failed_attempts: by-usage
reserved_ppm: {beta: 333333}
"""


def test_invoices_sum_to_attempts_and_what_is_shared_to_the_nano_usd(book: tuple[str, Ledger], tmp_path: Path) -> None:
    url, ledger = book
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    words = ("invoice", "--ledger", url, "--month", month(ledger), "--rules", str(rules))
    told = json.loads(gateway(*words, "--json").stdout)
    owed = sum(line["cost_nano_usd"] for one in told["invoices"] for line in one["lines"])
    assert owed == told["sums"]["all_invoices_nano_usd"] == booked(ledger) + 1_000_000_007 + 77_777_777_777
    beta = next(one for one in told["invoices"] if one["tenant"] == "beta")
    assert {line["item"]: line["cost_nano_usd"] for line in beta["lines"]}["reserve"] == 77_777_777_777
    lines = list(csv.DictReader(io.StringIO(gateway(*words, "--csv").stdout)))
    assert sum(nano_usd_of(line["amount_usd"]) for line in lines) == owed
    alone = list(csv.DictReader(io.StringIO(gateway(*words, "--csv", "--tenant", "beta").stdout)))
    assert alone == [line for line in lines if line["tenant"] == "beta"]


def test_an_invoice_without_rules_is_what_the_ledger_booked(book: tuple[str, Ledger]) -> None:
    url, ledger = book
    text = gateway("invoice", "--ledger", url, "--month", month(ledger)).stdout
    assert f"= attempts {booked(ledger) / 1e9:.9f} + shared costs 0.000000000" in text.splitlines()[-1]
    assert "acme, " in text


def focus_span(ledger: Ledger) -> tuple[str, ...]:
    span = ledger.span_us()
    assert span is not None
    return "--from", f"{moment(span[0]):%Y-%m-%d}", "--to", f"{moment(span[1]) + timedelta(days=1):%Y-%m-%d}"


def test_focus_rows_bill_what_the_ledger_booked_in_both_formats(book: tuple[str, Ledger], tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    url, ledger = book
    for name in ("focus.csv", "focus.parquet"):
        gateway("focus", "--ledger", url, *focus_span(ledger), "--out", str(tmp_path / name))
    rows = list(csv.DictReader((tmp_path / "focus.csv").open()))
    assert sum(nano_usd_of(row["BilledCost"]) for row in rows) == booked(ledger)
    parquet = pq.read_table(tmp_path / "focus.parquet").to_pylist()
    assert [f"{row['BilledCost']:.9f}" for row in parquet] == [f"{float(row['BilledCost']):.9f}" for row in rows]


def export_of(ledger: Ledger, path: Path, more_tokens: int = 0) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str], list[int]] = {}
    for row in ledger.rows():
        key = f"{moment(row['sent_us']):%Y-%m-%d}", row["model"]
        have = sums.get(key, [0, 0, 0])
        sums[key] = [have[0] + row["input_tokens"], have[1] + row["output_tokens"], have[2] + row["cost_nano_usd"]]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "model", "input_tokens", "output_tokens", "cost_usd"])
        for (day, model), (read, wrote, cost) in sums.items():
            writer.writerow([day, model, read, wrote - more_tokens, f"{cost / 1e9:.9f}"])
    return [{"day": day, "model": model} for day, model in sums]


def test_an_export_with_the_same_figures_agrees_and_one_with_fewer_tokens_is_told_of(book: tuple[str, Ledger], tmp_path: Path) -> None:
    url, ledger = book
    export_of(ledger, tmp_path / "same.csv")
    words = ("reconcile", "--ledger", url, "--month", month(ledger), "--usage")
    assert "agrees" in gateway(*words, str(tmp_path / "same.csv")).stdout
    keys = export_of(ledger, tmp_path / "fewer.csv", more_tokens=500)
    found = json.loads(gateway(*words, str(tmp_path / "fewer.csv"), "--json", status=1).stdout)
    assert [(one["day"], one["model"]) for one in found] == [(key["day"], key["model"]) for key in keys]
    assert all(one["differing"] == ["output_tokens"] for one in found)


@pytest.mark.parametrize(("text", "told"), [
    ("costs: [{name: x, kind: fixed_fee, amount_nano_usd: -1, rule: evenly}]", "costs.0.amount_nano_usd is '-1'"),
    ("costs: [{name: x, kind: fixed_fee, amount_nano_usd: 1.5, rule: evenly}]", "costs.0.amount_nano_usd is '1.5'"),
    ("costs: [{name: x, kind: fixed_fee, amount_nano_usd: 1, rule: by-mood}]", "'by-usage', 'by-reserved-share', 'by-peak' or 'evenly'"),
    ("costs: [{name: x, kind: fixed_fee, rule: evenly}]", "costs.0.amount_nano_usd: Field required"),
    ("shared: []", "shared"),
    ("costs: [{name: x, kind: reserve, amount_nano_usd: 5, rule: by-reserved-share}]", "give `otherwise`, such as evenly"),
    ("reserved_ppm: {beta: 2000000}", "reserved_ppm.beta is '2000000'"),
    ("costs: [", "is no YAML"),
])  # fmt: skip
def test_bad_rules_are_told_by_file_field_and_value(book: tuple[str, Ledger], tmp_path: Path, text: str, told: str) -> None:
    url, ledger = book
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    assert told in gateway("invoice", "--ledger", url, "--month", month(ledger), "--rules", str(rules), status=2).stderr.replace("\n", " ")


@pytest.mark.parametrize(("words", "told"), [
    (("invoice", "--month", "2026-13"), "month is '2026-13'"),
    (("invoice", "--month", "1999-01"), "the ledger has no attempts in it, but from 20"),
    (("invoice", "--month", "MONTH", "--tenant", "nobody"), "'nobody'"),
    (("invoice", "--month", "MONTH", "--csv", "--json"), "give one of them"),
    (("invoice", "--month", "MONTH", "--rules", "no-such.yaml"), "no-such.yaml: cannot be read"),
    (("focus", "--from", "2026-11-02", "--to", "2026-11-01", "--out", "x.csv"), "must be after --from"),
    (("focus", "--from", "yesterday", "--to", "2026-11-01", "--out", "x.csv"), "--from is 'yesterday'"),
    (("focus", "--from", "2026-11-01", "--to", "2026-11-02", "--out", "x.xlsx"), "must end in .csv or .parquet"),
    (("reconcile", "--month", "MONTH", "--usage", "no-such.csv"), "no-such.csv cannot be read"),
    (("reconcile", "--month", "MONTH", "--usage", "no-such.csv", "--account", "zz"), "--account is 'zz', the ledger has"),
    (("reconcile", "--month", "MONTH", "--usage", "no-such.csv", "--timezone", "Mars"), "--timezone is 'Mars'"),
])  # fmt: skip
def test_bad_words_are_told_with_what_would_be_right(book: tuple[str, Ledger], words: tuple[str, ...], told: str) -> None:
    url, ledger = book
    asked = [month(ledger) if word == "MONTH" else word for word in words]
    assert told in gateway(*asked, "--ledger", url, status=2).stderr.replace("\n", " ")


def test_a_ledger_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path}/none.db"
    assert "there is no such file" in gateway("invoice", "--ledger", missing, "--month", "2026-11", status=2).stderr.replace("\n", " ")
    assert not (tmp_path / "none.db").exists()
