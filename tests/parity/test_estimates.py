"""Laws of runs in which the gateway has estimates only: one log, true bills, and nobody else's luck."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forge1sim.check import check_log
from forge1sim.cli.main import app
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from policies.log import ARRIVE, CALLER, COMPLETE, REFUSED

ROOT = Path(__file__).parents[2]
LOW_WORD = 2**32 - 1
PLATFORM = """\
name: guessing
models:
  - {name: good, provider: p, input_usd_per_1m: 3, output_usd_per_1m: 9, performance: [0.98, 0.96, 0.94, 0.92, 0.9]}
  - {name: weak, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 2, performance: [0.95, 0.8, 0.6, 0.4, 0.2]}
accounts:
  - name: a
    provider: p
    count: 2
    limits:
      - {dimension: tpm, limit: 90000, burst_s: 20, model_class: good}
      - {dimension: itpm, limit: 90000, window: sliding, model_class: weak}
      - {dimension: tpd, limit: 2000000}
tenants:
  - name: t
    count: 4
    tier: standard
    quality_floor: 0.5
    demand: {requests_per_s: 3, max_output_tokens: 300, cached_share: 0.2, deadline_s: {mean: 20}}
seed: 5
horizon_s: 120
drain_s: 300
"""
ERR = ["workload.estimation={input_tokens_cv: 0.3, complexity_sd: 0.15}"]


def _load(folder, *settings, text=PLATFORM):
    scenario = folder / "guessing.yaml"
    scenario.write_text(text)
    return load_scenario(scenario, settings)


def _rows(loaded, driver="compiled"):
    chunks = []
    result = simulate(loaded, driver=driver, sinks=(lambda rows: chunks.append(rows.copy()),))
    return np.concatenate(chunks), result.summary


def _arrivals(rows):
    """Input tokens and complexity that the gateway saw, by (tenant, order of arrival)."""
    arrived = rows[rows["kind"] == ARRIVE]
    return {tenant: arrived[arrived["tenant"] == tenant][["v0", "v4"]].tolist() for tenant in np.unique(arrived["tenant"])}


def test_no_error_is_the_same_log_as_none_asked_for(tmp_path):
    plain, exact = _load(tmp_path), _load(tmp_path, "workload.estimation={input_tokens_cv: 0, input_tokens_bias: 1, complexity_sd: 0}")
    assert _rows(plain)[1]["event_log_sha256"] == _rows(exact)[1]["event_log_sha256"]


def test_both_clocks_and_plain_python_give_one_log(tmp_path):
    loaded = _load(tmp_path, *ERR)
    hashes = {_rows(loaded, driver)[1]["event_log_sha256"] for driver in ("compiled", "simpy")}
    command = [sys.executable, "-m", "forge1sim.cli", "run", "guessing.yaml", "--json", "--quiet", "--set", *ERR]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert hashes == {json.loads(told)["event_log_sha256"]}
    assert hashes != {_rows(_load(tmp_path))[1]["event_log_sha256"]}


def test_providers_count_and_bill_the_truth(tmp_path):
    """Who is served with a guess is billed the input that it is billed for without."""
    (guessed, _), (known, _) = _rows(_load(tmp_path, *ERR)), _rows(_load(tmp_path))
    seen = {int(row["request"]): int(row["v0"]) for row in guessed[guessed["kind"] == ARRIVE]}
    truth = {int(row["request"]): int(row["v0"]) for row in known[known["kind"] == ARRIVE]}
    served = guessed[guessed["kind"] == COMPLETE]
    assert len(served) > 200
    assert all(int(row["v0"]) == truth[int(row["request"])] for row in served)
    assert sum(seen[request] != truth[request] for request in seen) > 0.9 * len(seen)


def test_quality_is_that_of_the_task_as_it_was(tmp_path):
    """A model far too weak for hard tasks, taken for good enough by an estimate that says that all are easy."""
    hard = PLATFORM.replace("cached_share: 0.2,", "complexity: {values: [1.0]},").replace("    quality_floor: 0.5\n", "")
    rows, _ = _rows(_load(tmp_path, "workload.estimation={complexity_sd: 0.5}", text=hard))
    served = rows[rows["kind"] == COMPLETE]
    assert set((served["v4"] >> 48).tolist()) <= {900, 200}


def test_an_added_tenant_changes_no_other_guess(tmp_path):
    more = PLATFORM.replace("seed: 5", "  - {name: u, count: 3, tier: standard, demand: {requests_per_s: 2}}\nseed: 5")
    alone, together = _arrivals(_rows(_load(tmp_path, *ERR))[0]), _arrivals(_rows(_load(tmp_path, *ERR, text=more))[0])
    assert len(together) == len(alone) + 3
    assert all(together[tenant] == alone[tenant] for tenant in alone)


def test_a_guess_is_the_same_under_every_policy(tmp_path):
    choices = [f"policies.routing.model_choice={choice}" for choice in ("cheapest", "best_quality")]
    one, other = (_arrivals(_rows(_load(tmp_path, *ERR, choice))[0]) for choice in choices)
    assert one == other


def test_the_command_line_checks_such_a_run_too(tmp_path):
    _load(tmp_path)
    run = ["run", tmp_path / "guessing.yaml", "--out", tmp_path / "out", "--log", "--quiet", "--set", *ERR]
    for command in (run, ["check", tmp_path / "out", "--quiet"]):
        done = CliRunner().invoke(app, [str(word) for word in command])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("cv", [0.2, 0.8])
def test_the_checker_finds_nothing(tmp_path, cv):
    loaded = _load(tmp_path, f"workload.estimation={{input_tokens_cv: {cv}, complexity_sd: 0.2}}")
    rows, _ = _rows(loaded)
    report = check_log([rows], loaded.platform, loaded.bundle, start_us=loaded.start_us, estimated=True)
    assert report.findings == []


def test_where_too_little_is_expected_the_provider_refuses_and_a_margin_avoids_it(tmp_path):
    refused = {
        bias: sum(_rows(_load(tmp_path, f"workload.estimation.input_tokens_bias={bias}"))[1]["refusals"].values())
        for bias in (0.5, 1.0, 1.5)
    }
    assert refused[0.5] > 0 == refused[1.0] == refused[1.5]


def test_what_does_not_fit_the_context_is_the_callers_fault(tmp_path):
    small = PLATFORM.replace("input_usd_per_1m: 3,", "context_tokens: 3000, input_usd_per_1m: 3,")
    rows, _ = _rows(_load(tmp_path, "workload.estimation.input_tokens_bias=0.3", text=small))
    refused = rows[rows["kind"] == REFUSED]
    assert CALLER in refused["code"]
    rows, _ = _rows(_load(tmp_path, text=small))
    assert CALLER not in rows[rows["kind"] == REFUSED]["code"]


def test_a_budget_is_exceeded_by_no_more_than_was_missed(tmp_path):
    """Hard to within what the estimates of the requests in flight fall short; with a margin above all errors it is hard."""
    poor = PLATFORM.replace("quality_floor: 0.5", "budget_usd_per_month: 0.1")
    used = {}
    for bias in (0.5, 1.0, 1.5):
        rows, _ = _rows(_load(tmp_path, f"workload.estimation.input_tokens_bias={bias}", text=poor))
        served = rows[rows["kind"] == COMPLETE]
        used[bias] = np.bincount(served["tenant"], served["v2"], minlength=4) / 1e9
    assert used[1.0].max() <= 0.1
    assert used[1.5].max() <= 0.1
    assert 0.1 < used[0.5].max() < 0.12
