"""What pages share: the runs on this machine, who looks at them, and which run is looked at."""

import os
import re
import secrets
from pathlib import Path
from typing import NoReturn

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.runs import Run, RunPool, RunStore, Shelf
from forge1sim.workbench.show import trouble

RUNS_VARIABLE = "FORGE1SIM_RUNS"
COOKIE = "forge1sim_browser"
SO_FAR = "so-far"           # key of what shows a run under way
_TOKEN = re.compile(r"[0-9a-f]{32}")
_SCREENS = Path(__file__).parent / "screens"


def runs_folder() -> Path:
    """Where runs are kept: FORGE1SIM_RUNS, else `runs` here."""
    return Path(os.environ.get(RUNS_VARIABLE, "runs"))


@st.cache_resource
def store() -> RunStore:
    """The runs on disk."""
    return RunStore(runs_folder())


@st.cache_resource
def pool() -> RunPool:
    """The worker processes, shared by all who use this server."""
    return RunPool(store())


@st.cache_resource
def shelf() -> Shelf:
    """Scenarios: shipped and saved."""
    return Shelf(runs_folder() / "scenarios")


def owner() -> str:
    """Whose browser this is: a random mark that it keeps. Lists show the runs of one owner."""
    kept = st.context.cookies.get(COOKIE, "")
    if _TOKEN.fullmatch(kept):
        return kept
    if "owner" not in st.session_state:
        st.session_state["owner"] = secrets.token_hex(16)
    return str(st.session_state["owner"])


def give_way() -> None:
    """End this pass of the page here if what it shows is out of date, as any drawing would."""
    st.session_state.get("owner")       # Streamlit interrupts a script where it touches its state


def mark_browser() -> None:
    """Let a browser that has no mark yet keep one, so that it finds its runs again after a reload."""
    pool()      # workers warm up while the first page is read
    if st.context.cookies.get(COOKIE) != owner():
        keep = f"document.cookie = '{COOKIE}={owner()}; path=/; max-age=31536000; SameSite=Strict'"
        st.html(f"<script>{keep}</script>", unsafe_allow_javascript=True)


def run_in_mind() -> str:
    """Id of the run that the address names, else of the one looked at last; empty if there is none."""
    return str(st.query_params.get("run") or st.session_state.get("run") or "")


def current_run() -> Run | None:
    """The run in mind. None if there is none, with an explanation shown if it is not to be had."""
    run_id = run_in_mind()
    if not run_id:
        return None
    try:
        run = pool().get(run_id)
    except RunError as error:
        st.session_state.pop("run", None)
        trouble(error)
        return None
    look_at(run.id)
    return run


def look_at(run_id: str) -> None:
    """Make a run the one that pages show, and name it in the address."""
    st.session_state["run"] = run_id
    if st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id


def go_to(page: str, **address: str) -> NoReturn:
    """Leave for another page, such as `go_to("run", run=run_id)`."""
    if "run" in address:
        st.session_state["run"] = address["run"]
    st.switch_page(_SCREENS / f"{page}.py", query_params=address)
