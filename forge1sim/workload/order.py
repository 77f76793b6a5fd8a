"""Rows in order: by time, then tenant, then the tenant's own order. Sorting, merging, numbering."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forge1sim.prefetch import prefetch
from forge1sim.workload.table import REQUESTS
from policies.compile import compiled

Row = TypeVar("Row", bound=np.generic)
CHUNK_ROWS = 65_536
_ROW_BITS = 25
_SORT_SPAN_US = 1 << 37
_SORT_ROWS = 1 << _ROW_BITS
_MOVES_PER_ROW = 8
FORESIGHT = 12                  # rows to load ahead
_WINDOW_S_MIN, _WINDOW_S_MAX = 1e-3, 86_400.0


def ordered(rows: NDArray[np.void]) -> NDArray[np.void]:
    """A sorted copy. Rows equal in time and tenant keep their order."""
    if rows.size == 0:
        return rows.copy()
    base_us = int(rows["arrive_us"].min())
    if rows.size >= _SORT_ROWS or int(rows["arrive_us"].max()) - base_us >= _SORT_SPAN_US:
        return rows[np.lexsort((rows["tenant"], rows["arrive_us"]))]
    keys = np.empty(rows.size, np.int64)
    _pack(rows, base_us, keys)
    keys.sort()
    if not _settle_ties(rows, keys):
        return rows[np.lexsort((rows["tenant"], rows["arrive_us"]))]
    out = np.empty(rows.size, REQUESTS)
    _gather(rows, keys, out)
    return out


@compiled
def _pack(rows: NDArray[np.void], base_us: int, keys: NDArray[np.int64]) -> None:
    for at in range(rows.size):
        keys[at] = ((rows[at]["arrive_us"] - base_us) << _ROW_BITS) | at


@compiled
def _settle_ties(rows: NDArray[np.void], keys: NDArray[np.int64]) -> bool:
    """Order keys of equal time by tenant; False, keys half done, if there are so many that it takes long."""
    moves = 0
    for at in range(1, keys.size):
        if keys[at] >> _ROW_BITS != keys[at - 1] >> _ROW_BITS:
            continue
        key, back = keys[at], at
        tenant = rows[key & (_SORT_ROWS - 1)]["tenant"]
        while back > 0 and keys[back - 1] >> _ROW_BITS == key >> _ROW_BITS:
            if rows[keys[back - 1] & (_SORT_ROWS - 1)]["tenant"] <= tenant:
                break
            keys[back] = keys[back - 1]
            back -= 1
            moves += 1
        keys[back] = key
        if moves > _MOVES_PER_ROW * keys.size:
            return False
    return True


@compiled
def _gather(rows: NDArray[np.void], keys: NDArray[np.int64], out: NDArray[np.void]) -> None:
    for at in range(keys.size):
        prefetch(rows, keys[min(at + FORESIGHT, keys.size - 1)] & (_SORT_ROWS - 1))
        out[at] = rows[keys[at] & (_SORT_ROWS - 1)]


def places(times_us: NDArray[np.int64], base_us: int) -> NDArray[np.int64]:
    """Where each of these moments, none before `base_us`, goes in order of time; equal ones keep their order."""
    if times_us.size == 0:
        return np.zeros(0, np.int64)
    keys = np.empty(times_us.size, np.int64)
    if times_us.size < _SORT_ROWS and int(times_us.max()) - base_us < _SORT_SPAN_US:
        _pack_times(times_us, base_us, keys)
        keys.sort()
    else:
        keys[:] = np.argsort(times_us, kind="stable")
    found = np.empty(times_us.size, np.int64)
    _invert(keys, found)
    return found


@compiled
def _pack_times(times_us: NDArray[np.int64], base_us: int, keys: NDArray[np.int64]) -> None:
    for at in range(times_us.size):
        keys[at] = ((times_us[at] - base_us) << _ROW_BITS) | at


@compiled
def _invert(keys: NDArray[np.int64], places: NDArray[np.int64]) -> None:
    for at in range(keys.size):
        places[keys[at] & (_SORT_ROWS - 1)] = at


@compiled
def number_rows(rows: NDArray[np.void], counts: NDArray[np.int32]) -> None:
    """Give each row its tenant's own number; `counts`, by tenant, go on from chunk to chunk."""
    for at in range(rows.size):
        tenant = rows[at]["tenant"]
        rows[at]["number"] = counts[tenant]
        counts[tenant] += 1


def window_ends(expected: NDArray[np.float64], cell_s: float, horizon_s: float, chunk_rows: int) -> Iterator[int]:
    """Ends (us after the start) of windows that expect about `chunk_rows` requests, a day at most.

    `expected` are requests in each cell of `cell_s` up to the horizon.
    """
    done = np.concatenate(([0.0], np.cumsum(expected)))
    edges = np.minimum(np.arange(done.size) * cell_s, horizon_s)
    now_s = 0.0
    while now_s < horizon_s:
        goal = float(np.interp(now_s, edges, done)) + chunk_rows
        until_s = float(np.interp(goal, done, edges)) if goal < done[-1] else horizon_s
        now_s = min(max(until_s, now_s + _WINDOW_S_MIN), now_s + _WINDOW_S_MAX, horizon_s)
        yield int(np.ceil(now_s * 1e6))


def doubled(rows: NDArray[Row]) -> NDArray[Row]:
    """The same rows, and as many blank ones after them."""
    return np.concatenate([rows, np.zeros_like(rows)])


def sliced(chunks: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """The same rows in chunks of at most CHUNK_ROWS, none empty."""
    for chunk in chunks:
        for start in range(0, chunk.size, CHUNK_ROWS):
            yield chunk[start : start + CHUNK_ROWS]


def merged(sources: Sequence[Iterator[NDArray[np.void]]]) -> Iterator[NDArray[np.void]]:
    """Merge sorted streams. Equal time and tenant: the earlier source comes first."""
    if len(sources) == 1:
        yield from sources[0]
        return
    heads: list[NDArray[np.void]] = [np.empty(0, REQUESTS) for _ in sources]
    open_sources = dict(enumerate(sources))
    while open_sources or any(head.size for head in heads):
        for at in [at for at in open_sources if heads[at].size == 0]:
            _extend(heads, open_sources, at)
        # A source may still bring rows at its head's last time, never earlier ones.
        ends = {at: int(heads[at]["arrive_us"][-1]) for at in open_sources}
        limit_us = min(ends.values(), default=None)
        cuts = [h.size if limit_us is None else int(np.searchsorted(h["arrive_us"], limit_us)) for h in heads]
        if sum(cuts):
            yield ordered(np.concatenate([head[:cut] for head, cut in zip(heads, cuts, strict=True)]))
            heads = [head[cut:] for head, cut in zip(heads, cuts, strict=True)]
        elif open_sources:
            _extend(heads, open_sources, min(ends, key=lambda at: ends[at]))


def _extend(heads: list[NDArray[np.void]], open_sources: dict[int, Iterator[NDArray[np.void]]], at: int) -> None:
    """Add the next chunk of source `at` to its head, or close it."""
    for chunk in open_sources[at]:
        if chunk.size:
            heads[at] = np.concatenate([heads[at], chunk])
            return
    del open_sources[at]
