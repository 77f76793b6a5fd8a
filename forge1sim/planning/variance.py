"""Why a bill is not what was planned: the difference split into volume, mix, cache, price and retries, exact to the nano-USD.

One thing after the other is put from its planned to its real value, and the change of the cost is that thing's part (chain substitution):

1. volume      as many answers as there really were, all else as planned: mix, lengths, cached share, prices, cost of retries per answer
2. mix         who gets answers of which model (`models`), then how long requests and answers of each are (`lengths`)
3. cache       the share of input that comes from the cache
4. price       what was really paid for these tokens
   retries     attempts without an answer that are billed, beyond those of as many planned answers
   accounts    fees of accounts

Quantities go before prices, so that the price's part is the difference of prices times what was really bought, as in standard costing, and
volume before mix, at the planned mix. Source: Horngren, Datar, Rajan, "Cost Accounting", 14th ed., 2012, chapters 7 (price and efficiency
variances) and 14 (sales-quantity and sales-mix variances). In another order parts differ; their sum does not.

All is computed in fractions; sums so far are rounded to whole nano-USD, so parts add up to the difference exactly.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from forge1sim.errors import PlanError
from forge1sim.metrics.static import MONTH_US
from forge1sim.planning.spending import Actual, Spent, added

Cells = Mapping[tuple[str, str], Spent]
PARTS = ("volume", "models", "lengths", "cache", "price", "retries")


@dataclass(frozen=True, kw_only=True)
class Price:
    """Of a model, nano-USD for each token, as planned."""

    input: Fraction
    cached: Fraction
    output: Fraction

    def of(self, input_tokens: Fraction, cached_tokens: Fraction, output_tokens: Fraction) -> Fraction:
        """What so many tokens cost; the cached ones are part of the input."""
        return self.input * (input_tokens - cached_tokens) + self.cached * cached_tokens + self.output * output_tokens


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a plan said: `spent` over `duration_us` of simulated days, prices by model, fees of accounts a month."""

    spent: tuple[Spent, ...]
    duration_us: int
    prices: dict[str, Price]
    fees_nano_usd_per_month: int


@dataclass(frozen=True, kw_only=True)
class Variance:
    """Budget and actual over the same time, and the parts of their difference (above 0: dearer), all in nano-USD.

    Fees count only where the actual tells them; `accounts` is then their part. `models` and `lengths` together are the mix.
    """

    source: str
    duration_us: int
    budget_nano_usd: int
    actual_nano_usd: int
    volume: int
    models: int
    lengths: int
    cache: int
    price: int
    retries: int
    accounts: int | None
    answers_budget: float
    answers_actual: int
    unplanned: tuple[str, ...]

    @property
    def mix(self) -> int:
        """Models and lengths."""
        return self.models + self.lengths

    @property
    def difference(self) -> int:
        """All parts together: actual less budget."""
        return self.actual_nano_usd - self.budget_nano_usd


def budget_json(spent: Sequence[Spent], duration_us: int, prices: Mapping[str, Any], fees_usd_per_month: float) -> dict[str, Any]:
    """What `read_budget` reads; `prices` are models of the platform by name, in USD per million tokens."""
    return {
        "duration_us": duration_us, "fees_nano_usd_per_month": round(fees_usd_per_month * 1e9),
        "spent": [asdict(one) for one in added(spent)],
        "usd_per_1m": {
            name: {"input": model.input_usd_per_1m, "cached": model.cached_input_usd_per_1m, "output": model.output_usd_per_1m}
            for name, model in prices.items()
        },
    }  # fmt: skip


def read_budget(path: Path) -> Budget:
    """The budget of a plan.json. Raises PlanError if it is none, or of a version without one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanError(f"{path}: cannot be read ({error}); give the plan.json of forge1sim plan --out") from error
    if not isinstance(content, dict) or "budget" not in content:
        raise PlanError(f"{path}: has no `budget`; make it again by forge1sim plan SCENARIO --out DIR")
    told = content["budget"]
    try:
        return Budget(
            spent=tuple(Spent(**one) for one in told["spent"]), duration_us=int(told["duration_us"]),
            fees_nano_usd_per_month=int(told["fees_nano_usd_per_month"]),
            prices={name: _price(one) for name, one in told["usd_per_1m"].items()},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"{path}: its `budget` is not whole ({error}); make it again by forge1sim plan SCENARIO --out DIR") from error


def _price(usd_per_1m: Mapping[str, float | None]) -> Price:
    inputs, cached, output = (usd_per_1m[name] for name in ("input", "cached", "output"))
    nano = [None if usd is None else Fraction(str(usd)) * 1000 for usd in (inputs, cached, output)]
    if nano[0] is None or nano[2] is None:
        raise ValueError("a price is missing")
    return Price(input=nano[0], cached=nano[0] if nano[1] is None else nano[1], output=nano[2])


def variance_of(budget: Budget, actual: Actual) -> Variance:
    """Split. Raises PlanError where the budget has no answers to compare with."""
    planned, real = ({(one.tier, one.model): one for one in added(spent)} for spent in (budget.spent, actual.spent))
    answers = sum(one.answers for one in budget.spent)
    if not answers:
        raise PlanError("the plan's budget has no answers at all: there is nothing to compare with")
    scale = Fraction(actual.duration_us, budget.duration_us)
    more = Fraction(sum(one.answers for one in actual.spent)) / (answers * scale)
    tokens, unanswered = (scale * sum(getattr(one, name) for one in budget.spent) for name in ("answers_nano_usd", "unanswered_nano_usd"))
    fees = actual.fees_nano_usd
    fees_planned = 0 if fees is None else budget.fees_nano_usd_per_month * actual.duration_us // MONTH_US
    steps = [_step(name, planned, real, budget.prices) for name in ("models", "lengths", "cache", "price")]
    retries = sum(one.unanswered_nano_usd for one in actual.spent)
    so_far = [tokens + unanswered, (tokens + unanswered) * more, *(step + unanswered * more for step in steps), steps[-1] + retries]
    rounded = [round(nano_usd) for nano_usd in so_far]
    parts = dict(zip(PARTS, (after - before for before, after in pairwise(rounded)), strict=True))
    return Variance(
        source=actual.source, duration_us=actual.duration_us, budget_nano_usd=rounded[0] + fees_planned,
        actual_nano_usd=rounded[-1] + (fees or 0), **parts, accounts=None if fees is None else fees - fees_planned,
        answers_budget=float(answers * scale), answers_actual=sum(one.answers for one in actual.spent),
        unplanned=tuple(f"{tier}, {model}" for tier, model in real if (tier, model) not in planned),
    )  # fmt: skip


def _step(name: str, planned: Cells, real: Cells, prices: Mapping[str, Price]) -> Fraction:
    """What all real answers cost with everything up to this real, and the rest as planned."""
    return sum((_cost(name, planned.get(cell), one, prices.get(cell[1])) for cell, one in real.items()), Fraction(0))


def _cost(name: str, planned: Spent | None, real: Spent, price: Price | None) -> Fraction:
    """Of one tier and model. What was not planned counts with its own lengths and cache from the first, at planned prices where known."""
    paid = Fraction(real.answers_nano_usd)
    if name == "price" or price is None:
        return paid
    if planned is None or not planned.answers:
        return price.of(Fraction(real.input_tokens), Fraction(real.cached_tokens), Fraction(real.output_tokens))
    if name == "models":
        return Fraction(planned.answers_nano_usd * real.answers, planned.answers)
    cached = Fraction(real.cached_tokens)
    if name == "lengths":
        cached = Fraction(planned.cached_tokens * real.input_tokens, planned.input_tokens) if planned.input_tokens else cached
    listed = price.of(Fraction(planned.input_tokens), Fraction(planned.cached_tokens), Fraction(planned.output_tokens))
    # What planned tokens cost beside the list, by rounding or a price that changed meanwhile, stays part of the planned price.
    beside = Fraction(planned.answers_nano_usd) / listed if listed else Fraction(1)
    return beside * price.of(Fraction(real.input_tokens), cached, Fraction(real.output_tokens))


def as_json(one: Variance) -> dict[str, Any]:
    """Ready for JSON."""
    return asdict(one) | {"mix": one.mix, "difference_nano_usd": one.difference, "order": [*PARTS]}
