"""What a client is told whose request ended without an answer: which limit, whose, and when it clears."""

from dataclasses import dataclass

from live_adapter.tickets import Refused
from policies.log import (
    ATTEMPTS_SPENT,
    BEHIND_OTHERS,
    CALLER_FAULT,
    CLIENT_GONE,
    COOLING,
    EXPIRE,
    NO_CAPACITY,
    NOT_ELIGIBLE,
    POLICY_WAITS,
    PREEMPTED,
    QUEUE_FULL,
    REQUEST_BUDGET,
    RESERVED,
    RETRYING,
    SYSTEM_FULL,
    TENANT_BUDGET,
    TENANT_LIMIT,
    TOO_LARGE,
)

# HTTP status, a word for programs, a sentence for people
_SAID: dict[int, tuple[int, str, str]] = {
    NO_CAPACITY: (429, "no_capacity", "no deployment that may serve this request has room"),
    COOLING: (429, "cooling", "all deployments that may serve this request are resting after refusals of their provider"),
    RESERVED: (429, "reserved", "what is free is reserved for other tiers"),
    BEHIND_OTHERS: (429, "behind_others", "other requests were first in line"),
    QUEUE_FULL: (429, "queue_full", "too many requests are waiting already"),
    POLICY_WAITS: (429, "policy_waits", "the routing policy chose to wait"),
    RETRYING: (502, "retrying", "the provider refused, and the deadline came before the next attempt"),
    TENANT_LIMIT: (429, "tenant_limit", "your own rate limit is used up"),
    TENANT_BUDGET: (402, "tenant_budget", "your budget does not cover the most that this request may cost"),
    REQUEST_BUDGET: (402, "request_budget", "the request's budget does not cover the most that it may cost"),
    NOT_ELIGIBLE: (403, "not_eligible", "your contract opens no deployment of this model"),
    TOO_LARGE: (413, "too_large", "the request is larger than any deployment open to it takes"),
    ATTEMPTS_SPENT: (502, "attempts_spent", "the provider failed at every attempt"),
    CALLER_FAULT: (400, "caller_fault", "the provider refused the request as it is"),
    PREEMPTED: (503, "preempted", "the place was taken back by the tier that it is reserved for"),
    CLIENT_GONE: (499, "client_gone", "the client is gone"),
    SYSTEM_FULL: (503, "system_full", "the gateway holds as many requests as it can"),
}
_UNKNOWN = (503, "refused", "the request could not be served")
_LONGEST_RETRY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An error answer: HTTP status, a word, a sentence, and after how many seconds another try makes sense (0: not known)."""

    status: int
    code: str
    message: str
    retry_after_s: int


def told_of(refused: Refused, limit_names: list[str], now_us: int) -> Told:
    """What a client is told. `limit_names` are those of the layout; others are the tenant's own."""
    status, code, sentence = _SAID.get(refused.reason, _UNKNOWN)
    if refused.kind == EXPIRE:
        status, sentence = 504, f"the deadline has passed: {sentence}"
    retry_after_s, more = 0, ""
    if refused.limit >= 0:
        more = f" ({limit_names[refused.limit]})" if refused.limit < len(limit_names) else " (your own limit)"
    if refused.clears_us > now_us:
        retry_after_s = min(_LONGEST_RETRY_S, -(-(refused.clears_us - now_us) // 1_000_000))
        more += f"; there will be room in {retry_after_s} s"
    return Told(status=status, code=code, message=f"{sentence}{more}.", retry_after_s=retry_after_s)
