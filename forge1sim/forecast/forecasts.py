"""A forecast: scenarios, bands, bursts, and in words what the data cannot tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.forecast.bursts import Bursts, bursts_of
from forge1sim.forecast.history import HOUR_S, TOKENS, Floats, History
from forge1sim.forecast.model import sample_paths
from forge1sim.forecast.unidentified import unidentified

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
DRAWS = 1000
HORIZON_HOURS_MAX = 24 * 366


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """Demand of the hours after `history`.

    `scenarios` has, for `requests` and for each kind of tokens known, sample paths of shape (paths, hours), equally likely, from the
    least requests in all to the most; a path is one possible future, joint over hours and measures. `quantiles` has bands of shape
    (levels, hours), hour by hour, from many more paths than are kept. Values are totals of an hour, in requests and tokens.
    `unidentified` says what the data cannot tell: to be shown with every figure that rests on the forecast.
    """

    history: History = field(repr=False)
    seed: int
    levels: tuple[float, ...]
    scenarios: Mapping[str, Floats] = field(repr=False)
    quantiles: Mapping[str, Floats] = field(repr=False)
    bursts: Bursts | None
    unidentified: tuple[str, ...]

    @property
    def hours(self) -> int:
        """How many hours are forecast."""
        return int(self.scenarios["requests"].shape[1])

    @property
    def starts_us(self) -> NDArray[np.int64]:
        """When each hour begins, shape (hours,), on the clock of the history."""
        return self.history.ends_us + np.arange(self.hours, dtype=np.int64) * HOUR_S * 1_000_000

    def frame(self) -> "pd.DataFrame":
        """One row for each path and hour: `path` from 1, `hour` from 0, when it starts, and each measure."""
        import pandas as pd

        paths = self.scenarios["requests"].shape[0]
        columns = {name: values.ravel() for name, values in self.scenarios.items()}
        return pd.DataFrame({
            "path": np.repeat(np.arange(1, paths + 1), self.hours), "hour": np.tile(np.arange(self.hours), paths),
            "starts": np.tile(self._starts(), paths), **columns,
        })  # fmt: skip

    def bands(self) -> "pd.DataFrame":
        """One row for each hour and measure, with a column for each level: `p05`, `p50` ..."""
        import pandas as pd

        parts = []
        for name, values in self.quantiles.items():
            part = pd.DataFrame({f"p{level * 100:02g}": row for level, row in zip(self.levels, values, strict=True)})
            part.insert(0, "measure", name)
            part.insert(0, "starts", self._starts())
            part.insert(0, "hour", np.arange(self.hours))
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _starts(self) -> NDArray[np.datetime64] | NDArray[np.float64]:
        """Dates (UTC), or seconds where the clock has none."""
        return self.starts_us.astype("datetime64[us]") if self.history.dated else self.starts_us / 1e6

    def figure(self, measure: str = "requests") -> "go.Figure":
        """What was recorded, the bands and some paths. Raises WorkloadError if the forecast has no such measure."""
        from forge1sim.forecast.figures import figure_of

        if measure not in self.scenarios:
            raise WorkloadError(f"{self.history.source}: has no {measure!r} to draw; there are {', '.join(self.scenarios)}")
        return figure_of(self, measure)


def forecast(
    history: History, horizon_hours: int, *, paths: int = 20, seed: int = 0, levels: tuple[float, ...] = LEVELS, draws: int = DRAWS
) -> Forecast:
    """Forecast the `horizon_hours` hours after `history`.

    Bands come from `draws` paths; of these, `paths` are kept: ordered by their requests, cut into as many equal parts, one drawn of
    each. Tokens are requests times tokens a request, each forecast on its own but with common draws. Method: forge1sim.forecast.model.

    Raises:
        WorkloadError: a horizon, a number of paths, a seed or a level out of range.
    """
    _demand_range("horizon_hours", horizon_hours, 1, HORIZON_HOURS_MAX)
    _demand_range("draws", draws, 2, 100_000)
    _demand_range("paths", paths, 1, draws)
    _demand_range("seed", seed, 0, 2**63 - 1)
    if not levels or any(not 0.0 < level < 1.0 for level in levels) or list(levels) != sorted(set(levels)):
        raise WorkloadError(f"levels are {levels}, must rise and lie between 0 and 1")
    every = {"requests": sample_paths(history.requests, horizon_hours, draws, seed)}
    for name in TOKENS:
        if name in history.tokens:
            every[name] = every["requests"] * sample_paths(_each(history, name), horizon_hours, draws, seed)
    order = np.argsort(every["requests"].sum(axis=1), kind="stable")
    chance = np.random.default_rng([seed, 2])
    kept = [int(chance.choice(part)) for part in np.array_split(order, paths)]
    return Forecast(
        history=history, seed=seed, levels=tuple(levels), scenarios={name: values[kept] for name, values in every.items()},
        quantiles={name: np.quantile(values, levels, axis=0) for name, values in every.items()},
        bursts=bursts_of(history), unidentified=unidentified(history, horizon_hours),
    )  # fmt: skip


def _each(history: History, name: str) -> Floats:
    """Tokens a request in each hour; NaN where nobody asked."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(history.requests > 0, history.tokens[name] / history.requests, np.nan)


def _demand_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WorkloadError(f"{name} is {value}, must be between {least} and {most:,}")
