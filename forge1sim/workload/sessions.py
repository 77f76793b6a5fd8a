"""Conversations in progress: each turn repeats the prompt before, its answer, and adds something new."""

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.arrivals import advance
from forge1sim.workload.draws import DistributionTable, keyed, purpose, sample_tokens, sample_us
from forge1sim.workload.spec import Sessions
from forge1sim.workload.traits import describe
from policies.compile import compiled, inlined

_TURNS_MAX = 100_000
_SESSION, _TURNS, _FIRST = purpose("session"), purpose("turns"), purpose("first prompt")
_NEW, _ANSWER, _THINK = purpose("new tokens"), purpose("answer"), purpose("think time")

SESSION_KIND = np.dtype(
    [
        ("requests", "<i8"), ("think_time", "<i8"), ("new_tokens", "<i8"),   # rows of distributions
        ("cache_lasts_us", "<i8"), ("context_tokens", "<i8"),
    ]
)  # fmt: skip

SESSION = np.dtype(
    [
        ("key", "<u8"), ("next_us", "<i8"),             # after the start
        ("prompt_tokens", "<i8"), ("cached_tokens", "<i8"),  # of the next turn; cached -1: by cached_share
        ("turn", "<i8"), ("turns", "<i8"),              # next turn from 0, and how many in all
        ("tenant", "<i4"), ("traits", "<i4"), ("kind", "<i4"), ("_pad", "<i4"),
    ]
)  # fmt: skip


class SessionTable:
    """Collects kinds of sessions and turns them into rows of SESSION_KIND."""

    def __init__(self, distributions: DistributionTable) -> None:
        self._distributions = distributions
        self._rows: list[tuple[int, ...]] = []

    def add(self, sessions: Sessions) -> int:
        """Row of this kind of session."""
        row = self._distributions.row
        self._rows.append((
            row(sessions.requests), row(sessions.think_time_s), row(sessions.new_tokens),
            round(sessions.cache_lasts_s * 1e6), sessions.context_tokens,
        ))  # fmt: skip
        return len(self._rows) - 1

    def array(self) -> NDArray[np.void]:
        """The kinds, for compiled code; at least one row."""
        return np.array(self._rows or [(0, 0, 0, 0, 0)], SESSION_KIND)


@inlined
def _write_turn(
    row: np.void, session: np.void, start_us: int, traits: np.void,
    distributions: NDArray[np.void], complexity_pm: NDArray[np.int16], models: NDArray[np.void],
) -> None:  # fmt: skip
    answer = keyed(session["key"], _ANSWER, session["turn"])
    row["arrive_us"] = start_us + session["next_us"]
    row["tenant"] = session["tenant"]
    row["number"] = 0
    row["input_tokens"] = session["prompt_tokens"]
    row["output_tokens"] = sample_tokens(distributions, traits["output"], answer)
    row["cached_tokens"] = session["cached_tokens"]
    if session["cached_tokens"] < 0:
        row["cached_tokens"] = int(session["prompt_tokens"] * traits["cached_share"])
    describe(row, session["key"], session["turn"], traits, distributions, complexity_pm, models)


@inlined
def _prepare_turn(session: np.void, answer_tokens: int, kind: np.void, distributions: NDArray[np.void]) -> None:
    """Time, prompt and cached prefix of the session's next turn."""
    session["turn"] += 1
    key, turn, prompt = session["key"], session["turn"], session["prompt_tokens"]
    think_us = sample_us(distributions, kind["think_time"], keyed(key, _THINK, turn))
    new_tokens = sample_tokens(distributions, kind["new_tokens"], keyed(key, _NEW, turn))
    session["cached_tokens"] = prompt if think_us <= kind["cache_lasts_us"] else -1
    session["prompt_tokens"] = min(prompt + answer_tokens + new_tokens, kind["context_tokens"])
    session["next_us"] += think_us


@compiled
def begin_sessions(
    streams: NDArray[np.void], next_us: NDArray[np.int64], first: int, until_us: int,
    sessions: NDArray[np.void], count: int, cells: NDArray[np.void], kinds: NDArray[np.void],
    traits: NDArray[np.void], distributions: NDArray[np.void],
) -> tuple[int, int]:  # fmt: skip
    """Write the sessions that begin before `until_us`, stream by stream; stop where `sessions` is full.

    Returns sessions written in all and the stream to go on with.
    """
    for at in range(first, streams.size):
        stream = streams[at]
        if stream["sessions"] < 0:
            continue
        while next_us[at] < until_us:
            if count == sessions.size:
                return count, at
            session, kind = sessions[count], kinds[stream["sessions"]]
            key = keyed(stream["seed"], _SESSION, stream["number"])
            turns = sample_tokens(distributions, kind["requests"], keyed(key, _TURNS, 0))
            prompt = sample_tokens(
                distributions, traits[stream["traits"]]["input"], keyed(key, _FIRST, 0)
            )
            session["key"] = key
            session["next_us"] = next_us[at]
            session["prompt_tokens"] = min(prompt, kind["context_tokens"])
            session["cached_tokens"] = -1
            session["turn"] = 0
            session["turns"] = min(max(turns, 1), _TURNS_MAX)
            session["tenant"] = stream["tenant"]
            session["traits"] = stream["traits"]
            session["kind"] = stream["sessions"]
            count += 1
            next_us[at] = advance(stream, cells)
    return count, streams.size


@compiled
def session_turns(
    sessions: NDArray[np.void], first: int, until_us: int, start_us: int,
    rows: NDArray[np.void], count: int, kinds: NDArray[np.void],
    traits: NDArray[np.void], distributions: NDArray[np.void], complexity_pm: NDArray[np.int16], models: NDArray[np.void],
) -> tuple[int, int]:  # fmt: skip
    """Write the turns before `until_us`, session by session; stop where `rows` is full.

    Returns rows written in all and the session to go on with.
    """
    for at in range(first, sessions.size):
        session = sessions[at]
        while session["turn"] < session["turns"] and session["next_us"] < until_us:
            if count == rows.size:
                return count, at
            _write_turn(
                rows[count], session, start_us, traits[session["traits"]], distributions, complexity_pm, models
            )
            _prepare_turn(session, rows[count]["output_tokens"], kinds[session["kind"]], distributions)
            count += 1
    return count, sessions.size
