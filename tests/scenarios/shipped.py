"""The scenarios that ship, and one way to run them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics.tables import tenant_table
from forge1sim.run import RunResult, simulate
from forge1sim.scenario.load import LoadedScenario, load_scenario
from policies import log
from policies.layout import lay_out

FOLDER = Path(__file__).parent.parent.parent / "scenarios"
SHARED = FOLDER.parent.parent / "shared" / "data"
FILES = sorted(FOLDER.glob("*.yaml"))
REAL = ("agent_sessions", "azure", "servegen_day", "servegen_two_weeks")
LONG = ("servegen_two_weeks", "ten_thousand_tenants_week")


def load(name: str, *settings: str) -> LoadedScenario:
    """A shipped scenario with changes."""
    return load_scenario(FOLDER / f"{name}.yaml", settings)


def run(name: str, *settings: str) -> RunResult:
    """A shipped scenario with changes, simulated."""
    return simulate(load(name, *settings), hash_log=False)


def missed(result: RunResult) -> list[str]:
    """Names of the promises that a run did not keep."""
    return [slo["name"] for slo in result.slos if not slo["met"]]


def waits_p95_s(result: RunResult, tenant: str) -> NDArray[np.float64]:
    """95th percentile of the wait of each tenant whose name begins like this."""
    table = tenant_table(result.metrics)
    mine = np.char.startswith(table["tenant"].astype(str), tenant)
    return np.asarray(table["wait_p95_s"][mine], np.float64)


class Seen:
    """Counts what the log of a run holds: reasons by kind, refusal classes, scopes, account states, controls."""

    def __init__(self) -> None:
        self.codes = np.zeros((len(log.KIND_NAMES) + 1, 32), np.int64)

    def __call__(self, rows: NDArray[np.void]) -> None:
        np.add.at(self.codes, (rows["kind"], rows["code"]), 1)

    def of(self, kind: int, names: dict[int, str]) -> dict[str, int]:
        """How often each code of this kind occurred, by name, if at all."""
        return {name: int(self.codes[kind, code]) for code, name in names.items() if self.codes[kind, code]}


def limiter_kinds(loaded: LoadedScenario) -> set[str]:
    """Windows and charges of all limits of a scenario."""
    layout = lay_out(loaded.platform, loaded.start_us)
    return {limit.window for limit in layout.limits} | {limit.charge for limit in layout.limits}
