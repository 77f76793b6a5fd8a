"""The next arrival of each tenant: stationary processes in operational time, mapped to the clock.

A process of unit rate runs in operational time (see profile.py) and is in equilibrium from the
start: the first gap is the rest of a gap in progress, so that the mean count is exact at once.
Source: docs/workloads.md, "Arrivals"; Cox, Renewal Theory, 1962, chapter 5 (equilibrium).
"""

import math

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.draws import gamma_draw, keyed, next_word, purpose, uniform
from forge1sim.workload.profile import clock_s, find_cell, operational
from forge1sim.workload.table import NEVER_US
from policies.compile import compiled, inlined, leaf

POISSON, GAMMA, MMPP, DETERMINISTIC = range(4)
KINDS = {"poisson": POISSON, "gamma": GAMMA, "mmpp": MMPP, "deterministic": DETERMINISTIC}
_GAP, _FIRST_GAP, _PHASE = purpose("gap"), purpose("first gap"), purpose("phase")

STREAM = np.dtype(
    [
        ("seed", "<u8"), ("rate", "<f8"),               # arrivals per second of operational time
        ("position", "<f8"),                            # operational time (s) of the next arrival
        ("number", "<i8"),                              # of the next arrival, from 0
        ("first_cell", "<i8"), ("cells", "<i8"), ("cell_s", "<f8"),  # its profile
        ("cell", "<i4"), ("profile", "<i4"), ("tenant", "<i4"), ("traits", "<i4"),
        ("kind", "<i4"), ("sessions", "<i4"),           # row of sessions, -1: plain requests
        ("shape", "<f8"),                               # gamma: 1 / cv**2
        ("calm_factor", "<f8"), ("burst_factor", "<f8"), ("calm_s", "<f8"), ("burst_s", "<f8"),
        ("phase_end_s", "<f8"), ("phase", "<i8"),       # mmpp: how many phases began; see `bursting`
        ("bursting", "<i4"), ("_pad", "<i4"),
    ]
)  # fmt: skip


@compiled
def begin(streams: NDArray[np.void], starts_s: NDArray[np.float64], next_us: NDArray[np.int64],
          cells: NDArray[np.void], burst_shares: NDArray[np.float64]) -> None:  # fmt: skip
    """Set every stream to its first arrival after its start; NEVER_US if past the horizon."""
    for at in range(streams.size):
        stream = streams[at]
        stream["position"] = operational(stream, cells, starts_s[at])
        if stream["kind"] == MMPP:
            word = keyed(stream["seed"], _PHASE, 0)
            stream["bursting"] = 1 if uniform(word) < burst_shares[at] else 0
            stream["phase_end_s"] = starts_s[at]
            _lengthen_phase(stream)
        next_us[at] = _schedule(stream, cells) if stream["rate"] > 0.0 else NEVER_US


@leaf
def advance(stream: np.void, cells: NDArray[np.void]) -> int:
    """Move on to the next arrival; its time in us after the start, or NEVER_US past the horizon."""
    stream["number"] += 1
    return _schedule(stream, cells)


@leaf
def _schedule(stream: np.void, cells: NDArray[np.void]) -> int:
    gap = _gap(stream)
    if stream["kind"] == MMPP:
        _move_through_phases(stream, gap, cells)
    else:
        stream["position"] += gap / stream["rate"]
    stream["cell"] = find_cell(stream, cells)
    if stream["cell"] >= stream["cells"]:
        return int(NEVER_US)
    return int(clock_s(stream, cells) * 1e6)


@leaf
def _gap(stream: np.void) -> float:
    """The gap before arrival `number`, of mean 1; the first is the rest of a length-biased gap."""
    word = keyed(stream["seed"], _GAP, stream["number"])
    kind = stream["kind"]
    if kind == POISSON or kind == MMPP:
        return -math.log(uniform(word))
    shape = stream["shape"]
    if stream["number"] > 0:
        return 1.0 if kind == DETERMINISTIC else gamma_draw(word, shape) / shape
    left = uniform(keyed(stream["seed"], _FIRST_GAP, 0))
    return left if kind == DETERMINISTIC else left * gamma_draw(word, shape + 1.0) / shape


@inlined
def _move_through_phases(stream: np.void, work: float, cells: NDArray[np.void]) -> None:
    """Mmpp: spend `work` at the rate of each phase in turn until the next arrival."""
    end = cells[stream["first_cell"] + stream["cells"]]["done"]
    while stream["position"] < end:
        speed = stream["rate"] * (stream["burst_factor"] if stream["bursting"] == 1 else stream["calm_factor"])
        phase_end = operational(stream, cells, stream["phase_end_s"])
        room = (phase_end - stream["position"]) * speed
        # At the horizon operational time stops, and no later phase has room.
        if work <= room or phase_end >= end:
            stream["position"] += work / speed
            return
        work -= room
        stream["position"] = phase_end
        stream["bursting"] = 1 - stream["bursting"]
        _lengthen_phase(stream)


@inlined
def _lengthen_phase(stream: np.void) -> None:
    stream["phase"] += 1
    word = next_word(keyed(stream["seed"], _PHASE, stream["phase"]))
    mean_s = stream["burst_s"] if stream["bursting"] == 1 else stream["calm_s"]
    stream["phase_end_s"] -= mean_s * math.log(uniform(word))
