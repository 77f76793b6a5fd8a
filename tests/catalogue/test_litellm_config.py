"""Importing a LiteLLM config.yaml: accounts, limits, fallbacks, policies, and what is said about the rest."""

import json

import pytest

from forge1sim.catalogue import import_litellm_config, load_catalogue
from forge1sim.errors import CatalogueError
from forge1sim.run import simulate
from forge1sim.scenario.load import load_scenario
from policies.bundle import PolicyBundle
from policies.schema import Account, Model, Platform, TenantGroup

CURRENT = load_catalogue("current")
CLIENTS = {"name": "client", "count": 3, "demand": {"requests_per_s": 1.0}}

FULL = """
model_list:
  - model_name: smart
    litellm_params:
      model: azure/my-gpt4o-eu
      api_base: https://x.example.com/?key=hunter2
      api_key: sk-literal-SECRET
      rpm: 500
      tpm: 100000
      weight: 2
      timeout: 30
    model_info: {base_model: azure/gpt-4o, id: abc}
  - model_name: smart
    litellm_params: {model: openai/gpt-4o-2024-08-06, api_key: os.environ/OPENAI_API_KEY, rpm: 1000}
  - model_name: writer
    litellm_params: {model: anthropic/claude-opus-4-6-20260205, api_key: os.environ/ANT, rpm: 100, itpm: 5000}
  - model_name: editor
    litellm_params: {model: claude-opus-4-7, api_key: os.environ/ANT, rpm: 300}
  - model_name: editor
    litellm_params: {model: bedrock/us.anthropic.claude-opus-4-7-v1:0, aws_region_name: us-east-1}
  - model_name: in-house
    litellm_params:
      model: hosted_vllm/foo
      api_base: http://10.0.0.1
      input_cost_per_token: 2e-7
      output_cost_per_token: 0.0000004
      max_parallel_requests: 8
    model_info: {max_input_tokens: 32000, max_output_tokens: 4000}
  - model_name: unheard-of
    litellm_params: {model: openai/unheard-of}
  - model_name: "openai/*"
    litellm_params: {model: "openai/*", api_key: os.environ/OPENAI_API_KEY}
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small}
    model_info: {mode: embedding}
router_settings:
  routing_strategy: least-busy
  num_retries: 3
  cooldown_time: 30
  allowed_fails: 2
  retry_after: 1
  redis_password: hunter2
  fallbacks: [{smart: [writer, nowhere]}]
litellm_settings:
  num_retries: 9
  default_fallbacks: [in-house]
  drop_params: true
general_settings: {master_key: sk-hunter2, database_url: "postgres://db/?password=hunter2"}
environment_variables: {TOKEN: hunter2}
"""


def load(folder, text):
    path = folder / "proxy.yaml"
    path.write_text(text)
    return import_litellm_config(path)


def deployments(*rows, **settings):
    entries = [{"model_name": group, "litellm_params": params} for group, params in rows]
    return json.dumps({"model_list": entries, **settings})


def platform_of(imported):
    """The fragment as a platform, built as a scenario builds it."""
    models = []
    for item in imported.scenario["models"]:
        changes = {field: value for field, value in item.items() if field != "catalogue"}
        base = CURRENT.model(item["catalogue"]).model_dump(exclude={"fallbacks"}) if "catalogue" in item else {}
        models.append(Model.model_validate({**base, **changes}))
    accounts = [Account.model_validate(account) for account in imported.scenario["accounts"]]
    return Platform(models=tuple(models), accounts=tuple(accounts), tenants=(TenantGroup(name="all"),))


def limits_of(account):
    return {(limit.model_class, limit.dimension): limit.limit for limit in account.limits}


@pytest.fixture
def full(tmp_path):
    return load(tmp_path, FULL)


def test_the_fragment_is_a_valid_part_of_a_scenario(full):
    platform = platform_of(full)
    assert [model.name for model in platform.models] == ["smart", "writer", "editor", "in-house"]
    names = {model.name for model in platform.models}
    classes = {model.model_class or model.name for model in platform.models}
    for account in platform.accounts:
        assert set(account.models) <= names
        assert {limit.model_class for limit in account.limits} <= classes
    for model in platform.models:
        assert set(model.fallbacks) < names
    PolicyBundle.model_validate(full.scenario["policies"])
    assert full.scenario["catalogue"] == "current"
    assert [provider["name"] for provider in full.scenario["providers"]] == ["azure", "bedrock", "hosted_vllm"]


def test_with_tenants_added_it_loads_as_a_scenario(tmp_path):
    text = deployments(
        ("smart", {"model": "openai/gpt-5.4", "api_key": "os.environ/A", "rpm": 100, "tpm": 100_000}),
        ("smart", {"model": "openai/gpt-5.4", "api_key": "os.environ/B", "rpm": 300}),
        ("writer", {"model": "claude-opus-4-8", "itpm": 5_000, "otpm": 900}),
        router_settings={"fallbacks": [{"smart": ["writer"]}], "cooldown_time": 10, "num_retries": 2},
    )
    fragment = load(tmp_path, text).scenario
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({**fragment, "tenants": [CLIENTS]}))
    platform = load_scenario(path).platform
    assert [account.name for account in platform.accounts] == ["openai-1", "openai-2", "anthropic-1"]
    assert [account.weight for account in platform.accounts] == [1, 1, 1], "the last states no rpm to weigh by"
    assert [model.fallbacks for model in platform.models] == [("writer",), ()]


@pytest.mark.parametrize(
    "upstream", ["azure/gpt-4o", "bedrock/us.anthropic.claude-opus-4-7-v1:0", "vertex_ai/claude-haiku-4-5@20251001"]
)
def test_a_cloud_route_alone_can_be_run(tmp_path, upstream):
    """Its provider is in no catalogue; the scenario lists it."""
    imported = deployments_of(tmp_path, upstream)
    path = tmp_path / "scenario.yaml"
    path.write_text(json.dumps({**imported.scenario, "tenants": [{**CLIENTS, "tier": "standard"}], "horizon_s": 60}))
    assert simulate(load_scenario(path)).summary["requests"]["served"] > 30


def deployments_of(folder, upstream):
    """The import of a configuration with one deployment."""
    row = {"model_name": "smart", "litellm_params": {"model": upstream, "api_base": "x", "api_key": "os.environ/KEY", "rpm": 500}}
    return load(folder, json.dumps({"model_list": [row]}))


def test_a_group_is_one_model_served_by_all_its_accounts(full):
    platform = platform_of(full)
    assert {account.name for account in platform.accounts if "smart" in account.models} == {"azure-1", "openai-1"}
    editor = next(model for model in platform.models if model.name == "editor")
    assert editor.model_class == "opus-4.x"
    assert [account.region for account in platform.accounts if account.provider == "bedrock"] == ["us-east-1"]


def test_limits_belong_to_the_account_and_model_class(full):
    accounts = {account.name: account for account in platform_of(full).accounts}
    assert limits_of(accounts["azure-1"]) == {("gpt-4o", "rpm"): 500, ("gpt-4o", "tpm"): 100_000}
    assert accounts["anthropic-1"].models == ("writer", "editor")
    assert limits_of(accounts["anthropic-1"]) == {("opus-4.x", "rpm"): 300, ("opus-4.x", "itpm"): 5_000}
    assert {limit.window for limit in accounts["anthropic-1"].limits} == {"token_bucket"}
    assert limits_of(accounts["hosted_vllm-1"]) == {("in-house", "concurrency"): 8}
    assert any("rpm of opus-4.x stands at several deployments" in note for note in full.notes)
    assert any("bedrock-1: no rpm or tpm" in note for note in full.notes)


def test_a_price_of_the_file_is_read_even_where_yaml_makes_it_text(full):
    own = next(model for model in platform_of(full).models if model.name == "in-house")
    assert (own.input_usd_per_1m, own.output_usd_per_1m) == (0.2, 0.4)
    assert (own.context_tokens, own.max_output_tokens) == (32_000, 4_000)


def test_a_model_without_a_price_is_left_out_and_said(full):
    assert "unheard-of" not in {model["name"] for model in full.scenario["models"]}
    assert any(note.startswith("model unheard-of") and "input_cost_per_token" in note for note in full.notes)


def test_fallbacks_come_in_order_and_only_to_models_that_exist(full):
    fallbacks = {model["name"]: model["fallbacks"] for model in full.scenario["models"]}
    assert fallbacks == {
        "smart": ["writer", "in-house"],
        "writer": ["in-house"],
        "editor": ["in-house"],
        "in-house": [],
    }
    assert any("fallbacks of smart" in note for note in full.notes)


def test_router_settings_win_and_become_policies(full):
    assert full.scenario["policies"] == {
        "routing": {"policy": "least_in_flight"},
        "retry": {"max_attempts": 4, "backoff_s": 1.0, "backoff_max_s": 30.0},
        "cooldown": {"failures_to_cool": 3, "failure_window_s": 60.0, "cooldown_s": 30.0, "throttle_s": 30.0},
    }


def test_no_secret_and_no_endpoint_is_ever_written(full):
    written = json.dumps([full.scenario, full.notes])
    for secret in ("hunter2", "SECRET", "sk-", "example.com", "10.0.0.1", "postgres"):
        assert secret not in written
    assert any("a literal secret stands in the file" in note for note in full.notes)
    assert any("OPENAI_API_KEY" in note for note in full.notes), "the name of a variable is no secret"


@pytest.mark.parametrize(
    "setting",
    [
        "litellm_params.timeout", "model_info.id", "model_list[7]", "model_list[8]", "router_settings.redis_password",
        "litellm_settings.drop_params", "general_settings", "environment_variables", "retry_after", "cooldown_time",
    ],
)  # fmt: skip
def test_each_dropped_or_approximated_setting_is_noted(full, setting):
    assert [note for note in full.notes if note.startswith(setting)]


@pytest.mark.parametrize(
    ("first", "second", "accounts"),
    [
        ({"api_key": "os.environ/A"}, {"api_key": "os.environ/A"}, 1),
        ({"api_key": "os.environ/A"}, {"api_key": "os.environ/B"}, 2),
        ({"api_key": "sk-1"}, {"api_key": "sk-1"}, 1),
        ({"api_key": "sk-1"}, {"api_key": "sk-2"}, 2),
        ({"api_base": "http://a"}, {"api_base": "http://a"}, 1),
        ({"api_base": "http://a"}, {"api_base": "http://b"}, 2),
        ({}, {}, 1),
        ({"organization": "o", "api_key": "sk-1"}, {"organization": "o", "api_key": "sk-2"}, 1),
        ({"model": "azure/gpt-4o", "api_base": "a", "api_key": "1"}, {"model": "azure/gpt-4o", "api_base": "a", "api_key": "2"}, 1),
        ({"model": "azure/gpt-4o", "api_base": "a", "api_key": "1"}, {"model": "azure/gpt-4o", "api_base": "b", "api_key": "1"}, 2),
        ({"api_key": "os.environ/A", "region_name": "eu"}, {"api_key": "os.environ/A", "region_name": "us"}, 2),
    ],
)  # fmt: skip
def test_what_makes_two_deployments_one_account(tmp_path, first, second, accounts):
    rows = [("chat", {"model": "openai/gpt-4o", "rpm": 7, **params}) for params in (first, second)]
    imported = load(tmp_path, deployments(*rows))
    found = platform_of(imported).accounts
    assert len(found) == accounts
    assert all(limits_of(account) == {("gpt-4o", "rpm"): 7} for account in found)


def test_two_keys_of_one_account_are_two_keys_and_one_limit(tmp_path):
    params = {"model": "openai/gpt-4o", "organization": "o", "rpm": 7}
    rows = [("chat", {**params, "api_key": "os.environ/A"}), ("chat", {**params, "api_key": "os.environ/B"})]
    (account,) = platform_of(load(tmp_path, deployments(*rows))).accounts
    assert account.keys == 2
    assert len(account.limits) == 1


@pytest.mark.parametrize(
    ("strategy", "policy"),
    [
        ("simple-shuffle", "weighted"),
        ("least-busy", "least_in_flight"),
        ("usage-based-routing", "headroom"),
        ("usage-based-routing-v2", "headroom"),
        ("latency-based-routing", "latency"),
        ("cost-based-routing", "cost_efficiency"),
        ("something-new", "weighted"),
        (None, "weighted"),
        (["least-busy"], "weighted"),
    ],
)
def test_routing_strategies(tmp_path, strategy, policy):
    imported = load(
        tmp_path, deployments(("chat", {"model": "gpt-4o"}), router_settings={"routing_strategy": strategy})
    )
    assert imported.scenario["policies"]["routing"] == {"policy": policy}


def test_the_shuffle_weighs_by_weight_or_else_by_rate(tmp_path):
    by_weight = deployments(
        ("chat", {"model": "gpt-4o", "api_key": "os.environ/A", "weight": 3, "rpm": 100}),
        ("chat", {"model": "gpt-4o", "api_key": "os.environ/B", "rpm": 900}),
    )
    assert [account.weight for account in platform_of(load(tmp_path, by_weight)).accounts] == [3, 1]
    by_rate = deployments(
        ("chat", {"model": "gpt-4o", "api_key": "os.environ/A", "rpm": 100}),
        ("chat", {"model": "gpt-4o", "api_key": "os.environ/B", "rpm": 900}),
    )
    assert [account.weight for account in platform_of(load(tmp_path, by_rate)).accounts] == [100, 900]


def test_a_group_of_several_models_keeps_its_name_for_the_first(tmp_path):
    text = deployments(
        ("chat", {"model": "gpt-4o"}),
        ("chat", {"model": "gemini/gemini-2.5-flash"}),
        ("other", {"model": "gpt-5.4"}),
        router_settings={"fallbacks": [{"other": ["chat"]}]},
    )
    imported = load(tmp_path, text)
    fallbacks = {model["name"]: model["fallbacks"] for model in imported.scenario["models"]}
    assert fallbacks == {
        "chat": ["chat as gemini-2.5-flash"],
        "chat as gemini-2.5-flash": ["chat"],
        "other": ["chat", "chat as gemini-2.5-flash"],
    }
    assert {account.provider for account in platform_of(imported).accounts} == {"openai", "google"}


@pytest.mark.parametrize(
    ("upstream", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("gemini/gemini-2.5-flash", "gemini-2.5-flash"),
        ("vertex_ai/claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("openrouter/anthropic/claude-opus-4.7", "claude-opus-4-7"),
        ("anthropic/claude-sonnet-4-6-latest", "claude-sonnet-4-6"),
    ],
)
def test_upstream_names_are_recognised(tmp_path, upstream, name):
    imported = load(tmp_path, deployments(("chat", {"model": upstream})))
    assert imported.scenario["models"][0]["catalogue"] == name


@pytest.mark.parametrize("value", [0, -1, "many", True, [1], {"a": 1}, 1e300, float("nan"), "1e400"])
def test_a_senseless_limit_is_dropped_and_noted(tmp_path, value):
    imported = load(tmp_path, deployments(("chat", {"model": "gpt-4o", "rpm": value})))
    assert platform_of(imported).accounts[0].limits == ()
    assert any("rpm dropped" in note for note in imported.notes)


@pytest.mark.parametrize("key", ["num_retries", "allowed_fails", "cooldown_time", "retry_after"])
@pytest.mark.parametrize("value", [0, -1, "many", True, [1], 1e11, 99])
def test_any_value_of_a_setting_gives_a_valid_bundle(tmp_path, key, value):
    imported = load(tmp_path, deployments(("chat", {"model": "gpt-4o"}), router_settings={key: value}))
    PolicyBundle.model_validate(imported.scenario["policies"])


@pytest.mark.parametrize(
    "fallbacks", [7, "gpt-4o", [7], [{"chat": 7}], [{"chat": [{"model": "x"}]}], {"chat": "chat"}, [{"a": ["b"]}]]
)
def test_odd_fallbacks_are_left_out_and_noted(tmp_path, fallbacks):
    text = deployments(("chat", {"model": "gpt-4o"}), litellm_settings={"fallbacks": fallbacks})
    imported = load(tmp_path, text)
    assert imported.scenario["models"][0]["fallbacks"] == []
    assert fallbacks == {"chat": "chat"} or any("fallbacks" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "not valid YAML"),
        ("[]", "holds a list"),
        ("{}", "model_list must be a list"),
        ("model_list: {}", "model_list must be a list"),
        ("model_list: []", "model_list must be a list"),
        ("model_list: [1, {}, {model_name: a}]", r"no usable deployment(.|\n)*model_list\[2\]: dropped"),
        ("model_list: [{model_name: '...', litellm_params: {model: gpt-4o}}]", "must be names"),
        ("model_list: [{model_name: a, litellm_params: {model: [b]}}]", "must be names"),
        ("model_list: [{model_name: a, litellm_params: {model: unknown}}]", "input_cost_per_token"),
        ("model_list: [" + "1," * 5001 + "]", "at most 5000"),
        ("model_list: [" + "[" * 200_000, "nested more than"),
        ("#" * (5 * 1024 * 1024), "larger than 4 MiB"),
    ],
)
def test_a_broken_config_gives_one_clear_message(tmp_path, text, said):
    with pytest.raises(CatalogueError, match=said) as caught:
        load(tmp_path, text)
    assert "proxy.yaml" in str(caught.value)
