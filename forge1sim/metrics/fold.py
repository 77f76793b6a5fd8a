"""One pass over log rows. Compiled; plain Python with NUMBA_DISABLE_JIT=1.

Every row is met once, in order. What must be remembered of a request between its rows stands in
a small hash table that holds only the requests now in the system. What can be told from other
numbers at the end of a span (`spans`) or interval (`levels`) is left out of the row's work. All is in whole
numbers; so the result does not depend on how the log was cut into chunks.

`b` is the block of all numbers (`state`): `b[AT_TENANT]` says where a part begins, other names in
capitals are columns inside a part (`columns`). `bins` is the same block as counts of 32 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# isort: off
from forge1sim.metrics.columns import (
    ACCOUNT_SIZE, ANSWER_CACHED, ANSWER_INPUT, ANSWER_LATENCY_US, ANSWER_OTHER_DEPLOYMENT, ANSWER_OTHER_MODEL,
    ANSWER_OUTPUT, ANSWER_QUALITY_PM, ANSWER_WAIT_US, ARRIVED, AT_ACCOUNT, AT_CODE_INTERVALS, AT_DEPLOYMENT,
    AT_DEPLOYMENT_HISTOGRAMS, AT_DEPLOYMENT_INTERVALS, AT_FLOW, AT_MARKS, AT_MODEL_OF_DEPLOYMENT, AT_NAMED, AT_TENANT,
    AT_TENANT_DETAIL, AT_TIER, AT_TIER_HISTOGRAMS, AT_WAIT_TARGET_US, AT_WANTED, ATTEMPTS, C_ATTEMPTS, C_COST,
    C_ON_TIME, C_RESERVED, C_SENT, C_SERVED, CODE_REFUSAL, CODES, COST, D_COST, D_RATE_LIMITED,
    DEPLOYMENT_INTERVAL_SIZE, DEPLOYMENT_REFUSAL, DEPLOYMENT_SIZE, F_COST, F_RATE_LIMITED, F_REFUSALS, F_RETRIES, F_UNANSWERED_COST, FAULT,
    FLOW_SIZE, HISTOGRAMS_SIZE, HOUR, IN_SYSTEM_NOW, INTERVAL, KIND, KINDS, LATENCY_BINS, LATENCY_SUM_US, MARK_SIZE,
    MARKS, MOST_MARKS, N_ACCOUNTS, N_DEPLOYMENTS, N_LIMITS, N_MODELS, N_TENANTS, N_TIERS, NOW_US, ON_TIME, OPEN, OPEN_ARRIVE_US,
    OPEN_MAX, PROMPT_PM, QUEUED, RATE_LIMITED, REASONS, REFUSAL_CLASSES, REFUSALS, REJECTED, RETRIES, SERVED,
    SETTLED_US, SPAN_END_US, START_US, STATE, T_ARRIVED, T_COST, T_RATE_LIMITED, T_REJECTED, TENANT_DETAIL_SIZE,
    TENANT_SIZE, TENANT_TIER, TENANT_WAIT, TIER_INTERVAL_SIZE, TIER_REFUSAL, TIER_SIZE, TIER_UNSERVED, TIERS_NOW,
    W_ARRIVED, W_REJECTED, W_SERVED, WAITING_NOW, WANTED_SIZE, WAS_QUEUED, IS_QUEUED,
)  # fmt: skip

# isort: on
from forge1sim.metrics.helper import entry, helper
from forge1sim.metrics.histogram import bin_of, sketch_bin_of
from forge1sim.metrics.later import add_later
from forge1sim.metrics.levels import fall, land, pay_account, place, rise, take_off
from forge1sim.metrics.open_table import home_of, remove, slot_of
from forge1sim.metrics.spans import cell_of, end_span
from forge1sim.metrics.state import Bins, Ints
from forge1sim.prefetch import prefetch

# isort: off
from policies.log import (
    ACCELERATION, ACCOUNT, ARRIVE, BACKOFF, CANCEL, COMPLETE, CONTROL, DAILY_QUOTA, DISPATCH, LOW_32, LOW_48, QUEUE,
    REFUSED, REJECT, THROTTLE,
)  # fmt: skip
# isort: on

_FORESIGHT = 8                  # rows

# why a row cannot be folded (b[FAULT])
FINE, TIME_BACK, NO_ARRIVE, TWO_ARRIVES, OUT_OF_RANGE = range(5)


@helper
def _tier_interval(b: Ints, tier: int) -> int:
    return place(b, TIERS_NOW, tier, TIER_INTERVAL_SIZE)


@helper
def _deployment_interval(b: Ints, deployment: int) -> int:
    return place(b, AT_DEPLOYMENT_INTERVALS, b[INTERVAL] * b[N_DEPLOYMENTS] + deployment, DEPLOYMENT_INTERVAL_SIZE)


@helper
def _wanted(b: Ints, model: int) -> int:
    return place(b, AT_WANTED, model + 1, WANTED_SIZE)


@helper
def _leave_queue(b: Ints, one: Any, since_us: int) -> None:
    if one["flags"] & IS_QUEUED:
        one["flags"] ^= IS_QUEUED
        fall(b, place(b, AT_TIER, int(one["tier"]), TIER_SIZE) + WAITING_NOW, since_us)


@helper
def _land(b: Ints, one: Any, since_us: int) -> None:
    if one["flight"] >= 0:
        land(b, int(one["flight"]), since_us)
        one["flight"] = -1


@helper
def _arrive(b: Ints, one: Any, row: Any, tenant: int, since_us: int) -> None:
    wanted, tier, now_us = row["limit"], b[tenant + TENANT_TIER], row["time_us"]
    one["input_tokens"] = row["v0"] & LOW_32
    one["request"] = row["request"]
    one["first"] = -1
    one["flight"] = -1
    one["wanted"] = wanted
    one["tier"] = tier
    one["flags"] = 0
    b[OPEN] += 1
    b[OPEN_MAX] = max(b[OPEN_MAX], b[OPEN])
    b[OPEN_ARRIVE_US] += now_us - b[START_US]
    b[tenant + ARRIVED] += 1
    b[_tier_interval(b, tier) + T_ARRIVED] += 1
    b[_wanted(b, wanted) + W_ARRIVED] += 1
    rise(b, place(b, AT_TIER, tier, TIER_SIZE) + IN_SYSTEM_NOW, since_us)


@helper
def _dispatch(b: Ints, one: Any, row: Any, tenant: int, since_us: int) -> None:
    tier, deployment, reserved, sent = int(one["tier"]), int(row["deployment"]), row["v1"], one["input_tokens"]
    if row["attempt"] > 1:
        b[tenant + RETRIES] += 1
        b[_flow(b, tier, deployment) + F_RETRIES] += 1
    _leave_queue(b, one, since_us)
    _land(b, one, since_us)
    if one["first"] < 0:
        one["first"] = deployment
    one["flight"] = deployment
    take_off(b, deployment, since_us)
    cell = cell_of(b, tier, deployment)
    b[tenant + ATTEMPTS] += 1
    b[cell + C_ATTEMPTS] += 1
    b[cell + C_RESERVED] += reserved
    b[cell + C_SENT] += sent


@helper
def _flow(b: Ints, tier: int, deployment: int) -> int:
    return place(b, AT_FLOW, tier * b[N_DEPLOYMENTS] + deployment, FLOW_SIZE)


@helper
def _bill(b: Ints, tenant: int, tier: int, deployment: int, cost: int) -> None:
    """Book nano-USD of an attempt that failed or was cut short."""
    b[tenant + COST] += cost
    b[_tier_interval(b, tier) + T_COST] += cost
    if deployment >= 0:
        flow = _flow(b, tier, deployment)
        b[flow + F_COST] += cost
        b[flow + F_UNANSWERED_COST] += cost
        b[_deployment_interval(b, deployment) + D_COST] += cost


@helper
def _refused(b: Ints, one: Any, row: Any, tenant: int, since_us: int) -> None:
    tier, deployment, code = int(one["tier"]), int(row["deployment"]), int(row["code"])
    flow = _flow(b, tier, deployment)
    _land(b, one, since_us)
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
def _name(b: Ints, bins: Bins, tier: int, limit: int) -> None:
    """Count the limit that a row names as what held its request up; numbers past the platform's are tenants' own."""
    if limit >= 0:
        bins[place(b, AT_NAMED, (b[HOUR] * b[N_TIERS] + tier) * (b[N_LIMITS] + 1) + min(limit, b[N_LIMITS]), 1)] += 1


@helper
def _pause(b: Ints, bins: Bins, one: Any, row: Any, tenant: int, since_us: int) -> None:
    """QUEUE or BACKOFF: not in flight now, whatever was before."""
    _land(b, one, since_us)
    if row["kind"] == BACKOFF:
        _leave_queue(b, one, since_us)
        return
    _name(b, bins, int(one["tier"]), int(row["limit"]))
    if not one["flags"] & WAS_QUEUED:
        b[tenant + QUEUED] += 1
    if not one["flags"] & IS_QUEUED:
        rise(b, place(b, AT_TIER, int(one["tier"]), TIER_SIZE) + WAITING_NOW, since_us)
    one["flags"] |= WAS_QUEUED | IS_QUEUED


@helper
def _end(b: Ints, one: Any, latency_us: int, now_us: int, since_us: int) -> None:
    """What every end of a request has in common."""
    _leave_queue(b, one, since_us)
    _land(b, one, since_us)
    fall(b, place(b, AT_TIER, int(one["tier"]), TIER_SIZE) + IN_SYSTEM_NOW, since_us)
    b[OPEN] -= 1
    b[OPEN_ARRIVE_US] -= now_us - latency_us - b[START_US]
    b[LATENCY_SUM_US] += latency_us


@helper
def _complete(b: Ints, bins: Bins, one: Any, row: Any, tenant: int, since_us: int) -> None:
    tier, deployment = int(one["tier"]), int(row["deployment"])
    latency_us, wait_us = row["v3"], row["v4"] & LOW_48
    target_us = b[place(b, AT_WAIT_TARGET_US, tier, 1)]
    on_time = 1 if wait_us <= target_us else 0
    model, wanted = b[place(b, AT_MODEL_OF_DEPLOYMENT, deployment, 1)], int(one["wanted"])
    other_model = 1 if wanted >= 0 and wanted != model else 0
    other_deployment = 1 if one["first"] != deployment else 0
    cell = cell_of(b, tier, deployment)
    _add(b, tenant + COST, cell + C_COST, row["v2"])
    _add(b, tenant + ON_TIME, cell + C_ON_TIME, on_time)
    _add_answer(b, tenant + SERVED, cell + C_SERVED, row, other_model, other_deployment)
    b[tenant + PROMPT_PM] += 1000 if on_time else 1000 * target_us // wait_us
    b[_wanted(b, wanted) + W_SERVED] += 1
    _fill_bins(b, bins, int(row["tenant"]), tier, deployment, wait_us, latency_us)
    _end(b, one, latency_us, row["time_us"], since_us)


@helper
def _fill_bins(b: Ints, bins: Bins, tenant: int, tier: int, deployment: int, wait_us: int, latency_us: int) -> None:
    wait_bin, latency_bin = bin_of(wait_us), LATENCY_BINS + bin_of(latency_us)
    of_tier = place(b, AT_TIER_HISTOGRAMS, tier, HISTOGRAMS_SIZE)
    of_deployment = place(b, AT_DEPLOYMENT_HISTOGRAMS, deployment, HISTOGRAMS_SIZE)
    bins[of_tier + wait_bin] += 1
    bins[of_tier + latency_bin] += 1
    sketch = _detail(b, tenant) + TENANT_WAIT + sketch_bin_of(wait_us)
    add_later(b, bins, of_deployment + wait_bin, of_deployment + latency_bin, sketch)


@helper
def _detail(b: Ints, tenant: int) -> int:
    return place(b, AT_TENANT_DETAIL, tenant, TENANT_DETAIL_SIZE)


@helper
def _add(b: Ints, one: int, other: int, amount: int) -> None:
    b[one] += amount
    b[other] += amount


@helper
def _add_answer(b: Ints, one: int, other: int, row: Any, other_model: int, other_deployment: int) -> None:
    """Add to the columns of an answer, which a tenant and a cell have in the same order (`columns.ANSWER`)."""
    v0, v4 = row["v0"], row["v4"]
    _add(b, one, other, 1)
    _add(b, one + ANSWER_OTHER_MODEL, other + ANSWER_OTHER_MODEL, other_model)
    _add(b, one + ANSWER_OTHER_DEPLOYMENT, other + ANSWER_OTHER_DEPLOYMENT, other_deployment)
    _add(b, one + ANSWER_INPUT, other + ANSWER_INPUT, v0 & LOW_32)
    _add(b, one + ANSWER_CACHED, other + ANSWER_CACHED, v0 >> 32)
    _add(b, one + ANSWER_OUTPUT, other + ANSWER_OUTPUT, row["v1"])
    _add(b, one + ANSWER_WAIT_US, other + ANSWER_WAIT_US, v4 & LOW_48)
    _add(b, one + ANSWER_LATENCY_US, other + ANSWER_LATENCY_US, row["v3"])
    _add(b, one + ANSWER_QUALITY_PM, other + ANSWER_QUALITY_PM, v4 >> 48)


@helper
def _unserved(b: Ints, bins: Bins, one: Any, row: Any, tenant: int, since_us: int) -> None:
    """REJECT, EXPIRE or CANCEL; v4 is what an attempt that was cut short cost, the refused ones were booked before."""
    kind, code, tier = row["kind"], int(row["code"]), int(one["tier"])
    if row["v4"] != 0:
        _bill(b, tenant, tier, int(one["flight"]), row["v4"])
    which = int(kind) - REJECT  # REJECT, EXPIRE, CANCEL follow each other in the log's kinds and in the columns here
    b[tenant + REJECTED + which] += 1
    b[_tier_interval(b, tier) + T_REJECTED + which] += 1
    b[_wanted(b, int(one["wanted"])) + W_REJECTED + which] += 1
    b[place(b, AT_TIER, tier, TIER_SIZE) + TIER_UNSERVED + which * REASONS + code] += 1
    if kind == REJECT:
        bins[_detail(b, int(row["tenant"])) + code] += 1
        b[place(b, AT_CODE_INTERVALS, b[INTERVAL], CODES) + code] += 1
        _name(b, bins, tier, int(row["limit"]))
    _end(b, one, row["v1"], row["time_us"], since_us)


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
def _in_range(b: Ints, row: Any, kind: int) -> bool:
    """Whether all rows that a request's row names exist; compiled code would write elsewhere otherwise."""
    deployment = row["deployment"]
    if not 0 <= row["tenant"] < b[N_TENANTS] or not -1 <= deployment < b[N_DEPLOYMENTS]:
        return False
    if kind == ARRIVE:
        return bool(-1 <= row["limit"] < b[N_MODELS])
    if kind in (DISPATCH, COMPLETE):
        return bool(deployment >= 0)
    if kind == REFUSED:
        return bool(deployment >= 0 and row["code"] < REFUSAL_CLASSES)
    return bool(row["code"] < REASONS)


@helper
def _foresee(b: Ints, row: Any, table: NDArray[np.void]) -> None:
    """Load what a row that comes soon will touch: most of the time of the fold would else be spent waiting for memory."""
    tenant = place(b, AT_TENANT, int(row["tenant"]), TENANT_SIZE)
    prefetch(table, home_of(table, row["request"]))
    prefetch(b, tenant)
    if row["kind"] == COMPLETE:
        prefetch(b, tenant + SERVED - 1)
        prefetch(b, tenant + TENANT_SIZE - 1)


@entry
def fold_rows(rows: NDArray[np.void], begin: int, b: Ints, bins: Bins, table: NDArray[np.void]) -> int:  # noqa: PLR0912  (a branch per kind)
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
        b[NOW_US] = now_us
        if now_us >= b[SPAN_END_US]:
            end_span(b, now_us)
        if ARRIVE <= kind <= CANCEL:
            if not _in_range(b, row, kind):
                b[FAULT] = OUT_OF_RANGE
                return number
            slot = slot_of(table, row["request"])
            one = table[slot]
            tenant, since_us = place(b, AT_TENANT, int(row["tenant"]), TENANT_SIZE), now_us - b[SETTLED_US]
            if kind == ARRIVE:
                if one["request"] != -1:
                    b[FAULT] = TWO_ARRIVES
                    return number
                _arrive(b, one, row, tenant, since_us)
            elif one["request"] == -1:
                b[FAULT] = NO_ARRIVE
                return number
            elif kind == DISPATCH:
                _dispatch(b, one, row, tenant, since_us)
            elif kind == COMPLETE:
                _complete(b, bins, one, row, tenant, since_us)
                remove(table, slot)
            elif kind in (QUEUE, BACKOFF):
                _pause(b, bins, one, row, tenant, since_us)
            elif kind == REFUSED:
                _refused(b, one, row, tenant, since_us)
            else:
                _unserved(b, bins, one, row, tenant, since_us)
                remove(table, slot)
        elif kind in (ACCOUNT, CONTROL):
            _platform(b, row)
        b[KIND + kind % KINDS] += 1
    return rows.size
