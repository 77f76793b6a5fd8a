"""`forge1sim regret`: how far each policy was from what it would have cost at least."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from forge1sim.cli.loading import allow_for_workers, load
from forge1sim.cli.output import (
    BlockOption,
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    counting_hints,
    print_json,
    print_table,
)
from forge1sim.errors import ScenarioError

if TYPE_CHECKING:
    from forge1sim.experiments.regret import RegretTable
    from forge1sim.statistics.interval import Interval

_COLUMNS = (
    "policy", "served", "quality", "cost USD", "bound USD", "floor USD", "regret USD", "of cost", "of controllable", "bound gap",
)  # fmt: skip


class QualityAsked(StrEnum):
    """What the bound must deliver on average."""

    DELIVERED = "delivered"
    PROMISED = "promised"


def regret(
    scenario: ScenarioArgument,
    settings: SetOption = None,
    seed: SeedOption = None,
    replications: Annotated[int, typer.Option("--replications", "-r", help="Runs of each policy, with the same seeds.", min=1)] = 1,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="NAME", help="Only this one of those shipped. May be repeated.")
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Only the scenario's own policies.")] = False,
    quality: Annotated[QualityAsked, typer.Option(help="As the policy delivered, or as an SLO on quality_mean says.")] = (
        QualityAsked.DELIVERED
    ),
    block_s: BlockOption = None,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Compare what each policy paid with the least that its answers could have cost. Exit status 2: bad usage or input."""
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.experiments.regret import regret as find_regret  # noqa: PLC0415

    allow_for_workers(policy_folders, data_folders)
    loaded = load(scenario, settings, seed=seed)
    ask = Ask(scenario=str(scenario), overrides=tuple(settings or ()), seed=loaded.seed)
    chosen: dict[str, tuple[str, ...]] = {loaded.bundle.name: ()} if as_is else _chosen(policy)
    table = find_regret(ask, chosen, replications=replications, quality=quality.value, block_s=block_s, on_progress=counting_hints(quiet))
    if as_json:
        print_json(table.as_json())
    else:
        _print(table, loaded.name, no_color)


def _chosen(names: list[str] | None) -> dict[str, tuple[str, ...]]:
    from forge1sim.experiments.regret import shipped_policies  # noqa: PLC0415

    shipped = shipped_policies()
    for name in names or ():
        if name not in shipped:
            raise ScenarioError(f"--policy {name!r} is none of {', '.join(repr(one) for one in shipped)}")
    return {name: shipped[name] for name in names or shipped}


def _print(table: "RegretTable", scenario: str, no_color: bool) -> None:
    rows = [
        (
            one.policy, f"{one.served_ratio:.2%}", one.quality_mean, one.cost_usd, one.bound_usd, one.floor_usd, one.regret_usd,
            _share(one.regret_of_cost), _share(one.regret_of_controllable), f"{one.gap:.2%}",
        )
        for one in table.summary()
    ]  # fmt: skip
    print_table(_COLUMNS, rows, title=f"regret of {scenario}", no_color=no_color)


def _share(interval: "Interval") -> str:
    """A share in per cent, with its interval where there is one."""
    if not interval.trusted:
        return f"{interval.value:.1%}"
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
