"""Bad input: one clear message that names file and field, exit status 2, no traceback, nothing written."""

# ruff: noqa: E501  (a table: one case a line)

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge1sim.cli.main import app
from tests.scenario.examples import VALID, changed, write


@dataclass(frozen=True)
class Broken:
    """A scenario file that is wrong in one way, and what the message must say."""

    name: str
    text: str | bytes
    says: tuple[str, ...]
    others: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def _with(text: str) -> str:
    return VALID + text


SCENARIOS = [
    # not a scenario at all
    Broken("empty file", "", ("small.yaml: empty",)),
    Broken("a list", "- 1\n- 2\n", ("small.yaml:1", "mapping")),
    Broken("a word", "hello\n", ("small.yaml:1", "mapping")),
    Broken("latin-1", "name: café\n".encode("latin-1"), ("small.yaml", "UTF-8")),
    Broken("utf-16", VALID.encode("utf-16"), ("small.yaml", "UTF-8")),
    Broken("binary", bytes(range(128, 256)), ("small.yaml", "UTF-8")),
    Broken("null byte", VALID + "\0", ("small.yaml", "not YAML")),
    Broken("too large", VALID + "#" * (4 * 1024 * 1024), ("small.yaml", "bytes")),
    Broken("tab", changed("    provider: mine\n    input", "\tprovider: mine\n    input"), (":7:", "tab")),
    Broken("open bracket", _with("description: [1, 2\n"), ("small.yaml:34", "not YAML")),
    Broken("open quote", _with("description: 'x\n"), ("small.yaml:34", "not YAML")),
    Broken("two documents", VALID + "---\nname: x\n", ("second document",)),
    Broken("field twice", _with("seed: 8\n"), ("small.yaml:34", "'seed'", "twice")),
    Broken("python tag", changed("seed: 7", "seed: !!python/object/apply:os.getpid []"), (":32:", "tag")),
    Broken("alias bomb", "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{key}: &{key} [{','.join([f'*{before}'] * 9)}]\n" for before, key in zip("abcdefg", "bcdefgh", strict=True)
    ), ("small.yaml", "values")),
    Broken("alias of itself", "name: &n [*n]\n", ("small.yaml:1", "*n")),
    Broken("too deep", "name: " + "[" * 5000, ("small.yaml:1", "deep")),
    Broken("merge key", changed("seed: 7", "<<: {seed: 7}"), (":32:", "merge keys")),
    # fields and types
    Broken("unknown field", _with("sed: 3\n"), (":34:", "sed", "did you mean seed")),
    Broken("unknown nested field", changed("count: 10", "cuont: 10"), (":24:", "tenants.1.cuont", "did you mean count")),
    Broken("missing name", changed("name: small\nmodels", "models"), ("name is missing",)),
    Broken("missing accounts", "name: x\nmodels: [gpt-4o]\ntenants: [{name: t}]\n", ("accounts is missing",)),
    Broken("no models", "name: x\nmodels: []\naccounts: [{name: a, provider: p}]\ntenants: [{name: t}]\n", ("models",)),
    Broken("list for mapping", changed("{policy: headroom}", "[headroom]"), ("policies.routing", "a list")),
    Broken("mapping for list", _with("workload: {sources: {kind: synthetic}}\n"), ("workload.sources",)),
    Broken("text for number", changed("count: 10", "count: ten"), (":24:", "tenants.1.count", "'ten'")),
    Broken("quoted number", changed("count: 10", "count: '10'"), ("tenants.1.count", "'10'")),
    Broken("boolean for number", changed("count: 10", "count: true"), ("tenants.1.count", "true")),
    Broken("number for text", changed("name: mine\n    provider", "name: 5\n    provider"), ("accounts.2.name", "5")),
    Broken("fraction for whole", changed("count: 10", "count: 1.5"), ("tenants.1.count", "1.5")),
    Broken("null for number", changed("count: 10", "count: null"), ("tenants.1.count", "null")),
    Broken("empty name", changed("name: small\nmodels", "name: ''\nmodels"), (":1:", "name")),
    Broken("name with control characters", changed("name: small\nmodels", 'name: "a\\e[31m"\nmodels'), (":1:", "name")),
    # figures
    Broken("negative rate", changed("{requests_per_s: 1}", "{requests_per_s: -1}"), ("tenants.0.demand.requests_per_s", "-1")),
    Broken("negative price", changed("input_usd_per_1m: 1", "input_usd_per_1m: -1"), ("models.2.input_usd_per_1m", "-1")),
    Broken("probability above 1", changed("error_probability: 0.01", "error_probability: 1.01"), ("providers.0.error_probability", "1.01")),
    Broken("zero limit", changed("limit: 60", "limit: 0"), ("accounts.2.limits.0.limit", "0")),
    Broken("not a number", changed("limit: 60", "limit: .nan"), (":16:", ".nan", "finite")),
    Broken("infinite", changed("horizon_s: 1h", "horizon_s: .inf"), (":33:", ".inf", "finite")),
    Broken("gigantic whole", changed("seed: 7", "seed: " + "9" * 5000), (":32:", "too large")),
    Broken("gigantic fraction", changed("limit: 60", "limit: 1e400"), (":16:", "too large")),
    Broken("limit beyond bounds", changed("limit: 60", "limit: 1e300"), ("accounts.2.limits.0.limit",)),
    Broken("negative seed", changed("seed: 7", "seed: -7"), (":32:", "seed", "-7")),
    Broken("horizon of ages", changed("horizon_s: 1h", "horizon_s: 1e12"), (":33:", "horizon_s")),
    Broken("unknown unit of time", changed("horizon_s: 1h", "horizon_s: 1y"), (":33:", "horizon_s", "'1y'")),
    Broken("start without zone", _with("start: 2026-01-01T00:00:00\n"), (":34:", "start", "timezone")),
    Broken("start as number", _with("start: 12\n"), (":34:", "start", "2026-11-02T00:00:00Z")),
    Broken("two rates", changed("{requests_per_s: 1}", "{requests_per_s: 1, requests_per_s_each: 1}"), ("tenants.0.demand", "keep one")),
    Broken("empirical without values", changed("{noise_sigma: 0}", "{service_s: {kind: empirical}}"), ("models.1.speed.service_s", "values")),
    Broken("hysteresis upside down", changed("{policy: headroom}", "{policy: headroom}\n  scaling: {add_above: 0.2, retire_below: 0.4}"), ("policies.scaling", "retire_below")),
    Broken("four performances", changed("output_usd_per_1m: 2", "output_usd_per_1m: 2\n    performance: [1, 1, 1, 1]"), ("models.2.performance",)),
    # names that fit nothing
    Broken("unknown model", changed("- gpt-5.6-sol", "- gpt-5.6-sool"), (":3:", "models.0", "'gpt-5.6-sool'", "gpt-5.6-sol")),
    Broken("unknown catalogue", _with("catalogue: yesterday\n"), (":34:", "catalogue", "'yesterday'", "current")),
    Broken("unknown provider", changed("{name: openai, provider: openai,", "{name: openai, provider: opnai,"), ("accounts.0.provider", "'opnai'", "openai")),
    Broken("unknown usage tier", changed("usage_tier: tier-3", "usage_tier: tier-9"), ("accounts.0.usage_tier", "'tier-9'", "tier-3")),
    Broken("unknown timezone", changed("error_probability: 0.01", "timezone: Mars/Olympus"), ("providers.0.timezone", "Mars/Olympus")),
    Broken("model that no account serves", changed("  - {name: anthropic, provider: anthropic, usage_tier: build, region: eu, tags: [gdpr]}\n", ""), (":4:", "claude-sonnet-5", "no account")),
    Broken("account that serves nothing", changed("    limits:\n      - {dimension: rpm, limit: 60}\n", "  - {name: idle, provider: google}\n"), ("accounts.3", "serves no model")),
    Broken("account with unknown model", changed("count: 3,", "models: [gpt-9],"), ("accounts.0.models.0", "'gpt-9'")),
    Broken("limit of a class not served", changed("limit: 60}", "limit: 60, model_class: gpt-5.6-sol}"), ("accounts.2.limits.0.model_class",)),
    Broken("unknown dimension", changed("dimension: rpm", "dimension: rpx"), ("accounts.2.limits.0.dimension", "'rpx'")),
    Broken("dedicated to nobody", changed("count: 3,", "dedicated_to: gold,"), ("accounts.0.dedicated_to", "'gold'", "enterprise")),
    Broken("unknown tier", changed("    contract_usd_per_month: 250000\n", "    tier: entreprise\n"), ("tenants.0.tier", "'entreprise'", "enterprise")),
    Broken("contract below every tier", changed("  routing: {policy: headroom}", "  tiers: [{name: gold, min_contract_usd_per_month: 1000}]"), ("tenants.1.contract_usd_per_month",)),
    Broken("tenant in no region", changed("    contract_usd_per_month: 250000", "    regions: [mars]"), ("tenants.0", "big", "mars")),
    Broken("tenant with too many tags", changed("    contract_usd_per_month: 250000", "    tags: [hipaa]"), ("tenants.0", "big", "hipaa")),
    Broken("region and tag never together", changed("    contract_usd_per_month: 250000", "    regions: [global]\n    tags: [gdpr]"), ("tenants.0", "gdpr")),
    Broken("tenant with unknown model", changed("    contract_usd_per_month: 250000", "    models: [gpt-9]"), ("tenants.0.models.0", "'gpt-9'")),
    Broken("demand for unknown model", changed("{requests_per_s: 1}", "{requests_per_s: 1, models: {gpt-9: 1}}"), ("tenants.0.demand.models.gpt-9",)),
    Broken("budget of a request above the month's", changed("    contract_usd_per_month: 250000", "    request_budget_usd: 5\n    budget_usd_per_month: 1"), ("tenants.0.request_budget_usd",)),
    Broken("no demand at all", changed("    demand: {requests_per_s: 1}\n", "").replace("    demand: {requests_per_s_each: 0.1}\n", ""), ("demand",)),
    Broken("fallback to nothing", changed("output_usd_per_1m: 2", "output_usd_per_1m: 2\n    fallbacks: [gpt-9]"), ("models.2.fallbacks.0", "'gpt-9'")),
    Broken("fallback to itself", changed("output_usd_per_1m: 2", "output_usd_per_1m: 2\n    fallbacks: [own]"), ("models.2.fallbacks.0", "itself")),
    Broken("unknown routing policy", changed("policy: headroom", "policy: headrom"), ("policies.routing.policy", "'headrom'", "headroom")),
    Broken("unknown scaling policy", changed("{policy: headroom}", "{policy: headroom}\n  scaling: {policy: magic}"), ("policies.scaling.policy", "'magic'", "threshold")),
    Broken("policy from an unnamed folder", changed("policy: headroom", "policy: 'mine.py:f'"), ("policies.routing.policy", "--policy-folder")),
    Broken("policy that is a module", changed("policy: headroom", "policy: 'os:system'"), ("policies.routing.policy", "file.py:function")),
    Broken("fault of unknown kind", changed("kind: outage", "kind: flood"), ("faults.0.kind", "'flood'", "outage")),
    Broken("fault at an unknown provider", changed("kind: outage, provider: openai", "kind: outage, provider: google"), ("faults.0.provider", "'google'")),
    Broken("fault at an unknown account", changed("kind: outage, provider: openai", "kind: outage, account: openai-4"), ("faults.0.account", "'openai-4'")),
    Broken("fault that strikes nothing", changed("kind: outage, provider: openai", "kind: outage, provider: openai, region: eu"), ("faults.0", "no account")),
    Broken("fault after the end", changed("start_s: 600", "start_s: 2h"), ("faults.0.start_s", "7200")),
    Broken("promise to an unknown tier", changed("at_least: 0.99", "at_least: 0.99, tier: gold"), ("slos.0.tier", "'gold'")),
    Broken("promise of an unknown metric", changed("metric: served_ratio", "metric: served"), ("slos.0.metric", "'served'", "served_ratio")),
    Broken("promise with two bounds", changed("at_least: 0.99", "at_least: 0.99, at_most: 1"), ("slos.0", "either")),
    Broken("promise of more than all", changed("at_least: 0.99", "at_least: 99"), ("slos.0", "share")),
    # names twice
    Broken("account twice", changed("- name: mine\n    provider: mine\n    limits", "- name: openai\n    provider: mine\n    limits"), ("accounts.2.name", "'openai'")),
    Broken("account number twice", changed("- name: mine\n    provider: mine\n    limits", "- name: openai-2\n    provider: mine\n    limits"), ("accounts.2.name", "openai-2")),
    Broken("tenant twice", changed("- name: small\n    count", "- name: big\n    count"), ("tenants.1.name", "'big'")),
    Broken("model twice", changed("- gpt-5.6-sol", "- gpt-5.6-sol\n  - gpt-5.6-sol"), ("models.1", "gpt-5.6-sol")),
    Broken("tier twice", changed("routing: {policy: headroom}", "tiers: [{name: a}, {name: a}]"), ("policies.tiers.1.name", "'a'")),
    Broken("promise twice", changed("slos:\n", "slos:\n  - {name: served, metric: wait_p50_s, at_most: 1}\n"), ("slos.1.name", "'served'")),
    Broken("model called auto", changed("name: own", "name: auto"), ("models.2.name", "'auto'")),
    # totals
    Broken("too many tenants", changed("count: 10", "count: 1000000"), ("tenants", "1,000,001", "1,000,000")),
    Broken("too many deployments", changed("count: 3,", "count: 5000,").replace("models:\n  - gpt-5.6-sol", "models:\n  - gpt-5.6-sol\n  - gpt-4o\n  - gpt-4o-mini\n  - gpt-5.4\n  - gpt-5.5"), ("accounts", "25,002", "20,000")),
    Broken("too many requests", changed("{requests_per_s: 1}", "{requests_per_s: 1e10}"), ("requests", "3.6e+13", "2,000,000,000")),
    Broken("growth without end", changed("{requests_per_s: 1}", "{requests_per_s: 1, growth_per_week: 100}").replace("horizon_s: 1h", "horizon_s: 3650d"), ("requests",)),
    # extends, traces, folders
    Broken("extends itself", "extends: small.yaml\n", ("circle", "small.yaml -> ")),
    Broken("extends in a circle", "extends: b.yaml\n", ("circle", "b.yaml"), {"b.yaml": "extends: small.yaml\n"}),
    Broken("extends outside", "extends: ../x.yaml\n", ("small.yaml:1", "extends", "leaves")),
    Broken("extends an absolute path", "extends: /etc/hosts\n", ("small.yaml:1", "extends", "absolute")),
    Broken("extends nothing", "extends: none.yaml\n", ("small.yaml:1", "extends", "no such file")),
    Broken("extends two", "extends: [a.yaml, b.yaml]\n", ("small.yaml:1", "extends")),
    Broken("drops what is not there", "extends: b.yaml\naccounts: [{name: nobody, drop: true}]\n", ("small.yaml:2", "nobody"), {"b.yaml": VALID}),
    Broken("broken base", "extends: b.yaml\n", ("b.yaml:24", "tenants.1.count"), {"b.yaml": changed("count: 10", "count: -1")}),
    Broken("trace outside", _with("workload: {sources: [{kind: azure, path: ../../secret.csv}]}\n"), ("workload.sources.0.path", "leaves")),
    Broken("trace with absolute path", _with("workload: {sources: [{kind: azure, path: /etc/passwd}]}\n"), ("workload.sources.0.path", "absolute")),
    Broken("missing trace", _with("workload: {sources: [{kind: azure, path: none.csv}]}\n"), ("workload.sources.0.path", "'none.csv'", "no such file")),
    Broken("trace of unknown kind", _with("workload: {sources: [{kind: azur, path: x}]}\n"), ("workload.sources.0", "'azur'", "azure")),
    Broken("trace without kind", _with("workload: {sources: [{path: x}]}\n"), ("workload.sources.0", "kind")),
    Broken("trace for unknown tenants", _with("workload: {sources: [{kind: azure, path: t.csv, assign: {groups: {bog: 1}}}]}\n"), ("workload.sources.0.assign.groups.bog", "big"), {"t.csv": "x"}),
    Broken("catalogue outside", _with("catalogue: ../c.yaml\n"), ("catalogue", "leaves")),
    Broken("broken catalogue", _with("catalogue: c.yaml\n"), (":34:", "catalogue"), {"c.yaml": "name: [\n"}),
    # the command line
    Broken("override without value", VALID, ("--set seed", "path=value"), arguments=("--set", "seed")),
    Broken("override of an unknown field", VALID, ("--set", "did you mean seed"), arguments=("--set", "sed=1")),
    Broken("override of an unknown item", VALID, ("--set", "did you mean openai"), arguments=("--set", "accounts.opnai.count=1")),
    Broken("override with a wrong type", VALID, ("--set", "accounts.0.count", "'x'"), arguments=("--set", "accounts.openai.count=x")),
    Broken("override that is no YAML", VALID, ("--set", "not YAML"), arguments=("--set", "slos=[")),
    Broken("override of extends", VALID, ("--set", "extends"), arguments=("--set", "extends=x.yaml")),
    Broken("seed beyond bounds", VALID, ("--seed", "seed"), arguments=("--seed", str(2**70))),
]  # fmt: skip


def test_there_are_at_least_sixty_kinds():
    assert len({broken.name for broken in SCENARIOS}) == len(SCENARIOS) >= 60


@pytest.mark.parametrize("broken", SCENARIOS, ids=lambda broken: broken.name.replace(" ", "-"))
def test_a_broken_scenario(broken: Broken, tmp_path: Path):
    folder = tmp_path / "scenarios"
    for name, text in broken.others.items():
        write(folder, text, name)
    scenario = write(folder, broken.text)
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, ["run", str(scenario), "--out", str(tmp_path / "results"), *broken.arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.stderr
    for part in broken.says:
        assert part in lines[0], f"{part!r} is not in {lines[0]!r}"
    assert len(lines[0]) < 600 + len(str(scenario)), "too long for one message"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_file_that_is_not_there(command, tmp_path):
    result = CliRunner().invoke(app, [command, str(tmp_path / "none.yaml")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {tmp_path / 'none.yaml'}: no such file\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "pipe.yaml")])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "SCENARIO"),
        (["run", "x.yaml", "y.yaml"], "y.yaml"),
        (["run", "x.yaml", "--drvier", "simpy"], "--driver"),
        (["run", "x.yaml", "--driver", "fast"], "compiled"),
        (["run", "x.yaml", "--seed", "seven"], "--seed"),
        (["run", "x.yaml", "--seed", "-1"], "--seed"),
        (["run", "x.yaml", "--explain", "-1"], "--explain"),
        (["run", "x.yaml", "--set"], "--set"),
        (["rnu"], "rnu"),
        (["validate"], "SCENARIO"),
        (["diff", "one.yaml"], "B"),
        (["catalog", "gpt-99-nothing"], "gpt-99-nothing"),
        (["catalog", "--catalogue", "yesterday"], "yesterday"),
        (["catalog", "--prices", "none.json"], "--effective"),
        (["catalog", "--prices", "none.json", "--effective", "soon"], "--effective"),
        (["import-litellm", "none.yaml"], "none.yaml"),
    ],
)  # fmt: skip
def test_a_broken_command_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
