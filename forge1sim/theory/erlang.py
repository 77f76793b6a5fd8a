"""Poisson arrivals, exponential service, `servers` slots: loss, waiting, bounded waiting, leaving.

Sources: A. K. Erlang 1917; L. Kleinrock, Queueing Systems 1, 1975, chapter 3; C. Palm 1943 and
A. Mandelbaum and S. Zeltyn, "Service engineering in action: the Palm/Erlang-A queue", 2007.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import TheoryError

_TAIL = 1e-14           # states less likely than this, relative to the likeliest, are left out
_MOST_STATES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stationary:
    """A queue in its stationary state.

    Attributes:
        delayed_ratio: share of arrivals that find every slot taken and begin to wait.
        refused_ratio: share of arrivals that are turned away at once.
        abandoned_ratio: share of arrivals that leave before they are served.
        in_system_mean: requests waiting or in service.
        wait_mean_s: mean wait of all that were let in, whether or not they stayed.
    """

    delayed_ratio: float
    refused_ratio: float
    abandoned_ratio: float
    in_system_mean: float
    wait_mean_s: float


def demand_positive(**values: float) -> None:
    """Raise TheoryError unless every value is a finite number above 0."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise TheoryError(f"{name} is {value}, must be finite and above 0")


def demand_stable(load_erlang: float, servers: int) -> None:
    """Raise TheoryError where a queue would grow for ever."""
    if load_erlang >= servers:
        raise TheoryError(f"load of {load_erlang:g} erlang on {servers} servers has no stationary state; it must be below {servers}")


def erlang_b(load_erlang: float, servers: int) -> float:
    """Share of arrivals refused when nobody waits (M/G/c/c), by the recursion over servers.

    Holds for every distribution of service times (Sevastyanov 1957).
    """
    demand_positive(load_erlang=load_erlang, servers=servers)
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load_erlang * blocked / (number + load_erlang * blocked)
    return blocked


def erlang_c(load_erlang: float, servers: int) -> float:
    """Share of arrivals that wait in M/M/c."""
    demand_positive(load_erlang=load_erlang, servers=servers)
    demand_stable(load_erlang, servers)
    blocked = erlang_b(load_erlang, servers)
    return blocked / (1.0 - load_erlang / servers * (1.0 - blocked))


def mmc_wait_s(arrivals_per_s: float, service_s: float, servers: int) -> float:
    """Mean wait in M/M/c, over all requests, in order of arrival."""
    load_erlang = arrivals_per_s * service_s
    return erlang_c(load_erlang, servers) * service_s / (servers - load_erlang)


def mmck(arrivals_per_s: float, service_s: float, servers: int, places: int) -> Stationary:
    """M/M/c/K: at most `places` requests in the system, `servers` of them in service."""
    demand_positive(arrivals_per_s=arrivals_per_s, service_s=service_s, servers=servers)
    if places < servers:
        raise TheoryError(f"places is {places}, must be at least the {servers} servers")
    return _birth_and_death(arrivals_per_s, service_s, servers, 0.0, places)


def erlang_a(arrivals_per_s: float, service_s: float, servers: int, patience_s: float) -> Stationary:
    """M/M/c+M: who has waited for an exponential time of mean `patience_s` leaves."""
    demand_positive(arrivals_per_s=arrivals_per_s, service_s=service_s, servers=servers, patience_s=patience_s)
    return _birth_and_death(arrivals_per_s, service_s, servers, 1.0 / patience_s, None)


def _birth_and_death(
    arrivals_per_s: float, service_s: float, servers: int, leaves_per_s: float, places: int | None
) -> Stationary:
    def deaths_per_s(count: int) -> float:
        return min(count, servers) / service_s + max(0, count - servers) * leaves_per_s

    share = _stationary_shares(arrivals_per_s, deaths_per_s, servers, places)
    counts = np.arange(share.size)
    waiting_mean = float(np.maximum(counts - servers, 0) @ share)
    refused_ratio = float(share[-1]) if places is not None else 0.0
    admitted_per_s = arrivals_per_s * (1.0 - refused_ratio)
    return Stationary(
        delayed_ratio=float(share[servers:].sum()) - refused_ratio,
        refused_ratio=refused_ratio,
        abandoned_ratio=waiting_mean * leaves_per_s / arrivals_per_s,
        in_system_mean=float(counts @ share),
        wait_mean_s=waiting_mean / admitted_per_s,
    )


def _stationary_shares(
    arrivals_per_s: float, deaths_per_s: Callable[[int], float], servers: int, places: int | None
) -> NDArray[np.float64]:
    """Shares of time with 0, 1, 2 ... in the system; without `places` up to where they no longer matter."""
    weights = [1.0]
    for count in range(1, _MOST_STATES):
        if places is not None and count > places:
            break
        weights.append(weights[-1] * arrivals_per_s / deaths_per_s(count))
        if weights[-1] > 1e200:
            weights = [weight / 1e200 for weight in weights]
        if places is None and count > servers and weights[-1] < _TAIL * max(weights):
            break
    shares = np.asarray(weights)
    return np.asarray(shares / shares.sum())
