"""A client that asks to be taken: a tenant group beside a scenario's own, and what it would use of what is contracted.

Its size is its *load*: what it asks for over all that the accounts open to it could answer of requests like its own if nobody else
asked, at the platform's busiest time. So clients of few large requests and of many small ones are measured by one scale.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.experiments.clairvoyant.realised import Realised, requests_of
from forge1sim.planning.reach import Demanded
from forge1sim.scenario.load import LoadedScenario, durations_in_seconds, load_scenario
from forge1sim.scenario.problems import scenario_error, schema_findings
from forge1sim.scenario.schema import ScenarioTenants
from forge1sim.scenario.yaml_tree import Node, Place, node_of, read_yaml
from forge1sim.workload.build import build_workload
from forge1sim.workload.profile import CELL_S, cell_factors
from forge1sim.workload.spec import AUTO_NAME, Demand, Diurnal, Synthetic
from policies.layout import CHARGES, Layout, LimitRow, lay_out

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SAMPLED = 400                       # requests of a client that are looked at one by one
MOST_PER_PLATFORM = 100.0           # what no limit binds counts as this many times all that the scenario's tenants ask for
BUSIEST_POWER = 8.0                 # of the mean over time: 1 would be the average, infinity the busiest ten minutes alone


def read_client(path: Path) -> Node:
    """A tenant group as a scenario file has it, in a file of its own. Raises ScenarioError with file, line, field and value."""
    return checked(durations_in_seconds(read_yaml(path, path.name)))


def client_node(group: ScenarioTenants, source: str) -> Node:
    """The same from a group; messages name `source`."""
    return node_of(group.model_dump(mode="json", exclude_unset=True), Place(source, 0))


def checked(tree: Node) -> Node:
    """The tree, if it is a tenant group that asks for something. Raises ScenarioError."""
    data = tree.plain()
    try:
        group = ScenarioTenants.model_validate(data)
    except ValidationError as error:
        raise scenario_error(tree, schema_findings(error, ScenarioTenants, data)) from None
    if rate_per_s(group) <= 0:
        raise scenario_error(tree, [(("demand",), "asks for nothing; give requests_per_s or requests_per_s_each above 0")])
    return tree


def rate_per_s(group: ScenarioTenants) -> float:
    """Requests per second of all tenants of a group, as a mean over a week."""
    demand = group.demand or Demand()
    return demand.requests_per_s or (demand.requests_per_s_each or 0.0) * group.count


def at_rate(group: ScenarioTenants, requests_per_s: float) -> ScenarioTenants:
    """The same group at another rate."""
    assert group.demand is not None
    demand = group.demand.model_copy(update={"requests_per_s": requests_per_s})
    demand = Demand.model_validate(demand.model_dump(exclude_unset=True, exclude={"requests_per_s_each"}))
    return group.model_copy(update={"demand": demand})


def described(usual: ScenarioTenants, options: dict[str, Any]) -> ScenarioTenants:
    """A client like the usual one of its tier but for what command line options say. Raises PlanError for a value that cannot be.

    Output that is asked for at most changes with the output tokens.
    """
    assert usual.demand is not None
    demand = usual.demand
    content = demand.model_dump(mode="json", exclude_unset=True, exclude={"requests_per_s_each"})
    content["requests_per_s"] = options["--requests-per-s"]
    if (mean := options.get("--input-tokens")) is not None:
        content["input_tokens"] = demand.input_tokens.model_dump() | {"mean": mean}
    if (mean := options.get("--output-tokens")) is not None:
        content["output_tokens"] = demand.output_tokens.model_dump() | {"mean": mean}
        content["max_output_tokens"] = round(demand.max_output_tokens * mean / demand.output_tokens.mean)
    if (peak := options.get("--peak-over-mean")) is not None:
        content["diurnal"] = (demand.diurnal or Diurnal()).model_dump() | {"peak_over_mean": peak}
    if (model := options.get("--model")) is not None:
        content["models"] = {model: 1.0}
    try:
        return usual.model_copy(update={"demand": Demand.model_validate(content)})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlanError(f"the options describe no client: {where} is {first['input']!r}: {first['msg']}") from None


def with_client(loaded: LoadedScenario, group: ScenarioTenants) -> str:
    """The override by which the scenario has this client as well."""
    groups = [one.model_dump(mode="json", exclude_unset=True) for one in (*loaded.scenario.tenants, group)]
    return f"tenants={json.dumps(groups)}"


def demand_client_fits(loaded: LoadedScenario) -> None:
    """Raises PlanError where one more group of tenants would take demand from others, or generate none."""
    sources = loaded.workload_sources
    if not any(isinstance(source, Synthetic) for source in sources):
        raise PlanError("workload.sources has no {kind: synthetic}, so a client would ask for nothing; add it")
    for row, source in enumerate(sources):
        if not isinstance(source, Synthetic) and not source.assign.groups:
            raise PlanError(f"workload.sources.{row}.assign.groups is empty, so a client would get rows of the trace; name the groups")


@dataclass(frozen=True)
class Busy:
    """The scenario's own load in cells of ten minutes, shape (cells,), and its requests per second."""

    load: Floats
    requests_per_s: float

    def with_load(self, load: Floats) -> float:
        """What another load, shape (cells,), adds at the busiest time: the difference of power means."""
        return float(power_mean(self.load + load) - power_mean(self.load))

    @property
    def least_per_request(self) -> float:
        """Load of a request per second that meets no limit."""
        return 1 / (MOST_PER_PLATFORM * self.requests_per_s)


def power_mean(values: Floats) -> float:
    """Generalised mean with exponent BUSIEST_POWER."""
    most = float(values.max())
    return most * float(np.mean((values / most) ** BUSIEST_POWER)) ** (1 / BUSIEST_POWER) if most > 0 else 0.0


def busy_of(loaded: LoadedScenario, seed: int) -> Busy:
    """The scenario's own load on one draw. Raises WorkloadError or ExperimentError."""
    layout = lay_out(loaded.platform, loaded.start_us)
    requests = requests_of(loaded, layout, seed)
    horizon_s = loaded.horizon_us / 1e6
    cells = max(1, int(np.ceil(horizon_s / CELL_S)))
    at = np.minimum((requests["arrive_us"] - loaded.start_us) // int(CELL_S * 1e6), cells - 1)
    lasts_s = np.minimum(CELL_S, horizon_s - CELL_S * np.arange(cells))
    per_s = np.bincount(at, minlength=cells) / lasts_s
    sample = requests[:: max(1, len(requests) // (10 * SAMPLED))]
    per_request = 1 / capacity_per_s(_choices(loaded, layout, sample), np.ones(len(sample), dtype=bool))
    total_per_s = len(requests) / horizon_s
    return Busy(load=per_s * max(per_request, 1 / (MOST_PER_PLATFORM * total_per_s)), requests_per_s=total_per_s)


class Client:
    """One client of a scenario: `loaded` has it as its last group."""

    def __init__(self, loaded: LoadedScenario) -> None:
        self.loaded, self.group = loaded, loaded.groups[-1]
        assert self.group.demand is not None
        self.demand, self.tier = self.group.demand, str(self.group.tier)
        self.rate_per_s = rate_per_s(self.group)

    @classmethod
    def of(cls, ask: Ask, node: Node) -> "Client":
        """The client in the scenario of `ask`. Raises ScenarioError: what the scenario has nothing for."""
        return cls(load_scenario(ask.scenario, ask.overrides, seed=ask.seed, client=node))

    @cached_property
    def choices(self) -> Demanded:
        """Requests like the client's, and what is open to each."""
        layout, requests = sampled(self.loaded, self.group)
        return _choices(self.loaded, layout, requests)

    @cached_property
    def wishes(self) -> dict[str, float]:
        """Shares of its requests by what they ask for: `auto` or a model."""
        weights = {name: weight for name, weight in self.demand.models.items() if weight > 0} or {AUTO_NAME: 1.0}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    @cached_property
    def answerable(self) -> Flags:
        """Whether anything that is contracted may answer each of its requests, shape (n,)."""
        routes = range(len(self.choices.routes))
        return np.asarray(np.any([self.choices.open_to(row) for row in routes], axis=0), dtype=bool)

    def load_per_request(self, busy: Busy) -> float:
        """Load of one request per second: the mean over what it asks for."""
        total = 0.0
        for name, share in self.wishes.items():
            capacity = self.capacity_per_s(name)
            total += share / capacity if capacity > 0 else 0.0
        return max(total, busy.least_per_request)

    def capacity_per_s(self, wish: str) -> float:
        """How many of its requests with this wish the accounts could answer per second; infinite if nothing binds."""
        return capacity_per_s(self.choices, self.rows_of(wish))

    def rows_of(self, wish: str) -> Flags:
        """Which of the sampled requests have a wish, shape (n,); all where it is so rare that none has."""
        models = [model.name for model in self.choices.realised.layout.models]
        rows = np.asarray(self.choices.requests["wanted"] == (-1 if wish == AUTO_NAME else models.index(wish)))
        return rows if rows.any() else np.ones(len(rows), dtype=bool)

    @cached_property
    def factors(self) -> Floats:
        """Its rate over its mean in cells of ten minutes, shape (cells,)."""
        horizon_s = self.loaded.horizon_us / 1e6
        found = cell_factors(self.demand, self.group.timezone, self.loaded.start_us, horizon_s)
        return np.broadcast_to(found, max(1, int(np.ceil(horizon_s / CELL_S))))

    def load(self, busy: Busy) -> float:
        """Its load at the busiest time."""
        return busy.with_load(self.rate_per_s * self.load_per_request(busy) * self.factors)


def sampled(loaded: LoadedScenario, group: ScenarioTenants) -> tuple[Layout, NDArray[np.void]]:
    """A platform with this group alone, and about SAMPLED of its requests."""
    layout = lay_out(loaded.platform.model_copy(update={"tenants": loaded.platform.tenants[-1:]}), loaded.start_us)
    names = [model.name for model in layout.models]
    horizon_s = loaded.horizon_us / 1e6
    steady = {"requests_per_s": SAMPLED / horizon_s, "requests_per_s_each": None, "starts_after_s": 0.0, "onboarding_over_s": 0.0}
    flat = {"diurnal": None, "weekend_factor": 1.0, "growth_per_week": 0.0}
    assert group.demand is not None
    alike = group.model_copy(update={"demand": group.demand.model_copy(update=steady | flat)})
    workload = build_workload((Synthetic(),), [alike], names, loaded.start_us, horizon_s, loaded.seed)
    return layout, np.concatenate(list(workload.chunks()))


def _choices(loaded: LoadedScenario, layout: Layout, requests: NDArray[np.void]) -> Demanded:
    nobody = np.zeros(len(requests), dtype=np.int64)
    return Demanded(Realised(
        layout=layout, bundle=loaded.bundle, faults=(), estimation=loaded.scenario.workload.estimation, seed=loaded.seed,
        start_us=loaded.start_us, end_us=loaded.start_us + loaded.horizon_us, requests=requests, deployments=nobody, sent_us=nobody,
        answer_nano_usd=nobody, paid_nano_usd=0, quality_pm=0,
    ), {})  # fmt: skip


def capacity_per_s(choices: Choices, rows: Flags) -> float:
    """How many requests like these all accounts could answer per second, by their limits; infinite where one has none, 0 if none may."""
    return sum(len(pool.accounts) * account_per_s(choices, number, rows) for number, pool in enumerate(choices.pools))


def account_per_s(choices: Choices, pool: int, rows: Flags) -> float:
    """The same of one account of a pool: what its buckets allow in sum, at most what its own limits do."""
    layout, horizon_s = choices.realised.layout, (choices.realised.end_us - choices.realised.start_us) / 1e6
    by_bucket: dict[int, float] = {}
    whole = 0.0
    for number, route in enumerate(choices.routes):
        here = choices.open_to(number) & rows if route.pool == pool else None
        if here is None or not here.any():
            continue
        bucket = layout.deployments[route.deployment].bucket
        limits = [layout.limits[row] for row in route.limits]
        by_limit = {limit: _per_s(choices, limit, horizon_s, route.model, here) for limit in limits}
        own = min((value for limit, value in by_limit.items() if limit.bucket >= 0), default=float("inf"))
        by_bucket[bucket] = max(by_bucket.get(bucket, 0.0), own)
        whole = max(whole, min((value for limit, value in by_limit.items() if limit.bucket < 0), default=float("inf")))
    return min(sum(by_bucket.values()), whole)


def _per_s(choices: Choices, limit: LimitRow, horizon_s: float, model: int, here: Flags) -> float:
    """Requests per second that one limit allows of a model, with their mean use; infinite for limits on what is in flight."""
    used = float(choices.uses(CHARGES.index(limit.charge))[here, model].mean())
    if limit.window in ("none", "acceleration") or used <= 0:
        return float("inf")
    window_s = min(limit.window_us / 1e6, horizon_s) if limit.window_us else 60.0
    return limit.amount / window_s / used


def limit_uses(client: Client) -> dict[str, float]:
    """What a client would add to each limit at its own busiest time, as a share of it, spread by what accounts and models could answer."""
    choices, layout = client.choices, client.choices.realised.layout
    busiest_per_s, horizon_s = client.rate_per_s * float(client.factors.max()), client.loaded.horizon_us / 1e6
    found: dict[str, float] = {}
    for wish, share in client.wishes.items():
        rows, capacity = client.rows_of(wish), client.capacity_per_s(wish)
        for pool in range(len(choices.pools)):
            met = {
                number: {layout.limits[row]: _per_s(choices, layout.limits[row], horizon_s, route.model, here) for row in route.limits}
                for number, route in enumerate(choices.routes)
                if route.pool == pool and (here := choices.open_to(number) & rows).any()
            }
            rates = {number: min(limits.values(), default=float("inf")) for number, limits in met.items()}
            if not rates or not np.isfinite(sum(rates.values())):
                continue
            sent_per_s = share * busiest_per_s * account_per_s(choices, pool, rows) / capacity
            for number, limits in met.items():
                for limit, per_s in limits.items():
                    found[limit.name] = found.get(limit.name, 0.0) + sent_per_s * rates[number] / sum(rates.values()) / per_s
    return found
