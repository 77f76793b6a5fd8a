"""Rolling-origin backtest: forecasts made as of past moments, against what came, beside the seasonal naive forecast."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forge1sim.errors import WorkloadError
from forge1sim.forecast.history import FEWEST_HOURS, Floats, History
from forge1sim.forecast.model import DAY_H, WEEK_H, sample_paths

if TYPE_CHECKING:
    import pandas as pd

SCORED_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
NAIVES = ("last_week", "last_day")
_FEWEST_ERRORS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One forecast: from `hours_known` hours, over `scored` hours that were recorded. `inside` of them lay in the 90% band.

    `pinball` and `naive_pinball` are sums over scored hours of the mean pinball loss over SCORED_LEVELS, in requests.
    """

    hours_known: int
    scored: int
    inside: int
    pinball: float
    naive_pinball: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """What forecasts from several origins were worth, all pooled."""

    source: str
    horizon_hours: int
    origins: tuple[Origin, ...]

    @property
    def band_cover(self) -> float:
        """Share of held-out hours inside the band from 5% to 95%; 0.9 at best."""
        return sum(one.inside for one in self.origins) / sum(one.scored for one in self.origins)

    def pinball_over(self, naive: str) -> float:
        """Pinball loss over that of a naive forecast of NAIVES: below 1 the forecast is better."""
        return sum(one.pinball for one in self.origins) / sum(one.naive_pinball[naive] for one in self.origins)

    def frame(self) -> "pd.DataFrame":
        """One row for each origin; losses are means over its hours."""
        import pandas as pd

        return pd.DataFrame([
            {"source": self.source, "horizon_hours": self.horizon_hours, "hours_known": one.hours_known, "scored": one.scored,
             "band_cover": one.inside / one.scored, "pinball": one.pinball / one.scored,
             **{f"pinball_{name}": value / one.scored for name, value in one.naive_pinball.items()}}
            for one in self.origins
        ])  # fmt: skip


def backtest(
    history: History, horizon_hours: int, *, first_hours: int = 3 * DAY_H, step_hours: int = 7, draws: int = 1000, seed: int = 0
) -> Backtest:
    """Forecast requests from every `step_hours`-th hour on, beginning with `first_hours` known, as far as the horizon is recorded.

    Hours that were not recorded are not scored, and moments before a day's worth of hours with requests are left out.
    `last_week` repeats the same hour of the last week if a week and a day are known,
    else of the last day; `last_day` always the last day. Their quantiles are those of their own past errors, never below 0.
    Source: Hyndman and Athanasopoulos, Forecasting, 3rd ed., sections 5.2, 5.9 and 5.10.

    Raises:
        WorkloadError: the history is too short for one forecast, or a number is out of range.
    """
    if horizon_hours < 1 or step_hours < 1 or first_hours < 2 * DAY_H:
        raise WorkloadError(f"horizon_hours {horizon_hours} and step_hours {step_hours} must be 1 or more, "
                            f"first_hours {first_hours} {2 * DAY_H} or more")  # fmt: skip
    known = np.cumsum(np.isfinite(history.requests) & (history.requests > 0))
    starts = [start for start in range(first_hours, history.hours - horizon_hours + 1, step_hours) if known[start - 1] >= FEWEST_HOURS]
    origins = [_origin(history.requests, start, horizon_hours, draws, seed) for start in starts]
    scored = tuple(one for one in origins if one.scored)
    if not scored:
        raise WorkloadError(f"{history.source}: has {history.hours} hours; a backtest {horizon_hours} hours ahead after the first "
                            f"{first_hours} needs {first_hours + horizon_hours}")  # fmt: skip
    return Backtest(source=history.source, horizon_hours=horizon_hours, origins=scored)


def _origin(requests: Floats, start: int, hours: int, draws: int, seed: int) -> Origin:
    past, came = requests[:start], requests[start : start + hours]
    told = np.isfinite(came)
    bands = np.quantile(sample_paths(past, hours, draws, seed), SCORED_LEVELS, axis=0)
    inside = (bands[0] <= came) & (came <= bands[-1])
    periods = {"last_week": WEEK_H if start >= WEEK_H + _FEWEST_ERRORS else DAY_H, "last_day": DAY_H}
    return Origin(
        hours_known=start, scored=int(told.sum()), inside=int(inside[told].sum()), pinball=float(pinball(bands, came)[told].sum()),
        naive_pinball={
            name: float(pinball(_naive_bands(past, hours, period), came)[told].sum()) for name, period in periods.items()
        },
    )  # fmt: skip


def pinball(bands: Floats, came: Floats) -> Floats:
    """Mean pinball loss of each hour over SCORED_LEVELS, shape (hours,); `bands` has shape (levels, hours).

    Source: Koenker and Bassett 1978, Econometrica 46, 33-50.
    """
    above = came - bands
    levels = np.array(SCORED_LEVELS)[:, None]
    return np.asarray(np.maximum(levels * above, (levels - 1.0) * above).mean(axis=0))


def _naive_bands(past: Floats, hours: int, period: int) -> Floats:
    """The last period repeated, with quantiles of the errors that this made so many periods ahead, shape (levels, hours)."""
    known = np.flatnonzero(np.isfinite(past))
    whole = np.interp(np.arange(past.size), known, past[known])
    bands = np.empty((len(SCORED_LEVELS), hours))
    for start in range(0, hours, period):
        stop = min(start + period, hours)
        # Too few errors that far ahead: those of one period ahead stand in.
        back = start + period if past.size - start - period >= _FEWEST_ERRORS else period
        errors = past[back:] - past[:-back]
        errors = errors[np.isfinite(errors)]
        quantiles = np.quantile(errors if errors.size else np.zeros(1), SCORED_LEVELS)
        bands[:, start:stop] = whole[past.size - period :][: stop - start] + quantiles[:, None]
    return bands.clip(0.0)
