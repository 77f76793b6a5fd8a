"""Run: one run from its start to its outcome, found again by its link."""

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.results.cards import tier_cards, verdict
from forge1sim.results.live import live_figure
from forge1sim.results.theme import clock, seconds
from forge1sim.runs import Run, Status
from forge1sim.runs.record import Progress
from forge1sim.workbench import draft as drafts
from forge1sim.workbench import session
from forge1sim.workbench.show import command, figure, link, mark, results_in, words

REFRESH_S = 1.0
CURVES_S = 3.0              # a browser is busy with drawing them, and a click has to wait for that
CANCEL_S = 2.0
_WORDS = {
    Status.QUEUED: ("waits", ":material/hourglass:", "gray"),
    Status.RUNNING: ("runs", ":material/play_circle:", "blue"),
    Status.DONE: ("done", ":material/check:", "green"),
    Status.FAILED: ("failed", ":material/error:", "red"),
    Status.CANCELLED: ("cancelled", ":material/block:", "gray"),
}


def nothing_yet() -> None:
    """What to do when no run is chosen."""
    st.title("Run", anchor=False)
    st.info("No run is chosen yet. Start one from a scenario, or open one of the library.", icon=":material/info:")
    link("Choose a scenario", "scenario", ":material/edit_note:")
    link("Open the library", "library", ":material/inventory_2:")


def heading(run: Run) -> None:
    """Name, status and what was asked for."""
    word, icon, colour = _WORDS[run.status]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.title(words(run.name), anchor=False)
        st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]
    changes = f", changed: {', '.join(run.ask.overrides)}" if run.ask.overrides else ""
    st.caption(words(f"{run.ask.scenario}{changes}, seed {run.ask.seed}, started {run.started_utc:%Y-%m-%d %H:%M} UTC"))


def progress_so_far(progress: Progress) -> None:
    """The bar and the tiers up to now."""
    left = "" if progress.left_s is None else f", about {seconds(progress.left_s)} left"
    st.progress(
        progress.share,
        f"{progress.share:.0%}: simulated up to {clock(progress.simulated_us)} UTC, {progress.requests:,} requests, "
        f"{seconds(progress.elapsed_s)} passed{left}",
    )
    for column, (tier, figures) in zip(st.columns(max(1, len(progress.tiers))), progress.tiers.items(), strict=True):
        served, wait_s = figures["served_ratio"], figures["wait_p95_s"]
        column.metric(
            f"{words(tier)}: served so far", "\u2013" if served is None else f"{served:.2%}",
            "no answers yet" if wait_s is None else f"wait p95 {seconds(wait_s)}", delta_color="off", delta_arrow="off", border=True,
        )  # fmt: skip


def was_cancelled() -> None:
    """Nothing came of it."""
    st.info("It was cancelled. There are no results.", icon=":material/block:")


@st.fragment(run_every=CURVES_S)
def curves_so_far(run_id: str) -> None:
    """The curves up to now."""
    progress = session.store().progress(run_id)
    if progress is not None:
        figure(*live_figure(progress.series), key="live")


@st.fragment(run_every=REFRESH_S)
def watch(run_id: str, drawn: Status) -> None:
    """How far the run is, until its status is no longer the one that the page was drawn with."""
    run = session.pool().get(run_id)
    if run.status is not drawn:
        st.rerun()
    if run.owner != session.owner():
        st.caption("Somebody else started it, so it is theirs to cancel.")
    elif not session.pool().has(run_id):
        st.caption("Another server works on it; cancel it there.")
    elif st.button("Cancel", icon=":material/stop_circle:", help="Ends the run now. What is known so far is thrown away."):
        session.pool().cancel(run_id)
        session.pool().wait(run_id, CANCEL_S)
        if session.pool().get(run_id).status is Status.CANCELLED:
            was_cancelled()         # at once; the next look draws the whole page anew, which takes longer
            return
    progress = session.store().progress(run_id)
    if run.status is Status.QUEUED and not session.pool().is_warm:
        st.progress(0.0, "The simulator is getting ready. The very first time it compiles for this machine, which takes about a minute.")
    elif run.status is Status.QUEUED:
        place = session.pool().place_in_queue(run_id)
        st.progress(0.0, f"Number {place} in line: others run now. It starts by itself.")
    elif progress is None:
        st.progress(0.0, "Reading the scenario and drawing the first requests")
    else:
        progress_so_far(progress)


def outcome(run: Run) -> None:
    """What came of a run that is done, and where to go on."""
    results = results_in(str(run.folder))
    drafts.warn_if_stale(run.id)
    st.markdown(f"**{words(verdict(results))}**")
    cards = tier_cards(results)
    for column, card in zip(st.columns(len(cards)), cards, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(f"{words(card.tier)}: served", card.served)
            mark(all(promise.met for promise in card.promises) if card.promises else None, card.verdict)
            st.caption(words("; ".join(f"{title} {text}" for title, text in card.facts[:4])))
    with st.container(horizontal=True):
        link("See all results", "results", ":material/insights:", run=run.id)
        link("Ask what if", "what_if", ":material/tune:", run=run.id)
        link("Explain a request", "explain", ":material/manage_search:", run=run.id)
        if run.owner == session.owner():
            link("Name, tag or delete it in the library", "library", ":material/inventory_2:")
    took = f"It took {seconds(run.seconds)}. " if run.seconds else ""
    st.caption(f"{took}The same scenario with the same seed is read from the library instead of being run again.")
    command(run.command)


def unfinished(run: Run) -> None:
    """What happened to a run without results, and how to try again."""
    if run.status is Status.FAILED:
        st.error(words(run.reason), icon=":material/error:")
    else:
        was_cancelled()
    if st.button("Start it again", type="primary", icon=":material/replay:"):
        session.go_to("run", run=session.pool().start(run.ask, owner=session.owner(), name=run.name, kind=run.kind))


chosen = session.current_run()
if chosen is None:
    nothing_yet()
else:
    heading(chosen)
    if not chosen.is_over:
        with st.container(key=session.SO_FAR):
            watch(chosen.id, chosen.status)
            curves_so_far(chosen.id)
    elif chosen.status is Status.DONE:
        try:
            outcome(chosen)
        except RunError as error:
            st.error(words(error), icon=":material/error:")
    else:
        unfinished(chosen)
