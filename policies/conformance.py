"""What a policy must do, tried on sample questions: its contract, executed.

A policy gives an answer that its kind may give, writes to `memory` only, answers the same question
the same way, comes to an end, and does compiled what it does as plain Python.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from policies.contracts import MEMORY, MEMORY_WORDS
from policies.rows import Floats
from policies.samples import Question, questions

MOST_LINES = 200_000
_PITFALLS = "see docs/write_a_policy.md, Pitfalls"

Policy = Callable[..., int]


class Broken(Exception):  # noqa: N818  (a finding, not a failure of ours)
    """A policy broke the contract. `line` is the line of its file, 0 if unknown."""

    def __init__(self, what: str, line: int = 0) -> None:
        super().__init__(what)
        self.line = line


def check_answers(kind: str, policy: Policy, file: str) -> None:
    """Plain Python `policy` gives an answer that it may give on every sample, remembering nothing or those before. Raises Broken."""
    memory = np.zeros(MEMORY_WORDS)
    for question in questions(kind):
        for asked in (question.copy(), question.after(memory)):
            wrong = question.why_wrong(_ask(policy, asked, file))
            if wrong:
                raise Broken(wrong)
        memory = _memory_of(asked)


def check_pure(kind: str, policy: Policy, file: str) -> None:
    """Plain Python `policy` leaves every argument but `memory` as it was. Raises Broken."""
    for question in questions(kind):
        asked = question.copy()
        _ask(policy, asked, file)
        if question.changed(asked):
            again = question.copy()
            watch = _Watch(file, lambda again=again, question=question: bool(question.changed(again)))  # type: ignore[misc]
            _ask(policy, again, file, watch)
            raise Broken(f"writes to {question.changed(asked)}; {question.contract.may_write}", watch.guilty_line)


def check_deterministic(kind: str, policy: Policy, file: str) -> None:
    """Plain Python `policy` answers and remembers the same when it is asked the same again. Raises Broken."""
    for question in questions(kind):
        one, other = question.copy(), question.copy()
        first, second = _ask(policy, one, file), _ask(policy, other, file)
        if first != second or _memory_of(one).tobytes() != _memory_of(other).tobytes():
            raise Broken(f"answered {first}, then {second} to the same question; only its arguments may decide")


def check_same_compiled(kind: str, policy: Policy, compiled_policy: Policy, file: str) -> None:
    """Compiled code answers, remembers and leaves alone what plain Python does, on a run of questions. Raises Broken.

    `memory` is carried from one question to the next, as in a run.
    """
    memory = np.zeros(MEMORY_WORDS)
    for question in questions(kind):
        one = question.after(memory)
        other = one.copy()
        plainly, compiled = _ask(policy, one, file), _ask_compiled(compiled_policy, other)
        if plainly != compiled:
            raise Broken(f"answers {plainly} as plain Python and {compiled} compiled; {_PITFALLS}")
        memory, other_memory = _memory_of(one), _memory_of(other)
        if memory.tobytes() != other_memory.tobytes():
            word = int(np.flatnonzero(memory.view(np.int64) != other_memory.view(np.int64))[0])
            values = f"{memory[word]!r} as plain Python and {other_memory[word]!r} compiled"
            raise Broken(f"leaves memory[{word}] at {values}; {_PITFALLS}")
        if question.changed(other):
            raise Broken(f"compiled, writes to {question.changed(other)}; {question.contract.may_write}")


def _memory_of(question: Question) -> Floats:
    memory: Floats = getattr(question, MEMORY, np.zeros(MEMORY_WORDS))
    return memory


def _ask_compiled(policy: Policy, question: Question) -> int:
    try:
        with np.errstate(all="ignore"):
            return policy(*question.arguments)
    except Exception as error:
        raise Broken(f"compiled, raises {type(error).__name__}: {error}; a policy must answer every question") from error


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


def _ask(policy: Policy, question: Question, file: str, watch: _Watch | None = None) -> Any:
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
        what = f"raises {type(error).__name__}: {error}; a policy must stand every question, memory and params"
        raise Broken(what, watch.line) from error
    finally:
        sys.settrace(before)
