"""`forge1sim workload`: what a scenario's requests amount to, without simulating the platform."""

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import load
from forge1sim.cli.output import (
    DataFolderOption,
    JsonOption,
    NoColorOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    hint,
    print_json,
    print_table,
)
from forge1sim.errors import RunError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from forge1sim.scenario.load import LoadedScenario
    from forge1sim.workload.build import BuiltWorkload


def workload(
    scenario: ScenarioArgument,
    settings: SetOption = None,
    seed: SeedOption = None,
    data_folders: DataFolderOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare measured clients (servegen) as generated with what was published.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Generate the requests of a scenario and count them: rates, busiest minute, tokens, by tenant group."""
    loaded = load(scenario, settings, seed=seed, data_folders=data_folders)
    part, rows = ("check", compare(loaded)) if check else ("groups", measure(loaded))
    if as_json:
        print_json({"scenario": loaded.name, "seed": loaded.seed, "scenario_sha256": loaded.hash, part: rows})
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows], no_color=no_color)
    hint(f"Next: forge1sim run {scenario}", quiet=quiet)


def _build(loaded: "LoadedScenario") -> "BuiltWorkload":
    from forge1sim.workload.build import build_workload

    return build_workload(
        loaded.located_sources(), loaded.groups, [model.name for model in loaded.platform.models],
        loaded.start_us, loaded.scenario.horizon_s, loaded.seed, loaded.source_folders,
    )  # fmt: skip


def compare(loaded: "LoadedScenario") -> list[dict[str, Any]]:
    """Published and generated figures of every source of measured clients: rates, shares, burstiness, lengths.

    Raises:
        RunError: no such source, or a horizon shorter than one window of the statistics.
    """
    from forge1sim.workload.clients import WINDOW_S
    from forge1sim.workload.servegen import ServeGenSource
    from forge1sim.workload.servegen_check import servegen_check

    sources = [source for source in _build(loaded).sources if isinstance(source, ServeGenSource)]
    if not sources:
        raise RunError(f"{loaded.path}: workload.sources has no servegen source; --check compares nothing else")
    if loaded.scenario.horizon_s < WINDOW_S:
        raise RunError(f"{loaded.path}: horizon_s is {loaded.scenario.horizon_s:g}; --check needs a window of {WINDOW_S:g} or more")
    return [{**row._asdict(), "ratio": row.ratio} for source in sources for row in servegen_check(source)]


def measure(loaded: "LoadedScenario") -> list[dict[str, Any]]:
    """Figures of each tenant group and of all, from one pass over the requests.

    Rates are over the horizon; `busiest_minute_per_s` is the mean rate of the fullest minute on the clock.
    """
    import numpy as np

    built = _build(loaded)
    group_of = np.repeat(np.arange(len(loaded.groups)), [group.count for group in loaded.groups])
    tally = _Tally(group_of)
    for chunk in built.chunks():
        tally.add(chunk)
    names = [*(group.name for group in loaded.groups), "all"]
    return [tally.figures(row, name, loaded.scenario.horizon_s) for row, name in enumerate(names)]


class _Tally:
    """Sums by tenant group, the last row of all. Memory does not grow with the horizon."""

    def __init__(self, group_of: "NDArray[np.intp]") -> None:
        import numpy as np

        self._group_of = group_of
        self._all = int(group_of[-1]) + 1
        self._per_tenant = np.zeros(group_of.size, np.int64)
        self._sums = {field: np.zeros(self._all + 1) for field in ("input_tokens", "cached_tokens", "output_tokens")}
        self._busiest = np.zeros(self._all + 1, np.int64)
        self._open_minute, self._open_counts = -1, np.zeros(self._all + 1, np.int64)

    def add(self, chunk: "NDArray[np.void]") -> None:
        """Count a chunk of REQUESTS rows, no earlier than the chunk before."""
        import numpy as np

        if chunk.size == 0:
            return
        rows = self._group_of[chunk["tenant"]]
        self._per_tenant += np.bincount(chunk["tenant"], minlength=self._per_tenant.size)
        for field, sums in self._sums.items():
            sums[:-1] += np.bincount(rows, weights=chunk[field], minlength=self._all)
            sums[-1] += chunk[field].sum()
        minutes = chunk["arrive_us"] // 60_000_000
        begins = np.flatnonzero(np.diff(minutes, prepend=minutes[0] - 1))
        for begin, end in pairwise([*begins, minutes.size]):
            self._add_minute(int(minutes[begin]), np.bincount(rows[begin:end], minlength=self._all))

    def _add_minute(self, minute: int, counts: "NDArray[np.intp]") -> None:
        if minute != self._open_minute:
            self._open_minute = minute
            self._open_counts[:] = 0
        self._open_counts[:-1] += counts
        self._open_counts[-1] += counts.sum()
        self._busiest[:] = self._busiest.clip(self._open_counts)

    def figures(self, row: int, name: str, horizon_s: float) -> dict[str, Any]:
        """The row of one group, or of all, ready for JSON."""
        tenants = self._per_tenant if row == self._all else self._per_tenant[self._group_of == row]
        requests, input_tokens = int(tenants.sum()), float(self._sums["input_tokens"][row])
        each = max(1, requests)
        return {
            "group": name,
            "tenants": int(tenants.size),
            "requests": requests,
            "requests_per_s": requests / horizon_s,
            "busiest_minute_per_s": int(self._busiest[row]) / 60,
            "top_tenant_share": int(tenants.max()) / each,
            "mean_input_tokens": input_tokens / each,
            "mean_output_tokens": float(self._sums["output_tokens"][row]) / each,
            "cached_share": float(self._sums["cached_tokens"][row]) / max(1.0, input_tokens),
        }
