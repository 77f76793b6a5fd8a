"""Plan: the cheapest accounts that keep all promises of a run's scenario, searched in simulation and verified on fresh draws."""

from typing import Any

import streamlit as st

from forge1sim.errors import Forge1Error
from forge1sim.results.figures import FIGURES
from forge1sim.results.read import RunFolder
from forge1sim.results.theme import seconds
from forge1sim.runs import Run
from forge1sim.runs.forms import Document
from forge1sim.runs.planning import (
    GIVEN,
    LEAST_MINUTES,
    MOST_MINUTES,
    TERMS,
    USUAL_MINUTES,
    Wanted,
    form_of,
    overrides_of,
    wanted_of_text,
)
from forge1sim.workbench import show
from forge1sim.workbench.answers import answer_of, simulate_changed
from forge1sim.workbench.chosen import chosen_run
from forge1sim.workbench.edit import table_editor

ASKED = "asked"             # in the address: what was asked for
_MIME = {"csv": "text/csv", "json": "application/json", "yaml": "application/yaml"}
_LOAD = next(one for one in FIGURES if one.name == "load")


def wanted_before(run: Run) -> Wanted | None:
    """What was asked for last: the address says it, else this session. None if nothing was, or nothing that can be."""
    if st.session_state.get("planned-run", run.id) != run.id:
        st.query_params.pop(ASKED, None)        # another run was picked: nobody asked this of it
    st.session_state["planned-run"] = run.id
    text = st.query_params.get(ASKED) or st.session_state.get(f"planned-{run.id}")
    if not text:
        return None
    try:
        wanted = wanted_of_text(str(text))
        wanted.of(run).load()
    except Forge1Error as error:
        show.trouble(error)
        return None
    return wanted


def ask(run: Run, wanted: Wanted) -> None:
    """Make this what the page is about. Raises ScenarioError for terms that contradict each other."""
    wanted.of(run).load()
    st.session_state[f"planned-{run.id}"] = st.query_params[ASKED] = wanted.text
    st.rerun()


def form(run: Run, before: Wanted | None) -> Wanted:
    """What to ask for, as the fields say it; they begin with what was asked before."""
    base = form_of((before.of(run) if before else run.ask).load())
    turn = f"{run.id}-{before.text if before else ''}"
    document = table_editor(base, base, TERMS, key=f"terms-{turn}", given=GIVEN)
    st.caption("Usage tiers, reservations to try and prices of refusals are as the section `plan` of the scenario says.")
    document |= single_fields(base, turn)
    minutes = st.slider(
        "Minutes to search, at most", LEAST_MINUTES, MOST_MINUTES, before.minutes if before else USUAL_MINUTES, key=f"minutes-{turn}",
        help="The search ends earlier where nothing is left to look at. Checking the best plan on fresh draws comes on top.",
    )  # fmt: skip
    if run.seconds:
        st.caption(
            f"Each plan that is looked at takes {document['draws']} runs of {seconds(run.seconds)}. "
            "The search goes on when you leave this page; the address leads back to it."
        )
    return Wanted(overrides=tuple(overrides_of(run.load(), document)), minutes=minutes)


def single_fields(base: Document, turn: str) -> Document:
    """What holds for the whole plan."""
    left, middle, right = st.columns(3)
    return {
        "confidence": left.number_input(
            "Confidence", 0.5, 0.999, base["confidence"], 0.01, format="%.3g", key=f"confidence-{turn}",
            help="How surely all promises must hold together.",
        ),
        "draws": middle.number_input(
            "Draws", 3, 1000, base["draws"], key=f"draws-{turn}", help="Random days on which plans are compared, the same for all."
        ),
        "fresh_draws": right.number_input(
            "Fresh draws", 3, 1000, base["fresh_draws"], key=f"fresh-{turn}",
            help="Random days not seen before, on which the best plan is verified.",
        ),
        "budget_usd_per_month": left.number_input(
            "Budget ($/month)", 0.0, None, base["budget_usd_per_month"], 100.0, key=f"budget-{turn}", placeholder="none",
            format="%.10g", help="For accounts and tokens together.",
        ),
        "most_share_per_provider": middle.number_input(
            "Largest share of one provider (0 to 1)", 0.01, 1.0, base["most_share_per_provider"], 0.05, key=f"share-{turn}",
            placeholder="any", format="%.3g", help="Of all answers.",
        ),
        **ahead_fields(base, turn),
    }  # fmt: skip


def ahead_fields(base: Document, turn: str) -> Document:
    """How demand grows, how far ahead is looked, and what is moved to see what the plan rests on."""
    columns = st.columns(4)
    months = columns[0].number_input("Months ahead", 1, 60, base["months"], key=f"months-{turn}", help="How far limits are looked at.")
    growth = {
        name: columns[place].number_input(
            f"Growth a week, {said}", -0.99, 10.0, base["growth"].get(name), 0.01, format="%.4g", key=f"growth-{name}-{turn}",
            placeholder="as groups say" if name == "per_week" else "none", help="0.02 is 2% more of all demand each week.",
        )
        for place, (name, said) in enumerate((("per_week", "likely"), ("low", "at least"), ("high", "at most")), 1)
    }  # fmt: skip
    thirds = st.columns(3)
    tornado = {
        name: thirds[place].number_input(
            f"Move {name} by \u00b1", 0.0, 0.9, base["tornado"][name], 0.05, format="%.3g", key=f"tornado-{name}-{turn}",
            help="What the plan costs and keeps if it is so much less or more, kept and made anew; 0: left out. Each takes two searches.",
        )
        for place, name in enumerate(("demand", "price", "limits"))
    }  # fmt: skip
    return {"months": months, "growth": growth, "tornado": tornado}


def so_far(progress: dict[str, Any]) -> None:
    """The rounds of a search under way."""
    if "rounds" in progress:
        show.kept_figure(progress["course"], key="course-so-far")
        rounds(progress["rounds"])


def rounds(columns: dict[str, list[Any]]) -> None:
    """A row for each round."""
    show.kept_table(columns, alt="Rounds of the search: why, plans tried, the best and the bound in USD per month, plans left")


def infeasible(answer: dict[str, Any]) -> None:
    """Why no plan keeps all promises, and what would help."""
    st.error(show.words(answer["told"][0]), icon=":material/error:")
    st.subheader("What is in conflict", anchor="conflicts")
    show.kept_table(answer["tables"]["conflicts"], alt="Requirements that cannot be kept together, conflict by conflict")
    st.subheader("Ways out", anchor="ways-out")
    show.kept_table(answer["tables"]["ways out"], alt="Relaxations with which promises hold, simulated, the cheapest first")
    show.command(answer["command"])


def ahead(tables: dict[str, Any], figures: dict[str, Any]) -> None:
    """Dates, the meantime, and what the plan rests on."""
    st.subheader("When limits are full", anchor="exhaustion")
    show.kept_table(tables["exhaustion"], alt="Each limit of accounts held and planned: how full it is, and from which date on it is full")
    if "interim" in tables:
        st.subheader("Until the plan is in force", anchor="interim")
        if "usage tiers" in tables:
            show.kept_table(tables["usage tiers"], alt="Usage tiers that the plan counts on, with the date on which each is reached")
        show.kept_table(tables["interim"], alt="Step by step what breaks least, beside doing nothing: cost, refusals, broken promises")
    if "tornado" in tables:
        st.subheader("What the plan rests on", anchor="tornado")
        show.kept_figure(figures["tornado"], key="tornado")
        show.kept_table(tables["tornado"], alt="Cost and promises with demand, prices and limits lower and higher, kept and made anew")


def found(run: Run, results: RunFolder, answer: dict[str, Any]) -> None:
    """What was found, and where to go with it."""
    show.mark(answer["proven"] or None, "proven" if answer["proven"] else "best found")
    first, *others = answer["told"]
    st.success(show.words(first), icon=":material/check:")
    st.markdown("\n".join(f"- {show.words(sentence)}" for sentence in others))
    tables, figures = answer["tables"], answer["figures"]
    with st.container(horizontal=True):
        if st.button("Simulate this plan", type="primary", icon=":material/play_arrow:"):
            simulate_changed(run, answer["best"], "planned")
        for name, text in answer["files"].items():
            show.download(name, text.encode, f"{results.name}-{name}", _MIME[name.rpartition(".")[2]], key=f"save-{name}")
    st.subheader("What to contract", anchor="contract")
    show.kept_table(tables["purchases"], alt="Accounts held and planned, what they cost, and what happens with one fewer")
    st.subheader("Promises on fresh days", anchor="promises")
    show.kept_table(tables["promises"], alt="Each promise on days that the search never saw, with the interval of its mean")
    st.subheader("What it costs", anchor="costs")
    show.kept_figure(figures["costs"], key="costs")
    show.kept_table(tables["costs"], alt="Parts of the cost, planned and held today, in USD per month")
    show.run_figure(results, _LOAD)
    st.caption("This is the run as it was, with what is held today. Simulate the plan to see the same of it.")
    st.subheader("How much cheaper it could be", anchor="gaps")
    show.kept_table(tables["gaps"], alt="Gaps between the plan and the least that any could cost")
    show.kept_figure(figures["trade"], key="trade")
    ahead(tables, figures)
    st.subheader("The search, round by round", anchor="rounds")
    show.kept_figure(figures["course"], key="course")
    rounds(tables["rounds"])
    show.command(answer["command"])


st.title("Plan", anchor=False)
chosen, results_now = chosen_run("let its accounts be planned")
st.caption(
    "Looks for the cheapest accounts with which all promises are kept. Plans are simulated on the same random days, the best is "
    "verified on days that the search never saw, and a bound says how much cheaper another could be. Money is USD per month."
)
try:
    asked = wanted_before(chosen)
    with st.expander("What may be contracted, and how to search", expanded=asked is None):
        wanted = form(chosen, asked)
        if st.button("Plan", type="primary", icon=":material/shopping_cart:"):
            ask(chosen, wanted)
    if asked is not None:
        if asked != wanted:
            st.warning("The fields were changed. What is below is of what they said before.", icon=":material/history:")
        answer_now = answer_of(chosen, "plan", so_far, overrides=list(asked.overrides), minutes=asked.minutes)
        if answer_now["infeasible"]:
            infeasible(answer_now)
        else:
            found(chosen, results_now, answer_now)
except Forge1Error as error:
    show.trouble(error)
