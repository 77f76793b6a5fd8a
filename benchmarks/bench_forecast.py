"""Rolling-origin backtest of the demand forecast on the two ServeGen weeks: every file and horizon, failures included.

An origin every seven hours, so that each hour of the day is one, from the third day on or from as many hours as the horizon has.
Constants of the method were chosen on m-large; m-small and the ten largest clients of each file, alone, were looked at meanwhile. The
next ten were not: their lines are a check. Kept are the worst file and horizon of the two weeks, all clients together. Required:
0.80 to 0.97 of held-out hours in the 90% band, and a pinball loss of at most 1 over both seasonal naive forecasts (docs/forecast.md).

`python -m benchmarks.bench_forecast` prints the table; it needs the recorded traces in ../shared/data.
"""

from pathlib import Path

import numpy as np

from benchmarks.common import ROOT
from benchmarks.harness import DataAbsentError
from forge1sim.forecast import NAIVES, Backtest, History, backtest
from forge1sim.forecast.model import WEEK_H
from forge1sim.forecast.servegen import history_of_clients
from forge1sim.workload.clients import Clients, read_clients
from forge1sim.workload.files import TraceFile

RESULTS = ("forecast_band_cover", "forecast_band_cover_highest", "forecast_pinball_over_seasonal_naive")
DATA = ROOT.parent / "shared" / "data"
WEEKS = ("m-large", "m-small")
HORIZONS_H, FIRST_H = (24, 72, 120, WEEK_H), 72
CHECKED_CLIENTS, CHECKED_HORIZON_H = slice(10, 20), 24
_MAX_BYTES = 2**30


def clients_of(model: str, data: Path = DATA) -> Clients:
    """Statistics of the clients of one ServeGen model."""
    arrivals, lengths = (TraceFile(data / f"servegen_{model}_{part}.csv.gz", _MAX_BYTES) for part in ("arrivals", "lengths"))
    return read_clients(arrivals, lengths)


def backtests(history: History) -> list[Backtest]:
    """One for each horizon."""
    return [backtest(history, hours, first_hours=max(FIRST_H, hours)) for hours in HORIZONS_H]


def run() -> dict[str, float]:
    """Print every backtest; the worst numbers of the two weeks."""
    if not DATA.is_dir():
        raise DataAbsentError("it needs the recorded traces in ../shared/data")
    print(f"{'source':22}{'ahead h':>8}{'origins':>9}{'hours':>7}{'in band':>9}" + "".join(f"{'over ' + name:>16}" for name in NAIVES))
    kept = [_shown(one) for model in WEEKS for one in backtests(history_of_clients(clients_of(model), model))]
    print("checks: a week ahead from three days on, and clients alone")
    for model in WEEKS:
        clients = clients_of(model)
        _shown(backtest(history_of_clients(clients, model), WEEK_H, first_hours=FIRST_H))
        for at in np.argsort(-clients.requests())[CHECKED_CLIENTS]:
            _shown(backtest(history_of_clients(clients, f"{model} client {at}", int(at)), CHECKED_HORIZON_H, first_hours=FIRST_H))
    return {
        "forecast_band_cover": min(one.band_cover for one in kept),
        "forecast_band_cover_highest": max(one.band_cover for one in kept),
        "forecast_pinball_over_seasonal_naive": max(one.pinball_over(name) for one in kept for name in NAIVES),
    }


def _shown(one: Backtest) -> Backtest:
    hours = sum(origin.scored for origin in one.origins)
    print(f"{one.source:22}{one.horizon_hours:8}{len(one.origins):9}{hours:7}{one.band_cover:9.1%}"
          + "".join(f"{one.pinball_over(name):16.3f}" for name in NAIVES), flush=True)  # fmt: skip
    return one


if __name__ == "__main__":
    print(run())
