"""Leases: several gateways use the same accounts, each its share of every limit, and the shares add up to at most all.

A limit that refills is shared from the moment on at which the share changes: what comes in is split, what is there stays where it
is. A window's is not: whoever uses up a share and then lends it has used it all the same. So a larger share of a minute counts from the
next window on, one of what slides or is in flight after a minute, and of what lasts longer each replica has an even part.

Who has which share is decided where all can see it, by `next_share`: `live_adapter.replicas` runs the same rule as a script in Redis.
"""

from collections.abc import Sequence

from policies.compile import inlined, rare
from policies.limits import FIXED, PACED, bring_up, lease
from policies.log import CONTROL, SHARE_CHANGED
from policies.notes import note
from policies.rows import Plugged
from policies.state import State
from policies.waiting import offer_account

WHOLE_PM = 1000
MINUTE_US = 60_000_000
SETTLED_US = 5_000_000              # a share of a window's limit is one that was held for so long
_EVEN_PM = 500                      # of an account that live replicas share evenly, whatever they have to do
_STEP_PM = 50                       # shares do not change by less
_SMOOTHING = 16                     # renewals over which demand is smoothed
_FINE = 16                          # smoothed demand is in sixteenths


@inlined
def take_share(
    state: State, account_row: int, flow_pm: int, window_pm: int, since_us: int, minute_pm: int, longer_pm: int, now_us: int,
    user_policy: Plugged,
) -> None:  # fmt: skip
    """From now on these shares of an account's limits are ours, per mille, each at least 1.

    Args:
        flow_pm: of limits that refill.
        window_pm: of fixed windows up to a minute that began at `since_us` or later, from when on it was held.
        minute_pm: of what slides, accelerates or is in flight: the least of a minute.
        longer_pm: of longer windows.
    """
    state.pulse[0]["now_us"] = now_us
    account = state.accounts[account_row]
    changed = _lease_range(
        state, account["limit_lo"], account["limit_hi"], flow_pm, window_pm, since_us, minute_pm, longer_pm, now_us
    )
    for row in range(state.buckets.size):
        bucket = state.buckets[row]
        if bucket["account"] == account_row:
            changed |= _lease_range(
                state, bucket["limit_lo"], bucket["limit_hi"], flow_pm, window_pm, since_us, minute_pm, longer_pm, now_us
            )
    if changed:
        note(state, CONTROL, SHARE_CHANGED, -1, 0, -1, -1, -1, account_row, flow_pm, window_pm, minute_pm, longer_pm)
        offer_account(state, account_row, now_us, user_policy)


@rare
def _lease_range(
    state: State, lo: int, hi: int, flow_pm: int, window_pm: int, since_us: int, minute_pm: int, longer_pm: int, now_us: int
) -> bool:  # fmt: skip
    """Whether any limit has another share than before."""
    changed, tiers = False, state.tiers.size
    for row in range(lo, hi):
        limit = state.limits[row]
        share_pm = minute_pm
        if limit["window"] <= PACED:
            share_pm = flow_pm
        elif limit["window_us"] > MINUTE_US:
            share_pm = longer_pm
        elif limit["window"] == FIXED:
            bring_up(state.limits, state.logs, row, now_us)
            share_pm = window_pm
            if limit["stamp_us"] < since_us:
                share_pm = min(window_pm, limit["share_pm"])
        if max(share_pm, 1) != limit["share_pm"]:
            changed = True
            lease(state.limits, state.logs, row, share_pm, now_us)
            for tier in range(tiers):
                lease(state.shares, state.logs, row * tiers + tier, share_pm, now_us)
    return changed


def lags(state: State, account_row: int, flow_pm: int) -> bool:
    """Whether an account has a limit whose share may still grow to that of what refills."""
    rows = [state.limits[state.accounts[account_row]["limit_lo"] : state.accounts[account_row]["limit_hi"]]]
    rows += [state.limits[one["limit_lo"] : one["limit_hi"]] for one in state.buckets if one["account"] == account_row]
    return any(bool(((part["share_pm"] < flow_pm) & (part["window_us"] <= MINUTE_US)).any()) for part in rows)


def demand_of(state: State, before: Sequence[int]) -> list[int]:
    """How much each account is asked for here: what is in flight there, and all that waits, smoothed over calls of this.

    `before` is what it was the last time, empty for the first. A share that follows each moment would lose a window's
    rest with each turn.
    """
    waiting = int(state.pulse[0]["waiting"])
    now = [_FINE * (int(in_flight) + waiting + 1) for in_flight in state.accounts["in_flight"]]
    return [was + (one - was) // _SMOOTHING for was, one in zip(before, now, strict=True)] if before else now


def next_share(using_pm: int, others_pm: int, demand: int, all_demand: int, replicas: int) -> int:
    """The share that a replica may use from now on, per mille.

    Half of an account is shared evenly between the live `replicas`, half by demand. A share shrinks at once; it grows only into what no
    other has, `others_pm` in sum, so that the sum is never above all. It does not change by little.
    """
    target_pm = _EVEN_PM // replicas + _EVEN_PM * demand // max(all_demand, 1)
    free_pm = WHOLE_PM - others_pm
    if using_pm <= free_pm and abs(target_pm - using_pm) < _STEP_PM:
        return using_pm
    return max(0, min(target_pm, max(using_pm, free_pm)))


def least_since(held: Sequence[tuple[int, int]], now_us: int, span_us: int, even_pm: int) -> int:
    """The least share of the last `span_us`, of changes `(time, share)` in order; up to then at most an even part."""
    least, since_us = WHOLE_PM, now_us - span_us
    for time_us, share_pm in reversed(held):
        least = min(least, share_pm)
        if time_us <= since_us:
            return least
    return min(least, even_pm)


def alone_share(last_pm: int, replicas: int) -> int:
    """What a replica goes on with when its lease has run out and it hears of nobody: its last, at most an even part."""
    return min(last_pm, WHOLE_PM // replicas)
