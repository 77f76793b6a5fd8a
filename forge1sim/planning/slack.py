"""What is left of a plan, measured once by simulation and kept in a file: what every answer about a client rests on."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.planning.client import Busy, busy_of, demand_client_fits
from forge1sim.planning.probes import Probe, days_of, probed
from forge1sim.planning.simulated import promises_of
from forge1sim.planning.threshold import Scales, Threshold
from forge1sim.scenario.load import LoadedScenario

VERSION = 1
PROBES, DRAWS = 60, 6
LEAST_PROBES = 10


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A promise without any client: what it comes to on average, and how likely that is by luck."""

    name: str
    tier: str
    metric: str
    target: str
    mean: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Slack:
    """The slack of a scenario. `limits` holds the busiest use of each limit, over what it allows, on one day without any client."""

    ask: Ask
    loaded: LoadedScenario
    draws: int
    busy: Busy
    probes: tuple[Probe, ...]
    promises: tuple[Kept, ...]
    limits: dict[str, float]
    scales: Scales | None = None

    @cached_property
    def threshold(self) -> Threshold:
        """What the probes teach."""
        return Threshold(self.probes, self.scales)

    @property
    def measured_on(self) -> str:
        """In words."""
        lost = "; losses that must be survived (plan.survive) were not looked at" if self.loaded.scenario.plan.survive else ""
        confidence = self.loaded.scenario.plan.confidence
        draws = f"each at several sizes on up to {self.draws} draws of its own"
        return f"{len(self.probes)} probe clients, {draws}, promises at {confidence:.0%}{lost}"

    def write(self, path: Path) -> None:
        """As JSON. Raises PlanError if it cannot be written."""
        content = {
            "version": VERSION, **_identity(self.loaded), "name": self.loaded.name, "draws": self.draws,
            "requests_per_s": self.busy.requests_per_s, "load": self.busy.load.tolist(), "scales": asdict(self.threshold.scales),
            "promises": [asdict(one) for one in self.promises], "limits": self.limits,
            "probes": [asdict(one) | {"breaks": None if one.breaks == inf else one.breaks} for one in self.probes],
        }  # fmt: skip
        try:
            path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise PlanError(f"{path}: cannot be written: {error.strerror}") from error

    @classmethod
    def read(cls, path: Path, ask: Ask) -> "Slack":
        """The slack of this very scenario. Raises PlanError for another's, or a file that is none, and ScenarioError."""
        loaded, content = ask.load(), _content(path)
        for field, value in _identity(loaded).items():
            if content.get(field) != value:
                raise PlanError(f"{path}: its {field} is {content.get(field)!r}, that of {loaded.name} is {value!r}: it was prepared for "
                                f"something else, or before a change; prepare it again with --prepare --out {path}")  # fmt: skip
        try:
            found = cls(
                ask=ask, loaded=loaded, draws=int(content["draws"]),
                busy=Busy(np.array(content["load"], dtype=np.float64), float(content["requests_per_s"])),
                probes=tuple(Probe(**one | {"breaks": inf if one["breaks"] is None else one["breaks"]}) for one in content["probes"]),
                promises=tuple(Kept(**one) for one in content["promises"]), limits=dict(content["limits"]),
                scales=Scales(**content["scales"]),
            )  # fmt: skip
            _ = found.threshold                         # made here, so that no answer waits for it
        except (KeyError, TypeError, ValueError) as error:
            raise PlanError(f"{path}: no whole slack file ({error}); prepare it again with --prepare --out {path}") from error
        return found


def prepare(
    ask: Ask, *, probes: int = PROBES, draws: int = DRAWS, workers: int | None = None, backend: str = "processes",
    on_round: Callable[[int, int], None] = lambda _done, _all: None,
) -> Slack:  # fmt: skip
    """Measure a scenario's slack by simulating it with probe clients.

    That takes about five sizes of each probe times `draws` runs. Raises PlanError where promises are broken without any client,
    ScenarioError or WorkloadError.
    """
    loaded = ask.load()
    if not loaded.slos:
        raise PlanError(f"scenario {loaded.name!r} makes no promises (slos), so every client would fit; add some to slos")
    if probes < LEAST_PROBES or draws < 3:
        raise PlanError(f"{probes} probes on {draws} draws: must be at least {LEAST_PROBES} on 3")
    demand_client_fits(loaded)
    alone = [Ask(scenario=ask.scenario, overrides=ask.overrides, seed=ask.seed + number) for number in range(draws)]
    promises = promises_of(loaded, days_of(alone, workers, backend), loaded.scenario.plan.confidence)
    broken = [f"{one.name!r} ({one.target}) comes to {one.mean:.4g}" for one in promises if not one.holds]
    if broken:
        raise PlanError(f"{loaded.name}: not all promises hold as it stands, without another client: {'; '.join(broken)}; "
                        f"forge1sim plan finds what to contract")  # fmt: skip
    busy = busy_of(loaded, ask.seed)
    found = probed(ask, loaded, busy, probes, draws, workers=workers, backend=backend, on_round=on_round)
    kept = tuple(
        Kept(name=one.name, tier=one.tier, metric=one.metric, target=one.target, mean=one.mean, p_value=one.p_value) for one in promises
    )
    return Slack(ask=ask, loaded=loaded, draws=draws, busy=busy, probes=tuple(found), promises=kept, limits=_busiest(loaded))


def _busiest(loaded: LoadedScenario) -> dict[str, float]:
    """The busiest use of each limit whose use is measured, over what it allows."""
    from forge1sim.metrics.limit_tables import limit_use
    from forge1sim.run import simulate

    metrics = simulate(loaded, hash_log=False).metrics
    most = limit_use(metrics).max(axis=0)
    return {limit.name: round(float(use), 4) for limit, use in zip(metrics.static.limits, most, strict=True) if np.isfinite(use)}


def _identity(loaded: LoadedScenario) -> dict[str, Any]:
    return {
        "version": VERSION, "scenario_sha256": loaded.hash, "bundle_sha256": loaded.bundle_hash,
        "confidence": loaded.scenario.plan.confidence,
    }  # fmt: skip


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); prepare it with --prepare --out {path}") from error
    except ValueError as error:
        raise PlanError(f"{path}: not JSON; prepare it again with --prepare --out {path}") from error
    if not isinstance(content, dict):
        raise PlanError(f"{path}: no slack file; prepare it with --prepare --out {path}")
    return content
