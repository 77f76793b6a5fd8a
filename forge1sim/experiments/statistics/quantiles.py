"""Intervals of a quantile. Two questions, which have different answers; say which one is meant.

*Mean of quantiles*: what is the p99 of a day, on average over days? The quantile is taken in each
replication, and the interval is that of their mean. For horizons that end by themselves.

*Pooled*: above what do 1 % of all requests lie? The quantile of all replications together; its spread
comes from the quantiles of the replications around it (sectioning: Asmussen and Glynn, Stochastic
Simulation, 2007, III.5). For the steady state, where the mean of quantiles is biased: a quantile of few
values that depend on each other is off by an amount that no number of replications takes away.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from forge1sim.errors import ExperimentError
from forge1sim.experiments.statistics.interval import (
    CONFIDENCE,
    Interval,
    around,
    as_values,
    demand_confidence,
    missing,
    t_factor,
    untrusted,
)
from forge1sim.experiments.statistics.means import FEWEST, is_constant, mean_interval

FEWEST_IN_TAIL = 10


def fewest_events(ratio: float) -> int:
    """Values that a quantile needs, so that at least ten lie beyond it: 200 for p95, 1,000 for p99.

    Raises ExperimentError unless `ratio` is in (0, 1).
    """
    if not 0 < ratio < 1:
        raise ExperimentError(f"quantile ratio is {ratio}, must be above 0 and below 1, as 0.99")
    return math.ceil(round(FEWEST_IN_TAIL / min(ratio, 1 - ratio), 6))


def quantile_interval(quantiles: ArrayLike, events: ArrayLike, ratio: float, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the mean of the replications' own quantiles, shape (n,), each of `events` values, shape (n,).

    Not trusted where a replication has too few values (`fewest_events`). Raises ExperimentError.
    """
    found, counts = mean_interval(quantiles, confidence), as_values("events", events)
    if len(counts) != found.count:
        raise ExperimentError(f"{found.count} quantiles and {len(counts)} counts of events; each needs one of the other")
    fewest, least = fewest_events(ratio), counts.min(initial=math.inf)
    if found.trusted and not least >= fewest:
        why = f"{least:,.0f} requests in a replication, a p{100 * ratio:g} needs {fewest:,}"
        return untrusted(found.value, found.count, confidence, why)
    return found


def mean_of_quantiles(samples: Sequence[ArrayLike], ratio: float, confidence: float = CONFIDENCE) -> Interval:
    """The same from the values of each replication themselves."""
    values = [as_values("a replication", sample) for sample in samples]
    quantiles = [float(np.quantile(mine, ratio)) if len(mine) else math.nan for mine in values]
    return quantile_interval(quantiles, [len(mine) for mine in values], ratio, confidence)


def pooled_quantile(samples: Sequence[ArrayLike], ratio: float, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the quantile of all values together, from the values of each replication.

    Not trusted where all together are too few. Raises ExperimentError.
    """
    values = [as_values("a replication", sample) for sample in samples]
    total = sum(len(mine) for mine in values)
    pooled = float(np.quantile(np.concatenate(values), ratio)) if total else math.nan
    if total < fewest_events(ratio):
        why = f"{total:,} requests, a p{100 * ratio:g} needs {fewest_events(ratio):,}"
        return untrusted(pooled, len(values), confidence, why)
    return sectioning_interval(pooled, [float(np.quantile(mine, ratio)) if len(mine) else math.nan for mine in values], confidence)


def sectioning_interval(pooled: float, sections: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Interval around an estimate from all data, by the same estimate in each of n equal parts, shape (n,).

    Raises ExperimentError.
    """
    demand_confidence(confidence)
    parts = as_values("sections", sections)
    count = len(parts)
    why = missing(parts) or ("" if count >= FEWEST else f"{count} replications, an interval needs at least {FEWEST}")
    why = why or ("all values are equal" if is_constant(parts) else "")
    if why:
        return untrusted(pooled, count, confidence, why)
    return around(pooled, t_factor(count, confidence) * spread_around(pooled, parts) / math.sqrt(count), count, confidence)


def spread_around(pooled: float, sections: ArrayLike) -> float:
    """Root of the mean square distance of the sections from the pooled estimate, by n - 1."""
    parts = np.asarray(sections, dtype=np.float64)
    return float(np.sqrt(np.sum((parts - pooled) ** 2) / (len(parts) - 1)))
