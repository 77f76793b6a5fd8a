"""`plan` from the outside: what it finds, what it says when nothing fits, what it writes."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.errors import PlanError, ScenarioError
from forge1sim.planning.finding import FRESH_SEEDS
from forge1sim.planning.options import Options
from forge1sim.planning.plan import plan
from forge1sim.scenario.load import load_scenario

SMALL = """
name: small
horizon_s: 5min
models:
  - {name: m, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 2, fallbacks: [n], speed: {service_s: {kind: exponential, mean: 1}}}
  - {name: n, provider: q, input_usd_per_1m: 3, output_usd_per_1m: 6, speed: {service_s: {kind: exponential, mean: 1}}}
accounts:
  - {name: a, provider: p, count: 3, usd_per_month: 5000, limits: [{dimension: rpm, limit: 60, burst_s: 10}]}
  - {name: b, provider: q, usd_per_month: 800, limits: [{dimension: rpm, limit: 60, burst_s: 10}]}
tenants:
  - name: t
    count: 5
    contract_usd_per_month: 60000
    demand:
      requests_per_s: 1.5
      deadline_s: {kind: deterministic, mean: 20}
      input_tokens: {kind: lognormal, mean: 300, cv: 1}
      output_tokens: {kind: lognormal, mean: 100, cv: 1}
slos:
  - {name: served, tier: professional, metric: served_ratio, at_least: 0.97}
  - {name: waits little, tier: professional, metric: wait_p95_s, at_most: 3}
plan: {draws: 3, fresh_draws: 3}
"""


def _small(folder: Path, **changes: Any) -> Path:
    content = yaml.safe_load(SMALL)
    content["plan"] |= changes.pop("plan", {})
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")
    return path


def test_an_account_too_many_is_given_up_and_the_rest_is_needed(tmp_path: Path) -> None:
    planned = plan(_small(tmp_path), backend="serial")
    items = {one.name: one for one in planned.items}
    assert items["a"].planned < 3
    assert items["a"].change == items["a"].planned - 3
    assert planned.proven
    assert planned.usd_per_month < planned.held.usd_per_month
    assert planned.lower_bound_usd <= planned.usd_per_month
    assert planned.fluid_bound_usd <= planned.lower_bound_usd
    assert all(one.holds for one in planned.verified.promises)
    words = ("breaks", "not sure", "needed")
    assert all(any(word in one.one_fewer for word in words) for one in planned.items if one.planned)


def test_the_bill_adds_up(tmp_path: Path) -> None:
    planned = plan(_small(tmp_path), backend="serial")
    best = planned.on_draws
    assert best.usd_per_month == pytest.approx(best.fixed_usd + best.tokens_usd + best.refusals_usd)
    assert best.fixed_usd == sum(one.planned * one.usd_per_month for one in planned.items)


def test_it_is_verified_on_draws_that_the_search_never_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forge1sim.planning import simulated

    seen: list[int] = []
    whole = simulated.as_finished

    def watched(asks: list[Ask], **how: Any) -> Any:
        seen.extend(ask.seed for ask in asks)
        return whole(asks, **how)

    monkeypatch.setattr(simulated, "as_finished", watched)
    planned = plan(_small(tmp_path), backend="serial")
    searched = {seed for seed in seen if seed < FRESH_SEEDS}
    assert searched == {1, 2, 3}
    assert {seed for seed in seen if seed >= FRESH_SEEDS} == {FRESH_SEEDS + 1 + number for number in range(3)}
    assert planned.verified.days != planned.on_draws.days


def test_no_plan_that_keeps_the_promises_says_what_breaks(tmp_path: Path) -> None:
    path = _small(tmp_path, slos=[{"name": "never waits", "tier": "professional", "metric": "latency_p50_s", "at_most": 0.1}])
    match = r"(?s)no plan .* keeps all promises.*'never waits' .*latency_p50_s <= 0\.1\) comes to .*no number of accounts"
    with pytest.raises(PlanError, match=match):
        plan(path, backend="serial")


def test_without_promises_there_is_nothing_to_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="makes no promises"):
        plan(_small(tmp_path, slos=[]), backend="serial")


def test_a_budget_below_every_plan_is_said_with_both_figures(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"USD a month, over the budget of 100\."):
        plan(_small(tmp_path, plan={"budget_usd_per_month": 100.0}), backend="serial")


def test_a_provider_may_have_its_largest_share(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"of all answers by p, more than 50\.0%"):
        plan(_small(tmp_path, plan={"most_share_per_provider": 0.5}), backend="serial")


def test_an_outage_that_must_be_survived_costs_an_account(tmp_path: Path) -> None:
    lost = {"tier": "professional", "lost": "account", "hours": 0.03}
    bare = plan(_small(tmp_path), backend="serial")
    sure = plan(_small(tmp_path, plan={"survive": [lost]}), backend="serial")
    assert {one.loss.name for one in sure.verified.survived} == {"a", "b"}
    assert all(promise.holds for promise in sure.verified.after_losses)
    assert sum(one.planned for one in sure.items) > sum(one.planned for one in bare.items)


def test_a_refusal_costs_no_less_than_the_contract_pays_for_it(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"plan\.refusal_usd\.professional is 1e-06, less than the .* USD that contracts"):
        plan(_small(tmp_path, plan={"refusal_usd": {"professional": 1e-6}}), backend="serial")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"accounts": [{"name": "c"}]}, "plan.accounts.0.name is 'c', no account"),
        ({"accounts": [{"name": "a", "at_most": 4}]}, "is 4, more than the 3 held; name the contracting entity in `permission`"),
        ({"accounts": [{"name": "a", "at_least": 4}]}, "is 4, more than the 3 held; give `at_most` and `permission`"),
        ({"accounts": [{"name": "a", "at_least": 2, "at_most": 1}]}, "at_least is 2, more than at_most, which is 1"),
        ({"accounts": [{"name": "a"}, {"name": "a"}]}, "already the name of"),
        ({"reservations": [{"name": "x", "guaranteed_capacity": {"gold": 0.5}}]}, "is 'gold', no tier"),
        ({"survive": [{"tier": "gold"}]}, "is 'gold', no tier"),
        ({"refusal_usd": {"gold": 1.0}}, "is 'gold', no tier"),
        ({"draws": 1}, "plan.draws is 1"),
        ({"confidence": 2.0}, "plan.confidence is 2"),
        ({"most_share_per_provider": 0.0}, "plan.most_share_per_provider is 0"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_field(tmp_path: Path, terms: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(_small(tmp_path, plan=terms))
    assert message in str(caught.value)


def test_terms_change_no_run(tmp_path: Path) -> None:
    terms = {"accounts": [{"name": "a", "at_most": 9, "permission": "ours"}]}
    assert load_scenario(_small(tmp_path, plan=terms)).hash == load_scenario(_small(tmp_path)).hash


def test_too_many_plans_are_said_to_be_too_many(tmp_path: Path) -> None:
    terms = {"accounts": [{"name": name, "at_most": 2000, "permission": "ours"} for name in "ab"]}
    options = Options(load_scenario(_small(tmp_path, plan=terms)))
    with pytest.raises(PlanError, match="narrow at_least and at_most"):
        assert options.plans


def test_an_account_that_a_fault_names_stays(tmp_path: Path) -> None:
    faults = [{"kind": "outage", "account": "a-2", "start_s": 10.0, "duration_s": 5.0}]
    options = Options(load_scenario(_small(tmp_path, faults=faults)))
    assert min(one.counts[0] for one in options.plans) == 2


def test_usage_tiers_are_states_that_an_entry_may_rise_to(tmp_path: Path) -> None:
    path = tmp_path / "tiers.yaml"
    path.write_text(yaml.safe_dump({
        "name": "tiers", "models": ["gpt-5-mini"], "accounts": [{"name": "a", "provider": "openai", "usage_tier": "tier-1", "count": 2}],
        "tenants": [{"name": "t", "contract_usd_per_month": 5000, "demand": {"requests_per_s": 1}}],
        "plan": {"accounts": [{"name": "a", "usage_tiers": [{"usage_tier": "tier-2", "paid_usd": 50, "after_days": 7}]}]},
    }))  # fmt: skip
    options = Options(load_scenario(path))
    assert len(options) == 4
    overrides = options.overrides(options.largest)
    loaded = load_scenario(path, overrides)
    assert loaded.scenario.accounts[0].usage_tier == "tier-2"
    assert options.coordinates(options.largest) == (2, 2)
    assert options.coordinates(options.held) == (2, 0)


def test_the_command_writes_a_scenario_that_runs_as_it_was_simulated(tmp_path: Path) -> None:
    path, out = _small(tmp_path), tmp_path / "planned"
    done = CliRunner().invoke(app, ["plan", str(path), "--out", str(out), "--json", "--quiet", "--backend", "serial"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found["gaps"]) == {"solver", "cuts", "sampling", "total", "controllable"}
    assert {"purchases", "cost_usd_per_month", "lower_bound_usd_per_month", "proven", "slo", "rounds"} <= set(found)
    assert json.loads((out / "plan.json").read_text()) == found
    written = load_scenario(out / "planned.yaml")
    assert written.hash == load_scenario(path, found["overrides"]).hash
    rows = list(csv.DictReader((out / "purchases.csv").open()))
    assert {row["account"]: int(row["planned"]) for row in rows} == {one["name"]: one["planned"] for one in found["purchases"]}
    again = CliRunner().invoke(app, ["plan", str(path), "--out", str(out), "--backend", "serial"])
    assert again.exit_code == 2
    assert "exists and is not empty" in again.output
