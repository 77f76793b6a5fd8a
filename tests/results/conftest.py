"""Small scenarios that really run, each in its own result folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forge1sim.results.read import RunFolder, read_run
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario

# Two models of two providers; each test says what is scarce. Requests have 300 tokens in and up to 200 out.
SCENARIO = """
name: by-hand
start: 2026-11-02T00:00:00Z
horizon_s: 2h
models: [gpt-5.4-mini, claude-haiku-4-5]
accounts:
  - name: alpha
    provider: openai
    usd_per_month: 100
    limits: [{alpha_limits}]
  - name: beta
    provider: anthropic
    usd_per_month: 300
    limits: [{beta_limits}]
tenants:
  - name: gold
    count: 3
    tier: enterprise
    contract_usd_per_month: 9000
    demand: &demand
      requests_per_s: {requests_per_s}
      input_tokens: {{kind: deterministic, mean: 300}}
      output_tokens: {{kind: deterministic, mean: 100}}
      max_output_tokens: 200
      models: {{gpt-5.4-mini: 1}}
      deadline_s: {{kind: deterministic, mean: 60}}
  - name: iron
    count: 40
    tier: standard
    contract_usd_per_month: 50
    {own_limit}
    demand: *demand
policies:
  queue: {{enabled: {queue}}}
  retry: {{fallback_models: false}}
slos:
  - {{name: gold is served, tier: enterprise, metric: served_ratio, at_least: 0.9}}
  - {{name: iron never waits, tier: standard, metric: wait_p95_s, at_most: 0.001}}
seed: 7
"""
WIDE = "{dimension: rpm, model_class: gpt-5.4-mini, limit: 100000}, {dimension: tpm, model_class: gpt-5.4-mini, limit: 100000000}"
MakeRun = Callable[..., RunFolder]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> MakeRun:
    """Run the scenario with what the caller makes scarce, and open its results."""

    def make(
        alpha_limits: str = WIDE, beta_limits: str = WIDE.replace("gpt-5.4-mini", "claude-haiku-4-5"), requests_per_s: float = 1,
        queue: str = "true", own_limit: str = "", overrides: tuple[str, ...] = (), seed: int | None = None,
    ) -> RunFolder:  # fmt: skip
        base = tmp_path_factory.mktemp("run")
        file = base / "by_hand.yaml"
        text = SCENARIO.format(
            alpha_limits=alpha_limits, beta_limits=beta_limits, requests_per_s=requests_per_s, queue=queue, own_limit=own_limit
        )
        file.write_text(text, encoding="utf-8")
        folder: Path = base / "out"
        simulate(load_scenario(file, overrides, seed=seed), seed=seed, out=folder)
        return read_run(folder)

    return make


@pytest.fixture(scope="session")
def scarce(make_run) -> RunFolder:
    """60 requests a minute allowed, about 120 wanted; tokens abound."""
    return make_run(alpha_limits="{dimension: rpm, model_class: gpt-5.4-mini, limit: 60}, " + WIDE.split("}, ")[1])


@pytest.fixture(scope="session")
def easy(make_run) -> RunFolder:
    """Nothing is scarce."""
    return make_run()
