"""What the fold must know besides the log: who is in which row, limits, contracts, marks."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.metrics.columns import DIMENSIONS

MINUTE_US = 60_000_000
HOUR_US = 3_600_000_000
MONTH_US = 730 * HOUR_US  # clouds bill a month as 730 hours
MOST_INTERVALS = 1500
_MOST_CELLS = 2_000_000
_INTERVALS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
DEFAULT_WAIT_TARGET_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something worth a line in a figure: a fault from `start_us` to `end_us` since the epoch."""

    label: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFacts:
    """One limit of the platform in the order of the log's limit rows. `allows` says in words what it lets through.

    `group` is the limit group that it is a limit of. `dimension` is the column of
    `columns.DIMENSIONS` that it counts, -1 where its use is not measured (days, money, growth);
    `per_min` is what it allows of it per minute, or at once.
    """

    name: str
    model_class: str
    allows: str
    group: int
    dimension: int
    per_min: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsStatic:
    """Names and numbers in the order of the rows that the log speaks of.

    A limit group is a set of deployments that draw on the same limits: the models of one class in
    an account, or a whole account. `groups_of_deployment` has shape (deployments, 2), -1 where
    there is no second one. `group_limits` has shape (groups, 7) in the order of
    `columns.DIMENSIONS`: requests and five counts of tokens per minute, requests in flight;
    infinity where there is no limit. `wait_target_s` is by tier: a request that waited no
    longer is on time. Account states are those of the log (`policies.log`).
    """

    start_us: int
    horizon_us: int
    tier_names: tuple[str, ...]
    tenant_names: tuple[str, ...]
    tier_of_tenant: NDArray[np.int32]
    contract_nano_usd_per_month: NDArray[np.int64]
    model_names: tuple[str, ...]
    account_names: tuple[str, ...]
    account_provider: tuple[str, ...]
    account_nano_usd_per_month: NDArray[np.int64]
    account_state: NDArray[np.int32]
    deployment_names: tuple[str, ...]
    model_of_deployment: NDArray[np.int32]
    account_of_deployment: NDArray[np.int32]
    groups_of_deployment: NDArray[np.int32]
    account_of_group: NDArray[np.int32]
    whole_account: NDArray[np.bool_]
    group_limits: NDArray[np.float64]
    limits: tuple[LimitFacts, ...] = ()
    wait_target_s: tuple[float, ...] = ()
    marks: tuple[Mark, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.horizon_us <= 0:
            raise RunError(f"horizon_us is {self.horizon_us}, must be above 0")
        if not self.tier_names:
            raise RunError("tier_names is empty, at least one tier is needed")
        tenants, accounts, deployments = len(self.tenant_names), len(self.account_names), len(self.deployment_names)
        groups = len(self.account_of_group)
        shapes = (
            ("tier_of_tenant", self.tier_of_tenant, (tenants,)),
            ("contract_nano_usd_per_month", self.contract_nano_usd_per_month, (tenants,)),
            ("account_provider", np.array(self.account_provider), (accounts,)),
            ("account_nano_usd_per_month", self.account_nano_usd_per_month, (accounts,)),
            ("account_state", self.account_state, (accounts,)),
            ("model_of_deployment", self.model_of_deployment, (deployments,)),
            ("account_of_deployment", self.account_of_deployment, (deployments,)),
            ("groups_of_deployment", self.groups_of_deployment, (deployments, 2)),
            ("whole_account", self.whole_account, (groups,)),
            ("group_limits", self.group_limits, (groups, len(DIMENSIONS))),
        )
        for name, array, shape in shapes:
            if array.shape != shape:
                raise RunError(f"{name} has shape {array.shape}, must be {shape}")
        if self.wait_target_s and len(self.wait_target_s) != len(self.tier_names):
            raise RunError(f"wait_target_s has {len(self.wait_target_s)} values for {len(self.tier_names)} tiers")
        ranges = (
            ("tier_of_tenant", self.tier_of_tenant, 0, len(self.tier_names)),
            ("model_of_deployment", self.model_of_deployment, 0, len(self.model_names)),
            ("account_of_deployment", self.account_of_deployment, 0, accounts),
            ("groups_of_deployment", self.groups_of_deployment, -1, groups),
            ("account_of_group", self.account_of_group, 0, accounts),
        )
        for name, rows, least, end in ranges:
            if rows.size and not least <= rows.min() <= rows.max() < end:
                raise RunError(f"{name} goes from {rows.min()} to {rows.max()}, must lie in [{least}, {end})")

    @property
    def interval_us(self) -> int:
        """Length of a time interval: the shortest handy one that makes at most 1,500 of the horizon.

        Fewer when there are thousands of deployments, to bound memory.
        """
        widest = max(len(self.deployment_names), len(self.account_of_group), len(self.account_names), 1)
        most = max(50, min(MOST_INTERVALS, _MOST_CELLS // widest))
        for seconds in _INTERVALS_S:
            if self.horizon_us <= seconds * 1_000_000 * most:
                return seconds * 1_000_000
        days = -(-self.horizon_us // (most * 24 * HOUR_US))
        return days * 24 * HOUR_US

    @property
    def intervals(self) -> int:
        """How many intervals the horizon has. Row `intervals` of an array is what came after it."""
        return -(-self.horizon_us // self.interval_us)

    @property
    def hour_us(self) -> int:
        """Length of the coarse interval of tier x model: an hour, or the interval if that is longer."""
        return max(HOUR_US, self.interval_us)

    @property
    def hours(self) -> int:
        """How many coarse intervals the horizon has."""
        return -(-self.horizon_us // self.hour_us)

    def wait_target_us(self) -> NDArray[np.int64]:
        """By tier, the wait up to which a request is on time; 2 s where nothing is said."""
        seconds = self.wait_target_s or (DEFAULT_WAIT_TARGET_S,) * len(self.tier_names)
        return np.array([round(value * 1e6) for value in seconds], np.int64)
