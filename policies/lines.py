"""Who comes first: the line in front of every deployment, and between deployments that share a limit.

First in line is who is owed a guaranteed share there, then who has the highest aged priority;
inside a tier the fair-share tag decides. A deployment is kept for its first in line: who is
behind does not overtake, so a large request is never starved by small ones. Deployments that
draw on one limit of the account, or of the bucket, are kept for the first in line of all of
them that is short of that very limit (`short`); whom only a reservation keeps out stops nobody.
"""

from policies import capacity
from policies.compile import inlined, leaf
from policies.prices import most_of
from policies.queues import is_ahead
from policies.refusals import resting_until_us
from policies.rows import Row
from policies.state import NO_SLOT, State

# what the first in line of a deployment is short of: nothing, its bucket's limits, its account's
SHORT_OF_BUCKET, SHORT_OF_ACCOUNT = 1, 2
# to whom the first in line yields: nobody, one who cannot go, one who is looked at in this moment
YIELDS, YIELDS_FOR_NOW = 1, 2
# instead of a slot: somebody waits, and who is first in line is found out when the deployment no longer rests
UNSEEN = -2


@leaf
def _is_higher(state: State, one: int, other: int) -> bool:
    """Whether request `one` has the higher aged priority; both age alike, so that time changes nothing."""
    first, second = state.requests[one], state.requests[other]
    lead = state.tiers[first["tier"]]["priority_milli"] - state.tiers[second["tier"]]["priority_milli"]
    aged = state.settings[0]["aging_milli_per_s"] * (second["arrive_us"] - first["arrive_us"])
    score = lead * 1_000_000 + aged
    return bool(score > 0 or (score == 0 and first["request"] < second["request"]))


@inlined
def is_owed(state: State, slot: int, deployment: Row, now_us: int) -> bool:
    """Whether the request's tier is owed room on this deployment by its guaranteed share."""
    if not has_floor(state, state.requests[slot]["tier"]) or deployment["shared"] == 0:
        return False
    output, worst = most_of(state, slot, deployment)
    return capacity.is_owed(state, slot, deployment, output, worst, now_us)


@leaf
def has_floor(state: State, tier: int) -> bool:
    """Whether a tier's guaranteed share gives it a place ahead of others."""
    mode = state.settings[0]["reservation"]
    return bool((mode == capacity.FLOOR or mode == capacity.PREEMPT) and state.tiers[tier]["share_pm"] > 0)


@inlined
def goes_before(state: State, one: int, there: Row, other: int, here: Row, now_us: int) -> bool:
    """Whether request `one`, on deployment `there`, is served before `other` on deployment `here`."""
    if state.requests[one]["tier"] == state.requests[other]["tier"]:
        return is_ahead(state.requests, one, other)
    if _is_higher(state, one, other):
        return not is_owed(state, other, here, now_us) or is_owed(state, one, there, now_us)
    return is_owed(state, one, there, now_us) and not is_owed(state, other, here, now_us)


@inlined
def find_champions(state: State, deployment_row: int) -> None:
    """Note of each tier who is first in line on this deployment."""
    count = state.pulse[0]["waiting_segments"]
    width = state.deployments.size
    for tier in range(state.tiers.size):
        state.tiers[tier]["champion"] = NO_SLOT
    for place in range(count):
        segment_row = state.waiting[place]
        if state.eligible[segment_row * width + deployment_row] == 0:
            continue
        segment = state.segments[segment_row]
        head = segment["head"]
        tier = state.tiers[segment["tier"]]
        if tier["champion"] == NO_SLOT or is_ahead(state.requests, head, tier["champion"]):
            tier["champion"] = head


@inlined
def best_champion(state: State, deployment: Row, now_us: int) -> int:
    """Of the first of each tier, the one that is served first; NO_SLOT if there is none."""
    best = NO_SLOT
    for row in range(state.tiers.size):
        champion = state.tiers[row]["champion"]
        if champion != NO_SLOT and (best == NO_SLOT or goes_before(state, champion, deployment, best, deployment, now_us)):
            best = champion
    return best


@leaf
def armed_for(state: State, deployment: Row) -> int:
    """Who was first in line when the deployment's timer was set last, if it still heads its segment; else NO_SLOT."""
    slot = deployment["armed_for"]
    if slot < 0 or state.segments[deployment["armed_segment"]]["head"] != slot:
        return NO_SLOT
    return int(slot) if state.requests[slot]["request"] == deployment["armed_request"] else NO_SLOT


@inlined
def must_yield(state: State, slot: int, deployment_row: int, now_us: int) -> int:
    """YIELDS or YIELDS_FOR_NOW if on another deployment that draws on the same limits somebody comes first; else 0."""
    deployment = state.deployments[deployment_row]
    if deployment["beside"] == 0:
        return 0
    account = state.accounts[deployment["account"]]
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        row = state.account_deployments[place]
        other = state.deployments[row]
        if row == deployment_row or other["armed_for"] == NO_SLOT:
            continue
        # Who is short of nothing and yields to nobody waited for a rest to end: it is looked at in this moment, too.
        rested = other["armed_for"] == UNSEEN or (other["short"] == 0 and other["yields"] == 0)
        about_to = rested or other["wake_us"] <= now_us
        if not (about_to or other["short"] > 0):
            continue
        alike = other["bucket"] == deployment["bucket"]
        if not alike and (account["limit_hi"] == account["limit_lo"] or (other["short"] == SHORT_OF_BUCKET and not about_to)):
            continue
        if resting_until_us(state, other) > now_us:
            continue
        if other["armed_for"] == UNSEEN:
            return YIELDS_FOR_NOW
        first = armed_for(state, other)
        if first != NO_SLOT and first != slot and goes_before(state, first, other, slot, deployment, now_us):
            return YIELDS_FOR_NOW if about_to else YIELDS
    return 0


@inlined
def stands_behind(state: State, slot: int, deployment_row: int, now_us: int) -> bool:
    """Whether a request that does not wait finds somebody ahead of it on a deployment that has room for it.

    The first of any tier who waits here and is served before it, if it stood in line, too; or
    somebody on another deployment who is short of a limit that both draw on.
    """
    deployment = state.deployments[deployment_row]
    if deployment["waiting_segments"] > 0 and _stands_behind_here(state, slot, deployment_row, now_us):
        return True
    return must_yield(state, slot, deployment_row, now_us) > 0


@inlined
def _stands_behind_here(state: State, slot: int, deployment_row: int, now_us: int) -> bool:
    deployment = state.deployments[deployment_row]
    find_champions(state, deployment_row)
    for tier in range(state.tiers.size):
        champion = state.tiers[tier]["champion"]
        if champion == NO_SLOT or not goes_before(state, champion, deployment, slot, deployment, now_us):
            continue
        if not capacity.is_kept_out(state, champion, deployment, now_us):
            return True
    return False
