"""Scenario: choose or upload one, change it in forms and tables, see at once whether it holds together, run it."""

from pathlib import Path
from typing import Any

import streamlit as st

from forge1sim.errors import Forge1Error, ScenarioError, TraceError
from forge1sim.results.theme import seconds
from forge1sim.runs import forms
from forge1sim.runs.document import as_values, as_yaml
from forge1sim.runs.shelf import proper_file_name
from forge1sim.runs.traces import SUFFIXES, replaying
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workbench import draft as drafts
from forge1sim.workbench import session
from forge1sim.workbench.draft import Draft
from forge1sim.workbench.edit import table_editor
from forge1sim.workbench.show import command, trouble, words

_YAML = (".yaml", ".yml")
_TABLES = {
    "Tenants": (forms.TENANTS,),
    "Models and providers": (forms.MODELS, forms.PROVIDERS),
    "Accounts and keys": (forms.ACCOUNTS, forms.LIMITS),
    "Tiers": (forms.TIERS,),
    "Faults": (forms.FAULTS,),
    "Promises": (forms.SLOS,),
}
_TEXTS = (("name", "Name", ""), ("start", "Start (with zone)", ""), ("horizon_s", "Horizon (s, or 1d)", "1d"), ("seed", "Seed", "1"))


def open_another(draft: Draft) -> bool:
    """Choose another scenario, or upload one. Whether the draft is, unchanged, one of the list."""

    def open_picked() -> None:
        ref = st.session_state[key]
        drafts.open_draft(ref, draft.turn + 1)
        st.query_params["scenario"] = ref

    shelf = session.shelf()
    titles = {one.ref: one.title for one in shelf.shipped()} | {one.ref: f"{one.title} (saved)" for one in shelf.saved(session.owner())}
    refs, listed = list(titles), draft.ref in titles
    key = f"open-{draft.turn}-{listed}"
    left, right = st.columns(2)
    left.selectbox(
        "Open a scenario", refs, index=refs.index(draft.ref) if listed else None, key=key,
        format_func=lambda ref: titles[ref], on_change=open_picked, placeholder="Changed: choose one to start over",
    )  # fmt: skip
    uploaded = right.file_uploader(
        "Upload a scenario (YAML), or a recorded trace (CSV, JSONL, Parquet)", [*_YAML, *SUFFIXES], accept_multiple_files=True,
        key=f"upload-{draft.turn}", help="Data files that a scenario reads come with it. It can read no others.",
    )  # fmt: skip
    if uploaded:
        take_in(draft, {Path(file.name).name: file.getvalue() for file in uploaded})
    return listed


def take_in(draft: Draft, uploads: dict[str, bytes]) -> None:
    """Make uploaded files the draft: a scenario with its data, or the present platform under a recorded trace."""
    texts = [content for name, content in uploads.items() if name.lower().endswith(_YAML)]
    data = {name: content for name, content in uploads.items() if not name.lower().endswith(_YAML)}
    if len(texts) > 1:
        raise ScenarioError(f"{len(texts)} YAML files; upload one scenario at a time, with its data files")
    files = {name: session.shelf().take_in(name, content) for name, content in data.items()}
    if texts:
        try:
            text = texts[0].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ScenarioError(f"the scenario is not UTF-8 text (byte {error.start}); save it with UTF-8 encoding") from error
    else:
        if len(files) > 1:
            raise TraceError(f"{len(files)} traces and no scenario; upload one trace, or a scenario that names them")
        (given, path), *_ = files.items()
        name = proper_file_name(given)      # nothing names it yet, so any will do
        files = {name: path}
        text = as_yaml(replaying(as_values(draft.text), path, name))
    draft.files = files
    draft.rebase(text)
    st.rerun()


def edited(draft: Draft, base: forms.Document) -> forms.Document:
    """The document after everything that was changed in the forms, which were filled from `base`."""
    document = base
    general, *tables, policies, text = st.tabs(["General", *_TABLES, "Policies", "YAML"])
    with general:
        document = general_fields(draft, document)
    for tab, each in zip(tables, _TABLES.values(), strict=True):
        with tab:
            places = [st.container() for _ in each]
        for place, table in reversed(list(zip(places, each, strict=True))):     # limits first: they follow an account's new name
            with place:
                st.subheader(table.title, anchor=False)
                document = table_editor(base, document, table, key=f"{table.title}-{draft.turn}")
    with policies:
        document = policy_forms(draft, document)
    with text:
        yaml_editor(draft, draft.base if document == base else as_yaml(document))
    return document


def general_fields(draft: Draft, document: forms.Document) -> forms.Document:
    """Name, description, when, how long, which seed."""
    for column, (path, title, default) in zip(st.columns([2, 2, 1, 1]), _TEXTS, strict=True):
        before = str(forms.value_at(document, path, default))
        after = column.text_input(title, before, key=f"{path}-{draft.turn}")
        if after != before:
            number = path == "seed" and after.strip().isdigit()
            document = forms.with_value(document, path, int(after) if number else after.strip())
    told = st.text_area("Description", forms.value_at(document, "description", ""), key=f"description-{draft.turn}", height=120)
    return forms.with_value(document, "description", told, default="")


def policy_forms(draft: Draft, document: forms.Document) -> forms.Document:
    """Every policy and its parameters."""
    for section in forms.SECTIONS:
        st.subheader(section.capitalize(), anchor=False)
        columns = st.columns(4)
        for number, field in enumerate(forms.policy_fields(section)):
            path = f"policies.{section}.{field.path}"
            before = forms.value_at(document, path, field.default)
            with columns[number % 4]:
                after = field_input(field, before, key=f"{path}-{draft.turn}")
            if field.kind == "choice" and (about := forms.about_choice(section, field.path, str(after))):
                columns[number % 4].caption(words(about))
            document = forms.with_value(document, path, after, field.default)
    return document


def field_input(field: forms.Field, before: Any, key: str) -> Any:
    """The widget of a single field."""
    if field.kind == "choice":
        choices = list(dict.fromkeys([*field.choices, before]))
        return st.selectbox(field.title, choices, index=choices.index(before), key=key)
    if field.kind == "flag":
        return st.checkbox(field.title, before, key=key)
    if isinstance(before, str):
        return st.text_input(field.title, before, key=key)
    if field.kind == "whole":
        return st.number_input(field.title, value=int(before), step=1, key=key)
    return st.number_input(field.title, value=float(before), key=key, format="%g")


def yaml_editor(draft: Draft, text: str) -> None:
    """The whole scenario as text, which can be changed too."""
    key = f"yaml-{draft.turn}-{hash(text)}"

    def take_text() -> None:
        draft.rebase(st.session_state[key])

    st.text_area("The scenario as a file", text, height=520, key=key, on_change=take_text)
    st.caption("Ctrl+Enter takes changes over. The forms follow.")


def act(draft: Draft, loaded: LoadedScenario) -> None:
    """Say what it comes to, and run, save or download it."""
    count, accounts = (sum(item.count for item in items) for items in (loaded.groups, loaded.platform.accounts))
    demand = [f"about {loaded.expected_requests:,.0f} requests"] if loaded.expected_requests or not loaded.data_files else []
    demand += ["recorded traces"] if loaded.data_files else []
    st.success(
        f"It holds together: {count:,} tenants, {accounts:,} accounts, {len(loaded.platform.models):,} models, {' and '.join(demand)} "
        f"in {seconds(loaded.horizon_us / 1e6)}.",
        icon=":material/check:",
    )
    saved = drafts.put_on_shelf(draft)
    st.query_params["scenario"] = saved.ref
    with st.container(horizontal=True):
        if st.button("Simulate", type="primary", icon=":material/play_arrow:"):
            session.go_to("run", run=drafts.start_run(draft, loaded))
        if st.button("Save to my list", icon=":material/save:"):
            drafts.put_on_shelf(draft, session.owner())
            st.toast("Saved. The link in the address leads here from anywhere on this machine.")
        st.download_button(
            "Download YAML", lambda: draft.text, f"{saved.title}.yaml", "application/yaml", on_click="ignore", icon=":material/download:"
        )
    if draft.run and draft.ran != draft.text:
        st.caption("Changed since its last run, whose results are stale.")
    command(loaded.command("compiled", loaded.seed).replace(str(loaded.path), str(saved.path)))


def page() -> None:
    """The page from top to bottom."""
    st.title("Scenario", anchor=False)
    draft = drafts.current()
    if f"name-{draft.turn}" not in st.session_state:     # back from another page: the forms begin with what was changed before
        draft.base = draft.text
    ref, listed = draft.ref, False
    try:
        listed = open_another(draft)
    except Forge1Error as error:
        trouble(error)
    verdict = st.container()
    try:
        base = as_values(draft.base)
        document = edited(draft, base)
    except ScenarioError as error:
        with verdict:
            trouble(error)
        yaml_editor(draft, draft.base)
        return
    draft.change(draft.base if document == base else as_yaml(document))
    loaded = drafts.checked(draft)
    with verdict:
        if isinstance(loaded, Forge1Error):
            trouble(loaded)
        else:
            act(draft, loaded)
    if listed and draft.ref != ref:
        st.rerun()      # it is no longer the one that the list still shows


page()
