"""`forge1sim validate` and `forge1sim schema`: scenario files without running them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.loading import load
from forge1sim.cli.output import (
    DataFolderOption,
    JsonOption,
    NoColorOption,
    PolicyFolderOption,
    QuietOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    hint,
    print_json,
    print_table,
)
from forge1sim.errors import RunError, ScenarioError

if TYPE_CHECKING:
    from forge1sim.scenario.load import LoadedScenario


def validate(
    scenario: ScenarioArgument,
    settings: SetOption = None,
    seed: SeedOption = None,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Check a scenario and say what it describes, without running it."""
    try:
        loaded = load(scenario, settings, seed=seed, policy_folders=policy_folders, data_folders=data_folders)
    except ScenarioError as error:
        if not as_json:
            raise
        print_json({"valid": False, "scenario": str(scenario), "problems": list(error.problems)})
        raise typer.Exit(2) from error
    described = describe(loaded)
    if as_json:
        print_json({"valid": True, **described})
        return
    figures = described.pop("assumptions")
    print_table(("valid scenario", described.pop("scenario")), described.items(), no_color=no_color)
    if figures:
        columns = ("subject", "field", "value")
        title = "catalogue figures it rests on that are assumptions"
        print_table(columns, [[figure[column] for column in columns] for figure in figures], title=title, no_color=no_color)
    hint(f"Next: forge1sim run {scenario}", quiet=quiet)


def describe(loaded: "LoadedScenario") -> dict[str, Any]:
    """What a scenario amounts to, in counts, ready for JSON."""
    platform = loaded.platform
    served = {
        (account.name, model.name): account.count
        for account in platform.accounts
        for model in platform.models
        if (model.name in account.models if account.models else model.provider == account.provider)
    }
    return {
        "scenario": loaded.name,
        "models": len(platform.models),
        "accounts": sum(account.count for account in platform.accounts),
        "deployments": sum(served.values()),
        "tenants": sum(group.count for group in platform.tenants),
        "tiers": [tier.name for tier in loaded.bundle.tiers],
        "sources": [source.kind for source in loaded.workload_sources],
        "generated_requests": round(loaded.expected_requests),
        "start": loaded.scenario.start.isoformat(),
        "horizon_s": loaded.scenario.horizon_s,
        "faults": len(loaded.faults),
        "slos": [slo.name for slo in loaded.slos],
        "seed": loaded.seed,
        "scenario_sha256": loaded.hash,
        "bundle_sha256": loaded.bundle_hash,
        "assumptions": [figure.model_dump(mode="json") for figure in loaded.assumptions],
    }


def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The schema is JSON already; for likeness.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Print the JSON Schema of scenario files, for completion and hover help in editors."""
    from forge1sim.scenario.schema import scenario_json_schema  # noqa: PLC0415

    text = json.dumps(scenario_json_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror}") from error
    hint(f"Put this first in your scenario: # yaml-language-server: $schema={out}", quiet=quiet)
