"""Run a scenario: the one place where workload, gateway, providers, clock and metrics meet.

`simulate` is what the command line, the app and notebooks call.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.beside import Behind, ahead
from forge1sim.compile_ahead import compile_ahead
from forge1sim.drivers.stage import Stage
from forge1sim.errors import RunError
from forge1sim.explain import describe
from forge1sim.metrics.columns import DIMENSIONS, IN_FLIGHT, INPUT, OUTPUT, REQUESTS, TOKENS, TOTAL, UNCACHED
from forge1sim.metrics.metrics import Metrics
from forge1sim.metrics.slo import check_slos
from forge1sim.metrics.static import LimitFacts, Mark, MetricsStatic
from forge1sim.metrics.summary import summarise
from forge1sim.workload.build import BuiltWorkload, build_workload
from policies.build import tier_of
from policies.bundle import PolicyBundle
from policies.layout import Layout, LimitRow, lay_out, nano_usd
from policies.log import ACTIVE, ORDERABLE, STANDBY
from policies.schema import Fault

if TYPE_CHECKING:
    from forge1sim.drivers.simpy_driver import Process
    from forge1sim.scenario.load import LoadedScenario
    from forge1sim.scenario.schema import Slo

DRIVERS = ("compiled", "simpy")
DEFAULT_WAIT_TARGET_S = 2.0
_CHARGED = {
    "requests": "requests", "max_tokens": "tokens", "input": "input tokens", "uncached_input": "uncached input tokens",
    "output": "output tokens", "total": "tokens used",
}  # fmt: skip
_SPANS = {0: "minute", 60_000_000: "minute", 3_600_000_000: "hour", 86_400_000_000: "day", 30 * 86_400_000_000: "30 days"}
OnProgress = Callable[[float, int, int], None]
OnMetrics = Callable[[Metrics], None]
Sink = Callable[[NDArray[np.void]], None]
_ACCOUNT_STATES = {"active": ACTIVE, "standby": STANDBY, "orderable": ORDERABLE}
_RATES = ("rpm", "tpm", "itpm", "otpm")
# Which use (`metrics.columns.DIMENSIONS`) a limit is compared with: what it charges, not what it is called.
_USE_OF_CHARGE = {"requests": REQUESTS, "max_tokens": TOKENS, "input": INPUT, "uncached_input": UNCACHED, "output": OUTPUT, "total": TOTAL}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run came to: `summary` and `slos` are ready for JSON, `metrics` holds every table."""

    summary: dict[str, Any]
    slos: list[dict[str, Any]]
    metrics: Metrics = field(repr=False)
    accounting: list[Any] = field(default_factory=list, repr=False)


def _no_progress(_share: float, _time_us: int, _requests: int) -> None:
    """Nobody watches."""


def _no_look(_metrics: Metrics) -> None:
    """Nobody looks."""


def simulate(
    loaded: "LoadedScenario",
    *,
    driver: str = "compiled",
    seed: int | None = None,
    on_progress: OnProgress = _no_progress,
    on_metrics: OnMetrics = _no_look,
    out: Path | None = None,
    keep_log: bool = False,
    hash_log: bool = True,
    most_requests: int | None = None,
    sinks: tuple[Sink, ...] = (),
    processes: "tuple[Process, ...]" = (),
    second_core: bool = False,
) -> RunResult:
    """Run a scenario to its end.

    `on_progress` gets the share done (0 to 1), simulated microseconds since the epoch, requests
    so far; `on_metrics` the metrics so far, whenever rows were folded, which it may close and read. What
    they raise ends the run. `out` is a folder to write tables, manifest and report into, with the log if
    `keep_log`. `sinks` see every chunk of log rows. `processes` are a user's own SimPy processes
    (driver `simpy` only). With `second_core` requests are made and rows are read on a thread of
    their own, which `sinks` and `on_metrics` are then called on: the same results sooner.
    Raises RunError, ScenarioError or WorkloadError.
    """
    if driver not in DRIVERS:
        raise RunError(f"driver {driver!r} is none of {', '.join(DRIVERS)}")
    if processes and driver != "simpy":
        raise RunError("processes need driver='simpy': the compiled clock runs no Python")
    began_s = time.perf_counter()
    compile_ahead(driver)
    seed = loaded.seed if seed is None else seed
    layout = lay_out(loaded.platform, loaded.start_us)
    workload = workload_of(loaded, layout, seed)
    metrics = Metrics(static_of(layout, loaded.bundle, loaded))
    digest = hashlib.sha256()
    with ExitStack() as stack:
        take: list[Sink] = [metrics.fold, *sinks]
        if hash_log:
            take.append(lambda rows: digest.update(rows.view(np.uint8).data))
        if out is not None and keep_log:
            from forge1sim.metrics.store import LogWriter

            take.append(stack.enter_context(LogWriter(out)).write)
        sink, requests = _in_turn([*take, lambda _rows: on_metrics(metrics)]), _at_most(workload.chunks(), most_requests)
        if second_core:
            sink, requests = stack.enter_context(Behind(sink)), stack.enter_context(closing(ahead(requests)))
        stage = _stage(loaded, layout, seed, requests, sink, _report_to(loaded, on_progress))
        _drive(stage, driver, processes)
    metrics.close(max(stage.finished_us, metrics.now_us, loaded.start_us + loaded.horizon_us))
    summary = summarise(metrics)
    slos = [_slo_row(slo, result) for slo, result in zip(loaded.slos, check_slos(summary, loaded.slos), strict=True)]
    summary["event_log_sha256"] = digest.hexdigest() if hash_log else None
    summary["seconds"] = round(time.perf_counter() - began_s, 3)
    result = RunResult(summary=summary, slos=slos, metrics=metrics, accounting=workload.accounting())
    if out is not None:
        _write(loaded, result, driver, seed, out)
    return result


def run_log(loaded: "LoadedScenario", sink: Sink, *, driver: str = "compiled", seed: int | None = None) -> MetricsStatic:
    """Run a scenario for its log alone, handed to `sink` in chunks; returns the names that the log speaks of.

    Raises RunError, ScenarioError or WorkloadError.
    """
    compile_ahead(driver)
    seed = loaded.seed if seed is None else seed
    layout = lay_out(loaded.platform, loaded.start_us)
    requests = workload_of(loaded, layout, seed).chunks()
    _drive(_stage(loaded, layout, seed, requests, sink, lambda _now_us, _requests: None), driver, ())
    return static_of(layout, loaded.bundle, loaded)


def explain(loaded: "LoadedScenario", driver: str, seed: int, request: int) -> list[str]:
    """The life of one request in sentences, by running the scenario and keeping its rows only."""
    found: list[NDArray[np.void]] = []

    def keep(rows: NDArray[np.void]) -> None:
        mine = rows[rows["request"] == request]
        if mine.size:
            found.append(mine.copy())

    result = simulate(loaded, driver=driver, seed=seed, sinks=(keep,), hash_log=False)
    if not found:
        arrived = result.summary["requests"]["arrived"]
        raise RunError(f"--explain {request}: there is no such request; they are numbered 0 to {arrived - 1}")
    return describe(np.concatenate(found), lay_out(loaded.platform, loaded.start_us), loaded.bundle, loaded.start_us)


def workload_of(loaded: "LoadedScenario", layout: Layout, seed: int) -> BuiltWorkload:
    """The requests of a scenario."""
    names = [model.name for model in layout.models]
    return build_workload(
        loaded.located_sources(), loaded.groups, names, loaded.start_us, loaded.horizon_us / 1e6, seed, loaded.source_folders
    )


def _at_most(chunks: Iterator[NDArray[np.void]], most: int | None) -> Iterator[NDArray[np.void]]:
    left = most
    for chunk in chunks:
        if left is None:
            yield chunk
        elif left > 0:
            yield chunk[:left]
            left -= len(chunk)
        else:
            return


def _in_turn(sinks: list[Sink]) -> Sink:
    def sink(rows: NDArray[np.void]) -> None:
        for take in sinks:
            take(rows)

    return sink


def _report_to(loaded: "LoadedScenario", on_progress: OnProgress) -> Callable[[int, int], None]:
    start_us, horizon_us = loaded.start_us, max(1, loaded.horizon_us)

    def report(now_us: int, requests: int) -> None:
        on_progress(min(1.0, max(0.0, (now_us - start_us) / horizon_us)), max(now_us, start_us), requests)

    return report


def _stage(
    loaded: "LoadedScenario", layout: Layout, seed: int, requests: Iterator[NDArray[np.void]], sink: Sink,
    report: Callable[[int, int], None],
) -> Stage:  # fmt: skip
    return Stage(
        layout, loaded.bundle, loaded.faults, requests, start_us=loaded.start_us, horizon_us=loaded.horizon_us,
        drain_us=loaded.drain_us, seed=seed, sink=sink, own_policies=_own_policies(loaded),
        estimation=loaded.scenario.workload.estimation, on_report=report,
    )  # fmt: skip


def _own_policies(loaded: "LoadedScenario") -> dict[str, Callable[..., int]]:
    """The user's own policies by kind, checked and compiled."""
    named = loaded.bundle.own_policies()
    if not named:
        return {}
    from policies.registry import load_policy

    return {kind: load_policy(loaded.user_policies[name], name.rpartition(":")[2], kind) for kind, name in named.items()}


def _drive(stage: Stage, driver: str, processes: "tuple[Process, ...]") -> None:
    if driver == "simpy":
        from forge1sim.drivers.simpy_driver import run_simpy

        run_simpy(stage, processes)
    else:
        from forge1sim.drivers.compiled_driver import run_compiled

        run_compiled(stage)


def _slo_row(slo: "Slo", result: Any) -> dict[str, Any]:
    return {
        "name": slo.name, "tier": slo.tier, "metric": slo.metric, "at_least": slo.at_least, "at_most": slo.at_most,
        "value": result.seen, "met": result.held,
    }  # fmt: skip


def _write(loaded: "LoadedScenario", result: RunResult, driver: str, seed: int, out: Path) -> None:
    from forge1sim.metrics.store import write_run
    from forge1sim.report import write_report

    write_run(out, loaded, result, driver=driver, seed=seed, command=loaded.command(driver, seed))
    write_report(out)


def static_of(layout: Layout, bundle: PolicyBundle, loaded: "LoadedScenario") -> MetricsStatic:
    """Names and rows in the order in which the log speaks of them."""
    groups = layout.tenant_groups
    tiers = [tier_of(group, bundle.tiers) for group in groups]
    contract = [nano_usd(group.contract_usd_per_month) for group in groups]
    of_group = np.asarray(layout.tenant_group, dtype=np.int64)
    buckets = len(layout.buckets)
    return MetricsStatic(
        start_us=loaded.start_us,
        horizon_us=loaded.horizon_us,
        tier_names=tuple(tier.name for tier in bundle.tiers),
        tenant_names=tuple(layout.tenant_names),
        tier_of_tenant=np.asarray(tiers, dtype=np.int32)[of_group],
        contract_nano_usd_per_month=np.asarray(contract, dtype=np.int64)[of_group],
        model_names=tuple(model.name for model in layout.models),
        account_names=tuple(account.name for account in layout.accounts),
        account_provider=tuple(layout.providers[account.provider].name for account in layout.accounts),
        account_nano_usd_per_month=np.asarray([nano_usd(a.spec.usd_per_month) for a in layout.accounts], dtype=np.int64),
        account_state=np.asarray([_ACCOUNT_STATES[a.spec.state] for a in layout.accounts], dtype=np.int32),
        deployment_names=tuple(deployment.name for deployment in layout.deployments),
        model_of_deployment=np.asarray([d.model for d in layout.deployments], dtype=np.int32),
        account_of_deployment=np.asarray([d.account for d in layout.deployments], dtype=np.int32),
        groups_of_deployment=np.asarray([(d.bucket, buckets + d.account) for d in layout.deployments], dtype=np.int32).reshape(-1, 2),
        account_of_group=np.asarray([b.account for b in layout.buckets] + list(range(len(layout.accounts))), dtype=np.int32),
        whole_account=np.asarray([False] * buckets + [True] * len(layout.accounts)),
        group_limits=_group_limits(layout),
        limits=tuple(_limit_facts(layout, limit) for limit in layout.limits),
        wait_target_s=_wait_targets(bundle, loaded),
        marks=tuple(_mark(fault, loaded.start_us) for fault in loaded.faults),
    )  # fmt: skip


def _group_limits(layout: Layout) -> NDArray[np.float64]:
    limits = np.full((len(layout.buckets) + len(layout.accounts), len(DIMENSIONS)), np.inf)
    for limit in layout.limits:
        row, column = _group_of(layout, limit), _use_of(limit)
        if column >= 0:
            limits[row, column] = min(limits[row, column], _per_minute(limit))
    return limits


def _group_of(layout: Layout, limit: LimitRow) -> int:
    return limit.bucket if limit.bucket >= 0 else len(layout.buckets) + limit.account


def _use_of(limit: LimitRow) -> int:
    """The column of DIMENSIONS that a limit counts; -1 where no use is measured."""
    if limit.dimension == "concurrency":
        return IN_FLIGHT
    return _USE_OF_CHARGE.get(limit.charge, -1) if limit.dimension in _RATES else -1


def _limit_facts(layout: Layout, limit: LimitRow) -> LimitFacts:
    return LimitFacts(
        name=limit.name,
        model_class=layout.buckets[limit.bucket].model_class if limit.bucket >= 0 else "",
        allows=_allows(limit),
        group=_group_of(layout, limit),
        dimension=_use_of(limit),
        per_min=_per_minute(limit),
    )


def _allows(limit: LimitRow) -> str:
    """What a limit lets through, in words: `36 requests per minute`."""
    if limit.window == "acceleration":
        return f"growth of input tokens beyond {limit.amount:,} per {limit.window_us / 1e6:g} s"
    amount = f"{limit.amount / 1e9:,g} USD" if limit.charge == "cost" else f"{limit.amount:,} {_CHARGED[limit.charge]}"
    if limit.dimension == "concurrency":
        return f"{amount} at once"
    return f"{amount} per {_SPANS.get(limit.window_us) or f'{limit.window_us / 1e6:,g} s'}"


def _per_minute(limit: LimitRow) -> float:
    return limit.amount * 60e6 / limit.window_us if limit.window_us else float(limit.amount)


def _wait_targets(bundle: PolicyBundle, loaded: "LoadedScenario") -> tuple[float, ...]:
    """The longest wait that counts as on time: the tier's own p95 promise, else the default."""
    promised = {slo.tier: slo.at_most for slo in loaded.slos if slo.metric == "wait_p95_s" and slo.at_most is not None}
    return tuple(promised.get(tier.name) or promised.get("all") or DEFAULT_WAIT_TARGET_S for tier in bundle.tiers)


def _mark(fault: Fault, start_us: int) -> Mark:
    where = fault.account or fault.provider or fault.region or "all"
    begin_us = start_us + round(fault.start_s * 1e6)
    return Mark(label=f"{fault.kind} {where}", start_us=begin_us, end_us=begin_us + round(fault.duration_s * 1e6))
