"""A plan for a run's scenario, as a question about the run: its terms as a form, how far the search is, and the answer, ready for JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from forge1sim.ask import Ask
from forge1sim.errors import PlanError
from forge1sim.metrics.store import write_json
from forge1sim.runs.commands import command_of
from forge1sim.runs.forms import Document, Field, FormTable
from forge1sim.runs.record import Run
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.terms import AccountTerms

if TYPE_CHECKING:
    from forge1sim.planning.infeasible import Infeasible
    from forge1sim.planning.planned import Gaps, Planned
    from forge1sim.planning.search import Round
    from forge1sim.results.figures import Shown

TERMS = FormTable(("accounts",), "Accounts", (
    Field("name", "account", "text"),
    Field("provider", "provider", "text"),
    Field("held", "held", "whole"),
    Field("at_least", "at least", "whole"),
    Field("at_most", "at most", "whole"),
    Field("permission", "permission", "text"),
    Field("lead_time_days", "lead time (days)"),
    Field("notice_days", "notice (days)"),
    Field("setup_usd", "setup fee ($ each)"),
))  # fmt: skip
GIVEN = ("name", "provider", "held")        # not for terms to change
LEAST_MINUTES, USUAL_MINUTES, MOST_MINUTES = 1, 5, 120
SINGLE = ("confidence", "draws", "fresh_draws", "budget_usd_per_month", "most_share_per_provider", "months", "growth", "tornado")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to plan: terms that differ from the scenario's, as overrides of `plan`, and how many minutes the search may take."""

    overrides: tuple[str, ...]
    minutes: int

    @property
    def text(self) -> str:
        """As an address takes it."""
        return json.dumps([self.minutes, *self.overrides], separators=(",", ":"))

    def of(self, run: Run) -> Ask:
        """The run's scenario under these terms."""
        return replace(run.ask, overrides=(*run.ask.overrides, *self.overrides))


def wanted_of_text(text: str) -> Wanted:
    """What `Wanted.text` says. Raises PlanError for anything else: an address may change terms, and nothing but these."""
    try:
        minutes, *overrides = json.loads(text)
    except (ValueError, TypeError):
        minutes, overrides = None, []
    timely = type(minutes) is int and LEAST_MINUTES <= minutes <= MOST_MINUTES
    if not timely or not all(isinstance(one, str) and one.startswith("plan.") for one in overrides):
        should = f'[5,"plan.draws=6"]: {LEAST_MINUTES} to {MOST_MINUTES} minutes, then settings of plan'
        raise PlanError(f"the address asks to plan {text[:100]!r}, should be as {should}")
    return Wanted(overrides=tuple(overrides), minutes=minutes)


def form_of(loaded: LoadedScenario) -> Document:
    """The scenario's terms: an entry for each of its accounts, with the fields of TERMS, and the fields of SINGLE."""
    terms = loaded.scenario.plan
    said = {one.name: one for one in terms.accounts}
    accounts: list[Document] = []
    for account in loaded.scenario.accounts:
        entry = said.get(account.name) or AccountTerms(name=account.name)
        at_most = account.count if entry.at_most is None else entry.at_most
        accounts.append(entry.model_dump(mode="json") | {"provider": account.provider, "held": account.count, "at_most": at_most})
    single = terms.model_dump(mode="json", include=set(SINGLE))
    form: Document = {name: _said(single[name]) for name in SINGLE}
    return form | {"accounts": accounts}


def _said(value: Any) -> Any:
    """A table without what it leaves open."""
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value


def overrides_of(loaded: LoadedScenario, form: Document) -> list[str]:
    """Where a form differs from the scenario, as `plan.FIELD=VALUE`."""
    before = form_of(loaded)
    said = {one.name for one in loaded.scenario.plan.accounts}
    now, was = ([_terms(entry) for entry in document["accounts"]] for document in (form, before))
    told = [entry for entry, old in zip(now, was, strict=True) if entry != old or entry["name"] in said]
    found: Document = {"accounts": told} if now != was else {}
    found |= {name: _said(form.get(name)) for name in SINGLE if _said(form.get(name)) != before[name]}
    return [f"plan.{name}={json.dumps(value, separators=(',', ':'))}" for name, value in found.items()]


def _terms(entry: Document) -> Document:
    """What an entry of the form says of its account's terms, in one way only: no defaults, whole numbers without a point."""
    said = {"at_most": entry["held"]} | {name: value for name, value in entry.items() if value is not None}
    terms = {name: said[name] for name in AccountTerms.model_fields if name in said}
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in terms.items() if value not in (AccountTerms.model_fields[name].default, [])
    }  # fmt: skip


def planning_of(run: Run, progress: Path, wanted: Wanted) -> dict[str, Any]:
    """Plan, and verify the plan on fresh draws; ready for JSON.

    Keys: `told` (sentences), `proven`, `holds` (on fresh days), `tables` (columns by name: purchases, promises, costs, gaps, rounds, and
    those of `told.answer_tables`), `figures` (by name, as `drawn`), `best` (overrides that make the planned scenario of the run's),
    `files` (texts by name), `command`. Where no plan keeps all promises: `told`, `tables` (conflicts, ways out) and `command` alone.
    Raises as `plan` does otherwise.
    """
    from forge1sim.planning.figures import bars, costs, course, trade  # noqa: PLC0415
    from forge1sim.planning.infeasible import NoPlanError, lines_of  # noqa: PLC0415
    from forge1sim.planning.plan import plan  # noqa: PLC0415
    from forge1sim.planning.told import answer_tables  # noqa: PLC0415
    from forge1sim.planning.words import sentences  # noqa: PLC0415

    run.load()          # refuses a scenario that has changed since
    ask = wanted.of(run)
    write_json(progress, {"share": 0.0, "told": "Looking at what is held, and at all that may be had"})
    rounds: list[Round] = []

    def note(made: "Round") -> None:
        rounds.append(made)
        write_json(progress, _so_far(rounds))

    def stage(words: str) -> None:
        write_json(progress, _so_far(rounds) | {"share": 1.0, "told": f"The search is over. Now {words}"})

    command = command_of("plan", ask, [("--minutes", str(wanted.minutes))], "planned")
    try:
        planned = plan(ask, workers=1, backend="serial", minutes=wanted.minutes, on_round=note, on_stage=stage)
    except NoPlanError as error:
        return {"infeasible": True, "told": lines_of(error.found)[:1], "tables": _ways_out(error.found), "command": command}
    shown = {"course": course(planned.rounds), "trade": trade(planned), "costs": costs(planned)}
    if planned.answers.tornado:
        shown["tornado"] = bars(planned.answers.tornado)
    return {
        "infeasible": False,
        "told": sentences(planned), "proven": planned.proven, "holds": planned.verified.holds,
        "tables": _tables(planned) | answer_tables(planned.answers),
        "figures": {name: _kept(one) for name, one in shown.items()},
        "best": [*wanted.overrides, *planned.overrides], "files": _files(planned, ask),
        "command": command,
    }  # fmt: skip


def _ways_out(found: "Infeasible") -> dict[str, dict[str, list[Any]]]:
    from forge1sim.planning.infeasible import conflict_table, way_out_table  # noqa: PLC0415

    return {"conflicts": conflict_table(found), "ways out": way_out_table(found)}


def _so_far(rounds: Sequence["Round"]) -> dict[str, Any]:
    """How far a search is: the share of plans that are decided, the last round in words, all rounds as a table and as a figure."""
    from forge1sim.planning.figures import course, course_table  # noqa: PLC0415

    last, most = rounds[-1], max(made.left for made in rounds)
    best = f"the best so far costs {last.best_usd:,.0f} USD a month" if isfinite(last.best_usd) else "none yet keeps all promises"
    told = f"Round {last.number}: {best}; {last.left:,} plans left"
    return {
        "share": 1 - last.left / most if most else 1.0, "told": told, "rounds": course_table(rounds),
        "course": _kept(course(rounds)),
    }  # fmt: skip


def _kept(shown: "Shown") -> dict[str, str]:
    """A figure, as Plotly's JSON, and its sentence."""
    return {"figure": shown[0].to_json(), "sentence": shown[1]}


def _tables(planned: "Planned") -> dict[str, dict[str, list[Any]]]:
    """Columns by table; money in USD per month, None for what is not known."""
    from forge1sim.planning.figures import cost_parts, course_table  # noqa: PLC0415

    items, promises = planned.items, planned.verified.promises
    usage_tiers = {"usage_tier": [one.usage_tier or "" for one in items]} if any(one.usage_tier for one in items) else {}
    return {
        "purchases": {
            "account": [one.name for one in items], "provider": [one.provider for one in items], **usage_tiers,
            "held": [one.held for one in items], "planned": [one.planned for one in items], "change": [one.change for one in items],
            "fee_each_usd": [one.usd_per_month for one in items], "with one fewer": [one.one_fewer for one in items],
            **_where_any("lead time (days)", [one.lead_time_days for one in items]),
            **_where_any("setup_fee_each_usd", [one.setup_usd for one in items]),
            **_where_any("permission", [one.permission for one in items]),
        },
        "promises": {
            "": ["\u2713 kept" if one.holds else "\u2717 missed" for one in promises],
            "promise": [one.name for one in promises], "tier": [one.tier for one in promises], "measure": [one.metric for one in promises],
            "target": [one.target for one in promises], "mean": [_finite(one.mean) for one in promises],
            "interval of the mean": [f"{one.low:.4g} to {one.high:.4g}" for one in promises],
        },
        "costs": cost_parts(planned),
        "gaps": _gaps(planned.gaps),
        "rounds": course_table(planned.rounds),
    }  # fmt: skip


def _where_any(name: str, column: list[Any]) -> dict[str, list[Any]]:
    """The column, if there is anything in it."""
    return {name: column} if any(column) else {}


def _gaps(gaps: "Gaps") -> dict[str, list[Any]]:
    """A row for each gap and what it means."""
    return {
        "gap": ["total", "controllable", "solver", "cuts", "sampling"],
        "value": [f"{value:.2%}" for value in (gaps.total, gaps.controllable, gaps.solver, gaps.cuts, gaps.sampling)],
        "what it is": [
            "of the cost, another plan of these terms could save at most",
            "the same, of what plans decide: the cost less the cheapest answers of all",
            "of the cost, left open when the time of the search was up",
            "of the cost, rests on cuts that some pair of simulated plans spoke against",
            "of the cost over fresh days is the half-width of its interval",
        ],
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _files(planned: "Planned", ask: Ask) -> dict[str, str]:
    """The files that `forge1sim plan --out` writes, by name."""
    from forge1sim.planning.write import write_plan  # noqa: PLC0415

    with TemporaryDirectory() as name:
        write_plan(planned, ask, Path(name))
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(name).iterdir())}
