"""The figures of a run as one JSON-ready dict."""

import math
from typing import Any

import numpy as np

from forge1sim.metrics import columns as c
from forge1sim.metrics.histogram import quantiles_us
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.tables import (
    QUANTILES,
    Table,
    account_table,
    deployment_table,
    elapsed_us,
    jain_index,
    key_cost_nano_usd,
    model_table,
    ratio,
    revenue_nano_usd,
    satisfaction,
    tenant_table,
    tier_table,
)
from forge1sim.metrics.utilization import account_utilization, deployment_utilization, group_utilization
from policies.log import KIND_NAMES, REASON_NAMES, REFUSAL_NAMES

SUMMARY_SCHEMA_VERSION = 1
_TOP_TENANTS = 20


def plain(value: Any) -> Any:
    """A NumPy scalar as int, float or str; NaN and infinity, which JSON lacks, as None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _usd(row: dict[str, Any]) -> dict[str, Any]:
    """Beside every whole nano-USD the same in USD."""
    return row | {
        name.replace("_nano_usd", "_usd"): value / 1e9 for name, value in row.items() if name.endswith("_nano_usd")
    }


def rows_of(table: Table, key: str) -> dict[str, dict[str, Any]]:
    """A table as a dict of rows by the name in column `key`."""
    lists = {name: [plain(value) for value in column.tolist()] for name, column in table.items() if name != key}
    return {name: _usd({column: values[row] for column, values in lists.items()}) for row, name in enumerate(table[key].tolist())}


def _by_code(counts: Any, names: dict[int, str]) -> dict[str, int]:
    return {name: int(counts[code]) for code, name in names.items() if counts[code]}


def littles_law(metrics: Metrics) -> dict[str, float | int | bool | None]:
    """Both sides of L = lambda W: the integral of the number in the system, and the time that requests spent in it.

    The second is the latency of those that ended, from their rows, plus the age of those that are
    still there. Both are whole microseconds and must be equal.
    """
    block = metrics.state.block
    integral = int(metrics.state.tier_intervals[:, :, c.T_SYSTEM_US].sum())
    still = int(block[c.OPEN]) * (metrics.now_us - metrics.static.start_us) - int(block[c.OPEN_ARRIVE_US])
    spent = int(block[c.LATENCY_SUM_US]) + still
    span = metrics.now_us - metrics.static.start_us
    arrived = int(metrics.state.tenant[:, c.ARRIVED].sum())
    return {
        "in_system_integral_us": integral,
        "time_spent_us": spent,
        "equal": integral == spent,
        "in_system_mean": integral / span if span else None,
        "arrivals_per_s": arrived / span * 1e6 if span else None,
        "time_in_system_mean_s": spent / arrived / 1e6 if arrived else None,
        "in_system_max": int(block[c.OPEN_MAX]),
    }


def _all_tiers(metrics: Metrics) -> dict[str, Any]:
    """The same ratios and quantiles as a tier has, over all requests."""
    state = metrics.state
    total = dict(zip(c.TENANT_COLUMNS, state.tenant.sum(axis=0).tolist(), strict=True))
    histograms = state.tier_histograms.sum(axis=0, dtype=np.int64)
    row: dict[str, Any] = {}
    for name, histogram in (("wait", histograms[: c.LATENCY_BINS]), ("latency", histograms[c.LATENCY_BINS :])):
        values = quantiles_us(histogram, QUANTILES)
        for quantile, value in zip(QUANTILES, values, strict=True):
            row[f"{name}_p{quantile * 100:.0f}_s"] = None if value is None else value / 1e6
        row[f"{name}_mean_s"] = total[f"{name}_us"] / total["served"] / 1e6 if total["served"] else None
    arrived, served = total["arrived"], total["served"]
    for name in ("served", "rejected", "expired", "on_time"):
        row[f"{name}_ratio"] = total[name] / arrived if arrived else None
    active = state.tenant[:, c.ARRIVED] > 0
    shares = ratio(state.tenant[active, c.SERVED], state.tenant[active, c.ARRIVED])
    row["quality_mean"] = total["quality_pm"] / served / 1e3 if served else None
    row["cost_per_request_usd"] = total["cost_nano_usd"] / served / 1e9 if served else None
    row["jain_index"] = plain(jain_index(shares))
    row["satisfaction"] = plain(satisfaction(state.tenant.sum(axis=0, keepdims=True))[0])
    raw = ("prompt_pm", "wait_us", "latency_us", "quality_pm")
    return {name: value for name, value in total.items() if name not in raw} | row


def _with_utilization(rows: dict[str, dict[str, Any]], use: Any) -> dict[str, dict[str, Any]]:
    for row, peak, mean in zip(rows.values(), use[:-1].max(axis=0), use[:-1].mean(axis=0), strict=True):
        row["peak_utilization"], row["mean_busiest_minute_utilization"] = plain(peak), plain(mean)
    return rows


def _peak_by_provider(metrics: Metrics, of_account: Any) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for provider, peak in zip(metrics.static.account_provider, of_account[:-1].max(axis=0), strict=True):
        found[provider] = max(found.get(provider) or 0.0, float(peak))
    return found


def _tenants(metrics: Metrics) -> dict[str, Any]:
    """The most expensive and the least satisfied tenants; the table has all."""
    table = tenant_table(metrics)
    wanted = (
        "tier",
        "arrived",
        "served",
        "rejected",
        "expired",
        "cancelled",
        "cost_nano_usd",
        "revenue_nano_usd",
        "satisfaction",
    )
    small: Table = {"tenant": table["tenant"], **{name: table[name] for name in wanted}}

    def best(order: Any) -> dict[str, dict[str, Any]]:
        rows = [row for row in order if table["arrived"][row]][:_TOP_TENANTS]
        return rows_of({name: column[rows] for name, column in small.items()}, "tenant")

    return {
        "count": len(metrics.static.tenant_names),
        "active": int((table["arrived"] > 0).sum()),
        "most_expensive": best(np.argsort(-table["cost_nano_usd"], kind="stable")),
        "least_satisfied": best(np.argsort(table["satisfaction"], kind="stable")),  # NaN is last
    }


def summarise(metrics: Metrics) -> dict[str, Any]:
    """All figures of the run so far, ready for JSON; `requests` add up to `arrived`.

    Call `Metrics.close` first, so that what still waits or runs is counted up to the end. Figures
    that nothing was measured for are None.
    """
    static, state = metrics.static, metrics.state
    overall = _all_tiers(metrics)
    names = ("arrived", "served", "rejected", "expired", "cancelled")
    cost, keys, revenue = (
        overall["cost_nano_usd"],
        int(key_cost_nano_usd(metrics).sum()),
        int(revenue_nano_usd(metrics).sum()),
    )
    use = group_utilization(metrics)
    of_account = account_utilization(metrics, use)
    tiers = state.tier
    ends = tiers[:, c.TIER_UNSERVED :].sum(axis=0).reshape(len(c.UNSERVED_KINDS), c.REASONS)
    kinds = state.block[c.KIND : c.KIND + c.KINDS]
    return {
        "schema_version": SUMMARY_SCHEMA_VERSION,
        "start_us": static.start_us,
        "end_us": metrics.now_us,
        "horizon_s": static.horizon_us / 1e6,
        "simulated_s": elapsed_us(metrics) / 1e6,
        "interval_s": static.interval_us / 1e6,
        "requests": {name: overall[name] for name in names} | {"in_system": int(state.block[c.OPEN])},
        "all": _usd(overall),
        "tiers": rows_of(tier_table(metrics), "tier"),
        "models": rows_of(model_table(metrics), "model"),
        "accounts": _with_utilization(rows_of(account_table(metrics), "account"), of_account),
        "deployments": _with_utilization(
            rows_of(deployment_table(metrics), "deployment"), deployment_utilization(metrics, use)
        ),
        "tenants": _tenants(metrics),
        "rejections": _by_code(ends[0], REASON_NAMES),
        "expiries": _by_code(ends[1], REASON_NAMES),
        "cancellations": _by_code(ends[2], REASON_NAMES),
        "refusals": _by_code(tiers[:, c.TIER_REFUSAL : c.TIER_UNSERVED].sum(axis=0), REFUSAL_NAMES),
        "log_rows": _by_code(kinds, KIND_NAMES),
        "cost_nano_usd": cost,
        "cost_usd": cost / 1e9,
        "key_cost_nano_usd": keys,
        "key_cost_usd": keys / 1e9,
        "revenue_nano_usd": revenue,
        "revenue_usd": revenue / 1e9,
        "margin_nano_usd": revenue - cost - keys,
        "margin_usd": (revenue - cost - keys) / 1e9,
        "peak_utilization": _peak_by_provider(metrics, of_account),
        "littles_law": littles_law(metrics),
    }
