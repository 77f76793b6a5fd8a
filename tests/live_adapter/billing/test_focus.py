"""FOCUS rows obey the rules of the specification that its validator does not check, and those it does."""

import csv
import json
import os
import re
import subprocess
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.billing.allocation import UNITS, Shared
from live_adapter.billing.charges import Attempt, hourly_charges
from live_adapter.billing.commitments import Commitment
from live_adapter.billing.errors import BillingError
from live_adapter.billing.exports import write_attempts_parquet, write_focus_csv, write_focus_parquet
from live_adapter.billing.focus import (
    COLUMNS,
    DECIMALS,
    MILLION_TOKENS,
    FocusRow,
    Provenance,
    allocated_rows,
    focus_rows,
)
from live_adapter.billing.money import usd
from tests.live_adapter.billing.attempts import RUN_US, TERMS, attempt, attempts

OF = Provenance(run_id="run-1", scenario_id="s", policy_bundle="b", seed=7, hosts={"openai": "azure"})


def committed(fee: int, covers: int, month: str = "2026-12", account: str = "o-1") -> Commitment:
    return Commitment(name="yearly", account=account, provider="openai", month=month, fee_nano_usd=fee, covers_nano_usd=covers)


# The validator takes a child of an either-or alone: no invoice is not that there is one. And its rule of the status says that
# the status must be where the commitment is null, against its own text.
VALIDATOR_FAULTS = {"InvoiceId-C-005-C", *(f"CommitmentDiscountStatus-C-{number}-C" for number in ("000", "002", "004"))}
NOT_OURS = {"REGION_SUPPORTED", "AVAILABILITY_ZONE_SUPPORTED", "CAPACITY_RESERVATION_SUPPORTED"}


def rows_of(found: list[Any], *commitments: Commitment) -> list[FocusRow]:
    return list(focus_rows(hourly_charges(found, TERMS), OF, commitments))


def demand_rules(row: FocusRow) -> None:
    """What version 1.2 demands of any row."""
    assert set(row) == set(COLUMNS)
    for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        assert row[cost] == row[price] * row["PricingQuantity"]
        assert row[price] >= 0
    for name in ("BilledCost", "EffectiveCost", "BillingAccountId", "ChargeDescription", "SkuId", "SkuPriceId", "PricingUnit"):
        assert row[name] is not None
    assert (row["ConsumedQuantity"] is None) == (row["ConsumedUnit"] is None)
    metered = row["ChargeCategory"] == "Usage" and row["CommitmentDiscountStatus"] != "Unused"
    assert (row["ConsumedQuantity"] is not None) == metered
    assert (row["ChargeFrequency"] == "Recurring") == (row["ChargeCategory"] == "Purchase" or row["AllocatedMethodId"] is not None)
    assert row["EffectiveCost"] == 0 or row["ChargeCategory"] == "Usage"
    assert row["ChargeClass"] is row["InvoiceId"] is row["CapacityReservationId"] is row["CapacityReservationStatus"] is None
    assert (row["CommitmentDiscountId"] is None) == (row["CommitmentDiscountQuantity"] is None) == (row["CommitmentDiscountUnit"] is None)
    assert (row["PricingCategory"] == "Committed") == (row["CommitmentDiscountStatus"] is not None)
    assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    assert row["BillingPeriodStart"].day == row["BillingPeriodEnd"].day == 1
    for name in ("Tags", "SkuPriceDetails"):
        values = json.loads(row[name] or "{}").values()
        assert all(isinstance(value, str) for value in values)
    if row["PricingUnit"] == MILLION_TOKENS:
        assert row["ConsumedQuantity"] == row["PricingQuantity"] * 10**6


@given(found=attempts())
def test_every_row_obeys_and_billed_costs_sum_to_the_ledger(found: list[Attempt]) -> None:
    rows = rows_of(found)
    for row in rows:
        demand_rules(row)
    booked = usd(sum(one["cost_nano_usd"] for one in found))
    assert sum(row["BilledCost"] for row in rows) == sum(row["EffectiveCost"] for row in rows) == booked


@given(found=attempts())
def test_there_is_one_row_for_each_hour_tenant_account_model_and_kind_of_token(found: list[Attempt]) -> None:
    rows = rows_of(found)
    keys = {tuple(row[name] for name in ("ChargePeriodStart", "SubAccountId", "BillingAccountId", "SkuId", "SkuMeter")) for row in rows}
    assert len(keys) == len(rows)
    assert all(row["ChargePeriodEnd"] - row["ChargePeriodStart"] == timedelta(hours=1) for row in rows)


@given(found=attempts(), fee=st.integers(0, 10**12), covers=st.integers(1, 10**11), share=st.integers(0, 120))
def test_a_fee_is_paid_once_and_used_or_unused_to_the_nano_usd(found: list[Attempt], fee: int, covers: int, share: int) -> None:
    used = sum(one["cost_nano_usd"] for one in found if one["account"] == "o-1" and one["sent_us"] < RUN_US + 31 * 86_400_000_000)
    covers = max(1, used * share // 100) if used else covers
    rows = rows_of(found, committed(fee, covers))
    for row in rows:
        demand_rules(row)
    of_it = [row for row in rows if row["CommitmentDiscountId"]]
    bought = [row for row in of_it if row["ChargeCategory"] == "Purchase"]
    assert [(row["BilledCost"], row["EffectiveCost"]) for row in bought] == [(usd(fee), 0)]
    use = [row for row in of_it if row["ChargeCategory"] == "Usage"]
    assert sum(row["EffectiveCost"] for row in use) == usd(fee)
    assert sum(row["CommitmentDiscountQuantity"] for row in use) == usd(covers)
    assert all(row["BilledCost"] == 0 for row in use)
    booked = sum(one["cost_nano_usd"] for one in found)
    assert sum(row["BilledCost"] for row in rows) == usd(booked - min(used, covers) + fee)
    tokens = sum(row["ConsumedQuantity"] or 0 for row in rows if row["ConsumedUnit"] == "Tokens")
    assert tokens == sum(one["input_tokens"] + one["output_tokens"] for one in found)


def test_a_charge_that_is_half_covered_becomes_two_rows() -> None:
    rows = rows_of([attempt(0, output_tokens=1_000_000)], committed(fee=100_000_000, covers=150_000_000))
    used, rest = rows[1], rows[2]
    assert (used["PricingQuantity"], used["BilledCost"], used["EffectiveCost"]) == (Decimal("0.25"), 0, Decimal("0.1"))
    assert (rest["PricingQuantity"], rest["BilledCost"], rest["CommitmentDiscountId"]) == (Decimal("0.75"), Decimal("0.45"), None)


def test_commitments_that_cannot_be_are_errors() -> None:
    with pytest.raises(BillingError, match="yearly: fee_nano_usd is -1"):
        committed(-1, 1)
    with pytest.raises(BillingError, match="covers_nano_usd is 0, must be above 0"):
        committed(1, 0)
    with pytest.raises(BillingError, match="o-1 has another one in 2026-12"):
        rows_of([], committed(1, 1), committed(2, 2))


def test_a_row_says_what_it_is_for() -> None:
    row = rows_of([attempt(0, input_tokens=2_000_000, cached_tokens=500_000)])[0]
    names = ("ChargeDescription", "SkuId", "SkuMeter", "SkuPriceId", "HostProviderName", "x_Seed", "x_IsSimulated")
    told = {name: row[name] for name in names}
    assert told == {
        "ChargeDescription": "Input tokens, model small, tenant red", "SkuId": "small", "SkuMeter": "Input Tokens",
        "SkuPriceId": "small:input:150000000", "HostProviderName": "azure", "x_Seed": "7", "x_IsSimulated": "false",
    }  # fmt: skip
    assert (row["ListUnitPrice"], row["PricingQuantity"], row["ListCost"]) == (Decimal("0.15"), Decimal("1.5"), Decimal("0.225"))


@given(shares=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**12)))
def test_rows_of_a_shared_cost_sum_to_it_and_say_the_ratios(shares: dict[str, int]) -> None:
    shared = Shared(name="fees", rule="by-usage", weights=shares, nano_usd=shares)
    rows = list(allocated_rows(shared, "2026-12", OF, account="o-1", provider="openai"))
    for row in rows:
        demand_rules(row)
    assert sum(row["BilledCost"] for row in rows) == sum(row["EffectiveCost"] for row in rows) == usd(sum(shares.values()))
    ratios = [json.loads(row["AllocatedMethodDetails"])["Elements"][0]["AllocatedRatio"] for row in rows]
    assert sum(ratios) == pytest.approx(1.0 if any(shares.values()) else 0.0)


def test_csv_and_parquet_say_the_same_exactly(tmp_path: Path) -> None:
    tokens = [{"input_tokens": n * 7 + 1, "cached_tokens": n, "output_tokens": 3} for n in range(50)]
    found = [attempt(n, after_s=n * 900, tenant=("red", "blue")[n % 2], **one) for n, one in enumerate(tokens)]
    rows = rows_of(found, committed(10**6, 10**5))
    assert write_focus_csv(tmp_path / "f.csv", rows) == write_focus_parquet(tmp_path / "f.parquet", rows) == len(rows)
    told = list(csv.DictReader((tmp_path / "f.csv").open(encoding="utf-8")))
    kept = pq.read_table(tmp_path / "f.parquet").to_pylist()
    for line, row, written in zip(told, kept, rows, strict=True):
        assert list(line) == list(COLUMNS)
        for name in DECIMALS:
            assert row[name] == written[name] == (Decimal(line[name]) if line[name] else None)
        assert row["ChargePeriodStart"] == written["ChargePeriodStart"] == datetime.fromisoformat(line["ChargePeriodStart"])
        assert line["ChargePeriodStart"].endswith("Z")
        assert "E" not in line["ListCost"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "f.parquet"]


def test_parquet_of_attempts_keeps_every_number(tmp_path: Path) -> None:
    found = [attempt(n, input_tokens=n, cost_nano_usd=2**62 + n) for n in range(25_000)]
    assert write_attempts_parquet(tmp_path / "a.parquet", iter(found)) == 25_000
    kept = pq.read_table(tmp_path / "a.parquet")
    assert kept.to_pylist() == found
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups >= 3


def test_a_file_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from rows_of([attempt(0, input_tokens=5)])
        raise BillingError("broken off")

    (tmp_path / "f.csv").write_text("before")
    for write in (write_focus_csv, write_focus_parquet):
        with pytest.raises(BillingError, match="broken off"):
            write(tmp_path / "f.csv", broken())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("f.csv", "before")]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    import tracemalloc

    def many(count: int) -> Any:
        charges = hourly_charges((attempt(n, after_s=n * 60, input_tokens=n + 1, tenant=f"t-{n % 5}") for n in range(count)), TERMS)
        return focus_rows(charges, OF)

    peaks: dict[int, int] = defaultdict(int)
    write_focus_csv(tmp_path / "f.csv", many(100))
    for count in (1_000, 10_000):
        tracemalloc.start()
        write_focus_csv(tmp_path / "f.csv", many(count))
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[10_000] < peaks[1_000] + 500_000


def test_times_are_told_in_utc() -> None:
    row = rows_of([attempt(0, after_s=3 * 3600 + 5, input_tokens=1)])[0]
    assert (row["ChargePeriodStart"], row["BillingPeriodEnd"]) == (datetime(2026, 12, 1, 3, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def every_kind_of_row() -> list[FocusRow]:
    models = ("small", "large", "free")
    tokens = [{"input_tokens": n * 7000 + 1, "cached_tokens": n, "output_tokens": 3} for n in range(60)]
    found = [attempt(n, after_s=n * 900, tenant=("red", "blue")[n % 2], model=models[n % 3], **one) for n, one in enumerate(tokens)]
    found.append(attempt(99, after_s=60_000, status="cancelled", cost_nano_usd=7))
    rows = rows_of(found, committed(10**6, 10**5), committed(10**10, 2 * 10**10, account="o-2"))
    for rule in UNITS:
        shared = Shared(name="fees", rule=rule, weights={"red": 5, "blue": 7}, nano_usd={"red": 5, "blue": 7})
        rows += allocated_rows(shared, "2026-12", OF, account="o-1", provider="openai")
    return rows


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_official_validator_finds_nothing_but_its_own_faults(tmp_path: Path, kind: str) -> None:
    """Needs Python 3.12 or newer, and another NumPy: FORGE1SIM_FOCUS_PYTHON is a Python with `focus-validator==2.2.1` and `pyarrow<22`."""
    python = os.environ.get("FORGE1SIM_FOCUS_PYTHON")
    if not python:
        pytest.skip("FORGE1SIM_FOCUS_PYTHON names no Python that has focus-validator")
    write = {"csv": write_focus_csv, "parquet": write_focus_parquet}[kind]
    rows = every_kind_of_row()
    assert write(tmp_path / f"f.{kind}", rows) == len(rows)
    asked = "import focus_validator as f, pathlib; print(pathlib.Path(f.__file__).parent)"
    place = Path(subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True, timeout=60).stdout.strip())
    criteria = json.loads((place / "rules/model-1.2.0.1.json").read_text(encoding="utf-8"))["ApplicabilityCriteria"].keys() - NOT_OURS
    words = [str(Path(python).parent / "focus-validator"), "--data-file", str(tmp_path / f"f.{kind}"), "--validate-version", "1.2.0.1"]
    words += ["--block-download", "--applicability-criteria", ",".join(sorted(criteria))]
    # It reads a file beside its package, and ends with 0 whatever it finds.
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=place.parent, timeout=120).stdout
    assert len(re.findall(r": PASS\b", told)) > 300
    assert set(re.findall(r"(\S+): FAIL\b", told)) <= VALIDATOR_FAULTS
