"""Which run a page is about: the one in its link, or one picked from the finished runs of this person."""

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.results.read import RunFolder
from forge1sim.runs import Run, Status
from forge1sim.workbench import draft as drafts
from forge1sim.workbench import session, show


def run_title(run: Run) -> str:
    """A run in a list: its name, what is special about it, when it began."""
    overrides = f", {', '.join(run.ask.overrides)}" if run.ask.overrides else ""
    return f"{run.name} (seed {run.ask.seed}{overrides}; {run.started_utc:%Y-%m-%d %H:%M} UTC)"


def finished_runs() -> list[Run]:
    """Runs of this person that have results, newest first."""
    return [run for run in session.store().runs(session.owner()) if run.status is Status.DONE]


def chosen_run(purpose: str) -> tuple[Run, RunFolder]:
    """The finished run that the page is about, with its results; the page ends here, saying why, where there is none."""
    run_id = session.run_in_mind()
    own = finished_runs()
    if not run_id and not own:
        st.info(f"No finished run yet. Simulate a scenario, then {purpose}.", icon=":material/info:")
        show.link("Simulate a scenario", "run", icon=":material/play_arrow:")
        st.stop()
    try:
        run = session.pool().get(run_id or own[0].id)
        _stop_unless_done(run)
        results = show.results_in(str(run.folder))
    except RunError as error:
        show.trouble(error)
        show.link("Runs library", "library", icon=":material/folder_open:")
        st.session_state.pop("run", None)
        st.stop()
    session.look_at(run.id)
    _pick_another(run, own)
    drafts.warn_if_stale(run.id)
    return run, results


def _stop_unless_done(run: Run) -> None:
    if run.status is Status.DONE:
        return
    if run.status is Status.FAILED:
        st.error(f"This run failed. {show.words(run.reason)}", icon=":material/error:")
    elif run.status is Status.CANCELLED:
        st.warning("This run was cancelled, so it has no results.", icon=":material/cancel:")
    else:
        st.info(f"This run is {run.status}. Its results appear here when it is done.", icon=":material/hourglass_top:")
    show.link("Watch the run", "run", icon=":material/monitoring:", run=run.id)
    st.stop()


def _pick_another(run: Run, own: list[Run]) -> None:
    """A list of finished runs to go to; the link follows."""
    shown = {one.id: one for one in (run, *own)}
    picked = st.selectbox(
        "Run", list(shown), index=0, format_func=lambda run_id: run_title(shown[run_id]), key=f"pick-{run.id}",
        help="Your finished runs. Type to search. The link of this page names the run.",
    )  # fmt: skip
    if picked != run.id:
        session.look_at(picked)
        st.rerun()
