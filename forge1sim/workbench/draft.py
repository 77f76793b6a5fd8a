"""The scenario that somebody works on: its text, its data files, and where it came from."""

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from forge1sim.errors import Forge1Error
from forge1sim.runs import Ask
from forge1sim.runs.shelf import Saved, as_one_file
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workbench import session
from forge1sim.workbench.show import link

FIRST = "quickstart"


@dataclass
class Draft:
    """`base` is the text that the forms were filled from, `text` what became of it. `turn` counts the bases.

    `ref` names the saved scenario with this very text, empty if there is none yet. `run` was the
    last run of it, of the text `ran`.
    """

    base: str
    text: str
    ref: str
    turn: int = 0
    files: dict[str, Path] = field(default_factory=dict)
    run: str = ""
    ran: str = ""

    def change(self, text: str) -> None:
        """Take over what the forms say. The address follows once the text is on the shelf."""
        if text != self.text:
            self.text, self.ref = text, ""
            st.query_params.pop("scenario", None)

    def rebase(self, text: str) -> None:
        """Take over a text, and fill the forms anew from it."""
        self.change(text)
        self.base = text
        self.turn += 1


def current() -> Draft:
    """The draft of this session, or the scenario that the address names if that is another one. Raises RunError."""
    kept: Draft | None = st.session_state.get("draft")
    wanted = st.query_params.get("scenario") or (kept.ref if kept else FIRST)
    if kept is None or (wanted and wanted != kept.ref):
        turn = kept.turn + 1 if kept else 0
        kept = open_draft(wanted, turn)
    return kept


def open_draft(ref: str, turn: int) -> Draft:
    """Begin a draft from a scenario of the shelf. Raises RunError or ScenarioError."""
    shelf = session.shelf()
    text = as_one_file(shelf.find(ref).path)
    draft = Draft(base=text, text=text, ref=ref, turn=turn, files=dict(shelf.data_files(ref)))
    st.session_state["draft"] = draft
    return draft


def checked(draft: Draft) -> LoadedScenario | Forge1Error:
    """The draft as it would run, or what is wrong with it."""
    return _checked(draft.text, tuple(draft.files.items()))


@st.cache_data(max_entries=200, show_spinner=False)
def _checked(text: str, files: tuple[tuple[str, Path], ...]) -> LoadedScenario | Forge1Error:
    try:
        return session.shelf().check(text, dict(files))
    except Forge1Error as error:
        return error


def put_on_shelf(draft: Draft, owner: str = "") -> Saved:
    """Keep a draft that loads, so that its link means it for ever; with an owner, in their list. Raises Forge1Error."""
    if draft.ref and not owner:
        return session.shelf().find(draft.ref)
    saved = session.shelf().save(draft.text, draft.files, owner)
    draft.ref = saved.ref
    return saved


def ask_for(draft: Draft, seed: int) -> Ask:
    """What to run for a draft. Raises Forge1Error."""
    saved = put_on_shelf(draft)
    session.shelf().keep_for_run(saved.ref)
    return Ask(scenario=str(saved.path), seed=seed)


def start_run(draft: Draft, loaded: LoadedScenario) -> str:
    """Run a draft; the id of the run. Raises Forge1Error."""
    draft.run = session.pool().start(ask_for(draft, loaded.seed), owner=session.owner(), name=loaded.name)
    draft.ran = draft.text
    return draft.run


def warn_if_stale(run_id: str) -> None:
    """Say so if the scenario was changed after this run of it, so that nobody takes old results for new ones."""
    draft: Draft | None = st.session_state.get("draft")
    if draft is not None and draft.run == run_id and draft.ran != draft.text:
        st.warning("Stale: the scenario was changed after this run. These results are of what it said before.", icon=":material/history:")
        link("Back to the scenario, to run it again", "scenario", ":material/edit_note:")
