"""Tune: let the computer search the policies of a run, and say whether what it found is better on fresh draws."""

from typing import Any

import streamlit as st

from forge1sim.errors import Forge1Error
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.measures import MEASURES
from forge1sim.results.theme import seconds
from forge1sim.runs import Run
from forge1sim.workbench import show
from forge1sim.workbench.answers import answer_of, simulate_changed
from forge1sim.workbench.chosen import chosen_run

AIMS = ("cost_usd", "cost_per_request_usd", "wait_p95_s", "wait_mean_s", "latency_p95_s", "rejected_ratio", "expired_ratio")
EACH, AS_MANY = "slos", "slo.attained>=baseline"       # the latter lets one be broken to keep another
KEPT = {
    EACH: "every promise of the scenario",
    AS_MANY: "as many promises as now",
    "all.served_ratio>=baseline": "as many answers as now",
    "all.quality_mean>=baseline": "answers as good as now",
}
FEWEST, USUAL, MOST, STEP = 20, 60, 200, 20
FRESH_RUNS = 40         # about as many as the last stage takes


def ask_for(run: Run, tiers: list[str], usual: str) -> dict[str, Any]:
    """What to search for, as the fields say it."""
    left, right = st.columns(2)
    aim = left.selectbox("Make small", AIMS, format_func=lambda name: MEASURES[name].title, key="aim", bind="query-params")
    tier = right.selectbox("Of", [ALL_TIERS, *tiers], key="tune-tier", bind="query-params")
    kept = st.multiselect(
        "And keep", list(KEPT), default=[usual], format_func=KEPT.__getitem__, key="keep",
        help="What a policy must not give up to count as better.",
    )  # fmt: skip
    trials = st.slider("Policies to try", FEWEST, MOST, USUAL, STEP, key="trials", bind="query-params")
    if run.seconds:
        st.caption(
            f"That is about {trials + FRESH_RUNS} runs of {seconds(run.seconds)}: {seconds((trials + FRESH_RUNS) * run.seconds)}. "
            "The search goes on when you leave this page; what was tried is kept if you cancel."
        )
    return {"minimize": f"{tier}.{aim}", "subject_to": list(kept), "trials": trials}


def found(run: Run, answer: dict[str, Any]) -> None:
    """What the search came to, and where to go with it."""
    for sentence in answer["told"]:
        (st.success if answer["best"] else st.info)(show.words(sentence))
    if answer["best"] and st.button("Simulate it and compare", type="primary", icon=":material/compare_arrows:"):
        simulate_changed(run, answer["best"], "tuned")
    show.kept_figure(answer, key="search")
    st.subheader("The best of them", anchor="points")
    st.dataframe(answer["points"], hide_index=True, alt="The best policies that were found, best first")
    if answer["best"]:
        st.caption("What the best one changes:")
        st.code("\n".join(answer["best"]), language="yaml", wrap_lines=True)
    show.command(answer["command"])
    st.caption("The command also writes the policies as scenarios that are ready to run.")


st.title("Tune", anchor=False)
chosen, results = chosen_run("let its policies be tuned")
st.caption(
    "Tries routing, reservations, retries and what else the policies have, all on the same random draws, beside every shipped policy. "
    "The best is then compared with the best shipped one on draws that the search never saw."
)
kept_all = bool(results.slos) and all(slo["met"] for slo in results.slos)
asked = ask_for(chosen, [tier for tier, figures in results.summary["tiers"].items() if figures["arrived"]], EACH if kept_all else AS_MANY)
searching = (chosen.id, tuple(sorted((name, str(value)) for name, value in asked.items())))
if st.button("Search", type="primary", icon=":material/auto_awesome:"):
    st.session_state["tuned"] = searching
if st.session_state.get("tuned") == searching:
    try:
        found(chosen, answer_of(chosen, "tune", **asked))
    except Forge1Error as error:
        show.trouble(error)
