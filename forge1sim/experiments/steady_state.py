"""The steady state of a scenario whose demand does not change: waits and latencies once the start is forgotten.

Replications begin empty. The start is cut off in each of them: `warm_up_s` seconds, or what MSER-5 finds in the first
ten. A horizon is long enough if MSER-5 finds the end of the start, and the horizon is ten times the start; if not, it is
doubled. Means are over replications. Quantiles are those of all requests together (`statistics.quantiles`, "pooled"),
since a stationary p99 is asked for and not that of a horizon. They are trusted, and a stop on one is allowed, once enough
independent requests lie beyond them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.statistics import Floats, Interval, Precision, WarmUp, Watch, mser5
from forge1sim.statistics.interval import CONFIDENCE, untrusted
from forge1sim.statistics.quantiles import MEDIAN, independent_beyond, jackknife_spread, too_few_beyond

if TYPE_CHECKING:
    import pandas as pd

    from forge1sim.scenario.load import LoadedScenario

PILOTS, STARTS_IN_A_HORIZON, MOST_DOUBLINGS = 10, 10, 6
COUNT, MOST = 10, 500
QUANTILE_MINIMUM = 20               # with 10, 92.4 % of intervals of a p99 held the truth in M/D/1 at load 0.9, with 20, 94.7 %
FIGURES = {"mean": 0.0, "p50": 0.5, "p95": 0.95, "p99": 0.99}
KINDS = ("wait", "latency")
MEASURED = tuple(f"{ALL_TIERS}.{kind}_{figure}_s" for kind in KINDS for figure in FIGURES)


@dataclass(frozen=True)
class Waits:
    """The answers of one replication in order of arrival, each of shape (n,): when they came, waited, and took in all."""

    arrive_s: Floats
    wait_s: Floats
    latency_s: Floats
    tier: NDArray[np.int32]
    tiers: tuple[str, ...]

    def of(self, measure: str, from_s: float) -> Floats:
        """Waits or latencies of a tier, of those that came at `from_s` or later."""
        tier, name = measure.split(".", 1)
        values = self.wait_s if name.startswith("wait") else self.latency_s
        late = self.arrive_s >= from_s
        return values[late] if tier == ALL_TIERS else values[late & (self.tier == self.tiers.index(tier))]


@dataclass(frozen=True)
class SteadyState:
    """What is known of the steady state.

    Attributes:
        horizon_s: of each replication, the start included.
        warm_up_s: what was cut off, and `warm_up` how it was found (None where it was given).
        intervals: by measure.
        reached: whether every precision that was asked for is kept.
    """

    ask: Ask
    seeds: tuple[int, ...]
    horizon_s: float
    warm_up_s: float
    warm_up: WarmUp | None
    intervals: dict[str, Interval]
    reached: bool

    def frame(self) -> "pd.DataFrame":
        """One row for each measure: value, low, high, count, trusted, why."""
        from forge1sim.experiments.shown import interval_frame

        return interval_frame(self.intervals)


def steady_state(
    ask: Ask, count: int | None = None, *, until: Precision | Sequence[Precision] = (), measures: Sequence[str] = MEASURED,
    warm_up_s: float | None = None, confidence: float = CONFIDENCE, most: int = MOST, workers: int | None = None,
    backend: str = "processes",
) -> SteadyState:  # fmt: skip
    """Replications with the start cut off: `count` of them, or as many as `until` needs, at most `most`.

    Measures are `TIER.wait_FIGURE_s` and `TIER.latency_FIGURE_s`, FIGURE one of mean, p50, p95, p99; those of `until` are
    always among them. Raises ExperimentError, ScenarioError, WorkloadError or RunError.
    """
    precisions = (until,) if isinstance(until, Precision) else tuple(until)
    if count is not None and precisions:
        raise ExperimentError("give either count or until, not both")
    names = tuple(dict.fromkeys([*measures, *(one.measure for one in precisions)]))
    loaded = ask.load()
    _demand_measures(names, [tier.name for tier in loaded.bundle.tiers])
    workers_here = _Workers(ask, workers, backend)
    settled = settle(workers_here.draw, ask.seed, loaded.horizon_us / 1e6, warm_up_s)
    wanted = most if precisions else (COUNT if count is None else count)
    measuring = measured(settled, workers_here.all_draws(settled, wanted), names, precisions, confidence)
    seeds = tuple(range(ask.seed, ask.seed + measuring.count))
    reached = all(watch.is_reached for watch in measuring.watches.values())
    found = measuring.intervals()
    return SteadyState(ask, seeds, settled.horizon_s, settled.warm_up_s, settled.warm_up, found, reached)


@dataclass
class Measuring:
    """Estimates of stationary figures that grow by one replication at a time."""

    names: tuple[str, ...]
    precisions: tuple[Precision, ...]
    settled: "Settled"
    confidence: float = CONFIDENCE
    watches: dict[Precision, Watch] = field(init=False)
    _plain: dict[str, Watch] = field(init=False)
    _means: dict[str, list[float]] = field(init=False)
    _counts: dict[str, list[NDArray[np.int64]]] = field(init=False)
    _why: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.watches = {precision: Watch(_patient(precision)) for precision in self.precisions}
        # A precision that nothing keeps: its watch gives the interval of a fixed number.
        self._plain = {name: Watch(Precision(name, absolute=1e-300, confidence=self.confidence)) for name in self.names}
        self._means, self._counts, self._why = {}, {}, {}

    @property
    def count(self) -> int:
        """Replications seen."""
        return next(iter(self._plain.values())).count

    def see(self, waits: Waits) -> bool:
        """Add a replication; whether there are precisions and all are reached."""
        found = {name: self._estimate(name, waits.of(name, self.settled.warm_up_s)) for name in self.names}
        for name, watch in self._plain.items():
            watch.see(*found[name])
        reached = [watch.see(*found[precision.measure]) for precision, watch in self.watches.items()]
        return bool(reached) and all(reached)

    def intervals(self) -> dict[str, Interval]:
        """By measure, those of the stopping rule where there is one."""
        found = {name: watch.interval() for name, watch in self._plain.items()}
        found |= {precision.measure: watch.interval() for precision, watch in self.watches.items()}
        start = self.settled.warm_up
        if start is not None and not start.trusted:
            return {name: untrusted(one.value, one.count, one.confidence, start.why) for name, one in found.items()}
        return {
            name: untrusted(one.value, one.count, one.confidence, self._why[name]) if self._why.get(name) else one
            for name, one in found.items()
        }

    def _estimate(self, name: str, values_s: Floats) -> tuple[float, float, float]:
        """The estimate from all replications so far, and spread and skewness of one around it; NaN where they are not known."""
        ratio = FIGURES[name.rsplit("_", 2)[1]]
        if not ratio:
            means = self._means.setdefault(name, [])
            means.append(float(values_s.mean()) if len(values_s) else float("nan"))
            return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else float("nan"), 0.0
        counts = self._counts.setdefault(name, [])
        counts.append(_histogram(values_s))
        pooled_s, spread_s, skewness, self._why[name] = _pooled(np.stack(counts), ratio)
        return pooled_s, spread_s, skewness


def _patient(precision: Precision) -> Precision:
    """The same, with more replications at least where it is of a pooled quantile."""
    pooled = FIGURES[precision.measure.rsplit("_", 2)[1]] > 0
    return replace(precision, minimum=max(precision.minimum, QUANTILE_MINIMUM)) if pooled else precision


def _histogram(values_s: Floats) -> NDArray[np.int64]:
    """Counts by the bins of the metrics: 0.8 to 1.6 % wide."""
    from forge1sim.metrics.histogram import BINS, edges_us

    places = np.searchsorted(edges_us(), np.round(values_s * 1e6), side="right") - 1
    return np.bincount(np.clip(places, 0, BINS - 1), minlength=BINS)


def _pooled(counts: NDArray[np.int64], ratio: float) -> tuple[float, float, float, str]:
    """The quantile of all histograms together, shape (n, BINS), spread and skewness of one around it, and why they are not known (NaN)."""
    from forge1sim.metrics.histogram import edges_us, quantile_rows_us

    together = counts.sum(axis=0)
    found_s = quantile_rows_us(np.stack([together, *(together - counts)]), (ratio,))[:, 0] / 1e6
    pooled_s, without_s = float(found_s[0]), found_s[1:]
    # Bins as a whole: those that begin at the quantile, or end there.
    place = int(np.searchsorted(edges_us(), pooled_s * 1e6, side="right"))
    beyond = counts[:, place:].sum(axis=1) if ratio >= MEDIAN else counts[:, : max(place - 1, 1)].sum(axis=1)
    why = too_few_beyond(independent_beyond(beyond, counts.sum(axis=1)), ratio)
    if why:
        return pooled_s, float("nan"), 0.0, why
    spread_s, skewness = jackknife_spread(pooled_s, without_s)
    return pooled_s, spread_s, skewness, ""


def waits_of(ask: Ask, horizon_s: float | None = None) -> Waits:
    """One replication's answers. Raises ScenarioError, WorkloadError or RunError."""
    overrides = ask.overrides if horizon_s is None else (*ask.overrides, f"horizon_s={horizon_s}")
    return waits_in(replace(ask, overrides=overrides).load(), ask.seed, ask.driver)


def waits_in(loaded: "LoadedScenario", seed: int, driver: str = "compiled") -> Waits:
    """The same of a loaded scenario, from its log."""
    from forge1sim.run import run_log
    from policies import log

    kept: list[NDArray[np.void]] = []

    def keep(rows: NDArray[np.void]) -> None:
        kept.append(rows[rows["kind"] == log.COMPLETE])

    static = run_log(loaded, keep, driver=driver, seed=seed)
    rows = np.concatenate(kept) if kept else np.zeros(0, log.ROW)
    rows = rows[np.argsort(rows["request"])]
    arrive_s = (rows["time_us"] - rows["v3"] - loaded.start_us) / 1e6
    wait_s = (rows["v4"] & log.LOW_48) / 1e6
    return Waits(arrive_s, wait_s, rows["v3"] / 1e6, static.tier_of_tenant[rows["tenant"]], static.tier_names)


@dataclass(frozen=True)
class Settled:
    """A horizon and a start that suit each other, with the replications that showed it (none where the start was given)."""

    horizon_s: float
    warm_up_s: float
    warm_up: WarmUp | None
    pilots: tuple[Waits, ...] = ()


DrawAll = Callable[[Sequence[int], float], Sequence[Waits]]
"""Called with seeds and a horizon in seconds; gives the replications in that order."""


def settle(draw: DrawAll, seed: int, horizon_s: float, warm_up_s: float | None = None) -> Settled:
    """Take the start as given, or find it in replications on the seeds from `seed` on, doubling the horizon where it is too short.

    Where even the longest is too short, `warm_up` is not trusted and says so. Raises ExperimentError.
    """
    if warm_up_s is not None:
        if not 0 <= warm_up_s < horizon_s:
            raise ExperimentError(f"warm_up_s is {warm_up_s}, must be 0 or more and below the horizon of {horizon_s:g} s")
        return Settled(horizon_s, warm_up_s, None)
    for longer in range(MOST_DOUBLINGS + 1):
        span_s = horizon_s * 2**longer
        pilots = tuple(draw(range(seed, seed + PILOTS), span_s))
        found, cut_s = start_of(pilots)
        if found.trusted and cut_s * STARTS_IN_A_HORIZON <= span_s:
            break
    return Settled(span_s, cut_s, found, pilots)


def measured(
    settled: Settled, draws: Iterable[Waits], names: Sequence[str], until: Sequence[Precision] = (), confidence: float = CONFIDENCE
) -> Measuring:
    """Estimates from `draws`, of which no more are taken than `until` needs."""
    measuring = Measuring(tuple(names), tuple(until), settled, confidence)
    for waits in draws:
        if measuring.see(waits):
            break
    return measuring


@dataclass(frozen=True)
class _Workers:
    ask: Ask
    workers: int | None
    backend: str

    def draw(self, seeds: Sequence[int], horizon_s: float) -> list[Waits]:
        from forge1sim.experiments.workers import evaluate

        asks = [replace(self.ask, seed=seed) for seed in seeds]
        return evaluate(asks, workers=self.workers, backend=self.backend, work=partial(waits_of, horizon_s=horizon_s))

    def all_draws(self, settled: Settled, count: int) -> Iterator[Waits]:
        """The pilots, then more on the seeds after theirs, in order."""
        from forge1sim.experiments.workers import workers_of

        yield from settled.pilots[:count]
        at_once = 1 if self.backend == "serial" else workers_of(self.workers)
        done = len(settled.pilots)
        while done < count:
            ahead = min(at_once, count - done)
            yield from self.draw(range(self.ask.seed + done, self.ask.seed + done + ahead), settled.horizon_s)
            done += ahead


def start_of(pilots: Sequence[Waits]) -> tuple[WarmUp, float]:
    """Where the start is over by MSER-5 of the latencies averaged over replications, and when that is, in seconds."""
    shortest = min(len(one.arrive_s) for one in pilots)
    found = mser5(np.mean([one.latency_s[:shortest] for one in pilots], axis=0))
    cut_s = float(np.mean([one.arrive_s[found.cut] for one in pilots])) if found.cut else 0.0
    return found, cut_s


def _demand_measures(names: Sequence[str], tiers: Sequence[str]) -> None:
    known = [f"{tier}.{kind}_{figure}_s" for tier in (ALL_TIERS, *tiers) for kind in KINDS for figure in FIGURES]
    for name in names:
        if name not in known:
            raise ExperimentError(f"measure {name!r} is not of the steady state; there are {', '.join(known)}")
