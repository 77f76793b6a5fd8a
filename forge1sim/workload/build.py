"""A workload from a scenario's sources: each generated or read in order, merged by time, numbered by tenant."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import WorkloadError
from forge1sim.workload.agents import AgentSource
from forge1sim.workload.order import merged, number_rows, sliced
from forge1sim.workload.replay import Account, ReplaySource
from forge1sim.workload.servegen import ServeGenSource
from forge1sim.workload.spec import AgentSessions, ServeGen, Source, Synthetic
from forge1sim.workload.synthetic import Group, SyntheticSource

REQUESTS_MAX = 2_000_000_000


class RequestSource(Protocol):
    """One source: sorted rows, the same ones every time, `number` not yet filled in."""

    @property
    def expected_requests(self) -> int:
        """About how many requests; 0 if unknown."""
        ...

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Arrays of dtype REQUESTS, each no earlier than the one before."""
        ...


class BuiltWorkload:
    """Requests of all sources in order of (time, tenant, number). Implements `table.Workload`."""

    def __init__(self, sources: Sequence[RequestSource], tenants: int) -> None:
        self.sources = tuple(sources)
        self._tenants = tenants

    @property
    def expected_requests(self) -> int:
        """About how many requests there will be; 0 if a source cannot tell."""
        expected = [source.expected_requests for source in self.sources]
        return sum(expected) if all(expected) else 0

    def accounting(self) -> list[Account]:
        """What became of every row of each trace, as far as `chunks` has been read last."""
        return [source.account for source in self.sources if isinstance(source, ReplaySource | AgentSource)]

    def check_files(self) -> None:
        """Read every trace to its end, without generating anything. Raises TraceError."""
        for source in self.sources:
            if isinstance(source, ReplaySource):
                source.check()

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Arrays of dtype REQUESTS of at most 65,536 rows, sorted, numbered from 0 for each tenant."""
        counts = np.zeros(self._tenants, np.int32)
        for chunk in sliced(merged([source.chunks() for source in self.sources])):
            number_rows(chunk, counts)
            yield chunk


def build_workload(
    sources: Sequence[Source],
    tenants: Sequence[Group],
    model_names: Sequence[str],
    start_us: int,
    horizon_s: float,
    seed: int,
    folders: tuple[Path, ...] = (),
) -> BuiltWorkload:
    """The workload of a scenario.

    `tenants` are the groups in platform order, their tenants numbered through; `model_names`
    the models in platform order; `start_us` is since the epoch. Paths in `sources` are
    relative to the first of `folders` and must stay inside one of them.
    Raises WorkloadError (TraceError for files) with what is wrong and what would be right.
    """
    if not 0 < horizon_s <= 1e9:
        raise WorkloadError(f"horizon_s is {horizon_s}; it must be above 0 and at most 1e9 (about 31 years)")
    if not sources:
        raise WorkloadError("workload: sources is empty; name at least one, such as kind: synthetic")
    built: list[RequestSource] = []
    for source in sources:
        common = (tenants, model_names, start_us, horizon_s, seed)
        owner = f"sources[{len(built)}] {source.kind}"
        if isinstance(source, Synthetic):
            built.append(SyntheticSource(*common))
        elif isinstance(source, AgentSessions):
            built.append(AgentSource(source, *common, folders, owner))
        elif isinstance(source, ServeGen):
            built.append(ServeGenSource(source, *common, folders, owner))
        else:
            built.append(ReplaySource(source, *common, folders, owner))
    workload = BuiltWorkload(built, sum(group.count for group in tenants))
    if workload.expected_requests > REQUESTS_MAX:
        raise WorkloadError(
            f"workload: about {workload.expected_requests:,} requests would arrive, at most {REQUESTS_MAX:,} are "
            "simulated; lower the rates or shorten the horizon"
        )
    return workload
