"""Results as files: CSV that no spreadsheet takes for formulas, Parquet, HTML, and one zip of everything.

All functions return bytes, so that a page hands them to the browser and a program writes them.
PNG is left to the browser, which has drawn the figures already (`png_button`).
"""

import csv
import io
import re
import zipfile
from typing import Any

from forge1sim.errors import RunError
from forge1sim.metrics.store import MAKERS, MANIFEST, SCENARIO, SUMMARY
from forge1sim.metrics.tables import Table
from forge1sim.report.report import REPORT, write_report
from forge1sim.results.read import RunFolder
from forge1sim.results.regret import REGRET, has_regret

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LONGEST_NAME = 60


def png_button(name: str) -> dict[str, Any]:
    """Plotly's `config` for a figure: its camera button saves `name`.png at twice the pixels."""
    return {"displaylogo": False, "toImageButtonOptions": {"format": "png", "filename": name, "scale": 2}}


def safe_cell(value: Any) -> Any:
    """A cell for a spreadsheet: text that would be taken for a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def csv_bytes(table: Table) -> bytes:
    """A table as CSV in UTF-8; what was not measured is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*(column.tolist() for column in table.values()), strict=True):
        writer.writerow("" if cell != cell else safe_cell(cell) for cell in row)  # noqa: PLR0124  (NaN is unlike itself)
    return text.getvalue().encode()


def parquet_bytes(run: RunFolder, name: str) -> bytes:
    """One table of a run as it stands in its folder."""
    if name not in MAKERS:
        raise RunError(f"table {name!r}: is none of {', '.join(MAKERS)}")
    return (run.folder / f"{name}.parquet").read_bytes()


def report_bytes(run: RunFolder) -> bytes:
    """The self-contained HTML report; written into the run's folder when it is first asked for."""
    path = run.folder / REPORT
    return (path if path.is_file() else write_report(run.folder)).read_bytes()


def zip_bytes(run: RunFolder) -> bytes:
    """The run as one zip: manifest, summary, scenario, report, regrets if computed, every table as Parquet, tiers and tenants as CSV."""
    target = io.BytesIO()
    report_bytes(run)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        computed = (REGRET,) if has_regret(run.folder) else ()
        for name in (MANIFEST, SUMMARY, SCENARIO, REPORT, *computed, *(f"{table}.parquet" for table in MAKERS)):
            archive.write(run.folder / name, name)
        for table in ("tiers", "tenants"):
            archive.writestr(f"{table}.csv", csv_bytes(run.table(table)))
    return target.getvalue()


def file_name(run: RunFolder, what: str) -> str:
    """A file name without its ending that tells scenario, seed and content: `quickstart-seed1-tenants`."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{run.name[:_LONGEST_NAME]}-seed{run.seed}-{what}")
    return plain.strip("-.")
