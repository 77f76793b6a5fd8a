"""What is told where no plan of the terms keeps all promises: conflicts, and ways out (found by `ways_out`)."""

from dataclasses import asdict, dataclass
from typing import Any

from forge1sim.errors import PlanError


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A promise that the closest plan breaks, and what it comes to there."""

    name: str
    tier: str
    metric: str
    target: str
    comes_to: float

    def shown(self) -> str:
        """In words."""
        return f"{self.name!r} ({self.tier}.{self.metric} {self.target})"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Requirements that cannot be kept together; `any_one`: giving up any one of them would do."""

    requirements: tuple[str, ...]
    any_one: bool


@dataclass(frozen=True, kw_only=True)
class WayOut:
    """A relaxation with which all promises (as it leaves them) hold, what it costs in all, and the setting that says it."""

    words: str
    setting: str
    usd_per_month: float
    keeps_promises: bool


@dataclass(frozen=True, kw_only=True)
class Infeasible:
    """Why nothing fits: the closest plan in words, what it breaks, conflicts, and ways out, the cheapest first."""

    closest: str
    closest_usd_per_month: float
    broken: tuple[Broken, ...]
    over: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    ways_out: tuple[WayOut, ...]
    left: int

    @property
    def cheapest(self) -> WayOut | None:
        """Of all ways out."""
        return self.ways_out[0] if self.ways_out else None

    @property
    def cheapest_keeping_promises(self) -> WayOut | None:
        """Of those that lower no promise and turn away no demand."""
        return next((one for one in self.ways_out if one.keeps_promises), None)


class NoPlanError(PlanError):
    """No plan of the terms keeps all promises; `found` says why, and what would help."""

    def __init__(self, found: Infeasible) -> None:
        self.found = found
        super().__init__("\n".join(lines_of(found)))


def lines_of(found: Infeasible) -> list[str]:
    """All of it in words, the first line as one sentence."""
    broken = [f"{one.shown()} comes to {one.comes_to:.4g}" for one in found.broken]
    more = f" {found.left:,} plans were not simulated in time: give more minutes." if found.left else ""
    lines = [f"no plan that the terms allow keeps all promises. Closest is {found.closest}: {'; '.join((*broken, *found.over))}.{more}"]
    for one in found.conflicts:
        would = " (giving up any one of these would do)" if one.any_one else ""
        lines += [f"In conflict{would}:", *(f"  - {requirement}" for requirement in one.requirements)]
    if found.ways_out:
        lines.append("Ways out, simulated on the same draws, the cheapest first:")
        lines += [f"  - {one.words}: {one.usd_per_month:,.0f} USD a month ({one.setting})" for one in found.ways_out]
        kept = found.cheapest_keeping_promises
        lines.append(f"The cheapest that lowers no promise: {kept.words}" if kept else "None of these keeps the promises as they are.")
    else:
        lines.append("No way out was found: allow more accounts in plan.accounts, or promise less")
    return lines


def as_json(found: Infeasible) -> dict[str, Any]:
    """Ready for JSON: what `forge1sim plan --json` prints under `infeasible`."""
    cheapest, kept = found.cheapest, found.cheapest_keeping_promises
    return asdict(found) | {"cheapest": cheapest.words if cheapest else None, "cheapest_keeping_promises": kept.words if kept else None}


def conflict_table(found: Infeasible) -> dict[str, list[Any]]:
    """A row for each requirement of each conflict."""
    rows = [(number, one, requirement) for number, one in enumerate(found.conflicts, 1) for requirement in one.requirements]
    return {
        "conflict": [number for number, _, _ in rows], "requirement": [requirement for _, _, requirement in rows],
        "giving it up would do": ["yes" if one.any_one else "not alone" for _, one, _ in rows],
    }  # fmt: skip


def way_out_table(found: Infeasible) -> dict[str, list[Any]]:
    """A row for each way out, the cheapest first."""
    return {
        "way out": [one.words for one in found.ways_out], "usd_per_month": [one.usd_per_month for one in found.ways_out],
        "promises": ["as they are" if one.keeps_promises else "less" for one in found.ways_out],
        "setting": [one.setting for one in found.ways_out],
    }  # fmt: skip
