"""Service level objectives: what was promised against what was seen."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from forge1sim.errors import RunError

METRICS = (
    "served_ratio", "wait_p50_s", "wait_p95_s", "wait_p99_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
    "rejected_ratio", "expired_ratio", "quality_mean", "cost_per_request_usd", "on_time_ratio", "jain_index", "satisfaction",
)  # fmt: skip
ALL_TIERS = "all"


class Objective(Protocol):
    """One promise: `metric` of `tier` ("all": of all requests) is at least or at most something."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def tier(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def at_least(self) -> float | None: ...  # noqa: D102
    @property
    def at_most(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class SloResult:
    """What became of a promise. `seen` is None if nothing was measured."""

    name: str
    tier: str
    metric: str
    at_least: float | None
    at_most: float | None
    seen: float | None
    held: bool

    @property
    def target(self) -> str:
        """The promise in short, such as `>= 0.99`."""
        bounds = ((">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def as_json(self) -> dict[str, Any]:
        """The promise and its outcome as the run's JSON has it: `value` was seen, `met` says if it held."""
        return {
            "name": self.name, "tier": self.tier, "metric": self.metric, "value": self.seen,
            "at_least": self.at_least, "at_most": self.at_most, "met": self.held,
        }  # fmt: skip


def check_slos(summary: dict[str, Any], slos: Iterable[Objective]) -> list[SloResult]:
    """Compare promises with a summary, in their order.

    A promise that nothing was measured for is missed if requests arrived for it and holds if none
    did. Raises RunError for an unknown tier or metric or a promise without a bound.
    """
    return [_check(summary, slo) for slo in slos]


def _check(summary: dict[str, Any], slo: Objective) -> SloResult:
    tier = slo.tier
    if tier != ALL_TIERS and tier not in summary["tiers"]:
        raise RunError(f"slo {slo.name}: tier {tier!r} is none of {', '.join(summary['tiers'])}")
    if slo.metric not in METRICS:
        raise RunError(f"slo {slo.name}: metric {slo.metric!r} is none of {', '.join(METRICS)}")
    if slo.at_least is None and slo.at_most is None:
        raise RunError(f"slo {slo.name}: says neither at_least nor at_most")
    row = summary["all"] if tier == ALL_TIERS else summary["tiers"][tier]
    seen = row[slo.metric]
    if seen is None:
        held = row["arrived"] == 0
    else:
        held = (slo.at_least is None or seen >= slo.at_least) and (slo.at_most is None or seen <= slo.at_most)
    return SloResult(
        name=slo.name, tier=tier, metric=slo.metric, at_least=slo.at_least, at_most=slo.at_most, seen=seen, held=held
    )
