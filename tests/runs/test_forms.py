"""Forms change what was changed in them, and nothing else."""

import pytest

from forge1sim.runs import Shelf, forms
from forge1sim.runs.document import as_values, as_yaml
from forge1sim.runs.shelf import as_one_file

TABLES = (forms.TENANTS, forms.MODELS, forms.ACCOUNTS, forms.LIMITS, forms.PROVIDERS, forms.TIERS, forms.FAULTS, forms.SLOS)


@pytest.fixture
def quick_start(tmp_path):
    return as_values(as_one_file(Shelf(tmp_path).find("quickstart").path))


def edited(document, table, number, **cells):
    rows = list(enumerate(forms.rows_of(document, table)))
    rows[number] = (number, rows[number][1] | cells)
    return forms.with_rows(document, table, rows)


def test_looking_changes_nothing_in_any_shipped_scenario(tmp_path):
    for one in Shelf(tmp_path).shipped():
        document = as_values(as_one_file(one.path))
        for table in TABLES:
            rows = forms.rows_of(document, table)
            assert forms.with_rows(document, table, list(enumerate(rows))) == document, (one.ref, table.title)


def test_a_changed_cell_changes_its_value_alone(quick_start):
    changed = edited(quick_start, forms.TENANTS, 0, **{"demand.requests_per_s": 6.0, "count": 25.0})
    assert changed["tenants"][0] == quick_start["tenants"][0] | {
        "count": 25, "demand": quick_start["tenants"][0]["demand"] | {"requests_per_s": 6},
    }  # fmt: skip
    assert {**changed, "tenants": None} == {**quick_start, "tenants": None}
    assert changed["tenants"][1:] == quick_start["tenants"][1:]


def test_an_emptied_cell_takes_the_field_out(quick_start):
    changed = edited(quick_start, forms.TENANTS, 1, tokens_per_min=float("nan"), timezone=" ")
    assert "tokens_per_min" not in changed["tenants"][1]
    assert "timezone" not in changed["tenants"][1]
    assert changed["tenants"][1]["demand"] == quick_start["tenants"][1]["demand"]


def test_rows_come_and_go(quick_start):
    rows = list(enumerate(forms.rows_of(quick_start, forms.SLOS)))
    new = {"name": "all are quick", "tier": "all", "metric": "wait_p95_s", "at_least": None, "at_most": 5.0}
    changed = forms.with_rows(quick_start, forms.SLOS, [*rows[1:], (forms.NEW, new)])
    assert changed["slos"][:-1] == quick_start["slos"][1:]
    assert changed["slos"][-1] == {"name": "all are quick", "tier": "all", "metric": "wait_p95_s", "at_most": 5}
    # A row that was only begun says nothing yet.
    assert forms.with_rows(quick_start, forms.SLOS, [*rows, (forms.NEW, dict.fromkeys(new))]) == quick_start


def test_limits_belong_to_their_accounts_and_follow_a_new_name(quick_start):
    changed = edited(quick_start, forms.LIMITS, 0, limit=60_000.0)
    assert changed["accounts"][0]["limits"][0]["limit"] == 60_000
    assert changed["accounts"][1:] == quick_start["accounts"][1:]
    renamed = edited(changed, forms.ACCOUNTS, 0, name="openai-eu")
    assert renamed["accounts"][0] == changed["accounts"][0] | {"name": "openai-eu"}


def test_a_catalogue_model_stays_short_until_something_about_it_differs(quick_start):
    changed = edited(quick_start, forms.MODELS, 2, output_usd_per_1m=9.5)
    assert changed["models"][2] == {"catalogue": "gpt-5.6-terra", "output_usd_per_1m": 9.5}
    assert changed["models"][:2] == quick_start["models"][:2]
    assert edited(changed, forms.MODELS, 2, output_usd_per_1m=None) == quick_start


def test_tiers_that_a_scenario_leaves_out_are_written_once_one_changes(quick_start):
    assert "tiers" not in quick_start["policies"]
    changed = edited(quick_start, forms.TIERS, 1, priority_score=70.0)
    assert [tier["name"] for tier in changed["policies"]["tiers"]] == ["enterprise", "professional", "standard"]
    assert changed["policies"]["tiers"][1]["priority_score"] == 70


@pytest.mark.parametrize(("cell", "kept"), [("13h", "13h"), ("90", 90), ("1.5", 1.5), ("30 min", "30 min")])
def test_durations_are_kept_as_written(quick_start, cell, kept):
    fault = {"kind": "outage", "provider": "openai", "start_s": cell, "duration_s": "30min"}
    changed = forms.with_rows(quick_start, forms.FAULTS, [(forms.NEW, fault)])
    assert changed["faults"] == [{"kind": "outage", "provider": "openai", "start_s": kept, "duration_s": "30min"}]


def test_every_edit_still_loads(quick_start, tmp_path):
    changed = edited(quick_start, forms.TENANTS, 0, count=25.0)
    changed = edited(changed, forms.ACCOUNTS, 0, count=5.0, standby_keys=2.0)
    changed = forms.with_value(changed, "policies.retry.max_attempts", 6, 4)
    loaded = Shelf(tmp_path).check(as_yaml(changed), {})
    assert loaded.groups[0].count == 25
    assert loaded.scenario.accounts[0].standby_keys == 2
    assert loaded.bundle.retry.max_attempts == 6


def test_policy_fields_have_the_defaults_of_the_schema(quick_start):
    for section in forms.SECTIONS:
        for field in forms.policy_fields(section):
            assert forms.with_value(quick_start, f"policies.{section}.{field.path}", field.default, field.default) == quick_start
            assert not field.choices or field.default in field.choices
