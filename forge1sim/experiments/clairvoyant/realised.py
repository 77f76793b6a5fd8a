"""A realised workload: what one replication came to, as one knows it afterwards."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import ExperimentError
from forge1sim.run import RunResult, simulate, workload_of
from forge1sim.workload.spec import EXACT, Estimation
from policies.bundle import PolicyBundle
from policies.layout import Layout, lay_out
from policies.log import COMPLETE, LOW_48, ROW
from policies.schema import Fault

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario

QUALITY_SHIFT = 48                  # of a COMPLETE row's v4, per mille


@dataclass(frozen=True, kw_only=True)
class Realised:
    """The requests that a policy served, with their true tokens, and what it paid and delivered.

    `requests` are rows of dtype `workload.table.REQUESTS`, shape (n,), in order of arrival; `deployments`,
    shape (n,), the row of the deployment that answered each, `sent_us` when it was sent there, `answer_nano_usd` what it
    cost. `paid_nano_usd` is all that was paid, attempts that came to nothing included; `quality_pm` the
    delivered quality in sum, per mille. The run may last until `end_us`.
    """

    layout: Layout
    bundle: PolicyBundle
    faults: tuple[Fault, ...]
    estimation: Estimation = EXACT
    seed: int
    start_us: int
    end_us: int
    requests: NDArray[np.void]
    deployments: NDArray[np.int64]
    sent_us: NDArray[np.int64]
    answer_nano_usd: NDArray[np.int64]
    paid_nano_usd: int
    quality_pm: int

    @property
    def quality_mean(self) -> float:
        """Delivered quality of the served, 0 to 1; NaN if nobody was served."""
        return self.quality_pm / len(self.requests) / 1000 if len(self.requests) else float("nan")


def answers_among(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The COMPLETE rows of a log in order of request number; at most one for each request."""
    done = rows[rows["kind"] == COMPLETE]
    order = np.argsort(done["request"], kind="stable")
    return np.asarray(done[order])


def realised_of(
    requests: NDArray[np.void], answers: NDArray[np.void], *, layout: Layout, bundle: PolicyBundle, faults: tuple[Fault, ...],
    seed: int, start_us: int, end_us: int, paid_nano_usd: int | None = None, estimation: Estimation = EXACT,
) -> Realised:  # fmt: skip
    """From all requests of a run (numbered by their place) and its answers (`answers_among`).

    Without `paid_nano_usd` only answers count as paid.
    """
    served = requests[answers["request"]]
    return Realised(
        layout=layout, bundle=bundle, faults=faults, estimation=estimation, seed=seed, start_us=start_us, end_us=end_us,
        requests=served, deployments=answers["deployment"].astype(np.int64), answer_nano_usd=answers["v2"].copy(),
        sent_us=served["arrive_us"] + (answers["v4"] & LOW_48),
        paid_nano_usd=int(answers["v2"].sum()) if paid_nano_usd is None else paid_nano_usd,
        quality_pm=int((answers["v4"] >> QUALITY_SHIFT).sum()),
    )  # fmt: skip


def requests_of(loaded: "LoadedScenario", layout: Layout, seed: int) -> NDArray[np.void]:
    """Every request that a seed yields, in one table. Raises ExperimentError if there is none."""
    chunks = list(workload_of(loaded, layout, seed).chunks())
    if not chunks:
        raise ExperimentError(f"scenario {loaded.name!r} yields no request with seed {seed}; a bound needs at least one")
    return np.concatenate(chunks)


def realise(loaded: "LoadedScenario", *, seed: int | None = None, driver: str = "compiled") -> tuple[Realised, RunResult]:
    """Run one replication and keep what is to be bounded. Raises what `simulate` raises, and ExperimentError."""
    seed = loaded.seed if seed is None else seed
    layout = lay_out(loaded.platform, loaded.start_us)
    kept: list[NDArray[np.void]] = []

    def keep(rows: NDArray[np.void]) -> None:
        kept.append(rows[rows["kind"] == COMPLETE])

    result = simulate(loaded, driver=driver, seed=seed, sinks=(keep,), hash_log=False)
    answers = answers_among(np.concatenate(kept) if kept else np.zeros(0, ROW))
    realised = realised_of(
        requests_of(loaded, layout, seed), answers, layout=layout, bundle=loaded.bundle, faults=loaded.faults, seed=seed,
        start_us=loaded.start_us, end_us=loaded.start_us + loaded.horizon_us + loaded.drain_us,
        paid_nano_usd=int(result.summary["cost_nano_usd"]), estimation=loaded.scenario.workload.estimation,
    )  # fmt: skip
    return realised, result
