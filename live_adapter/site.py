"""A platform as real traffic needs it: rows by name, and where each deployment is reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from live_adapter.config import LiveConfig, ProviderSite
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.layout import Layout
from policies.plug import plug
from policies.routing import unplugged
from policies.rows import Bytes, Plugged
from policies.state import AUTO

_LEARNT = ("rpm", "tpm", "itpm", "otpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a deployment is: provider, the model's name there, account row, and the limit rows that headers may speak of."""

    name: str
    provider: str
    site: ProviderSite
    model: int
    model_name: str
    account: int
    limits: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Site:
    """One platform under one bundle, as it was when the gateway started at `start_us`.

    `plugged` has the numbers of policies of one's own by kind, as `policies.plug` gave them.
    """

    layout: Layout
    bundle: PolicyBundle
    config: LiveConfig
    start_us: int
    seed: int
    plugged: Mapping[str, int] = field(default_factory=dict)
    targets: tuple[Target, ...] = field(init=False)
    model_rows: Mapping[str, int] = field(init=False)
    tenant_rows: Mapping[str, int] = field(init=False)
    limit_names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.config.demand_known(self.layout)
        layout = self.layout
        for name, value in (
            ("targets", tuple(self._target(row) for row in range(len(layout.deployments)))),
            ("model_rows", {model.name: row for row, model in enumerate(layout.models)}),
            ("tenant_rows", {name: row for row, name in enumerate(layout.tenant_names)}),
            ("limit_names", [limit.name for limit in layout.limits]),
        ):
            object.__setattr__(self, name, value)

    def state(self) -> Bytes:
        """The gateway's state at the start."""
        return build_state(self.layout, self.bundle, self.start_us, self.seed, self.plugged)

    @cached_property
    def user_policy(self) -> Plugged:
        """The number of the routing policy of one's own, or of what stands for none."""
        return self.plugged["routing"] if "routing" in self.plugged else plug(unplugged, "routing")

    def model_row(self, name: str) -> int | None:
        """Row of the model of this name, AUTO for the name that leaves the choice to the gateway; None for no model."""
        return AUTO if name == self.config.calls.auto_model else self.model_rows.get(name)

    def _target(self, row: int) -> Target:
        layout = self.layout
        deployment = layout.deployments[row]
        model, account, bucket = layout.models[deployment.model], layout.accounts[deployment.account], layout.buckets[deployment.bucket]
        provider = layout.providers[account.provider].name
        limits: dict[str, int] = {}
        # A limit of the bucket is nearer than one of the account.
        for lo, hi in ((account.limit_lo, account.limit_known_hi), (bucket.limit_lo, bucket.limit_known_hi)):
            limits |= {layout.limits[limit].dimension: limit for limit in range(lo, hi) if layout.limits[limit].dimension in _LEARNT}
        return Target(
            name=deployment.name, provider=provider, site=self.config.site_of(provider), model=deployment.model,
            model_name=self.config.models.get(model.name, model.name), account=deployment.account, limits=limits,
        )  # fmt: skip
