"""Law: policies of one's own give one log under both clocks, compiled or not, and it is theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forge1sim.check import check_log
from forge1sim.errors import ScenarioError
from forge1sim.run import simulate
from forge1sim.scenario.folders import Folders
from forge1sim.scenario.load import load_scenario
from policies.errors import PolicyError
from policies.log import ACCOUNT, ACTIVE, DISPATCH, DRAINING, ORDERED, STANDBY

ROOT = Path(__file__).parents[2]
PLATFORM = """\
name: own
models:
  - {name: m, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 2, speed: {service_s: {kind: exponential, mean: 2}}}
accounts:
  - {name: a, provider: p, count: 2, limits: [{dimension: concurrency, limit: 6}, {dimension: rpm, limit: 240, burst_s: 10}]}
  - {name: spare, provider: p, state: standby, limits: [{dimension: concurrency, limit: 6}]}
  - {name: later, provider: p, count: 2, state: orderable, lead_time_s: 7, limits: [{dimension: concurrency, limit: 6}]}
tenants:
  - {name: gold, count: 3, tier: enterprise, demand: {requests_per_s: 2, deadline_s: {mean: 30}}}
  - {name: iron, count: 5, tier: standard, demand: {requests_per_s: 6, deadline_s: {mean: 30}}}
policies:
  scaling: {period_s: 2, cooldown_s: 4}
seed: 3
horizon_s: 90
drain_s: 300
"""
OWN = {
    "routing": ("policies.routing", "policy", """\
def choose(request, candidates, deployments, tenant, params, memory, now_us):
    memory[2] = memory[2] + params[0]
    return candidates[int(memory[2]) % candidates.size]
""", "0.7"),
    "scaling": ("policies.scaling", "policy", """\
def choose(pool, params, memory, now_us):
    memory[0] = memory[0] + 1.0 if pool["waiting"] > params[0] else 0.0
    if memory[0] >= 2.0:
        return 1
    return -1 if pool["waiting"] == 0 and pool["in_flight"] < 4 * pool["accounts"] and pool["orderable"] + pool["standby"] > 0 else 0
""", "3"),
    "tier": ("policies.reservation", "mode", """\
def choose(request, limit, tiers, params, now_us):
    kept = 0
    for tier in range(tiers.size):
        if tiers[tier]["rank"] < tiers[request["tier"]]["rank"]:
            kept += max(tiers[tier]["left"], 0)
    return limit["units"] + params[0] * kept <= limit["free"]
""", "0.75"),
}  # fmt: skip
HALVES = [
    "policies.tiers.enterprise.guaranteed_capacity=0.5", "policies.tiers.professional.guaranteed_capacity=0",
    "policies.tiers.standard.guaranteed_capacity=0.5", "policies.queue.enabled=false",
]  # fmt: skip
SHIPPED_MODES = {
    "none": "return True",
    "partition": "return limit['units'] <= tiers[request['tier']]['left']",
    "trunk": "return limit['units'] + (tiers[0]['share'] if request['tier'] > 0 else 0) <= limit['free']",
}


def _load(folder, kind, text=None, params=None):
    section, field, source, usual = OWN[kind]
    (folder / "mine.py").write_text(source if text is None else text)
    scenario = folder / "own.yaml"
    scenario.write_text(PLATFORM)
    settings = [f"{section}.{field}=mine.py:choose", f"{section}.params=[{params or usual}]"]
    return load_scenario(scenario, settings, folders=Folders.of(policies=[folder]))


def _hash(loaded, driver="compiled"):
    return simulate(loaded, driver=driver).summary["event_log_sha256"]


@pytest.fixture(scope="module")
def shipped_hash(tmp_path_factory):
    scenario = tmp_path_factory.mktemp("shipped") / "own.yaml"
    scenario.write_text(PLATFORM)
    return _hash(load_scenario(scenario))


@pytest.mark.parametrize("kind", OWN)
def test_both_clocks_give_one_log_and_it_is_not_that_of_the_shipped_policy(tmp_path, kind, shipped_hash):
    loaded = _load(tmp_path, kind)
    assert _hash(loaded, "compiled") == _hash(loaded, "simpy") != shipped_hash


@pytest.mark.parametrize("kind", OWN)
def test_params_reach_the_policy(tmp_path, kind):
    hashes = {_hash(_load(tmp_path, kind, params=params)) for params in ("100000", OWN[kind][3])}
    assert len(hashes) == 2


@pytest.mark.parametrize("kind", OWN)
def test_uncompiled_the_log_is_the_same(tmp_path, kind):
    loaded = _load(tmp_path, kind)
    section, field, _, params = OWN[kind]
    command = [
        sys.executable, "-m", "forge1sim.cli", "run", "own.yaml", "--policy-folder", ".", "--json", "--quiet",
        "--set", f"{section}.{field}=mine.py:choose", "--set", f"{section}.params=[{params}]",
    ]  # fmt: skip
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    for driver in ("compiled", "simpy"):
        told = subprocess.run(
            [*command, "--driver", driver], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["event_log_sha256"] == _hash(loaded)


@pytest.mark.parametrize("kind", OWN)
def test_the_checker_finds_nothing(tmp_path, kind):
    loaded, chunks = _load(tmp_path, kind), []
    simulate(loaded, sinks=(lambda rows: chunks.append(rows.copy()),))
    report = check_log(chunks, loaded.platform, loaded.bundle, start_us=loaded.start_us, expect_no_refusals=True)
    assert report.findings == []


@pytest.mark.parametrize("kind", OWN)
def test_the_bundle_hash_covers_the_text_of_the_policy(tmp_path, kind):
    text = OWN[kind][2]
    hashes = [_load(tmp_path, kind, text=each).bundle_hash for each in (text, text + "\n", text)]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize("kind", OWN)
def test_a_policy_that_breaks_its_contract_stops_the_run_with_its_line(tmp_path, kind):
    text = OWN[kind][2].replace("now_us):\n", "now_us):\n    params[0] = 1.0\n", 1)
    with pytest.raises(PolicyError, match=r"^mine.py:2: choose writes to `params`; "):
        simulate(_load(tmp_path, kind, text=text))


@pytest.mark.parametrize("kind", OWN)
def test_a_policy_of_another_kind_is_told_where_it_belongs(tmp_path, kind):
    other = next(name for name in OWN if name != kind)
    with pytest.raises(PolicyError, match=rf"must take exactly .*, or be named by `{OWN[other][0][9:]}\.{OWN[other][1]}`"):
        simulate(_load(tmp_path, kind, text=OWN[other][2]))


@pytest.mark.parametrize("kind", OWN)
def test_without_an_allowed_folder_it_is_not_even_read(tmp_path, kind):
    section, field, _, _ = OWN[kind]
    scenario = tmp_path / "own.yaml"
    scenario.write_text(PLATFORM)
    with pytest.raises(ScenarioError, match=rf"{section}\.{field} is 'mine.py:choose': no policy folder is allowed"):
        load_scenario(scenario, [f"{section}.{field}=mine.py:choose"], folders=Folders())


def test_a_scaling_policy_adds_orders_and_retires(tmp_path):
    chunks = []
    simulate(_load(tmp_path, "scaling"), sinks=(lambda rows: chunks.append(rows[rows["kind"] == ACCOUNT].copy()),))
    states = [int(code) for rows in chunks for code in rows["code"]]
    assert {ACTIVE, STANDBY, ORDERED, DRAINING} <= set(states)


def test_each_pool_remembers_for_itself(tmp_path):
    """Were memory shared, the pool asked first would count the other's looks."""
    scenario = tmp_path / "own.yaml"
    scenario.write_text(PLATFORM.replace("accounts:\n", "accounts:\n  - {name: own, provider: p, dedicated_to: professional}\n"))
    (tmp_path / "mine.py").write_text(
        "def choose(pool, params, memory, now_us):\n    memory[0] += 1.0\n    return 1 if memory[0] == 5.0 and pool['standby'] > 0 else 0\n"
    )
    loaded = load_scenario(scenario, ["policies.scaling.policy=mine.py:choose"], folders=Folders.of(policies=[tmp_path]))
    rows = []
    simulate(loaded, sinks=(lambda chunk: rows.extend(chunk[chunk["kind"] == ACCOUNT]["time_us"].tolist()),))
    assert rows == [loaded.start_us + 5 * 2_000_000]


@pytest.mark.parametrize("mode", SHIPPED_MODES)
def test_a_tier_policy_that_says_what_a_shipped_mode_says_admits_the_same(tmp_path, mode):
    (tmp_path / "mine.py").write_text(f"def choose(request, limit, tiers, params, now_us):\n    {SHIPPED_MODES[mode]}\n")
    scenario = tmp_path / "own.yaml"
    scenario.write_text(PLATFORM)
    hashes = [
        _hash(load_scenario(scenario, [*HALVES, f"policies.reservation.mode={name}"], folders=Folders.of(policies=[tmp_path])))
        for name in (mode, "mine.py:choose")
    ]
    assert hashes[0] == hashes[1]


def test_whom_a_tier_policy_keeps_out_goes_as_soon_as_it_says_so(tmp_path):
    """Nothing but time lets these go, and they are asked again within a tenth of a second."""
    (tmp_path / "mine.py").write_text(
        "def choose(request, limit, tiers, params, now_us):\n    return now_us - request['arrive_us'] >= 700_000\n"
    )
    scenario = tmp_path / "own.yaml"
    scenario.write_text(PLATFORM)
    settings = ["policies.reservation.mode=mine.py:choose", "tenants=[{name: gold, tier: enterprise, demand: {requests_per_s: 0.2}}]"]
    rows = []
    loaded = load_scenario(scenario, settings, folders=Folders.of(policies=[tmp_path]))
    simulate(loaded, sinks=(lambda chunk: rows.extend(chunk[chunk["kind"] == DISPATCH]["v2"].tolist()),))
    assert rows
    assert all(700_000 <= waited_us < 800_000 for waited_us in rows)
