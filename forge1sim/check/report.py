"""What a check came to: findings, counts and the ledger."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the log that the rules forbid. `row` counts log rows from 0."""

    rule: str
    row: int
    time_us: int
    message: str

    def __str__(self) -> str:
        return f"row {self.row} at {self.time_us} us: {self.rule}: {self.message}"


@dataclass(slots=True)
class Report:
    """The result of a check. `complete` is False if it stopped early, after too many findings.

    Money is in nano-USD: `cost_nano_usd` in all, by row of tenant and of deployment.
    """

    findings: list[Finding] = field(default_factory=list)
    complete: bool = True
    rows: int = 0
    requests: int = 0
    served: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    in_system: int = 0
    refused: int = 0
    cost_nano_usd: int = 0
    tenant_nano_usd: dict[int, int] = field(default_factory=dict)
    deployment_nano_usd: dict[int, int] = field(default_factory=dict)

    @property
    def rules(self) -> set[str]:
        """Names of the rules that something broke."""
        return {finding.rule for finding in self.findings}


class EnoughFindings(Exception):  # noqa: N818  (it ends a check, it is no error)
    """The check has found so much that the rest would say nothing new."""


class Notebook:
    """Collects findings about the row that is being read."""

    def __init__(self, report: Report, most: int) -> None:
        self._report, self._most = report, most
        self.row, self.now_us = 0, 0

    def add(self, rule: str, message: str) -> None:
        """Note that the row that is being read breaks `rule`."""
        self._report.findings.append(Finding(rule, self.row, self.now_us, message))
        if len(self._report.findings) >= self._most:
            raise EnoughFindings

    def expect(self, rule: str, what: str, seen: object, right: object) -> None:
        """Note it if a field is not what it must be."""
        if seen != right:
            self.add(rule, f"{what} is {seen}, must be {right}")
