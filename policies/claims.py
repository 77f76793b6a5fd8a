"""Tier policies of one's own: may this request take room of a shared limit, or is that kept for other tiers?

A tier policy is `(request, limit, tiers, params, now_us) -> answer`:

request   the REQUEST row: tier, service class, tokens; never the true output length
limit     the ROOM row, about one limit of a shared deployment: `units` that the request takes or holds,
          `capacity`, and what is `free` now
tiers     the CLAIM rows, by tier: the `share` granted to it and what is `left` of that, in units of the limit
params    the bundle's `reservation.params`
now_us    the driver's clock

It returns whether the request may take its units. It is asked where the limit has room for them, about every limit
of every deployment that might serve, and again when something ends or after ASKED_AGAIN_US. It has no memory: how
often it is asked must change nothing. See docs/tiers.md.
"""

from policies.charge import needed
from policies.compile import inlined, rare
from policies.limits import allowance, bring_up, fits
from policies.plug import ask_tier
from policies.prices import most_of
from policies.rows import Row
from policies.state import State

ASKED_AGAIN_US = 100_000


@rare
def kept_limit(state: State, slot: int, deployment: Row, now_us: int) -> int:
    """Row of the first limit of a deployment of which the tier policy keeps a request's units; -1 if it may take them all."""
    output, worst = most_of(state, slot, deployment)
    for part in range(2):
        lo, hi = deployment["own_lo"], deployment["own_hi"]
        if part == 1:
            lo, hi = deployment["bucket_lo"], deployment["bucket_hi"]
        for row in range(lo, hi):
            units = needed(state.limits[row]["charge"], state.requests[slot]["input_tokens"], output, worst)
            if not _may_take(state, row, slot, units, now_us):
                return int(row)
    return -1


@inlined
def _may_take(state: State, row: int, slot: int, units: int, now_us: int) -> bool:
    """Ask the tier policy about one limit. Who is short of the limit itself is kept out by nobody."""
    if not fits(state.limits, state.logs, row, units, now_us):
        return True
    limit, room, tiers = state.limits[row], state.room[0], state.tiers.size
    room["units"], room["dimension"] = units, limit["dimension"]
    room["capacity"], room["free"] = allowance(limit) // limit["unit"], (limit["level"] - limit["held"]) // limit["unit"]
    for tier in range(tiers):       # in whole units, rounded down
        bring_up(state.shares, state.logs, row * tiers + tier, now_us)
        share, claim = state.shares[row * tiers + tier], state.claims[tier]
        claim["share"] = allowance(share) // share["unit"]
        claim["left"] = (share["level"] - share["held"]) // share["unit"]
    return ask_tier(state.settings[0]["tier_at"], state.requests[slot], room, state.claims, state.tier_params, now_us) != 0
