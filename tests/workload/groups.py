"""Tenant groups and workloads for the tests of this folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.workload.build import BuiltWorkload, build_workload
from forge1sim.workload.spec import Demand, Source, Synthetic
from forge1sim.workload.table import REQUESTS

MODELS = ("small", "large")
MONDAY_US = 1_767_571_200_000_000  # 2026-01-05, a Monday, midnight UTC
DATA = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Tenants:
    """What `build_workload` needs to know of a tenant group."""

    name: str = "tenants"
    count: int = 1
    timezone: str = "UTC"
    request_budget_usd: float | None = None
    demand: Demand | None = None


def build(
    groups: Sequence[Tenants], horizon_s: float, *, seed: int = 1, sources: Sequence[Source] = (Synthetic(),),
    folders: tuple[Path, ...] = (), start_us: int = MONDAY_US,
) -> BuiltWorkload:  # fmt: skip
    return build_workload(sources, groups, MODELS, start_us, horizon_s, seed, folders)


def rows_of(workload: BuiltWorkload) -> NDArray[np.void]:
    """All requests at once."""
    return np.concatenate([np.empty(0, REQUESTS), *workload.chunks()])


def synthetic(horizon_s: float, count: int = 1, seed: int = 1, **demand: object) -> NDArray[np.void]:
    """Requests of one group with this demand."""
    return rows_of(build([Tenants(count=count, demand=Demand.model_validate(demand))], horizon_s, seed=seed))


def gaps_s(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """Times between requests of the same tenant."""
    by_tenant = rows[np.lexsort((rows["number"], rows["tenant"]))]
    same = np.diff(by_tenant["tenant"]) == 0
    gaps: NDArray[np.float64] = np.diff(by_tenant["arrive_us"])[same] / 1e6
    return gaps
