"""A finished run, read from its folder."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from forge1sim.errors import RunError
from forge1sim.metrics.store import MAKERS, SCENARIO, SUMMARY, read_json, read_manifest, read_table
from forge1sim.metrics.tables import Table


@dataclass(frozen=True)
class RunFolder:
    """The results of one run. Tables are read when they are first asked for, and kept."""

    folder: Path
    manifest: dict[str, Any]
    summary: dict[str, Any] = field(repr=False)
    _tables: dict[str, Table] = field(default_factory=dict, init=False, repr=False)

    def table(self, name: str) -> Table:
        """One of `forge1sim.metrics.store.MAKERS` as NumPy columns. Raises RunError if it is missing or broken."""
        if name not in self._tables:
            self._tables[name] = read_table(self.folder, name)
        return self._tables[name]

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """The scenario as it was run, everything resolved."""
        return dict(read_json(self.folder / SCENARIO))

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.manifest["scenario"])

    @property
    def seed(self) -> int:
        """The seed of every draw."""
        return int(self.manifest["seed"])

    @property
    def slos(self) -> list[dict[str, Any]]:
        """Promises with what was seen (`value`) and whether they held (`met`)."""
        return list(self.summary.get("slos", []))

    @property
    def command(self) -> str:
        """The command that makes the same run again."""
        return str(self.manifest["command"])


def read_run(folder: Path) -> RunFolder:
    """Open the folder of a finished run.

    Raises RunError if it is none, is of another schema version, or lacks a table.
    """
    manifest = read_manifest(folder)
    summary = read_json(folder / SUMMARY)
    if not isinstance(summary, dict) or "tiers" not in summary:
        raise RunError(f"{folder / SUMMARY}: is no summary of a run; run the scenario again")
    missing = [name for name in MAKERS if not (folder / f"{name}.parquet").is_file()]
    if missing:
        raise RunError(f"{folder}: lacks the tables {', '.join(missing)}; run the scenario again")
    return RunFolder(folder, manifest, summary)
