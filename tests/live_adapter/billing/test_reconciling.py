"""The ledger and a provider's export agree within tolerance, or each line that does not is named."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_adapter.billing.charges import Attempt
from live_adapter.billing.errors import BillingError
from live_adapter.billing.money import moment, written
from live_adapter.billing.reconciling import Columns, Tolerance, Used, read_export, reconcile
from tests.live_adapter.billing.attempts import attempt, attempts

EXACT = Tolerance(ppm=0, tokens=0, nano_usd=0)
FIRST, SECOND = date(2026, 12, 1), date(2026, 12, 2)


def export(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def verdicts(found: list[Attempt], told: dict[Any, Used], **given: Any) -> list[tuple[Any, ...]]:
    given = {"accounts": ("o-1",), "tolerance": EXACT, **given}
    return [(one.day, one.model, one.verdict, one.differing) for one in reconcile(found, told, **given)]


@given(found=attempts())
def test_an_export_of_the_ledger_itself_agrees_to_the_nano_usd(found: list[Attempt], tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = ["date,model,input_tokens,output_tokens,cost_usd"]
    lines += [
        f"{moment(row['sent_us']):%Y-%m-%d},{row['model']},{row['input_tokens']},{row['output_tokens']},{written(row['cost_nano_usd'])}"
        for row in found
    ]
    told = read_export(export(tmp_path_factory.mktemp("export") / "e.csv", "\n".join(lines)), Columns())
    compared = reconcile(found, told, accounts=("o-1", "o-2", "a"), tolerance=EXACT)
    assert {one.verdict for one in compared} <= {"agrees", "provider only"}
    # What cost nothing and used nothing is no line of ours.
    assert all(one.provider == Used(0, 0, 0) for one in compared if one.verdict == "provider only")


def test_each_line_is_told_apart() -> None:
    found = [attempt(0, input_tokens=1000, output_tokens=5), attempt(1, model="free", input_tokens=7)]
    told = {
        (FIRST, "small"): Used(1001, 5, found[0]["cost_nano_usd"]), (SECOND, "small"): Used(1, 1, 1),
        (FIRST, "free"): Used(7, 0, 0),
    }  # fmt: skip
    assert verdicts(found, told) == [
        (FIRST, "free", "agrees", ()), (FIRST, "small", "differs", ("input_tokens",)), (SECOND, "small", "provider only", ()),
    ]  # fmt: skip
    assert verdicts(found, {}) == [(FIRST, "free", "ledger only", ()), (FIRST, "small", "ledger only", ())]
    assert verdicts(found, told, days=(SECOND, SECOND)) == [(SECOND, "small", "provider only", ())]


@given(ours=st.integers(0, 10**7), theirs=st.integers(0, 10**7), ppm=st.integers(0, 10**6), least=st.integers(0, 10**6))
def test_a_difference_agrees_up_to_the_larger_tolerance(ours: int, theirs: int, ppm: int, least: int) -> None:
    told = {(FIRST, "free"): Used(theirs, None, None)}
    compared = verdicts([attempt(0, model="free", input_tokens=ours + 1)], told, tolerance=Tolerance(ppm=ppm, tokens=least))
    agrees = abs(ours + 1 - theirs) <= max(least, theirs * ppm / 10**6)
    assert compared[0][2] == ("agrees" if agrees else "differs")


def test_tokens_that_the_ledger_was_not_told_may_be_more_at_the_provider_but_money_may_not() -> None:
    found = [attempt(0, input_tokens=1000), attempt(1, status="cancelled", cost_nano_usd=10)]
    cost = sum(row["cost_nano_usd"] for row in found)
    assert verdicts(found, {(FIRST, "small"): Used(1060, 3, cost)})[0][2] == "agrees"
    assert verdicts(found, {(FIRST, "small"): Used(999, 0, cost)})[0][3] == ("input_tokens",)
    assert verdicts(found, {(FIRST, "small"): Used(1060, 0, cost + 1)})[0][3] == ("cost_nano_usd",)


def test_days_are_those_of_the_provider() -> None:
    found = [attempt(0, after_s=3600, input_tokens=5)]
    assert verdicts(found, {}, timezone="America/Los_Angeles")[0][0] == date(2026, 11, 30)


def test_other_accounts_are_left_out() -> None:
    assert verdicts([attempt(0, account="o-2", input_tokens=5)], {}) == []


def test_rows_of_a_day_and_model_are_summed_in_whatever_words_the_provider_has(tmp_path: Path) -> None:
    text = (
        "\ufeffstart_time,snapshot,uncached,cached,out,amount,project\n"
        '1796083200,small-2026,"1,000",200,7,$0.10,a\n1796083200,small-2026,1,,,0.000000001,b\n2026-12-02T23:59:59Z,other,5.0,0,0,1e-3,a\n'
    )
    columns = Columns(
        day="start_time", model="snapshot", input_tokens="uncached", cached_tokens="cached", output_tokens="out", cost_usd="amount",
        cached_is_apart=True, models={"small-2026": "small"},
    )  # fmt: skip
    assert read_export(export(tmp_path / "e.csv", text), columns) == {
        (FIRST, "small"): Used(1201, 7, 100_000_001), (SECOND, "other"): Used(5, 0, 1_000_000),
    }  # fmt: skip


def test_what_an_export_does_not_tell_is_not_compared(tmp_path: Path) -> None:
    path = export(tmp_path / "e.csv", "date,model,cost_usd\n2026-12-01,small,0.00015\n")
    told = read_export(path, Columns(input_tokens=None, output_tokens=None))
    assert verdicts([attempt(0, input_tokens=1000)], told) == [(FIRST, "small", "agrees", ())]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "e.csv: has no column 'date', only none"),
        ("date,model,input_tokens,cost_usd\n", "e.csv: has no column 'output_tokens'"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,m,1,2,3\nyesterday,m,1,2,3\n", "line 3: date is 'yesterday'"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,,1,2,3\n", "line 2: model is empty"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,m,-1,2,3\n", "line 2: input_tokens is '-1'"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,m,1.5,2,3\n", "line 2: input_tokens is '1.5'"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,m,1,²,3\n", "line 2: output_tokens is '²'"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01,m,1,2,dear\n", "line 2: cost_usd: 'dear' is no amount"),
        ("date,model,input_tokens,output_tokens,cost_usd\n2026-12-01\n", "line 2: model is empty"),
        ("date,model,input_tokens,output_tokens,cost_usd\n99999999999999,m,1,2,3\n", "line 2: date is '99999999999999'"),
    ],
)
def test_what_cannot_be_read_is_named_by_file_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BillingError, match=told):
        read_export(export(tmp_path / "e.csv", text), Columns())


@given(noise=st.binary(max_size=200))
def test_noise_is_an_error_of_ours_or_nothing(noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("noise") / "e.csv"
    path.write_bytes(b"date,model,input_tokens,output_tokens,cost_usd\n" + noise)
    try:
        read_export(path, Columns())
    except BillingError as error:
        assert "e.csv" in str(error)


def test_a_tolerance_is_not_negative() -> None:
    with pytest.raises(BillingError, match=r"tolerance\.ppm is -1"):
        Tolerance(ppm=-1)
