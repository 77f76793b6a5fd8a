"""`--set path=value` reaches every field, present or defaulted, and nothing else."""

import pytest

from forge1sim.errors import ScenarioError
from forge1sim.scenario.load import load_scenario
from tests.scenario.examples import write


def _set(tmp_path, *overrides):
    return load_scenario(write(tmp_path), overrides)


def test_a_field_of_a_named_item(tmp_path):
    assert _set(tmp_path, "accounts.openai.count=5").platform.accounts[0].count == 5


def test_a_field_of_a_numbered_item(tmp_path):
    assert _set(tmp_path, "accounts.0.count=5").platform.accounts[0].count == 5


def test_a_name_with_dots_in_it(tmp_path):
    assert _set(tmp_path, "models.gpt-5.6-sol.speed.ttft_s=2.5").platform.models[0].speed.ttft_s == 2.5


def test_the_rest_of_a_changed_model_is_the_catalogues(tmp_path):
    plain, changed = load_scenario(write(tmp_path)), _set(tmp_path, "models.gpt-5.6-sol.speed.ttft_s=2.5")
    assert changed.platform.models[0].speed == plain.platform.models[0].speed.model_copy(update={"ttft_s": 2.5})


def test_a_field_of_a_defaulted_list(tmp_path):
    tiers = _set(tmp_path, "policies.tiers.enterprise.guaranteed_capacity=0.5").bundle.tiers
    assert [tier.guaranteed_capacity for tier in tiers] == [0.5, 0.4, 0.1]
    assert tiers[0].rate_limit_multiplier == 5.0


def test_a_field_of_a_table_that_the_file_leaves_out(tmp_path):
    loaded = _set(tmp_path, "policies.queue.max_waiting=5", "tenants.big.demand.diurnal.peak_hour=3")
    assert loaded.bundle.queue.max_waiting == 5
    assert loaded.groups[0].demand.diurnal.peak_hour == 3


def test_an_entry_of_a_free_mapping(tmp_path):
    assert _set(tmp_path, "tenants.big.demand.models.gpt-5.6-sol=2").groups[0].demand.models == {"gpt-5.6-sol": 2}


def test_a_whole_list_as_yaml(tmp_path):
    assert _set(tmp_path, "faults=[{kind: outage, region: eu, start_s: 1min}]").faults[0].start_s == 60


def test_later_overrides_win_and_see_earlier_ones(tmp_path):
    loaded = _set(tmp_path, "slos=[{name: a, metric: wait_p95_s, at_most: 1}]", "slos.a.at_most=2", "slos.a.at_most=3")
    assert [slo.at_most for slo in loaded.slos] == [3]


def test_an_empty_value_is_null(tmp_path):
    assert _set(tmp_path, "accounts.openai.usage_tier=").platform.accounts[0].limits == ()


def test_an_override_counts_in_the_hash_as_if_it_stood_in_the_file(tmp_path):
    plain = load_scenario(write(tmp_path))
    assert _set(tmp_path, "seed=7").hash == plain.hash
    assert _set(tmp_path, "seed=8").hash != plain.hash
    assert _set(tmp_path, "seed=8").hash == load_scenario(write(tmp_path), seed=8).hash


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed", "should be path=value"),
        ("=3", "should be path=value"),
        ("a..b=3", "should be path=value"),
        ("extends=x.yaml", "extends is read from the file only"),
        ("sed=3", "sed is unknown; did you mean seed?"),
        ("accounts.opnai.count=3", "accounts.opnai is unknown; did you mean openai?"),
        ("accounts.openai.cuont=3", "accounts.0.cuont is unknown; did you mean count?"),
        ("accounts.99.count=3", "accounts.99 is unknown; known items: anthropic, mine, openai"),
        ("accounts.-1.count=3", "accounts.-1 is unknown"),
        ("policies.tiers.gold.priority_score=3", "policies.tiers.gold is unknown"),
        ("models.gpt-5.6-sol.sped.ttft_s=3", "models.0.sped is unknown; did you mean speed?"),
        ("name.x=3", "name is 'small' and has no 'x' inside"),
        ("accounts.openai.count=0", "accounts.0.count is 0, should be greater than or equal to 1"),
        ("accounts.openai.count=[1", "not YAML"),
        ("accounts.openai.count=.nan", "no finite number"),
        ("accounts.openai.count=!!python/name:os.system x", "tag"),
        ("horizon_s=99999999999999999999", "too large"),
        ("tenants.big.demand.models.gpt-9=1", "no model of this scenario"),
    ],
)  # fmt: skip
def test_what_fits_nowhere_is_said(tmp_path, override, said):
    with pytest.raises(ScenarioError) as caught:
        _set(tmp_path, override)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--set ")
    assert "\n" not in str(caught.value)


def test_a_named_item_is_left_out_by_drop(tmp_path):
    assert [group.name for group in _set(tmp_path, "tenants.big.drop=true").groups] == ["small"]
    assert [group.name for group in _set(tmp_path, "tenants.big.count=2", "tenants.small.drop=true").groups] == ["big"]
