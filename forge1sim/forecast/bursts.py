"""Bursts within the hour: how much more than by chance the minutes differ, and how far the busiest is above the mean."""

from dataclasses import dataclass

import numpy as np

from forge1sim.forecast.history import History

BURST_LEVELS = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Figures over `hours` hours, from counts in intervals of `bin_s` seconds.

    `index_of_dispersion` is the variance of the counts within an hour over their mean, averaged over hours by their requests: 1 if
    requests come independently (Poisson). `peak_over_mean` are quantiles over hours, at BURST_LEVELS, of an hour's busiest
    interval over its mean one: an hour of N requests has its busiest minute at N / 60 times that.
    Source: Cox and Lewis, The Statistical Analysis of Series of Events, 1966 (index of dispersion of counts).
    """

    bin_s: float
    hours: int
    index_of_dispersion: float
    peak_over_mean: tuple[float, ...]


def bursts_of(history: History) -> Bursts | None:
    """Bursts of a history; None if it has hours only, or none with a request."""
    counts = history.counts[np.isfinite(history.requests) & (history.requests > 0)]
    if counts.shape[1] == 1 or not len(counts):
        return None
    means = counts.mean(axis=1)
    peaks = np.quantile(counts.max(axis=1) / means, BURST_LEVELS)
    return Bursts(
        bin_s=history.bin_s, hours=len(counts), index_of_dispersion=float(counts.var(axis=1, ddof=1).sum() / means.sum()),
        peak_over_mean=tuple(float(peak) for peak in peaks),
    )  # fmt: skip
