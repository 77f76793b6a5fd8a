"""Quantiles of the wait in M/M/c and M/D/1, service in order of arrival.

Sources: A. K. Erlang 1917 (who waits in M/M/c does so for an exponential time); G. J. Franx, "A simple solution for the
M/D/c waiting time distribution", Operations Research Letters 29, 2001, whose sum has positive terms only, for c = 1.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from forge1sim.errors import TheoryError
from forge1sim.theory.erlang import demand_positive, demand_stable, erlang_c

_TAIL = 1e-13


def mmc_wait_quantile_s(arrivals_per_s: float, service_s: float, servers: int, ratio: float) -> float:
    """The wait in M/M/c that `ratio` of all requests do not exceed; 0 where so many do not wait. Raises TheoryError."""
    _demand_ratio(ratio)
    load_erlang = arrivals_per_s * service_s
    delayed_ratio = erlang_c(load_erlang, servers)
    return max(0.0, math.log(delayed_ratio / (1 - ratio))) * service_s / (servers - load_erlang)


def md1_wait_quantile_s(arrivals_per_s: float, service_s: float, ratio: float) -> float:
    """The same in M/D/1: Poisson arrivals, one server, service always equally long. Raises TheoryError."""
    _demand_ratio(ratio)
    demand_positive(arrivals_per_s=arrivals_per_s, service_s=service_s)
    load = arrivals_per_s * service_s
    demand_stable(load, 1)
    if ratio <= 1 - load:
        return 0.0
    below = np.cumsum(_md1_shares(load))
    most = len(below) - 2.0
    return float(service_s * brentq(lambda wait: _md1_waits_at_most(wait, load, below) - ratio, 0.0, most, xtol=1e-12))


def _md1_waits_at_most(wait: float, load: float, below: NDArray[np.float64]) -> float:
    """Share of requests that wait at most so many service times; `below` are shares of time with at most 0, 1, 2 ... in the system."""
    whole = math.floor(wait) + 1
    arrived = np.arange(whole)
    return float(below[whole - arrived] @ stats.poisson.pmf(arrived, load * (whole - wait)))


def _md1_shares(load: float) -> NDArray[np.float64]:
    """Shares of time with 0, 1, 2 ... in the system, up to where they no longer matter: a recursion of positive terms."""
    shares = [1 - load]
    while sum(shares) < 1 - _TAIL and len(shares) < 100_000:
        count = len(shares)
        more = stats.poisson.sf(np.arange(count), load)     # more than 0, 1 ... arrivals during one service
        shares.append(float(shares[0] * more[count - 1] + np.dot(shares[1:], more[count - 1 : 0 : -1])) / math.exp(-load))
    return np.asarray(shares)


def _demand_ratio(ratio: float) -> None:
    if not 0 < ratio < 1:
        raise TheoryError(f"quantile ratio is {ratio}, must be above 0 and below 1")
