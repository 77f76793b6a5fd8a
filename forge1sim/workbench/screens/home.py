"""Home: where a first visit begins, and what was done last."""

import streamlit as st

from forge1sim.results.theme import seconds
from forge1sim.runs import Ask
from forge1sim.runs.shelf import Saved
from forge1sim.workbench import session
from forge1sim.workbench.show import link, words

MOST_RECENT = 6
_STEPS = (
    ("scenario", "1. Describe", ":material/edit_note:", "Take a scenario that ships, or upload your own or a recorded trace."),
    ("run", "2. Run", ":material/play_circle:", "Watch it go, or go elsewhere: it runs on, and its link leads back."),
    ("results", "3. Read", ":material/insights:", "Who waited, who was refused, what it cost, and which limit is to blame."),
    ("what_if", "4. Ask what if", ":material/tune:", "More demand, fewer keys, an outage: before and after on the same luck."),
)


@st.cache_data(show_spinner=False)
def shipped() -> list[tuple[str, str, str]]:
    """Reference, title and question of every scenario that ships."""
    return [(one.ref, one.title, one.about) for one in session.shelf().shipped()]


def welcome(quick_start: Saved) -> None:
    """What this is, and the one button that a newcomer needs."""
    st.title("How many provider accounts do you need?", anchor=False)
    st.markdown(
        "Describe your platform: who asks, which models and accounts answer, who goes first. Forge1 Sim plays a day or a week "
        "of it, request by request, and says who waits, who is refused, what it costs and which limit is to blame. "
        "Nothing is sent to any provider."
    )
    with st.container(border=True):
        st.markdown(
            "**The quick start**: 2,000 tenants share eleven accounts of three providers for a Monday, about 540,000 requests."
        )
        if st.button("Simulate the quick start", type="primary", icon=":material/play_arrow:"):
            session.go_to("run", run=session.pool().start(Ask(scenario=str(quick_start.path)), owner=session.owner()))
        if not session.pool().is_warm:
            st.caption("The simulator is getting ready. The very first time it compiles for this machine, which takes about a minute.")


def steps() -> None:
    """The way through the pages."""
    for column, (page, title, icon, text) in zip(st.columns(len(_STEPS)), _STEPS, strict=True):
        with column.container(border=True, height="stretch"):
            link(title, page, icon)
            st.caption(text)


def recent() -> None:
    """The last runs of this browser."""
    runs = session.store().runs(session.owner())[:MOST_RECENT]
    if not runs:
        return
    st.subheader("Your last runs", anchor=False)
    for run in runs:
        took = f", took {seconds(run.seconds)}" if run.seconds else ""
        with st.container(horizontal=True, vertical_alignment="center"):
            link(words(run.name), "run", ":material/play_circle:", run=run.id)
            st.caption(f"{run.status}, {run.started_utc:%Y-%m-%d %H:%M} UTC{took}")
    link("All runs", "library", ":material/inventory_2:")


def scenarios() -> None:
    """What ships, each with its question."""
    st.subheader("Scenarios that ship", anchor=False)
    for ref, title, about in shipped():
        name, question = st.columns([1, 3], vertical_alignment="center")
        with name:
            link(title, "scenario", ":material/edit_note:", scenario=ref)
        question.caption(words(about))


welcome(session.shelf().find("quickstart"))
steps()
recent()
scenarios()
