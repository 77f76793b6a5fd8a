"""A small gateway state for laws about queues and tiers, opened as plain tables."""

from policies.build import build_state
from policies.bundle import PolicyBundle, Queueing
from policies.layout import lay_out
from policies.schema import Account, Limit, Model, Platform, TenantGroup, Tier
from policies.state import open_state

START_US = 1_793_577_600_000_000
TIERS = (Tier(name="gold", priority_score=100.0, guaranteed_capacity=0.5), Tier(name="standard", priority_score=10.0))


def small_state(slots: int = 64, weights: tuple[float, ...] = (1.0, 1.0, 2.0), tier: str = "standard"):
    """Tables of a gateway with one deployment and a tenant for each weight, all in one tier."""
    platform = Platform(
        models=(Model(name="m", provider="p", input_usd_per_1m=1.0, output_usd_per_1m=2.0),),
        accounts=(Account(name="a", provider="p", limits=(Limit(dimension="rpm", limit=60.0),)),),
        tenants=tuple(TenantGroup(name=f"t{row}", tier=tier, weight=weight) for row, weight in enumerate(weights)),
    )
    bundle = PolicyBundle(tiers=TIERS, queue=Queueing(max_in_system=slots))
    block = build_state(lay_out(platform, START_US), bundle, START_US, seed=1)
    state = open_state(block)
    state.segments[0]["used"], state.segments[0]["head"] = 1, -1
    return block, state
