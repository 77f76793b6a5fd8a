"""Why a request is turned away: the most telling reason among its models; and growth that providers do not count."""

from collections import Counter

import numpy as np
import pytest

from forge1sim.check import check_log
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from policies import log

TWO_MODELS = """
name: two
models:
  - {name: MODEL_1, provider: a, input_usd_per_1m: 0.1, output_usd_per_1m: 0.1, speed: {service_s: {mean: 1}}}
  - {name: MODEL_2, provider: a, input_usd_per_1m: 10, output_usd_per_1m: 10, speed: {service_s: {mean: 1}}}
accounts: [{name: one, provider: a}]
tenants:
  - {name: crowd, BUDGETS, demand: {requests_per_s: 1, input_tokens: {mean: 1000}, max_output_tokens: 100}}
horizon_s: 10min
"""
ACCELERATION = """
name: acc
models:
  - {name: small, provider: a, input_usd_per_1m: PRICE, output_usd_per_1m: PRICE, speed: {service_s: {kind: exponential, mean: MEAN}}}
accounts:
  - {name: one, provider: a, limits: [{dimension: acceleration, limit: 20, window_s: 15, growth: 1.3, charge: requests}]}
providers: [{name: a, error_probability: 0.2, error_after_s: 6}]
tenants:
  - {name: crowd, count: 20, demand: {requests_per_s: 4, arrivals: {kind: gamma, cv: 3}, max_output_tokens: 100, deadline_s: {mean: 60}}}
policies: {cooldown: {failures_to_cool: 10000}}
horizon_s: 30min
"""


def run(folder, text):
    path = folder / "case.yaml"
    path.write_text(text)
    loaded, chunks = load_scenario(path), []
    simulate(loaded, sinks=(lambda rows: chunks.append(rows.copy()),))
    rows = np.concatenate(chunks)
    assert check_log([rows], loaded.platform, loaded.bundle, start_us=loaded.start_us).findings == []
    return rows


def reasons(rows):
    return Counter(log.REASON_NAMES[code] for code in rows["code"][rows["kind"] == log.REJECT])


@pytest.mark.parametrize(("first", "second"), [("small", "large"), ("large", "small")])
def test_a_spent_tenant_budget_is_told_whatever_other_models_say(tmp_path, first, second):
    text = TWO_MODELS.replace("MODEL_1", first).replace("MODEL_2", second)
    found = reasons(run(tmp_path, text.replace("BUDGETS", "budget_usd_per_month: 0.01, request_budget_usd: 0.001")))
    assert found.keys() == {"tenant_budget"}


def test_a_request_budget_is_told_before_a_model_that_is_too_small(tmp_path):
    text = TWO_MODELS.replace("MODEL_1", "dear").replace("name: MODEL_2,", "name: short, context_tokens: 500,")
    found = reasons(run(tmp_path, text.replace("BUDGETS", "request_budget_usd: 0.00001")))
    assert found.keys() == {"request_budget"}


@pytest.mark.parametrize("mean_s", [1, 12])
@pytest.mark.parametrize("price", [0, 1])
def test_growth_follows_what_was_served_and_the_provider_never_refuses(tmp_path, mean_s, price):
    """A fifth of the attempts fail after seconds; answers come in the window of dispatch or in a later one."""
    rows = run(tmp_path, ACCELERATION.replace("MEAN", str(mean_s)).replace("PRICE", str(price)))
    refused = Counter(log.REFUSAL_NAMES[code] for code in rows["code"][rows["kind"] == log.REFUSED])
    assert refused.keys() == {"failed"}
    served = rows[rows["kind"] == log.DISPATCH]["time_us"] // 15_000_000
    most = np.bincount((served - served[0]).astype(int)).max()
    assert most > 26                # it did grow, beyond 1.3 times the least
