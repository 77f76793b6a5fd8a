"""Formulas of the summary and SLOs, and what the static tables must be."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from forge1sim.errors import RunError
from forge1sim.metrics import Metrics
from forge1sim.metrics import columns as c
from forge1sim.metrics.interval_tables import (
    code_interval_table,
    deployment_interval_table,
    flow_table,
    hour_table,
    mark_table,
    provider_table,
    tail_table,
    tier_interval_table,
)
from forge1sim.metrics.slo import METRICS, check_slos
from forge1sim.metrics.summary import summarise
from forge1sim.metrics.tables import (
    account_table,
    deployment_table,
    jain_index,
    model_table,
    satisfaction,
    tenant_table,
    tier_table,
)
from forge1sim.metrics.utilization import account_limits, provider_load
from tests.metrics.make_log import START_US, make_log, make_static

STATIC = make_static()


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    metrics = Metrics(STATIC)
    metrics.fold(make_log(STATIC, requests=7000, places=1))
    metrics.close(max(metrics.now_us, START_US + STATIC.horizon_us))
    return metrics


def slo(**fields) -> SimpleNamespace:
    return SimpleNamespace(
        **{"name": "promise", "tier": "all", "metric": "served_ratio", "at_least": None, "at_most": None} | fields
    )


def test_summary_is_json_and_adds_up(metrics):
    summary = json.loads(json.dumps(summarise(metrics), allow_nan=False))
    for name in ("arrived", "served", "rejected", "expired", "cancelled", "cost_nano_usd", "attempts"):
        assert summary["all"][name] == sum(tier[name] for tier in summary["tiers"].values())
    for name in ("served", "cost_nano_usd", "attempts", "refusals"):
        for by in ("models", "accounts", "deployments"):
            assert summary["all"][name] == sum(row[name] for row in summary[by].values())
    assert summary["rejections"]
    assert sum(summary["rejections"].values()) == summary["requests"]["rejected"]
    assert sum(summary["refusals"].values()) == summary["all"]["refusals"]
    assert (
        summary["margin_nano_usd"]
        == summary["revenue_nano_usd"] - summary["cost_nano_usd"] - summary["key_cost_nano_usd"]
    )


def test_contracts_and_accounts_are_prorated_by_a_month_of_730_hours(metrics):
    summary = summarise(metrics)
    assert summary["tiers"]["enterprise"]["revenue_nano_usd"] == 10 * (200_000 * 10**9 // 730)
    full, cut_short = summary["accounts"]["openai-1"], summary["accounts"]["anthropic-1"]
    assert summary["accounts"]["anthropic-1"]["key_cost_nano_usd"] == 1000 * 10**9 // 730
    assert summary["accounts"]["openai-1"]["key_cost_nano_usd"] == pytest.approx(
        cut_short["key_cost_nano_usd"] / 3, rel=0.01
    )
    assert full["paid_s"] == pytest.approx(1200, rel=0.01)
    by_tier = sum(tier["key_cost_nano_usd"] for tier in summary["tiers"].values())
    assert by_tier == pytest.approx(summary["key_cost_nano_usd"], abs=3)


def test_jain_index_of_known_shares():
    assert jain_index(np.array([1.0, 1.0, 1.0])) == pytest.approx(1.0)
    assert jain_index(np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)
    assert jain_index(np.zeros(3)) == 1.0
    assert np.isnan(jain_index(np.array([])))


def test_satisfaction_is_full_only_for_prompt_perfect_answers():
    counts = np.zeros((4, len(c.TENANT_COLUMNS)), np.int64)
    counts[0, [c.SERVED, c.PROMPT_PM, c.SERVED + c.ANSWER_QUALITY_PM]] = 10, 10_000, 10_000
    counts[1, [c.SERVED, c.REJECTED, c.PROMPT_PM, c.SERVED + c.ANSWER_QUALITY_PM]] = 5, 5, 5000, 5000
    counts[2, c.EXPIRED] = 3
    assert satisfaction(counts)[:3].tolist() == [100.0, 50.0, 0.0]
    assert np.isnan(satisfaction(counts)[3])


def test_tables_have_equally_long_columns(metrics):
    tables = (tier_table, tenant_table, model_table, deployment_table, account_table, hour_table, tier_interval_table,
              deployment_interval_table, code_interval_table, flow_table, tail_table, mark_table, provider_table)  # fmt: skip
    for make in tables:
        table = make(metrics)
        assert len({len(column) for column in table.values()}) == 1, make.__name__


def test_load_follows_the_log_and_limits_follow_active_accounts(metrics):
    load = provider_load(metrics)
    minutes = STATIC.interval_us / 60e6
    total = sum((of["requests"] * minutes).sum() for of in load.values())
    late = metrics.state.deployment_intervals[-1, :, c.D_ATTEMPTS].sum()
    assert total + late == metrics.state.tenant[:, c.ATTEMPTS].sum()
    openai = load["openai"]["requests_limit"]  # its only account is put on standby after a third
    assert openai[0] == 200.0  # the account's own limit, below 2 x 120 of its models
    assert openai[-1] == 0.0
    assert account_limits(STATIC)[0].tolist() == [200.0, 800_000.0, np.inf, np.inf, np.inf, np.inf, 4.0]


@pytest.mark.parametrize("metric", METRICS)
def test_every_objective_is_measured(metrics, metric):
    summary = summarise(metrics)
    for tier in ("all", "enterprise"):
        assert check_slos(summary, [slo(metric=metric, tier=tier, at_least=-1.0)])[0].held
        assert not check_slos(summary, [slo(metric=metric, tier=tier, at_most=-1.0)])[0].held


def test_an_objective_without_data_is_missed_only_if_requests_arrived():
    metrics = Metrics(STATIC)
    assert check_slos(summarise(metrics), [slo(metric="wait_p99_s", at_most=1.0)])[0].held
    rows = make_log(STATIC, requests=3)[:1]
    metrics.fold(rows)
    result = check_slos(summarise(metrics), [slo(metric="wait_p99_s", at_most=1.0)])[0]
    assert not result.held
    assert result.seen is None
    assert result.target == "<= 1"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"tier": "gold"}, "gold"), ({"metric": "speed"}, "speed"), ({}, "neither")],
)
def test_an_objective_that_cannot_be_checked_is_named(metrics, fields, words):
    with pytest.raises(RunError, match=words):
        check_slos(summarise(metrics), [slo(**fields)])


@pytest.mark.parametrize(
    "horizon_s", [1, 600, 3600, 86_400, 7 * 86_400, 31 * 86_400, 3 * 365 * 86_400, 20 * 365 * 86_400]
)
def test_intervals_are_few_and_cover_the_horizon(horizon_s):
    static = make_static(horizon_s=horizon_s)
    assert static.intervals <= 1500
    assert static.intervals * static.interval_us >= static.horizon_us


def test_thousands_of_deployments_make_intervals_longer_not_memory_larger():
    static = make_static(accounts=3000, deployments_per_account=2, horizon_s=86_400)
    assert static.intervals * len(static.deployment_names) <= 2_100_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"horizon_us": 0}, "horizon_us"),
        ({"tier_names": ()}, "tier_names"),
        ({"tier_of_tenant": np.zeros(3, np.int32)}, "tier_of_tenant"),
        ({"tier_of_tenant": np.full(30, 7, np.int32)}, "tier_of_tenant"),
        ({"account_of_group": np.full(9, -1, np.int32)}, "account_of_group"),
        ({"group_limits": np.ones((2, 2))}, "group_limits"),
        ({"wait_target_s": (1.0,)}, "wait_target_s"),
    ],
)
def test_static_tables_that_cannot_be_are_named(change, words):
    with pytest.raises(RunError, match=words):
        dataclasses.replace(STATIC, **change)
