"""The gateway's whole state: a few tables in one block. Nothing of it is kept elsewhere.

Times are int64 microseconds since the epoch, money int64 nano-USD, tokens int64, shares per
mille (`_pm`). A row number of -1 means none.
"""

from typing import Any, NamedTuple

import numpy as np

from policies.arena import window
from policies.compile import compiled
from policies.limits import LIMIT, LOG_ENTRY
from policies.log import ROW
from policies.rows import Bytes, Floats, Ints, Rows

NOWHERE = -1
NO_SLOT = -1
AUTO = -1
NEVER_US = 2**62

SETTINGS = np.dtype(
    [
        (name, "<i8")
        for name in (
            "seed", "start_us", "budget_period_us",
            "queue_enabled", "max_waiting", "max_waiting_per_tenant", "aging_milli_per_s", "fair_share",
            "max_attempts", "backoff_us", "backoff_max_us", "fallback_models",
            "failures_to_cool", "failure_window_us", "cooldown_us", "throttle_us", "overload_us",
            "acceleration_us", "money_us",
            "reservation", "routing", "model_choice", "needs_headroom", "output_prediction_pm",
            "scaling", "period_us", "hold_periods", "scaling_cooldown_us", "min_accounts", "max_accounts",
            "dedicated_overflow",
        )
    ]
    + [("add_above", "<f8"), ("retire_below", "<f8"), ("horizon_s", "<f8")]
)  # fmt: skip

PULSE = np.dtype(
    [
        (name, "<i8")
        for name in (
            "now_us", "arrived", "in_system", "waiting", "in_flight", "free_slot",
            "log_count", "effect_count", "waiting_segments", "round_robin",
            "why", "why_limit", "why_deployment", "clears_us", "candidates",
        )
    ]
)  # fmt: skip

ACCOUNT = np.dtype(
    [
        ("cool_until_us", "<i8"), ("ready_us", "<i8"), ("lead_time_us", "<i8"), ("in_flight", "<i8"),
        ("limit_lo", "<i4"), ("limit_hi", "<i4"), ("pool", "<i4"), ("key", "<i4"), ("keys_left", "<i4"),
        ("dedicated_tier", "<i2"), ("state", "u1"), ("base_state", "u1"),
        ("deployments_lo", "<i4"), ("deployments_hi", "<i4"), ("scale_pm", "<i4"), ("_pad", "<i4"),
    ]
)  # fmt: skip

BUCKET = np.dtype(
    [("cool_until_us", "<i8"), ("account", "<i4"), ("limit_lo", "<i4"), ("limit_hi", "<i4"), ("_pad", "<i4")]
)

DEPLOYMENT = np.dtype(
    [
        ("cool_until_us", "<i8"), ("wake_us", "<i8"), ("latency_us", "<i8"), ("in_flight", "<i8"),
        ("failures", "<i8"), ("failures_since_us", "<i8"), ("newest", "<i8"),
        ("weight", "<f8"), ("free_ratio", "<f8"),
        ("expected_nano_usd", "<i8"), ("performance_pm", "<i8"),      # of the request being placed
        ("surely_fits_tokens", "<i8"),                                # smaller requests fit every limit when idle
        ("model", "<i4"), ("account", "<i4"), ("bucket", "<i4"), ("shared", "<i4"),
    ]
)  # fmt: skip

MODEL = np.dtype(
    [
        ("input_nano_usd_per_1m", "<i8"), ("cached_nano_usd_per_1m", "<i8"), ("output_nano_usd_per_1m", "<i8"),
        ("context_tokens", "<i8"), ("max_output_tokens", "<i8"),
        ("deployments_lo", "<i4"), ("deployments_hi", "<i4"), ("chain_lo", "<i4"), ("chain_hi", "<i4"),
        ("performance_pm_0", "<i4"), ("performance_pm_1", "<i4"), ("performance_pm_2", "<i4"),
        ("performance_pm_3", "<i4"), ("performance_pm_4", "<i4"), ("_pad", "<i4"),
    ]
)  # fmt: skip

TENANT = np.dtype(
    [
        ("budget_nano_usd", "<i8"), ("budget_used", "<i8"), ("budget_held", "<i8"), ("budget_period", "<i8"),
        ("request_budget_nano_usd", "<i8"), ("tag", "<i8"), ("waiting", "<i8"), ("weight_milli", "<i8"),
        ("limit_lo", "<i4"), ("limit_hi", "<i4"), ("access", "<i4"), ("quality_floor_pm", "<i2"), ("tier", "<i2"),
    ]
)  # fmt: skip

TIER = np.dtype(
    [
        ("priority_milli", "<i8"), ("virtual", "<i8"), ("champion", "<i8"), ("above_pm", "<i8"),
        ("rank", "<i4"), ("share_pm", "<i4"),
    ]
)  # fmt: skip

SEGMENT = np.dtype(
    [
        ("head", "<i8"), ("count", "<i8"), ("models", "<i8"), ("access", "<i4"), ("place", "<i4"),
        ("tier", "<i2"), ("used", "u1"), ("_pad", "u1"), ("wanted", "<i4"),
    ]
)  # fmt: skip

POOL = np.dtype(
    [
        ("utilization", "<f8"), ("previous", "<f8"), ("trend", "<f8"), ("changed_us", "<i8"),
        ("accounts", "<i4"), ("standby", "<i4"), ("ordered", "<i4"), ("above", "<i4"), ("below", "<i4"), ("_pad", "<i4"),
    ]
)  # fmt: skip

# status of a request slot
FREE, WAITING, IN_FLIGHT, RESTING = 0, 1, 2, 3

REQUEST = np.dtype(
    [
        ("request", "<i8"), ("arrive_us", "<i8"), ("deadline_us", "<i8"), ("dispatch_us", "<i8"),
        ("budget_nano_usd", "<i8"), ("held_nano_usd", "<i8"), ("billed_nano_usd", "<i8"), ("tag", "<i8"),
        ("child", "<i8"), ("next", "<i8"), ("previous", "<i8"),
        ("tenant", "<i4"), ("number", "<i4"), ("segment", "<i4"), ("deployment", "<i4"),
        ("input_tokens", "<i4"), ("cached_tokens", "<i4"), ("max_output_tokens", "<i4"), ("reserved_output", "<i4"),
        ("complexity_pm", "<i2"), ("wanted", "<i2"), ("attempt", "<i2"), ("tier", "<i2"),
        ("status", "u1"), ("service_class", "u1"), ("why", "u1"), ("timer", "u1"), ("failed_at", "<i4"), ("key", "<i4"),
        ("_pad", "<i4"),
    ]
)  # fmt: skip

# effects: what a driver must do
DO_DISPATCH, DO_WAKE, DO_RETRY, DO_EXPIRE, DO_READY, DO_ABORT, DO_TICK = 1, 2, 3, 4, 5, 6, 7
EFFECT = np.dtype([("kind", "<i8"), ("row", "<i8"), ("request", "<i8"), ("time_us", "<i8")])

HEADER_WORDS = 64
LOG_ROWS = 16_384
LOG_SLACK = 1_024


class State(NamedTuple):
    """The tables of one gateway."""

    settings: Rows
    pulse: Rows
    accounts: Rows
    buckets: Rows
    deployments: Rows
    models: Rows
    tenants: Rows
    tiers: Rows
    segments: Rows
    pools: Rows
    limits: Rows
    shares: Rows             # one limiter per (limit row, tier), rows limit * tiers + tier
    logs: Rows               # entries of all sliding limiters
    requests: Rows
    waiting: Ints            # segments in which somebody waits, the first pulse.waiting_segments
    candidates: Ints
    scores: Floats
    chain: Ints              # models to try for a wanted model
    account_deployments: Ints
    open: Bytes              # (access class, deployment): region, tags, models of the contract, pool
    eligible: Bytes          # (segment, deployment): open, and of a model that its requests may use
    params: Floats
    memory: Floats
    effects: Rows
    log: Rows


I8, F8, U1 = np.dtype("<i8"), np.dtype("<f8"), np.dtype("u1")
SECTION_TYPES: tuple[np.dtype[Any], ...] = (
    SETTINGS, PULSE, ACCOUNT, BUCKET, DEPLOYMENT, MODEL, TENANT, TIER, SEGMENT, POOL, LIMIT, LIMIT, LOG_ENTRY,
    REQUEST, I8, I8, F8, I8, I8, U1, U1, F8, F8, EFFECT, ROW,
)  # fmt: skip


@compiled
def open_state(block: Bytes) -> State:
    """The tables inside a block made by `policies.build.build_state`. Views, no copies."""
    h = window(block, 0, 8 * HEADER_WORDS, I8)
    return State(
        window(block, h[0], h[1], SETTINGS), window(block, h[2], h[3], PULSE), window(block, h[4], h[5], ACCOUNT),
        window(block, h[6], h[7], BUCKET), window(block, h[8], h[9], DEPLOYMENT), window(block, h[10], h[11], MODEL),
        window(block, h[12], h[13], TENANT), window(block, h[14], h[15], TIER), window(block, h[16], h[17], SEGMENT),
        window(block, h[18], h[19], POOL), window(block, h[20], h[21], LIMIT), window(block, h[22], h[23], LIMIT),
        window(block, h[24], h[25], LOG_ENTRY), window(block, h[26], h[27], REQUEST), window(block, h[28], h[29], I8),
        window(block, h[30], h[31], I8), window(block, h[32], h[33], F8), window(block, h[34], h[35], I8),
        window(block, h[36], h[37], I8), window(block, h[38], h[39], U1), window(block, h[40], h[41], U1),
        window(block, h[42], h[43], F8), window(block, h[44], h[45], F8), window(block, h[46], h[47], EFFECT),
        window(block, h[48], h[49], ROW),
    )  # fmt: skip
