"""A plan as it is told: what to contract, what it costs, how far from the best it could be."""

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from forge1sim.planning.answers import Answers
from forge1sim.planning.answers import as_json as answers_json
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.search import Round
from forge1sim.planning.simulated import Promise, Simulated
from forge1sim.planning.variance import budget_json
from forge1sim.statistics.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of the plan: how many accounts, in which usage tier, and what happens with one fewer."""

    name: str
    provider: str
    usage_tier: str | None
    held: int
    planned: int
    usd_per_month: float
    setup_usd: float
    lead_time_days: float
    notice_days: float
    permission: str
    one_fewer: str

    @property
    def change(self) -> int:
        """Accounts to get (above 0) or to give up."""
        return self.planned - self.held


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """How much cheaper a plan could be at most, as shares of its cost, 0 to 1.

    `solver`: what the search left open when its time was up. `cuts`: what rests on cuts that some pair of simulated plans spoke against.
    `sampling`: half-width of the cost over fresh days. `total`: cost less lower bound. `controllable`: the same as a share of
    what plans decide, cost less the cheapest answers of all.
    """

    solver: float
    cuts: float
    sampling: float
    total: float
    controllable: float


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan, how it was found and verified.

    `on_draws` is the plan on the draws that all plans were compared on, `verified` on draws that none had seen, `held` what is held
    today on the former; `refused` are plans that kept the promises there, but not on fresh draws. `lower_bound_usd` is the least that any
    plan of the terms can cost on those draws, under these policies, if it keeps the promises; `fluid_bound_usd` the least under any
    policies, limits aside. Money is USD per month.
    """

    name: str
    options: Options = field(repr=False)
    on_draws: Simulated
    verified: Simulated
    held: Simulated | None
    refused: tuple[Plan, ...]
    items: tuple[Item, ...]
    gaps: Gaps
    lower_bound_usd: float
    fluid_bound_usd: float
    floor_usd: float
    proven: bool
    why_not_proven: str
    exceptions: int
    rounds: tuple[Round, ...] = field(repr=False)
    plans: int
    simulated: int
    days: int
    requests: float
    cost: Interval
    overrides: tuple[str, ...]
    answers: Answers = field(repr=False)
    said: tuple[str, ...]
    seconds: float

    @property
    def plan(self) -> Plan:
        """What to contract."""
        return self.on_draws.plan

    @property
    def held_keeps_promises(self) -> bool | None:
        """Whether what is held today does, on all draws that it was simulated on; None where the terms do not allow to keep it."""
        return self.held.holds and self.held.plan not in self.refused if self.held else None

    @property
    def revenue_usd(self) -> float:
        """What contracts pay per month, if nothing is refused."""
        return sum(group.count * group.contract_usd_per_month for group in self.options.loaded.groups)

    @property
    def margin_usd(self) -> float:
        """Revenue less cost. A refusal costs at least the revenue that it loses, so the cheapest plan has the largest margin."""
        return self.revenue_usd - self.usd_per_month

    @property
    def usd_per_month(self) -> float:
        """Fees, tokens with what commitments make of them, and priced refusals on the draws that plans were compared on."""
        return self.on_draws.usd_per_month


def as_json(planned: Planned) -> dict[str, Any]:
    """Ready for JSON; the contract of `forge1sim plan --json`."""
    best = planned.on_draws
    return {
        "scenario": planned.name,
        "purchases": [asdict(one) | {"change": one.change} for one in planned.items],
        "reservation": _reservation(planned),
        "cost_usd_per_month": best.usd_per_month,
        "cost_parts_usd_per_month": {
            "accounts": best.fixed_usd, "tokens": best.tokens_usd, "commitments": best.commitments_usd, "refusals": best.refusals_usd,
        },
        "revenue_usd_per_month": planned.revenue_usd, "margin_usd_per_month": planned.margin_usd,
        "commitments": [asdict(one) for one in best.taken],
        "held_cost_usd_per_month": _finite(planned.held.usd_per_month) if planned.held else None,
        "held_keeps_promises": planned.held_keeps_promises,
        "fresh_cost_usd_per_month": {"value": planned.cost.value, "low": _finite(planned.cost.low), "high": _finite(planned.cost.high)},
        "lower_bound_usd_per_month": planned.lower_bound_usd,
        "fluid_bound_usd_per_month": planned.fluid_bound_usd,
        "floor_usd_per_month": planned.floor_usd,
        "gaps": asdict(planned.gaps),
        "proven": planned.proven,
        "why_not_proven": planned.why_not_proven,
        "slo": [_promise(one) for one in planned.verified.promises],
        "slo_on_draws": [_promise(one) for one in best.promises],
        "survived": [
            {"tier": one.loss.tier, "loss": one.loss.shown(), "slo": [_promise(promise) for promise in one.promises]}
            for one in planned.verified.survived
        ],
        "rounds": [
            {
                "round": made.number, "why": made.why, "plans": [planned.options.shown(one.plan) for one in made.tried],
                "best_usd_per_month": _finite(made.best_usd), "bound_usd_per_month": _finite(made.bound_usd), "left": made.left,
                "slo": [[_promise(promise) for promise in one.promises] for one in made.tried],
                "usd_per_month": [_finite(one.usd_per_month) for one in made.tried],
                "keeps_promises": [one.holds for one in made.tried],
            }
            for made in planned.rounds
        ],
        "plans": planned.plans,
        "plans_simulated": planned.simulated,
        "days_simulated": planned.days,
        "requests_per_day": planned.requests,
        "overrides": list(planned.overrides),
        "answers": answers_json(planned.answers),
        "budget": budget_json(
            [one for day in best.days for one in day.spent], len(best.days) * planned.options.loaded.horizon_us,
            {model.name: model for model in planned.options.loaded.platform.models}, best.fixed_usd,
        ),
        "notes": list(planned.said),
        "seconds": round(planned.seconds, 3),
    }  # fmt: skip


def _reservation(planned: Planned) -> str | None:
    option = planned.options.reservations[planned.plan.reservation]
    return option.name if option else None


def _promise(one: Promise) -> dict[str, Any]:
    return asdict(one) | {"mean": _finite(one.mean), "low": _finite(one.low), "high": _finite(one.high)}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
