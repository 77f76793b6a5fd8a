"""Each rule exists once: a run differs, or fails, when the body of any function of `policies` is taken away."""

import pytest
from plainly import together
from rules import NOTICED

# Nothing to notice, each for its reason.
EXCUSED = {
    "policies.routing.unplugged = 0": "stands in a place that no shipped policy calls",
    "policies.estimators.estimate_input_tokens = 0": "for whoever turns calls into requests: a workload says the truth",
    "policies.estimators.estimate_complexity = 0": "the same",
    "policies.estimators.token_rule = None": "the same",
    "policies.estimators._by_doublings = 0": "the same",
    "policies.leases.next_share = 0": "who has which share is decided in Redis, by a script that a test compares with it",
    "policies.leases.least_since = 0": "for whoever tells a gateway of its shares",
    "policies.leases.alone_share = 0": "the same",
    "policies.leases.demand_of = None": "the same",
    "policies.leases.lags = True": "the same",
    "policies.leases.lags = False": "the same",
    "policies.agenda.grown = None": "room for more events than these worlds have",
    "policies.agenda.is_short_of_room = False": "the same",
    "policies.change._demand_alike = None": "refuses bundles that cannot follow, and decides nothing",
    "policies.change.compile_changes = None": "compiles ahead",
    "policies.feed.is_short = False": "these worlds do not fill a log",
    "policies.feed.plan_out = None": "each step does the same first; only a change in many portions needs it",
    "policies.waiting._may_use = True": "a short cut: room is offered in vain, and nobody takes it",
    "policies.capacity.counts_shares = True": "a short cut: shares counted in vain where nobody reads them",
}  # fmt: skip


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    halves = together("rules.py", [[0, 2], [1, 2]])
    return halves[0] | halves[1]


def test_every_rule_counts(verdicts):
    idle = {name: verdict for name, verdict in verdicts.items() if verdict != NOTICED}
    assert {name for name in idle if name not in EXCUSED} == set()


def test_no_excuse_is_stale(verdicts):
    assert {name for name in EXCUSED if verdicts.get(name) == NOTICED or name not in verdicts} == set()
