"""Bid prices: they turn the order of models and are paid by nobody."""

import numpy as np
import pytest

from forge1sim.errors import ScenarioError
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from policies import log

TWO_MODELS = """\
name: two
horizon_s: 5min
models:
  - {name: m.1, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 1, context_tokens: 100000, max_output_tokens: 1000,
     performance: [0.9, 0.9, 0.9, 0.9, 0.9]}
  - {name: other, provider: p, input_usd_per_1m: 2, output_usd_per_1m: 2, context_tokens: 100000, max_output_tokens: 1000,
     performance: [0.9, 0.9, 0.9, 0.9, 0.9]}
accounts: [{name: a, provider: p}]
providers: [{name: p}]
tenants:
  - name: client
    demand:
      requests_per_s: 2
      input_tokens: {kind: empirical, values: [100, 9900]}
      output_tokens: {kind: deterministic, mean: 10}
      max_output_tokens: 100
policies: {output_prediction_ratio: 1.0}
"""
PER_REQUEST, PER_1M = "policies.routing.bid_price_usd_per_request", "policies.routing.bid_price_usd_per_1m_tokens"


@pytest.fixture
def dispatched(tmp_path):
    """Input tokens and model row of each request that was sent, and the run's summary, under these overrides."""
    path = tmp_path / "two.yaml"
    path.write_text(TWO_MODELS)

    def run(*overrides):
        rows = []
        result = simulate(load_scenario(path, overrides), sinks=(lambda chunk: rows.append(chunk.copy()),))
        found = np.concatenate(rows)
        asked = found[found["kind"] == log.ARRIVE]
        sent = found[found["kind"] == log.DISPATCH]
        tokens = dict(zip(asked["request"].tolist(), (asked["v0"] & log.LOW_32).tolist(), strict=True))
        return [(tokens[row["request"]], int(row["deployment"])) for row in sent], result.summary

    return run


def models_by_size(sent):
    return {size: {model for tokens, model in sent if tokens == size} for size in (100, 9900)}


def test_without_them_the_cheaper_model_takes_all(dispatched):
    sent, _ = dispatched()
    assert models_by_size(sent) == {100: {0}, 9900: {0}}


def test_a_price_per_request_keeps_a_model_for_large_ones(dispatched):
    """A small request costs 0.0002 more elsewhere, a large one 0.01."""
    sent, _ = dispatched(f"{PER_REQUEST}.m.1=0.001")
    assert models_by_size(sent) == {100: {1}, 9900: {0}}


@pytest.mark.parametrize(("usd_per_1m_tokens", "model"), [(0.9, 0), (1.1, 1)])
def test_a_price_per_token_turns_the_order_for_all_sizes(dispatched, usd_per_1m_tokens, model):
    sent, _ = dispatched(f"{PER_1M}.m.1={usd_per_1m_tokens}")
    assert models_by_size(sent) == {100: {model}, 9900: {model}}


def test_nobody_pays_them(dispatched):
    """They are asked for both models: the order stays, and so does the bill."""
    _, plain = dispatched()
    sent, priced = dispatched(f"{PER_REQUEST}.m.1=0.5", f"{PER_REQUEST}.other=0.5")
    assert models_by_size(sent) == {100: {0}, 9900: {0}}
    assert priced["cost_usd"] == plain["cost_usd"]


@pytest.mark.parametrize("choice", ["best_quality", "any"])
def test_they_are_for_those_who_compare_costs(dispatched, choice):
    sent, _ = dispatched(f"policies.routing.model_choice={choice}", f"{PER_REQUEST}.m.1=0.5")
    assert {model for _, model in sent} == {0}


def test_a_model_that_there_is_not_is_named(dispatched):
    with pytest.raises(ScenarioError, match=r"bid_price_usd_per_request.m.2 is 'm.2', no model of this scenario; did you mean m.1"):
        dispatched(f"{PER_REQUEST}.m.2=0.5")
