"""A scenario with more or less of something, all else as it is: `path=value` overrides that scale demand, prices or limits."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workload.spec import AgentSessions, ServeGen, Source, Synthetic


def demand_times(loaded: LoadedScenario, factor: float) -> tuple[str, ...]:
    """All demand times a factor: rates of groups and sessions, rows of recorded traces (`rate_scale`).

    Raises PlanError for ServeGen clients whose rate is as published, which nothing in a scenario scales.
    """
    groups = {group.name: factor for group in loaded.groups}
    return (*groups_times(loaded, groups), *(
        override for row, source in enumerate(loaded.workload_sources) for override in _source_times(row, source, factor)
    ))  # fmt: skip


def groups_times(loaded: LoadedScenario, factors: Mapping[str, float]) -> tuple[str, ...]:
    """The rates at which groups generate requests, times a factor by name of the group; recorded requests stay as they are."""
    if not any(isinstance(source, Synthetic) for source in loaded.workload_sources):
        return ()
    found = []
    for group in loaded.groups:
        for field in ("requests_per_s", "requests_per_s_each"):
            rate = getattr(group.demand, field, None)
            if rate is not None and factors[group.name] != 1.0:
                found.append(f"tenants.{group.name}.demand.{field}={_number(rate * factors[group.name])}")
    return tuple(found)


def prices_times(loaded: LoadedScenario, factor: float) -> tuple[str, ...]:
    """Prices of tokens times a factor, model by model; fees of accounts stay as they are."""
    found = []
    for model in loaded.platform.models:
        for field in ("input_usd_per_1m", "cached_input_usd_per_1m", "output_usd_per_1m"):
            usd = getattr(model, field)
            if usd is not None:
                found.append(f"models.{model.name}.{field}={_number(usd * factor)}")
    return tuple(found)


def limits_times(loaded: LoadedScenario, factor: float, without: Collection[str] = ()) -> tuple[str, ...]:
    """Limits of accounts times a factor, in whatever usage tier they come to be; `without` are entries that a plan leaves out."""
    return tuple(
        f"accounts.{one.name}.limit_factor={_number(one.limit_factor * factor)}"
        for one in loaded.scenario.accounts if one.name not in without
    )


def _source_times(row: int, source: Source, factor: float) -> Iterator[str]:
    at = f"workload.sources.{row}"
    if isinstance(source, Synthetic) or factor == 1.0:
        return
    if isinstance(source, AgentSessions):
        yield f"{at}.sessions_per_s={_number(source.sessions_per_s * factor)}"
    elif not isinstance(source, ServeGen):
        yield f"{at}.rate_scale={_number(source.rate_scale * factor)}"
    elif source.requests_per_s is not None:
        yield f"{at}.requests_per_s={_number(source.requests_per_s * factor)}"
    else:
        raise PlanError(f"{at}: demand as published cannot be scaled; give requests_per_s")


def _number(value: float) -> str:
    """To twelve digits, as YAML reads it: never `1e-05`, which is a text there."""
    return str(np.format_float_positional(float(f"{value:.12g}"), trim="0"))
