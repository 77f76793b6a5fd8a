"""What rate-limit headers teach: the lower of configured and observed holds, and a level that was not known becomes known.

An answer tells what remained when the provider counted its request, at some moment between its dispatch and now.
Since then the provider has refilled for at most that long, so that more than what remained plus that refill cannot be
there: a level above it is cut. The answer to a request during which no other was under way tells all: a level below what
remained is raised. With others it would not: they may reach the provider in another order than they were sent, and since.

Where other replicas use the same account (`policies.leases`) what remains is there for all: it cuts a level above it, and where ours is not
known our share of it is.

Where it is not known what others, or we before a restart, have used, buckets start empty and each bucket is on trial
(`policies.trials`): one request goes, and its answer shows what there is. Without headers more go as answers come.
"""

from policies.compile import inlined, leaf, rare
from policies.limits import DAY, FIXED, PACED, SLIDING, bring_up, rescale, scaled
from policies.log import CONTROL, LIMIT_CHANGED
from policies.notes import note
from policies.rows import Plugged, Row
from policies.state import State
from policies.trials import end_doubt, suspect
from policies.waiting import offer_account

_LONGEST_US = 1 << 33


@rare
def know_nothing(state: State, now_us: int) -> None:
    """From now on it is not known what providers have counted so far."""
    state.pulse[0]["now_us"] = now_us
    of_providers = state.shares.size // state.tiers.size
    for row in range(min(of_providers, state.limits.size)):
        limit = state.limits[row]
        # Windows are too long to wait for: that one is spent a refusal would tell.
        if limit["window"] <= PACED:
            bring_up(state.limits, state.logs, row, now_us)
            limit["level"] = min(limit["level"], 0)
    for row in range(state.buckets.size):
        suspect(state.buckets[row], now_us)


@inlined
def see(
    state: State, slot: int, row: int, units: int, remaining: int, resets_us: int, rounded_to: int, now_us: int, user_policy: Plugged
) -> None:  # fmt: skip
    """What an answer to the request in `slot`, still in flight, says about a limit of its deployment; -1: does not say."""
    state.pulse[0]["now_us"] = now_us
    account_row = state.deployments[state.requests[slot]["deployment"]]["account"]
    changed = units > 0 and _see_amount(state, row, units, now_us)
    window = state.limits[row]["window"]
    if window <= DAY and window != SLIDING:
        if resets_us > now_us and (window == FIXED or window == DAY):
            _see_window(state, row, resets_us, now_us)
        if remaining >= 0:
            changed |= _see_level(state, slot, row, remaining, rounded_to, now_us)
    if changed:
        offer_account(state, account_row, now_us, user_policy)


@inlined
def _see_amount(state: State, row: int, units: int, now_us: int) -> bool:
    """The limit in force. Returns whether it is another than before."""
    limit = state.limits[row]
    configured = limit["rate_configured"] if limit["window"] <= PACED else limit["capacity_configured"]
    if configured <= 0:
        return False
    scale_pm = min(1000, units * 1000 // configured)
    if scale_pm == limit["scale_pm"]:
        return False
    rescale(state.limits, state.logs, row, scale_pm, now_us)
    tiers = state.tiers.size
    for tier in range(tiers):
        rescale(state.shares, state.logs, row * tiers + tier, scale_pm, now_us)
    note(state, CONTROL, LIMIT_CHANGED, -1, 0, -1, -1, row, -1, scale_pm, 0, 0, 0)
    return True


@inlined
def _see_window(state: State, row: int, resets_us: int, now_us: int) -> None:
    """When a window ends: its phase was only supposed."""
    tiers = state.tiers.size
    _move_window(state.limits[row], resets_us, now_us)
    for tier in range(tiers):
        share = state.shares[row * tiers + tier]
        if share["capacity_configured"] > 0:
            _move_window(share, resets_us, now_us)


@leaf
def _move_window(limit: Row, resets_us: int, now_us: int) -> None:
    if resets_us <= now_us + limit["window_us"]:
        limit["offset_us"] = resets_us % limit["window_us"]
        limit["stamp_us"] = resets_us - limit["window_us"]


@inlined
def _see_level(state: State, slot: int, row: int, remaining: int, rounded_to: int, now_us: int) -> bool:
    """Cut a level that cannot be, or raise one that is known to be too low. Returns whether there is room that was not."""
    request, limit = state.requests[slot], state.limits[row]
    deployment = state.deployments[request["deployment"]]
    account, bucket = state.accounts[deployment["account"]], state.buckets[deployment["bucket"]]
    of_account = account["limit_lo"] <= row < account["limit_end"]
    is_alone = request["request"] == (account["alone"] if of_account else bucket["alone"])
    bring_up(state.limits, state.logs, row, now_us)
    left = remaining * limit["unit"]
    refill = _refill(limit, now_us - request["dispatch_us"])
    is_of_others = limit["share_pm"] < 1000 and bucket["in_doubt"] == 0
    if is_of_others:
        # Each replica uses its own share (`policies.leases`): what remains, and comes in, is that of all.
        refill = scaled(refill, 1_000_000 // limit["share_pm"])
    elif limit["share_pm"] < 1000:
        left = scaled(left, limit["share_pm"])
    # What is held of others may be counted already where output counts as it is produced.
    limit["level"] = min(limit["level"], left + rounded_to * limit["unit"] + refill + limit["held"])
    if is_of_others or not is_alone:
        return False
    limit["level"] = max(limit["level"], min(left, limit["capacity"]))
    end_doubt(bucket)
    return True


@leaf
def _refill(limit: Row, elapsed_us: int) -> int:
    if limit["window"] > PACED:
        return 0
    return int(limit["capacity"]) if elapsed_us > _LONGEST_US else int(min(limit["capacity"], elapsed_us * limit["rate"]))
