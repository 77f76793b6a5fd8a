"""Whole plans, verified: the quick start (timed), the design document's pool, ServeGen clients and a real trace (where the data is),
and five platforms drawn when this runs.

Gaps are the largest over all of them, as shares of the plan's cost and of what plans decide. A plan that is proven is the cheapest of
all on its draws. `python -m benchmarks.bench_plan SEED` repeats a draw.
"""

import secrets
import sys
import tempfile
from pathlib import Path

from benchmarks.common import ROOT
from benchmarks.platforms import platform, written
from forge1sim.errors import PlanError, ScenarioError
from forge1sim.planning.plan import plan
from forge1sim.planning.planned import Planned

RESULTS = ("plan_gap_total", "plan_gap_controllable", "plan_seconds")
QUICK_START = "scenarios/quickstart.yaml"
SHIPPED = (QUICK_START, "scenarios/design_pool.yaml", "scenarios/servegen_day.yaml", "scenarios/azure.yaml")
DRAWN = 5


def run(seed: int | None = None) -> dict[str, float]:
    """Print what became of each; one without any plan is told, and counts for no gap."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    print(f"platforms drawn from seed {seed}", flush=True)
    found: dict[str, Planned] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [ROOT / name for name in SHIPPED]
        for number in range(DRAWN):
            inside = Path(folder) / str(number)
            inside.mkdir()
            paths.append(written(inside, platform(1000 * seed + number)))
        for path in paths:
            try:
                planned = plan(path)
            except (PlanError, ScenarioError) as error:
                print(f"{path.name}: no plan: {error}", flush=True)
                continue
            found[str(path)] = planned
            print(_told(planned), flush=True)
    gaps = [one.gaps for one in found.values()]
    return {
        "plan_gap_total": max(one.total for one in gaps), "plan_gap_controllable": max(one.controllable for one in gaps),
        "plan_seconds": found[str(ROOT / QUICK_START)].seconds,
    }  # fmt: skip


def _told(planned: Planned) -> str:
    proven = "proven" if planned.proven else f"best found ({planned.why_not_proven})"
    return (
        f"{planned.name}: {planned.options.shown(planned.plan)}: {planned.usd_per_month:,.0f} USD a month, {proven}, "
        f"gap {planned.gaps.total:.2%} of the cost and {planned.gaps.controllable:.2%} of what plans decide; whatever the policies "
        f"at least {planned.fluid_bound_usd:,.0f}; {planned.simulated} of {planned.plans} plans, {planned.requests:,.0f} requests a draw, "
        f"{planned.seconds:.0f} s"
    )


if __name__ == "__main__":
    print(run(*(int(seed) for seed in sys.argv[1:])))
