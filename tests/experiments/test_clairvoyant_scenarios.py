"""The bound on whole scenarios: no shipped policy beats it, and its own schedule comes near to it in the simulator."""

from pathlib import Path

import pytest

from forge1sim.experiments.clairvoyant import clairvoyant_bound, realise
from forge1sim.experiments.clairvoyant.replay import replay
from forge1sim.experiments.regret import shipped_policies
from forge1sim.scenario.load import load_scenario
from tests.conftest import ROOT

SMALL_POOLS = Path(__file__).with_name("small_pools.yaml")
QUICKSTART = ROOT / "scenarios" / "quickstart.yaml"
OUTAGE = "faults=[{kind: outage, provider: anthropic, start_s: 120, duration_s: 120}]"
WITHIN = 1.05                   # of the bound


@pytest.mark.parametrize("policy", shipped_policies())
def test_no_shipped_policy_beats_the_bound_where_pools_fill_up(policy: str) -> None:
    loaded = load_scenario(SMALL_POOLS, ("horizon_s=60", *shipped_policies()[policy]))
    realised, _ = realise(loaded)
    bound = clairvoyant_bound(realised, block_s=10.0)
    assert bound.floor_nano_usd <= bound.bound_nano_usd + 1_000
    assert bound.bound_nano_usd <= realised.paid_nano_usd + 1_000
    assert bound.gap < 0.01


def test_the_schedule_replayed_serves_all_at_the_quality_asked_for_within_5_percent_of_the_bound() -> None:
    realised, _ = realise(load_scenario(SMALL_POOLS))
    bound = clairvoyant_bound(realised, block_s=3.0)
    again = replay(realised, bound)
    assert again.served == again.requests
    assert again.quality_mean >= bound.quality_mean - 0.002
    assert bound.bound_nano_usd <= again.cost_nano_usd <= WITHIN * bound.bound_nano_usd
    assert bound.bound_nano_usd > 1.5 * bound.floor_nano_usd, "limits should bind here"


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("start=2026-11-02T08:00:00Z",), ("start=2026-11-02T08:00:00Z", OUTAGE)])
def test_of_the_quick_start_too_an_outage_included(overrides: tuple[str, ...]) -> None:
    realised, _ = realise(load_scenario(QUICKSTART, ("horizon_s=6min", *overrides)))
    bound = clairvoyant_bound(realised, block_s=10.0)
    again = replay(realised, bound)
    assert again.served >= 0.999 * again.requests
    assert again.quality_mean >= bound.quality_mean - 0.005
    assert bound.bound_nano_usd <= realised.paid_nano_usd
    assert again.cost_nano_usd <= WITHIN * bound.bound_nano_usd
