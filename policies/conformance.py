"""What a routing policy must do, tried on sample states: the contract of `policies.routing`, executed.

A policy answers with a candidate or NOWHERE, writes to `memory` only, answers the same question
the same way, comes to an end, and does compiled what it does as plain Python. Samples are drawn from a
fixed seed, so that a policy passes everywhere or nowhere.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.routing import MEMORY_WORDS, NOWHERE, UNIFORM
from policies.rows import Floats, Ints, Rows
from policies.state import DEPLOYMENT, REQUEST, TENANT

PARAMS = 16
MOST_LINES = 200_000
_SEED = 20_261_102
_SIZES = (1, 2, 3, 5, 8, 13, 60)
_NOW_US = 1_793_577_600_000_000      # 2 November 2026
_RANGES = {
    "latency_us": 30_000_000, "in_flight": 50, "performance_pm": 1001, "expected_nano_usd": 10**9, "failures": 5,
    "model": 8, "account": 12, "bucket": 20, "shared": 2, "input_tokens": 100_000, "max_output_tokens": 16_000,
    "complexity_pm": 1001, "attempt": 5, "tier": 3, "wanted": 8, "service_class": 2, "budget_nano_usd": 10**10,
    "weight_milli": 5000, "quality_floor_pm": 1001,
}  # fmt: skip

Policy = Callable[..., int]


class Broken(Exception):  # noqa: N818  (a finding, not a failure of ours)
    """A policy broke the contract. `line` is the line of its file, 0 if unknown."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Sample:
    """One question to a routing policy. Tables `requests` and `tenants` have one row."""

    requests: Rows
    candidates: Ints
    deployments: Rows
    tenants: Rows
    params: Floats
    memory: Floats
    now_us: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What a policy is called with. Rows are views: a write shows in the tables."""
        request, tenant = self.requests[0], self.tenants[0]
        return request, self.candidates, self.deployments, tenant, self.params, self.memory, self.now_us

    def copy(self) -> "Sample":
        """The same question, sharing no memory."""
        return Sample(
            self.requests.copy(), self.candidates.copy(), self.deployments.copy(), self.tenants.copy(),
            self.params.copy(), self.memory.copy(), self.now_us,
        )  # fmt: skip


def sample(seed: int, deployments: int = 8, *, alike: bool = False) -> Sample:
    """A question drawn from `seed` over so many deployments; `alike`: all of them equal, so that ties decide.

    At least one is a candidate; candidates ascend, as the gateway gives them.
    """
    rng = np.random.default_rng((_SEED, seed))
    rows = _table(rng, DEPLOYMENT, deployments)
    if alike:
        rows[:] = rows[0]
    chosen = np.flatnonzero(rng.random(deployments) < 0.7)
    candidates = chosen if chosen.size else np.array([rng.integers(deployments)])
    params = np.zeros(PARAMS) if seed % 3 == 0 else rng.random(PARAMS) * (1.0 if seed % 3 == 1 else 10.0)
    memory = np.zeros(MEMORY_WORDS)
    memory[UNIFORM] = (0.5 / 2**52, rng.random(), np.nextafter(1.0, 0.0))[seed % 3]
    now_us = _NOW_US + int(rng.integers(10**12))
    requests, tenants = _table(rng, REQUEST, 1), _table(rng, TENANT, 1)
    return Sample(requests, candidates.astype(np.int64), rows, tenants, params, memory, now_us)


def samples() -> Iterator[Sample]:
    """The questions of the suite: from one deployment to many, all different and all alike."""
    for number in range(3 * len(_SIZES) * 2):
        yield sample(number, _SIZES[number // 3 % len(_SIZES)], alike=number >= 3 * len(_SIZES))


def _table(rng: np.random.Generator, dtype: np.dtype[Any], rows: int) -> Rows:
    """Rows of plausible values; about one in eight is nought, as after a start."""
    table = np.zeros(rows, dtype=dtype)
    for name in dtype.names or ():
        if dtype[name].kind == "f":
            values: NDArray[Any] = rng.random(rows)
        else:
            values = rng.integers(0, _RANGES.get(name, 10), rows)
        table[name] = np.where(rng.random(rows) < 0.125, 0, values)
    return table


def check_answers(policy: Policy, file: str) -> None:
    """Plain Python `policy` returns a candidate or NOWHERE on every sample. Raises Broken."""
    for question in samples():
        answer = _ask(policy, question.copy(), file)
        if not isinstance(answer, int | np.integer) or isinstance(answer, bool):
            raise Broken(f"returned {answer!r} ({type(answer).__name__}); must return a row, such as candidates[0], or {NOWHERE}")
        if answer != NOWHERE and answer not in question.candidates:
            raise Broken(f"returned {answer}; must return one of candidates {question.candidates.tolist()}, or {NOWHERE}")


def check_pure(policy: Policy, file: str) -> None:
    """Plain Python `policy` leaves every argument but `memory` as it was. Raises Broken."""
    for question in samples():
        asked = question.copy()
        _ask(policy, asked, file)
        if _changed(question, asked):
            again = question.copy()
            watch = _Watch(file, lambda again=again, question=question: bool(_changed(question, again)))  # type: ignore[misc]
            _ask(policy, again, file, watch)
            raise Broken(f"writes to {_changed(question, asked)}; only `memory` may be written", watch.guilty_line)


def check_deterministic(policy: Policy, file: str) -> None:
    """Plain Python `policy` answers and remembers the same when it is asked the same again. Raises Broken."""
    for question in samples():
        one, other = question.copy(), question.copy()
        first, second = _ask(policy, one, file), _ask(policy, other, file)
        if first != second or one.memory.tobytes() != other.memory.tobytes():
            raise Broken(f"answered {first}, then {second} to the same question; only its arguments may decide")


def check_same_compiled(policy: Policy, compiled_policy: Policy, file: str) -> None:
    """Compiled code answers, remembers and leaves alone what plain Python does, on a run of questions. Raises Broken.

    `memory` is carried from one question to the next, as in a run.
    """
    memory = np.zeros(MEMORY_WORDS)
    for question in samples():
        one = question.copy()
        one.memory[:], one.memory[UNIFORM] = memory, question.memory[UNIFORM]
        other = one.copy()
        plainly, compiled = _ask(policy, one, file), _ask_compiled(compiled_policy, other)
        if plainly != compiled:
            raise Broken(f"answers {plainly} as plain Python and {compiled} compiled; see docs/write_a_policy.md, Pitfalls")
        if one.memory.tobytes() != other.memory.tobytes():
            word = int(np.flatnonzero(one.memory.view(np.int64) != other.memory.view(np.int64))[0])
            values = f"{one.memory[word]!r} as plain Python and {other.memory[word]!r} compiled"
            raise Broken(f"leaves memory[{word}] at {values}; see docs/write_a_policy.md, Pitfalls")
        if _changed(question, other):
            raise Broken(f"compiled, writes to {_changed(question, other)}; only `memory` may be written")
        memory = one.memory


def _ask_compiled(policy: Policy, question: Sample) -> int:
    try:
        with np.errstate(all="ignore"):
            return policy(*question.arguments)
    except Exception as error:
        raise Broken(f"compiled, raises {type(error).__name__}: {error}; a policy must answer every request") from error


def _changed(before: Sample, after: Sample) -> str:
    """Which argument but memory differs, with its field; empty if none does."""
    for name in ("request", "candidates", "deployments", "tenant", "params"):
        table = name if name in ("candidates", "deployments", "params") else name + "s"
        one, other = getattr(before, table), getattr(after, table)
        if one.tobytes() != other.tobytes():
            fields = [field for field in one.dtype.names or () if one[field].tobytes() != other[field].tobytes()]
            return f"`{name}`" + (f", field {fields[0]!r}" if fields else "")
    return ""


class _Watch:
    """Follows a call line by line: bounds its length, remembers the last line in the policy's file.

    `has_changed` is asked at each line; the line before the first "yes" is `guilty_line`.
    """

    def __init__(self, file: str, has_changed: Callable[[], bool] | None = None) -> None:
        self.file, self.has_changed = file, has_changed
        self.lines, self.line, self.guilty_line = 0, 0, 0

    def __call__(self, frame: FrameType, event: str, _value: Any) -> "_Watch":
        self.lines += 1
        if self.lines > MOST_LINES:
            raise Broken(f"has not ended after {MOST_LINES:,} lines; a policy must come to an end", self.line)
        if self.has_changed is not None and not self.guilty_line and self.has_changed():
            self.guilty_line = self.line
        if event == "line" and frame.f_code.co_filename == self.file:
            self.line = frame.f_lineno
        return self


def _ask(policy: Policy, question: Sample, file: str, watch: _Watch | None = None) -> Any:
    """The answer of plain Python. Raises Broken for whatever the policy raises."""
    watch = watch or _Watch(file)
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        with np.errstate(all="ignore"):
            return policy(*question.arguments)
    except Broken:
        raise
    except Exception as error:
        what = f"raises {type(error).__name__}: {error}; a policy must stand every request, memory and params"
        raise Broken(what, watch.line) from error
    finally:
        sys.settrace(before)
