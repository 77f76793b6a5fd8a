"""Which blocks of a recording make up a draw of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forge1sim.workload.draws import purpose, spawned_seed, uniforms
from forge1sim.workload.spec import Bootstrap

_DAY_US = 86_400_000_000
_BLOCK = purpose("block")


@dataclass(frozen=True, kw_only=True)
class Block:
    """From `from_us` to `until_us` (exclusive) of the recording, played `at_us` after the draw's beginning; microseconds."""

    number: int
    from_us: int
    until_us: int
    at_us: int


def blocks(bootstrap: Bootstrap, first_us: int, span_us: int, length_us: int, seed: int) -> Iterator[Block]:
    """Blocks of a recording that begins at `first_us` and lasts `span_us`, one after the other for `length_us`.

    Recordings of one span take the same places for the same seed, so that what they had in common stays in common.
    """
    part_us, until_us = (first_us + round(share * span_us) for share in (bootstrap.from_share, bootstrap.until_share))
    block_us = max(1, min(round(bootstrap.block_s * 1e6), until_us - part_us))
    by_day = until_us - part_us >= 2 * _DAY_US and block_us <= _DAY_US
    key = spawned_seed(seed, "blocks")
    for number, at_us in enumerate(range(0, length_us, block_us)):
        drawn = float(uniforms(key, _BLOCK, np.array([number]))[0])
        room_us = until_us - part_us - block_us
        if by_day:
            earliest_us = part_us + (first_us + at_us - part_us) % _DAY_US
            days = (until_us - block_us - earliest_us) // _DAY_US + 1
            from_us = earliest_us + int(drawn * days) * _DAY_US
        else:
            from_us = part_us + round(drawn * room_us)
        yield Block(number=number, from_us=from_us, until_us=from_us + min(block_us, length_us - at_us), at_us=at_us)
