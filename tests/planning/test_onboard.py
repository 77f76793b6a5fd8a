"""`onboard` from the outside: what it answers, why, what it proposes, and which slack it refuses."""

import json
import re
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.errors import PlanError, ScenarioError
from forge1sim.planning.client import Busy, Client, at_rate, client_node, read_client
from forge1sim.planning.onboard import onboard
from forge1sim.planning.probes import Probe, typical
from forge1sim.planning.slack import Kept, Slack, prepare
from forge1sim.planning.threshold import Threshold
from forge1sim.scenario.yaml_tree import Node

PLATFORM = """
name: small
horizon_s: 2min
models:
  - {name: m, provider: p, input_usd_per_1m: 1, output_usd_per_1m: 2, context_tokens: 2000, max_output_tokens: 500}
  - {name: n, provider: q, input_usd_per_1m: 1, output_usd_per_1m: 2, context_tokens: 2000, max_output_tokens: 500}
accounts:
  - {name: a, provider: p, count: 3, usd_per_month: 500, limits: [{dimension: rpm, limit: 60, burst_s: 10}]}
  - {name: b, provider: q, usd_per_month: 800, region: eu, limits: [{dimension: rpm, limit: 60, burst_s: 10}]}
tenants:
  - name: t
    count: 5
    contract_usd_per_month: 60000
    demand:
      requests_per_s: 1.5
      deadline_s: {kind: deterministic, mean: 20}
      max_output_tokens: 200
      input_tokens: {kind: lognormal, mean: 300, cv: 1, at_most: 1000}
      output_tokens: {kind: lognormal, mean: 100, cv: 1}
slos:
  - {name: served, tier: professional, metric: served_ratio, at_least: 0.9}
  - {name: waits little, tier: professional, metric: wait_p95_s, at_most: 8}
"""
RPM_IN_ALL = 240                    # of m and n together; a client at 1 request per second has a load of a quarter


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(PLATFORM, encoding="utf-8")
    return path


def _slack(platform: Path, *, holds: float = 0.5, breaks: float = 0.6) -> Slack:
    """What probes teach, put down by hand: between half and 60% of what is contracted fits, whatever is asked for."""
    ask = Ask(scenario=str(platform), seed=1)
    probes = tuple(
        Probe(tier="professional", wishes=wishes, input_tokens=tokens, output_tokens=200, load_per_request=0.25, holds=holds * near,
              breaks=breaks * near, broken="waits little")
        for wishes in ({"auto": 1.0}, {"m": 1.0}, {"n": 1.0}) for tokens in (100, 300, 900) for near in (0.97, 1.0, 1.03)
    )  # fmt: skip
    kept = (Kept(name="served", tier="professional", metric="served_ratio", target=">= 0.9", mean=1.0, p_value=0.0),)
    busy = Busy(np.array([0.375]), 1.5)
    return Slack(ask=ask, loaded=ask.load(), draws=3, busy=busy, probes=probes, promises=kept, limits={"a-1.rpm": 0.6})


def _client(folder: Path, *, requests_per_s: float = 0.5, demand: dict[str, Any] | None = None, **changes: Any) -> Node:
    usual = yaml.safe_load(PLATFORM)["tenants"][0]
    content = {
        "name": "new", "contract_usd_per_month": 60000, **changes,
        "demand": usual["demand"] | {"requests_per_s": requests_per_s} | (demand or {}),
    }  # fmt: skip
    path = folder / "client.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return read_client(path)


def test_a_load_is_what_is_asked_for_over_what_the_accounts_could_answer(platform: Path, tmp_path: Path) -> None:
    slack = _slack(platform)
    for models, per_min in (({}, RPM_IN_ALL), ({"m": 1.0}, 180), ({"n": 1.0}, 60)):
        client = Client.of(slack.ask, _client(tmp_path, requests_per_s=0.5, demand={"models": models}))
        assert client.load(slack.busy) == pytest.approx(0.5 * 60 / per_min)


def test_small_ones_are_taken_large_ones_not_and_in_between_nobody_knows(platform: Path, tmp_path: Path) -> None:
    slack = _slack(platform)
    answers = [onboard(slack, _client(tmp_path, requests_per_s=rate)) for rate in (0.2, 0.55 * RPM_IN_ALL / 60, 8.0)]
    assert [one.answer for one in answers] == ["yes", "not_sure", "no"]
    small, _, large = answers
    assert small.headroom["load"] < small.headroom["yes_up_to"] < 0.55 < small.headroom["no_above"] < large.headroom["load"]
    assert small.headroom["limits"]["a-1.rpm"] == {"busiest": 0.6, "free": pytest.approx(0.4), "asked": pytest.approx(0.05)}
    assert "waits little" in large.why
    assert small.contract is None


def test_a_no_names_the_accounts_whose_limits_would_make_room(platform: Path, tmp_path: Path) -> None:
    slack = _slack(platform)
    rate = 0.9 * RPM_IN_ALL / 60
    answer = onboard(slack, _client(tmp_path, requests_per_s=rate))
    assert answer.answer == "no"
    assert answer.contract is not None
    assert answer.contract.account == "a"                                   # as much room as b, for less
    assert answer.contract.usd_per_month == 500 * answer.contract.more
    shrunk = (0.375 + 0.9) * RPM_IN_ALL / (RPM_IN_ALL + 60 * answer.contract.more)
    assert shrunk <= 0.375 + answer.headroom["yes_up_to"]
    assert "forge1sim plan" in answer.contract.note
    assert "the terms allow 3" in answer.contract.note


def test_only_an_account_that_serves_the_model_helps(platform: Path, tmp_path: Path) -> None:
    answer = onboard(_slack(platform), _client(tmp_path, requests_per_s=2.0, demand={"models": {"n": 1.0}}))
    assert answer.contract is not None
    assert answer.contract.account == "b"


@pytest.mark.parametrize(("changes", "reason"), [
    ({"demand": {"models": {"gpt-9": 1.0}}}, r"client\.yaml:.*tenants\.1\.demand\.models\.gpt-9 is 'gpt-9', no model of this scenario"),
    ({"regions": ["asia"]}, r"may use no deployment: its regions are asia, the accounts' "),
    ({"demand": {"input_tokens": {"kind": "deterministic", "mean": 5000}}}, r"100\.0% of its requests .* 5,000 tokens, .* context 2,000"),
])  # fmt: skip
def test_what_can_never_be_is_a_no_with_its_own_reason(platform: Path, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    answer = onboard(_slack(platform), _client(tmp_path, requests_per_s=0.01, **changes))
    assert answer.answer == "no"
    assert re.search(reason, answer.why), answer.why


@pytest.mark.parametrize(("changes", "word"), [
    ({"demand": {"sessions": {}}}, "sessions"), ({"demand": {"deadline_s": {"kind": "deterministic", "mean": 2}}}, "deadline"),
    ({"tokens_per_min": 1000}, "limits or budgets of its own"), ({"tier": "standard"}, "none of its tier"),
    ({"regions": ["eu"]}, "may not use all"),
])  # fmt: skip
def test_what_no_probe_was_like_is_not_promised(platform: Path, tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    answer = onboard(_slack(platform), _client(tmp_path, requests_per_s=0.02, **changes))
    assert answer.answer == "not_sure"
    assert word in answer.why


def test_bursts_need_more_room_than_the_same_rate_without(platform: Path, tmp_path: Path) -> None:
    slack = _slack(platform)
    bursts = {"arrivals": {"kind": "mmpp", "burst_factor": 20, "burst_share": 0.05}}
    answers = [onboard(slack, _client(tmp_path, requests_per_s=0.8, demand=demand)).answer for demand in ({}, bursts)]
    assert answers == ["yes", "not_sure"]


def test_input_that_is_no_client_is_refused_with_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "client.yaml"
    path.write_text("name: x\ncuont: 3\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"client\.yaml:2: cuont is unknown; did you mean count"):
        read_client(path)
    path.write_text("name: x\ndemand: {requests_per_s: 0}\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"client\.yaml:2: demand asks for nothing"):
        read_client(path)


def test_a_threshold_learns_what_differs_and_is_less_sure_far_away() -> None:
    rng = np.random.default_rng(1)
    probes = [_probe("low" if low else "high", tokens, (0.2 if low else 0.6) * float(np.exp(rng.normal(0, 0.05))))
              for low in (True, False) for tokens in np.geomspace(100, 1000, 12)]  # fmt: skip
    threshold = Threshold(probes)
    low, high = (threshold.limit(_probe(tier, 300, 1.0)) for tier in ("low", "high"))
    assert low.yes < 0.2 < low.no < 0.4 < high.yes < 0.6 < high.no
    far = threshold.limit(_probe("low", 1e6, 1.0))
    assert np.log(far.no / far.yes) > 2 * np.log(low.no / low.yes)
    assert abs(float(np.mean(threshold.left_out()))) < 1


def test_a_probe_that_the_others_do_not_foretell_stands_out_and_widens_the_guard() -> None:
    loads = [0.3, 0.31, 0.29, 0.3, 0.32, 0.28, 0.3]
    calm = Threshold([_probe("low", 100 * (number + 1), load) for number, load in enumerate(loads)])
    odd = Threshold([_probe("low", 100 * (number + 1), load) for number, load in enumerate([*loads[:3], 0.03, *loads[4:]])], calm.scales)
    assert int(np.argmin(odd.left_out())) == 3
    assert odd.guard_yes > 2 * calm.guard_yes


def _probe(tier: str, tokens: float, load: float) -> Probe:
    return Probe(
        tier=tier, wishes={"auto": 1.0}, input_tokens=tokens, output_tokens=100, load_per_request=0.1, holds=load, breaks=load, broken="x"
    )


def test_slack_is_kept_and_refused_after_a_change(platform: Path, tmp_path: Path) -> None:
    slack, file = _slack(platform, breaks=inf), tmp_path / "slack.json"
    slack.write(file)
    again = Slack.read(file, slack.ask)
    assert again.probes == slack.probes
    assert again.threshold.limit(slack.probes[0]) == slack.threshold.limit(slack.probes[0])
    changed = Ask(scenario=str(platform), overrides=("accounts.a.count=2",), seed=1)
    with pytest.raises(PlanError, match=r"slack\.json: its scenario_sha256 is .* before a change; prepare it again"):
        Slack.read(file, changed)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(PlanError, match="not JSON"):
        Slack.read(file, slack.ask)
    with pytest.raises(PlanError, match=r"absent\.json: cannot be read .* --prepare"):
        Slack.read(tmp_path / "absent.json", slack.ask)


def test_slack_that_is_measured_tells_a_small_client_from_a_large_one(platform: Path) -> None:
    ask = Ask(scenario=str(platform), seed=1)
    slack = prepare(ask, probes=10, draws=3, backend="serial")
    assert all(one.holds < one.breaks for one in slack.probes)
    usual = typical(slack.loaded, "professional")
    small, large = (onboard(slack, client_node(at_rate(usual, rate), "client")) for rate in (0.02, 20.0))
    assert (small.answer, large.answer) == ("yes", "no")


def test_what_is_broken_already_has_no_slack(platform: Path) -> None:
    ask = Ask(scenario=str(platform), overrides=("tenants.t.demand.requests_per_s=20",), seed=1)
    with pytest.raises(PlanError, match=r"not all promises hold as it stands.*'served' \(>= 0\.9\) comes to"):
        prepare(ask, probes=10, draws=3, backend="serial")


def test_the_command_answers_by_file_and_by_options(platform: Path, tmp_path: Path) -> None:
    file = tmp_path / "slack.json"
    _slack(platform).write(file)
    _client(tmp_path, requests_per_s=0.2)
    run = CliRunner().invoke
    by_file = run(app, ["onboard", str(platform), str(tmp_path / "client.yaml"), "--slack", str(file), "--json"])
    assert by_file.exit_code == 0, by_file.output
    told = json.loads(by_file.stdout)
    assert told["answer"] == "yes"
    assert set(told) == {"answer", "why", "headroom", "contract", "measured_on", "ms"}
    options = ["--tier", "professional", "--requests-per-s", "9", "--input-tokens", "200", "--output-tokens", "50",
               "--peak-over-mean", "1.5", "--model", "m"]  # fmt: skip
    by_options = run(app, ["onboard", str(platform), "--slack", str(file), *options])
    assert by_options.exit_code == 0, by_options.output
    assert by_options.stdout.startswith("no: ")
    assert "more of a" in by_options.stdout


@pytest.mark.parametrize(("options", "message"), [
    (["--tier", "gold", "--requests-per-s", "1"], "--tier is 'gold'"),
    (["--tier", "professional"], "--requests-per-s"),
    (["--tier", "professional", "--requests-per-s", "1", "--input-tokens", "-5"], "input_tokens.mean is -5"),
    (["--prepare", "--tier", "professional"], "--prepare measures the scenario alone"),
])  # fmt: skip
def test_bad_options_end_with_one_message_and_status_2(platform: Path, tmp_path: Path, options: list[str], message: str) -> None:
    file = tmp_path / "slack.json"
    _slack(platform).write(file)
    result = CliRunner().invoke(app, ["onboard", str(platform), "--slack", str(file), *options])
    assert result.exit_code == 2
    assert message in result.output
