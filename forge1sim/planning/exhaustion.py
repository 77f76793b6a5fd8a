"""When limits run out as demand grows: of what is held, and of what is planned, each simulated with the demand to come.

A limit per minute, or on requests in flight, is *full* when 90% of it is used on average in a window (docs/metrics.md, "Limits"). One per
day, or on money, is full when a whole window of days like the simulated ones would use it up. Between two simulated points use is
taken to grow in a straight line; nothing is taken beyond the last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from forge1sim.ask import Ask
from forge1sim.metrics import columns as c
from forge1sim.metrics.limit_tables import FULL_RATIO, limit_use
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.tables import FLOW
from forge1sim.planning.growth import Growth
from forge1sim.planning.options import Plan
from forge1sim.planning.simulated import Day, Simulator, day_from, day_of, promises_of
from policies.layout import Layout, LimitRow, lay_out

Floats = NDArray[np.float64]
Name = tuple[str, str]              # account entry, limit
_WHOLE = ("rpd", "tpd", "spend")    # limits of which a whole window is told, not its busiest part
_HALVINGS = 3
_TOKENS_OF = {"input": ("input_tokens",), "uncached_input": ("input_tokens",), "output": ("output_tokens",)}


@dataclass(frozen=True, kw_only=True)
class When:
    """The first day on which something is so: likely, at the earliest, at the latest; None: not within what was looked at. `at_start`:
    it is so from the start."""

    date: str | None
    earliest: str | None
    latest: str | None
    at_start: bool = False

    def shown(self, not_within: str) -> str:
        """In words."""
        if self.at_start and self.date == self.latest:
            return "from the start"
        if self.date is None:
            return f"{not_within}, at the earliest {self.earliest}" if self.earliest else not_within
        if (self.earliest, self.latest) == (self.date, self.date):
            return self.date
        return f"{self.date} ({self.earliest} to {self.latest or not_within})"


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A limit of an entry's accounts under one plan: the share of it that is used at the start, and when it is full."""

    use: float
    full: When


@dataclass(frozen=True, kw_only=True)
class LimitDates:
    """A limit of an entry, as it is held and as it is planned; None where there are no such accounts."""

    account: str
    limit: str
    held: Filled | None
    planned: Filled | None


@dataclass(frozen=True, kw_only=True)
class KeptUntil:
    """Until when a plan keeps all promises, by the likely path.

    They hold on `last` (None: not even at the start) and no more on `first_broken` (None: not within what was looked at).
    """

    last: str | None
    first_broken: str | None
    breaks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Exhaustion:
    """Dates for every limit, and for the promises, by which growth, and how far was looked (a date)."""

    growth: str
    until: str
    limits: tuple[LimitDates, ...]
    held: KeptUntil | None
    planned: KeptUntil

    @property
    def not_within(self) -> str:
        """What is said of what does not run out."""
        return f"not before {self.until}"


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A day with the share of each limit that was used in its fullest account."""

    day: Day
    use: dict[Name, float]


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A plan at each point: use by limit, shape (points, draws); which promises break, up to which point none does, from which on some."""

    use: dict[Name, Floats]
    broken: tuple[str, ...]
    kept_to: float | None
    broken_from: float | None


def exhaustion_of(simulator: Simulator, seeds: Sequence[int], planned: Plan, growth: Growth, *, held: bool) -> Exhaustion:
    """Simulate the plan, and what is held unless the terms forbid it, with the demand of each point. Raises PlanError."""
    options = simulator.options
    points = growth.points()
    plans = list(dict.fromkeys([planned, options.held] if held else [planned]))
    found = dict(zip(plans, _look(simulator, seeds, plans, growth, points), strict=True))
    dated = partial(_when, growth, points, options.loaded.scenario.start)
    seen, before = found[planned], found.get(options.held)
    names = dict.fromkeys([*(before.use if before else ()), *seen.use])
    limits = tuple(
        LimitDates(account=name[0], limit=name[1], held=_filled(before, name, dated), planned=_filled(seen, name, dated)) for name in names
    )
    return Exhaustion(
        growth=growth.words, until=_date(options.loaded.scenario.start, growth.days) or "", limits=limits,
        held=_kept_until(before, growth, options.loaded.scenario.start) if before else None,
        planned=_kept_until(seen, growth, options.loaded.scenario.start),
    )  # fmt: skip


def _look(simulator: Simulator, seeds: Sequence[int], plans: Sequence[Plan], growth: Growth, points: Sequence[float]) -> list[_Seen]:
    loaded = simulator.options.loaded
    grown = simulator.each([(plan, growth.overrides(loaded, point)) for plan in plans for point in points], seeds, grown_of)
    found = []
    for row, plan in enumerate(plans):
        mine = grown[row * len(points) : (row + 1) * len(points)]
        use = {name: np.array([[day.use[name] for day in days] for days in mine]) for name in mine[0][0].use}
        broken = [_broken(simulator, [day.day for day in days]) for days in mine]
        at = next((point for point, of_point in enumerate(broken) if of_point), len(points))
        last, first = (points[at - 1] if at else None), (points[at] if at < len(points) else None)
        names = broken[at] if first is not None else ()
        for _ in range(_HALVINGS if last is not None and first is not None else 0):
            assert last is not None
            assert first is not None
            between = (last + first) / 2
            days = simulator.each([(plan, growth.overrides(loaded, between))], seeds, day_of)[0]
            if of_between := _broken(simulator, days):
                first, names = between, of_between
            else:
                last = between
        found.append(_Seen(use=use, broken=names, kept_to=last, broken_from=first))
    return found


def _broken(simulator: Simulator, days: Sequence[Day]) -> tuple[str, ...]:
    return tuple(one.name for one in promises_of(simulator.options.loaded, days, simulator.confidence) if not one.holds)


def grown_of(ask: Ask) -> Grown:
    """Simulate one replication, and see how full limits get. Raises ScenarioError, WorkloadError or RunError."""
    from forge1sim.run import simulate

    loaded = ask.load()
    result = simulate(loaded, driver=ask.driver, seed=ask.seed, hash_log=False)
    return Grown(day=day_from(result), use=use_of(result.metrics, lay_out(loaded.platform, loaded.start_us)))


def use_of(metrics: Metrics, layout: Layout) -> dict[Name, float]:
    """The share of each limit of an entry that is used in its fullest account, in its fullest window."""
    measured = limit_use(metrics).max(axis=0)
    found: dict[Name, float] = {}
    for row, limit in enumerate(layout.limits):
        if limit.window == "acceleration":
            continue
        use = float(measured[row]) if np.isfinite(measured[row]) else _use_of_window(metrics, layout, limit)
        name = (layout.accounts[limit.account].spec.name, _named(layout, limit))
        found[name] = max(found.get(name, 0.0), use)
    return found


def full_at(limit: str) -> float:
    """The share of a limit, by its name, from which on it counts as full."""
    return 1.0 if limit.split()[1] in _WHOLE else FULL_RATIO


def _named(layout: Layout, limit: LimitRow) -> str:
    window = f" per {limit.window_us / 1e6:g} s" if limit.dimension == "spend" else ""
    return f"{'*' if limit.bucket < 0 else layout.buckets[limit.bucket].model_class} {limit.dimension}{window}"


def _use_of_window(metrics: Metrics, layout: Layout, limit: LimitRow) -> float:
    """Of a limit whose use is not measured minute by minute: the most in one window, or in proportion where a window is longer than
    what was simulated."""
    static, mine = metrics.static, [
        row for row, deployment in enumerate(layout.deployments)
        if deployment.account == limit.account and limit.bucket in (-1, deployment.bucket)
    ]  # fmt: skip
    taken = _taken(metrics, mine, limit.charge)
    if limit.window_us >= static.horizon_us:
        return float(taken.sum()) * limit.window_us / static.horizon_us / limit.amount
    many = max(1, round(limit.window_us / static.interval_us))
    sums = np.cumsum(np.concatenate([[0.0], taken]))
    return float((sums[many:] - sums[:-many]).max(initial=0.0)) / limit.amount


def _taken(metrics: Metrics, deployments: Sequence[int], charge: str) -> Floats:
    """What some deployments took in each interval, by a charge rule, shape (intervals,)."""
    intervals = metrics.state.deployment_intervals[:-1, deployments].sum(axis=1, dtype=np.float64)
    column = {"requests": c.D_ATTEMPTS, "cost": c.D_COST, "max_tokens": c.D_RESERVED}.get(charge, c.D_USED)
    taken = np.asarray(intervals[:, column])
    if charge in _TOKENS_OF:                        # intervals know all tokens together; shares are those of the whole run
        flow = metrics.state.flow[:, deployments].sum(axis=(0, 1), dtype=np.float64)
        used = flow[FLOW("input_tokens")] + flow[FLOW("output_tokens")]
        part = sum(flow[FLOW(name)] for name in _TOKENS_OF[charge]) - (flow[FLOW("cached_tokens")] if charge == "uncached_input" else 0.0)
        taken = taken * (part / used if used > 0 else 0.0)
    return taken


def _filled(seen: _Seen | None, name: Name, dated: Callable[[Floats], When]) -> Filled | None:
    if seen is None or name not in seen.use:
        return None
    return Filled(use=float(seen.use[name][0].mean()), full=dated(seen.use[name] / full_at(name[1])))


def _when(growth: Growth, points: Sequence[float], start: datetime, use: Floats) -> When:
    """The days on which use, shape (points, draws), as a share of what counts as full, gets to 1, over draws and paths."""
    crossed = [_crossing(points, of_draw) for of_draw in use.T]
    days = np.array([growth.days_to(point) if np.isfinite(point) else np.full(len(growth.days_to(points[0])), np.inf) for point in crossed])
    likely = float(np.quantile(days if growth.tail else days[:, 0], 0.5, method="lower"))
    earliest = float(np.quantile(days, growth.tail, method="lower"))
    latest = float(np.quantile(days, 1 - growth.tail, method="higher"))
    return When(
        date=_date(start, likely), earliest=_date(start, min(earliest, likely)), latest=_date(start, max(latest, likely)),
        at_start=likely == 0.0,
    )


def _crossing(points: Sequence[float], use: Floats) -> float:
    """The point at which use first gets to 1, in a straight line between two that were simulated; infinite where it does not."""
    full = np.flatnonzero(use >= 1.0)
    if not len(full):
        return float("inf")
    at = int(full[0])
    if at == 0:
        return points[0]
    return float(np.interp(1.0, [use[at - 1], use[at]], [points[at - 1], points[at]]))


def _kept_until(seen: _Seen, growth: Growth, start: datetime) -> KeptUntil:
    """By the likely path, between which two simulated points promises break first."""
    last = None if seen.kept_to is None else _date(start, growth.until(seen.kept_to))
    first = None if seen.broken_from is None else _date(start, float(growth.days_to(seen.broken_from)[0]))
    return KeptUntil(last=last, first_broken=first, breaks=seen.broken if first else ())


def _date(start: datetime, days: float) -> str | None:
    return (start + timedelta(days=days)).date().isoformat() if np.isfinite(days) else None
