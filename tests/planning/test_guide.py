"""docs/plan.md names every field of the terms, every column and every key."""

import re

import pytest

from forge1sim.ask import Ask
from forge1sim.planning.infeasible import NoPlanError
from forge1sim.planning.infeasible import as_json as infeasible_json
from forge1sim.planning.plan import plan
from forge1sim.planning.planned import as_json
from forge1sim.planning.write import purchases_csv
from forge1sim.scenario.load import load_scenario
from forge1sim.scenario.terms import AccountTerms, Growth, PlanTerms, Reservation, Survival, Tornado, UsageTierTerms
from tests.planning.pool import POOL


@pytest.fixture
def guide(root) -> str:
    return (root / "docs/plan.md").read_text()


@pytest.mark.parametrize("table", [PlanTerms, AccountTerms, UsageTierTerms, Reservation, Survival, Growth, Tornado])
def test_every_field_of_the_terms_is_documented(table, guide):
    assert [field for field in table.model_fields if f"`{field}`" not in guide] == []


def test_every_key_and_column_is_documented(guide, tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(POOL)
    planned = plan(Ask(scenario=str(path), seed=1), backend="serial")
    found = as_json(planned)
    ahead = found["answers"]["exhaustion"]["limits"][0]
    nested = [found["purchases"][0], found["cost_parts_usd_per_month"], found["fresh_cost_usd_per_month"], found["gaps"], found["slo"][0],
              found["rounds"][0], found["answers"], ahead, ahead["held"], found["answers"]["interim"]]  # fmt: skip
    keys = {*found, *(key for table in nested for key in table), *purchases_csv(planned).splitlines()[0].split(",")}
    assert {key for key in keys if f"`{key}`" not in guide} == set()


def test_the_terms_of_the_guide_load(guide, root):
    block = re.search(r"```yaml\nplan:\n(.*?)```", guide, re.DOTALL)
    assert block is not None
    import yaml

    overrides = [f"plan.{name}={yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]}"
                 for name, value in yaml.safe_load(block[1]).items()]  # fmt: skip
    terms = load_scenario(root / "scenarios/quickstart.yaml", overrides).scenario.plan
    assert terms.accounts[0].at_most == 6
    assert [option.name for option in terms.reservations] == ["as now", "less"]


def test_every_key_of_what_is_told_where_nothing_fits_is_documented(guide, tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(POOL)
    with pytest.raises(NoPlanError) as told:
        plan(Ask(scenario=str(path), overrides=("plan.accounts.alpha.at_most=1",), seed=1), backend="serial")
    found = infeasible_json(told.value.found)
    nested = [found, found["broken"][0], found["conflicts"][0], found["ways_out"][0]]
    assert {key for table in nested for key in table if f"`{key}`" not in guide} == set()
