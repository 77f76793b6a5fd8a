"""Answers to questions about a run: the page asks, says how far it is, and is drawn anew when the answer is there."""

from typing import Any

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.results.theme import seconds
from forge1sim.runs import Run, Status
from forge1sim.workbench import session, show

POLL_S = 0.5


def answer_of(run: Run, question: str, **arguments: Any) -> Any:
    """The answer to a question about a run; until it is there the page says so, and asks again."""
    key = _key(run, question, arguments)
    try:
        answer = st.session_state.get(key) or session.pool().ask(run.id, question, **arguments)
    except RunError as error:
        show.trouble(error)
        st.stop()
    if answer.status is Status.DONE:
        return answer.value
    if answer.status in (Status.FAILED, Status.CANCELLED):
        st.error(show.words(answer.reason), icon=":material/error:")
        st.session_state[key] = answer      # the pool says it once, and starts anew when it is asked again
        if st.button("Try again", key=f"again-{question}"):
            del st.session_state[key]
            st.rerun()
        st.stop()
    wait_for(run, question, arguments)
    st.stop()


def _key(run: Run, question: str, arguments: dict[str, Any]) -> str:
    return f"over-{run.id}-{question}-{sorted(arguments.items())}"


@st.fragment(run_every=POLL_S)
def wait_for(run: Run, question: str, arguments: dict[str, Any]) -> None:
    """Ask now and then; draw the page anew when the answer is there."""
    answer = session.pool().ask(run.id, question, **arguments)
    if answer.status.is_over:
        if answer.status is not Status.DONE:
            st.session_state[_key(run, question, arguments)] = answer
        st.rerun()
    if answer.progress is not None:
        st.progress(float(answer.progress["share"]), show.words(answer.progress["told"]))
    else:
        took = f"; the run itself took {seconds(run.seconds)}" if run.seconds else ""
        st.info(f"Simulating {show.words(run.name)} again to see this ({answer.status}{took}).", icon=":material/hourglass_top:")
    if st.button("Cancel", key=f"cancel-{question}"):
        session.pool().cancel(run.id)
