"""The numbers that the fold adds to, in one block. Its size follows from platform and horizon, not from requests.

Compiled code gets the block alone; its head says where each part begins. One array instead of
thirty compiles three times faster and runs ten times faster (Numba hands every array to a function
as seven values and counts its references). Everybody else uses the named views of `State`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import columns as c
from forge1sim.metrics.static import MINUTE_US, MetricsStatic

Ints = NDArray[np.int64]
Bins = NDArray[np.uint32]
_LINE_WORDS = 8
_BINS = ("tier_histograms", "deployment_histograms", "tenant_detail", "named")
_WITHIN = ("cell", "touched", "pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Views of the block. Time is the first axis where there is one; its last row is after the horizon."""

    block: Ints
    bins: Bins  # the same block, for counts of no more than there are requests
    tenant: Ints  # (tenants, len(TENANT_COLUMNS))
    tenant_detail: Bins  # (tenants, TENANT_DETAIL_SIZE)
    tier: Ints  # (tiers, TIER_SIZE)
    tier_histograms: Bins  # (tiers, HISTOGRAMS_SIZE)
    deployment: Ints  # (deployments, DEPLOYMENT_SIZE)
    deployment_histograms: Bins  # (deployments, HISTOGRAMS_SIZE)
    named: Bins  # (hours + 1, tiers, limits + 1); last limit: a tenant's own
    group: Ints  # (groups, GROUP_SIZE)
    account: Ints  # (accounts, ACCOUNT_SIZE)
    wanted: Ints  # (models + 1, WANTED_SIZE); first: auto
    flow: Ints  # (tiers, deployments, FLOW_SIZE)
    hour_models: Ints  # (hours + 1, tiers, models, HOUR_SIZE)
    tier_intervals: Ints  # (intervals + 1, tiers, TIER_INTERVAL_SIZE)
    deployment_intervals: Ints  # (intervals + 1, deployments, DEPLOYMENT_INTERVAL_SIZE)
    group_intervals: Ints  # (intervals + 1, groups, GROUP_INTERVAL_SIZE)
    code_intervals: Ints  # (intervals + 1, CODES)
    account_active: Ints  # (intervals + 1, accounts), microseconds active
    marks: Ints  # (MOST_MARKS, MARK_SIZE)


def _shapes(static: MetricsStatic) -> dict[str, tuple[int, ...]]:
    """The parts in the order of `columns.AT_TENANT` and following."""
    tenants, tiers, models = len(static.tenant_names), len(static.tier_names), len(static.model_names)
    deployments, accounts, groups = (
        len(static.deployment_names),
        len(static.account_names),
        len(static.account_of_group),
    )
    spans = static.intervals + 1
    return {
        "tenant": (tenants, c.TENANT_SIZE),
        "tier": (tiers, c.TIER_SIZE),
        "deployment": (deployments, c.DEPLOYMENT_SIZE),
        "group": (groups + 1, c.GROUP_SIZE),
        "account": (accounts, c.ACCOUNT_SIZE),
        "wanted": (models + 1, c.WANTED_SIZE),
        "flow": (tiers, deployments, c.FLOW_SIZE),
        "hour_models": (static.hours + 1, tiers, models, c.HOUR_SIZE),
        "tier_intervals": (spans, tiers, c.TIER_INTERVAL_SIZE),
        "deployment_intervals": (spans, deployments, c.DEPLOYMENT_INTERVAL_SIZE),
        "group_intervals": (spans, groups, c.GROUP_INTERVAL_SIZE),
        "code_intervals": (spans, c.CODES),
        "account_active": (spans, accounts),
        "marks": (c.MOST_MARKS, c.MARK_SIZE),
        "model_of_deployment": (deployments,),
        "groups_of_deployment": (deployments, 2),
        "wait_target_us": (tiers,),
        "cell": (tiers * deployments, c.CELL_SIZE),
        "touched": (tiers * deployments,),
        "pending": (c.PENDING_SIZE,),
        "tier_histograms": (tiers, c.HISTOGRAMS_SIZE),
        "deployment_histograms": (deployments, c.HISTOGRAMS_SIZE),
        "tenant_detail": (tenants, c.TENANT_DETAIL_SIZE),
        "named": (static.hours + 1, tiers, len(static.limits) + 1),
    }


def new_state(static: MetricsStatic) -> State:
    """Nothing counted yet; accounts are in the state that `static` gives, since its start."""
    shapes = _shapes(static)
    words = {name: -(-int(np.prod(shape)) // (2 if name in _BINS else 1)) for name, shape in shapes.items()}
    ends = np.cumsum([c.HEADER_SIZE, *(-(-size // _LINE_WORDS) * _LINE_WORDS for size in words.values())])
    block = _zeroed(int(ends[-1]))
    bins = block.view(np.uint32)
    views: dict[str, NDArray[Any]] = {}
    for (name, shape), begin, part in zip(shapes.items(), ends.tolist(), range(c.AT_TENANT, c.N_TENANTS), strict=False):
        source, block[part] = (bins, 2 * begin) if name in _BINS else (block, begin)
        views[name] = source[block[part] : block[part] + int(np.prod(shape))].reshape(shape)
    _fill_header(block, static)
    views["tenant"][:, c.TENANT_TIER] = static.tier_of_tenant
    views["tenant"] = views["tenant"][:, : c.TENANT_TIER]
    views.pop("model_of_deployment")[:] = static.model_of_deployment
    groups = static.groups_of_deployment
    views.pop("groups_of_deployment")[:] = np.where(groups < 0, len(static.account_of_group), groups)  # none: the row past the last
    views.pop("wait_target_us")[:] = static.wait_target_us()
    views["pending"][:] = 2 * c.NOWHERE
    views["group"][:, c.GROUP_MINUTE_NUMBER] = -1
    views["account"][:, c.STATE] = static.account_state
    views["account"][:, c.STATE_SINCE_US] = static.start_us
    return State(block=block, bins=bins, **{name: view for name, view in views.items() if name not in _WITHIN})


def _zeroed(words: int) -> Ints:
    """Zeros that begin at a line of memory."""
    raw = np.zeros(words + _LINE_WORDS, np.int64)
    skip = -(raw.ctypes.data // raw.itemsize) % _LINE_WORDS
    return raw[skip : skip + words]


def _fill_header(block: Ints, static: MetricsStatic) -> None:
    block[c.N_TENANTS : c.N_LIMITS + 1] = (
        len(static.tenant_names), len(static.tier_names), len(static.model_names), len(static.deployment_names),
        len(static.account_of_group), len(static.account_names), static.intervals, static.hours, len(static.limits),
    )  # fmt: skip
    block[c.START_US : c.HORIZON_END_US + 1] = (
        static.start_us, static.interval_us, static.hour_us, static.start_us + static.horizon_us,
    )  # fmt: skip
    block[c.NOW_US] = block[c.SETTLED_US] = static.start_us
    block[c.END_US] = static.start_us + static.interval_us
    block[c.MINUTE_END_US] = static.start_us + MINUTE_US
    block[c.SPAN_END_US] = min(block[c.END_US], block[c.MINUTE_END_US])
    block[c.TIERS_NOW] = block[c.AT_TIER_INTERVALS]
