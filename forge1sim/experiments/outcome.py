"""What one replication came to, as flat numbers: `enterprise.wait_p95_s`, `all.cost_usd`, `slo.attained`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from forge1sim.ask import Ask
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.measures import MEASURES, Measure, measure_of
from forge1sim.scenario.load import LoadedScenario

if TYPE_CHECKING:
    from forge1sim.run import RunResult

Outcome = Mapping[str, float]
ATTAINED = "slo.attained"            # share of the scenario's SLOs that held


def replicate(ask: Ask) -> dict[str, float]:
    """Simulate once. Numbers in the order of tiers and measures; NaN where nothing was measured.

    Raises ScenarioError, WorkloadError or RunError.
    """
    from forge1sim.run import simulate  # late, since it loads all that simulates

    return outcome_of(simulate(ask.load(), driver=ask.driver, seed=ask.seed, hash_log=False))


def outcome_of(result: "RunResult") -> dict[str, float]:
    """The numbers of a run."""
    summary: Mapping[str, Any] = result.summary
    tiers = (ALL_TIERS, *summary["tiers"])
    numbers = {f"{tier}.{name}": measure_of(summary, tier, measure) for tier in tiers for name, measure in MEASURES.items()}
    met = [float(slo["met"]) for slo in result.slos]
    return {**numbers, ATTAINED: sum(met) / len(met) if met else float("nan")}


def measure_named(column: str) -> tuple[str, Measure | None]:
    """Tier and measure of a number's name; the measure is None for those that are none, as `slo.attained`."""
    tier, _, name = column.partition(".")
    return tier, MEASURES.get(name)


def columns_of(loaded: LoadedScenario) -> tuple[str, ...]:
    """The numbers that an outcome of this scenario has."""
    tiers = (ALL_TIERS, *(tier.name for tier in loaded.bundle.tiers))
    return (*(f"{tier}.{measure}" for tier in tiers for measure in MEASURES), ATTAINED)
