"""What a run is asked to do, and the mark by which the same run is known again."""

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from forge1sim.scenario.load import LoadedScenario, load_scenario
from forge1sim.scenario.schema import DEFAULT_SEED

_PACKAGE = Path(__file__).parent
_DECIDES = {".py", ".yaml", ".json"}     # files of the package that results may depend on


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a run is asked to do: a scenario file, `path=value` overrides, a seed, a driver."""

    scenario: str
    overrides: tuple[str, ...] = ()
    seed: int = DEFAULT_SEED
    driver: str = "compiled"

    @classmethod
    def of(cls, scenario: "Ask | str | Path") -> "Ask":
        """An ask as it is; of a scenario file what it says, its seed too. Raises ScenarioError."""
        return scenario if isinstance(scenario, Ask) else cls(scenario=str(scenario), seed=load_scenario(scenario).seed)

    def load(self) -> LoadedScenario:
        """The scenario with everything applied. Raises ScenarioError."""
        return load_scenario(self.scenario, self.overrides, seed=self.seed)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> "Ask":
        """The inverse of `as_json`."""
        return cls(**{**value, "overrides": tuple(value["overrides"])})


def content_key(loaded: LoadedScenario, driver: str) -> str:
    """SHA-256 over all that decides the results: scenario, seed, policies, driver and our own code."""
    return hashlib.sha256(f"{loaded.hash} {loaded.bundle_hash} {driver} {_code_hash()}".encode()).hexdigest()


@cache
def _code_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in _PACKAGE.rglob("*") if path.suffix in _DECIDES):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
