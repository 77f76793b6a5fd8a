"""Demand forecast: what was asked hour by hour, carried on as scenarios and bands. docs/forecast.md tells the method."""

from forge1sim.forecast.backtest import NAIVES, Backtest, Origin, backtest
from forge1sim.forecast.bursts import BURST_LEVELS, Bursts
from forge1sim.forecast.forecasts import LEVELS, Forecast, forecast
from forge1sim.forecast.history import History
from forge1sim.forecast.reading import FORMATS, read_history

__all__ = [
    "BURST_LEVELS", "FORMATS", "LEVELS", "NAIVES", "Backtest", "Bursts", "Forecast", "History", "Origin", "backtest", "forecast",
    "read_history",
]  # fmt: skip
