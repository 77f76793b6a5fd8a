"""What was asked, hour by hour, and what of it was not recorded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TraceError

Floats = NDArray[np.float64]
MINUTE_S, HOUR_S = 60, 3600
HOURS_MAX = 100_000
FEWEST_HOURS = 24
TOKENS = ("input_tokens", "output_tokens")


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Recorded demand. The first hour begins at `start_us`: since the epoch, or since the clock's own 0 where it has no dates.

    `counts` are requests, shape (hours, bins of an hour), NaN where nothing was recorded, which is not the same as 0. `tokens` are
    totals of each hour by name (TOKENS), shape (hours,); none if the data has none. `notes` say what the source cannot tell.
    """

    source: str
    start_us: int
    dated: bool
    counts: Floats = field(repr=False)
    tokens: Mapping[str, Floats] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = int(np.isfinite(self.requests).sum())
        if known < FEWEST_HOURS:
            raise TraceError(f"{self.source}: has {known} whole hours; a forecast needs {FEWEST_HOURS} or more")
        if np.nansum(self.requests) <= 0:
            raise TraceError(f"{self.source}: has no requests in its whole hours; a forecast needs some")

    @property
    def hours(self) -> int:
        """How many hours, gaps included."""
        return len(self.counts)

    @property
    def bin_s(self) -> float:
        """Length of the finest intervals counted, in seconds."""
        return HOUR_S / int(self.counts.shape[1])

    @cached_property
    def requests(self) -> Floats:
        """Requests of each hour, shape (hours,); NaN if any part of it was not recorded."""
        return np.asarray(self.counts.sum(axis=1), np.float64)

    @cached_property
    def measures(self) -> dict[str, Floats]:
        """Requests and tokens of each hour, by name."""
        return {"requests": self.requests, **self.tokens}

    @property
    def ends_us(self) -> int:
        """When the hour after the last one begins."""
        return self.start_us + self.hours * HOUR_S * 1_000_000


class Tally:
    """Requests and tokens added up in bins of `bin_s` seconds, in any order of time."""

    def __init__(self, source: str, bin_s: int, fields: tuple[str, ...]) -> None:
        self._source, self._bin_s, self._fields = source, bin_s, fields
        self._bins: list[NDArray[np.int64]] = []
        self._sums: list[Floats] = []

    def add(self, times_us: NDArray[np.int64], values: Mapping[str, Floats], used: NDArray[np.bool_]) -> None:
        """Rows at these times; those not `used` say that the time was recorded and add nothing."""
        bins, place = np.unique(times_us // (self._bin_s * 1_000_000), return_inverse=True)
        self._bins.append(bins)
        sums = [np.bincount(place, np.where(used, values[field], 0.0), bins.size) for field in self._fields]
        self._sums.append(np.stack(sums))

    def bins(self) -> NDArray[np.int64]:
        """Numbers of the bins that have a row, in order."""
        return np.unique(np.concatenate(self._bins))

    def table(self, bin_s: int, first_us: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Sums in coarser bins from `first_us` on, shape (fields, hours, bins of an hour), and which bins have a row.

        Raises TraceError beyond HOURS_MAX hours.
        """
        every = np.concatenate(self._bins)
        at = (every * self._bin_s - first_us // 1_000_000) // bin_s
        per_hour = HOUR_S // bin_s
        hours = math.ceil((int(at.max()) + 1) / per_hour)
        if hours > HOURS_MAX:
            raise TraceError(f"{self._source}: spans {hours:,} hours, more than {HOURS_MAX:,}; is its time column in another unit?")
        size = hours * per_hour
        sums = np.stack([np.bincount(at, row, size).astype(np.float64) for row in np.concatenate(self._sums, axis=1)])
        seen = np.bincount(at, minlength=size) > 0
        return sums.reshape(-1, hours, per_hour), seen.reshape(hours, per_hour)


def trimmed(counts: Floats, tokens: Mapping[str, Floats], start_us: int) -> tuple[Floats, dict[str, Floats], int]:
    """Without hours at either end that were not recorded whole."""
    whole = np.flatnonzero(np.isfinite(counts.sum(axis=1)))
    first, last = (int(whole[0]), int(whole[-1]) + 1) if whole.size else (0, 0)
    kept = {name: values[first:last] for name, values in tokens.items()}
    return counts[first:last], kept, start_us + first * HOUR_S * 1_000_000
