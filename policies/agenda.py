"""What is to happen, the first first: a total order by (time, key).

A wheel of buckets of 16 ms holds what is planned for later, in no order; a small heap holds
what falls due up to the end of the bucket that was reached. Events are planned seconds ahead
and many at once, which makes this five times faster than one heap of all.
Source: Varghese and Lauck, SOSP 1987, scheme 6, with a heap for the bucket at hand.
"""

from typing import NamedTuple

import numpy as np

from policies.arena import allocate, opener
from policies.compile import inlined
from policies.rows import Bytes, Ints, Rows

OUT_ROWS = 65_536
OUT_SLACK = 32_768              # more never comes of one event
BUCKETS = 8_192                 # a turn of the wheel takes 134 s; what is later stays for another turn
_BUCKET_BITS = 14               # a bucket is 2**14 microseconds wide
_NONE = -1
_HEADER_WORDS = 16

EVENT = np.dtype([("time_us", "<i8"), ("key", "<i8"), ("row", "<i8")])
# `bucket` counts from the epoch; everything in it and before is in the heap. `free` is the first node not in use.
CLIP = np.dtype([("in_heap", "<i8"), ("in_wheel", "<i8"), ("bucket", "<i8"), ("free", "<i8")])
NODE = np.dtype([*((name, "<i8") for name in EVENT.names or ()), ("next", "<i8")])


class Agenda(NamedTuple):
    """The tables of an agenda."""

    clip: Rows               # one row
    wheel: Ints              # by bucket: its first node, or -1
    nodes: Rows              # events in the wheel
    heap: Rows               # four children each


_SECTION_TYPES = (CLIP, np.dtype("<i8"), NODE, EVENT)


open_agenda = opener(Agenda, _SECTION_TYPES)


def new_agenda(now_us: int, most: int = OUT_ROWS) -> Bytes:
    """Room for `most` events, none of them before `now_us`."""
    block = allocate(list(zip(_SECTION_TYPES, (1, BUCKETS, most, most), strict=True)), _HEADER_WORDS)[0]
    agenda = open_agenda(block)
    agenda.clip[0] = (0, 0, now_us >> _BUCKET_BITS, 0)
    agenda.wheel[:] = _NONE
    agenda.nodes["next"] = np.arange(1, most + 1)
    return block


def grown(block: Bytes) -> Bytes:
    """The same events with twice the room."""
    old = open_agenda(block)
    most = old.heap.size
    larger = new_agenda(0, 2 * most)
    new = open_agenda(larger)
    for mine, its in zip(new, old, strict=True):
        mine[: its.size] = its
    new.nodes["next"][-1] = old.clip["free"][0]
    new.clip["free"] = most
    return larger


@inlined
def is_short_of_room(agenda: Agenda) -> bool:
    """Whether the events that come of one event might not fit in."""
    return bool(agenda.clip[0]["in_heap"] + agenda.clip[0]["in_wheel"] + OUT_SLACK > agenda.heap.size)


@inlined
def put(agenda: Agenda, time_us: int, key: int, row: int) -> None:
    """Plan an event."""
    clip = agenda.clip[0]
    bucket = time_us >> _BUCKET_BITS
    if bucket <= clip["bucket"]:
        _push(agenda, time_us, key, row)
        return
    place = clip["free"]
    node = agenda.nodes[place]
    clip["free"] = node["next"]
    clip["in_wheel"] += 1
    node["time_us"], node["key"], node["row"] = time_us, key, row
    node["next"] = agenda.wheel[bucket % BUCKETS]
    agenda.wheel[bucket % BUCKETS] = place


@inlined
def bring_up(agenda: Agenda, until_us: int) -> None:
    """Bring the next event to the top of the heap, unless it is later than `until_us`."""
    clip = agenda.clip[0]
    last = until_us >> _BUCKET_BITS
    while clip["in_heap"] == 0 and clip["bucket"] < last:
        clip["bucket"] = clip["bucket"] + 1 if clip["in_wheel"] > 0 else last
        if agenda.wheel[clip["bucket"] % BUCKETS] != _NONE:
            _empty_bucket(agenda)


@inlined
def _empty_bucket(agenda: Agenda) -> None:
    """Move what is due in this turn of the wheel to the heap."""
    clip = agenda.clip[0]
    bucket = clip["bucket"]
    place = agenda.wheel[bucket % BUCKETS]
    agenda.wheel[bucket % BUCKETS] = _NONE
    while place != _NONE:
        node = agenda.nodes[place]
        following = node["next"]
        if node["time_us"] >> _BUCKET_BITS == bucket:
            _push(agenda, node["time_us"], node["key"], node["row"])
            node["next"] = clip["free"]
            clip["free"] = place
            clip["in_wheel"] -= 1
        else:
            node["next"] = agenda.wheel[bucket % BUCKETS]
            agenda.wheel[bucket % BUCKETS] = place
        place = following


@inlined
def is_before(heap: Rows, one: int, time_us: int, key: int) -> bool:
    """Whether the event at this place of the heap comes before (time, key)."""
    at_us = heap[one]["time_us"]
    return bool(at_us < time_us or (at_us == time_us and heap[one]["key"] < key))


@inlined
def _push(agenda: Agenda, time_us: int, key: int, row: int) -> None:
    clip, heap = agenda.clip[0], agenda.heap
    place = clip["in_heap"]
    clip["in_heap"] += 1
    while place > 0:
        parent = (place - 1) >> 2
        if is_before(heap, parent, time_us, key):
            break
        _copy(heap, parent, place)
        place = parent
    heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = time_us, key, row


@inlined
def drop_first(agenda: Agenda) -> None:
    """Take the first event off the heap."""
    clip, heap = agenda.clip[0], agenda.heap
    clip["in_heap"] -= 1
    count = clip["in_heap"]
    if count == 0:
        return
    time_us, key, row = heap[count]["time_us"], heap[count]["key"], heap[count]["row"]
    place = 0
    while 4 * place + 1 < count:
        best = 4 * place + 1
        for other in range(best + 1, min(best + 4, count)):
            if is_before(heap, other, heap[best]["time_us"], heap[best]["key"]):
                best = other
        if not is_before(heap, best, time_us, key):
            break
        _copy(heap, best, place)
        place = best
    heap[place]["time_us"], heap[place]["key"], heap[place]["row"] = time_us, key, row


@inlined
def _copy(heap: Rows, here: int, there: int) -> None:
    heap[there]["time_us"], heap[there]["key"], heap[there]["row"] = heap[here]["time_us"], heap[here]["key"], heap[here]["row"]
