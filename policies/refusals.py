"""Refusals: each class has its own scope and its own rest; a later one never shortens it.

class         who rests               for how long
throttle      bucket, or the account if its own limit refused    retry-after, else `throttle_s`
acceleration  the same                retry-after, at least `acceleration_s`
daily quota   the same                retry-after, else until the quota's window ends
money         account                 retry-after, at least `money_s`
overload      deployment              retry-after, at least `overload_s`
failed,       deployment, after `failures_to_cool` within `failure_window_s`;
timeout       only a request's first attempt counts, so one bad request cools nothing for all
caller        nobody
credential    the key: a standby key takes over at once, without one the account is out

Where the gateway does not know the limit that refused, or is not told for how long, whoever rests
is on trial afterwards (`policies.trials`): the rest is over for one request, and for the others as
answers come back. `throttle_s` and `acceleration_s` are doubled while the one is refused again.

All models of an account x class share limits, so they rest together: trying the other keys or
siblings of a bucket that refuses only spreads the pressure.
"""

from policies.compile import inlined, leaf, rare
from policies.limits import DAY, FIXED, rescale
from policies.log import (
    ACCELERATION,
    ACTIVE,
    CONTROL,
    COOL,
    CREDENTIAL,
    DAILY_QUOTA,
    DRAINING,
    FAILED,
    LIMIT_CHANGED,
    MONEY,
    NO_KEYS,
    OVERLOAD,
    SCOPE_ACCOUNT,
    SCOPE_BUCKET,
    SCOPE_DEPLOYMENT,
    THROTTLE,
    TIMEOUT,
)
from policies.log import ACCOUNT as ACCOUNT_ROW
from policies.notes import note
from policies.rows import Row
from policies.state import NEVER_US, State
from policies.trials import begin_trial, is_tried_enough

UNKNOWN_QUOTA_REST_US = 3_600_000_000


@leaf
def resting_until_us(state: State, deployment: Row) -> int:
    """When the latest cooldown of deployment, bucket and account ends.

    NEVER_US if time alone does not help: the account is not active, or a trial waits for answers.
    """
    account = state.accounts[deployment["account"]]
    if account["state"] != ACTIVE:
        return NEVER_US
    bucket = state.buckets[deployment["bucket"]]
    if is_tried_enough(bucket) or is_tried_enough(account):
        return NEVER_US
    return int(max(deployment["cool_until_us"], bucket["cool_until_us"], account["cool_until_us"]))


@inlined
def _cool(state: State, scope: int, row: int, target: Row, until_us: int, refusal: int, deployment: int) -> None:
    if until_us > target["cool_until_us"]:
        target["cool_until_us"] = until_us
        note(state, COOL, scope, -1, 0, deployment, -1, -1, row, until_us, refusal, 0, 0)


@inlined
def _quota_rest_us(state: State, limit_row: int, now_us: int) -> int:
    """Until the window of a spent quota ends; an hour where it is not known which quota that is."""
    if limit_row >= 0:
        limit = state.limits[limit_row]
        if limit["window"] == FIXED or limit["window"] == DAY:
            return int(limit["window_us"] - (now_us - limit["offset_us"]) % limit["window_us"])
    return UNKNOWN_QUOTA_REST_US


@inlined
def _rest_us(state: State, doublings: int, limit_row: int, retry_after_us: int, refusal: int, now_us: int) -> int:
    """How long a refusal for a limit lets rest."""
    settings = state.settings[0]
    if refusal == ACCELERATION:
        return int(max(retry_after_us, settings["acceleration_us"] << doublings))
    if retry_after_us > 0:
        return int(retry_after_us)
    if refusal == DAILY_QUOTA:
        return _quota_rest_us(state, limit_row, now_us)
    return int(settings["throttle_us"] << doublings)


@inlined
def _cool_limited(
    state: State, deployment_row: int, limit_row: int, retry_after_us: int, refusal: int, sent_us: int, now_us: int
) -> None:
    """Rest whoever the refusing limit belongs to: the account as a whole, else the bucket."""
    deployment = state.deployments[deployment_row]
    account = state.accounts[deployment["account"]]
    bucket = state.buckets[deployment["bucket"]]
    of_account = account["limit_lo"] <= limit_row < account["limit_hi"]
    of_bucket = bucket["limit_lo"] <= limit_row < bucket["limit_hi"]
    is_told = (of_account or of_bucket) and retry_after_us > 0
    if account["limit_lo"] <= limit_row < account["limit_end"]:
        if not is_told:
            begin_trial(account, sent_us, now_us)
        until_us = now_us + _rest_us(state, account["trial_doublings"], limit_row, retry_after_us, refusal, now_us)
        _cool(state, SCOPE_ACCOUNT, deployment["account"], account, until_us, refusal, deployment_row)
    else:
        if not is_told:
            begin_trial(bucket, sent_us, now_us)
        until_us = now_us + _rest_us(state, bucket["trial_doublings"], limit_row, retry_after_us, refusal, now_us)
        _cool(state, SCOPE_BUCKET, deployment["bucket"], bucket, until_us, refusal, deployment_row)


@inlined
def _count_failure(state: State, deployment_row: int, refusal: int, now_us: int) -> None:
    settings = state.settings[0]
    deployment = state.deployments[deployment_row]
    if now_us - deployment["failures_since_us"] > settings["failure_window_us"]:
        deployment["failures_since_us"] = now_us
        deployment["failures"] = 0
    deployment["failures"] += 1
    if deployment["failures"] >= settings["failures_to_cool"]:
        deployment["failures"] = 0
        until_us = now_us + settings["cooldown_us"]
        _cool(state, SCOPE_DEPLOYMENT, deployment_row, deployment, until_us, refusal, deployment_row)


@inlined
def _lose_key(state: State, account_row: int, key: int, now_us: int) -> None:
    """Retire the key that was refused, once, and let the next one take over."""
    account = state.accounts[account_row]
    if key != account["key"]:
        return
    account["key"] += 1
    account["keys_left"] -= 1
    if account["keys_left"] <= 0 and (account["state"] == ACTIVE or account["state"] == DRAINING):
        account["state"] = NO_KEYS
    note(state, ACCOUNT_ROW, account["state"], -1, 0, -1, -1, -1, account_row, now_us, 0, account["key"], 0)


@rare
def rest(
    state: State, deployment_row: int, refusal: int, limit_row: int, retry_after_us: int, attempt: int, key: int, sent_us: int, now_us: int
) -> None:
    """Let rest what this refusal concerns, for as long as its class asks."""
    settings = state.settings[0]
    deployment = state.deployments[deployment_row]
    if refusal == THROTTLE or refusal == ACCELERATION or refusal == DAILY_QUOTA:
        _cool_limited(state, deployment_row, limit_row, retry_after_us, refusal, sent_us, now_us)
    elif refusal == MONEY:
        account = state.accounts[deployment["account"]]
        until_us = now_us + max(retry_after_us, settings["money_us"])
        _cool(state, SCOPE_ACCOUNT, deployment["account"], account, until_us, refusal, deployment_row)
    elif refusal == OVERLOAD:
        until_us = now_us + max(retry_after_us, settings["overload_us"])
        _cool(state, SCOPE_DEPLOYMENT, deployment_row, deployment, until_us, refusal, deployment_row)
    elif refusal == FAILED or refusal == TIMEOUT:
        if attempt == 1:
            _count_failure(state, deployment_row, refusal, now_us)
    elif refusal == CREDENTIAL:
        _lose_key(state, deployment["account"], key, now_us)


@rare
def _rescale_range(state: State, lo: int, hi: int, scale_pm: int, now_us: int) -> None:
    tiers = state.tiers.size
    for row in range(lo, hi):
        rescale(state.limits, state.logs, row, scale_pm, now_us)
        for tier in range(tiers):
            rescale(state.shares, state.logs, row * tiers + tier, scale_pm, now_us)


@inlined
def see_limits(state: State, account_row: int, scale_pm: int, now_us: int) -> bool:
    """Take over what rate-limit headers show: the lower of configured and observed holds.

    `scale_pm` is the observed share of the account's configured limits, per mille. Returns
    whether anything changed.
    """
    account = state.accounts[account_row]
    scale = min(scale_pm, 1000)
    if scale == account["scale_pm"]:
        return False
    account["scale_pm"] = scale
    _rescale_range(state, account["limit_lo"], account["limit_hi"], scale, now_us)
    last_bucket = -1
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        row = state.deployments[state.account_deployments[place]]["bucket"]
        if row > last_bucket:
            # An account's deployments are listed bucket by bucket.
            bucket = state.buckets[row]
            _rescale_range(state, bucket["limit_lo"], bucket["limit_hi"], scale, now_us)
            last_bucket = row
    note(state, CONTROL, LIMIT_CHANGED, -1, 0, -1, -1, -1, account_row, scale, 0, 0, 0)
    return True
