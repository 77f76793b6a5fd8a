"""What every request carries besides its time and tokens, as tables that compiled code reads."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.workload.beta import beta_cdf
from forge1sim.workload.draws import (
    DistributionTable,
    keyed,
    purpose,
    sample_us,
    uniform,
)
from forge1sim.workload.spec import AUTO_NAME, Complexity, RequestTraits
from forge1sim.workload.table import AUTO, NEVER_US
from policies.compile import compiled, leaf

COMPLEXITY_STEPS = 4096
_COMPLEXITY, _MODEL, _DEADLINE = purpose("complexity"), purpose("model"), purpose("deadline")
_LEAVES, _LEAVES_AFTER, _BATCH = purpose("leaves"), purpose("leaves after"), purpose("batch")

TRAITS = np.dtype(
    [
        ("cached_share", "<f8"), ("cancel_probability", "<f8"), ("batch_share", "<f8"),
        ("budget_nano_usd", "<i8"), ("max_output_tokens", "<i8"),
        ("complexity", "<i8"),                                     # first of its steps, COMPLEXITY_STEPS of them
        ("model", "<i8"), ("models", "<i8"),                       # first of its models, and how many
        ("deadline", "<i8"), ("cancel_after", "<i8"),              # rows of distributions; -1: none
        ("input", "<i8"), ("output", "<i8"),                       # same; -1: the trace says
    ]
)  # fmt: skip

MODEL = np.dtype([("row", "<i8"), ("edge", "<f8")])  # wanted, with its cumulated share


class Tables(NamedTuple):
    """All that compiled code needs to describe requests, in the order of its arguments."""

    traits: NDArray[np.void]
    distributions: NDArray[np.void]
    complexity_pm: NDArray[np.int16]
    models: NDArray[np.void]


class TraitTable:
    """Collects the traits of groups and sources and turns them into `Tables`."""

    def __init__(self, model_names: Sequence[str]) -> None:
        self.distributions = DistributionTable()
        self._model_row = {name: row for row, name in enumerate(model_names)}
        self._rows: list[tuple[float | int, ...]] = []
        self._complexity: dict[Complexity, int] = {}
        self._models: list[tuple[int, float]] = []

    def add(
        self, traits: RequestTraits, owner: str, budget_usd: float | None, tokens: tuple[int, int] = (-1, -1)
    ) -> int:
        """Row of these traits. `tokens` are rows of the input and output distributions.

        Raises WorkloadError, naming `owner`, if a model is unknown.
        """
        first_model = len(self._models)
        self._add_models(traits, owner)
        deadline = -1 if traits.deadline_s is None else self.distributions.row(traits.deadline_s)
        self._rows.append((
            traits.cached_share, traits.cancel_probability, traits.batch_share,
            0 if budget_usd is None else max(1, round(budget_usd * 1e9)), traits.max_output_tokens,
            self._complexity.setdefault(traits.complexity, len(self._complexity)) * COMPLEXITY_STEPS,
            first_model, len(self._models) - first_model,
            deadline, self.distributions.row(traits.cancel_after_s), *tokens,
        ))  # fmt: skip
        return len(self._rows) - 1

    def _add_models(self, traits: RequestTraits, owner: str) -> None:
        total, edge = sum(traits.models.values()), 0.0
        for name, weight in traits.models.items():
            if name != AUTO_NAME and name not in self._model_row:
                known = ", ".join([AUTO_NAME, *self._model_row][:20])
                raise WorkloadError(f"{owner}: models: {name!r} is no model of the platform; known are {known}")
            edge += weight / total
            self._models.append((self._model_row.get(name, AUTO), edge))

    def tables(self) -> Tables:
        """The arrays, for compiled code."""
        steps = [complexity_steps(complexity) for complexity in self._complexity]
        return Tables(
            np.array(self._rows, TRAITS),
            self.distributions.array(),
            np.concatenate(steps) if steps else np.zeros(1, np.int16),
            np.array(self._models or [(AUTO, 1.0)], MODEL),
        )


@lru_cache(maxsize=64)
def complexity_steps(complexity: Complexity) -> NDArray[np.int16]:
    """Quantiles of the complexity in per mille at the middles of COMPLEXITY_STEPS equal steps.

    Kept, since they take milliseconds and runs with other seeds or policies ask for the same.
    """
    levels = (np.arange(COMPLEXITY_STEPS) + 0.5) / COMPLEXITY_STEPS
    if complexity.values:
        weights = np.array(complexity.weights or (1.0,) * len(complexity.values))
        edges = np.cumsum(weights) / weights.sum()
        chosen = np.minimum(np.searchsorted(edges, levels), len(complexity.values) - 1)
        steps = np.rint(np.array(complexity.values)[chosen] * 1000.0).astype(np.int16)
    else:
        a = complexity.mean * complexity.concentration
        # Which per mille each quantile is nearest to: how many middles between two lie below it.
        middles = (np.arange(1000) + 0.5) / 1000
        steps = np.searchsorted(beta_cdf(a, complexity.concentration - a, middles), levels).astype(np.int16)
    steps.setflags(write=False)
    return steps


@leaf
def describe(row: np.void, seed: np.uint64, number: int, traits: np.void,
             distributions: NDArray[np.void], complexity_pm: NDArray[np.int16], models: NDArray[np.void]) -> None:  # fmt: skip
    """Write all but time, tenant and tokens of a request, and cut its answer at `max_output_tokens`."""
    row["budget_nano_usd"] = traits["budget_nano_usd"]
    row["max_output_tokens"] = traits["max_output_tokens"]
    if traits["max_output_tokens"] > 0:
        row["output_tokens"] = min(row["output_tokens"], traits["max_output_tokens"])
    step = int(uniform(keyed(seed, _COMPLEXITY, number)) * COMPLEXITY_STEPS)
    row["complexity_pm"] = complexity_pm[traits["complexity"] + step]
    row["wanted"] = AUTO
    if traits["models"] > 0:
        u = uniform(keyed(seed, _MODEL, number))
        at, last = traits["model"], traits["model"] + traits["models"] - 1
        while at < last and u >= models[at]["edge"]:
            at += 1
        row["wanted"] = models[at]["row"]
    row["deadline_us"] = NEVER_US
    if traits["deadline"] >= 0:
        wait_us = sample_us(distributions, traits["deadline"], keyed(seed, _DEADLINE, number))
        row["deadline_us"] = row["arrive_us"] + wait_us
    row["cancel_us"] = NEVER_US
    if traits["cancel_probability"] > 0.0 and uniform(keyed(seed, _LEAVES, number)) < traits["cancel_probability"]:
        after_us = sample_us(distributions, traits["cancel_after"], keyed(seed, _LEAVES_AFTER, number))
        row["cancel_us"] = row["arrive_us"] + after_us
    row["service_class"] = 0
    if traits["batch_share"] > 0.0 and uniform(keyed(seed, _BATCH, number)) < traits["batch_share"]:
        row["service_class"] = 1


@compiled
def describe_rows(
    rows: NDArray[np.void],
    seeds: NDArray[np.uint64],
    numbers: NDArray[np.int64],
    traits_rows: NDArray[np.int64],
    traits: NDArray[np.void],
    distributions: NDArray[np.void],
    complexity_pm: NDArray[np.int16],
    models: NDArray[np.void],
) -> None:
    """Describe rows whose time, tenant and tokens are known; `seeds` and `traits_rows` are by tenant.

    `cached_tokens` below 0 is drawn from the traits' `cached_share`. `numbers` has one per row.
    """
    for at in range(rows.size):
        row = rows[at]
        tenant = row["tenant"]
        own = traits[traits_rows[tenant]]
        if row["cached_tokens"] < 0:
            row["cached_tokens"] = int(row["input_tokens"] * own["cached_share"])
        describe(row, seeds[tenant], numbers[at], own, distributions, complexity_pm, models)
