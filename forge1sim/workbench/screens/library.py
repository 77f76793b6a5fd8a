"""Library: past runs of this browser, to find, name, tag, open and delete."""

from collections.abc import Sequence

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.results.compare import FEWEST, MOST
from forge1sim.results.theme import seconds
from forge1sim.runs import Run, Status
from forge1sim.workbench import session
from forge1sim.workbench.show import link, trouble, words

MOST_SHOWN = 200


def listed(runs: Sequence[Run]) -> list[Run]:
    """A table of runs in which rows can be chosen; those that are."""
    import pandas as pd  # noqa: PLC0415

    rows = [
        {
            "run": run.name, "status": str(run.status), "scenario": run.ask.scenario, "changed": ", ".join(run.ask.overrides),
            "seed": run.ask.seed, "tags": list(run.tags), "started (UTC)": run.started_utc,
            "took": seconds(run.seconds) if run.seconds else "",
        }
        for run in runs
    ]  # fmt: skip
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, key=f"library-{st.session_state.get('deletions', 0)}", on_select="rerun",
        selection_mode="multi-row", alt="Your runs",
        column_config={"started (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")},
    )  # fmt: skip
    return [runs[row] for row in event.selection.rows if row < len(runs)]


def one_run(run: Run) -> None:
    """Name, tags and link of one run."""
    name, tags = st.columns(2)
    new_name = name.text_input("Name", run.name, key=f"name-{run.id}", max_chars=120)
    new_tags = tags.multiselect("Tags", run.tags, run.tags, accept_new_options=True, key=f"tags-{run.id}")
    store = session.store()
    try:
        if new_name != run.name:
            store.rename(run.id, new_name)
            st.rerun()
        if tuple(new_tags) != run.tags:
            store.set_tags(run.id, new_tags)
            st.rerun()
    except RunError as error:
        trouble(error)
    with st.container(horizontal=True):
        link("Open the run", "run", ":material/play_circle:", run=run.id)
        if run.status is Status.DONE:
            link("Results", "results", ":material/insights:", run=run.id)
            link("Ask what if", "what_if", ":material/tune:", run=run.id)
    st.caption(words(f"Its results lie in {run.folder}."))


def delete(chosen: Sequence[Run]) -> None:
    """Delete runs, once that is confirmed."""
    over = [run for run in chosen if run.is_over]
    sure = st.checkbox(f"I want to delete {len(over)} of the {len(chosen)} chosen: it cannot be undone.", disabled=not over)
    if st.button("Delete", icon=":material/delete:", disabled=not sure):
        for run in over:
            session.store().delete(run.id)
        st.session_state["deletions"] = st.session_state.get("deletions", 0) + 1     # no row of what is left is chosen
        st.rerun()


def page() -> None:
    """Search, the list, and what to do with what is chosen in it."""
    st.title("Library", anchor=False)
    everything = session.store().runs(session.owner())
    if not everything:
        st.info("No runs yet. Those that you start from this browser are listed here.", icon=":material/inventory_2:")
        link("Choose a scenario", "scenario", ":material/edit_note:")
        return
    search, tag = st.columns([3, 1])
    text = search.text_input("Search names, scenarios and tags", key="search", bind="query-params")
    tags = sorted({tag for run in everything for tag in run.tags})
    wanted = tag.selectbox("Tag", ["", *tags], format_func=lambda name: name or "any", key="tag")
    runs = [run for run in everything if run.matches(text, wanted)][:MOST_SHOWN]
    if not runs:
        st.info("No run matches.", icon=":material/search_off:")
        return
    chosen = listed(runs)
    if not chosen:
        st.caption("Choose rows to open, name, tag, compare or delete runs.")
    if len(chosen) == 1:
        one_run(chosen[0])
    done = [run.id for run in chosen if run.status is Status.DONE]
    if FEWEST <= len(done) <= MOST:
        link(f"Compare these {len(done)} runs", "compare", ":material/compare_arrows:", runs=",".join(done))
    if chosen:
        delete(chosen)


page()
