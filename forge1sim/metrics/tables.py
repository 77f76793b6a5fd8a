"""Tables by tier, tenant, model, deployment, account and interval, derived from the folded state.

A table is a dict of equally long columns. Units are in the names; money stays whole nano-USD,
rates are ratios in [0, 1], and a figure that nothing was measured for is NaN.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import columns as c
from forge1sim.metrics.histogram import BINS, quantile_rows_us, sketch_edges_us
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.static import MONTH_US
from policies.log import REASON_NAMES, REFUSAL_NAMES

Table = dict[str, NDArray[Any]]
QUANTILES = (0.5, 0.95, 0.99)
TENANT, FLOW = c.TENANT_COLUMNS.index, c.FLOW_COLUMNS.index


def ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0))


def names_of(names: Sequence[str]) -> NDArray[np.str_]:
    """Names as a column, also when there are none."""
    return np.array(names, np.str_) if names else np.array([], np.str_)


def duration_columns(histograms: NDArray[np.integer]) -> Table:
    """`wait_p50_s` ... `latency_p99_s` from rows of two histograms side by side, shape (n, 2 * BINS)."""
    table: Table = {}
    for which, name in enumerate(("wait", "latency")):
        values = quantile_rows_us(histograms[:, which * BINS : (which + 1) * BINS], QUANTILES) / 1e6
        for column, quantile in enumerate(QUANTILES):
            table[f"{name}_p{quantile * 100:.0f}_s"] = values[:, column]
    return table


def answer_columns(counts: NDArray[np.int64], served: int) -> Table:
    """Counts and means of the answer columns that begin at column `served`; shape (n, any)."""
    table: Table = {name: counts[:, served + place].copy() for place, name in enumerate(c.ANSWER_COLUMNS)}
    answered = table["served"]
    table["wait_mean_s"] = ratio(table.pop("wait_us"), answered) / 1e6
    table["latency_mean_s"] = ratio(table.pop("latency_us"), answered) / 1e6
    table["quality_mean"] = ratio(table.pop("quality_pm"), answered) / 1e3
    return table


def elapsed_us(metrics: Metrics) -> int:
    """Time for which contracts and accounts are paid: up to now, at most the horizon."""
    return min(metrics.now_us - metrics.static.start_us, metrics.static.horizon_us)


def revenue_nano_usd(metrics: Metrics) -> NDArray[np.int64]:
    """Contract of each tenant for the elapsed time; a month has 730 hours. Rounded down to whole nano-USD."""
    elapsed = elapsed_us(metrics)
    contracts = metrics.static.contract_nano_usd_per_month.tolist()
    return np.array([contract * elapsed // MONTH_US for contract in contracts], np.int64)


def key_cost_nano_usd(metrics: Metrics) -> NDArray[np.int64]:
    """What each account costs for the time that it was active, draining or without keys."""
    monthly = metrics.static.account_nano_usd_per_month.tolist()
    paid = metrics.state.account[:, c.PAID_US].tolist()
    return np.array([usd * time // MONTH_US for usd, time in zip(monthly, paid, strict=True)], np.int64)


def key_cost_by_tier(metrics: Metrics) -> NDArray[np.float64]:
    """Key cost shared among tiers by the tokens they reserved at each account; an unused account is nobody's."""
    static = metrics.static
    reserved = metrics.state.flow[:, :, FLOW("reserved_tokens")].astype(np.float64)
    by_account = np.zeros((len(static.tier_names), len(static.account_names)))
    np.add.at(by_account.T, static.account_of_deployment, reserved.T)
    shares = np.nan_to_num(ratio(by_account, by_account.sum(axis=0)))
    return np.asarray(shares @ key_cost_nano_usd(metrics).astype(np.float64))


def jain_index(shares: NDArray[np.float64]) -> float:
    """Jain's fairness of `shares`: (sum x)^2 / (n sum x^2), from 1/n to 1; NaN for none, 1 if all are 0.

    Source: R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984.
    """
    if shares.size == 0:
        return float("nan")
    squares = float((shares**2).sum())
    return 1.0 if squares == 0 else float(shares.sum()) ** 2 / (shares.size * squares)


def satisfaction(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """0 to 100 by row of tenant counts: the mean over ended requests of (promptness + quality) / 2, 0 if unserved.

    Promptness is 1 up to the tier's wait target and target / wait beyond it. See docs/metrics.md.
    """
    ended = sum(counts[:, TENANT(name)] for name in ("served", "rejected", "expired", "cancelled"))
    return 100.0 * ratio(counts[:, TENANT("prompt_pm")] + counts[:, TENANT("quality_pm")], 2000 * ended)


def tenant_table(metrics: Metrics) -> Table:
    """One row for each tenant; quantiles of waits come from a sketch with bins of about 40 %."""
    static, counts = metrics.static, metrics.state.tenant
    detail = metrics.state.tenant_detail
    plain = {
        name: counts[:, TENANT(name)].copy()
        for name in c.TENANT_COLUMNS
        if name not in (*c.ANSWER_COLUMNS, "prompt_pm")
    }
    seconds = quantile_rows_us(detail[:, c.TENANT_WAIT :], QUANTILES, sketch_edges_us()) / 1e6
    return {
        "tenant": names_of(static.tenant_names),
        "tier": names_of(static.tier_names)[static.tier_of_tenant],
        **plain,
        **answer_columns(counts, c.SERVED),
        **{f"wait_p{q * 100:.0f}_s": seconds[:, column] for column, q in enumerate(QUANTILES)},
        **{f"rejected_{name}": detail[:, code].astype(np.int64) for code, name in REASON_NAMES.items() if detail[:, code].any()},
        "satisfaction": satisfaction(counts),
        "revenue_nano_usd": revenue_nano_usd(metrics),
    }


def tier_counts(metrics: Metrics) -> NDArray[np.int64]:
    """Tenant counts added up by tier, shape (tiers, TENANT_COLUMNS)."""
    tiers = range(len(metrics.static.tier_names))
    return np.array([metrics.state.tenant[metrics.static.tier_of_tenant == tier].sum(axis=0) for tier in tiers])


def tier_table(metrics: Metrics) -> Table:
    """One row for each tier."""
    static, state, counts = metrics.static, metrics.state, tier_counts(metrics)
    revenue = np.zeros(len(static.tier_names), np.int64)
    np.add.at(revenue, static.tier_of_tenant, revenue_nano_usd(metrics))
    arrived, served = counts[:, TENANT("arrived")], counts[:, TENANT("served")]
    shares = ratio(state.tenant[:, TENANT("served")], state.tenant[:, TENANT("arrived")])
    active = state.tenant[:, TENANT("arrived")] > 0
    fairness = [jain_index(shares[active & (static.tier_of_tenant == tier)]) for tier in range(len(static.tier_names))]
    keys = key_cost_by_tier(metrics).round().astype(np.int64)
    cost = counts[:, TENANT("cost_nano_usd")]
    return {
        "tier": names_of(static.tier_names),
        "tenants": np.bincount(static.tier_of_tenant, minlength=len(static.tier_names)),
        **{name: counts[:, TENANT(name)] for name in c.TENANT_COLUMNS if name not in (*c.ANSWER_COLUMNS, "prompt_pm")},
        "in_system": state.tier[:, c.IN_SYSTEM_NOW].copy(),
        "waiting": state.tier[:, c.WAITING_NOW].copy(),
        **answer_columns(counts, c.SERVED),
        **duration_columns(state.tier_histograms),
        "served_ratio": ratio(served, arrived),
        "rejected_ratio": ratio(counts[:, TENANT("rejected")], arrived),
        "expired_ratio": ratio(counts[:, TENANT("expired")], arrived),
        "on_time_ratio": ratio(counts[:, TENANT("on_time")], arrived),
        "jain_index": np.array(fairness),
        "satisfaction": satisfaction(counts),
        "cost_per_request_usd": ratio(cost, served) / 1e9,
        "revenue_nano_usd": revenue,
        "key_cost_nano_usd": keys,
        "margin_nano_usd": revenue - cost - keys,
    }


def _flow_table(counts: NDArray[np.int64], histograms: NDArray[np.integer]) -> Table:
    plain = {name: counts[:, FLOW(name)].copy() for name in c.FLOW_COLUMNS if name not in c.ANSWER_COLUMNS}
    return {**plain, **answer_columns(counts, c.F_SERVED), **duration_columns(histograms)}


def _added(rows: NDArray[np.integer], owner: NDArray[np.int32], owners: int) -> NDArray[np.int64]:
    total = np.zeros((owners, *rows.shape[1:]), np.int64)
    for row, its in zip(rows, owner.tolist(), strict=True):
        total[its] += row
    return total


def deployment_table(metrics: Metrics) -> Table:
    """One row for each deployment."""
    static, state = metrics.static, metrics.state
    counts = state.flow.sum(axis=0)
    refusals = state.deployment[:, c.DEPLOYMENT_REFUSAL :]
    providers = names_of(static.account_provider)
    return {
        "deployment": names_of(static.deployment_names),
        "model": names_of(static.model_names)[static.model_of_deployment],
        "account": names_of(static.account_names)[static.account_of_deployment],
        "provider": providers[static.account_of_deployment],
        **_flow_table(counts, state.deployment_histograms),
        **{f"refused_{name}": refusals[:, code].copy() for code, name in REFUSAL_NAMES.items()},
        "busy_s": state.deployment_intervals[:, :, c.D_BUSY_US].sum(axis=0) / 1e6,
        "in_flight": state.deployment[:, c.FLIGHT_NOW].copy(),
    }


def account_table(metrics: Metrics) -> Table:
    """One row for each account, with what it costs to hold."""
    static, state = metrics.static, metrics.state
    count, owner = len(static.account_names), static.account_of_deployment
    counts = _added(state.flow.sum(axis=0), owner, count)
    return {
        "account": names_of(static.account_names),
        "provider": names_of(static.account_provider),
        **_flow_table(counts, _added(state.deployment_histograms, owner, count)),
        "paid_s": state.account[:, c.PAID_US] / 1e6,
        "active_s": state.account_active.sum(axis=0) / 1e6,
        "key_cost_nano_usd": key_cost_nano_usd(metrics),
    }


def model_table(metrics: Metrics) -> Table:
    """One row for each model, as served; `wanted_...` counts requests that named it."""
    static, state = metrics.static, metrics.state
    count, owner = len(static.model_names), static.model_of_deployment
    counts = _added(state.flow.sum(axis=0), owner, count)
    return {
        "model": names_of(static.model_names),
        **_flow_table(counts, _added(state.deployment_histograms, owner, count)),
        **{f"wanted_{name}": state.wanted[1:, column].copy() for column, name in enumerate(c.WANTED_COLUMNS)},
    }
