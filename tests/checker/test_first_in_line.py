"""Who becomes first in line without arriving or leaving is served at once: worlds by hand, to the millisecond."""

import numpy as np
from numpy.typing import NDArray
from running import check, run
from worlds import START_US, TIERS, World

from forge1sim.workload.table import NEVER_US, REQUESTS
from policies.bundle import PolicyBundle
from policies.log import DISPATCH
from policies.schema import Account, Distribution, Limit, Model, Platform, Provider, Speed, TenantGroup

LATE, EARLY, LOWER, LOWEST = range(4)


def requests_of(*asked: tuple[int, int, int]) -> NDArray[np.void]:
    """(ms after the start, tenant, tokens) of each request, in order."""
    rows = np.zeros(len(asked), REQUESTS)
    for number, (at_ms, tenant, tokens) in enumerate(asked):
        row = rows[number]
        row["arrive_us"], row["tenant"], row["number"] = START_US + at_ms * 1000, tenant, number
        row["input_tokens"], row["output_tokens"], row["max_output_tokens"] = tokens - 1, 1, 1
        row["wanted"], row["deadline_us"], row["cancel_us"] = -1, NEVER_US, NEVER_US
    return rows


def test_where_a_tier_uses_up_its_share_another_is_first():
    # 1000 tokens a second, at most 1000 at once; half of them are promised to enterprise, 3 in 10 to professional.
    account = Account(name="a", provider="p", limits=(Limit(dimension="tpm", limit=60_000.0, burst_s=1.0),))
    model = Model(
        name="m", provider="p", input_usd_per_1m=1.0, output_usd_per_1m=1.0,
        speed=Speed(service_s=Distribution(kind="deterministic", mean=1.0)),
    )  # fmt: skip
    tenants = (
        TenantGroup(name="late", tier="enterprise"), TenantGroup(name="early", tier="enterprise"),
        TenantGroup(name="lower", tier="professional"), TenantGroup(name="lowest", tier="standard"),
    )  # fmt: skip
    rows = requests_of(
        (0, LOWEST, 1000), (1, LATE, 10),       # a wait, after which this tenant stands behind the other
        (2000, LOWEST, 900),
        (2001, LATE, 490),                      # owed, but there is no room until 2390
        (2200, LOWER, 20),                      # owed, but of a lower tier
        (2201, EARLY, 220),                     # fits, and takes of what its tier was owed
        (2300, LOWEST, 5),
    )  # fmt: skip
    world = World(
        platform=Platform(models=(model,), accounts=(account,), providers=(Provider(name="p"),), tenants=tenants),
        bundle=PolicyBundle(tiers=TIERS), requests=rows, horizon_s=3.0,
    )  # fmt: skip
    log = run(world)
    sent = log[(log["kind"] == DISPATCH) & (log["request"] == 4)]
    assert (sent["time_us"] - START_US).tolist() == [2_201_000]
    assert check(world, log).findings == []
