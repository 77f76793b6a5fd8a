"""One pass over log rows. Compiled; plain Python with NUMBA_DISABLE_JIT=1.

Every row is met once, in order. What must be remembered of a request between its rows stands in
a small hash table that holds only the requests now in the system. Levels (in flight, waiting,
in the system) are integrated when they change, in whole microseconds and cut at the ends of
intervals; so the result does not depend on how the log was cut into chunks.

`b` is the block of all numbers (`state`): `b[AT_TENANT]` says where a part begins, other names in
capitals are columns inside a part (`columns`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# isort: off
from forge1sim.metrics.columns import (
    ACCOUNT_SIZE, ANSWER_CACHED, ANSWER_INPUT, ANSWER_LATENCY_US, ANSWER_OTHER_DEPLOYMENT, ANSWER_OTHER_MODEL,
    ANSWER_OUTPUT, ANSWER_QUALITY_PM, ANSWER_WAIT_US, ARRIVED, AT_ACCOUNT, AT_CODE_INTERVALS, AT_DEPLOYMENT,
    AT_DEPLOYMENT_INTERVALS, AT_FLOW, AT_GROUP, AT_GROUP_INTERVALS, AT_GROUPS_OF_DEPLOYMENT, AT_HOUR_MODELS,
    AT_MARKS, AT_MODEL_OF_DEPLOYMENT, AT_TENANT, AT_TENANT_DETAIL, AT_TIER, AT_TIER_INTERVALS, AT_TIER_OF_TENANT,
    AT_WAIT_TARGET_US, AT_WANTED, ATTEMPTS, CODE_REFUSAL, CODES, COST, D_ATTEMPTS, D_COST, D_RATE_LIMITED,
    D_RESERVED, D_SERVED, D_USED, DEPLOYMENT_INTERVAL_SIZE, DEPLOYMENT_LATENCY, DEPLOYMENT_REFUSAL, DEPLOYMENT_SIZE,
    DEPLOYMENT_WAIT, F_ATTEMPTS, F_COST, F_RATE_LIMITED, F_REFUSALS, F_RESERVED, F_RETRIES, F_SERVED, FAULT,
    FLOW_SIZE, GROUP_INTERVAL_SIZE, GROUP_MINUTE, GROUP_MINUTE_NUMBER, GROUP_SIZE, H_COST, H_QUALITY_PM, H_SERVED,
    HOUR, HOUR_SIZE, INTERVAL, IS_QUEUED, KIND, KINDS, LATENCY_SUM_US, MARK_SIZE, MARKS, MINUTE, MOST_MARKS,
    N_ACCOUNTS, N_DEPLOYMENTS, N_GROUPS, N_MODELS, N_TENANTS, N_TIERS, NOW_US, ON_TIME, OPEN, OPEN_ARRIVE_US,
    OPEN_MAX, PEAK, PROMPT_PM, QUEUED, RATE_LIMITED, REASONS, REFUSAL_CLASSES, REFUSALS, REJECTED, REQUESTS,
    RETRIES, SERVED, START_US, STATE, T_ARRIVED, T_ATTEMPTS, T_COST, T_ON_TIME, T_RATE_LIMITED, T_REJECTED,
    T_SERVED, TENANT_DETAIL_SIZE, TENANT_SIZE, TENANT_WAIT, TIER_INTERVAL_SIZE, TIER_LATENCY, TIER_REFUSAL,
    TIER_SIZE, TIER_UNSERVED, TIER_WAIT, UNCACHED, W_ARRIVED, W_REJECTED, W_SERVED, WANTED_SIZE,
    WAS_QUEUED,
)  # fmt: skip

# isort: on
from forge1sim.metrics.helper import entry, helper
from forge1sim.metrics.histogram import bin_of, sketch_bin_of
from forge1sim.metrics.levels import advance, change_flight, change_system, change_waiting, pay_account, place
from forge1sim.metrics.open_table import home_of, remove, slot_of
from forge1sim.metrics.state import Ints
from forge1sim.prefetch import prefetch

# isort: off
from policies.log import (
    ACCELERATION, ACCOUNT, ARRIVE, BACKOFF, CANCEL, COMPLETE, CONTROL, DAILY_QUOTA, DISPATCH, QUEUE, REFUSED,
    REJECT, THROTTLE,
)  # fmt: skip
# isort: on

_FORESIGHT = 8                  # rows
_LOW_32 = 0xFFFFFFFF
_LOW_48 = (1 << 48) - 1

# why a row cannot be folded (b[FAULT])
FINE, TIME_BACK, NO_ARRIVE, TWO_ARRIVES, OUT_OF_RANGE = range(5)


@helper
def _tenant(b: Ints, row: Any) -> int:
    return place(b, AT_TENANT, int(row["tenant"]), TENANT_SIZE)


@helper
def _detail(b: Ints, row: Any) -> int:
    return place(b, AT_TENANT_DETAIL, int(row["tenant"]), TENANT_DETAIL_SIZE)


@helper
def _flow(b: Ints, tier: int, deployment: int) -> int:
    return place(b, AT_FLOW, tier * b[N_DEPLOYMENTS] + deployment, FLOW_SIZE)


@helper
def _tier_interval(b: Ints, tier: int) -> int:
    return place(b, AT_TIER_INTERVALS, b[INTERVAL] * b[N_TIERS] + tier, TIER_INTERVAL_SIZE)


@helper
def _deployment_interval(b: Ints, deployment: int) -> int:
    return place(b, AT_DEPLOYMENT_INTERVALS, b[INTERVAL] * b[N_DEPLOYMENTS] + deployment, DEPLOYMENT_INTERVAL_SIZE)


@helper
def _wanted(b: Ints, one: Any) -> int:
    model = int(one["wanted"])
    return place(b, AT_WANTED, model if model >= 0 else b[N_MODELS], WANTED_SIZE)


@helper
def _leave_queue(b: Ints, one: Any, tier: int, now_us: int) -> None:
    if one["flags"] & IS_QUEUED:
        one["flags"] &= ~IS_QUEUED
        change_waiting(b, tier, -1, now_us)


@helper
def _land(b: Ints, one: Any, now_us: int) -> None:
    deployment = int(one["flight"])
    if deployment >= 0:
        change_flight(b, deployment, -1, now_us)
        one["flight"] = -1


@helper
def _arrive(b: Ints, one: Any, row: Any, tier: int) -> None:
    now_us = row["time_us"]
    one["request"] = row["request"]
    one["input_tokens"] = row["v0"] & _LOW_32
    one["first"] = -1
    one["flight"] = -1
    one["wanted"] = row["limit"]
    one["flags"] = 0
    b[OPEN] += 1
    b[OPEN_MAX] = max(b[OPEN_MAX], b[OPEN])
    b[OPEN_ARRIVE_US] += now_us - b[START_US]
    b[_tenant(b, row) + ARRIVED] += 1
    b[_tier_interval(b, tier) + T_ARRIVED] += 1
    b[_wanted(b, one) + W_ARRIVED] += 1
    change_system(b, tier, 1, now_us)


@helper
def _count(b: Ints, sums: int, minute: int, dimension: int, amount: int) -> None:
    b[sums + dimension] += amount
    b[minute + dimension] += amount
    b[sums + PEAK + dimension] = max(b[sums + PEAK + dimension], b[minute + dimension])


@helper
def _group_minute(b: Ints, group: int) -> int:
    """Where the sums of a group's present minute stand; they begin anew with each minute."""
    own = place(b, AT_GROUP, group, GROUP_SIZE)
    if b[own + GROUP_MINUTE_NUMBER] != b[MINUTE]:
        b[own + GROUP_MINUTE_NUMBER] = b[MINUTE]
        for dimension in range(GROUP_MINUTE, GROUP_MINUTE_NUMBER):
            b[own + dimension] = 0
    return int(own + GROUP_MINUTE)


@helper
def _use_limits(b: Ints, deployment: int, first: int, one: int, two: int, three: int) -> None:
    """Count three dimensions, from `first` on, against the groups of a deployment, by interval and for the busiest minute."""
    groups = place(b, AT_GROUPS_OF_DEPLOYMENT, deployment, 2)
    for which in range(2):
        group = b[groups + which]
        if group >= 0:
            sums = place(b, AT_GROUP_INTERVALS, b[INTERVAL] * b[N_GROUPS] + group, GROUP_INTERVAL_SIZE)
            minute = _group_minute(b, group)
            _count(b, sums, minute, first, one)
            _count(b, sums, minute, first + 1, two)
            _count(b, sums, minute, first + 2, three)


@helper
def _dispatch(b: Ints, one: Any, row: Any, tier: int) -> None:
    now_us, deployment, reserved = row["time_us"], int(row["deployment"]), row["v1"]
    _leave_queue(b, one, tier, now_us)
    _land(b, one, now_us)
    if one["first"] < 0:
        one["first"] = deployment
    one["flight"] = deployment
    change_flight(b, deployment, 1, now_us)
    _use_limits(b, deployment, REQUESTS, 1, reserved, int(one["input_tokens"]))
    again = 1 if row["attempt"] > 1 else 0
    tenant, flow, during = _tenant(b, row), _flow(b, tier, deployment), _deployment_interval(b, deployment)
    b[tenant + ATTEMPTS] += 1
    b[tenant + RETRIES] += again
    b[flow + F_ATTEMPTS] += 1
    b[flow + F_RETRIES] += again
    b[flow + F_RESERVED] += reserved
    b[_tier_interval(b, tier) + T_ATTEMPTS] += 1
    b[during + D_ATTEMPTS] += 1
    b[during + D_RESERVED] += reserved


@helper
def _bill(b: Ints, tenant: int, tier: int, deployment: int, cost: int) -> None:
    """Book nano-USD; `tenant` is where the tenant's row begins in the block."""
    b[tenant + COST] += cost
    b[_tier_interval(b, tier) + T_COST] += cost
    if deployment >= 0:
        b[_flow(b, tier, deployment) + F_COST] += cost
        b[_deployment_interval(b, deployment) + D_COST] += cost


@helper
def _refused(b: Ints, one: Any, row: Any, tier: int) -> None:
    deployment, code = int(row["deployment"]), int(row["code"])
    tenant, flow = _tenant(b, row), _flow(b, tier, deployment)
    _land(b, one, row["time_us"])
    _bill(b, tenant, tier, deployment, row["v2"])
    b[tenant + REFUSALS] += 1
    b[flow + F_REFUSALS] += 1
    b[place(b, AT_TIER, tier, TIER_SIZE) + TIER_REFUSAL + code] += 1
    b[place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE) + DEPLOYMENT_REFUSAL + code] += 1
    b[place(b, AT_CODE_INTERVALS, b[INTERVAL], CODES) + CODE_REFUSAL + code] += 1
    if code in (THROTTLE, ACCELERATION, DAILY_QUOTA):
        b[tenant + RATE_LIMITED] += 1
        b[flow + F_RATE_LIMITED] += 1
        b[_tier_interval(b, tier) + T_RATE_LIMITED] += 1
        b[_deployment_interval(b, deployment) + D_RATE_LIMITED] += 1


@helper
def _pause(b: Ints, one: Any, row: Any, tier: int) -> None:
    """QUEUE or BACKOFF: not in flight now, whatever was before."""
    now_us = row["time_us"]
    _land(b, one, now_us)
    if row["kind"] == BACKOFF:
        _leave_queue(b, one, tier, now_us)
        return
    if not one["flags"] & WAS_QUEUED:
        b[_tenant(b, row) + QUEUED] += 1
    if not one["flags"] & IS_QUEUED:
        change_waiting(b, tier, 1, now_us)
    one["flags"] |= WAS_QUEUED | IS_QUEUED


@helper
def _end(b: Ints, one: Any, latency_us: int, now_us: int, tier: int) -> None:
    """What every end of a request has in common."""
    _leave_queue(b, one, tier, now_us)
    _land(b, one, now_us)
    change_system(b, tier, -1, now_us)
    b[OPEN] -= 1
    b[OPEN_ARRIVE_US] -= now_us - latency_us - b[START_US]
    b[LATENCY_SUM_US] += latency_us


@helper
def _complete(b: Ints, one: Any, row: Any, tier: int) -> None:
    now_us, deployment = row["time_us"], int(row["deployment"])
    cost, latency_us, wait_us, quality_pm = row["v2"], row["v3"], row["v4"] & _LOW_48, row["v4"] >> 48
    target_us = b[place(b, AT_WAIT_TARGET_US, tier, 1)]
    on_time = 1 if wait_us <= target_us else 0
    prompt_pm = 1000 if on_time else 1000 * target_us // wait_us
    model = b[place(b, AT_MODEL_OF_DEPLOYMENT, deployment, 1)]
    other_model = 1 if one["wanted"] >= 0 and one["wanted"] != model else 0
    other_deployment = 1 if one["first"] != deployment else 0
    _end(b, one, latency_us, now_us, tier)
    tenant = _tenant(b, row)
    _bill(b, tenant, tier, deployment, cost)
    input_tokens, cached_tokens, output_tokens = row["v0"] & _LOW_32, row["v0"] >> 32, row["v1"]
    _use_limits(b, deployment, UNCACHED, input_tokens - cached_tokens, output_tokens, input_tokens + output_tokens)

    b[tenant + ON_TIME] += on_time
    b[tenant + PROMPT_PM] += prompt_pm
    b[_detail(b, row) + TENANT_WAIT + sketch_bin_of(wait_us)] += 1
    _add_answer(b, tenant + SERVED, row, other_model, other_deployment)
    _add_answer(b, _flow(b, tier, deployment) + F_SERVED, row, other_model, other_deployment)

    wait_bin, latency_bin = bin_of(wait_us), bin_of(latency_us)
    of_tier, of_deployment = place(b, AT_TIER, tier, TIER_SIZE), place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE)
    b[of_tier + TIER_WAIT + wait_bin] += 1
    b[of_tier + TIER_LATENCY + latency_bin] += 1
    b[of_deployment + DEPLOYMENT_WAIT + wait_bin] += 1
    b[of_deployment + DEPLOYMENT_LATENCY + latency_bin] += 1

    b[_wanted(b, one) + W_SERVED] += 1
    b[_tier_interval(b, tier) + T_SERVED] += 1
    b[_tier_interval(b, tier) + T_ON_TIME] += on_time
    during = _deployment_interval(b, deployment)
    b[during + D_SERVED] += 1
    b[during + D_USED] += (row["v0"] & _LOW_32) + row["v1"]
    of_hour = place(b, AT_HOUR_MODELS, (b[HOUR] * b[N_TIERS] + tier) * b[N_MODELS] + model, HOUR_SIZE)
    b[of_hour + H_SERVED] += 1
    b[of_hour + H_COST] += cost
    b[of_hour + H_QUALITY_PM] += quality_pm


@helper
def _add_answer(b: Ints, answers: int, row: Any, other_model: int, other_deployment: int) -> None:
    """Add to the columns of an answer, which a tenant and a flow have in the same order (`columns.ANSWER`)."""
    b[answers] += 1
    b[answers + ANSWER_OTHER_MODEL] += other_model
    b[answers + ANSWER_OTHER_DEPLOYMENT] += other_deployment
    b[answers + ANSWER_INPUT] += row["v0"] & _LOW_32
    b[answers + ANSWER_CACHED] += row["v0"] >> 32
    b[answers + ANSWER_OUTPUT] += row["v1"]
    b[answers + ANSWER_WAIT_US] += row["v4"] & _LOW_48
    b[answers + ANSWER_LATENCY_US] += row["v3"]
    b[answers + ANSWER_QUALITY_PM] += row["v4"] >> 48


@helper
def _unserved(b: Ints, one: Any, row: Any, tier: int) -> None:
    """REJECT, EXPIRE or CANCEL; v4 is what an attempt that was cut short cost, the refused ones were booked before."""
    kind, code, tenant = row["kind"], int(row["code"]), _tenant(b, row)
    if row["v4"] != 0:
        _bill(b, tenant, tier, int(one["flight"]), row["v4"])
    _end(b, one, row["v1"], row["time_us"], tier)
    which = int(kind) - REJECT  # REJECT, EXPIRE, CANCEL follow each other in the log's kinds and in the columns here
    b[tenant + REJECTED + which] += 1
    b[_tier_interval(b, tier) + T_REJECTED + which] += 1
    b[_wanted(b, one) + W_REJECTED + which] += 1
    b[place(b, AT_TIER, tier, TIER_SIZE) + TIER_UNSERVED + which * REASONS + code] += 1
    if kind == REJECT:
        b[_detail(b, row) + code] += 1
        b[place(b, AT_CODE_INTERVALS, b[INTERVAL], CODES) + code] += 1


@helper
def _platform(b: Ints, row: Any) -> None:
    """ACCOUNT changes a state; both it and CONTROL leave a mark for the figures."""
    account = row["v0"]
    if row["kind"] == ACCOUNT and 0 <= account < b[N_ACCOUNTS]:
        pay_account(b, account, row["time_us"])
        b[b[AT_ACCOUNT] + account * ACCOUNT_SIZE + STATE] = row["code"]
    if b[MARKS] < MOST_MARKS:
        mark = b[AT_MARKS] + b[MARKS] * MARK_SIZE
        b[mark] = row["time_us"]
        b[mark + 1] = row["kind"]
        b[mark + 2] = row["code"]
        b[mark + 3] = account
        b[MARKS] += 1


@helper
def _in_range(b: Ints, row: Any) -> bool:
    """Whether every row number in a request's row exists; compiled code would write elsewhere otherwise."""
    kind, deployment = row["kind"], row["deployment"]
    if not 0 <= row["tenant"] < b[N_TENANTS] or not -1 <= deployment < b[N_DEPLOYMENTS]:
        return False
    if kind == ARRIVE:
        return bool(-1 <= row["limit"] < b[N_MODELS])
    if kind in (DISPATCH, COMPLETE, REFUSED) and deployment < 0:
        return False
    return bool(row["code"] < (REFUSAL_CLASSES if kind == REFUSED else REASONS))


@helper
def _foresee(b: Ints, row: Any, table: NDArray[np.void]) -> None:
    """Load what a row that comes soon will touch: most of the time of the fold would else be spent waiting for memory."""
    tenant, kind, deployment = _tenant(b, row), row["kind"], int(row["deployment"])
    prefetch(table, home_of(table, row["request"]))
    prefetch(b, tenant)
    if kind == COMPLETE:
        wait_us = row["v4"] & _LOW_48
        histograms = place(b, AT_DEPLOYMENT, deployment, DEPLOYMENT_SIZE)
        prefetch(b, tenant + SERVED - 1)
        prefetch(b, tenant + TENANT_SIZE - 1)
        prefetch(b, _detail(b, row) + TENANT_WAIT + sketch_bin_of(wait_us))
        prefetch(b, histograms + DEPLOYMENT_WAIT + bin_of(wait_us))
        prefetch(b, histograms + DEPLOYMENT_LATENCY + bin_of(row["v3"]))


@entry
def fold_rows(rows: NDArray[np.void], begin: int, b: Ints, table: NDArray[np.void]) -> int:  # noqa: PLR0912  (a branch per kind)
    """Fold `rows[begin:]` into the block; returns the row to go on from, `rows.size` when all are done.

    Stops before an arrival when `table` is half full, for the caller to make it larger, and at a
    row that cannot be, with the reason in `b[FAULT]`.
    """
    most = table.size // 2
    for number in range(begin, rows.size):
        if number + _FORESIGHT < rows.size:
            _foresee(b, rows[number + _FORESIGHT], table)
        row = rows[number]
        now_us, kind = row["time_us"], row["kind"]
        if now_us < b[NOW_US]:
            b[FAULT] = TIME_BACK
            return number
        if kind == ARRIVE and b[OPEN] >= most:
            return number
        advance(b, now_us)
        if ARRIVE <= kind <= CANCEL:
            if not _in_range(b, row):
                b[FAULT] = OUT_OF_RANGE
                return number
            slot = slot_of(table, row["request"])
            one = table[slot]
            tier = b[place(b, AT_TIER_OF_TENANT, int(row["tenant"]), 1)]
            known = one["request"] != -1
            if known == (kind == ARRIVE):
                b[FAULT] = TWO_ARRIVES if known else NO_ARRIVE
                return number
            if kind == ARRIVE:
                _arrive(b, one, row, tier)
            elif kind == DISPATCH:
                _dispatch(b, one, row, tier)
            elif kind == COMPLETE:
                _complete(b, one, row, tier)
                remove(table, slot)
            elif kind == REFUSED:
                _refused(b, one, row, tier)
            elif kind in (QUEUE, BACKOFF):
                _pause(b, one, row, tier)
            else:
                _unserved(b, one, row, tier)
                remove(table, slot)
        elif kind in (ACCOUNT, CONTROL):
            _platform(b, row)
        b[KIND + kind % KINDS] += 1
    return rows.size
