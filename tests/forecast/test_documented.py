"""docs/forecast.md names every format, field and level of data, and its table is what is kept of the benchmark."""

import dataclasses
import json

import pytest

from benchmarks.bench_forecast import HORIZONS_H, RESULTS, WEEKS
from forge1sim.forecast import FORMATS, Bursts, Forecast
from forge1sim.forecast.reading import LEDGER_COLUMNS


def test_formats_and_fields_are_explained(root):
    page = (root / "docs" / "forecast.md").read_text()
    fields = [one.name for kind in (Forecast, Bursts) for one in dataclasses.fields(kind)]
    missing = {name for name in (*FORMATS, *LEDGER_COLUMNS, *fields) if f"`{name}`" not in page and f".{name}" not in page}
    assert missing <= {"ledger", "history", "seed", "bin_s", "hours"}


def test_the_table_is_that_of_the_benchmark(root):
    page = (root / "docs" / "forecast.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith(tuple(f"| {one} |" for one in WEEKS))]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    kept = json.loads((root / "benchmarks" / "results.json").read_text())
    assert len(rows) == len(WEEKS) * len(HORIZONS_H)
    covers = [float(row[4].rstrip("%")) / 100 for row in rows]
    losses = [float(cell) for row in rows for cell in row[5:]]
    assert [min(covers), max(covers), max(losses)] == pytest.approx([kept[name] for name in RESULTS], abs=0.0006)
