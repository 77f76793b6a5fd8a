"""A bound is never above what a plan costs: every plan of small scenarios is simulated, under limits of every window and charge."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forge1sim.planning.bound as bound_module
from benchmarks.platforms import written
from forge1sim.ask import Ask
from forge1sim.experiments.clairvoyant.rooms import Room
from forge1sim.planning.bound import Bounds, arrived_per_day, bounds_of, draws_of, most_worth, pricings_of
from forge1sim.planning.options import Options
from forge1sim.planning.reach import Reach
from forge1sim.planning.simulated import Simulated, Simulator, prices_of

SEEDS = (1, 2, 3)
LIMITS: tuple[dict[str, Any], ...] = (
    {"dimension": "rpm", "limit": 40, "burst_s": 20}, {"dimension": "rpm", "limit": 40, "window": "paced", "burst_s": 15},
    {"dimension": "rpm", "limit": 40, "window": "fixed"}, {"dimension": "rpm", "limit": 60, "window": "sliding", "window_s": 90},
    {"dimension": "tpm", "limit": 18_000, "burst_s": 30}, {"dimension": "tpm", "limit": 18_000, "window": "paced", "burst_s": 15},
    {"dimension": "tpm", "limit": 14_000, "window": "fixed", "charge": "total"},
    {"dimension": "itpm", "limit": 9_000, "charge": "uncached_input"}, {"dimension": "itpm", "limit": 9_000, "window": "sliding"},
    {"dimension": "otpm", "limit": 5_000, "burst_s": 20}, {"dimension": "otpm", "limit": 5_000, "window": "fixed"},
    {"dimension": "rpd", "limit": 150}, {"dimension": "spend", "limit": 0.3, "window": "fixed", "window_s": 3600},
    {"dimension": "spend", "limit": 0.05, "window": "sliding", "window_s": 120}, {"dimension": "concurrency", "limit": 2},
    {"dimension": "rpm", "limit": 40, "window": "fixed", "known": False},
)  # fmt: skip


def scenario(number: int, limits: tuple[int, int] | None = None, load: float = 1.0) -> dict[str, Any]:
    """Two models and entries, a limit each, one of them of the kind `number`; on top, in turn, what makes bounds fail."""
    rng = np.random.default_rng(number)
    drawn = int(rng.integers(len(LIMITS)))
    first, second = (LIMITS[row] for row in limits or (number % len(LIMITS), drawn))
    each = rng.random() < 0.5
    demand = {
        "models": {"auto": 2, "a": 1} if number % 2 else {"auto": 1}, "max_output_tokens": 200 if number % 3 else 0, "cached_share": 0.2,
        "input_tokens": {"kind": "lognormal", "mean": 300, "cv": 1, "at_most": 3000},
        "output_tokens": {"kind": "lognormal", "mean": 80, "cv": 1, "at_most": 400}, "cancel_probability": 0.1 if number % 4 == 1 else 0,
        "cancel_after_s": {"kind": "exponential", "mean": 5},
    }  # fmt: skip
    if number % 5:
        demand["deadline_s"] = {"kind": "lognormal", "mean": float(rng.choice((4, 15, 60))), "cv": 0.5}
    made: dict[str, Any] = {
        "name": f"bound {number}", "horizon_s": 600, "drain_s": 300,
        "models": [
            {
                "name": name, "provider": name, "input_usd_per_1m": 1.0 + 3 * row, "output_usd_per_1m": 4.0 + 12 * row,
                "max_output_tokens": 600, "performance": [0.9, 0.8, 0.7, 0.7, 0.6 + 0.1 * row],
                "fallbacks": ["b" if name == "a" else "a"],
                "speed": {"service_s": {"kind": "exponential", "mean": 2, "at_most": 20}} if each else {"ttft_s": 0.4, "tokens_per_s": 60},
            }
            for row, name in enumerate("ab")
        ],
        "accounts": [
            {"name": f"to-{name}", "provider": name, "count": 2, "usd_per_month": 50, "limits": [limit | {"model_class": share}]}
            for name, limit, share in zip("ab", (first, second), ("a", "*"), strict=True)
        ],
        "tenants": [
            {"name": "large", "contract_usd_per_month": 250_000, "demand": demand | {"requests_per_s": 0.7 * load}},
            {"name": "small", "count": 3, "contract_usd_per_month": 5_000, "demand": demand | {"requests_per_s": 0.9 * load}},
        ],
        "slos": [{"name": "served", "tier": "all", "metric": "served_ratio", "at_least": 0.1}],
        "plan": {
            "draws": 3, "refusal_usd": {"enterprise": 80, "standard": 4},
            "accounts": [{"name": "to-b", "at_most": 3, "permission": "ours"}],
        },
    }  # fmt: skip
    if number % 4 == 2:
        made["tenants"][1] |= {"budget_usd_per_month": 0.01, "request_budget_usd": 0.01, "requests_per_min": 30}
    if number % 4 == 3:
        made["faults"] = [{"kind": "limit_cut", "factor": 2.0, "start_s": 100, "duration_s": 200, "provider": "a"},
                          {"kind": "latency", "factor": 3.0, "start_s": 300, "duration_s": 100}]  # fmt: skip
    if number % 7 == 4:
        made["accounts"].append({"name": "own", "provider": "a", "dedicated_to": "enterprise", "limits": [LIMITS[0]]})
        made["policies"] = {"reservation": {"dedicated_overflow": False}}
    if number % 7 == 5:
        made["workload"] = {"estimation": {"input_tokens_bias": 0.8, "input_tokens_cv": 0.3}}
    if number % 7 == 6:
        made["providers"] = [{"name": "a", "error_probability": 0.1, "overload_probability": 0.02}]
    return made


@dataclass(frozen=True)
class Known:
    """Every plan of a scenario simulated, and the bounds on it."""

    options: Options
    bounds: Bounds
    all: list[Simulated]

    def violations(self) -> list[str]:
        """Plans that cost less than a bound says, each affine bound for itself; what a box-free bound on all says is checked, too."""
        found = []
        costs = np.array([one.usd_per_month for one in self.all])
        for number, one in enumerate(self.bounds.affine):
            bounds = Bounds([one], self.bounds.tiers)
            fixed = np.array([plan.fixed_usd for plan in self.all])
            for plan, usd in zip(self.all, bounds.of(self.options.plans, self.all) + fixed, strict=True):
                if not plan.impossible and usd > plan.usd_per_month + 1e-6:
                    found.append(f"prices {number}, {self.options.shown(plan.plan)}: {usd} is above {plan.usd_per_month}")
            if bounds.of_all(self.options, self.all) > costs.min() + 1e-6:
                found.append(f"prices {number}: {bounds.of_all(self.options, self.all)} is above the cheapest, {costs.min()}")
        return found


def known(folder: Path, made: dict[str, Any]) -> Known:
    """Simulate all plans, in this process."""
    ask = Ask(scenario=str(written(folder, made)))
    options = Options(ask.load())
    draws, demand = draws_of(Reach(options), SEEDS)
    prices = prices_of(options.loaded, arrived_per_day(draws))
    bounds = bounds_of(demand, prices, SEEDS, pricings_of(demand, prices))
    simulator = Simulator(ask=ask, options=options, prices=prices, confidence=0.95, backend="serial")
    return Known(options=options, bounds=bounds, all=simulator(options.plans, SEEDS))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Known]:
    return [known(tmp_path_factory.mktemp(f"case{number}"), scenario(number)) for number in range(16)]


def test_no_bound_is_above_the_cost_of_any_plan(cases: list[Known]) -> None:
    assert [wrong for case in cases for wrong in case.violations()] == []


@pytest.mark.parametrize("limits", [(0, 4), (1, 5)])
def test_bounds_see_limits(limits: tuple[int, int], tmp_path: Path) -> None:
    """The smallest plan is told to cost a good part of what it does, where the cheapest answers are next to nothing of that."""
    case = known(tmp_path, scenario(16, limits, load=2.0))
    smallest = case.options.plans[0]
    real = next(one.usd_per_month - one.fixed_usd for one in case.all if one.plan == smallest)
    plain = Bounds(case.bounds.affine[:1], case.bounds.tiers)
    assert plain.of([smallest], case.all)[0] < 0.05 * real
    assert 0.25 * real < case.bounds.of([smallest], case.all)[0] <= real


def test_the_fewer_accounts_the_higher_the_bound(cases: list[Known]) -> None:
    for case in cases:
        bounds = dict(zip(case.options.plans, case.bounds.of(case.options.plans, case.all), strict=True))
        for plan, usd in bounds.items():
            for _, fewer in case.options.below(plan):
                assert fewer not in bounds or bounds[fewer] >= usd - 1e-9


def _half_the_room(room: Room, price: Any) -> float:
    return 0.5 * most_worth(room, price)


def _one_account_of_each(self: Bounds, plans: Any, seen: Any) -> Any:
    return _whole_of(self, [replace(plan, counts=tuple(min(1, count) for count in plan.counts)) for plan in plans], seen)


_whole_of = Bounds.of
FAULTS = {
    "half the room": (bound_module, "most_worth", _half_the_room),
    "room of one account": (Bounds, "of", _one_account_of_each),
    "refusals at twice their price": (bound_module, "_least", lambda values, *rest: _whole_least(2 * values, *rest)),
    "units counted twice": (bound_module, "_least_rent", lambda *rest: 2 * _whole_rent(*rest)),
}
_whole_least, _whole_rent = bound_module._least, bound_module._least_rent


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bound_with_a_fault_is_caught(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    assert known(tmp_path, scenario(16, (0, 4), load=2.0)).violations()
