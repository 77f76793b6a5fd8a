"""Accounts as the log tells them: states, keys, cooldowns of deployments, buckets and accounts.

class         who rests                                          for how long
throttle      bucket, or the account if its own limit refused    retry-after, else `throttle_s`
acceleration  the same                                           retry-after, at least `acceleration_s`
daily quota   the same                                           retry-after, else until the quota's window ends
money         account                                            retry-after, at least `money_s`
overload      deployment                                         retry-after, at least `overload_s`
failed,       deployment, after `failures_to_cool` first attempts failed within `failure_window_s`
timeout
caller        nobody
credential    the key, once; the account is out when none is left

Whom an unknown limit refuses, or for a time untold, is on trial afterwards (`forge1sim.check.trials`).
"""

from collections import defaultdict, deque

from forge1sim.check.case import Case
from forge1sim.check.facts import Facts, micro
from forge1sim.check.report import Notebook
from forge1sim.check.trials import Target, Trials
from policies.log import (
    ACCELERATION,
    ACCOUNT_STATE_NAMES,
    ACTIVE,
    CREDENTIAL,
    DAILY_QUOTA,
    DRAINING,
    FAILED,
    MONEY,
    NO_KEYS,
    ORDERABLE,
    ORDERED,
    OVERLOAD,
    SCOPE_ACCOUNT,
    SCOPE_BUCKET,
    SCOPE_DEPLOYMENT,
    STANDBY,
    THROTTLE,
    TIMEOUT,
)

UNKNOWN_QUOTA_REST_US = 3_600_000_000
_CHANGES = {
    (STANDBY, ACTIVE), (DRAINING, ACTIVE), (ORDERABLE, ORDERED), (ORDERED, ACTIVE), (ACTIVE, DRAINING),
    (DRAINING, STANDBY), (DRAINING, ORDERABLE), (ACTIVE, NO_KEYS), (DRAINING, NO_KEYS), (NO_KEYS, ACTIVE),
}  # fmt: skip
Rest = tuple[int, int, int]         # scope, row, until_us


class Accounts:
    """What state each account is in, which key it uses, and who rests until when."""

    def __init__(self, facts: Facts, notes: Notebook) -> None:
        self._facts, self._notes = facts, notes
        self.state = [account.state for account in facts.accounts]
        self.key = [0] * len(facts.accounts)
        self.in_flight = [0] * len(facts.accounts)
        self._keys_left = [account.spec.keys + account.spec.standby_keys for account in facts.accounts]
        self._ready_us = [0] * len(facts.accounts)
        self._until_us: dict[tuple[int, int], int] = {}
        # First attempts of a deployment that failed, as many as may count and as must: where windows begin is the gateway's choice.
        self._may_count: defaultdict[int, deque[int]] = defaultdict(deque)
        self._must_count: defaultdict[int, deque[int]] = defaultdict(deque)
        self._trials = Trials()
        self._expected: Rest | None = None          # a cooldown that the next rows must show
        self._lost_key = -1                         # an account whose loss of a key they must show

    def may_take(self, deployment: int) -> str | None:
        """Why a deployment must not be used now, or None."""
        place = self._facts.deployments[deployment]
        if self.state[place.account] != ACTIVE:
            return f"its account is {ACCOUNT_STATE_NAMES[self.state[place.account]]}"
        for scope, row in ((SCOPE_DEPLOYMENT, deployment), (SCOPE_BUCKET, place.bucket), (SCOPE_ACCOUNT, place.account)):
            until_us = self._until_us.get((scope, row), 0)
            if until_us > self._notes.now_us:
                return f"it rests until {until_us}"
        return next(filter(None, map(self._trials.full, self._on_trial(deployment))), None)

    def _on_trial(self, deployment: int) -> tuple[Target, Target]:
        """The bucket and the account of a deployment."""
        place = self._facts.deployments[deployment]
        return (SCOPE_BUCKET, place.bucket), (SCOPE_ACCOUNT, place.account)

    def sent(self, case: Case) -> None:
        """An attempt is sent."""
        self.in_flight[self._facts.deployments[case.deployment].account] += 1
        self._trials.sent(self._on_trial(case.deployment))

    def ended(self, case: Case, served: bool) -> None:
        """An attempt is no longer in flight."""
        self.in_flight[self._facts.deployments[case.deployment].account] -= 1
        self._trials.ended(self._on_trial(case.deployment), case.dispatch_us, served)

    def refused(self, case: Case, refusal: int, limit_row: int, retry_after_us: int) -> None:
        """Work out who must rest now; the next row has to say so where that is news."""
        rest = self._rest_of(case, refusal, limit_row, retry_after_us)
        if rest is not None and rest[2] > self._until_us.get(rest[:2], 0):
            self._expected = rest
        if refusal == CREDENTIAL:
            account = self._facts.deployments[case.deployment].account
            if case.key == self.key[account]:
                self._lost_key = account

    def _rest_of(self, case: Case, refusal: int, limit_row: int, retry_after_us: int) -> Rest | None:
        """Who rests until when; a trial begins where the refusal asks for one."""
        now_us, times = self._notes.now_us, self._facts.bundle.cooldown
        place = self._facts.deployments[case.deployment]
        account = self._facts.accounts[place.account]
        of_account = account.first_limit <= limit_row < account.first_bucket_limit
        limited = (SCOPE_ACCOUNT, place.account) if of_account else (SCOPE_BUCKET, place.bucket)
        one = (SCOPE_DEPLOYMENT, case.deployment)
        if refusal in (THROTTLE, ACCELERATION, DAILY_QUOTA) and not (limit_row in place.limits and retry_after_us > 0):
            self._trials.begin(limited, case.dispatch_us, now_us)
        factor = self._trials.factor(limited)
        rests = {
            THROTTLE: (*limited, retry_after_us or micro(times.throttle_s) * factor),
            ACCELERATION: (*limited, max(retry_after_us, micro(times.acceleration_s) * factor)),
            DAILY_QUOTA: (*limited, retry_after_us or self._quota_rest_us(limit_row)),
            MONEY: (SCOPE_ACCOUNT, place.account, max(retry_after_us, micro(times.money_s))),
            OVERLOAD: (*one, max(retry_after_us, micro(times.overload_s))),
        }
        if refusal in rests:
            scope, row, rest_us = rests[refusal]
            return scope, row, now_us + rest_us
        if refusal in (FAILED, TIMEOUT) and case.attempt == 1:
            return self._failed(case.deployment)
        return None

    def _quota_rest_us(self, limit_row: int) -> int:
        """Until the window of the quota ends; an hour where the log does not say which quota it is."""
        if 0 <= limit_row < len(self._facts.limits) and self._facts.limits[limit_row].window in ("day", "fixed"):
            limit = self._facts.limits[limit_row]
            return limit.window_us - (self._notes.now_us - limit.offset_us) % limit.window_us
        return UNKNOWN_QUOTA_REST_US

    def _failed(self, deployment: int) -> Rest | None:
        """Count a failed first attempt; the rest is due when there were too many for any choice of window.

        The rule leaves open where windows begin, so that only a cooldown is certain that
        twice the failures less one within one window length have earned.
        """
        now_us, times = self._notes.now_us, self._facts.bundle.cooldown
        may_count, must_count = self._may_count[deployment], self._must_count[deployment]
        for failures in (may_count, must_count):
            failures.append(now_us)
            while now_us - failures[0] > micro(times.failure_window_s):
                failures.popleft()
        rest = SCOPE_DEPLOYMENT, deployment, now_us + micro(times.cooldown_s)
        if len(may_count) >= times.failures_to_cool and rest[2] <= self._until_us.get(rest[:2], 0):
            must_count.clear()          # perhaps counted, but no news: it rests longer anyway
        return rest if len(must_count) >= 2 * times.failures_to_cool - 1 else None

    def cool(self, scope: int, row: int, until_us: int, refusal: int) -> None:
        """A COOL row."""
        seen = (scope, row, until_us)
        if refusal in (FAILED, TIMEOUT):
            self._check_failures(seen)
        elif seen != self._expected:
            self._notes.add("cooldown", f"scope {scope} row {row} rests until {until_us}, must be {self._expected}")
        if until_us <= self._until_us.get((scope, row), 0):
            self._notes.add("cooldown", f"the rest of scope {scope} row {row} is shortened to {until_us}")
        self._until_us[scope, row] = until_us
        self._expected = None

    def _check_failures(self, seen: Rest) -> None:
        times = self._facts.bundle.cooldown
        failures = self._may_count[seen[1]]
        right_us = self._notes.now_us + micro(times.cooldown_s)
        if seen[0] != SCOPE_DEPLOYMENT or seen[2] != right_us or len(failures) < times.failures_to_cool:
            self._notes.add(
                "cooldown", f"{seen} after {len(failures)} failures of {times.failures_to_cool}, should rest until {right_us}"
            )
        failures.clear()
        self._must_count[seen[1]].clear()

    def check_told(self) -> None:
        """What the last refusal asks for must have been told by now."""
        if self._expected is not None:
            self._notes.add("cooldown", f"no COOL row tells that {self._expected} rests")
            self._expected = None
        if self._lost_key >= 0:
            self._notes.add("keys", f"no ACCOUNT row tells that account {self._lost_key} has lost a key")
            self._lost_key = -1

    def changed(self, row: int, new: int, ready_us: int, key: int) -> None:
        """An ACCOUNT row."""
        notes, old = self._notes, self.state[row]
        if self._lost_key == row:
            self._lost_key = -1
            self.key[row] += 1
            self._keys_left[row] -= 1
            right = NO_KEYS if self._keys_left[row] <= 0 and old in (ACTIVE, DRAINING) else old
            notes.expect("account", f"state of account {row} after the loss of a key", new, right)
        elif (old, new) not in _CHANGES:
            notes.add("account", f"account {row} goes from {ACCOUNT_STATE_NAMES[old]} to {ACCOUNT_STATE_NAMES.get(new, new)}")
        elif new == ORDERED:
            lead_us = micro(self._facts.accounts[row].spec.lead_time_s)
            notes.expect("account", f"ready_us of account {row}", ready_us, notes.now_us + lead_us)
            self._ready_us[row] = ready_us
        elif old == ORDERED:
            notes.expect("account", f"time at which account {row} is ready", notes.now_us, self._ready_us[row])
        elif new in (STANDBY, ORDERABLE) and self.in_flight[row] > 0:
            notes.add("account", f"account {row} is at rest with {self.in_flight[row]} requests in flight")
        elif old == NO_KEYS and self._keys_left[row] <= 0:
            notes.add("account", f"account {row} is back without a key")
        notes.expect("keys", f"key of account {row}", key, self.key[row])
        self.state[row] = new

    def key_added(self, row: int, left: int) -> None:
        """A CONTROL row: the operator added a key."""
        self._keys_left[row] += 1
        self._notes.expect("keys", f"keys left of account {row}", left, self._keys_left[row])

    def active_in_pool(self, pool: int) -> int:
        """Active accounts of a pool."""
        return sum(
            state == ACTIVE and account.pool == pool for state, account in zip(self.state, self._facts.accounts, strict=True)
        )
