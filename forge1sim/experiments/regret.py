"""Regret: how far each policy was from what somebody who knew everything beforehand would have paid at least."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, RunError
from forge1sim.experiments.clairvoyant import Bound, check_block_s, clairvoyant_bound, realise
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.metrics.store import read_manifest, write_json
from forge1sim.report import write_report
from forge1sim.results.regret import REGRET
from forge1sim.statistics.interval import Interval
from forge1sim.statistics.means import mean_interval
from policies.shipped import shipped_names

if TYPE_CHECKING:
    import pandas as pd

    from forge1sim.scenario.load import LoadedScenario

Quality = Literal["delivered", "promised"]
OnProgress = Callable[[str, int, int], None]
_ROUTING, _CHOICE = "policies.routing.policy", "policies.routing.model_choice"
_NANO = 1e9


@dataclass(frozen=True, kw_only=True)
class RegretLine:
    """One policy in one replication; money in USD, of the whole run.

    `cost_usd` is all that was paid; `bound_usd` what serving the same requests at the same quality costs at least; `floor_usd` what the
    cheapest answer of each costs. Regret is cost less bound. `controllable_usd` is cost less floor, the part that choices decide.
    `gap` is how much, 0 to 1, the bound might still rise with better prices.
    """

    policy: str
    seed: int
    arrived: int
    served: int
    quality_mean: float
    cost_usd: float
    bound_usd: float
    floor_usd: float
    gap: float
    seconds: float

    @property
    def served_ratio(self) -> float:
        """Served as a share of those that arrived, 0 to 1."""
        return self.served / self.arrived

    @property
    def regret_usd(self) -> float:
        """Cost less bound."""
        return self.cost_usd - self.bound_usd

    @property
    def controllable_usd(self) -> float:
        """Cost less what even the cheapest answers would have cost."""
        return self.cost_usd - self.floor_usd

    @property
    def regret_of_cost(self) -> float:
        """Regret as a share of all that was paid, 0 to 1; 0 where nothing was."""
        return self.regret_usd / self.cost_usd if self.cost_usd > 0 else 0.0

    @property
    def regret_of_controllable(self) -> float:
        """Regret as a share of what choices decide, 0 to 1; 0 where they decide nothing."""
        return self.regret_usd / self.controllable_usd if self.controllable_usd > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Every field, and what follows from them; ready for JSON."""
        shares = ("served_ratio", "regret_usd", "controllable_usd", "regret_of_cost", "regret_of_controllable")
        return asdict(self) | {name: getattr(self, name) for name in shares}


@dataclass(frozen=True, kw_only=True)
class RegretSummary:
    """A policy over replications: means, and 95 % intervals of its two shares of regret."""

    policy: str
    replications: int
    served_ratio: float
    quality_mean: float
    cost_usd: float
    bound_usd: float
    floor_usd: float
    regret_usd: float
    regret_of_cost: Interval
    regret_of_controllable: Interval
    gap: float


@dataclass(frozen=True)
class RegretTable:
    """All lines, policy by policy and seed by seed."""

    lines: tuple[RegretLine, ...]

    def summary(self) -> tuple[RegretSummary, ...]:
        """One for each policy, the least regret of what choices decide first."""
        names = list(dict.fromkeys(line.policy for line in self.lines))
        found = [_summed(name, [line for line in self.lines if line.policy == name]) for name in names]
        return tuple(sorted(found, key=lambda one: one.regret_of_controllable.value))

    def frame(self) -> "pd.DataFrame":
        """The lines as a pandas table, shares included."""
        import pandas as pd

        return pd.DataFrame([line.as_json() for line in self.lines])

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"policies": [asdict(one) for one in self.summary()], "lines": [line.as_json() for line in self.lines]}


def shipped_policies() -> dict[str, tuple[str, ...]]:
    """Every shipped routing policy and every shipped model choice, as overrides by name.

    Routing policies stand under `model_choice: any`, where they choose among the deployments of all models; model choices under
    the default routing policy.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in shipped_names("routing.model_choice"):
        if name != "any":
            found[name] = (f"{_CHOICE}={name}", f"{_ROUTING}=cost_efficiency")
    for name in shipped_names("routing.policy"):
        found[f"any, {name}"] = (f"{_CHOICE}=any", f"{_ROUTING}={name}")
    return found


def regret(
    ask: Ask, policies: Mapping[str, Sequence[str]] = MappingProxyType({}), *, replications: int = 1, quality: Quality = "delivered",
    block_s: float | None = None, on_progress: OnProgress = lambda _name, _done, _all: None,
) -> RegretTable:  # fmt: skip
    """Run each policy on the seeds `ask.seed`, `ask.seed + 1`, ... and bound what it served.

    `policies` are overrides by name; by default all that are shipped (`shipped_policies`). `quality` is what the bound must deliver on
    average: as much as the policy did, or what the scenario's promise on `quality_mean` of all tiers says. `on_progress` gets the
    policy's name, runs done and runs in all. Raises ScenarioError, WorkloadError, RunError or ExperimentError.
    """
    if not 1 <= replications <= 10_000:
        raise ExperimentError(f"replications is {replications}, must be between 1 and 10,000")
    check_block_s(block_s)
    chosen = dict(policies) or shipped_policies()
    lines: list[RegretLine] = []
    known: dict[str, RegretLine] = {}      # a scenario's own policies are often shipped ones
    for name, overrides in chosen.items():
        for number in range(replications):
            on_progress(name, len(lines), len(chosen) * replications)
            one = replace(ask, overrides=(*ask.overrides, *overrides), seed=ask.seed + number)
            decides = one.load().hash
            if decides not in known:
                known[decides] = _line(name, one, quality, block_s)
            lines.append(replace(known[decides], policy=name))
    return RegretTable(tuple(lines))


def add_regret(
    folder: Path, ask: Ask, *, block_s: float | None = None, on_progress: OnProgress = lambda _name, _done, _all: None
) -> RegretTable:
    """Compare the own policies of the finished run in `folder` and all shipped ones, on the run's seed, with the least possible.

    Keeps the table there as `regret.json` and draws the report again, with it. `ask` is what the run was asked to do. Raises RunError if
    the folder holds another run or cannot be written, and what `regret` raises.
    """
    manifest, loaded = read_manifest(folder), ask.load()
    if (manifest["scenario_sha256"], manifest["seed"]) != (loaded.hash, ask.seed):
        raise RunError(f"{folder}: holds another run than {ask.scenario} with these settings and seed {ask.seed}; name its folder")
    own = loaded.bundle.name
    compared = {own: ()} | {name: one for name, one in shipped_policies().items() if name != own}
    table = regret(ask, compared, block_s=block_s, on_progress=on_progress)
    by_regret = sorted(table.lines, key=lambda line: line.regret_of_controllable)
    try:
        write_json(folder / REGRET, {"own": own, "lines": [line.as_json() for line in by_regret]})
    except OSError as error:
        raise RunError(f"{folder / REGRET}: cannot be written: {error.strerror or error}") from error
    write_report(folder)
    return table


def bound_of(ask: Ask, *, quality: Quality = "delivered", block_s: float | None = None) -> float:
    """What the requests that this run serves cost at least, in USD. Raises what `regret` raises."""
    return _bounded(ask, quality, block_s)[1].bound_nano_usd / _NANO


def _bounded(ask: Ask, quality: Quality, block_s: float | None) -> tuple[dict[str, Any], Bound]:
    loaded = ask.load()
    asked = None if quality == "delivered" else promised_quality(loaded)
    realised, result = realise(loaded, seed=ask.seed, driver=ask.driver)
    counts = {**result.summary["requests"], "quality": realised.quality_mean}
    return counts, clairvoyant_bound(realised, quality_mean=asked, block_s=block_s)


def promised_quality(loaded: "LoadedScenario") -> float:
    """What the scenario's promises say of the mean quality of all answers, 0 to 1. Raises ExperimentError if they say nothing."""
    promised = [slo.at_least for slo in loaded.slos if slo.metric == "quality_mean" and slo.tier == ALL_TIERS and slo.at_least is not None]
    if not promised:
        raise ExperimentError(
            f"scenario {loaded.name!r} promises no quality_mean of tier all; add such an entry to slos, or take quality as delivered"
        )
    return max(promised)


def _line(name: str, ask: Ask, quality: Quality, block_s: float | None) -> RegretLine:
    counts, bound = _bounded(ask, quality, block_s)
    return RegretLine(
        policy=name, seed=ask.seed, arrived=counts["arrived"], served=bound.requests, quality_mean=counts["quality"],
        cost_usd=bound.paid_nano_usd / _NANO, bound_usd=bound.bound_nano_usd / _NANO, floor_usd=bound.floor_nano_usd / _NANO,
        gap=bound.gap, seconds=bound.seconds,
    )  # fmt: skip


def _summed(name: str, lines: list[RegretLine]) -> RegretSummary:
    count = len(lines)

    def mean(field: str) -> float:
        return float(sum(getattr(line, field) for line in lines)) / count

    return RegretSummary(
        policy=name, replications=count, served_ratio=mean("served_ratio"),
        quality_mean=mean("quality_mean"), cost_usd=mean("cost_usd"), bound_usd=mean("bound_usd"), floor_usd=mean("floor_usd"),
        regret_usd=mean("regret_usd"), regret_of_cost=mean_interval([line.regret_of_cost for line in lines]),
        regret_of_controllable=mean_interval([line.regret_of_controllable for line in lines]), gap=max(line.gap for line in lines),
    )  # fmt: skip
