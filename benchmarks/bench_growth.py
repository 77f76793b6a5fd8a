"""What doubling tenants (at equal load), deployments or the horizon costs, as ratios of CPU time."""

from benchmarks.common import BIG, best_of, load, warm_up
from forge1sim.run import simulate

RESULTS = ("growth_tenants_x2", "growth_deployments_x2", "growth_horizon_x2", "thousand_deployments_requests_per_cpu_s")
_SHORT = "horizon_s=2h"


def _seconds(*overrides: str) -> float:
    loaded = load(BIG, *overrides)
    warm_up(loaded, "compiled")
    return best_of(3, lambda: simulate(loaded, hash_log=False))[1]


def run() -> dict[str, float]:
    """Each against the same short run."""
    loaded = load(BIG, _SHORT)
    base_s = _seconds(_SHORT)
    tenants = [f"tenants.{group.name}.count={2 * group.count}" for group in loaded.groups]
    accounts = [f"accounts.{account.name}.count={2 * account.count}" for account in loaded.platform.accounts]
    deployments = sum(
        account.count * sum(model.provider == account.provider for model in loaded.platform.models)
        for account in loaded.platform.accounts
    )
    factor = -(-1000 // deployments)
    thousand = [f"accounts.{account.name}.count={factor * account.count}" for account in loaded.platform.accounts]
    requests = simulate(loaded, hash_log=False).summary["requests"]["arrived"]
    return {
        "growth_tenants_x2": _seconds(_SHORT, *tenants) / base_s,
        "growth_deployments_x2": _seconds(_SHORT, *accounts) / base_s,
        "growth_horizon_x2": _seconds("horizon_s=4h") / base_s,
        "thousand_deployments_requests_per_cpu_s": requests / _seconds(_SHORT, *thousand),
    }
