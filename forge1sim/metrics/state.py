"""The numbers that the fold adds to, in one block. Its size follows from platform and horizon, not from requests.

Compiled code gets the block alone; its head says where each part begins. One array instead of
thirty compiles three times faster and runs ten times faster (Numba hands every array to a function
as seven values and counts its references). Everybody else uses the named views of `State`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import columns as c
from forge1sim.metrics.static import MINUTE_US, MetricsStatic

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Views of the block. Time is the first axis where there is one; its last row is after the horizon."""

    block: Ints
    tenant: Ints  # (tenants, TENANT_SIZE)
    tenant_detail: Ints  # (tenants, TENANT_DETAIL_SIZE)
    tier: Ints  # (tiers, TIER_SIZE)
    deployment: Ints  # (deployments, DEPLOYMENT_SIZE)
    group: Ints  # (groups, GROUP_SIZE)
    account: Ints  # (accounts, ACCOUNT_SIZE)
    wanted: Ints  # (models + 1, WANTED_SIZE); last: auto
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
        "group": (groups, c.GROUP_SIZE),
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
        "tier_of_tenant": (tenants,),
        "model_of_deployment": (deployments,),
        "groups_of_deployment": (deployments, 2),
        "wait_target_us": (tiers,),
        "tenant_detail": (tenants, c.TENANT_DETAIL_SIZE),
    }


def new_state(static: MetricsStatic) -> State:
    """Nothing counted yet; accounts are in the state that `static` gives, since its start."""
    shapes = _shapes(static)
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    begins = [c.HEADER_SIZE, *(c.HEADER_SIZE + np.cumsum(sizes)).tolist()]
    block = np.zeros(begins[-1], np.int64)
    block[c.AT_TENANT : c.N_TENANTS] = begins[:-1]
    block[c.N_TENANTS : c.N_HOURS + 1] = (
        len(static.tenant_names), len(static.tier_names), len(static.model_names), len(static.deployment_names),
        len(static.account_of_group), len(static.account_names), static.intervals, static.hours,
    )  # fmt: skip
    block[c.START_US : c.HORIZON_END_US + 1] = (
        static.start_us, static.interval_us, static.hour_us, static.start_us + static.horizon_us,
    )  # fmt: skip
    block[c.NOW_US] = block[c.BEGIN_US] = static.start_us
    block[c.END_US] = static.start_us + static.interval_us
    block[c.MINUTE_END_US] = static.start_us + MINUTE_US
    parts = {
        name: block[begin : begin + size].reshape(shape)
        for (name, shape), begin, size in zip(shapes.items(), begins, sizes, strict=False)
    }
    parts.pop("tier_of_tenant")[:] = static.tier_of_tenant
    parts.pop("model_of_deployment")[:] = static.model_of_deployment
    parts.pop("groups_of_deployment")[:] = static.groups_of_deployment
    parts.pop("wait_target_us")[:] = static.wait_target_us()
    state = State(block=block, **parts)
    for level in (state.tier[:, c.WAITING_NOW :], state.tier[:, c.IN_SYSTEM_NOW :], state.deployment, state.group):
        level[:, c.SINCE] = static.start_us
    state.group[:, c.GROUP_MINUTE_NUMBER] = -1
    state.account[:, c.STATE] = static.account_state
    state.account[:, c.STATE_SINCE_US] = static.start_us
    return state
