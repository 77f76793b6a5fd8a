"""Tables over time, and those that only figures need: flows, tails and marks."""

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import columns as c
from forge1sim.metrics.histogram import BINS, exceedance
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.static import MetricsStatic
from forge1sim.metrics.tables import FLOW, Table, names_of, ratio
from forge1sim.metrics.utilization import deployment_utilization, provider_load
from policies.log import ACCOUNT, ACCOUNT_STATE_NAMES, CONTROL_NAMES, REASON_NAMES, REFUSAL_NAMES


def hour_table(metrics: Metrics) -> Table:
    """One row for each coarse interval, tier and model with an answer; the last interval is after the horizon."""
    static, hours = metrics.static, metrics.state.hour_models
    hour, tier, model = np.nonzero(hours[..., c.H_SERVED])
    return {
        "start_us": static.start_us + hour * static.hour_us,
        "tier": names_of(static.tier_names)[tier],
        "model": names_of(static.model_names)[model],
        "served": hours[hour, tier, model, c.H_SERVED],
        "cost_nano_usd": hours[hour, tier, model, c.H_COST],
        "quality_mean": ratio(hours[hour, tier, model, c.H_QUALITY_PM], hours[hour, tier, model, c.H_SERVED]) / 1e3,
    }


def _starts(static: MetricsStatic, others: int) -> NDArray[np.int64]:
    return np.repeat(static.start_us + np.arange(static.intervals + 1) * static.interval_us, others)


def tier_interval_table(metrics: Metrics) -> Table:
    """One row for each interval and tier; means over the interval of those waiting and in the system."""
    static, rows = metrics.static, metrics.state.tier_intervals
    tiers = len(static.tier_names)
    table: Table = {
        "start_us": _starts(static, tiers),
        "tier": np.tile(names_of(static.tier_names), static.intervals + 1),
    }
    for column, name in enumerate(c.TIER_INTERVAL_COLUMNS):
        table[name] = rows[:, :, column].ravel()
    for name in ("waiting", "in_system"):
        table[f"{name}_mean"] = table.pop(f"{name}_us") / static.interval_us
    return table


def deployment_interval_table(metrics: Metrics) -> Table:
    """One row for each interval and deployment, with the use of its tightest limit (`utilization`)."""
    static, rows = metrics.static, metrics.state.deployment_intervals
    count = len(static.deployment_names)
    table: Table = {
        "start_us": _starts(static, count),
        "deployment": np.tile(names_of(static.deployment_names), static.intervals + 1),
    }
    for column, name in enumerate(c.DEPLOYMENT_INTERVAL_COLUMNS):
        table[name] = rows[:, :, column].ravel()
    table["in_flight_mean"] = table.pop("busy_us") / static.interval_us
    table["utilization"] = deployment_utilization(metrics).ravel()
    return table


def code_interval_table(metrics: Metrics) -> Table:
    """One row for each interval: rejections by reason and refusals by class, those that occurred at all."""
    static, rows = metrics.static, metrics.state.code_intervals
    table: Table = {"start_us": _starts(static, 1)}
    for prefix, names, begin in (("rejected", REASON_NAMES, 0), ("refused", REFUSAL_NAMES, c.CODE_REFUSAL)):
        for code, name in names.items():
            if rows[:, begin + code].any():
                table[f"{prefix}_{name}"] = rows[:, begin + code].copy()
    return table


def flow_table(metrics: Metrics) -> Table:
    """One row for each tier and deployment that met: from tier through model to account."""
    static, flow = metrics.static, metrics.state.flow
    tier, deployment = np.nonzero(flow[:, :, c.F_ATTEMPTS])
    names = (
        "attempts", "refusals", "served", "cost_nano_usd", "unanswered_cost_nano_usd", "input_tokens", "cached_tokens", "output_tokens",
    )  # fmt: skip
    return {
        "tier": names_of(static.tier_names)[tier],
        "model": names_of(static.model_names)[static.model_of_deployment[deployment]],
        "account": names_of(static.account_names)[static.account_of_deployment[deployment]],
        **{name: flow[tier, deployment, FLOW(name)] for name in names},
    }


def tail_table(metrics: Metrics, points: int = 300) -> Table:
    """Shares of requests that waited, or took, longer than so many seconds, by tier; dense in the tail."""
    parts: list[Table] = []
    for row, tier in enumerate(metrics.static.tier_names):
        for measure, begin in (("wait", 0), ("latency", c.LATENCY_BINS)):
            seconds, above = exceedance(metrics.state.tier_histograms[row, begin : begin + BINS], points)
            part = {"tier": np.full(len(seconds), tier), "measure": np.full(len(seconds), measure)}
            parts.append({**part, "seconds": seconds, "share_above": above})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mark_table(metrics: Metrics) -> Table:
    """Faults as planned, and what happened to accounts and limits; an instant ends when it starts."""
    static, marks = metrics.static, metrics.state.marks[: metrics.state.block[c.MARKS]]
    labels, starts, ends = [], [], []
    for mark in static.marks:
        labels.append(mark.label)
        starts.append(mark.start_us)
        ends.append(mark.end_us)
    for time_us, kind, code, account in marks.tolist():
        known = 0 <= account < len(static.account_names)
        what = (ACCOUNT_STATE_NAMES if kind == ACCOUNT else CONTROL_NAMES).get(code, str(code)).replace("_", " ")
        labels.append(f"{static.account_names[account]} {what}" if known else what)
        starts.append(time_us)
        ends.append(time_us)
    planned = np.arange(len(labels)) < len(static.marks)
    return {
        "label": names_of(labels), "start_us": np.array(starts, np.int64), "end_us": np.array(ends, np.int64),
        "is_fault": planned,
    }  # fmt: skip


def provider_table(metrics: Metrics) -> Table:
    """One row for each interval of the horizon and provider: load and limit per minute, and in flight."""
    static, loads = metrics.static, provider_load(metrics)
    starts = static.start_us + np.arange(static.intervals) * static.interval_us
    units = {"requests": "requests_per_min", "tokens": "tokens_per_min", "in_flight": "in_flight"}
    table: Table = {"start_us": np.tile(starts, len(loads)), "provider": np.repeat(names_of(list(loads)), len(starts))}
    for name, unit in units.items():
        table[unit] = np.concatenate([load[name] for load in loads.values()] or [np.zeros(0)])
        table[f"{unit}_limit"] = np.concatenate([load[f"{name}_limit"] for load in loads.values()] or [np.zeros(0)])
    return table
