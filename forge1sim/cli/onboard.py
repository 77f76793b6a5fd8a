"""`forge1sim onboard`: can we take this client?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import allow_for_workers, load
from forge1sim.cli.output import (
    BackendName,
    BackendOption,
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    counting_bar,
    hint,
    print_json,
    print_table,
)
from forge1sim.errors import PlanError

if TYPE_CHECKING:
    from forge1sim.planning.onboard import Answer
    from forge1sim.planning.slack import Slack
    from forge1sim.scenario.yaml_tree import Node


def onboard(
    scenario: ScenarioArgument,
    client: Annotated[Path | None, typer.Argument(metavar="[CLIENT]", help="A tenant group as in a scenario (YAML).")] = None,
    slack: Annotated[Path, typer.Option("--slack", metavar="FILE", help="The scenario's slack, made by --prepare.")] = Path("slack.json"),
    prepare: Annotated[bool, typer.Option("--prepare", help="Measure the slack by simulation and write it to --out.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where --prepare writes.")] = Path("slack.json"),
    probes: Annotated[int, typer.Option("--probes", help="Probe clients of --prepare.")] = 60,
    draws: Annotated[int, typer.Option("--draws", help="Draws for each size of a probe.")] = 6,
    tier: Annotated[str | None, typer.Option("--tier", help="Instead of CLIENT: its tier; what is not said is as usual there.")] = None,
    requests_per_s: Annotated[float | None, typer.Option("--requests-per-s", help="Mean of the client.")] = None,
    input_tokens: Annotated[float | None, typer.Option("--input-tokens", help="Mean of a request.")] = None,
    output_tokens: Annotated[float | None, typer.Option("--output-tokens", help="Mean of an answer.")] = None,
    peak_over_mean: Annotated[float | None, typer.Option("--peak-over-mean", help="Of its day; at the hour usual in its tier.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model that all its requests name.")] = None,
    settings: SetOption = None,
    seed: SeedOption = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Runs at once of --prepare (default: one for each processor).")] = None,
    backend: BackendOption = BackendName.PROCESSES,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:  # fmt: skip
    """Can we take this client? Yes, no with what to contract, or not sure. Exit status 0: answered; 2: bad input or no slack."""
    from forge1sim.ask import Ask
    from forge1sim.planning.onboard import onboard as judge
    from forge1sim.planning.slack import Slack
    from forge1sim.planning.slack import prepare as measure

    allow_for_workers(policy_folders, data_folders)
    loaded = load(scenario, settings, seed=seed, policy_folders=policy_folders, data_folders=data_folders)
    ask = Ask(scenario=str(scenario), overrides=tuple(settings or ()), seed=loaded.seed)
    options = {
        "--requests-per-s": requests_per_s, "--input-tokens": input_tokens, "--output-tokens": output_tokens,
        "--peak-over-mean": peak_over_mean, "--model": model,
    }  # fmt: skip
    if prepare:
        if client is not None or tier is not None:
            raise PlanError("--prepare measures the scenario alone; ask about the client afterwards, with --slack")
        with counting_bar("probes", quiet=quiet) as on_round:
            made = measure(ask, probes=probes, draws=draws, workers=workers, backend=backend.value, on_round=on_round)
        made.write(out)
        hint(f"Next: forge1sim onboard {scenario} CLIENT.yaml --slack {out}", quiet=quiet)
        return
    known = Slack.read(slack, ask)
    answer = judge(known, _client(known, client, tier, options))
    if as_json:
        print_json(answer.as_json())
    else:
        _print(answer, no_color)


def _client(slack: "Slack", file: Path | None, tier: str | None, options: dict[str, Any]) -> "Node":
    """The client of the file, or of the options. Raises PlanError where both or neither is given, ScenarioError for what cannot be."""
    from forge1sim.planning.client import client_node, described, read_client
    from forge1sim.planning.probes import typical

    given = {name: value for name, value in options.items() if value is not None}
    if file is not None:
        if tier is not None or given:
            raise PlanError(f"{file} describes the client, and so do {', '.join(['--tier'] * (tier is not None) + list(given))}; keep one")
        return read_client(file)
    tiers = [one.name for one in slack.loaded.bundle.tiers]
    if tier not in tiers or "--requests-per-s" not in given:
        raise PlanError(f"name a CLIENT file, or give --tier (of {', '.join(tiers)}) and --requests-per-s; --tier is {tier!r}")
    return client_node(described(typical(slack.loaded, tier), given), "the options")


def _print(answer: "Answer", no_color: bool) -> None:
    print(f"{answer.answer.replace('_', ' ')}: {answer.why}")
    if answer.contract is not None:
        more = answer.contract
        print(f"To contract: {more.more} more of {more.account}, {more.usd_per_month:,.0f} USD a month ({more.note})")
    if answer.headroom:
        promises = [(name, one["target"], one["mean"]) for name, one in answer.headroom["promises"].items()]
        print_table(("promise", "target", "without the client"), promises, title="promises", no_color=no_color)
        limits = [(name, one["busiest"], one["free"], one["asked"]) for name, one in answer.headroom["limits"].items()]
        columns = ("limit", "busiest use", "free", "the client would add")
        print_table(columns, limits, title="limits it meets, as shares", no_color=no_color)
    print(f"Measured on {answer.measured_on}. Answered in {answer.ms:.0f} ms.")
