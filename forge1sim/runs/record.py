"""What is known of one run: what was asked for, how it stands, how far it is."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from forge1sim.ask import Ask
from forge1sim.errors import RunError
from forge1sim.metrics.store import SUMMARY, read_json, read_manifest
from forge1sim.scenario.load import LoadedScenario

Kind = Literal["run", "what-if"]


class Status(StrEnum):
    """How a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self not in (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is. `share` is of simulated time, 0 to 1; `simulated_us` since the epoch.

    `tiers` has a row of totals so far by tier, `series` lists over time (`forge1sim.runs.partial`).
    """

    share: float
    simulated_us: int
    requests: int
    elapsed_s: float
    tiers: dict[str, dict[str, float | None]] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)

    @property
    def left_s(self) -> float | None:
        """About how many more seconds it takes; None while too little is known."""
        return self.elapsed_s * (1 - self.share) / self.share if self.share > 0.01 else None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as its folder tells of it at one moment.

    `folder` is laid out as `forge1sim run --out` does it. `reason` says why it failed. `owner` is
    who started it. `seconds` is what it took, None until it is over.
    """

    id: str
    folder: Path
    name: str
    kind: Kind
    owner: str
    ask: Ask
    status: Status
    started_utc: datetime
    tags: tuple[str, ...] = ()
    reason: str = ""
    seconds: float | None = None

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self.status.is_over

    def matches(self, text: str, tag: str = "") -> bool:
        """Whether its name, scenario or a tag contains `text`, upper and lower case alike, and it has `tag`, if one is given."""
        words = " ".join((self.name, self.ask.scenario, *self.tags)).casefold()
        return text.casefold().strip() in words and (not tag or tag in self.tags)

    def summary(self) -> dict[str, Any]:
        """All figures. Raises RunError unless the run is done."""
        return dict(read_json(self._done() / SUMMARY))

    def manifest(self) -> dict[str, Any]:
        """Who ran what. Raises RunError unless the run is done."""
        return read_manifest(self._done())

    def load(self) -> LoadedScenario:
        """The scenario as it was run. Raises ScenarioError, or RunError if its file has changed since."""
        loaded = self.ask.load()
        if self.status is Status.DONE and loaded.hash != self.manifest()["scenario_sha256"]:
            raise RunError(f"{self.ask.scenario}: has changed since {self.name!r} ran; run it again")
        return loaded

    @property
    def command(self) -> str:
        """The command that repeats this run. Raises RunError unless the run is done."""
        return str(self.manifest()["command"])

    def _done(self) -> Path:
        if self.status is not Status.DONE:
            raise RunError(f"{self.name!r} has no results: it is {self.status}")
        return self.folder
