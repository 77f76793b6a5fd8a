"""The gateway's whole state: a few tables in one block. Nothing of it is kept elsewhere.

Times are int64 microseconds since the epoch, money int64 nano-USD, tokens int64, shares per
mille (`_pm`). A row number of -1 means none.
"""

from typing import Any, NamedTuple

import numpy as np

from policies.arena import opener
from policies.limits import LIMIT, LOG_ENTRY
from policies.log import ROW
from policies.rows import Bytes, Floats, Ints, Rows

NOWHERE = -1
NOBODY = -1
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
            "reservation", "routing", "model_choice", "output_prediction_pm",
            "scaling", "period_us", "scaling_cooldown_us", "min_accounts", "max_accounts",
            "dedicated_overflow", "fits_anywhere_tokens",
            "scaling_at", "tier_at",                          # policies of one's own, by the numbers that `policies.plug` gave them
        )
    ]
)  # fmt: skip

PULSE = np.dtype(
    [
        (name, "<i8")
        for name in (
            "now_us", "arrived", "in_system", "waiting", "in_flight", "free_slot",
            "log_count", "effect_count", "waiting_segments",
            "why", "why_limit", "deadlines", "expire_us", "tick_us",
        )
    ]
)  # fmt: skip

ACCOUNT = np.dtype(
    [
        ("cool_until_us", "<i8"), ("ready_us", "<i8"), ("lead_time_us", "<i8"), ("in_flight", "<i8"),
        ("limit_lo", "<i8"), ("limit_hi", "<i8"), ("limit_end", "<i8"),     # known ones end at limit_hi, all at limit_end
        ("pool", "<i8"), ("key", "<i8"), ("keys_left", "<i8"),
        ("dedicated_tier", "<i8"), ("state", "<i8"), ("base_state", "<i8"),
        ("deployments_lo", "<i8"), ("deployments_hi", "<i8"), ("scale_pm", "<i8"),
        ("alone", "<i8"),                                               # sent while nothing else was under way, or NOBODY
        ("yielding", "<i8"),                                            # of its deployments, those that yield to another
        ("trial_most", "<i8"), ("trial_count", "<i8"), ("trial_since_us", "<i8"), ("trial_doublings", "<i8"), ("in_doubt", "<i8"),
    ]
)  # fmt: skip

BUCKET = np.dtype(
    [
        ("cool_until_us", "<i8"), ("account", "<i8"), ("limit_lo", "<i8"), ("limit_hi", "<i8"), ("in_flight", "<i8"), ("alone", "<i8"),
        ("trial_most", "<i8"), ("trial_count", "<i8"),                # may be, are in flight (`policies.trials`); most 0: no trial
        ("trial_since_us", "<i8"), ("trial_doublings", "<i8"),        # the refusal; how often the rest was doubled
        ("in_doubt", "<i8"),                                          # it was none: what is left is not known
    ]
)  # fmt: skip

DEPLOYMENT = np.dtype(
    [
        ("model", "<i8"), ("account", "<i8"), ("bucket", "<i8"), ("shared", "<i8"),
        ("own_lo", "<i8"), ("own_hi", "<i8"), ("bucket_lo", "<i8"), ("bucket_hi", "<i8"),   # limit rows
        ("cool_until_us", "<i8"), ("wake_us", "<i8"), ("in_flight", "<i8"), ("free_ratio", "<f8"),
        ("expected_nano_usd", "<i8"), ("performance_pm", "<i8"),      # of the request being placed, as free_ratio
        ("latency_us", "<i8"), ("weight", "<f8"),
        ("surely_fits_tokens", "<i8"),                                # smaller requests fit every limit when idle
        ("failures", "<i8"), ("failures_since_us", "<i8"), ("newest", "<i8"),
        ("armed_for", "<i8"), ("armed_request", "<i8"), ("armed_segment", "<i8"),   # first in line when the timer was set
        ("short", "<i8"), ("yields", "<i8"),             # what it is short of; to whom it yields on another deployment
        ("owed", "<i8"),                                 # whether its first is owed a guaranteed share
        ("waiting_segments", "<i8"),                     # in which somebody waits for it
        ("beside", "<i8"),                               # others draw on one of its limits
    ]
)  # fmt: skip

MODEL = np.dtype(
    [
        ("input_nano_usd_per_1m", "<i8"), ("cached_nano_usd_per_1m", "<i8"), ("output_nano_usd_per_1m", "<i8"),
        ("dearest_nano_usd_per_1m", "<i8"),              # of an input token, cached or not
        ("bid_nano_usd_per_request", "<i8"), ("bid_nano_usd_per_1m", "<i8"),
        ("context_tokens", "<i8"), ("max_output_tokens", "<i8"),
        ("deployments_lo", "<i8"), ("deployments_hi", "<i8"), ("chain_lo", "<i8"), ("chain_hi", "<i8"),
    ]
)  # fmt: skip
POINTS_PER_MODEL = 6            # performance at complexity 0, 250, ... 1000 per mille, and the last once more

# what a model offers the request that is being placed; kept while it is
OFFER = np.dtype(
    [
        ("output_tokens", "<i8"), ("worst_nano_usd", "<i8"), ("expected_nano_usd", "<i8"), ("performance_pm", "<i8"),
        ("score", "<f8"),
    ]
)  # fmt: skip
# where a model's deployments that an access class may use stand in `doors`: dedicated ones, then shared ones
REACH = np.dtype([("lo", "<i8"), ("shared_lo", "<i8"), ("hi", "<i8")])

TENANT = np.dtype(
    [
        ("budget_nano_usd", "<i8"), ("budget_used", "<i8"), ("budget_held", "<i8"), ("budget_period", "<i8"),
        ("request_budget_nano_usd", "<i8"), ("tag", "<i8"), ("waiting", "<i8"), ("weight_milli", "<i8"),
        ("limit_lo", "<i8"), ("limit_hi", "<i8"), ("access", "<i8"), ("quality_floor_pm", "<i8"), ("tier", "<i8"),
    ]
)  # fmt: skip

TIER = np.dtype(
    [
        ("priority_milli", "<i8"), ("virtual", "<i8"), ("above_pm", "<i8"),
        ("champion", "<i8"),                            # while a deployment looks for who is first in line
        ("rank", "<i8"), ("share_pm", "<i8"),
    ]
)  # fmt: skip

SEGMENT = np.dtype(
    [
        ("head", "<i8"), ("count", "<i8"), ("models", "<i8"), ("access", "<i8"), ("place", "<i8"),
        ("tier", "<i8"), ("used", "<i8"), ("wanted", "<i8"), ("misfits", "<i8"),
        ("places", "<i8"),                               # how many deployments it has
    ]
)  # fmt: skip

POOL = np.dtype(
    [
        ("utilization", "<f8"), ("changed_us", "<i8"),                # use over the last period; when scaling changed it last
        ("accounts", "<i8"), ("draining", "<i8"), ("standby", "<i8"), ("orderable", "<i8"), ("ordered", "<i8"),  # in each state
        ("in_flight", "<i8"), ("waiting", "<i8"),                     # on its accounts; for any deployment of the platform
    ]
)  # fmt: skip

# what a policy of one's own is asked about one limit, in its whole units: the limit, and the tiers' shares of it
ROOM = np.dtype([("units", "<i8"), ("capacity", "<i8"), ("free", "<i8"), ("dimension", "<i8")])
CLAIM = np.dtype([("rank", "<i8"), ("share", "<i8"), ("left", "<i8")])

# status of a request slot
FREE, WAITING, IN_FLIGHT, RESTING = 0, 1, 2, 3

REQUEST = np.dtype(
    [
        ("request", "<i8"), ("arrive_us", "<i8"), ("deadline_us", "<i8"), ("dispatch_us", "<i8"),
        ("budget_nano_usd", "<i8"), ("held_nano_usd", "<i8"), ("billed_nano_usd", "<i8"), ("tag", "<i8"),
        ("child", "<i8"), ("next", "<i8"), ("previous", "<i8"),
        ("tenant", "<i8"), ("number", "<i8"), ("segment", "<i8"), ("deployment", "<i8"),
        ("input_tokens", "<i8"), ("cached_tokens", "<i8"), ("max_output_tokens", "<i8"), ("reserved_output", "<i8"),
        ("complexity_pm", "<i8"), ("wanted", "<i8"), ("attempt", "<i8"), ("tier", "<i8"),
        ("status", "<i8"), ("service_class", "<i8"), ("why", "<i8"), ("deadline_place", "<i8"), ("failed_at", "<i8"), ("key", "<i8"),
        ("tagged", "<i8"), ("most_tokens", "<i8"),
    ]
)  # fmt: skip

# effects: what a driver must do
DO_DISPATCH, DO_WAKE, DO_RETRY, DO_EXPIRE, DO_READY, DO_ABORT, DO_TICK = 1, 2, 3, 4, 5, 6, 7
EFFECT = np.dtype([("kind", "<i8"), ("row", "<i8"), ("request", "<i8"), ("time_us", "<i8")])

HEADER_WORDS = 112
LOG_ROWS = 4_096         # with what else is in use it stays in the second cache
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
    deadlines: Ints          # slots that wait or rest, as a heap by deadline, the first pulse.deadlines
    waiting: Ints            # segments in which somebody waits, the first pulse.waiting_segments
    candidates: Ints
    offers: Rows             # by model
    needs: Ints              # by charge rule: units that the request being placed needs with one model
    points: Ints             # POINTS_PER_MODEL of each model: performance per mille
    chain: Ints              # models to try for a wanted model
    account_deployments: Ints
    open: Bytes              # (access class, deployment): region, tags, models of the contract, pool
    reach: Rows              # (access class, model)
    doors: Ints              # deployments that are open, by access class and model
    eligible: Bytes          # (segment, deployment): open, and of a model that its requests may use
    places: Ints             # (segment, n): its n-th deployment
    params: Floats
    memory: Floats
    scaling_params: Floats
    scaling_memory: Floats   # (pool, word)
    tier_params: Floats
    room: Rows
    claims: Rows             # by tier
    effects: Rows
    log: Rows


I8, F8, U1 = np.dtype("<i8"), np.dtype("<f8"), np.dtype("u1")
SECTION_TYPES: tuple[np.dtype[Any], ...] = (
    SETTINGS, PULSE, ACCOUNT, BUCKET, DEPLOYMENT, MODEL, TENANT, TIER, SEGMENT, POOL, LIMIT, LIMIT, LOG_ENTRY,
    REQUEST, I8, I8, I8, OFFER, I8, I8, I8, I8, U1, REACH, I8, U1, I8, F8, F8, F8, F8, F8, ROOM, CLAIM, EFFECT, ROW,
)  # fmt: skip


open_state = opener(State, SECTION_TYPES)
