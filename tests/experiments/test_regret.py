"""Regret: a table over policies and replications that adds up."""

from pathlib import Path

import pytest

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, RunError
from forge1sim.experiments.regret import add_regret, bound_of, regret, shipped_policies
from forge1sim.results.regret import regret_table
from forge1sim.run import simulate
from policies.shipped import shipped_names

ASK = Ask(scenario=str(Path(__file__).with_name("small_pools.yaml")), overrides=("horizon_s=40",), seed=3)
TWO = {name: shipped_policies()[name] for name in ("best_quality", "cheapest")}


def test_the_table_adds_up_and_is_the_same_each_time() -> None:
    table = regret(ASK, TWO, replications=2, block_s=10.0)
    assert [(line.policy, line.seed) for line in table.lines] == [(name, seed) for name in TWO for seed in (3, 4)]
    for line in table.lines:
        assert line.regret_usd == line.cost_usd - line.bound_usd >= -1e-6
        assert line.floor_usd <= line.bound_usd + 1e-6
        assert 0 <= line.regret_of_cost <= line.regret_of_controllable <= 1
    again = regret(ASK, {"cheapest": TWO["cheapest"]}, block_s=10.0)
    assert again.lines[0].bound_usd == table.lines[2].bound_usd
    frame = table.frame()
    assert list(frame["regret_usd"]) == [line.regret_usd for line in table.lines]


def test_replications_give_an_interval_and_one_run_says_that_it_gives_none() -> None:
    several = regret(ASK, {"cheapest": TWO["cheapest"]}, replications=3, block_s=10.0).summary()[0]
    assert several.regret_of_cost.trusted
    assert several.regret_of_cost.low <= several.regret_of_cost.value <= several.regret_of_cost.high
    assert not regret(ASK, {"cheapest": TWO["cheapest"]}, block_s=10.0).summary()[0].regret_of_cost.trusted


def test_a_promise_on_quality_may_be_asked_for_instead() -> None:
    promised, delivered = (bound_of(ASK, quality=quality, block_s=10.0) for quality in ("promised", "delivered"))
    assert promised <= delivered * (1 + 1e-3)
    bare = Ask(scenario=ASK.scenario, overrides=(*ASK.overrides, "slos=[]"))
    with pytest.raises(ExperimentError, match="promises no quality_mean"):
        bound_of(bare, quality="promised")


NAMED = """
name: named
horizon_s: 2min
models:
  - {name: dear, provider: p, input_usd_per_1m: 10, output_usd_per_1m: 10, fallbacks: [cheap], performance: [0.9, 0.9, 0.9, 0.9, 0.9]}
  - {name: cheap, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 1, performance: [0.9, 0.9, 0.9, 0.9, 0.9]}
accounts: [{name: a, provider: p, limits: [{dimension: rpm, model_class: dear, limit: 20}]}]
providers: [{name: p}]
tenants: [{name: client, demand: {requests_per_s: 0.2, models: {dear: 1}}}]
"""


@pytest.mark.parametrize("requests_per_s", [0.05, 1.0])
def test_nobody_is_blamed_for_not_choosing_a_cheap_fallback(tmp_path, requests_per_s: float) -> None:
    """All ask for the dear model: with room they get it, without they fall back; a clairvoyant may do no other."""
    file = tmp_path / "named.yaml"
    file.write_text(NAMED)
    ask = Ask(scenario=str(file), overrides=(f"tenants.client.demand.requests_per_s={requests_per_s}",))
    line = regret(ask, {"own": ()}, block_s=10.0).lines[0]
    cheap_usd = bound_of(Ask(scenario=str(file), overrides=(*ask.overrides, "tenants.client.demand.models={cheap: 1}")), block_s=10.0)
    assert line.bound_usd > 1.5 * cheap_usd
    if requests_per_s < 0.1:
        assert line.regret_usd == pytest.approx(0, abs=1e-9)


def test_every_shipped_routing_policy_and_model_choice_is_compared() -> None:
    said = {override for overrides in shipped_policies().values() for override in overrides}
    for field in ("routing.policy", "routing.model_choice"):
        assert {f"policies.{field}={name}" for name in shipped_names(field)} <= said


def test_no_replication_is_refused() -> None:
    with pytest.raises(ExperimentError, match="replications is 0"):
        regret(ASK, TWO, replications=0)


def test_the_same_policies_under_two_names_are_looked_at_once() -> None:
    """The bound's own seconds differ from search to search."""
    first, second = regret(ASK, {"one": TWO["cheapest"], "two": TWO["cheapest"]}, block_s=10.0).lines
    assert (first.policy, second.policy) == ("one", "two")
    assert first.seconds == second.seconds


def test_a_run_folder_keeps_the_regret_of_its_own_and_of_shipped_policies(tmp_path: Path) -> None:
    ask = Ask(scenario=ASK.scenario, overrides=("horizon_s=5", "policies.name=ours"), seed=3)
    simulate(ask.load(), seed=3, out=tmp_path / "run")
    with pytest.raises(RunError, match=r"holds another run than .* and seed 4"):
        add_regret(tmp_path / "run", Ask(scenario=ask.scenario, overrides=ask.overrides, seed=4))
    began: list[tuple[str, int, int]] = []
    table = add_regret(tmp_path / "run", ask, on_progress=lambda *now: began.append(now))
    assert [name for name, _, _ in began] == ["ours", *shipped_policies()]
    kept = regret_table(tmp_path / "run")
    assert set(kept["policy"]) == {line.policy for line in table.lines}
    assert kept["policy"][kept["is_own"]].tolist() == ["ours"]
    assert (kept["of_controllable_ratio"][:-1] <= kept["of_controllable_ratio"][1:]).all()
    assert "Distance from the best possible" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
