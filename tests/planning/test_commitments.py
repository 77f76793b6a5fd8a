"""Commitments and prepaid credit: which ones a plan takes, what the bill comes to, and that no bound is above it."""

import csv
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from forge1sim.cli.main import app
from forge1sim.errors import ScenarioError
from forge1sim.planning.commitments import added_usd, cheapest, draw_down
from forge1sim.planning.plan import plan
from forge1sim.scenario.load import load_scenario
from forge1sim.scenario.terms import CommitmentTerms, CreditTerms, PlanTerms
from tests.planning.test_plan import SMALL

MONEY = st.floats(1, 1e6)
OFFERS = st.lists(
    st.builds(lambda provider, usd, off, held: {"provider": provider, "usd_per_month": usd, "discount": off, "held": held},
              st.sampled_from("pqr"), MONEY, st.floats(0, 0.9), st.booleans()), max_size=6,
)  # fmt: skip


def _terms(offers: list[dict[str, Any]]) -> PlanTerms:
    """Offers by name, at most one held with each provider."""
    held: set[str] = set()
    found = []
    for number, one in enumerate(offers):
        keeps = one["held"] and one["provider"] not in held
        held |= {one["provider"]} if keeps else set()
        found.append(CommitmentTerms(name=f"c{number}", **{**one, "held": keeps}))
    return PlanTerms(commitments=tuple(found))


@given(OFFERS, st.dictionaries(st.sampled_from("pqr"), st.lists(MONEY, min_size=3, max_size=3).map(np.array)))
def test_no_other_choice_of_commitments_is_cheaper(offers: list[dict[str, Any]], list_usd: dict[str, Any]) -> None:
    """Against every choice of at most one of each provider that keeps what is held."""
    terms = _terms(offers)
    taken = cheapest(terms, list_usd)
    held = {one.name for one in terms.commitments if one.held}
    assert held <= {one.name for one in taken}
    every = []
    for chosen in product(*([None, *(one for one in terms.commitments if one.provider == provider)] for provider in "pqr")):
        picked = [one for one in chosen if one is not None]
        if held <= {one.name for one in picked}:
            bills = {name: usd.copy() for name, usd in list_usd.items()}
            for one in picked:
                usd = bills.get(one.provider, np.zeros(3))
                bills[one.provider] = np.array([max(one.usd_per_month, (1 - one.discount) * month) for month in usd])
            every.append(sum(float(bill.mean()) for bill in bills.values()))
    total = sum(float(usd.mean()) for usd in list_usd.values()) + float(np.mean(added_usd(taken, list_usd)))
    assert total == pytest.approx(min(every))


@given(st.floats(0, 1e6), st.lists(MONEY, min_size=12, max_size=12), st.none() | st.floats(0, 500))
def test_credit_is_paid_once_and_what_is_left_when_it_expires_is_lost(usd: float, months: list[float], expires: float | None) -> None:
    used, end = draw_down(CreditTerms(name="c", provider="p", usd=usd, expires_after_days=expires), months, 30.0)
    assert all(0 <= paid <= month + 1e-9 for paid, month in zip(used, months, strict=True))
    assert sum(used) <= usd + 1e-6
    if expires is None:
        assert end.lost_usd == 0
        assert sum(used) == pytest.approx(min(usd, sum(months)), abs=1e-6)
    elif expires <= 360:
        assert sum(used) + end.lost_usd == pytest.approx(usd)
        assert sum(used[int(expires // 30) + 1 :]) == 0


def _small(folder: Path, **terms: Any) -> Path:
    content = yaml.safe_load(SMALL)
    content["plan"] |= terms
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_commitment_that_pays_is_taken_and_one_that_does_not_is_left(tmp_path: Path) -> None:
    bare = plan(_small(tmp_path), backend="serial")
    of_p = bare.on_draws.tokens_usd
    offers = [
        {"name": "small", "provider": "p", "usd_per_month": 0.3 * of_p, "discount": 0.1},
        {"name": "large", "provider": "p", "usd_per_month": 5 * of_p, "discount": 0.6},
        {"name": "other", "provider": "q", "usd_per_month": 5 * of_p, "discount": 0.5},
    ]
    planned = plan(_small(tmp_path, commitments=offers), backend="serial")
    assert [one.name for one in planned.on_draws.taken] == ["small"]
    assert planned.on_draws.tokens_usd == pytest.approx(of_p)
    assert planned.usd_per_month == pytest.approx(
        planned.on_draws.fixed_usd + of_p + planned.on_draws.commitments_usd + planned.on_draws.refusals_usd
    )
    assert planned.on_draws.commitments_usd < 0
    assert planned.usd_per_month < bare.usd_per_month
    assert planned.fluid_bound_usd <= planned.lower_bound_usd <= planned.usd_per_month
    assert planned.floor_usd < bare.floor_usd
    assert [one.name for one in planned.verified.taken] == ["small"]
    assert sum(one.usd_per_month for one in planned.answers.unit_costs) == pytest.approx(planned.usd_per_month, rel=0.02)


def test_a_held_commitment_is_paid_whatever_the_plan(tmp_path: Path) -> None:
    offers = [{"name": "signed", "provider": "q", "usd_per_month": 7000.0, "discount": 0.0, "held": True}]
    bare, planned = plan(_small(tmp_path), backend="serial"), plan(_small(tmp_path, commitments=offers), backend="serial")
    assert planned.plan == bare.plan
    assert planned.usd_per_month - bare.usd_per_month == pytest.approx(7000 - _of(bare, "q"))
    assert all(month.tokens_usd >= 7000 for month in planned.answers.cash)


def _of(planned: Any, provider: str) -> float:
    days = planned.on_draws.days
    return float(planned.on_draws.prices.days_per_month * np.mean([day.usd_by_provider.get(provider, 0.0) for day in days]))


def test_the_command_tells_commitments_credit_and_margin(tmp_path: Path) -> None:
    offers = [{"name": "frame", "provider": "p", "usd_per_month": 10.0, "discount": 0.2, "months": 24}]
    credits = [{"name": "gift", "provider": "p", "usd": 1e7, "expires_after_days": 100.0}]
    path = _small(tmp_path, commitments=offers, credits=credits)
    ran = CliRunner().invoke(app, ["plan", str(path), "--out", str(tmp_path / "out"), "--workers", "1", "--json", "-q"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert [one["name"] for one in told["commitments"]] == ["frame"]
    assert told["margin_usd_per_month"] == pytest.approx(told["revenue_usd_per_month"] - told["cost_usd_per_month"])
    assert told["cost_usd_per_month"] == pytest.approx(sum(told["cost_parts_usd_per_month"].values()))
    assert told["answers"]["credits"][0]["lost_usd"] > 0
    assert told["answers"]["cash_by_month"][0]["credit_usd"] > 0
    rows = list(csv.reader((tmp_path / "out" / "purchases.csv").open()))
    assert rows[-1][0] == "commitment frame"
    assert "20% off the tokens of p for 24 months" in rows[-1]


OFFER = {"name": "c", "provider": "p", "usd_per_month": 1.0, "discount": 0.1}


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"commitments": [OFFER | {"provider": "nobody"}]}, "plan.commitments.0.provider"),
        ({"commitments": [OFFER | {"usd_per_month": 0.0}]}, "usd_per_month"),
        ({"commitments": [OFFER | {"discount": 1.0}]}, "discount"),
        ({"commitments": [OFFER, OFFER]}, "plan.commitments"),
        ({"commitments": [OFFER | {"name": name, "held": True} for name in "ab"]}, "second commitment"),
        ({"credits": [{"name": "c", "provider": "p", "usd": -1.0}]}, "usd"),
        ({"credits": [{"name": "c", "provider": "x", "usd": 1.0}]}, "plan.credits.0.provider"),
    ],
)  # fmt: skip
def test_terms_that_make_no_sense_are_named(tmp_path: Path, terms: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said.replace(".", r"\.")):
        load_scenario(_small(tmp_path, **terms))
