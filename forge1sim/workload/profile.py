"""How demand varies over time: a factor per cell of ten minutes, and its integral.

Over "operational time", the integral of the factor, every tenant's arrivals are a stationary
process; mapping it back to the clock makes them follow the day, the week and growth.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.spec import Demand, Diurnal
from policies.compile import inlined, leaf

CELL_S = 600.0
_DAY_HOURS, _WEEK_S = 24.0, 604_800.0
_SATURDAY = 5
_FAR_CELLS = 16


CELL = np.dtype([("done", "<f8"), ("factor", "<f8")])
"""Operational time (s) at the start of a cell, and its speed there. A profile ends with one more row, the horizon."""


def cell_factors(demand: Demand, timezone: str, start_us: int, horizon_s: float) -> NDArray[np.float64]:
    """The factor in each cell from the start to the horizon; a single one if nothing varies.

    Source: docs/workloads.md, "Day, week, growth".
    """
    if demand.diurnal is None and demand.weekend_factor == 1.0 and demand.growth_per_week == 0.0:
        return np.ones(1)
    middles_s = np.asarray((np.arange(max(1, int(np.ceil(horizon_s / CELL_S)))) + 0.5) * CELL_S, np.float64)
    hours, weekend = _local(middles_s, timezone, start_us)
    factors: NDArray[np.float64] = np.ones(middles_s.size)
    if demand.diurnal is not None:
        factors = factors * _day_shape(demand.diurnal, hours)
    weekday = 7.0 / (5.0 + 2.0 * demand.weekend_factor)
    factors = factors * np.where(weekend, weekday * demand.weekend_factor, weekday)
    growth: NDArray[np.float64] = (1.0 + demand.growth_per_week) ** (middles_s / _WEEK_S)
    return factors * growth


def _local(times_s: NDArray[np.float64], timezone: str, start_us: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    zone = ZoneInfo(timezone)
    moments = [datetime.fromtimestamp(start_us / 1e6 + time_s, UTC).astimezone(zone) for time_s in times_s]
    hours = np.array([moment.hour + moment.minute / 60.0 + moment.second / 3600.0 for moment in moments])
    return hours, np.array([moment.weekday() >= _SATURDAY for moment in moments])


def _day_shape(diurnal: Diurnal, hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(k cos(angle from the peak)), with k such that peak over mean is as asked; mean 1 over a day."""
    angles = 2.0 * np.pi * (np.arange(1440) + 0.5) / 1440.0

    def ratio(k: float) -> float:
        return 1.0 / float(np.exp(k * (np.cos(angles) - 1.0)).mean())

    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if ratio(middle) < diurnal.peak_over_mean else (low, middle)
    shape: NDArray[np.float64] = np.exp(low * (np.cos(2.0 * np.pi * (hours - diurnal.peak_hour) / _DAY_HOURS) - 1.0))
    return shape * ratio(low)


def profile_cells(factors: NDArray[np.float64], horizon_s: float) -> tuple[NDArray[np.void], float]:
    """Rows of CELL for these factors, and how long each lasts (s): a single one spans the horizon."""
    cell_s = horizon_s if factors.size == 1 else CELL_S
    cells = np.zeros(factors.size + 1, CELL)
    cells["done"][1:] = np.cumsum(factors * cell_s)
    cells["factor"][:-1] = factors
    return cells, cell_s


@inlined
def operational(stream: np.void, cells: NDArray[np.void], time_s: float) -> float:
    """Operational time at this time (s after the start); at the horizon it stops."""
    cell = min(int(time_s / stream["cell_s"]), stream["cells"])
    at = cells[stream["first_cell"] + cell]
    return float(at["done"] + (time_s - cell * stream["cell_s"]) * at["factor"])


@leaf
def find_cell(stream: np.void, cells: NDArray[np.void]) -> int:
    """The cell, its own or a later one, in which the stream reaches its position; `cells`: past the horizon."""
    first, count, cell, position = stream["first_cell"], stream["cells"], stream["cell"], stream["position"]
    if cell + _FAR_CELLS < count and cells[first + cell + _FAR_CELLS]["done"] <= position:
        low, high = cell + _FAR_CELLS, count
        while low < high:
            middle = (low + high + 1) // 2
            if cells[first + middle]["done"] <= position:
                low = middle
            else:
                high = middle - 1
        return int(low)
    while cell < count and cells[first + cell + 1]["done"] <= position:
        cell += 1
    return int(cell)


@leaf
def clock_s(stream: np.void, cells: NDArray[np.void]) -> float:
    """Time (s after the start) at which the stream reaches its position, which lies in its cell."""
    at = cells[stream["first_cell"] + stream["cell"]]
    return float(stream["cell"] * stream["cell_s"] + (stream["position"] - at["done"]) / at["factor"])
