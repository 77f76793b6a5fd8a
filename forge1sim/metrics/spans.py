"""The clock of the fold: spans, which end with each minute and each interval.

During a span what happens to nearly every request is counted once, in the cell of its tier and
deployment. At the end of the span it is added to all that are sums of cells: flows, hours, and
intervals of tiers, deployments and limit groups.
"""

# isort: off
from forge1sim.metrics.columns import (
    ANSWER_CACHED, ANSWER_INPUT, ANSWER_OUTPUT, ANSWER_QUALITY_PM, AT_CELL, AT_DEPLOYMENT_INTERVALS, AT_FLOW, AT_GROUP,
    AT_GROUP_INTERVALS, AT_GROUPS_OF_DEPLOYMENT, AT_HOUR_MODELS, AT_MODEL_OF_DEPLOYMENT, AT_TIER_INTERVALS,
    AT_TOUCHED, C_ATTEMPTS, C_COST, C_IS_LISTED, C_ON_TIME, C_RESERVED, C_SENT, C_SERVED, CELL_COLUMNS, CELL_SIZE, D_ATTEMPTS,
    D_COST, D_RESERVED, D_SERVED, D_USED, DEPLOYMENT_INTERVAL_SIZE, END_US, F_ATTEMPTS, F_COST, F_RESERVED, F_SERVED,
    FLOW_SIZE, GROUP_INTERVAL_SIZE, GROUP_MINUTE, GROUP_MINUTE_NUMBER, GROUP_SIZE, H_COST, H_QUALITY_PM, H_SERVED,
    HOUR, HOUR_SIZE, HOUR_US, INTERVAL, LENGTH_US, MINUTE, MINUTE_END_US, N_ACCOUNTS, N_DEPLOYMENTS, N_GROUPS, N_HOURS,
    N_INTERVALS, N_MODELS, N_TIERS, NOW_US, PEAK, REQUESTS, SPAN_END_US, START_US, T_ATTEMPTS, T_COST, T_ON_TIME,
    T_SERVED, TIER_INTERVAL_SIZE, TIERS_NOW, TOUCHED, UNCACHED,
)  # fmt: skip

# isort: on
from forge1sim.metrics.helper import entry, helper, seldom
from forge1sim.metrics.later import add_all
from forge1sim.metrics.levels import pay_account, place, settle_levels
from forge1sim.metrics.state import Bins, Ints
from forge1sim.metrics.static import MINUTE_US

_NEVER_US = 2**62


@helper
def cell_of(b: Ints, tier: int, deployment: int) -> int:
    """Where the cell of a tier and a deployment begins; it is listed as touched."""
    number = tier * b[N_DEPLOYMENTS] + deployment
    cell = place(b, AT_CELL, number, CELL_SIZE)
    if b[cell + C_IS_LISTED] == 0:
        b[cell + C_IS_LISTED] = 1
        b[b[AT_TOUCHED] + b[TOUCHED]] = number
        b[TOUCHED] += 1
    return cell


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
        if group < b[N_GROUPS]:
            sums = place(b, AT_GROUP_INTERVALS, b[INTERVAL] * b[N_GROUPS] + group, GROUP_INTERVAL_SIZE)
            minute = _group_minute(b, group)
            _count(b, sums, minute, first, one)
            _count(b, sums, minute, first + 1, two)
            _count(b, sums, minute, first + 2, three)


@helper
def _settle_attempts(b: Ints, cell: int, flow: int, tier: int, deployment: int) -> None:
    attempts, reserved, sent = b[cell + C_ATTEMPTS], b[cell + C_RESERVED], b[cell + C_SENT]
    during = place(b, AT_DEPLOYMENT_INTERVALS, b[INTERVAL] * b[N_DEPLOYMENTS] + deployment, DEPLOYMENT_INTERVAL_SIZE)
    b[flow + F_ATTEMPTS] += attempts
    b[flow + F_RESERVED] += reserved
    b[during + D_ATTEMPTS] += attempts
    b[during + D_RESERVED] += reserved
    b[place(b, TIERS_NOW, tier, TIER_INTERVAL_SIZE) + T_ATTEMPTS] += attempts
    _use_limits(b, deployment, REQUESTS, attempts, reserved, sent)


@helper
def _settle_answers(b: Ints, cell: int, flow: int, tier: int, deployment: int) -> None:
    answers, cost = cell + C_SERVED, b[cell + C_COST]
    served, quality_pm = b[answers], b[answers + ANSWER_QUALITY_PM]
    input_tokens, cached, output = b[answers + ANSWER_INPUT], b[answers + ANSWER_CACHED], b[answers + ANSWER_OUTPUT]
    for column in range(CELL_COLUMNS - C_SERVED):
        b[flow + F_SERVED + column] += b[answers + column]
    b[flow + F_COST] += cost
    of_tier = place(b, TIERS_NOW, tier, TIER_INTERVAL_SIZE)
    b[of_tier + T_SERVED] += served
    b[of_tier + T_ON_TIME] += b[cell + C_ON_TIME]
    b[of_tier + T_COST] += cost
    during = place(b, AT_DEPLOYMENT_INTERVALS, b[INTERVAL] * b[N_DEPLOYMENTS] + deployment, DEPLOYMENT_INTERVAL_SIZE)
    b[during + D_SERVED] += served
    b[during + D_USED] += input_tokens + output
    b[during + D_COST] += cost
    model = b[place(b, AT_MODEL_OF_DEPLOYMENT, deployment, 1)]
    of_hour = place(b, AT_HOUR_MODELS, (b[HOUR] * b[N_TIERS] + tier) * b[N_MODELS] + model, HOUR_SIZE)
    b[of_hour + H_SERVED] += served
    b[of_hour + H_COST] += cost
    b[of_hour + H_QUALITY_PM] += quality_pm
    _use_limits(b, deployment, UNCACHED, input_tokens - cached, output, input_tokens + output)


@helper
def _settle_cells(b: Ints) -> None:
    """Add the cells touched to all that are sums of them, and begin anew."""
    for at in range(b[AT_TOUCHED], b[AT_TOUCHED] + b[TOUCHED]):
        tier, deployment = b[at] // b[N_DEPLOYMENTS], b[at] % b[N_DEPLOYMENTS]
        cell, flow = place(b, AT_CELL, b[at], CELL_SIZE), place(b, AT_FLOW, b[at], FLOW_SIZE)
        if b[cell + C_ATTEMPTS] > 0:
            _settle_attempts(b, cell, flow, tier, deployment)
        if b[cell + C_SERVED] > 0:
            _settle_answers(b, cell, flow, tier, deployment)
        for column in range(CELL_COLUMNS):
            b[cell + column] = 0
        b[at] = 0
    b[TOUCHED] = 0


@helper
def _begin_interval(b: Ints, interval: int) -> None:
    """Past the horizon all is one last interval."""
    inside = interval < b[N_INTERVALS]
    b[INTERVAL] = interval
    b[END_US] = b[START_US] + (interval + 1) * b[LENGTH_US] if inside else _NEVER_US
    b[HOUR] = interval * b[LENGTH_US] // b[HOUR_US] if inside else b[N_HOURS]
    b[TIERS_NOW] = place(b, AT_TIER_INTERVALS, interval * b[N_TIERS], TIER_INTERVAL_SIZE)


@seldom
def end_span(b: Ints, now_us: int) -> None:
    """Go over to the span in which `now_us` lies."""
    _settle_cells(b)
    while now_us >= b[END_US]:
        settle_levels(b, b[END_US])
        _begin_interval(b, b[INTERVAL] + 1)
    b[MINUTE] = (now_us - b[START_US]) // MINUTE_US
    b[MINUTE_END_US] = b[START_US] + (b[MINUTE] + 1) * MINUTE_US
    b[SPAN_END_US] = min(b[END_US], b[MINUTE_END_US])


@entry
def flush(b: Ints, bins: Bins, now_us: int) -> None:
    """Bring all up to `now_us`. May be called at any time; folding can go on afterwards."""
    add_all(b, bins)
    end_span(b, now_us)
    settle_levels(b, now_us)
    b[NOW_US] = now_us
    for account in range(b[N_ACCOUNTS]):
        pay_account(b, account, now_us)
