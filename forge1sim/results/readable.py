"""Tables as people read them: headings in words with units, moments as dates, money in USD, shares in per cent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import Table

_ENDINGS = (("_nano_usd", " ($)"), ("_usd", " ($)"), ("_us", " (UTC)"), ("_s", " (s)"), ("_ratio", " (%)"), ("_per_min", " per minute"))
_SHARES = ("utilization", "share_above", "mean_use", "peak_use")


def heading(name: str) -> str:
    """A column's name in words with its unit: `wait_p95_s` is `wait p95 (s)`."""
    if name in _SHARES:
        return f"{name.replace('_', ' ')} (%)"
    for ending, unit in _ENDINGS:
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')}{unit}"
    return name.replace("_", " ")


def readable(table: Table) -> Table:
    """The same rows under headings with units: nano-USD as USD, ratios as per cent, microseconds since the epoch as dates."""
    return {heading(name): _readable(name, column) for name, column in table.items()}


def _readable(name: str, column: NDArray[Any]) -> NDArray[Any]:
    if name.endswith("_nano_usd"):
        return np.asarray(column / 1e9)
    if name.endswith("_us"):
        return np.asarray(column.astype("datetime64[us]").astype("datetime64[s]"))
    if name.endswith("_ratio") or name in _SHARES:
        return np.asarray(100.0 * column)
    return column
