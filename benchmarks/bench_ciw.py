"""A plain M/M/10 against Ciw, customers per CPU second side by side."""

import ciw

from benchmarks.common import cpu_s, load, requests_per_cpu_s

RESULTS = ("compiled_over_ciw", "ciw_customers_per_cpu_s")
_RATE_PER_S, _SERVERS, _CIW_CUSTOMERS = 9.0, 10, 60_000


def _ciw_customers_per_cpu_s() -> float:
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=_RATE_PER_S)],
        service_distributions=[ciw.dists.Exponential(rate=1.0)],
        number_of_servers=[_SERVERS],
    )
    ciw.seed(1)
    simulation = ciw.Simulation(network)
    seconds = cpu_s(lambda: simulation.simulate_until_max_time(_CIW_CUSTOMERS / _RATE_PER_S))[1]
    return len(simulation.get_all_records()) / seconds


def run() -> dict[str, float]:
    """The same queue: 10 servers, load 0.9."""
    servers, rate = f"accounts.slots.limits.0.limit={_SERVERS}", f"tenants.callers.demand.requests_per_s={_RATE_PER_S}"
    loaded = load("scenarios/theory/mmc.yaml", servers, rate, "horizon_s=100000")
    ours = requests_per_cpu_s(loaded, "compiled", log=False)
    theirs = max(_ciw_customers_per_cpu_s() for _ in range(2))
    return {"compiled_over_ciw": ours / theirs, "ciw_customers_per_cpu_s": theirs}
