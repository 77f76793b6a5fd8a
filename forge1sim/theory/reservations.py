"""What a guaranteed share does to two tiers on one set of slots: exact chains, solved numerically.

Both tiers ask as Poisson processes and hold a slot for an exponential time. The owner is
guaranteed `owned` of `slots`; the other tier has the rest. docs/tiers.md says what the modes mean.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csc_array
from scipy.sparse.linalg import spsolve

from forge1sim.errors import TheoryError
from forge1sim.theory.erlang import demand_positive, demand_stable

Mode = Literal["floor", "partition", "trunk", "cap", "preempt"]
Loads = tuple[float, float]
Moves = Callable[[tuple[int, ...]], Iterator[tuple[tuple[int, ...], float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Shares of each tier's arrivals: refused at once, or killed in flight for the owner."""

    owner_ratio: float
    other_ratio: float
    killed_ratio: float


def refused(mode: Mode, slots: int, owned: int, loads_erlang: Loads) -> Refused:
    """What each tier loses where nobody waits; `loads_erlang` of the owner and of the other tier.

    floor: all lent, nothing killed; partition: each its own; trunk: the other tier leaves `owned`
    slots free; cap: it has at most the rest in flight; preempt: all lent, killed on demand.
    """
    if not 0 < owned < slots:
        raise TheoryError(f"owned is {owned}, must be above 0 and below the {slots} slots")
    demand_positive(owner_load_erlang=loads_erlang[0], other_load_erlang=loads_erlang[1])
    if mode not in ("floor", "partition", "trunk", "cap", "preempt"):
        raise TheoryError(f"mode is {mode!r}, must be floor, partition, trunk, cap or preempt")
    rest = slots - owned

    def owner_fits(owner: int, other: int) -> bool:
        return owner < owned if mode == "partition" else owner + other < slots

    def other_fits(owner: int, other: int) -> bool:
        if mode in ("partition", "cap"):
            return other < rest and owner + other < slots
        return owner + other < (rest if mode == "trunk" else slots)

    def kills(owner: int, other: int) -> bool:
        return mode == "preempt" and owner + other == slots and owner < owned

    def moves(state: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], float]]:
        owner, other = state
        if owner_fits(owner, other):
            yield (owner + 1, other), loads_erlang[0]
        elif kills(owner, other):
            yield (owner + 1, other - 1), loads_erlang[0]
        if other_fits(owner, other):
            yield (owner, other + 1), loads_erlang[1]
        if owner:
            yield (owner - 1, other), owner
        if other:
            yield (owner, other - 1), other

    share = stationary((0, 0), moves)
    killed_per_arrival = sum(p for state, p in share.items() if kills(*state)) * loads_erlang[0] / loads_erlang[1]
    return Refused(
        owner_ratio=sum(p for state, p in share.items() if not owner_fits(*state) and not kills(*state)),
        other_ratio=sum(p for state, p in share.items() if not other_fits(*state)),
        killed_ratio=killed_per_arrival,
    )


def floor_waits_s(
    slots: int, owned: tuple[int, int], loads_erlang: Loads, service_s: float, most_waiting: tuple[int, int] = (50, 90)
) -> Loads:
    """Mean waits of two tiers that queue for `slots` with floors of `owned` slots (mode floor).

    A slot that frees goes to a tier below its floor; where that decides nothing, to the first
    tier. The chain is cut at `most_waiting` of each tier. Raises TheoryError where that matters.
    """
    demand_positive(first_load_erlang=loads_erlang[0], second_load_erlang=loads_erlang[1], service_s=service_s)
    demand_stable(sum(loads_erlang), slots)

    def after_end(first: int, second: int, waits: int, others: int) -> tuple[int, ...]:
        """The state once the free slot, if somebody waits for it, is taken again."""
        if waits == 0 and others == 0:
            return first, second, 0, 0
        owed = (waits > 0 and first < owned[0], others > 0 and second < owned[1])
        takes_first = waits > 0 and (others == 0 or owed[0] or not owed[1])
        return (first + 1, second, waits - 1, others) if takes_first else (first, second + 1, waits, others - 1)

    def moves(state: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], float]]:
        first, second, waits, others = state
        if first + second < slots:
            yield (first + 1, second, 0, 0), loads_erlang[0]
            yield (first, second + 1, 0, 0), loads_erlang[1]
        else:
            if waits < most_waiting[0]:
                yield (first, second, waits + 1, others), loads_erlang[0]
            if others < most_waiting[1]:
                yield (first, second, waits, others + 1), loads_erlang[1]
        if first:
            yield after_end(first - 1, second, waits, others), first
        if second:
            yield after_end(first, second - 1, waits, others), second

    share = stationary((0, 0, 0, 0), moves)
    cut = sum(p for state, p in share.items() if state[2] == most_waiting[0] or state[3] == most_waiting[1])
    if cut > 1e-6:
        raise TheoryError(f"most_waiting is {most_waiting}, must be larger: the chain is at that bound {cut:.1e} of the time")
    means = [sum(p * state[tier + 2] for state, p in share.items()) for tier in range(2)]
    return means[0] * service_s / loads_erlang[0], means[1] * service_s / loads_erlang[1]


def stationary(start: tuple[int, ...], moves: Moves) -> dict[tuple[int, ...], float]:
    """Shares of time in each state of a chain: `moves` of a state are the states it turns into, at what rate."""
    row_of = {start: 0}
    states = [start]
    into: list[int] = []
    out_of: list[int] = []
    rates: list[float] = []
    for state in states:                                  # grows as states are found
        for target, rate in moves(state):
            if target not in row_of:
                row_of[target] = len(states)
                states.append(target)
            into += [row_of[target], row_of[state]]
            out_of += [row_of[state], row_of[state]]
            rates += [rate, -rate]
    size = len(states)
    # The share of the first state is set to 1 and the redundant balance of that state left out.
    balance = csc_array((np.asarray(rates, dtype=np.float64), (into, out_of)), shape=(size, size))
    weights = np.ones(size)
    weights[1:] = spsolve(balance[1:, 1:], -balance[1:, [0]].toarray()[:, 0])
    weights /= weights.sum()
    return dict(zip(states, weights.tolist(), strict=True))
