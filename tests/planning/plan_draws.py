"""Small problems drawn from a seed, in which every limit is there and most of them bind."""

import numpy as np

from forge1sim.planning.cuts import AffineCost, CostsAtLeast, NotWithin, Slope
from forge1sim.planning.problem import Commitment, Counts, DemandClass, Goal, Kind, Problem, Room, State, Survival

TIERS, MODELS, BLOCKS = ("enterprise", "standard"), ("large", "small"), 2


def drawn(seed: int, **more) -> Problem:
    """Two kinds of account: one with usage tiers, one cloud route. A bucket shared by both models, a limit of one model, a monthly
    spend cap, room kept for enterprise, and fallbacks. `more` are fields of Problem."""
    rng = np.random.default_rng(seed)
    scenarios = int(rng.integers(1, 4))
    repeats = rng.integers(1, 12, BLOCKS).astype(float)
    least = int(rng.integers(0, 2))
    usage_tiers = (State(name="t1", usd_per_month=rng.uniform(5, 40), most=3),
                   State(name="t2", usd_per_month=rng.uniform(20, 60), most=int(rng.integers(0, 3))))  # fmt: skip
    route = State(name="only", usd_per_month=rng.uniform(10, 60), most=2)
    kinds = (
        Kind(name="tiered", provider="P", held=(1, 0), at_least=least, at_most=3, states=usage_tiers),
        Kind(name="cloud", provider="Q", held=(0,), at_least=0, at_most=2, states=(route,)),
    )
    classes = tuple(_class(rng, f"{TIERS[tier]} {number}", tier) for number, tier in enumerate((0, 1, 1)))
    demand = rng.uniform(2, 30, (scenarios, len(classes), BLOCKS)) * (rng.random((scenarios, len(classes), BLOCKS)) < 0.9)
    demand[0, 0, 0] = 11.0
    return Problem(
        tiers=TIERS, models=MODELS, kinds=kinds, rooms=tuple(_rooms(rng, classes, repeats)), classes=classes, demand=demand,
        probability=rng.dirichlet(np.ones(scenarios) * 4), repeats=repeats, **more,
    )  # fmt: skip


def _class(rng, name: str, tier: int) -> DemandClass:
    share = np.array([[1.0, 1.0], [1.0, 1.0]])
    share[rng.integers(2), rng.integers(2)] = rng.choice([0.0, 0.25, 0.6])
    usd = rng.uniform(0.01, 0.3, (2, 2))
    return DemandClass(name=name, tier=tier, most_share=share, usd=usd, quality=np.array([0.9, 0.6]), refusal_usd=rng.uniform(0.2, 2.0))


def _rooms(rng, classes, repeats):
    each = tuple((block,) for block in range(BLOCKS))
    ones, kept = np.ones(BLOCKS), np.array([rng.uniform(0.1, 0.5), rng.choice([0.0, 0.2])])
    t1 = rng.uniform(8, 25, (1, BLOCKS))
    rise = np.concatenate([t1, t1 * rng.uniform(1.2, 3.0)])
    month = (tuple(range(BLOCKS)),)
    none = np.zeros(2)
    spent = np.array([one.usd[0] for one in classes])
    cap = rng.uniform(4, 25) * np.array([[1.0], [2.5]])
    bucket, cloud, route = rng.uniform(0.5, 1.5, (3, 2)), rng.uniform(0.5, 1.5, (3, 2)), rng.uniform(10, 30, (1, BLOCKS))
    daily = np.array([[rng.choice([25.0, np.inf])]])
    return [
        Room(name="bucket", kind=0, units=bucket, spans=each, times=ones, capacity=rise, usable=np.full(2, 0.9), kept_for=kept),
        Room(name="large alone", kind=0, units=np.array([[1.0, 0.0]] * 3), spans=each, times=ones, capacity=rise * 0.6, usable=ones,
             kept_for=none),
        Room(name="spend", kind=0, units=spent, spans=month, times=repeats, capacity=cap, usable=np.ones(1), kept_for=none),
        Room(name="cloud", kind=1, units=cloud, spans=each, times=ones, capacity=route, usable=ones, kept_for=kept[::-1].copy()),
        Room(name="a day", kind=1, units=np.ones((3, 2)), spans=month, times=ones, capacity=daily, usable=np.ones(1), kept_for=none),
    ]  # fmt: skip


def with_goals(seed: int) -> Problem:
    """Served shares on average, in each scenario or in the tail; quality, cost per request, a budget, a largest share, survivals."""
    rng = np.random.default_rng(1000 + seed)
    goals = (
        (Goal(tier=0, served_share=rng.uniform(0.3, 0.8)), Goal(tier=None, served_share=rng.uniform(0.4, 0.9), tail=rng.uniform(0.3, 0.8))),
        (Goal(tier=1, served_share=rng.uniform(0.1, 0.5), in_each=True), Goal(tier=0, quality_mean=rng.uniform(0.65, 0.8))),
        (Goal(tier=None, served_share=rng.uniform(0.2, 0.6), usd_per_request=rng.uniform(0.08, 0.2)),),
    )[seed % 3]
    lost = ("account", "provider")[seed % 2]
    survivals = (Survival(tier=0, lost=lost, served_share=rng.uniform(0.1, 0.6), moments=((0, 0),)),
                 Survival(tier=1, lost="account", served_share=rng.uniform(0.05, 0.3), moments=((0, 0), (0, 1))))  # fmt: skip
    commitments = (Commitment(name="small", provider="P", usd_per_month=rng.uniform(1, 10), discount=0.1),
                   Commitment(name="large", provider="P", usd_per_month=rng.uniform(10, 40), discount=0.3),
                   Commitment(name="other", provider="Q", usd_per_month=rng.uniform(1, 20), discount=0.2))  # fmt: skip
    return drawn(seed, goals=goals, survivals=survivals[: 1 + seed % 2], commitments=commitments[: 1 + seed % 3],
                 budget_usd_per_month=rng.uniform(80, 250), most_share_per_provider=(None, rng.uniform(0.6, 0.9))[seed % 2])  # fmt: skip


def cuts_for(seed: int):
    """One cut of each form, at a plan in the middle."""
    rng = np.random.default_rng(2000 + seed)
    counts = Counts(accounts=((int(rng.integers(1, 4)), 0), (int(rng.integers(0, 3)),)))
    figures = lambda low, high: (tuple(rng.uniform(low, high, 2)), tuple(rng.uniform(low, high, 1)))  # noqa: E731
    return (
        NotWithin(counts=counts),
        CostsAtLeast(counts=Counts(accounts=((3, 0), (2,))), usd=rng.uniform(100, 900)),
        AffineCost(constant_usd=rng.uniform(200, 900), usd_by_coordinate=figures(20, 200)),
        Slope(counts=counts, attained=0.6, slope=figures(0.05, 0.2), target=0.8),
    )
