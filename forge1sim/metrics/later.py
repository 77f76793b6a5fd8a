"""Counts in histograms, added a few answers later.

Histograms are far larger than what is near the processor. To wait for each count to come from memory would take
longer than all else that is done for an answer; so places are asked for at once, and added to when they have come.
"""

from forge1sim.metrics.columns import AT_PENDING, NOWHERE, PENDING, PENDING_SIZE
from forge1sim.metrics.helper import helper
from forge1sim.metrics.state import Bins, Ints
from forge1sim.prefetch import prefetch


@helper
def add_later(b: Ints, bins: Bins, one: int, two: int, three: int) -> None:
    """Add one to each of three counts."""
    at = b[AT_PENDING] + b[PENDING]
    b[PENDING] = (b[PENDING] + 3) % PENDING_SIZE
    prefetch(bins, one)
    prefetch(bins, two)
    prefetch(bins, three)
    bins[b[at]] += 1
    bins[b[at + 1]] += 1
    bins[b[at + 2]] += 1
    b[at] = one
    b[at + 1] = two
    b[at + 2] = three


@helper
def add_all(b: Ints, bins: Bins) -> None:
    """Add what is still to be added."""
    for at in range(b[AT_PENDING], b[AT_PENDING] + PENDING_SIZE):
        bins[b[at]] += 1
        b[at] = 2 * NOWHERE
    b[PENDING] = b[NOWHERE] = 0
