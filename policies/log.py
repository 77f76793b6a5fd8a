"""The one log: what happened and what was decided, as fixed rows of 72 bytes.

The simulator's event log, the live journal, `--explain`, metrics, ledger and checker read
these rows and nothing else. Its hash is SHA-256 over the little-endian rows in order.

Fields that mean the same in every row: `time_us` since the epoch; `request`, its number in
order of arrival from 0 (-1: none); `kind`; `attempt` from 1 (0: none yet); `deployment` and
`tenant` rows (-1: none). The others by kind:

kind      code            limit          v0                v1               v2           v3             v4
ARRIVE    service class   model wanted   input tokens      max output       deadline_us  budget nano    complexity per mille
                          (-1: auto)     | cached << 32
DISPATCH  1: was queued   tier           held cost nano    input + max out  wait_us      price version  0
COMPLETE  0               tier           input             output           cost nano    latency_us     wait_us | quality per mille << 48
                                         | cached << 32                     of attempt   since arrival
REFUSED   refusal class   limit row -1   retry_after_us    cooled until_us  cost nano    0              in flight for us
QUEUE     reason          limit row -1   segment           waiting in all   0            0              0
BACKOFF   reason          -1             retry at_us       0                0            0              0
REJECT    reason          limit row -1   clears at_us -1   latency_us       cost nano    tier           0
EXPIRE    reason          limit row -1   clears at_us -1   latency_us       cost nano    tier           0
CANCEL    reason          -1             1: in flight, -1  latency_us       cost nano    tier           cost nano of the attempt cut short
COOL      scope           -1             scope row         until_us         class        0              0
ACCOUNT   account state   -1             account row       ready at_us      utilization per mille 0     0
TICK      0               -1             pool row          utilization pm   accounts     0              0
CONTROL   control kind    limit row -1   account row -1    value            0            0              0

COMPLETE, REJECT, EXPIRE and CANCEL end a request; each request has exactly one of them.
v2 of REJECT, EXPIRE and CANCEL is all that the request was billed: the attempts on its REFUSED
rows, and v4: the attempt that a CANCEL in flight, or a REJECT for PREEMPTED, cut short.
"""

import numpy as np

SCHEMA_VERSION = 1

ROW = np.dtype(
    [
        ("time_us", "<i8"), ("request", "<i8"),
        ("kind", "u1"), ("code", "u1"), ("attempt", "<u2"), ("deployment", "<i4"),
        ("tenant", "<i4"), ("limit", "<i4"),
        ("v0", "<i8"), ("v1", "<i8"), ("v2", "<i8"), ("v3", "<i8"), ("v4", "<i8"),
    ]
)  # fmt: skip

# the lower one of two numbers in a value
LOW_32, LOW_48 = (1 << 32) - 1, (1 << 48) - 1

# kinds
ARRIVE, DISPATCH, COMPLETE, REFUSED, QUEUE, BACKOFF = 1, 2, 3, 4, 5, 6
REJECT, EXPIRE, CANCEL = 7, 8, 9
COOL, ACCOUNT, TICK, CONTROL = 10, 11, 12, 13
KIND_NAMES = {
    ARRIVE: "arrive", DISPATCH: "dispatch", COMPLETE: "complete", REFUSED: "refused",
    QUEUE: "queue", BACKOFF: "backoff", REJECT: "reject", EXPIRE: "expire", CANCEL: "cancel",
    COOL: "cool", ACCOUNT: "account", TICK: "tick", CONTROL: "control",
}  # fmt: skip

# refusal classes (code of REFUSED)
THROTTLE, ACCELERATION, DAILY_QUOTA, MONEY, OVERLOAD, FAILED, TIMEOUT, CALLER, CREDENTIAL = range(1, 10)
REFUSAL_NAMES = {
    THROTTLE: "throttle", ACCELERATION: "acceleration", DAILY_QUOTA: "daily_quota", MONEY: "money",
    OVERLOAD: "overload", FAILED: "failed", TIMEOUT: "timeout", CALLER: "caller", CREDENTIAL: "credential",
}  # fmt: skip

# reasons (code of QUEUE, BACKOFF, REJECT, EXPIRE, CANCEL)
(
    NO_REASON, NO_CAPACITY, COOLING, RESERVED, BEHIND_OTHERS, QUEUE_FULL, TENANT_LIMIT, TENANT_BUDGET,
    REQUEST_BUDGET, NOT_ELIGIBLE, TOO_LARGE, ATTEMPTS_SPENT, CALLER_FAULT, PREEMPTED, CLIENT_GONE,
    POLICY_WAITS, SYSTEM_FULL, RETRYING,
) = range(18)  # fmt: skip
REASON_NAMES = {
    NO_REASON: "none", NO_CAPACITY: "no_capacity", COOLING: "cooling", RESERVED: "reserved",
    BEHIND_OTHERS: "behind_others", QUEUE_FULL: "queue_full", TENANT_LIMIT: "tenant_limit",
    TENANT_BUDGET: "tenant_budget", REQUEST_BUDGET: "request_budget", NOT_ELIGIBLE: "not_eligible",
    TOO_LARGE: "too_large", ATTEMPTS_SPENT: "attempts_spent", CALLER_FAULT: "caller_fault",
    PREEMPTED: "preempted", CLIENT_GONE: "client_gone", POLICY_WAITS: "policy_waits",
    SYSTEM_FULL: "system_full", RETRYING: "retrying",
}  # fmt: skip

# scopes (code of COOL)
SCOPE_DEPLOYMENT, SCOPE_BUCKET, SCOPE_ACCOUNT = 0, 1, 2
# account states (code of ACCOUNT)
ACTIVE, STANDBY, ORDERABLE, ORDERED, DRAINING, NO_KEYS = 0, 1, 2, 3, 4, 5
ACCOUNT_STATE_NAMES = {
    ACTIVE: "active", STANDBY: "standby", ORDERABLE: "orderable", ORDERED: "ordered",
    DRAINING: "draining", NO_KEYS: "no_keys",
}  # fmt: skip
# control kinds (code of CONTROL)
LIMIT_CHANGED, KEY_REVOKED, KEY_ADDED, BUNDLE_CHANGED, SHARE_CHANGED = 1, 2, 3, 4, 5
CONTROL_NAMES = {
    LIMIT_CHANGED: "limit_changed", KEY_REVOKED: "key_revoked", KEY_ADDED: "key_added", BUNDLE_CHANGED: "bundle_changed",
    SHARE_CHANGED: "share_changed",
}  # fmt: skip
