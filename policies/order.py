"""The one total order of events: (time, kind, request, attempt). Nobody breaks ties by insertion.

At one moment ends come before beginnings: what frees room is seen by what needs it. Events
that concern no request use the number of their row instead.
"""

from policies.compile import compiled

# kinds of events, in the order in which they happen at one moment
CONTROLLED, ANSWERED, CANCELLED, EXPIRED, READY, TICKED, WOKEN, RETRIED, ARRIVED = range(9)
_ATTEMPT_BITS = 6
_REQUEST_BITS = 50


@compiled
def tie_key(kind: int, request: int, attempt: int) -> int:
    """Orders events of equal time. `request` is below 2**50, `attempt` below 64."""
    return (kind << (_REQUEST_BITS + _ATTEMPT_BITS)) | (request << _ATTEMPT_BITS) | attempt


@compiled
def event_kind(key: int) -> int:
    """The kind of event that a tie key was made for."""
    return key >> (_REQUEST_BITS + _ATTEMPT_BITS)


@compiled
def event_request(key: int) -> int:
    """The request, or row, that a tie key was made for."""
    return (key >> _ATTEMPT_BITS) & ((1 << _REQUEST_BITS) - 1)
