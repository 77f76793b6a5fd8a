"""Errors that callers of `forge1sim` may catch. Each message says what is wrong, where, and what would be right.

Forge1Error
 +- ScenarioError     a scenario file or a `--set` that cannot be used; lists every problem found
 +- CatalogueError    a catalogue, price list or gateway configuration that cannot be read
 +- WorkloadError     demand that cannot be generated
 |   +- TraceError    a recorded trace that cannot be read
 +- PlanError         capacity that cannot be planned
 +- ExperimentError   replications, sweeps or searches that cannot be made or trusted
 +- TheoryError       a formula asked for what it does not hold for
 +- RunError          a run that cannot start, or whose results cannot be read or written
"""

from collections.abc import Sequence


class Forge1Error(Exception):
    """Root of every error that this package raises on purpose."""


class ScenarioError(Forge1Error):
    """A scenario that cannot be used. `problems` holds one line of text for each problem."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class CatalogueError(Forge1Error):
    """A catalogue entry, price list or gateway configuration that is missing or malformed."""


class WorkloadError(Forge1Error):
    """Demand that is contradictory or out of bounds."""


class TraceError(WorkloadError):
    """A trace file that is missing, malformed, unsorted, empty or too large."""


class PlanError(Forge1Error):
    """Offers or demand from which no capacity plan can be made."""


class ExperimentError(Forge1Error):
    """Replications, a sweep or a search that cannot be made, continued or trusted."""


class TheoryError(Forge1Error):
    """Arguments of a queueing formula that no stationary state belongs to."""


class RunError(Forge1Error):
    """A run that cannot start, or a run folder that cannot be read or written."""
