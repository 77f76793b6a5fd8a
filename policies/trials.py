"""Trials: who was refused for a limit that we do not know lets requests in one by one.

A bucket or account is on trial after such a refusal (`policies.refusals`). When its rest is over
one request goes and the others wait for its answer. Each answer that was served lets one more be
in flight at once, so that their number doubles from round to round; a refusal for a limit puts it
back to one, and while not even the first is served each rest is twice as long as the one before,
up to `MOST_DOUBLINGS`. What was sent before the refusal tells nothing and counts for nothing.
"""

from policies.compile import leaf, rare
from policies.rows import Row

MOST_DOUBLINGS = 4


@rare
def begin_trial(target: Row, sent_us: int, now_us: int) -> None:
    """A bucket or account refused for a limit what was sent to it at `sent_us`."""
    if target["trial_most"] == 1 and sent_us > target["trial_since_us"]:
        target["trial_doublings"] = min(target["trial_doublings"] + 1, MOST_DOUBLINGS)
    target["trial_most"] = 1
    target["trial_count"] = 0
    target["trial_since_us"] = now_us
    target["in_doubt"] = 0


@leaf
def is_tried_enough(target: Row) -> bool:
    """Whether as many are in flight as the trial allows."""
    return bool(0 < target["trial_most"] <= target["trial_count"])


@leaf
def enter_trial(target: Row) -> None:
    """A request is sent."""
    if target["trial_most"] > 0:
        target["trial_count"] += 1


@leaf
def leave_trial(target: Row, sent_us: int, served: bool) -> bool:
    """A request that was sent at `sent_us` is no longer in flight. Returns whether there is a trial."""
    if target["trial_most"] > 0 and sent_us > target["trial_since_us"]:
        target["trial_count"] -= 1
        if served:
            target["trial_most"] += 1
            target["trial_doublings"] = 0
    return bool(target["trial_most"] > 0)


@rare
def suspect(target: Row, now_us: int) -> None:
    """What a bucket has left is not known: the first answer may tell."""
    begin_trial(target, now_us, now_us)
    target["trial_doublings"] = 0
    target["in_doubt"] = 1


@leaf
def end_doubt(target: Row) -> None:
    """What is left is known. A trial for a refusal goes on: it is of a limit that headers do not tell of."""
    if target["in_doubt"] == 1:
        target["in_doubt"], target["trial_most"], target["trial_count"] = 0, 0, 0
