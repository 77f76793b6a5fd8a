"""`plan`: what to contract and how much to reserve, verified in simulation, and how much better it could be at most."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.metrics.static import MONTH_US
from forge1sim.planning.answers import Answers, answers_of
from forge1sim.planning.bound import Bounds, Draw, floor_usd_per_month
from forge1sim.planning.exhaustion import exhaustion_of
from forge1sim.planning.finding import FRESH_SEEDS, Found, OnRound, find
from forge1sim.planning.growth import Growth, growth_of
from forge1sim.planning.infeasible import NoPlanError
from forge1sim.planning.interim import interim_of
from forge1sim.planning.options import MOST_PLANS, Options, Plan
from forge1sim.planning.planned import Gaps, Item, Planned
from forge1sim.planning.recordings import fitted_and_later, recorded
from forge1sim.planning.scaling import demand_times
from forge1sim.planning.search import Search
from forge1sim.planning.simulated import Promise, Simulated
from forge1sim.planning.tornado import tornado_of
from forge1sim.planning.ways_out import infeasible_of
from forge1sim.scenario.terms import PlanTerms
from forge1sim.statistics.means import mean_interval

__all__ = ["FRESH_SEEDS", "MOST_MINUTES", "MOST_VERIFIED", "plan"]
MOST_VERIFIED = 5
MOST_MINUTES = 20.0


def plan(
    scenario: Ask | str | Path, *, workers: int | None = None, backend: str = "processes", minutes: float = MOST_MINUTES,
    levers: bool = False, forecast: Path | None = None, on_round: OnRound = lambda _: None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Planned:  # fmt: skip
    """Find the cheapest plan of the scenario's terms that keeps all promises, and verify it on fresh draws.

    Plans are compared on the seeds `ask.seed`, `ask.seed + 1`, ...; `minutes` bound the search, not its verification. With
    `levers`, what else would help is simulated, too. Demand grows as `forecast` says, a folder of `forge1sim forecast --out`, else as
    the terms or the groups do. `on_round` is called after each round, `on_stage` with what is looked at once the search is over.

    Raises NoPlanError (no plan keeps the promises), PlanError (contradictory terms), ScenarioError or WorkloadError.
    """
    began_s, asked = time.perf_counter(), Ask.of(scenario)
    if not (isfinite(minutes) and minutes > 0):
        raise PlanError(f"minutes is {minutes}, must be above 0")
    ask, later = fitted_and_later(asked, asked.load())
    loaded = ask.load()
    if not loaded.slos:
        raise PlanError(f"scenario {loaded.name!r} makes no promises (slos), so nothing would be the cheapest plan; add some to slos")
    growth = growth_of(loaded, forecast)
    # What cannot be scaled is told before the search.
    growth.overrides(loaded, growth.points()[-1])
    if loaded.scenario.plan.tornado.demand:
        demand_times(loaded, 2.0)
    until_s = began_s + 60 * minutes
    found = find(ask, until_s=until_s, workers=workers, backend=backend, on_round=on_round)
    search = found.search
    on_stage("checking the best plan on fresh days")
    verified = _verify(found, later, until_s)
    _look_one_below(search, found.after)
    answers = _answers(found, growth, minutes, levers=levers, on_stage=on_stage)
    return _told(search, found.bounds, found.draws, verified, answers, began_s)


def _answers(found: Found, growth: Growth, minutes: float, *, levers: bool, on_stage: Callable[[str], None]) -> Answers:
    """All answers about the best plan, one after the other."""
    search, simulator, held = found.search, found.simulator, _held(found.search)
    best = search.best
    assert best is not None
    on_stage("what each account is worth")
    answers = answers_of(found.demand, best, list(search.seen.values()), simulator, search.seeds, levers=levers)
    on_stage("when limits are full")
    may_stay = held is not None and not held.impossible
    exhaustion = exhaustion_of(simulator, search.seeds, best.plan, growth, held=may_stay)
    on_stage("how to get through until the plan is in force")
    interim, tornado = interim_of(simulator, search.seeds, best, held), None
    if search.options.loaded.scenario.plan.tornado.is_asked:
        on_stage("what the plan rests on")
        tornado = tornado_of(found, minutes=minutes)
    return replace(answers, exhaustion=exhaustion, interim=interim, tornado=tornado)


def _held(search: Search) -> Simulated | None:
    """What is held today, if the terms allow to keep it."""
    return search.seen.get(search.place.get(search.options.held, -1))


def _verify(found: Found, later: Ask, until_s: float) -> Simulated:
    """The best plan on fresh draws, of later parts of recordings; while it breaks a promise there, the search goes on without it.

    Each further try must be surer.
    """
    search, fresh = found.search, replace(found.simulator, ask=later)
    terms = search.options.loaded.scenario.plan
    for attempt in range(MOST_VERIFIED):
        best = search.best
        if best is None:
            raise NoPlanError(infeasible_of(search, found.simulator, fresh))
        share = 1 - (1 - terms.confidence) / 2**attempt if attempt else terms.confidence
        surer = replace(fresh, confidence=share, taken=best.taken)
        first = later.seed + FRESH_SEEDS + attempt * terms.fresh_draws
        verified = surer([best.plan], range(first, first + terms.fresh_draws))[0]
        if verified.holds:
            return verified
        search.refuse(best)
        search.run([], until_s, found.after)
    raise PlanError(
        f"the {MOST_VERIFIED} best plans kept the promises on {terms.draws} draws, but not on fresh ones; "
        f"raise plan.draws, so that fewer plans look good by luck"
    )


def _look_one_below(search: Search, on_round: OnRound) -> None:
    """Simulate the plans with one account fewer than the best, where that was not done, so that it is known what each account is for."""
    best = search.best
    assert best is not None
    rows = [search.place[one] for _, one in search.options.below(best.plan) if one in search.place]
    unseen = [row for row in rows if row not in search.seen]
    if unseen:
        search.look(unseen, "what each account is for", on_round)


def _told(
    search: Search, bounds: Bounds, draws: Sequence[Draw], verified: Simulated, answers: Answers, began_s: float
) -> Planned:  # fmt: skip
    best, options = search.best, search.options
    assert best is not None
    floor_usd = floor_usd_per_month(draws, best.prices)
    fluid_usd = bounds.of_all(options, list(search.seen.values()))
    left = int(search.open.sum())
    exceptions = len(search.exceptions)
    lower_usd = fluid_usd if exceptions or options.is_box else search.bound_usd
    why = f"{left:,} plans could still be cheaper" if left else ""
    if exceptions:
        bigger, smaller = search.exceptions[0]
        why = f"{options.shown(bigger)} broke a promise that {options.shown(smaller)} kept, so cuts prove nothing here"
    if options.is_box:
        among = f"among the {len(options):,} plans about the program's proposal; the terms allow more than {MOST_PLANS:,}"
        why = f"{why or 'none is cheaper'} {among}"
    cost = mean_interval(verified.fixed_usd + verified.running_usd)
    total = best.usd_per_month - lower_usd
    decided = best.usd_per_month - floor_usd
    gaps = Gaps(
        solver=(best.usd_per_month - search.bound_usd) / best.usd_per_month if best.usd_per_month > 0 else 0.0,
        cuts=(search.bound_usd - lower_usd) / best.usd_per_month if best.usd_per_month > 0 else 0.0,
        sampling=cost.half_width / cost.value if cost.trusted and cost.value > 0 else 0.0,
        total=total / best.usd_per_month if best.usd_per_month > 0 else 0.0,
        controllable=total / decided if decided > 0 else 0.0,
    )  # fmt: skip
    held = _held(search)
    return Planned(
        name=options.loaded.name, options=options, on_draws=best, verified=verified, held=held,
        refused=tuple(search.plans[row] for row in np.flatnonzero(search.refused)), items=_items(search, best), gaps=gaps,
        lower_bound_usd=lower_usd, fluid_bound_usd=fluid_usd, floor_usd=floor_usd,
        proven=not left and not exceptions and not options.is_box, why_not_proven=why,
        exceptions=exceptions, rounds=tuple(search.rounds), plans=len(options), simulated=len(search.seen),
        days=sum(len(one.days) for one in search.seen.values()) + len(verified.days),
        requests=float(np.mean([sum(draw.arrived) for draw in draws])),
        cost=cost, overrides=options.overrides(best.plan), answers=answers, said=said_of(options), seconds=time.perf_counter() - began_s,
    )  # fmt: skip


def said_of(options: Options) -> tuple[str, ...]:
    """What a reader must know to read the figures right."""
    loaded = options.loaded
    span_days = loaded.horizon_us / 86_400e6
    times = MONTH_US / loaded.horizon_us
    found = [f"A month is {times:.4g} times the scenario's horizon of {span_days:.3g} days: every day is like these."]
    if recorded(loaded):
        found.append(_said_of_recordings(loaded.scenario.plan))
    if span_days < 2 and any(source.kind != "synthetic" for source in loaded.workload_sources):
        found.append("Demand is a recording of under two days: not verified for other days.")
    return tuple(found)


def _said_of_recordings(terms: PlanTerms) -> str:
    blocks = f"blocks of {terms.block_s:g} s of the recording, drawn with replacement"
    if terms.fitted_share == 1:
        return f"Draws are {blocks}: plans were compared and verified on the same hours, in another order."
    return f"Draws are {blocks}: plans were compared on its first {terms.fitted_share:.0%}, and verified on the rest, which they never saw."


def _items(search: Search, best: Simulated) -> tuple[Item, ...]:
    options = search.options
    fewer = dict(options.below(best.plan))
    found = []
    for row, (entry, count, state) in enumerate(zip(options.entries, best.plan.counts, best.plan.states, strict=True)):
        found.append(Item(
            name=entry.name, provider=entry.provider, usage_tier=entry.states[state].name, held=entry.account.count, planned=count,
            usd_per_month=entry.states[state].usd_per_month, setup_usd=entry.terms.setup_usd, lead_time_days=entry.terms.lead_time_days,
            notice_days=entry.terms.notice_days, permission=entry.terms.permission,
            one_fewer=one_fewer(search, best, fewer.get(row)) if count else "",
        ))  # fmt: skip
    return tuple(found)


def one_fewer(search: Search, best: Simulated, plan: Plan | None) -> str:
    """What happens with one account fewer, in words."""
    row = search.place.get(plan, -1) if plan else -1
    if row < 0:
        return "needed: the terms, or a model that nothing else reaches, ask for it"
    seen = search.seen.get(row)
    if seen is None:
        return "not simulated"
    if seen.impossible:
        return f"cannot be: {seen.impossible}"
    broken = [_broken(one) for one in seen.promises if not one.holds]
    broken += [f"{_broken(one)} with {lost.loss.shown()}" for lost in seen.survived for one in lost.promises if not one.holds]
    if broken or seen.over:
        return "; ".join((*broken, *seen.over))
    more = seen.usd_per_month - best.usd_per_month
    return f"all promises hold, for {more:,.0f} USD a month more" if more > 0 else "all promises hold, but not on fresh days"


def _broken(one: Promise) -> str:
    word = "is not sure to hold" if one.kept_on_average else "breaks"
    return f"{one.name!r} {word} ({one.mean:.4g}, promised {one.target})"
