"""Queues beyond exponential service and Poisson arrivals, and priorities.

Sources: F. Pollaczek 1930, A. Khinchin 1932; L. Takacs, Introduction to the Theory of Queues, 1962,
chapter 2 (GI/M/c); A. Cobham, "Priority assignment in waiting line problems", Operations Research 2,
1954; J. Kiefer and J. Wolfowitz 1955; M. Neuts, Matrix-Geometric Solutions, 1981 (MMPP).
"""

import heapq
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from forge1sim.errors import TheoryError
from forge1sim.theory.erlang import demand_positive, demand_stable, erlang_c


def mg1_wait_s(arrivals_per_s: float, service_s: float, service_cv: float) -> float:
    """Mean wait in M/G/1 (Pollaczek and Khinchin); `service_cv` is the coefficient of variation."""
    demand_positive(arrivals_per_s=arrivals_per_s, service_s=service_s)
    load_erlang = arrivals_per_s * service_s
    demand_stable(load_erlang, 1)
    return load_erlang * service_s * (1.0 + service_cv**2) / (2.0 * (1.0 - load_erlang))


def gamma_gaps(arrivals_per_s: float, cv: float) -> Callable[[float], float]:
    """E[exp(-s x gap)] of gamma gaps between arrivals, as a function of s in 1/s; cv 1 is Poisson."""
    demand_positive(arrivals_per_s=arrivals_per_s, cv=cv)
    shape = 1.0 / cv**2
    return lambda s: (1.0 + s / (arrivals_per_s * shape)) ** -shape


def gimc_delayed_ratio(gaps: Callable[[float], float], arrivals_per_s: float, service_s: float, servers: int) -> float:
    """Share of arrivals that wait in GI/M/c: independent gaps of any kind, given by E[exp(-s x gap)].

    Takacs's sum has removable gaps where c (1 - sigma) is a whole number; there the load is moved
    by a millionth.
    """
    sigma = _gimc_root(gaps, arrivals_per_s, service_s, servers)
    apart = servers * (1.0 - sigma)
    if servers > 1 and abs(apart - round(apart)) < 1e-7:
        return gimc_delayed_ratio(gaps, arrivals_per_s, service_s * (1.0 + 1e-6), servers)
    total, odds = 0.0, 1.0
    for count in range(1, servers + 1):
        none_ends = gaps(count / service_s)
        odds *= none_ends / (1.0 - none_ends)
        term = (servers * (1.0 - none_ends) - count) / (apart - count)
        total += math.comb(servers, count) / (odds * (1.0 - none_ends)) * term
    return 1.0 / (1.0 / (1.0 - sigma) + total) / (1.0 - sigma)


def gimc_wait_s(gaps: Callable[[float], float], arrivals_per_s: float, service_s: float, servers: int) -> float:
    """Mean wait in GI/M/c over all requests: those who wait do so for an exponential time."""
    sigma = _gimc_root(gaps, arrivals_per_s, service_s, servers)
    delayed_ratio = gimc_delayed_ratio(gaps, arrivals_per_s, service_s, servers)
    return delayed_ratio * service_s / servers / (1.0 - sigma)


def _gimc_root(gaps: Callable[[float], float], arrivals_per_s: float, service_s: float, servers: int) -> float:
    """The sigma in (0, 1) with sigma = E[exp(-c mu (1 - sigma) gap)]."""
    demand_positive(arrivals_per_s=arrivals_per_s, service_s=service_s, servers=servers)
    demand_stable(arrivals_per_s * service_s, servers)
    ends_per_s = servers / service_s
    return float(brentq(lambda sigma: sigma - gaps(ends_per_s * (1.0 - sigma)), 0.0, 1.0 - 1e-9, xtol=1e-14))


def priority_waits_s(arrivals_per_s: Sequence[float], service_s: float, servers: int) -> list[float]:
    """Mean wait of each class of M/M/c, most urgent first: no service is interrupted, all take equally long."""
    load_erlang = sum(arrivals_per_s) * service_s
    residual_s = erlang_c(load_erlang, servers) * service_s / servers
    waits, before = [], 0.0
    for rate_per_s in arrivals_per_s:
        until = before + rate_per_s * service_s / servers
        waits.append(residual_s / ((1.0 - before) * (1.0 - until)))
        before = until
    return waits


def mmpp_wait_s(
    rates_per_s: tuple[float, float], phases_s: tuple[float, float], service_s: float, servers: int
) -> float:
    """Mean wait in MMPP/M/c with two phases of exponential length: a matrix-geometric chain.

    `rates_per_s` are the Poisson rates in the phases, `phases_s` their mean lengths.
    """
    demand_positive(service_s=service_s, phase_one_s=phases_s[0], phase_two_s=phases_s[1])
    mean_per_s = float(np.dot(rates_per_s, phases_s) / sum(phases_s))
    demand_stable(mean_per_s * service_s, servers)
    up = np.diag(rates_per_s)
    turn = np.array([[0.0, 1.0 / phases_s[0]], [1.0 / phases_s[1], 0.0]])
    rate = _rate_matrix(up, turn, servers / service_s)
    # Balance of levels 0..c, where level c + k is level c times R^k.
    size = 2 * (servers + 1)
    generator = np.zeros((size, size))
    for level in range(servers + 1):
        here = slice(2 * level, 2 * level + 2)
        down = level / service_s
        generator[here, here] = turn - np.diag(turn.sum(axis=1) + np.asarray(rates_per_s) + down)
        if level > 0:
            generator[here, 2 * level - 2 : 2 * level] = down * np.eye(2)
        if level < servers:
            generator[here, 2 * level + 2 : 2 * level + 4] = up
        else:
            generator[here, here] += rate * servers / service_s
    rest = np.linalg.inv(np.eye(2) - rate)
    weight = np.ones(size)
    weight[-2:] = rest.sum(axis=1)
    generator[:, 0] = weight                       # one balance equation is redundant; shares add up to 1
    shares = np.linalg.solve(generator.T, np.eye(size)[0])
    waiting_mean = float((shares[-2:] @ rate @ rest @ rest).sum())
    return waiting_mean / mean_per_s


def _rate_matrix(up: NDArray[np.float64], turn: NDArray[np.float64], ends_per_s: float) -> NDArray[np.float64]:
    """Neuts' R of a queue whose servers are all busy: up + R stay + R^2 down = 0, by iteration."""
    stay = turn - np.diag(turn.sum(axis=1) + up.diagonal() + ends_per_s)
    inverse = np.linalg.inv(-stay)
    rate = np.zeros_like(up)
    for _ in range(1_000_000):
        following = (up + ends_per_s * rate @ rate) @ inverse
        if np.abs(following - rate).max() < 1e-15:
            return np.asarray(following)
        rate = following
    raise TheoryError("the rate matrix does not converge; the load is too close to the capacity")


def waits_us(arrive_us: Sequence[int], service_us: Sequence[int], servers: int) -> list[int]:
    """The wait of each request in order of arrival, given all times (Kiefer and Wolfowitz's recursion)."""
    free_us = [0] * servers
    waits = []
    for arrive, service in zip(arrive_us, service_us, strict=True):
        begin = max(arrive, heapq.heappop(free_us))
        heapq.heappush(free_us, begin + service)
        waits.append(begin - arrive)
    return waits


def outage_backlog(arrivals_per_s: float, outage_s: float) -> float:
    """Mean number waiting when an outage ends that began with the first request of an idle system."""
    demand_positive(arrivals_per_s=arrivals_per_s, outage_s=outage_s)
    return 1.0 + arrivals_per_s * outage_s


def outage_clears_s(arrivals_per_s: float, outage_s: float, service_s: float) -> float:
    """Mean time from the end of that outage until one server (M/G/1) is idle again.

    Each request that waits starts a busy period of mean service / (1 - load) (Takacs 1962).
    """
    demand_stable(arrivals_per_s * service_s, 1)
    return outage_backlog(arrivals_per_s, outage_s) * service_s / (1.0 - arrivals_per_s * service_s)
