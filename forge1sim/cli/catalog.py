"""`forge1sim catalog` and `forge1sim import-litellm`: facts about models, and gateways that exist."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge1sim.cli.output import JsonOption, NoColorOption, QuietOption, hint, print_json, print_table
from forge1sim.errors import CatalogueError, RunError

if TYPE_CHECKING:
    from forge1sim.catalogue.catalogue import Catalogue

_COLUMNS = (
    "model", "provider", "in $/1M", "out $/1M", "context", "usage tier", "limits", "ttft s", "tokens/s", "easy", "hard", "grade",
)  # fmt: skip


def catalog(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Show every figure of this model.")] = None,
    name: Annotated[
        str, typer.Option("--catalogue", metavar="NAME", help="A shipped catalogue, or a catalogue file.")
    ] = "current",
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Print an overlay with the prices of LiteLLM's list.")
    ] = None,
    effective: Annotated[
        datetime | None, typer.Option("--effective", formats=["%Y-%m-%d"], help="The day of the price list.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """List models with prices, limits, speed and performance, or one model's figures with their sources."""
    from forge1sim.catalogue.load import load_catalogue, shipped_names  # noqa: PLC0415

    catalogue = load_catalogue(name)
    if prices is not None:
        _refresh(catalogue, name, prices, effective, as_json)
    elif model is not None:
        _show_model(catalogue, model, as_json, no_color)
        hint(f"Next: write `models: [{model}]` in a scenario", quiet=quiet)
    else:
        _show_all(catalogue, as_json, no_color)
        hint(f"Next: forge1sim catalog MODEL (shipped catalogues: {', '.join(shipped_names())})", quiet=quiet)


def _show_all(catalogue: "Catalogue", as_json: bool, no_color: bool) -> None:
    from forge1sim.catalogue.listing import catalogue_table  # noqa: PLC0415

    rows = catalogue_table(catalogue)
    if as_json:
        print_json({"catalogue": catalogue.name, "models": rows})
    else:
        print_table(_COLUMNS, [_short_row(row) for row in rows], no_color=no_color)


def _short_row(row: dict[str, Any]) -> list[object]:
    limits = " ".join(f"{dimension} {amount:,.0f}" for dimension, amount in row["limits"].items())
    return [
        row["model"], row["provider"], row["input_usd_per_1m"], row["output_usd_per_1m"], row["context_tokens"],
        row["usage_tier"], limits or None, row["ttft_s"], row["tokens_per_s"], row["performance"][0],
        row["performance"][-1], row["worst_grade"],
    ]  # fmt: skip


def _show_model(catalogue: "Catalogue", model: str, as_json: bool, no_color: bool) -> None:
    figures = [figure.model_dump(mode="json") for figure in catalogue.figures(model)]
    if as_json:
        print_json({"catalogue": catalogue.name, "model": model, "figures": figures})
    else:
        columns = ("subject", "field", "value", "grade", "effective", "source")
        print_table(columns, [[figure[column] for column in columns] for figure in figures], no_color=no_color)


def _refresh(catalogue: "Catalogue", name: str, prices: Path, effective: datetime | None, as_json: bool) -> None:
    from forge1sim.catalogue.prices import price_overlay, refresh_prices  # noqa: PLC0415

    if effective is None:
        raise CatalogueError("--prices needs --effective, the day of the price list, such as 2026-11-02")
    renewed, changes = refresh_prices(catalogue, prices, effective.date())
    if as_json:
        print_json({"catalogue": catalogue.name, "changes": [asdict(change) for change in changes]})
        return
    print(price_overlay(name, renewed, changes), end="")
    for change in changes:
        if change.note:
            hint(f"{change.model} {change.field}: {change.note}", quiet=False)


def import_litellm(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A LiteLLM config.yaml.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the scenario to this new file.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn a LiteLLM config.yaml into a scenario. Its tenants are an example, to be replaced by yours."""
    import yaml  # noqa: PLC0415

    from forge1sim.catalogue.litellm_config import import_litellm_config  # noqa: PLC0415

    imported = import_litellm_config(config)
    scenario = {**imported.scenario, "tenants": _example_tenants(), "horizon_s": 3600}
    if out is not None:
        _write_new(out, str(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True)))
    elif as_json:
        print_json({"scenario": scenario, "notes": list(imported.notes)})
    else:
        print(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True), end="")
    for note in imported.notes:
        hint(f"note: {note}", quiet=quiet)
    hint(f"Next: replace `tenants`, then forge1sim validate {out or 'SCENARIO'}", quiet=quiet)


def _example_tenants() -> list[dict[str, Any]]:
    return [{"name": "example", "count": 10, "tier": "standard", "demand": {"requests_per_s": 1.0}}]


def _write_new(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise RunError(f"--out {out}: exists already; name a new file") from error
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written: {error.strerror}") from error
