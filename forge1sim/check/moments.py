"""Time in a log: it never goes back, and what is due at a time has happened when it moves on."""

import heapq
from collections.abc import Callable

from forge1sim.check.case import RESTING, WAITING, Case
from forge1sim.check.facts import NEVER_US
from forge1sim.check.report import Notebook
from policies.log import ARRIVE, CANCEL, COMPLETE, REFUSED, TICK

# At one moment answers come before cancellations, scaling ticks and arrivals.
_AFTER_ANSWERS = (CANCEL, TICK, ARRIVE)


class Moments:
    """Follows the time of the rows, deadlines and retries that are due."""

    def __init__(self, notes: Notebook, cases: dict[int, Case], start_us: int, leave: Callable[[], None] | None) -> None:
        self._notes, self._cases, self._leave = notes, cases, leave
        self._deadlines: list[tuple[int, int]] = []
        self._retries: list[tuple[int, int]] = []
        self._answered = -1               # highest request answered at this moment
        self._answers_over = False
        notes.now_us = start_us

    def watch_deadline(self, case: Case) -> None:
        """It must not wait or rest after its deadline."""
        if case.deadline_us < NEVER_US:
            heapq.heappush(self._deadlines, (case.deadline_us, case.number))

    def watch_retry(self, case: Case) -> None:
        """It must try again when its backoff is over."""
        heapq.heappush(self._retries, (case.retry_us, case.number))

    def move_to(self, time_us: int, kind: int, number: int) -> None:
        """The next row is of this time and kind."""
        notes = self._notes
        if time_us < notes.now_us:
            notes.add("time", f"time goes back from {notes.now_us} to {time_us}")
        elif time_us > notes.now_us:
            self._close(time_us)
            notes.now_us = time_us
            self._answered, self._answers_over = -1, False
        if kind in (COMPLETE, REFUSED):
            if self._answers_over or number <= self._answered:
                notes.add("events", f"the answer to request {number} comes after an event that it precedes")
            self._answered = number
        elif kind in _AFTER_ANSWERS:
            self._answers_over = True

    def close(self) -> None:
        """The log ends."""
        self._close(self._notes.now_us + 1)

    def _close(self, before_us: int) -> None:
        """All that was due before this time must have happened."""
        if self._leave is not None:
            self._leave()
        while self._deadlines and self._deadlines[0][0] < before_us:
            due_us, number = heapq.heappop(self._deadlines)
            case = self._cases.get(number)
            if case is not None and case.state in (WAITING, RESTING):
                self._notes.add("deadline", f"request {number} is {case.state} after its deadline {due_us}")
        while self._retries and self._retries[0][0] < before_us:
            due_us, number = heapq.heappop(self._retries)
            case = self._cases.get(number)
            if case is not None and case.state == RESTING and case.retry_us == due_us:
                self._notes.add("retry", f"request {number} was due to try again at {due_us} and did not")
