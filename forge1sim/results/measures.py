"""What is measured of a run or a tier: its title, how it is written, and which way is better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.theme import seconds, usd

NOTHING = "\u2013"


@dataclass(frozen=True)
class Measure:
    """A figure of the summary. `better` is 1 if more is better, -1 if less is, 0 if neither."""

    name: str
    title: str
    write: Callable[[float], str]
    better: int

    def of(self, figures: Mapping[str, Any]) -> float:
        """Its value among the summary's figures of a tier, or of all; NaN if it was not measured."""
        value = figures.get(self.name)
        return float("nan") if value is None else float(value)

    def text(self, value: float | None) -> str:
        """A value with its unit; a dash if it was not measured."""
        return NOTHING if value is None or not np.isfinite(value) else self.write(value)

    def change(self, difference: float) -> str:
        """A difference with its sign and unit; of shares in percentage points."""
        if not np.isfinite(difference):
            return NOTHING
        size = f"{100 * abs(difference):.2f} pp" if self.write is _share else self.write(abs(difference))
        return f"+{size}" if difference > 0 else f"\u2212{size}" if difference < 0 else f"\u00b1{size}"


def _share(value: float) -> str:
    return f"{value:.2%}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _unit_price(value: float) -> str:
    return f"${value:.6f}" if value < 0.01 else usd(value)


def _points(value: float) -> str:
    return f"{value:.1f} of 100"


def _ratio(value: float) -> str:
    return f"{value:.3f}"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("served_ratio", "served", _share, 1),
        Measure("rejected_ratio", "rejected", _share, -1),
        Measure("expired_ratio", "expired", _share, -1),
        Measure("on_time_ratio", "on time", _share, 1),
        Measure("wait_mean_s", "wait, mean", seconds, -1),
        Measure("wait_p50_s", "wait p50", seconds, -1),
        Measure("wait_p95_s", "wait p95", seconds, -1),
        Measure("wait_p99_s", "wait p99", seconds, -1),
        Measure("latency_mean_s", "latency, mean", seconds, -1),
        Measure("latency_p50_s", "latency p50", seconds, -1),
        Measure("latency_p95_s", "latency p95", seconds, -1),
        Measure("latency_p99_s", "latency p99", seconds, -1),
        Measure("quality_mean", "quality (0 to 1)", _ratio, 1),
        Measure("satisfaction", "satisfaction", _points, 1),
        Measure("jain_index", "fairness (Jain)", _ratio, 1),
        Measure("cost_per_request_usd", "cost per answer", _unit_price, -1),
        Measure("cost_usd", "cost of tokens", usd, -1),
        Measure("key_cost_usd", "cost of accounts", usd, -1),
        Measure("revenue_usd", "revenue", usd, 1),
        Measure("margin_usd", "margin", usd, 1),
        Measure("arrived", "requests", _count, 0),
        Measure("served", "answers", _count, 1),
        Measure("tenants", "tenants", _count, 0),
    )
}


def measure_of(summary: Mapping[str, Any], tier: str, measure: Measure) -> float:
    """A measure of a tier, or of all requests, in the summary of a run; NaN where it has none."""
    if tier != ALL_TIERS:
        return measure.of(summary["tiers"].get(tier, {}))
    return measure.of({**summary, **summary["all"], "tenants": summary["tenants"]["count"]})
