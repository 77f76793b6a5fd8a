"""Answers to questions about a run: the page asks, says how far it is, and is drawn anew when the answer is there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.results.theme import seconds
from forge1sim.runs import Answer, Run, Status
from forge1sim.workbench import session, show

POLL_S = 0.5


def _nothing_more(_progress: dict[str, Any]) -> None:
    """A bar says it all."""


def answer_of(run: Run, question: str, so_far: Callable[[dict[str, Any]], None] = _nothing_more, /, **arguments: Any) -> Any:
    """The answer to a question about a run; until it is there the page says so, and asks again. `so_far` draws what is known meanwhile."""
    try:
        answer = _ask(run, question, arguments)
    except RunError as error:
        show.trouble(error)
        st.stop()
    if answer.status is Status.DONE:
        return answer.value
    if answer.status in (Status.FAILED, Status.CANCELLED):
        st.error(show.words(answer.reason), icon=":material/error:")
        if st.button("Try again", key=f"again-{question}"):
            del st.session_state[_key(run, question, arguments)]
            st.rerun()
        st.stop()
    with st.container(key=session.SO_FAR):
        wait_for(run, question, arguments, so_far)
    st.stop()


def _ask(run: Run, question: str, arguments: dict[str, Any]) -> Answer:
    """How a question stands. The pool tells a failure once, and starts anew when it is asked again: it is kept here."""
    key = _key(run, question, arguments)
    kept: Answer | None = st.session_state.get(key)
    answer = kept or session.pool().ask(run.id, question, **arguments)
    if answer.status in (Status.FAILED, Status.CANCELLED):
        st.session_state[key] = answer
    return answer


def _key(run: Run, question: str, arguments: dict[str, Any]) -> str:
    return f"over-{run.id}-{question}-{sorted(arguments.items())}"


@st.fragment(run_every=POLL_S)
def wait_for(run: Run, question: str, arguments: dict[str, Any], so_far: Callable[[dict[str, Any]], None]) -> None:
    """Ask now and then; draw the page anew when the answer is there."""
    answer = _ask(run, question, arguments)
    if answer.status.is_over:
        st.rerun()
    if answer.progress is not None:
        st.progress(float(answer.progress["share"]), show.words(answer.progress["told"]))
    else:
        took = f"; the run itself took {seconds(run.seconds)}" if run.seconds else ""
        st.info(f"Simulating {show.words(run.name)} again to see this ({answer.status}{took}).", icon=":material/hourglass_top:")
    if st.button("Cancel", key=f"cancel-{question}"):
        session.pool().cancel(run.id)
    if answer.progress is not None:
        so_far(answer.progress)


def simulate_changed(run: Run, overrides: list[str], called: str) -> None:
    """Simulate a run's scenario so changed; Compare shows both once it is done."""
    ask = replace(run.ask, overrides=(*run.ask.overrides, *overrides))
    session.go_to("run", run=session.pool().start(ask, owner=session.owner(), name=f"{run.name}, {called}"))
