"""Column numbers of the counting arrays, and the names under which they are written.

Each tuple of names is in the order of the numbers above it; tests hold them together.
Sums are int64: microseconds, tokens, nano-USD, and per mille for quality and promptness.
"""

from forge1sim.metrics.histogram import BINS, SKETCH_BINS

# an answer: columns that a tenant and a flow have side by side, from `served` on
(
    ANSWER_OTHER_MODEL, ANSWER_OTHER_DEPLOYMENT, ANSWER_INPUT, ANSWER_CACHED, ANSWER_OUTPUT, ANSWER_WAIT_US,
    ANSWER_LATENCY_US, ANSWER_QUALITY_PM,
) = range(1, 9)  # fmt: skip
ANSWER_COLUMNS = (
    "served", "other_model", "other_deployment", "input_tokens", "cached_tokens", "output_tokens", "wait_us",
    "latency_us", "quality_pm",
)  # fmt: skip

# how requests went, by tenant
ARRIVED, REJECTED, EXPIRED, CANCELLED, ON_TIME, PROMPT_PM, QUEUED, ATTEMPTS, RETRIES, REFUSALS, RATE_LIMITED, COST = (
    range(12)
)
SERVED = 12
TENANT_COLUMNS = (
    "arrived", "rejected", "expired", "cancelled", "on_time", "prompt_pm", "queued", "attempts", "retries", "refusals",
    "rate_limited", "cost_nano_usd", *ANSWER_COLUMNS,
)  # fmt: skip

# what passed from a tier through a deployment
F_ATTEMPTS, F_RETRIES, F_RESERVED, F_REFUSALS, F_RATE_LIMITED, F_COST, F_UNANSWERED_COST, F_SERVED = range(8)
FLOW_COLUMNS = (
    "attempts", "retries", "reserved_tokens", "refusals", "rate_limited", "cost_nano_usd", "unanswered_cost_nano_usd",
    *ANSWER_COLUMNS,
)  # fmt: skip

# a cell: the same during the present span, which ends with a minute or an interval. What happens to nearly every
# request is counted here, and added to flows, intervals, limit groups and hours once a span.
C_ATTEMPTS, C_RESERVED, C_SENT, C_IS_LISTED, C_COST, C_ON_TIME, C_SERVED = range(7)
CELL_COLUMNS = C_SERVED + len(ANSWER_COLUMNS)
CELL_SIZE = 16

# a tier during one interval; an integral is followed by the largest value
(
    T_ARRIVED, T_SERVED, T_REJECTED, T_EXPIRED, T_CANCELLED, T_ON_TIME, T_ATTEMPTS, T_RATE_LIMITED, T_COST,
    T_WAITING_US, T_WAITING_MAX, T_SYSTEM_US, T_SYSTEM_MAX,
) = range(13)  # fmt: skip
TIER_INTERVAL_COLUMNS = (
    "arrived", "served", "rejected", "expired", "cancelled", "on_time", "attempts", "rate_limited", "cost_nano_usd",
    "waiting_us", "waiting_max", "in_system_us", "in_system_max",
)  # fmt: skip

# a deployment during one interval; tokens used are those of answers that ended in it
D_ATTEMPTS, D_RESERVED, D_USED, D_RATE_LIMITED, D_SERVED, D_COST, D_BUSY_US, D_IN_FLIGHT_MAX = range(8)
DEPLOYMENT_INTERVAL_COLUMNS = (
    "attempts", "reserved_tokens", "used_tokens", "rate_limited", "served", "cost_nano_usd", "busy_us",
    "in_flight_max",
)  # fmt: skip

# What a limit group can be full of; counted per interval and as the busiest minute in it. What is certain at dispatch
# (requests, tokens with the most output, input) is counted then, what was really used when the answer ends: three and three.
REQUESTS, TOKENS, INPUT, UNCACHED, OUTPUT, TOTAL, IN_FLIGHT = range(7)
DIMENSIONS = (
    "requests", "tokens", "input_tokens", "uncached_input_tokens", "output_tokens", "total_tokens", "in_flight",
)  # fmt: skip

# by model wanted; the first row is for none in particular
W_ARRIVED, W_SERVED, W_REJECTED, W_EXPIRED, W_CANCELLED = range(5)
WANTED_COLUMNS = ("arrived", "served", "rejected", "expired", "cancelled")

# tier x model x hour
H_SERVED, H_COST, H_QUALITY_PM = range(3)
HOUR_COLUMNS = ("served", "cost_nano_usd", "quality_pm")

# ends without an answer, by reason
UNSERVED_KINDS = ("rejected", "expired", "cancelled")

# where each part begins in the block, and the sizes that locate a row in it
(
    AT_TENANT, AT_TIER, AT_DEPLOYMENT, AT_GROUP, AT_ACCOUNT, AT_WANTED, AT_FLOW, AT_HOUR_MODELS, AT_TIER_INTERVALS,
    AT_DEPLOYMENT_INTERVALS, AT_GROUP_INTERVALS, AT_CODE_INTERVALS, AT_ACCOUNT_ACTIVE, AT_MARKS,
    AT_MODEL_OF_DEPLOYMENT, AT_GROUPS_OF_DEPLOYMENT, AT_WAIT_TARGET_US, AT_CELL, AT_TOUCHED, AT_PENDING, AT_TIER_HISTOGRAMS,
    AT_DEPLOYMENT_HISTOGRAMS, AT_TENANT_DETAIL, AT_NAMED,
) = range(24)  # fmt: skip
N_TENANTS, N_TIERS, N_MODELS, N_DEPLOYMENTS, N_GROUPS, N_ACCOUNTS, N_INTERVALS, N_HOURS, N_LIMITS = range(24, 33)
START_US, LENGTH_US, HOUR_US, HORIZON_END_US = range(33, 37)

# scalars that change (NOWHERE: for counts that are none); log rows by kind follow from KIND on
(
    NOW_US, INTERVAL, END_US, HOUR, MINUTE, MINUTE_END_US, SPAN_END_US, SETTLED_US, TOUCHED, PENDING, NOWHERE, TIERS_NOW, OPEN, OPEN_MAX,
    OPEN_ARRIVE_US, LATENCY_SUM_US, MARKS, FAULT,
) = range(37, 55)  # fmt: skip
KIND, KINDS = 55, 32
HEADER_SIZE = 88                # a whole number of lines of memory

REASONS, REFUSAL_CLASSES = 32, 16

# A tenant's columns and its tier: three lines of memory. In detail, apart from them: rejections by reason, sketch of waits.
TENANT_TIER = len(TENANT_COLUMNS)
TENANT_SIZE = 24
TENANT_WAIT = REASONS
TENANT_DETAIL_SIZE = TENANT_WAIT + SKETCH_BINS

# levels are three numbers: how many now, the most since levels were settled, and what to add to now x the time since then
# for the integral
MOST, AREA_US = 1, 2
LEVEL_SIZE = 3

# a tier: levels, refusals by class, three times ends by reason
WAITING_NOW, IN_SYSTEM_NOW = 0, LEVEL_SIZE
TIER_REFUSAL = 2 * LEVEL_SIZE
TIER_UNSERVED = TIER_REFUSAL + REFUSAL_CLASSES
TIER_SIZE = TIER_UNSERVED + len(UNSERVED_KINDS) * REASONS

# a deployment: level, refusals by class; a limit group: level (its integral is that of its deployments), the minute's
# sums and number
FLIGHT_NOW = 0
DEPLOYMENT_REFUSAL = LEVEL_SIZE
DEPLOYMENT_SIZE = DEPLOYMENT_REFUSAL + REFUSAL_CLASSES
GROUP_MINUTE = 2
GROUP_MINUTE_NUMBER = GROUP_MINUTE + IN_FLIGHT
GROUP_SIZE = GROUP_MINUTE_NUMBER + 1

# two histograms of a tier, and of a deployment: waits, then latencies
LATENCY_BINS = BINS
HISTOGRAMS_SIZE = 2 * BINS

# places in histograms that were asked for and are added to a little later, when they have come from memory
PENDING_SIZE = 3 * 16

# a limit group during an interval: DIMENSIONS summed (in flight: microseconds), then the busiest minute of each
PEAK = len(DIMENSIONS)

# codes during an interval: rejections by reason, then refusals by class
CODE_REFUSAL = REASONS
CODES = REASONS + REFUSAL_CLASSES

# an account
STATE, STATE_SINCE_US, PAID_US = range(3)
ACCOUNT_SIZE = 3

FLOW_SIZE, WANTED_SIZE, HOUR_SIZE = len(FLOW_COLUMNS), len(WANTED_COLUMNS), len(HOUR_COLUMNS)
TIER_INTERVAL_SIZE, DEPLOYMENT_INTERVAL_SIZE = len(TIER_INTERVAL_COLUMNS), len(DEPLOYMENT_INTERVAL_COLUMNS)
GROUP_INTERVAL_SIZE = 2 * len(DIMENSIONS)

# flags of an open request
WAS_QUEUED, IS_QUEUED = 1, 2

# a mark: time, kind, code, account row
MOST_MARKS, MARK_SIZE = 5000, 4
