"""How much of each limit there is, block of time by block of time; never less than a provider would let through.

A room is one limit of one pool of equal accounts, times their number. It says what attempts that begin in a
block may take of it, in one of two ways, or both:

level      use[j] <= level[j-1] + gain[j] - level[j], -over <= level[j] <= cap[j]: a bucket that carries on
           from block to block what was not used (token_bucket, paced, and all that is charged at the end)
windows    use over blocks lo..hi <= amount (fixed, day, sliding)

What is charged when an attempt ends (output, total, cost), and requests in flight, are counted at the beginning,
with a credit for what may end later: attempts that begin in [s, t) have ended by t + longest, so that they use at
most what [s, t + longest) gives. Requests in flight are an area: seconds of `limit` places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import AT_BEGIN, SECONDS, Choices, Pool, limits_of
from policies.layout import CHARGES, LimitRow
from policies.schema import Fault

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_MINUTE_US = 60_000_000
# A provider counts the charges of a large sliding limit within this share of its window as of the first of them.
_SLIDING_EXACT, _SLIDING_CELLS = 65_536, 4_096


@dataclass(kw_only=True)
class Room:
    """One limit of a pool over blocks. `gain`, `cap` and `opening` are of the level; `windows` rows of (lo, hi, amount), inclusive."""

    name: str
    pool: int
    rule: int                               # a row of CHARGES, or SECONDS
    routes: list[int]                       # rows of `Choices.routes` that draw on it
    limit: int                              # the layout's row of the first account's
    has_level: bool = False
    gain: Floats = field(default_factory=lambda: np.zeros(0))
    cap: Floats = field(default_factory=lambda: np.zeros(0))
    opening: float = 0.0
    over: float = 0.0                       # how far below 0 one oversized request may bring the level
    per_s: float = 0.0                      # of what is charged at the end: what a second of later ends gives
    windows: list[tuple[int, int, float]] = field(default_factory=list)

    @property
    def ends_later(self) -> bool:
        """Whether it needs the longest time of an answer before it may be used."""
        return self.rule > AT_BEGIN

    def allow_later_ends(self, longest_s: float) -> None:
        """Give the credit for attempts that end up to `longest_s` after they began."""
        self.cap = self.cap + self.per_s * longest_s
        self.opening += self.per_s * longest_s


class Blocks:
    """Time cut at `edges` (microseconds, shape (blocks + 1,)): block j is [edges[j], edges[j+1])."""

    def __init__(self, edges: Ints) -> None:
        self.edges = edges
        self.count = len(edges) - 1

    def of(self, time_us: Ints) -> Ints:
        """The block of each moment; the last one for all that comes later."""
        return np.clip(np.searchsorted(self.edges, time_us, side="right") - 1, 0, self.count - 1)


def cut_time(start_us: int, horizon_end_us: int, end_us: int, block_us: int) -> Blocks:
    """Blocks at whole multiples of `block_us` from the start to the horizon, and one more up to the end."""
    inner = np.arange(start_us // block_us + 1, -(-horizon_end_us // block_us), dtype=np.int64) * block_us
    edges = [start_us, *inner.tolist(), max(horizon_end_us, start_us + 1)]
    return Blocks(np.array([*edges, end_us] if end_us > edges[-1] else edges, dtype=np.int64))


def scales_of(faults: Sequence[Fault], start_us: int) -> list[tuple[int, float]]:
    """From when on which share of a pool's limits is in force: moments and shares, the first at the start."""
    cuts = []
    for fault in faults:
        if fault.kind == "limit_cut":
            begins_us = start_us + round(fault.start_s * 1e6)
            cuts.append((begins_us, begins_us + max(1, round(fault.duration_s * 1e6)), round(fault.factor * 1000) / 1000))
    moments = sorted({start_us, *(time for cut in cuts for time in cut[:2])})
    return [(moment, float(np.prod([share for lo, hi, share in cuts if lo <= moment < hi]))) for moment in moments]


class _Scale:
    """The share of limits in force over time: its largest value in a span, and its integral."""

    def __init__(self, faults: Sequence[Fault], start_us: int) -> None:
        found = scales_of(faults, start_us)
        self._at = np.array([moment for moment, _ in found], dtype=np.int64)
        self._share = np.array([share for _, share in found])
        self.is_cut = bool((self._share != 1).any())
        self.most = float(max(1.0, self._share.max()))

    def largest(self, begin_us: int, end_us: int) -> float:
        first = max(0, int(np.searchsorted(self._at, begin_us, side="right")) - 1)
        return float(self._share[first : max(first + 1, int(np.searchsorted(self._at, end_us, side="right")))].max())

    def amount_us(self, amount: float, begin_us: int, end_us: int) -> float:
        """The integral of the limit in force, at least 1 unit, over a span: units x microseconds."""
        cuts = np.unique(np.clip(np.concatenate([[begin_us, end_us], self._at]), begin_us, end_us))
        pieces = zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
        return float(sum(max(1.0, amount * self.largest(lo, lo)) * (hi - lo) for lo, hi in pieces))


def closed_blocks(faults: Sequence[Fault], start_us: int, blocks: Blocks) -> NDArray[np.bool_]:
    """Blocks in which a pool is out from beginning to end, shape (blocks,)."""
    closed = np.zeros(blocks.count, dtype=bool)
    for fault in faults:
        if fault.kind == "outage":
            begins_us = start_us + round(fault.start_s * 1e6)
            ends_us = begins_us + max(1, round(fault.duration_s * 1e6))
            closed |= (blocks.edges[:-1] >= begins_us) & (blocks.edges[1:] <= ends_us)
    return closed


def build_rooms(choices: Choices, blocks: Blocks) -> list[Room]:
    """The rooms of every pool. Left out, which only relaxes: limits on growth, and those charged at the end that the gateway does
    not know, or knows by estimates, or that are cut: work in flight may overdraw these."""
    realised, rooms = choices.realised, []
    for number, pool in enumerate(choices.pools):
        scale = _Scale(pool.faults, realised.start_us)
        for row, limit in limits_of(realised.layout, pool):
            routes = [at for at, route in enumerate(choices.routes) if route.pool == number and row in route.limits]
            rule = SECONDS if limit.window == "none" else CHARGES.index(limit.charge)
            sure = limit.known and realised.estimation.is_exact and not scale.is_cut
            if not routes or limit.window == "acceleration" or (AT_BEGIN < rule < SECONDS and not sure):
                continue
            room = Room(name=limit.name, pool=number, rule=rule, routes=routes, limit=row)
            if _fill(room, limit, pool, scale, blocks, choices):
                rooms.append(room)
    return rooms


def _fill(room: Room, limit: LimitRow, pool: Pool, scale: _Scale, blocks: Blocks, choices: Choices) -> bool:
    """Write down what a limit gives; False if it is none that can be counted on."""
    if room.rule == SECONDS:
        _fill_level(room, 0.0, limit.amount * scale.most / 1e6, blocks, None)
    elif limit.window in ("token_bucket", "paced"):
        _fill_level(room, limit.depth, limit.amount / _MINUTE_US, blocks, scale)
        if limit.window == "paced":
            uses = choices.uses(room.rule)
            largest = max(int(uses[:, choices.routes[route].model].max(initial=0)) for route in room.routes)
            # The fuller of both: a cut bucket is overdrawn by more.
            room.over = max(0.0, largest - min(1.0, *(share for _, share in scales_of(pool.faults, int(blocks.edges[0])))) * limit.depth)
    elif room.ends_later:
        _fill_level(room, 2.0 * limit.amount, limit.amount / limit.window_us, blocks, None)
        touched = _windows_touched(limit, int(blocks.edges[0]), int(blocks.edges[-1]))
        room.windows = [(0, blocks.count - 1, touched * float(limit.amount))]
    elif limit.window == "sliding":
        if scale.most > 1:
            return False                    # what a provider remembers of it was made for the limit as configured
        _fill_sliding(room, limit, scale, blocks)
    else:
        _fill_fixed(room, limit, scale, blocks)
    n = len(pool.accounts)
    room.gain, room.cap, room.opening, room.over, room.per_s = (
        room.gain * n, room.cap * n, room.opening * n, room.over * n, room.per_s * n,
    )  # fmt: skip
    room.windows = [(lo, hi, amount * n) for lo, hi, amount in room.windows]
    return True


def _fill_level(room: Room, depth: float, per_us: float, blocks: Blocks, scale: _Scale | None) -> None:
    spans = list(zip(blocks.edges[:-1].tolist(), blocks.edges[1:].tolist(), strict=True))
    room.has_level, room.per_s = True, per_us * 1e6
    if scale is None or not scale.is_cut:
        room.gain, room.cap = np.diff(blocks.edges) * per_us, np.full(blocks.count, float(depth))
    else:
        per_min = per_us * _MINUTE_US
        room.gain = np.array([scale.amount_us(per_min, lo, hi) / _MINUTE_US for lo, hi in spans])
        room.cap = np.array([max(1.0, depth * scale.largest(lo, hi)) for lo, hi in spans])
    room.opening = depth if scale is None else max(1.0, depth * scale.most)


def _windows_touched(limit: LimitRow, begin_us: int, end_us: int) -> int:
    """Windows of a limit that [begin, end) has a part in."""
    if limit.window == "sliding":
        return -(-(end_us - begin_us) // limit.window_us)
    return (end_us - 1 - limit.offset_us) // limit.window_us - (begin_us - limit.offset_us) // limit.window_us + 1


def _fill_fixed(room: Room, limit: LimitRow, scale: _Scale, blocks: Blocks) -> None:
    """Windows that hold whole blocks bound these together; any other block by the number of windows it has a part in."""
    edges, window_us = blocks.edges.tolist(), limit.window_us
    lo = 0
    while lo < blocks.count:
        ends_us = edges[lo] - (edges[lo] - limit.offset_us) % window_us + window_us
        hi = lo
        while hi < blocks.count and edges[hi + 1] <= ends_us:
            hi += 1
        if hi > lo:
            room.windows.append((lo, hi - 1, max(1.0, limit.amount * scale.largest(edges[lo], edges[hi]))))
            lo = hi
        else:
            most = max(1.0, limit.amount * scale.largest(edges[lo], edges[lo + 1]))
            room.windows.append((lo, lo, _windows_touched(limit, edges[lo], edges[lo + 1]) * most))
            lo += 1


def _fill_sliding(room: Room, limit: LimitRow, scale: _Scale, blocks: Blocks) -> None:
    """Any span as long as the window, less what a provider forgets early, bounds the blocks inside."""
    edges = blocks.edges.tolist()
    early_us = 0 if limit.amount <= _SLIDING_EXACT else -(-limit.window_us // _SLIDING_CELLS)
    sure_us = max(1, limit.window_us - early_us)
    for lo in range(blocks.count):
        hi = int(np.searchsorted(blocks.edges, edges[lo] + sure_us, side="right")) - 1
        most = max(1.0, limit.amount * scale.largest(edges[lo], edges[max(hi, lo + 1)]))
        if hi > lo:
            room.windows.append((lo, hi - 1, most))
        else:
            room.windows.append((lo, lo, -(-(edges[lo + 1] - edges[lo]) // sure_us) * most))
