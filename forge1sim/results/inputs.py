"""Inputs in which runs differ: fields of their resolved scenarios."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = object()


@dataclass(frozen=True)
class Differing:
    """A field, by its dotted path, with its value in each run; `ABSENT` where a run has no such field."""

    field: str
    values: tuple[Any, ...]


def differing(scenarios: Sequence[Any]) -> list[Differing]:
    """Fields whose values are not the same in all of the scenarios (JSON values), in the order of the first.

    A field that holds nothing is like one that is not there.
    """
    leaves = [{name: value for name, value in leaves_of(scenario) if value is not None} for scenario in scenarios]
    found = []
    for field in dict.fromkeys(name for one in leaves for name in one):
        values = tuple(one.get(field, ABSENT) for one in leaves)
        if any(value != values[0] for value in values[1:]):
            found.append(Differing(field, values))
    return found


def as_written(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """A run's `scenario.json` under the paths of scenario files: `tenants.gold.demand` instead of the first of the demands."""
    platform = resolved.get("platform", {})
    pairs = zip(platform.get("tenants", []), resolved.get("demand", []), strict=False)
    tenants = [{**group, "demand": demand} for group, demand in pairs]
    rest = {name: value for name, value in resolved.items() if name not in ("platform", "demand")}
    return {**platform, "tenants": tenants, **rest}


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, by its dotted path; items of lists go by their name where they have one."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves_of(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for row, item in enumerate(value):
            yield from leaves_of(item, f"{path}.{item.get('name', row)}")
    else:
        yield path, value


def told(value: Any) -> str:
    """A value as a cell: a dash where there is none."""
    if value is ABSENT:
        return "\u2013"
    return f"{value:,g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
