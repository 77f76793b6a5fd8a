"""A bill against its budget: parts add up to the nano-USD, and each moves only by what it is named after."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.cli.main import app
from forge1sim.errors import PlanError
from forge1sim.planning.plan import plan
from forge1sim.planning.planned import as_json as plan_json
from forge1sim.planning.spending import Actual, Spent, actual_of, added, spent_of_flows
from forge1sim.planning.variance import PARTS, Budget, Price, Variance, read_budget, variance_of
from forge1sim.run import simulate
from tests.planning.waiting import waiting

DAY_US = 86_400_000_000
PRICES = {"a": Price(input=2000, cached=200, output=6000), "b": Price(input=500, cached=500, output=900)}


def _spent(model: str, answers: int, *, tier: str = "standard", price: Price | None = None, input_each: int = 300, cached_each: int = 100,
           output_each: int = 50, unanswered: int = 0) -> Spent:  # fmt: skip
    tokens = answers * input_each, answers * cached_each, answers * output_each
    cost = (price or PRICES[model]).of(*tokens)
    return Spent(
        tier=tier, model=model, answers=answers, input_tokens=tokens[0], cached_tokens=tokens[1], output_tokens=tokens[2],
        answers_nano_usd=int(cost), unanswered_nano_usd=unanswered,
    )  # fmt: skip


PLANNED = (_spent("a", 100, unanswered=5000), _spent("b", 300))
BUDGET = Budget(spent=PLANNED, duration_us=DAY_US, prices=PRICES, fees_nano_usd_per_month=730 * 10**9)


def _split(*spent: Spent, days: float = 1.0, fees: int | None = None) -> Variance:
    return variance_of(BUDGET, Actual(source="x", duration_us=round(days * DAY_US), spent=spent, fees_nano_usd=fees))


def _parts(one: Variance) -> dict[str, int]:
    return {name: getattr(one, name) for name in PARTS if getattr(one, name)}


cells = st.builds(
    lambda tier, model, answers, input_tokens, share, output, cost, lost: Spent(
        tier=tier, model=model, answers=answers, input_tokens=input_tokens, cached_tokens=int(share * input_tokens), output_tokens=output,
        answers_nano_usd=cost, unanswered_nano_usd=lost,
    ),
    st.sampled_from("xy"), st.sampled_from("abc"), st.integers(0, 10**6), st.integers(0, 10**9), st.floats(0, 1), st.integers(0, 10**9),
    st.integers(0, 10**15), st.integers(0, 10**12),
)  # fmt: skip


@given(planned=st.lists(cells, min_size=1, max_size=5), real=st.lists(cells, max_size=5), days=st.integers(1, 10**7),
       fees=st.none() | st.integers(0, 10**14))  # fmt: skip
def test_parts_add_up_to_the_difference_exactly(planned: list[Spent], real: list[Spent], days: int, fees: int | None) -> None:
    budget = Budget(spent=added(planned), duration_us=7_777_777, prices=PRICES, fees_nano_usd_per_month=123_456_789_012)
    actual = Actual(source="x", duration_us=days, spent=added(real), fees_nano_usd=fees)
    if not sum(one.answers for one in budget.spent):
        with pytest.raises(PlanError, match="no answers at all"):
            variance_of(budget, actual)
        return
    found = variance_of(budget, actual)
    assert found.actual_nano_usd == sum(one.answers_nano_usd + one.unanswered_nano_usd for one in real) + (fees or 0)
    assert found.volume + found.mix + found.cache + found.price + found.retries + (found.accounts or 0) == found.difference
    assert all(type(getattr(found, name)) is int for name in PARTS)


def test_what_was_planned_has_no_variance() -> None:
    found = _split(*PLANNED, fees=24 * 10**9)
    assert (_parts(found), found.accounts, found.difference) == ({}, 0, 0)
    twice = _split(*PLANNED, *PLANNED, days=2)
    assert (_parts(twice), twice.accounts) == ({}, None)


def test_twice_the_answers_are_all_volume_with_the_retries_that_belong_to_them() -> None:
    found = _split(_spent("a", 200, unanswered=10_000), _spent("b", 600))
    assert _parts(found) == {"volume": found.budget_nano_usd}


def test_other_models_are_mix_and_longer_requests_too() -> None:
    found = _split(_spent("a", 200, unanswered=5000), _spent("b", 200))
    each = {model: _spent(model, 1).answers_nano_usd for model in "ab"}
    assert _parts(found) == {"models": 100 * (each["a"] - each["b"])}
    longer = _split(_spent("a", 100, input_each=600, cached_each=200, output_each=100, unanswered=5000), _spent("b", 300))
    assert _parts(longer) == {"lengths": PLANNED[0].answers_nano_usd}


def test_more_from_the_cache_is_cache_and_another_price_is_price() -> None:
    assert _parts(_split(_spent("a", 100, cached_each=200, unanswered=5000), _spent("b", 300))) == {"cache": -100 * 100 * 1800}
    dear = Price(input=2200, cached=200, output=6000)
    assert _parts(_split(_spent("a", 100, price=dear, unanswered=5000), _spent("b", 300))) == {"price": 100 * 200 * 200}


def test_what_was_planned_beside_the_list_is_part_of_the_planned_price() -> None:
    """Planned at twice the list, and paid so: longer requests are lengths alone, and no price."""
    twice = Price(input=4000, cached=400, output=12_000)
    budget = replace(BUDGET, spent=(_spent("a", 100, price=twice),))
    longer = (_spent("a", 100, price=twice, input_each=600, cached_each=200, output_each=100),)
    found = variance_of(budget, Actual(source="x", duration_us=DAY_US, spent=longer, fees_nano_usd=None))
    assert _parts(found) == {"lengths": budget.spent[0].answers_nano_usd}


def test_what_attempts_without_an_answer_cost_is_apart_from_what_answers_do() -> None:
    one = {"tier": "t", "model": "m", "served": 3, "input_tokens": 9, "cached_tokens": 4, "output_tokens": 5, "cost_nano_usd": 100,
           "unanswered_cost_nano_usd": 30}  # fmt: skip
    (found,) = spent_of_flows({name: np.array([value, value]) for name, value in one.items()})
    assert (found.answers, found.cached_tokens, found.answers_nano_usd, found.unanswered_nano_usd) == (6, 8, 140, 60)


def test_price_is_told_for_what_was_really_bought() -> None:
    """Quantities go first: with twice the answers the price's part is that of twice the tokens."""
    dear = Price(input=2200, cached=200, output=6000)
    found = _split(_spent("a", 200, price=dear, unanswered=10_000), _spent("b", 600))
    assert _parts(found) == {"volume": found.budget_nano_usd, "price": 200 * 200 * 200}


def test_attempts_without_an_answer_are_retries_and_fees_are_accounts() -> None:
    assert _parts(_split(replace(PLANNED[0], unanswered_nano_usd=9000), PLANNED[1])) == {"retries": 4000}
    found = _split(*PLANNED, fees=25 * 10**9)
    assert (_parts(found), found.accounts) == ({}, 10**9)


def test_a_model_that_was_not_planned_is_mix_and_named() -> None:
    found = _split(*PLANNED, _spent("b", 400, tier="enterprise"))
    assert found.unplanned == ("enterprise, b",)
    assert _parts(found)["retries"] == -5000                                # as many answers again, none of them tried twice
    assert set(_parts(found)) == {"volume", "models", "retries"}
    assert found.volume == found.budget_nano_usd


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("variance")
    scenario = written(folder, waiting())
    made = plan(Ask(scenario=str(scenario)), backend="serial")
    (folder / "plan.json").write_text(json.dumps(plan_json(made)))
    simulate(Ask(scenario=str(scenario), overrides=(*made.overrides, "models.one.output_usd_per_1m=9"), seed=9).load(), out=folder / "run")
    return folder / "plan.json", folder / "run"


def test_a_plans_budget_is_what_it_costs(planned: tuple[Path, Path]) -> None:
    budget, told = read_budget(planned[0]), json.loads(planned[0].read_text())
    month = 730 * 3_600_000_000
    tokens_usd = sum(one.answers_nano_usd + one.unanswered_nano_usd for one in budget.spent) * month / budget.duration_us / 1e9
    assert tokens_usd == pytest.approx(told["cost_parts_usd_per_month"]["tokens"])
    assert budget.fees_nano_usd_per_month / 1e9 == told["cost_parts_usd_per_month"]["accounts"]
    assert sum(PRICES_OF(budget, one) for one in budget.spent) == sum(one.answers_nano_usd for one in budget.spent)


def PRICES_OF(budget: Budget, one: Spent) -> Any:  # noqa: N802
    return budget.prices[one.model].of(one.input_tokens, one.cached_tokens, one.output_tokens)


def test_a_run_against_its_plan_by_the_command(planned: tuple[Path, Path]) -> None:
    """The run's output costs half as much again as was planned, and nothing else differs but luck."""
    made = CliRunner().invoke(app, ["plan", "variance", str(planned[0]), "--actual", str(planned[1]), "--json", "--quiet"])
    assert made.exit_code == 0, made.output
    found, run = json.loads(made.stdout), actual_of(planned[1])
    assert found["actual_nano_usd"] == sum(one.answers_nano_usd + one.unanswered_nano_usd for one in run.spent) + run.fees_nano_usd
    assert found["price"] == sum(one.output_tokens for one in run.spent) * 3000
    assert found["models"] == found["lengths"] == found["cache"] == found["retries"] == 0
    assert abs(found["accounts"]) <= 3                                      # fees of each account are rounded down by themselves
    assert found["volume"] + found["price"] + found["accounts"] == found["difference_nano_usd"]
    words = CliRunner().invoke(app, ["plan", "variance", str(planned[0]), "--actual", str(planned[1]), "--no-color"])
    assert "than planned" in words.stdout


def _ledger(path: Path, **changes: Any) -> Path:
    row = {"tier": "standard", "model": "one", "status": "served", "input_tokens": 300, "cached_tokens": 0, "output_tokens": 100,
           "cost_nano_usd": 1_200_000, "sent_us": 10, "ended_us": 600_000_010}  # fmt: skip
    rows = [row | changes, row | {"status": "throttle", "input_tokens": 0, "output_tokens": 0, "cost_nano_usd": 7}]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_ledger_is_read_attempt_by_attempt(tmp_path: Path, planned: tuple[Path, Path]) -> None:
    found = actual_of(_ledger(tmp_path / "ledger.csv"))
    assert found.duration_us == 600_000_000
    assert found.spent == (Spent(
        tier="standard", model="one", answers=1, input_tokens=300, cached_tokens=0, output_tokens=100, answers_nano_usd=1_200_000,
        unanswered_nano_usd=7,
    ),)  # fmt: skip
    assert actual_of(tmp_path / "ledger.csv", days=2).duration_us == 2 * DAY_US
    split = variance_of(read_budget(planned[0]), found)
    assert (split.accounts, split.actual_nano_usd, split.retries) == (None, 1_200_007, 7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"cost_nano_usd": "1.5"}, r"ledger\.csv:2: .*whole numbers"), ({"cached_tokens": 301}, "part of input_tokens"),
     ({"output_tokens": -1}, "0 or more"), ({"ended_us": 10, "sent_us": 600_000_010}, None)],
)  # fmt: skip
def test_a_broken_ledger_is_refused_by_line(tmp_path: Path, changes: dict[str, Any], said: str | None) -> None:
    path = _ledger(tmp_path / "ledger.csv", **changes)
    if said is None:
        assert actual_of(path).duration_us == 600_000_000
        return
    with pytest.raises(PlanError, match=said):
        actual_of(path)


def test_what_is_no_plan_and_no_actual_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"scenario": "x"}')
    with pytest.raises(PlanError, match="has no `budget`"):
        read_budget(tmp_path / "plan.json")
    (tmp_path / "plan.json").write_text('{"budget": {"spent": [{}], "duration_us": 1, "fees_nano_usd_per_month": 0, "usd_per_1m": {}}}')
    with pytest.raises(PlanError, match="not whole"):
        read_budget(tmp_path / "plan.json")
    with pytest.raises(PlanError, match="cannot be read"):
        read_budget(tmp_path / "nowhere.json")
    (tmp_path / "ledger.csv").write_text("tier,model\n")
    with pytest.raises(PlanError, match="lacks the columns status"):
        actual_of(tmp_path / "ledger.csv")
