"""How requests end unserved: rejected, expired or cancelled, each for a reason that must be true."""

from typing import TYPE_CHECKING

from forge1sim.check.case import FLYING, NEW, REFUSED, RESTING, WAITING, Case
from forge1sim.check.money import output_of
from policies import log

if TYPE_CHECKING:
    from forge1sim.check.checker import Checker, Values

# No deployment may ever serve it, as things are.
_NEVER = (log.NOT_ELIGIBLE, log.TOO_LARGE, log.REQUEST_BUDGET, log.TENANT_BUDGET)
# It would have to wait, and nobody may.
_NOT_NOW = (log.NO_CAPACITY, log.COOLING, log.RESERVED, log.BEHIND_OTHERS, log.POLICY_WAITS)
# A gateway has at least so many rows for kinds of waiting requests.
_LEAST_KINDS = 64


class Endings:
    """Checks rows that end a request unserved."""

    def __init__(self, checker: "Checker") -> None:
        self._checker = checker
        self._notes, self._facts = checker.notes, checker.facts

    def forget(self, case: Case) -> None:
        """The request has ended; a later row about it is a finding."""
        self._checker.cases.pop(case.number)

    def reject(self, case: Case, code: int, row: int, limit: int, values: "Values") -> None:
        """A REJECT row."""
        del row
        states = (FLYING,) if code == log.PREEMPTED else (NEW, WAITING, REFUSED, RESTING)
        if not self._checker.be(case, log.REJECT, *states):
            return
        if case.state == FLYING:
            self._check_preempted(case)
            self._cut_short(case, values[4])
        elif case.state == REFUSED:
            self.check_after_refusal(case, log.REJECT, code)
        else:
            self._check_reason(case, code)
        self._end(case, limit, values)
        self._checker.report.rejected += 1

    def expire(self, case: Case, code: int, row: int, limit: int, values: "Values") -> None:
        """An EXPIRE row."""
        del row
        if not self._checker.be(case, log.EXPIRE, WAITING, REFUSED, RESTING):
            return
        if case.state == REFUSED:
            self.check_after_refusal(case, log.EXPIRE, code)
        else:
            self._notes.expect("deadline", f"time at which request {case.number} expires", self._notes.now_us, case.deadline_us)
        self._end(case, limit, values)
        self._checker.report.expired += 1

    def cancel(self, case: Case, code: int, row: int, limit: int, values: "Values") -> None:
        """A CANCEL row."""
        del row
        if not self._checker.be(case, log.CANCEL, WAITING, FLYING, RESTING):
            return
        self._notes.expect("fields", "reason of a cancellation", code, log.CLIENT_GONE)
        self._notes.expect("fields", "in flight", values[0] == 1, case.state == FLYING)
        if case.state == FLYING:
            self._cut_short(case, values[4])
        self._end(case, limit, values)
        self._checker.report.cancelled += 1

    def check_after_refusal(self, case: Case, kind: int, code: int) -> None:
        """What must become of a refused request: a caller's fault, spent attempts, the deadline, or another try."""
        if case.refusal == log.CALLER:
            right = log.REJECT, log.CALLER_FAULT
        elif case.attempt >= self._facts.bundle.retry.max_attempts:
            right = log.REJECT, log.ATTEMPTS_SPENT
        elif self._notes.now_us >= case.deadline_us:
            right = log.EXPIRE, log.RETRYING
        else:
            right = log.BACKOFF, log.RETRYING
        if (kind, code) != right:
            self._notes.add(
                "after_refusal",
                f"request {case.number}: {log.KIND_NAMES[kind]} ({log.REASON_NAMES.get(code, code)}) after "
                f"{log.REFUSAL_NAMES[case.refusal]}, must be {log.KIND_NAMES[right[0]]} ({log.REASON_NAMES[right[1]]})",
            )

    def _cut_short(self, case: Case, cost: int) -> None:
        """Settle an attempt of which the log tells the cost alone."""
        model = self._facts.models[self._facts.deployments[case.deployment].model]
        if self._checker.estimated:
            # Neither input nor output is known of what was cut short, but that nothing was free.
            self._checker.leave_deployment(case, (0, 0, 0), cost, cost == 0)
            return
        output_tokens, exact = output_of(case, model, cost)
        used = (case.input, case.cached, output_tokens) if cost > 0 else (0, 0, 0)
        if output_tokens > case.output:
            self._notes.add("worst_case", f"request {case.number} said {output_tokens} tokens, at most {case.output} were reserved")
        self._checker.leave_deployment(case, used, cost, exact)

    def _end(self, case: Case, limit: int, values: "Values") -> None:
        notes = self._notes
        turned_away = case.state == NEW and case.why_not == log.SYSTEM_FULL
        notes.expect("fields", "latency", values[1], 0 if turned_away else notes.now_us - case.arrive_us)
        notes.expect("ledger", f"billed to request {case.number} in all", values[2], case.billed)
        notes.expect("fields", "tier", values[3], case.tier)
        if limit >= 0 and 0 <= values[0] < notes.now_us:
            notes.add("fields", f"limit {limit} clears at {values[0]}, which is past")
        if case.state == WAITING:
            self._checker.lines.remove(case, served=False)
        self.forget(case)

    def _check_reason(self, case: Case, code: int) -> None:
        """The reason for which a request is rejected that is not in flight must be true."""
        notes, checker = self._notes, self._checker
        name = log.REASON_NAMES.get(code, str(code))
        if case.state == NEW and case.why_not is not None:
            notes.expect("turned_away", f"reason for request {case.number}", name, log.REASON_NAMES[case.why_not])
            return
        if case.state == WAITING:
            if code != log.TENANT_BUDGET or checker.choice.could_ever_go(case, checker.choice.suited(case)):
                notes.add("reason", f"request {case.number} waits and is rejected: {name}, which is not so")
            return
        checker.settled_in(case, log.REJECT)
        if not self._is_true(case, code):
            notes.add("reason", f"request {case.number} is rejected: {name}, which is not so")

    def _is_true(self, case: Case, code: int) -> bool:
        checker, queue = self._checker, self._facts.bundle.queue
        if code == log.QUEUE_FULL:
            full = checker.lines.waiting_of[case.tenant] >= queue.max_waiting_per_tenant
            return full or checker.lines.waiting >= queue.max_waiting
        if code == log.SYSTEM_FULL:
            return checker.lines.kinds() >= _LEAST_KINDS
        suited = checker.choice.suited(case)
        if code in _NEVER:
            return code == checker.choice.why_never(case) and not checker.choice.could_ever_go(case, suited)
        if code in _NOT_NOW:
            return not queue.enabled and not checker.choice.free(case, suited)
        return False

    def _check_preempted(self, case: Case) -> None:
        """An attempt is taken back only for somebody of a higher tier who is owed its place."""
        place = self._facts.deployments[case.deployment]
        owner = self._checker.asked_back()
        tiers, room = self._facts.tiers, self._checker.room
        if room.mode != "preempt" or owner is None:
            self._notes.add("preempt", f"request {case.number} is taken back, and nobody asked for its place")
            return
        above = tiers[owner.tier].rank < tiers[case.tier].rank
        if not (above and room.owes(owner, place) and room.borrows(case.tier, place)):
            self._notes.add("preempt", f"request {case.number} is taken back, request {owner.number} has no claim to {place.name}")
