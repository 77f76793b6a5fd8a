"""Who a recorded row belongs to, which model it wants, and what else it carries."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.workload.draws import member_seeds, spawned_seed
from forge1sim.workload.order import number_rows
from forge1sim.workload.readers import Labels
from forge1sim.workload.spec import AUTO_NAME, Assign, RequestTraits
from forge1sim.workload.synthetic import Group, zipf_shares
from forge1sim.workload.table import AUTO, REQUESTS
from forge1sim.workload.traits import TraitTable, describe_rows


class Tenants:
    """The tenants that a source may use: rows in platform order with their shares of it."""

    def __init__(self, groups: Sequence[Group], assign: Assign, owner: str) -> None:
        known = {group.name for group in groups}
        for name in assign.groups:
            if name not in known:
                raise WorkloadError(f"{owner}: assign.groups: there is no tenant group {name!r}; known are "
                                    f"{', '.join(sorted(known)):.500}")  # fmt: skip
        rows, shares, self._names, first = [], [], dict[str, int](), 0
        for group in groups:
            share = assign.groups.get(group.name, 0.0) if assign.groups else float(group.count)
            if share > 0:
                rows.append(first + np.arange(group.count))
                shares.append(share * zipf_shares(group.count, assign.zipf))
                names = [group.name] if group.count == 1 else [f"{group.name}-{k}" for k in range(1, group.count + 1)]
                self._names.update(zip(names, range(first, first + group.count), strict=True))
            first += group.count
        self.rows: NDArray[np.int64] = np.concatenate(rows)
        edges = np.cumsum(np.concatenate(shares))
        self._edges = edges / edges[-1]
        self.sharing_labels = 0

    def by_share(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Tenants for uniform numbers in (0, 1), by their shares."""
        return self.rows[np.minimum(np.searchsorted(self._edges, u, side="right"), self.rows.size - 1)]

    def of_labels(self, labels: Labels) -> NDArray[np.int64]:
        """Tenant of each label: the one of that name, else the next in turn; counts those that share one."""
        result = np.empty(len(labels.numbers), np.int64)
        turn = 0
        for label, number in labels.numbers.items():
            named = self._names.get(label)
            result[number] = self.rows[turn % self.rows.size] if named is None else named
            turn += named is None
        self.sharing_labels = result.size - np.unique(result).size
        return result


def model_of_labels(labels: Labels, translation: dict[str, str], model_names: Sequence[str], owner: str) -> NDArray[np.int16]:
    """Row of the model for each label, translated or of that very name; AUTO for others."""
    row = {name: at for at, name in enumerate(model_names)} | {AUTO_NAME: AUTO}
    for label, name in translation.items():
        if name not in row:
            raise WorkloadError(f"{owner}: models: {label!r} stands for {name!r}, which is no model of the platform; "
                                f"known are {', '.join([AUTO_NAME, *model_names]):.500}")  # fmt: skip
    return np.array([row.get(translation.get(label, label), AUTO) for label in labels.numbers], np.int16)


class Describer:
    """Fills in what a trace does not say, from the tenant group's `demand`, else from the source's `requests`."""

    def __init__(self, groups: Sequence[Group], requests: RequestTraits, model_names: Sequence[str], seed: int,
                 owner: str) -> None:  # fmt: skip
        table = TraitTable(model_names)
        rows, seeds = [], []
        for group in groups:
            whose = owner if group.demand is None else f"tenant group {group.name}"
            row = table.add(group.demand or requests, whose, group.request_budget_usd)
            rows.append(np.full(group.count, row))
            seeds.append(member_seeds(spawned_seed(seed, owner, group.name), group.count))
        self._traits, self.seeds, self._tables = np.concatenate(rows), np.concatenate(seeds), table.tables()

    @property
    def tenants(self) -> int:
        """How many tenants the platform has."""
        return int(self.seeds.size)

    def describe(self, rows: NDArray[np.void], counts: NDArray[np.int32]) -> None:
        """Describe sorted rows of dtype REQUESTS; `counts`, by tenant, go on from chunk to chunk."""
        number_rows(rows, counts)
        describe_rows(rows, self.seeds, rows["number"].astype(np.int64), self._traits, *self._tables)


def overrule(rows: NDArray[np.void], records: NDArray[np.void], models: NDArray[np.int16]) -> None:
    """Where the trace itself names complexity, output bound or model, it is right. Same order."""
    for field in ("complexity_pm", "max_output_tokens"):
        said = records[field] >= 0
        rows[field][said] = records[field][said]
    named = records["model"] >= 0
    if named.any():
        rows["wanted"][named] = models[records["model"][named]]


def blank_requests(records: NDArray[np.void], arrive_us: NDArray[np.int64], tenants: NDArray[np.int64]) -> NDArray[np.void]:
    """Rows of dtype REQUESTS with time, tenant and tokens; the rest is still to be described."""
    rows = np.zeros(records.size, REQUESTS)
    rows["arrive_us"], rows["tenant"] = arrive_us, tenants
    for field in ("input_tokens", "output_tokens", "cached_tokens"):
        rows[field] = records[field]
    return rows
