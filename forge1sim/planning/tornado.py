"""What a plan rests on: demand, prices of tokens and limits, one at a time a share lower and higher than assumed.

Each end is told twice: for the plan as it is kept, and for the plan made anew when that is known, on the same draws and at the same
price of a refusal. The plan made anew is the best that the search finds in its share of the time, not verified on fresh days.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.planning.answers import Difference, broken, difference
from forge1sim.planning.finding import Found, find
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.scaling import demand_times, limits_times, prices_times

MOVED = ("demand", "price", "limits")


@dataclass(frozen=True, kw_only=True)
class End:
    """One end: what the plan kept comes to, USD a month, how far from the plan as it is, which promises it breaks; and the plan anew.

    `anew_usd` is None where no plan of the terms keeps all promises, or time was up before one was found; `anew` says which.
    """

    factor: float
    kept_usd: float
    kept: Difference
    breaks: tuple[str, ...]
    anew_usd: float | None
    anew: str

    @property
    def keeps_promises(self) -> bool:
        """Whether the plan kept does."""
        return not self.breaks


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is moved, by which share, and both ends."""

    name: str
    share: float
    low: End
    high: End

    @property
    def width_usd(self) -> float:
        """How far the cost of the plan kept goes at most."""
        return max(abs(self.low.kept.usd_per_month), abs(self.high.kept.usd_per_month))


@dataclass(frozen=True, kw_only=True)
class Tornado:
    """All bars, the widest first; `usd_per_month` is of the plan as it stands."""

    usd_per_month: float
    bars: tuple[Bar, ...]


def tornado_of(found: Found, *, minutes: float) -> Tornado:
    """Move what the terms name. The searches for plans made anew take `minutes` in all, at most. Raises PlanError or ScenarioError."""
    asked = found.search.options.loaded.scenario.plan.tornado
    best = found.search.best
    assert best is not None
    moved = [(name, share) for name in MOVED if (share := getattr(asked, name))]
    share_s = 60 * minutes / (2 * len(moved))
    bars = [
        Bar(name=name, share=share, low=_end(found, name, 1 - share, share_s), high=_end(found, name, 1 + share, share_s))
        for name, share in moved
    ]
    return Tornado(usd_per_month=best.usd_per_month, bars=tuple(sorted(bars, key=lambda one: -one.width_usd)))


def _end(found: Found, name: str, factor: float, share_s: float) -> End:
    best, simulator = found.search.best, found.simulator
    assert best is not None
    options = simulator.options
    kept = replace(simulator, taken=best.taken).changed([(best.plan, moved(options, name, factor, best.plan))], found.search.seeds)[0]
    anew_usd, anew = _anew(replace(found.ask, overrides=(*found.ask.overrides, *moved(options, name, factor))), found, share_s)
    return End(
        factor=factor, kept_usd=kept.usd_per_month, kept=difference(best.running_usd, kept.running_usd), breaks=broken(kept),
        anew_usd=anew_usd, anew=anew,
    )  # fmt: skip


def moved(options: Options, name: str, factor: float, plan: Plan | None = None) -> tuple[str, ...]:
    """The scenario with demand, price or limits times a factor, as `path=value`; with a plan only of entries that it has."""
    loaded = options.loaded
    if name == "limits":
        gone = {entry.name for entry, count in zip(options.entries, plan.counts, strict=True) if not count} if plan else ()
        return limits_times(loaded, factor, without=gone)
    times: Callable[..., tuple[str, ...]] = demand_times if name == "demand" else prices_times
    return times(loaded, factor)


def _anew(ask: Ask, found: Found, share_s: float) -> tuple[float | None, str]:
    """What the best plan costs there, and which it is, or why there is none."""
    simulator = found.simulator
    try:
        anew = find(
            ask, until_s=perf_counter() + share_s, workers=simulator.workers, backend=simulator.backend, prices=simulator.prices
        ).search
    except PlanError as error:
        return None, str(error)
    if anew.best is None:
        return None, "time was up before one was found" if anew.open.any() else "no plan of the terms keeps all promises"
    return anew.best.usd_per_month, anew.options.shown(anew.best.plan)
