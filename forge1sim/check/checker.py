"""The checker: one pass over a log, one method for each kind of row.

What a row claims is compared with what the rules allow, worked out from the rows before it. A
row that breaks a rule is then taken as it is, so that one bug is told once or a few times.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from forge1sim.check.accounts import Accounts
from forge1sim.check.case import FLYING, NEW, REFUSED, RESTING, WAITING, Case
from forge1sim.check.choice import Choice, quality_pm
from forge1sim.check.endings import Endings
from forge1sim.check.facts import Facts, micro
from forge1sim.check.limiters import Limiter, limiter_of
from forge1sim.check.lines import Group, Lines
from forge1sim.check.moments import Moments
from forge1sim.check.money import Ledger, cost_nano, most_output, worst_nano
from forge1sim.check.report import EnoughFindings, Notebook, Report
from forge1sim.check.room import Room
from policies import log
from policies.bundle import PolicyBundle
from policies.schema import Platform

Values = tuple[int, int, int, int, int]
_LOW_WORD = 2**32 - 1
_LIMIT_CLASSES = (log.THROTTLE, log.ACCELERATION, log.DAILY_QUOTA, log.MONEY)


def check_log(
    chunks: Iterable[NDArray[np.void]], platform: Platform, bundle: PolicyBundle, *, start_us: int,
    expect_no_refusals: bool = False, work_conservation: bool = True, estimated: bool = False, most_findings: int = 100,
) -> Report:  # fmt: skip
    """Check a whole log, in order, against the rules of its platform and bundle.

    Args:
        chunks: rows of `policies.log.ROW`, from the first row of the run on.
        platform, bundle: what the run was given.
        start_us: when the run began, in microseconds since the epoch.
        expect_no_refusals: the configuration is right and nothing goes wrong, so that a provider
            that refuses for a limit is a finding.
        work_conservation: also look, whenever time moves on, for deployments that stand idle
            while somebody waits for them. Takes most of the time where much is queued.
        estimated: the gateway did not know input tokens and complexity, so that what it held may fall short.
        most_findings: stop after so many.
    """
    checker = Checker(Facts(platform, bundle, start_us), expect_no_refusals, work_conservation, estimated, most_findings)
    return checker.check(chunks)


class Checker:
    """What is known after the rows so far."""

    def __init__(
        self, facts: Facts, expect_no_refusals: bool, work_conservation: bool, estimated: bool, most_findings: int
    ) -> None:
        self.facts, self.report = facts, Report()
        self.notes = Notebook(self.report, most_findings)
        self.cases: dict[int, Case] = {}
        self._no_refusals, self.estimated = expect_no_refusals, estimated
        self.room = Room(facts, self.notes, estimated)
        self.ledger = Ledger(facts, self.notes, self.report)
        self.accounts = Accounts(facts, self.notes)
        self.lines = Lines(facts, self.notes, self.room, self.accounts)
        self.choice = Choice(facts, self.room, self.ledger, self.accounts, self.lines)
        self.moments = Moments(self.notes, self.cases, facts.start_us, self._leave_moment if work_conservation else None)
        self.endings = Endings(self)
        self._tenant_limits: dict[int, list[Limiter]] = {}
        self._must_follow: Case | None = None
        self._owed_since: dict[tuple[int, int], int] = {}
        self._asks_back: Case | None = None         # the last request that began to wait, and when
        self._on = {
            log.ARRIVE: self._arrive, log.DISPATCH: self._dispatch, log.COMPLETE: self._complete, log.REFUSED: self._refused,
            log.QUEUE: self._queue, log.BACKOFF: self._back_off, log.REJECT: self.endings.reject,
            log.EXPIRE: self.endings.expire, log.CANCEL: self.endings.cancel,
        }  # fmt: skip

    def check(self, chunks: Iterable[NDArray[np.void]]) -> Report:
        """Read all rows; returns the report."""
        try:
            for chunk in chunks:
                for row in chunk.tolist():
                    self._row(*row)
                    self.notes.row += 1
            self.moments.close()
        except EnoughFindings:
            self.report.complete = False
        self.report.rows, self.report.in_system = self.notes.row, len(self.cases)
        return self.report

    def _row(
        self, time_us: int, number: int, kind: int, code: int, attempt: int, deployment: int, tenant: int, limit: int,
        *values: int,
    ) -> None:  # fmt: skip
        self.moments.move_to(time_us, kind, number)
        if kind not in (log.COOL, log.ACCOUNT):
            self.accounts.check_told()
        if kind == log.ARRIVE:
            self._check_followed(None)
            self._arrive(number, code, attempt, deployment, tenant, limit, values)  # type: ignore[arg-type]
            return
        if kind in self._on:
            case = self.cases.get(number)
            self._check_followed(case)
            if case is None:
                known = 0 <= number < self.report.requests
                self.notes.add("life", f"{log.KIND_NAMES[kind]} of request {number}, which {'has ended' if known else 'never arrived'}")
                return
            self._check_names(case, kind, attempt, deployment, tenant)
            self._on[kind](case, code, deployment, limit, values)  # type: ignore[operator]
            return
        self._other(kind, code, values)  # type: ignore[arg-type]

    def _other(self, kind: int, code: int, values: Values) -> None:
        """Rows that concern no request."""
        if kind == log.COOL:
            self.accounts.cool(code, values[0], values[1], values[2])
        elif kind == log.ACCOUNT:
            self.accounts.changed(values[0], code, values[1], values[3])
        elif kind == log.CONTROL and code == log.LIMIT_CHANGED:
            self.room.rescale(values[0], values[1])
        elif kind == log.CONTROL and code == log.KEY_ADDED:
            self.accounts.key_added(values[0], values[1])
        elif kind == log.TICK:
            self.notes.expect("tick", f"active accounts of pool {values[0]}", values[2], self.accounts.active_in_pool(values[0]))
        elif kind != log.CONTROL:
            self.notes.add("life", f"{kind} is no kind of row")

    def _check_followed(self, case: Case | None) -> None:
        """A request that has just arrived or was refused is told of next."""
        awaited, self._must_follow = self._must_follow, None
        if awaited is not None and awaited is not case:
            self.notes.add("life", f"request {awaited.number} is {awaited.state} and the log does not say what became of it")

    def _check_names(self, case: Case, kind: int, attempt: int, deployment: int, tenant: int) -> None:
        self.notes.expect("life", f"tenant of request {case.number}", tenant, case.tenant)
        self.notes.expect("life", f"attempt of request {case.number}", attempt, case.attempt + (kind == log.DISPATCH))
        if case.state == FLYING:
            self.notes.expect("life", f"deployment of request {case.number}", deployment, case.deployment)

    def be(self, case: Case, kind: int, *states: str) -> bool:
        """Whether a request is in one of the states in which a row of this kind is possible."""
        if case.state in states:
            return True
        self.notes.add("life", f"{log.KIND_NAMES[kind]} of request {case.number}, which is {case.state}")
        return False

    # what happens to a request

    def _arrive(self, number: int, code: int, attempt: int, deployment: int, tenant: int, wanted: int, values: Values) -> None:
        del code, attempt, deployment
        self.notes.expect("life", "number of the request that arrives", number, self.report.requests)
        fact = self.facts.tenants[tenant]
        case = Case(number, self.notes.now_us, tenant, fact.tier, fact.access)
        case.input, case.cached = values[0] & _LOW_WORD, values[0] >> 32
        case.max_output, case.deadline_us, case.budget, case.complexity = values[1:]
        case.wanted = wanted
        if fact.request_budget > 0 and not 0 < case.budget <= fact.request_budget:
            self.notes.add("request_budget", f"budget of request {number} is {case.budget}, its tenant's bound is {fact.request_budget}")
        case.why_not = self._why_turned_away(case)
        self.cases[number] = case
        self.report.requests = max(self.report.requests, number + 1)
        self.moments.watch_deadline(case)
        self._must_follow = case

    def _why_turned_away(self, case: Case) -> int | None:
        """The reason for which a request is rejected at the door, or None; charges the tenant's limits."""
        if len(self.cases) >= self.facts.bundle.queue.max_in_system:
            return log.SYSTEM_FULL
        facts = self.facts.tenants[case.tenant].limits
        limiters = self._tenant_limits.setdefault(case.tenant, [limiter_of(fact, self.facts.start_us) for _, fact in facts])
        units = [1 if fact.charge == "requests" else case.input + case.max_output for _, fact in facts]
        pairs = list(zip(limiters, units, strict=True))
        if not all(limiter.fits(unit, self.notes.now_us) for limiter, unit in pairs):
            return log.TENANT_LIMIT
        for limiter, unit in pairs:
            limiter.take(unit, self.notes.now_us)
        return None

    def settled_in(self, case: Case, kind: int) -> None:
        """A request looks for a place: when it arrives, or when its backoff is over."""
        if case.state == NEW and case.why_not is not None:
            self.notes.add("turned_away", f"request {case.number} goes on, must be rejected: {log.REASON_NAMES[case.why_not]}")
        if case.state == RESTING:
            what = f"time of the retry ({log.KIND_NAMES[kind]}) of request {case.number}"
            self.notes.expect("retry", what, self.notes.now_us, case.retry_us)

    def _dispatch(self, case: Case, code: int, row: int, tier: int, values: Values) -> None:
        if not self.be(case, log.DISPATCH, NEW, WAITING, RESTING):
            return
        place, notes = self.facts.deployments[row], self.notes
        model = self.facts.models[place.model]
        output, worst = most_output(case, model), worst_nano(case, model)
        waited = case.state == WAITING
        self._check_eligible(case, row)
        self.settled_in(case, log.DISPATCH)
        overtaken = self.lines.overtaken(case, row)
        if overtaken is not None and not self.room.is_doubtful(place):
            notes.add(overtaken[0], f"request {case.number} overtakes request {overtaken[1].number} on {place.name}")
        if not waited:
            better = self.choice.better(case, row)
            if better is not None:
                notes.add("choice", f"request {case.number} goes to {place.name}, {self.facts.deployments[better].name} comes first")
        self._check_recovery(case, row)
        notes.expect("fields", "was queued", code, int(waited))
        notes.expect("fields", "tier", tier, case.tier)
        notes.expect("fields", "held, tokens, wait", values[:3], (worst, case.input + output, notes.now_us - case.arrive_us))
        if waited:
            self.lines.remove(case, served=True)
        self.ledger.hold(case, worst)
        self.room.reserve(case, place)
        case.state, case.deployment, case.dispatch_us, case.held, case.output = FLYING, row, notes.now_us, worst, output
        self.accounts.sent(case)
        case.key = self.accounts.key[place.account]
        case.attempt += 1

    def _check_eligible(self, case: Case, row: int) -> None:
        place, notes = self.facts.deployments[row], self.notes
        if row not in self.facts.open[case.access]:
            notes.add("eligible", f"the contract of tenant {case.tenant} does not open {place.name}")
        why = self.choice.unsuited(case, place.model)
        if why is not None:
            notes.add("eligible", f"request {case.number} on {place.name}: {why}")
        why = self.accounts.may_take(row)
        if why is not None:
            notes.add("resting", f"request {case.number} is sent to {place.name}, but {why}")
        if case.attempt >= self.facts.bundle.retry.max_attempts:
            notes.add("attempts", f"request {case.number} is sent for the {case.attempt + 1}th time")
        if notes.now_us > case.deadline_us:
            notes.add("deadline", f"request {case.number} is sent after its deadline {case.deadline_us}")

    def _check_recovery(self, case: Case, row: int) -> None:
        """Nobody waits for the floor it is owed longer than the stated time while others are served there."""
        reservation = self.facts.bundle.reservation
        if reservation.mode != "floor" or self.lines.waiting == 0:
            return
        place = self.facts.deployments[row]
        for head in self.lines.heads(row):
            if head.tier == case.tier:
                continue
            key = (row, head.number)
            if not self.room.owes(head, place) or (self.estimated and self.room.is_doubtful(place)):
                self._owed_since.pop(key, None)
            elif self.notes.now_us - self._owed_since.setdefault(key, self.notes.now_us) > micro(reservation.recovery_s):
                self.notes.add("recovery", f"request {head.number} has been owed its floor on {place.name} since {self._owed_since[key]}")

    def leave_deployment(
        self, case: Case, used_tokens: tuple[int, int, int], cost: int, exact: bool, *, served: bool = False
    ) -> None:
        """An attempt ends: settle limits and money. `served`: it was answered, and nobody cut it short."""
        place = self.facts.deployments[case.deployment]
        self.room.settle(case, place, used_tokens, cost, exact)
        self.ledger.settle(case, cost, self._most_cost(case, used_tokens[0]))
        self.accounts.ended(case, served)
        case.held = 0

    def _most_cost(self, case: Case, input_tokens: int) -> int | None:
        """The most that an attempt with so many input tokens may have cost; None: its input is not known."""
        if not self.estimated:
            return case.held
        model = self.facts.models[self.facts.deployments[case.deployment].model]
        return worst_nano(case, model, input_tokens) if input_tokens > 0 else None

    def _complete(self, case: Case, code: int, row: int, tier: int, values: Values) -> None:
        del code
        if not self.be(case, log.COMPLETE, FLYING):
            return
        notes, model = self.notes, self.facts.models[self.facts.deployments[row].model]
        input_tokens, cached_tokens, output_tokens = values[0] & _LOW_WORD, values[0] >> 32, values[1]
        cost = cost_nano(model, input_tokens, cached_tokens, output_tokens)
        notes.expect("price", f"cost of request {case.number}", values[2], cost)
        notes.expect("fields", "tier", tier, case.tier)
        notes.expect("fields", "latency", values[3], notes.now_us - case.arrive_us)
        notes.expect("fields", "wait", values[4] & (2**48 - 1), case.dispatch_us - case.arrive_us)
        if not self.estimated:
            notes.expect("fields", "quality", values[4] >> 48, quality_pm(model, case.complexity))
        self.leave_deployment(case, (input_tokens, cached_tokens, output_tokens), values[2], True, served=True)
        self.endings.forget(case)
        self.report.served += 1

    def _refused(self, case: Case, code: int, row: int, limit: int, values: Values) -> None:
        if not self.be(case, log.REFUSED, FLYING):
            return
        self.report.refused += 1
        if self._no_refusals and code in _LIMIT_CLASSES:
            self.notes.add("no_refusals", f"the provider refuses request {case.number}: {log.REFUSAL_NAMES[code]}, limit {limit}")
        self.notes.expect("fields", "time in flight", values[4], self.notes.now_us - case.dispatch_us)
        self.leave_deployment(case, (0, 0, 0), values[2], values[2] == 0)
        self.accounts.refused(case, code, limit, values[0])
        case.state, case.refusal = REFUSED, code
        self._must_follow = case

    def _queue(self, case: Case, code: int, row: int, limit: int, values: Values) -> None:
        del row, limit
        moves = case.state == WAITING and code == log.TENANT_BUDGET
        if not self.be(case, log.QUEUE, NEW, RESTING, *((WAITING,) if moves else ())):
            return
        notes, queue = self.notes, self.facts.bundle.queue
        suited = self.choice.suited(case)
        if moves:
            self._change_line(case, suited)
        self.settled_in(case, log.QUEUE)
        if self.lines.waiting >= queue.max_waiting or self.lines.waiting_of[case.tenant] >= queue.max_waiting_per_tenant:
            notes.add("queue_bound", f"request {case.number} waits beside {self.lines.waiting} others, more than the bounds allow")
        if not self.choice.could_ever_go(case, suited):
            notes.add("hopeless", f"request {case.number} waits although no deployment open to it could ever take it")
        if not queue.enabled and self.facts.bundle.reservation.mode != "preempt":
            notes.add("queue_bound", f"request {case.number} waits although nobody may")
        self.lines.push(case, suited)
        notes.expect("fields", "waiting in all", values[1], self.lines.waiting)
        case.state = WAITING
        self._asks_back = case

    def _change_line(self, case: Case, suited: frozenset[int]) -> None:
        """A request that waits goes on waiting for fewer models: its tenant's budget covers some no longer."""
        assert isinstance(case.group, Group)
        if case.group.suited <= suited:
            self.notes.add("reason", f"request {case.number} changes its line although its tenant's budget covers what it waits for")
        self.lines.remove(case, served=False)

    def asked_back(self) -> Case | None:
        """The request that has just begun to wait, in whose favour another may be preempted."""
        case = self._asks_back
        return case if case is not None and case.state == WAITING else None

    def _back_off(self, case: Case, code: int, row: int, limit: int, values: Values) -> None:
        del code, row, limit
        if not self.be(case, log.BACKOFF, REFUSED):
            return
        notes, retry = self.notes, self.facts.bundle.retry
        self.endings.check_after_refusal(case, log.BACKOFF, log.RETRYING)
        ceiling_us = min(micro(retry.backoff_s) * 2 ** (case.attempt - 1), micro(retry.backoff_max_s))
        delay_us = values[0] - notes.now_us
        if not ceiling_us // 2 <= delay_us <= ceiling_us:
            notes.add("retry", f"request {case.number} backs off {delay_us} us, must be {ceiling_us // 2} to {ceiling_us}")
        case.state, case.retry_us = RESTING, values[0]
        self.moments.watch_retry(case)

    # what holds whenever time moves on

    def _leave_moment(self) -> None:
        """No deployment stands idle while the first in line would fit."""
        if self.lines.waiting == 0 or ":" in self.facts.bundle.routing.policy:
            return
        for row, place in enumerate(self.facts.deployments):
            if self.accounts.may_take(row) is not None:
                continue
            first = self.lines.first(row)
            if first is None or not self.room.surely_has_room(first, place) or self.lines.may_yield(first, row):
                continue
            if self.ledger.affords(first, worst_nano(first, self.facts.models[place.model])):
                self.notes.add("idle", f"{place.name} has room and stands idle while request {first.number} waits, first in line")

