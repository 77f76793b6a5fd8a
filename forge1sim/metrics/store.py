"""A run folder: who ran what (manifest.json), figures (summary.json, Parquet tables), the scenario, the log.

Every file appears whole or not at all, and the manifest is written last: a folder without one is
no finished run.
"""

import json
import os
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.metrics import interval_tables, limit_tables, tables
from forge1sim.metrics.log_file import LogWriter, read_log
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.tables import Table

__all__ = ["MAKERS", "LogWriter", "read_json", "read_log", "read_manifest", "read_table", "versions", "write_json", "write_run"]

RUN_SCHEMA_VERSION = 1
MANIFEST, SUMMARY, SCENARIO = "manifest.json", "summary.json", "scenario.json"
MAKERS = {
    "tiers": tables.tier_table,
    "tenants": tables.tenant_table,
    "models": tables.model_table,
    "deployments": tables.deployment_table,
    "accounts": tables.account_table,
    "flows": interval_tables.flow_table,
    "tails": interval_tables.tail_table,
    "marks": interval_tables.mark_table,
    "hours": interval_tables.hour_table,
    "tier_intervals": interval_tables.tier_interval_table,
    "deployment_intervals": interval_tables.deployment_interval_table,
    "provider_intervals": interval_tables.provider_table,
    "code_intervals": interval_tables.code_interval_table,
    "limits": limit_tables.limit_table,
    "limit_tiers": limit_tables.limit_tier_table,
    "limit_spans": limit_tables.limit_span_table,
}
_PACKAGES = ("forge1sim", "numpy", "numba", "simpy", "pydantic", "pyarrow", "plotly")
_LARGEST_JSON_BYTES = 512 * 1024 * 1024


class Figure(Protocol):
    """A catalogue figure, such as `forge1sim.catalogue.Figure`."""

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


class Scenario(Protocol):
    """What a run folder says of its scenario; `forge1sim.scenario.load.LoadedScenario` is one."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def hash(self) -> str: ...
    @property
    def bundle_hash(self) -> str: ...
    @property
    def assumptions(self) -> Sequence[Figure]: ...
    def resolved_json(self) -> str: ...


class Result(Protocol):
    """What a run came to; `forge1sim.run.RunResult` is one."""

    @property
    def summary(self) -> dict[str, Any]: ...
    @property
    def slos(self) -> list[dict[str, Any]]: ...
    @property
    def metrics(self) -> Metrics: ...


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the figures depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_run(
    folder: Path, scenario: Scenario, result: Result, *, driver: str, seed: int, command: str | None = None
) -> None:
    """Write tables, summary, scenario and manifest to `folder`, which is made if it is missing.

    `command` reproduces the run; by default it is the scenario file with driver and seed. Raises
    RunError if the folder holds a run already or cannot be written.
    """
    if (folder / MANIFEST).exists():
        raise RunError(f"{folder}: holds a run already; name another folder")
    identity = {
        "scenario": scenario.name, "driver": driver, "seed": seed, "scenario_sha256": scenario.hash,
        "bundle_sha256": scenario.bundle_hash,
    }  # fmt: skip
    manifest = {
        "schema_version": RUN_SCHEMA_VERSION,
        **identity,
        "event_log_sha256": result.summary.get("event_log_sha256"),
        "command": command
        or shlex.join(["forge1sim", "run", str(scenario.path), "--driver", driver, "--seed", str(seed)]),
        "assumptions": [figure.model_dump(mode="json") for figure in scenario.assumptions],
        "versions": versions(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in MAKERS.items():
            _write_table(folder / f"{name}.parquet", make(result.metrics))
        _write_text(folder / SCENARIO, scenario.resolved_json())
        write_json(folder / SUMMARY, {**identity, **result.summary, "slos": result.slos})
        write_json(folder / MANIFEST, manifest)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error


def write_json(path: Path, value: Any) -> None:
    """Strict JSON, in one step: readers see the old file or the new. Raises OSError."""
    _write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def _write_table(path: Path, table: Table) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    unfinished = path.with_name(f".{path.name}.unfinished")
    arrow = pa.table({name: pa.array(column.tolist() if column.dtype.kind == "U" else column, _arrow_type(column))
                      for name, column in table.items()})  # fmt: skip
    pq.write_table(arrow, unfinished, compression="zstd")
    os.replace(unfinished, path)


def _arrow_type(column: NDArray[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.string() if column.dtype.kind == "U" else pa.from_numpy_dtype(column.dtype)


def read_table(folder: Path, name: str) -> Table:
    """One table of a run as NumPy columns; `name` is one of MAKERS."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = folder / f"{name}.parquet"
    try:
        arrow = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: cannot be read as a table of a run: {error}") from error
    table: Table = {}
    for column in arrow.column_names:
        values = arrow[column]
        is_text = pa.types.is_string(values.type)
        table[column] = np.array(values.to_pylist(), np.str_) if is_text else values.to_numpy()
    return table


def read_json(path: Path, most_bytes: int = _LARGEST_JSON_BYTES, what: str = "file") -> Any:
    """A JSON file of a run folder. Raises RunError if it is missing, far too large, or no JSON."""
    try:
        if path.stat().st_size > most_bytes:
            raise RunError(f"{path}: more than {most_bytes:,} bytes; no {what} of a run")
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file; is {path.parent} a run folder (forge1sim run --out)?") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read as JSON: {error}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished run. Raises RunError if there is none or it has another schema version."""
    manifest = read_json(folder / MANIFEST)
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != RUN_SCHEMA_VERSION:
        raise RunError(
            f"{folder / MANIFEST}: schema_version is {version!r}, this program reads {RUN_SCHEMA_VERSION}; run the scenario again"
        )
    return dict(manifest)
