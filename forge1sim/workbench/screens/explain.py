"""The life of one request: what could have served it, what the limits were, what was decided at each step and why."""

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from forge1sim.results.theme import seconds, usd
from forge1sim.runs import Run
from forge1sim.workbench import show
from forge1sim.workbench.answers import answer_of
from forge1sim.workbench.chosen import chosen_run

LONG_S = 20.0       # a simulation that takes longer is not started unasked


def pick_notable(run: Run) -> None:
    """A table of requests worth a look; a click on a row opens one. After a long run it is made when asked for."""
    asked = f"notable-{run.id}"
    if (run.seconds or 0) > LONG_S and not st.session_state.get(asked):
        if not st.button(f"Find them: takes about {seconds(run.seconds or 0)}", icon=":material/search:"):
            return
        st.session_state[asked] = True
    rows = answer_of(run, "notable")
    if not rows:
        st.caption("No request waited, failed or was turned away: any number is as good as another.")
        return
    columns = {
        "request": [row["request"] for row in rows],
        "why": [row["why"] for row in rows],
        "tenant": [row["tenant"] for row in rows],
        "waited": [seconds(row["wait_s"]) if row["wait_s"] is not None else "" for row in rows],
        "from arrival to end": [seconds(row["latency_s"]) for row in rows],
        "ended (UTC)": [moment(row["ended_us"]) for row in rows],
    }
    st.caption("Requests worth a look: tick one to see its life.")
    st.dataframe(
        columns, hide_index=True, key="notable", on_select=lambda: open_picked(columns["request"]), selection_mode="single-row", height=320,
        alt="Requests that waited longest, were tried most often, or ended badly",
    )  # fmt: skip


def open_picked(numbers: list[int]) -> None:
    """Put the request of the row that was ticked into the field, and so into the link, before the page is drawn anew."""
    rows = st.session_state["notable"].selection.rows
    if rows:
        st.session_state["request"] = numbers[rows[0]]


def moment(time_us: int) -> str:
    """A moment to the millisecond."""
    return f"{datetime.fromtimestamp(time_us / 1e6, tz=UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def tell(life: dict[str, Any]) -> None:
    """Every step in words, then every decision with its candidates."""
    st.subheader(f"Request {life['request']}", anchor="life")
    st.markdown(f"Tenant {show.words(life['tenant'])}, tier {show.words(life['tier'])}, arrived {moment(life['arrived_us'])} UTC.")
    begin_s = life["sentences"][0]["at_s"]
    steps = {
        "after arrival": [seconds(step["at_s"] - begin_s) for step in life["sentences"]],
        "what happened": [show.words(step["text"]) for step in life["sentences"]],
    }
    st.table(steps, hide_index=True, border="horizontal", alt="What happened to the request, step by step")
    for place, decision in enumerate(life["moments"]):
        candidates = decision["candidates"]
        some = f"{len(candidates)} candidate{'' if len(candidates) == 1 else 's'}"
        title = f"{decision['title']}, {seconds(decision['at_s'] - begin_s)} after arrival: {some}"
        with st.expander(title, expanded=place == 0, key=f"decision-{place}"):
            show_candidates(candidates, title)
    st.caption(
        "Candidates are the deployments that the tenant's contract opens, of the model wanted and its fallbacks, in the order in which "
        "they are tried. What their limits let through is counted in the minute before, from the log; the gateway's own reason is above."
    )


def show_candidates(candidates: list[dict[str, Any]], title: str) -> None:
    """The candidates of one decision."""
    columns = {
        "deployment": [one["deployment"] for one in candidates],
        "state": [("✓ " if one["state"] == "chosen" else "") + one["state"] for one in candidates],
        "quality (0 to 1)": [one["quality"] for one in candidates],
        "cost at most": [usd(one["most_usd"]) for one in candidates],
        "let through in the last minute": ["; ".join(one["sent"]) for one in candidates],
    }
    config = {"quality (0 to 1)": st.column_config.NumberColumn(format="%.3f")}
    st.dataframe(columns, hide_index=True, column_config=config, alt=title)


st.title("Explain")
opened, results = chosen_run("look into single requests here")
last = results.summary["requests"]["arrived"] - 1
if last < 0:
    st.info("No request arrived in this run.", icon=":material/info:")
    st.stop()
asked = st.query_params.get("request", "")
if asked and not (asked.isdecimal() and int(asked[:18]) <= last):
    st.warning(f"This run has no request {show.words(asked[:40])}; its requests are 0 to {last:,}.", icon=":material/search_off:")
number = st.number_input(
    f"Request (0 to {last:,})", 0, last, value=None, step=1, key="request", bind="query-params", placeholder="number in order of arrival"
)
if number is not None:
    tell(answer_of(opened, "life", request=int(number)))
    show.command(f"{results.command} --explain {int(number)}")
worth_a_look = st.expander("Requests worth a look", expanded=number is None, key=f"worth-{number is None}", on_change="rerun")
if worth_a_look.open:
    with worth_a_look:
        pick_notable(opened)
