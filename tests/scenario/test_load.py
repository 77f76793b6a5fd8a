"""What a scenario file comes to: models, limits, tiers, files, hash, and all problems in one reading."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge1sim.catalogue.load import load_catalogue
from forge1sim.errors import ScenarioError
from forge1sim.scenario import checks
from forge1sim.scenario.folders import Folders
from forge1sim.scenario.load import load_scenario
from forge1sim.scenario.resolve import tier_of_contract
from forge1sim.scenario.schema import scenario_json_schema
from policies.bundle import DESIGN_TIERS
from policies.schema import Distribution
from tests.scenario.examples import VALID, changed, write


def test_models_come_from_the_catalogue_with_changes_laid_over(tmp_path):
    models = load_scenario(write(tmp_path)).platform.models
    catalogue = load_catalogue("current")
    assert [model.name for model in models] == ["gpt-5.6-sol", "claude-sonnet-5", "own"]
    assert models[0].output_usd_per_1m == catalogue.model("gpt-5.6-sol").output_usd_per_1m
    assert models[1].speed == catalogue.model("claude-sonnet-5").speed.model_copy(update={"noise_sigma": 0.0})


def test_fallbacks_of_catalogue_models_are_cut_down_to_the_models_present(tmp_path):
    for model in load_scenario(write(tmp_path)).platform.models:
        assert set(model.fallbacks) <= {"gpt-5.6-sol", "claude-sonnet-5", "own"}


def test_a_usage_tier_brings_the_limits_of_the_models_served(tmp_path):
    account = load_scenario(write(tmp_path)).platform.accounts[0]
    assert account.limits == load_catalogue("current").limits("openai", "tier-3", ["gpt-5.6-sol"])
    assert {limit.dimension for limit in account.limits} >= {"rpm", "tpm"}


def test_own_limits_are_laid_over_those_of_the_usage_tier(tmp_path):
    own = "accounts.openai.limits=[{dimension: rpm, limit: 5, model_class: gpt-5.6-sol}, {dimension: concurrency, limit: 9}]"
    plain, changed_limits = (load_scenario(write(tmp_path), given).platform.accounts[0].limits for given in ((), (own,)))
    of_rpm = [limit.limit for limit in changed_limits if limit.dimension == "rpm"]
    assert of_rpm == [5]
    assert len(changed_limits) == len(plain) + 1


def test_an_account_without_limits_has_none(tmp_path):
    assert load_scenario(write(tmp_path), ["accounts.mine.limits=[]"]).platform.accounts[2].limits == ()


def test_provider_days_are_the_catalogues_and_behaviour_the_scenarios(tmp_path):
    text = changed("- {name: mine, error_probability: 0.01}", "- {name: anthropic, error_probability: 0.5}")
    providers = {provider.name: provider for provider in load_scenario(write(tmp_path, text)).platform.providers}
    assert providers["anthropic"].error_probability == 0.5
    assert providers["anthropic"].timezone == load_catalogue("current").provider("anthropic").timezone
    assert set(providers) == {"openai", "anthropic", "mine"}


@pytest.mark.parametrize(
    ("usd_per_month", "tier"),
    [(0, "standard"), (49_999, "standard"), (50_000, "professional"), (199_999.99, "professional"), (200_000, "enterprise")],
)  # fmt: skip
def test_the_contract_decides_the_tier(usd_per_month, tier):
    assert tier_of_contract(usd_per_month, DESIGN_TIERS) == tier


@given(usd_per_month=st.floats(0, 1e9), order=st.permutations(DESIGN_TIERS))
def test_the_order_of_tiers_does_not_matter_for_contracts(usd_per_month, order):
    assert tier_of_contract(usd_per_month, tuple(order)) == tier_of_contract(usd_per_month, DESIGN_TIERS)


def test_tenants_have_their_tier_and_demand(tmp_path):
    loaded = load_scenario(write(tmp_path))
    assert [(group.name, group.tier) for group in loaded.groups] == [("big", "enterprise"), ("small", "standard")]
    assert [group.tier for group in loaded.platform.tenants] == ["enterprise", "standard"]
    assert loaded.groups[1].demand.requests_per_s_each == 0.1
    assert loaded.expected_requests == pytest.approx(2 * 3600)


def test_expected_requests_know_the_day_and_the_hour(root):
    counts = {}
    for start in ("2026-11-02T00:00:00Z", "2026-11-07T00:00:00Z"):        # a Monday, a Saturday
        loaded = load_scenario(root / "scenarios" / "quickstart.yaml", [f"start={start}"])
        counts[start] = loaded.expected_requests
    monday, saturday = counts.values()
    assert monday == pytest.approx(542_712, rel=0.01)       # as seed 1 draws
    assert saturday < 0.7 * monday


def test_durations_may_be_written_in_words(tmp_path):
    loaded = load_scenario(write(tmp_path), ["horizon_s=1.5h", "drain_s=2min", "faults.0.start_s=90s"])
    assert (loaded.horizon_us, loaded.drain_us, loaded.faults[0].start_s) == (5_400_000_000, 120_000_000, 90)


def test_a_start_is_an_instant(tmp_path):
    loaded = load_scenario(write(tmp_path), ["start=2026-03-01T02:00:00+02:00"])
    assert loaded.start_us == datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1_000_000


def test_the_schema_expresses_the_textbook_queue_in_a_few_lines(tmp_path):
    mmc = (
        "name: mmc\n"
        "models: [{name: m, provider: p, input_usd_per_1m: 0, output_usd_per_1m: 0, speed: {service_s: {kind: exponential, mean: 1}}}]\n"
        "accounts: [{name: a, provider: p, limits: [{dimension: concurrency, limit: 10}]}]\n"
        "tenants: [{name: t, demand: {requests_per_s: 8}}]\n"
    )
    model = load_scenario(write(tmp_path, mmc)).platform.models[0]
    assert model.speed.service_s == Distribution(kind="exponential", mean=1.0)


def test_the_hash_ignores_words_and_sees_figures(tmp_path):
    plain = load_scenario(write(tmp_path))
    worded = load_scenario(write(tmp_path, "description: other words\n" + changed("name: small\nmodels", "name: renamed\nmodels")))
    shorter = load_scenario(write(tmp_path, changed("horizon_s: 1h", "horizon_s: 3600")))
    dearer = load_scenario(write(tmp_path, changed("input_usd_per_1m: 1", "input_usd_per_1m: 1.5")))
    assert plain.hash == worded.hash == shorter.hash
    assert plain.hash != dearer.hash


def test_the_hash_sees_the_contents_of_data_files(tmp_path):
    text = VALID + "workload: {sources: [{kind: azure, path: trace.csv}]}\n"
    (tmp_path / "trace.csv").write_text("one")
    one = load_scenario(write(tmp_path, text))
    assert one.data_files == {"trace.csv": (tmp_path / "trace.csv").resolve()}
    assert [source.path for source in one.located_sources()] == [str((tmp_path / "trace.csv").resolve())]
    assert one.source_folders[0] == tmp_path.resolve()
    first = one.hash
    (tmp_path / "trace.csv").write_text("two")
    assert load_scenario(write(tmp_path, text)).hash != first


def test_the_resolved_form_is_canonical_json_and_the_same_every_time(tmp_path):
    text = load_scenario(write(tmp_path)).resolved_json()
    assert text == load_scenario(write(tmp_path)).resolved_json()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_shared_data_is_found_in_data_folders_only(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "trace.csv").write_text("x")
    text = VALID + "workload: {sources: [{kind: azure, path: 'shared:trace.csv'}]}\n"
    scenario = write(tmp_path / "scenarios", text)
    assert load_scenario(scenario, folders=Folders(data=(data,))).data_files == {"shared:trace.csv": (data / "trace.csv").resolve()}
    with pytest.raises(ScenarioError, match=r"workload.sources.0.path is 'shared:trace.csv': no data folder is known"):
        load_scenario(scenario, folders=Folders())
    with pytest.raises(ScenarioError, match="leaves the data folders"):
        load_scenario(
            write(tmp_path / "scenarios", text.replace("shared:", "shared:../")), folders=Folders(data=(data,))
        )


def test_folders_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE1SIM_DATA_FOLDERS", str(tmp_path))
    monkeypatch.setenv("FORGE1SIM_POLICY_FOLDERS", f"{tmp_path}:{tmp_path / 'more'}")
    folders = Folders.of([tmp_path / "given"])
    assert folders.data[:2] == (tmp_path / "given", tmp_path)
    assert folders.policies == (tmp_path, tmp_path / "more")


def test_user_policies_come_from_folders_that_the_operator_names(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "mine.py").write_text("def choose(): ...\n")
    scenario = write(tmp_path / "scenarios", changed("{policy: headroom}", "{policy: 'mine.py:choose'}"))
    (tmp_path / "scenarios" / "mine.py").write_text("def choose(): ...\n")
    with pytest.raises(ScenarioError, match=r"policies.routing.policy is 'mine.py:choose': no policy folder is allowed"):
        load_scenario(scenario, folders=Folders())
    loaded = load_scenario(scenario, folders=Folders(policies=(allowed,)))
    assert loaded.user_policies == {"mine.py:choose": (allowed / "mine.py").resolve()}
    before = (loaded.hash, loaded.bundle_hash)
    (allowed / "mine.py").write_text("def choose(): return 1\n")
    after = load_scenario(scenario, folders=Folders(policies=(allowed,)))
    assert after.hash != before[0]
    assert after.bundle_hash != before[1]


@pytest.mark.parametrize("name", ["../mine.py:f", "/etc/mine.py:f", "mine.py", "mine.py:", "mine.py:f()", "os:system", "no.py:f"])
def test_policies_elsewhere_are_refused(tmp_path, name):
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    for folder in (tmp_path, allowed):
        (folder / "mine.py").write_text("raise SystemExit('imported')\n")
    scenario = write(tmp_path / "scenarios", changed("{policy: headroom}", f"{{policy: {name!r}}}"))
    with pytest.raises(ScenarioError, match=r"policies\.routing\.policy is "):
        load_scenario(scenario, folders=Folders(policies=(allowed,)))


def test_all_problems_of_a_file_are_reported_together_in_its_order(tmp_path):
    text = changed("count: 10", "count: 0").replace("seed: 7", "seed: -1").replace("provider: mine\n    input", "porvider: mine\n    input")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tmp_path, text))
    lines = [line.removeprefix(str(tmp_path)) for line in caught.value.problems]
    assert [line.split()[0:2] for line in lines] == [
        ["/small.yaml:6:", "models.2.provider"],
        ["/small.yaml:7:", "models.2.porvider"],
        ["/small.yaml:24:", "tenants.1.count"],
        ["/small.yaml:32:", "seed"],
    ]


def test_no_more_than_twenty_problems_are_listed(tmp_path):
    accounts = "".join(f"  - {{name: a{number}, provider: mine, keys: 0}}\n" for number in range(50))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tmp_path, VALID.replace("providers:\n", f"{accounts}providers:\n")))
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].endswith("and at least 30 more problems")


def test_a_file_full_of_problems_is_refused_quickly(tmp_path):
    """Looking for close names is slow; a hostile file must not make us look a hundred thousand times."""
    tenants = "".join(f"  - {{name: t{row % 9000}, tier: enterprize{row}, models: [m{row}, n{row}], tagz: 1}}\n" for row in range(15_000))
    for text in (tenants, tenants.replace(", tagz: 1", "")):
        begin = time.process_time()
        with pytest.raises(ScenarioError) as caught:
            load_scenario(write(tmp_path, VALID.replace("policies:\n", f"{text}policies:\n")))
        assert len(caught.value.problems) == 21
        assert time.process_time() - begin < 20


def test_a_problem_of_the_base_names_the_base(tmp_path):
    write(tmp_path, changed("count: 10", "count: 0"))
    child = write(tmp_path, "extends: small.yaml\nname: child\n", "child.yaml")
    with pytest.raises(ScenarioError, match=r"small.yaml:24: tenants.1.count is 0"):
        load_scenario(child)


def test_the_bound_on_requests_is_that_of_the_workload():
    from forge1sim.workload.build import REQUESTS_MAX

    assert checks.MAX_REQUESTS == REQUESTS_MAX


def test_contracts_and_named_tiers_agree_with_the_gateway():
    from policies.build import tier_of
    from policies.schema import TenantGroup

    for usd_per_month in (0.0, 50_000.0, 200_000.0):
        group = TenantGroup(name="t", contract_usd_per_month=usd_per_month)
        assert DESIGN_TIERS[tier_of(group, DESIGN_TIERS)].name == tier_of_contract(usd_per_month, DESIGN_TIERS)


def test_the_committed_schema_is_up_to_date(root):
    committed = json.loads((root / "forge1sim/scenario/scenario.schema.json").read_text())
    assert committed == scenario_json_schema(), "run: forge1sim schema --out forge1sim/scenario/scenario.schema.json"


def test_the_schema_accepts_what_the_loader_accepts(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    from forge1sim.scenario.yaml_tree import parse_yaml

    validator = jsonschema.Draft202012Validator(scenario_json_schema())
    assert list(validator.iter_errors(parse_yaml(VALID, "f").plain())) == []
    child = "extends: small.yaml\nname: child\naccounts: [{name: openai, count: 5}, {name: mine, drop: true}]\nhorizon_s: 2d\n"
    assert list(validator.iter_errors(parse_yaml(child, "f").plain())) == []
    for broken in ("name: x\nnmae: y\n", "seed: many\n", "faults: [{kind: flood}]\n", "models: [{catalogue: a, cost: 1}]\n"):
        assert list(validator.iter_errors(parse_yaml(broken, "f").plain())), broken


def test_every_field_of_a_scenario_is_documented(root):
    from forge1sim.scenario.schema import Scenario, Slo

    text = (root / "docs/scenarios.md").read_text()
    for table in (Scenario, Slo):
        for field in table.model_fields:
            assert f"`{field}`" in text, f"docs/scenarios.md does not name {table.__name__}.{field}"


def test_the_scenarios_of_the_guide_load(root, tmp_path):
    """Every whole scenario and every change in docs/scenarios.md does what it says."""
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs/scenarios.md").read_text(), re.DOTALL)
    first = write(tmp_path, blocks[0], "first.yaml")
    assert [group.tier for group in load_scenario(first).groups] == ["enterprise", "standard"]
    more = load_scenario(write(tmp_path, blocks[2], "more.yaml"))
    assert [account.count for account in more.platform.accounts] == [4, 1]
    sets = re.findall(r"^forge1sim run .* --set '?([^'\n]+)'?$", (root / "docs/scenarios.md").read_text(), re.MULTILINE)
    assert len(sets) >= 4
    for override in sets:
        assert load_scenario(first, [override]).hash != load_scenario(first).hash
