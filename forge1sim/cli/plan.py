"""`forge1sim plan`: what to contract and how much to reserve."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

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
    hint,
    print_json,
    print_table,
    to_json,
)
from forge1sim.cli.result_folder import MARK, check_free, result_folder

if TYPE_CHECKING:
    from forge1sim.planning.planned import Planned
    from forge1sim.planning.search import Round
    from forge1sim.planning.variance import Variance

_PURCHASES = ("account", "provider", "held", "planned", "change", "USD/month", "with one fewer")
_TITLES = {
    "exhaustion": "when limits are full, the first of them", "usage tiers": "usage tiers that the plan counts on",
    "interim": "until the plan is in force", "tornado": "what the plan rests on, USD a month",
}  # fmt: skip
SCENARIO_COMMAND = "scenario"


class _PlanGroup(TyperGroup):
    """`plan SCENARIO` is short for `plan scenario SCENARIO`: whatever is no command's name is a scenario's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where it is left out."""
        if not args or args[0] not in self.commands:
            args = [SCENARIO_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_PlanGroup, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


@app.command(SCENARIO_COMMAND)
def plan(
    scenario: ScenarioArgument,
    settings: SetOption = None,
    seed: SeedOption = None,
    minutes: Annotated[float, typer.Option("--minutes", help="Longest time of the search; verification comes on top.", min=0.01)] = 20.0,
    workers: Annotated[int | None, typer.Option("--workers", help="Runs at once (default: one for each processor).")] = None,
    backend: BackendOption = BackendName.PROCESSES,
    levers: Annotated[bool, typer.Option("--levers", help="Also simulate what is not bought: raised limits, caching, smoothing.")] = False,
    forecast: Annotated[
        Path | None, typer.Option("--forecast", metavar="DIR", help="Growth by the paths of forge1sim forecast --out DIR.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the planned scenario and the purchases here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder --out if it exists.")] = False,
    policy_folders: PolicyFolderOption = None,
    data_folders: DataFolderOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:  # fmt: skip
    """Find the cheapest accounts that keep all promises. Exit status 0: done; 2: bad input, or no plan keeps them.

    `plan variance PLAN.json` compares a plan with what was spent.
    """
    from forge1sim.ask import Ask  # noqa: PLC0415
    from forge1sim.planning.figures import bars  # noqa: PLC0415
    from forge1sim.planning.infeasible import NoPlanError  # noqa: PLC0415
    from forge1sim.planning.infeasible import as_json as infeasible_json  # noqa: PLC0415
    from forge1sim.planning.plan import plan as find_plan  # noqa: PLC0415
    from forge1sim.planning.planned import as_json as plan_json  # noqa: PLC0415
    from forge1sim.planning.write import write_plan  # noqa: PLC0415

    if out is not None:
        check_free(out, force=force)
    allow_for_workers(policy_folders, data_folders)
    loaded = load(scenario, settings, seed=seed, policy_folders=policy_folders, data_folders=data_folders)
    ask = Ask(scenario=str(scenario), overrides=tuple(settings or ()), seed=loaded.seed)
    with _progress(quiet) as on_round:
        try:
            planned = find_plan(
                ask, workers=workers, backend=backend.value, minutes=minutes, levers=levers, forecast=forecast, on_round=on_round,
                on_stage=lambda words: hint(f"now: {words}", quiet=quiet),
            )
        except NoPlanError as error:
            if as_json:
                print_json({"infeasible": infeasible_json(error.found)})
            raise
    if out is not None:
        with result_folder(out, force=force) as folder:
            write_plan(planned, ask, folder)
            (folder / MARK).write_text(to_json(plan_json(planned)), encoding="utf-8")
            if planned.answers.tornado:
                bars(planned.answers.tornado)[0].write_html(folder / "tornado.html", include_plotlyjs=True)
    if as_json:
        print_json(plan_json(planned))
    else:
        _print(planned, no_color)
    hint(f"Next: forge1sim run {out / 'planned.yaml'}" if out else "Next: the same with --out DIR, for the planned scenario", quiet=quiet)


@app.command("variance")
def variance(
    planned: Annotated[Path, typer.Argument(metavar="PLAN.json", help="The plan.json of forge1sim plan --out.")],
    actual: Annotated[
        Path, typer.Option("--actual", metavar="PATH", help="A run's folder, or a ledger as CSV (forge1sim gateway ledger --csv).")
    ],
    days: Annotated[
        float | None, typer.Option("--days", help="How long the ledger was collected (default: first sent to last ended).", min=0.0)
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    no_color: NoColorOption = False,
) -> None:
    """Split what was spent beyond a plan into volume, mix, cache, price and retries. Exit status 0: done; 2: bad input."""
    from forge1sim.planning.spending import actual_of  # noqa: PLC0415
    from forge1sim.planning.variance import as_json as variance_json  # noqa: PLC0415
    from forge1sim.planning.variance import read_budget, variance_of  # noqa: PLC0415

    found = variance_of(read_budget(planned), actual_of(actual, days))
    if as_json:
        print_json(variance_json(found))
    else:
        _print_variance(found, no_color)
    hint("Parts in another order would differ, their sum would not: docs/plan.md", quiet=quiet)


def _print_variance(found: "Variance", no_color: bool) -> None:
    parts = [
        ("volume", found.volume), ("mix", found.mix), ("  of models", found.models), ("  of lengths", found.lengths),
        ("cache", found.cache), ("price", found.price), ("retries", found.retries),
        *([] if found.accounts is None else [("accounts", found.accounts)]),
    ]  # fmt: skip
    rows = [("budget", found.budget_nano_usd / 1e9), *((name, nano_usd / 1e9) for name, nano_usd in parts)]
    title = f"{found.duration_us / 86_400e6:.4g} days of {found.source}"
    print_table(("part", "USD"), [*rows, ("actual", found.actual_nano_usd / 1e9)], title=title, no_color=no_color)
    more = found.actual_nano_usd - found.budget_nano_usd
    print(f"{abs(more) / 1e9:,.2f} USD {'more' if more > 0 else 'less'} than planned, for {found.answers_actual:,} answers "
          f"where {found.answers_budget:,.0f} were planned.")  # fmt: skip
    if found.unplanned:
        print(f"Not planned, and in the mix at planned prices: {'; '.join(found.unplanned)}.")
    if found.accounts is None:
        print("A ledger does not tell fees of accounts: they are left out on both sides.")


@contextmanager
def _progress(quiet: bool) -> "Iterator[Callable[[Round], None]]":
    """One line on standard error for each round."""
    if quiet:
        yield lambda _round: None
        return

    def show(made: "Round") -> None:
        kept = sum(one.holds for one in made.tried)
        best = f"best {made.best_usd:,.0f} USD/month" if made.best_usd < float("inf") else "none yet keeps all promises"
        found = f"{kept} of {len(made.tried)} keep all promises; {best}; {made.left:,} plans left"
        hint(f"round {made.number}: {made.why}: {found}", quiet=quiet)

    yield show


def _print(planned: "Planned", no_color: bool) -> None:
    from forge1sim.planning.words import sentences  # noqa: PLC0415

    rows = [
        (
            one.name, one.provider, one.held, one.planned, f"{one.change:+d}" if one.change else "", one.usd_per_month * one.planned,
            one.one_fewer,
        )
        for one in planned.items
    ]  # fmt: skip
    print_table(_PURCHASES, rows, title=f"plan for {planned.name}", no_color=no_color)
    promises = [
        (one.name, one.tier, one.metric, one.target, one.mean, f"{one.low:.4g} to {one.high:.4g}", "yes" if one.holds else "no")
        for one in planned.verified.promises
    ]
    title = f"promises on {len(planned.verified.days)} fresh days"
    print_table(("promise", "tier", "measure", "target", "mean", "95% of the mean", "holds"), promises, title=title, no_color=no_color)
    _print_answers(planned, no_color)
    for sentence in sentences(planned):
        print(sentence)


def _print_answers(planned: "Planned", no_color: bool) -> None:
    """What accounts and levers are worth, what the bill comes to per unit, dates, the meantime, and what the plan rests on."""
    from forge1sim.planning.told import SOON, answer_tables  # noqa: PLC0415

    answers = planned.answers
    worth = [
        (
            one.name, one.rent_usd_per_month, one.rents[0].limit if one.rents else "", one.more.shown() if one.more else "not simulated",
            "; ".join(one.breaks) or (one.fewer.shown() if one.fewer else ""),
        )
        for one in answers.worth
    ]  # fmt: skip
    columns = ("account", "USD/month at the margin", "tightest limit", "one more", "one fewer breaks, or is")
    print_table(columns, worth, title="what each account is worth", no_color=no_color)
    if answers.levers:
        levers = [(one.name, one.difference.shown(), "yes" if one.keeps_promises else "; ".join(one.breaks)) for one in answers.levers]
        print_table(("instead of buying", "the bill", "promises hold"), levers, title="levers", no_color=no_color)
    units = [
        (one.name, one.usd_per_month, one.per(one.requests), one.per(one.tokens / 1e6), one.per(one.tenants)) for one in answers.unit_costs
    ]
    print_table(("tier", "USD/month", "a request", "a million tokens", "a tenant"), units, title="unit costs", no_color=no_color)
    for name, table in answer_tables(answers, SOON).items():
        print_table(tuple(table), zip(*table.values(), strict=True), title=_TITLES[name], no_color=no_color)
