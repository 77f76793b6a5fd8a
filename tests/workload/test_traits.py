"""Tokens, complexity, models, deadlines and the rest have the distributions asked for."""

import numpy as np
import pytest

from forge1sim.errors import WorkloadError
from forge1sim.workload.spec import Demand
from forge1sim.workload.table import AUTO, NEVER_US
from tests.workload.groups import Tenants, build, rows_of, synthetic

N = 40_000.0  # requests, at one per second


def waits_s(rows):
    return (rows["deadline_us"] - rows["arrive_us"]) / 1e6


@pytest.mark.parametrize(
    ("kind", "cv"), [("lognormal", 2.0), ("gamma", 2.0), ("gamma", 0.5), ("exponential", 1.0), ("deterministic", 0.0)]
)
def test_tokens_have_mean_and_spread(kind, cv):
    rows = synthetic(N, requests_per_s=1.0, input_tokens={"kind": kind, "mean": 5000.0, "cv": cv})
    tokens = rows["input_tokens"]
    assert tokens.mean() == pytest.approx(5000.0, abs=5 * 5000 * cv / np.sqrt(tokens.size) + 1e-9)
    assert tokens.std() / 5000.0 == pytest.approx(cv, rel=0.12)


def test_lognormal_tails_are_heavy_and_capped():
    given = {"kind": "lognormal", "mean": 1000.0, "cv": 3.0, "at_most": 50_000.0}
    tokens = synthetic(N, requests_per_s=1.0, output_tokens=given)["output_tokens"]
    assert tokens.max() == 50_000
    assert np.quantile(tokens, 0.99) > 8 * tokens.mean()


def test_empirical_values_come_equally_often():
    given = {"kind": "empirical", "values": (0.0, 7.0, 9.0)}
    tokens = synthetic(N, requests_per_s=1.0, input_tokens=given)["input_tokens"]
    values, counts = np.unique(tokens, return_counts=True)
    assert values.tolist() == [0, 7, 9]
    assert counts / tokens.size == pytest.approx(1 / 3, abs=0.01)


def test_nothing_said_means_no_bound():
    rows = synthetic(1000.0, requests_per_s=1.0)
    assert (rows["deadline_us"] == NEVER_US).all()
    assert (rows["cancel_us"] == NEVER_US).all()
    assert (rows["wanted"] == AUTO).all()
    for field in ("budget_nano_usd", "max_output_tokens", "cached_tokens", "service_class"):
        assert not rows[field].any()


def test_deadlines_cancellations_and_batch():
    rows = synthetic(
        N, requests_per_s=1.0, deadline_s={"kind": "exponential", "mean": 20.0}, batch_share=0.3,
        cancel_probability=0.2, cancel_after_s={"kind": "deterministic", "mean": 4.0},
    )  # fmt: skip
    assert waits_s(rows).mean() == pytest.approx(20.0, rel=0.03)
    leaving = rows["cancel_us"] < NEVER_US
    assert leaving.mean() == pytest.approx(0.2, abs=0.01)
    assert (rows["cancel_us"] - rows["arrive_us"])[leaving] == pytest.approx(4_000_000)
    assert rows["service_class"].mean() == pytest.approx(0.3, abs=0.01)
    assert np.corrcoef(leaving, rows["service_class"])[0, 1] == pytest.approx(0.0, abs=0.03)


def test_models_complexity_cache_and_answers_cut():
    rows = synthetic(
        N, requests_per_s=1.0, models={"auto": 1.0, "large": 3.0}, cached_share=0.5, max_output_tokens=100,
        complexity={"values": (0.1, 0.9), "weights": (1.0, 4.0)},
    )  # fmt: skip
    assert (rows["wanted"] == 1).mean() == pytest.approx(0.75, abs=0.01)
    assert (rows["wanted"] == AUTO).mean() == pytest.approx(0.25, abs=0.01)
    assert (rows["complexity_pm"] == 900).mean() == pytest.approx(0.8, abs=0.01)
    assert np.abs(rows["cached_tokens"] - rows["input_tokens"] / 2).max() <= 0.5
    assert rows["output_tokens"].max() == 100
    assert (rows["max_output_tokens"] == 100).all()


def test_beta_complexity_has_its_mean_and_spread():
    pm = synthetic(N, requests_per_s=1.0, complexity={"mean": 0.3, "concentration": 4.0})["complexity_pm"]
    assert pm.mean() == pytest.approx(300, abs=5)
    assert pm.std() == pytest.approx(1000 * np.sqrt(0.3 * 0.7 / 5), rel=0.03)
    assert pm.min() >= 0
    assert pm.max() <= 1000


def test_the_groups_request_budget_is_in_nano_usd():
    demand = Demand(requests_per_s=1.0)
    for usd, nano in ((0.25, 250_000_000), (0.0, 1), (None, 0)):
        rows = rows_of(build([Tenants(request_budget_usd=usd, demand=demand)], 50.0))
        assert set(rows["budget_nano_usd"].tolist()) == {nano}


def test_sessions_grow_and_read_their_prefix_from_the_cache():
    rows = synthetic(
        20_000.0, requests_per_s=1.0, input_tokens={"mean": 100.0}, output_tokens={"mean": 10.0},
        sessions={"requests": {"mean": 5.0}, "think_time_s": {"mean": 1.0}, "new_tokens": {"mean": 20.0}},
    )  # fmt: skip
    turn = (rows["input_tokens"] - 100) // 30
    assert set(turn.tolist()) == {0, 1, 2, 3, 4}
    later = turn > 0
    assert (rows["cached_tokens"][later] == rows["input_tokens"][later] - 30).all()
    assert (rows["cached_tokens"][~later] == 0).all()
    # 4,000 sessions of 5 requests each, less what the horizon cuts.
    assert abs(rows.size - 20_000) < 5 * 5 * np.sqrt(4000)


def test_a_cold_cache_serves_nothing_and_context_ends_growth():
    rows = synthetic(
        5000.0, requests_per_s=1.0, input_tokens={"mean": 100.0},
        sessions={"requests": {"mean": 50.0}, "think_time_s": {"mean": 10.0}, "cache_lasts_s": 5.0,
                  "context_tokens": 2000},
    )  # fmt: skip
    assert not rows["cached_tokens"].any()
    assert rows["input_tokens"].max() == 2000


def test_an_unknown_model_is_named():
    with pytest.raises(WorkloadError, match=r"tenant group acme: models: 'gpt-9' is no model.*auto, small, large"):
        build([Tenants(name="acme", demand=Demand(requests_per_s=1.0, models={"gpt-9": 1.0}))], 10.0)


def test_demand_without_rate_is_refused():
    with pytest.raises(WorkloadError, match="requests_per_s"):
        build([Tenants(demand=Demand())], 10.0)


def test_too_many_requests_are_refused():
    with pytest.raises(WorkloadError, match="lower the rates or shorten the horizon"):
        build([Tenants(demand=Demand(requests_per_s=1e9))], 10.0)
