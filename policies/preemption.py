"""Borrow with preemption: the owner of a floor takes a borrowed slot back at once."""

from policies import capacity
from policies.compile import inlined, rare
from policies.limits import IN_FLIGHT as SLOTS
from policies.lines import is_owed
from policies.rows import Row
from policies.state import NO_SLOT, State


@inlined
def _borrows(state: State, deployment: Row, tier: int) -> bool:
    """Whether a tier has more requests in flight here than its share of some concurrency limit."""
    tiers = state.tiers.size
    for part in range(2):
        lo, hi = capacity.limit_range(state, deployment, part)
        for row in range(lo, hi):
            if state.limits[row]["window"] == SLOTS:
                share = state.shares[row * tiers + tier]
                if share["held"] > share["capacity"]:
                    return True
    return False


@rare
def borrowed_victim(state: State, slot: int, bits: int, now_us: int) -> int:
    """Slot of the request to take back: lowest tier first, then the newest; NO_SLOT if nothing is owed."""
    request = state.requests[slot]
    access = state.tenants[request["tenant"]]["access"] * state.deployments.size
    victim = NO_SLOT
    for row in range(state.deployments.size):
        deployment = state.deployments[row]
        if state.open[access + row] == 0 or not bits >> deployment["model"] & 1:
            continue
        if not is_owed(state, slot, deployment, now_us):
            continue
        other = deployment["newest"]
        while other != NO_SLOT:
            tier = state.requests[other]["tier"]
            lower = state.tiers[tier]["rank"] > state.tiers[request["tier"]]["rank"]
            worse = victim == NO_SLOT or state.tiers[tier]["rank"] > state.tiers[state.requests[victim]["tier"]]["rank"]
            if lower and worse and _borrows(state, deployment, tier):
                victim = other
            other = state.requests[other]["next"]
    return victim
