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
    """The same queue: 10 servers, load 0.9; in turns, as the machine's speed varies."""
    servers, rate = f"accounts.slots.limits.0.limit={_SERVERS}", f"tenants.callers.demand.requests_per_s={_RATE_PER_S}"
    loaded = load("scenarios/theory/mmc.yaml", servers, rate, "horizon_s=100000")
    ours = theirs = 0.0
    for _ in range(3):
        ours = max(ours, requests_per_cpu_s(loaded, "compiled", runs=3, log=False))
        theirs = max(theirs, _ciw_customers_per_cpu_s())
    return {"compiled_over_ciw": ours / theirs, "ciw_customers_per_cpu_s": theirs}
