"""A forecast on disk: tables, and each path as a workload that a scenario can name."""

import csv
import math
from pathlib import Path

import numpy as np
from scipy.stats import norm

from forge1sim.forecast.forecasts import Forecast
from forge1sim.forecast.history import HOUR_S, MINUTE_S, Floats
from forge1sim.forecast.servegen import mean_tokens
from forge1sim.workload.clients import LEVELS, WINDOW_S
from forge1sim.workload.spec import TOKENS_MAX, Demand

_QUANTILE_NAMES = ("p01", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p999", "max")
_HIGHEST_LEVEL = 0.9999             # stands for `max`: a lognormal has none
_CV_MIN, _CV_MAX = 0.05, 1e3


def write_forecast(made: Forecast, folder: Path) -> None:
    """Write `scenarios.parquet`, `bands.parquet`, and for each path `path_01_arrivals.csv` and `path_01_lengths.csv`.

    The latter two are a `servegen` source of a scenario (docs/workloads.md) with one client. Its rate is that of each hour; gaps have
    the coefficient of variation that belongs to the index of dispersion of the minutes, or 1 where minutes are not known: gaps of a
    renewal process have the squared CV that its counts have as index of dispersion in the long run (Cox and Lewis 1966). Tokens are
    lognormal about each hour's mean; their CV, and means that are not known, are the defaults of a tenant group's demand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made.frame().to_parquet(folder / "scenarios.parquet", index=False)
    made.bands().to_parquet(folder / "bands.parquet", index=False)
    paths = len(made.scenarios["requests"])
    digits = max(2, len(str(paths)))
    for place in range(paths):
        stem = f"path_{place + 1:0{digits}}"
        _write_arrivals(made, place, folder / f"{stem}_arrivals.csv")
        _write_lengths(made, place, folder / f"{stem}_lengths.csv")


def _write_arrivals(made: Forecast, place: int, path: Path) -> None:
    cv = 1.0
    if made.bursts and made.bursts.bin_s <= MINUTE_S:
        cv = min(max(math.sqrt(made.bursts.index_of_dispersion), _CV_MIN), _CV_MAX)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("client_id", "window_start_s", "rate", "cv", "pattern", "pattern_arg1", "pattern_arg2"))
        for start_s in range(0, made.hours * HOUR_S, int(WINDOW_S)):
            rate = made.scenarios["requests"][place, start_s // HOUR_S] / HOUR_S
            if rate > 0.0:          # a window that is left out has none
                table.writerow((0, start_s, f"{rate:.9g}", f"{cv:.6g}", "Gamma", f"{cv**-2:.6g}", 1))


def _write_lengths(made: Forecast, place: int, path: Path) -> None:
    requests = made.scenarios["requests"][place]
    usual = Demand()
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("client_id", "window_start_s", "field", *_QUANTILE_NAMES))
        for name, distribution in (("input_tokens", usual.input_tokens), ("output_tokens", usual.output_tokens)):
            means = np.full(made.hours, distribution.mean)
            if name in made.scenarios:
                np.divide(made.scenarios[name][place], requests, out=means, where=requests > 0)
            for hour, row in enumerate(_lognormal(means, distribution.cv)):
                table.writerow((0, hour * HOUR_S, name, *(f"{value:.6g}" for value in row)))


def _lognormal(means: Floats, cv: float) -> Floats:
    """Quantiles at LEVELS of lognormal tokens, scaled so that those drawn between them have these means, shape (means, levels)."""
    sigma = math.sqrt(math.log1p(cv**2))
    scores = norm.ppf(np.minimum(LEVELS, _HIGHEST_LEVEL))
    quantiles = means[:, None] * np.exp(sigma * scores - sigma**2 / 2.0)
    drawn = np.maximum(mean_tokens(np.log1p(quantiles)), 1e-9)
    return np.asarray(np.minimum(quantiles * (means / drawn)[:, None], TOKENS_MAX))
