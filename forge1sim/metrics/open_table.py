"""The requests now in the system: a small hash table, by request number.

Open addressing with linear probing, at most half full; a multiplicative hash spreads numbers
that follow each other, so that stragglers do not push newcomers aside.
"""

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.helper import entry, helper

OPEN_REQUEST = np.dtype(
    [
        ("request", "<i8"),       # -1: free
        ("input_tokens", "<i4"),
        ("first", "<i4"),         # deployment tried first, -1: none yet
        ("flight", "<i4"),        # deployment it is in flight at, -1: none
        ("wanted", "<i2"),        # model, -1: auto
        ("tier", "u1"),
        ("flags", "u1"),
    ]
)  # fmt: skip
_ODD = 2654435769


def new_table(capacity: int) -> NDArray[np.void]:
    """An empty table; `capacity` is a power of two."""
    table = np.zeros(capacity, OPEN_REQUEST)
    table["request"] = -1
    return table


@helper
def home_of(table: NDArray[np.void], request: int) -> int:
    """Slot where the search for `request` begins."""
    return ((request & 0x7FFFFFFF) * _ODD) & (table.size - 1)


@helper
def slot_of(table: NDArray[np.void], request: int) -> int:
    """Slot of `request`, or the free one where it would go."""
    mask = table.size - 1
    slot = home_of(table, request)
    while table[slot]["request"] != request and table[slot]["request"] != -1:
        slot = (slot + 1) & mask
    return slot


@helper
def remove(table: NDArray[np.void], slot: int) -> None:
    """Free a slot and move up what was pushed past it, so that searches still find it."""
    mask = table.size - 1
    hole = slot
    place = (hole + 1) & mask
    while table[place]["request"] != -1:
        home = home_of(table, table[place]["request"])
        if ((place - home) & mask) >= ((place - hole) & mask):
            table[hole] = table[place]
            hole = place
        place = (place + 1) & mask
    table[hole]["request"] = -1


@entry
def rehash(old: NDArray[np.void], new: NDArray[np.void]) -> None:
    """Copy all open requests from `old` to the empty, larger `new`."""
    for row in range(old.size):
        if old[row]["request"] != -1:
            new[slot_of(new, old[row]["request"])] = old[row]
