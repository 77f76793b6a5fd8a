"""What if: move a slider and see the whole day again, before and after, on the same random draws."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import streamlit as st

from forge1sim.errors import Forge1Error
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.compare import Comparison, Line, compare, tiers_of
from forge1sim.results.theme import seconds
from forge1sim.runs import Ask, Run, Status
from forge1sim.runs.store import MOST_NAME_LETTERS
from forge1sim.runs.what_if import HOUR_S, WhatIf, in_words, overrides_of
from forge1sim.scenario.load import LoadedScenario
from forge1sim.workbench import draft as drafts
from forge1sim.workbench import session
from forge1sim.workbench.show import command, link, results_in, trouble, words
from policies.shipped import shipped_names

PATIENCE_S, STEP_S = 3.0, 0.1
REFRESH_S = 0.5
AT_A_GLANCE = ("served_ratio", "wait_p95_s")
_DEMAND_STEPS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)
_FACTOR_STEPS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)
_MOST_SLIDERS = 12      # of a kind
_TENANTS_MOST = 10      # times as many may join as are there
_COLOURS: dict[str, Literal["green", "red", "gray"]] = {"better": "green", "worse": "red", "same": "gray"}
_SIGNS = {"better": "\u2714 better", "worse": "\u2718 worse", "same": "\u2013 the same"}


def base_of() -> Ask:
    """What to change: the run looked at, else the scenario that is worked on."""
    wanted = st.query_params.get("run")
    run = session.current_run()
    if run is None and wanted:
        st.stop()           # `current_run` has said why; what follows would be about something else
    if run is not None and run.status is Status.DONE:
        return run.ask
    draft = drafts.current()
    loaded = drafts.checked(draft)
    if isinstance(loaded, Forge1Error):
        raise loaded
    return drafts.ask_for(draft, loaded.seed)


def times(factor: float) -> str:
    """A factor on a slider."""
    return f"{factor:g}x"


def say_left_out(count: int, what: str) -> None:
    """That there are more than have a slider, and where to change those."""
    if count > _MOST_SLIDERS:
        st.caption(f"The first {_MOST_SLIDERS} of {count} {what}. Change the others on the page Scenario.")


def sliders(loaded: LoadedScenario) -> WhatIf:
    """The questions. Their answers stand in the address, so that a link asks the same."""
    demand = st.select_slider("Demand", _DEMAND_STEPS, 1.0, format_func=times, key="demand", bind="query-params")
    with st.expander("Accounts", expanded=True):
        accounts = {
            account.name: st.slider(
                f"Accounts of {words(account.name)}", 1, max(10, 3 * account.count), account.count,
                key=f"accounts-{account.name}", bind="query-params",
            )
            for account in loaded.scenario.accounts[:_MOST_SLIDERS]
        }  # fmt: skip
        say_left_out(len(loaded.scenario.accounts), "accounts")
        limits = st.select_slider("All their limits", _FACTOR_STEPS, 1.0, format_func=times, key="limits", bind="query-params")
    with st.expander("Tenants"):
        more = {
            group.name: st.slider(
                f"More {words(group.name)} tenants", 0, _TENANTS_MOST * group.count, 0, key=f"more-{group.name}", bind="query-params"
            )
            for group in loaded.groups[:_MOST_SLIDERS]
        }
        say_left_out(len(loaded.groups), "tenant groups")
    providers = list(dict.fromkeys(model.provider for model in loaded.platform.models))
    with st.expander("Outage", expanded=True):
        down = st.selectbox(
            "Which provider fails", ["", *providers], format_func=lambda name: name or "none", key="outage", bind="query-params"
        )
        hours = loaded.horizon_us / 1e6 / HOUR_S
        window = st.slider(
            "From hour to hour", 0.0, hours, (hours * 0.5, hours * 0.5625), step=hours / 48, format="%.1f", key="outage-hours",
            bind="query-params", disabled=not down,
        )  # fmt: skip
    with st.expander("Prices"):
        prices = {
            name: st.select_slider(f"{words(name)} prices", _FACTOR_STEPS, 1.0, format_func=times, key=f"price-{name}", bind="query-params")
            for name in providers
        }
    with st.expander("Routing"):
        routing = loaded.bundle.routing
        policies = list(dict.fromkeys([routing.policy, *shipped_names("routing.policy")]))
        choices = list(dict.fromkeys([routing.model_choice, *shipped_names("routing.model_choice")]))
        policy = st.selectbox("Routing policy", policies, key="routing", bind="query-params")
        choice = st.selectbox("Choice of models", choices, key="model-choice", bind="query-params")
    return WhatIf(
        demand_factor=demand, accounts=accounts, limits_factor=limits, more_tenants=more, price_factors=prices,
        outage_provider=down, outage_hours=window, routing_policy=policy, model_choice=choice,
    )  # fmt: skip


def start(base: Ask, changes: tuple[str, ...]) -> tuple[str, str]:
    """The runs before and after; what was asked before and is still in work is given up."""
    owner, pool = session.owner(), session.pool()
    before = pool.start(base, owner=owner)
    after = pool.start(replace(base, overrides=(*base.overrides, *changes)), owner=owner, kind="what-if") if changes else before
    for earlier in st.session_state.get("what_if_runs", ()):
        if earlier not in (before, after):
            pool.cancel(earlier)
    st.session_state["what_if_runs"] = (after,) if changes else ()
    return before, after


def progress_of(before: str, after: str) -> tuple[float, str]:
    """How far the two runs are, for a bar."""
    pool = session.pool()
    getting_ready = "" if pool.is_warm else " The simulator is getting ready first."
    shares = [progress.share for run_id in (before, after) if (progress := session.store().progress(run_id))]
    return min(shares, default=0.0), f"Simulating the whole run again.{getting_ready}"


def wait_a_little(before: str, after: str) -> bool:
    """Wait as long as people do without looking elsewhere; whether both runs are over."""
    bar, shown = st.empty(), None
    until_s = time.monotonic() + PATIENCE_S
    while not (session.pool().wait(before, STEP_S) and session.pool().wait(after, STEP_S)):
        if time.monotonic() > until_s:
            bar.empty()         # `wait` has one of its own
            return False
        if (progress := progress_of(before, after)) != shown:        # drawing takes time from what is waited for
            bar.progress(*progress)
            shown = progress
        session.give_way()
    bar.empty()
    return True


@st.fragment(run_every=REFRESH_S)
def wait(before: str, after: str) -> None:
    """How far the two runs are, until both are over."""
    if all(session.pool().get(run_id).is_over for run_id in (before, after)):
        st.rerun()
    st.progress(*progress_of(before, after))


def at_a_glance(comparison: Comparison, names: list[str], *, changed: bool) -> None:
    """A card for each tier: what it gets after the change, and the difference."""
    for column, tier in zip(st.columns(len(names)), names, strict=True):
        with column.container(border=True):
            for line in comparison.of(tier):
                if line.measure.name in AT_A_GLANCE:
                    verdict = line.changes[0].verdict
                    st.metric(
                        f"{words(tier)}: {line.measure.title}", line.measure.text(line.values[1]),
                        f"was {line.measure.text(line.values[0])} {_SIGNS[verdict]}" if changed else None,
                        delta_color=_COLOURS[verdict], delta_arrow="off",
                    )  # fmt: skip


def side_by_side(lines: tuple[Line, ...]) -> None:
    """Every measure before and after."""
    rows: dict[str, list[str]] = {"": [], "before": [], "after": [], "difference": []}
    for line in lines:
        before, after = line.values
        change = line.changes[0]
        told = f":{_COLOURS[change.verdict]}[{words(line.measure.change(change.difference))} {_SIGNS[change.verdict]}]"
        cells = (words(line.measure.title), words(line.measure.text(before)), words(line.measure.text(after)), told)
        for cell, column in zip(cells, rows.values(), strict=True):
            column.append(cell)
    st.table(rows, hide_index=True, border="horizontal")


def outcome(before: Run, after: Run, changed: str) -> None:
    """Before beside after."""
    for run in (before, after):
        if run.status is not Status.DONE:
            st.error(words(run.reason or f"The run was {run.status}."), icon=":material/error:")
            return
    comparison = compare([results_in(str(before.folder)), results_in(str(after.folder))])
    tiers = tiers_of(comparison.runs)
    if changed:
        took = f" in {seconds(after.seconds)}" if after.seconds else ""
        st.caption(words(f"Changed: {changed}. Simulated{took}, on the same random draws."))
    else:
        st.info("Nothing is changed yet: this is the run as it was. Move a slider.", icon=":material/tune:")
    at_a_glance(comparison, [tier for tier in tiers if tier != ALL_TIERS], changed=bool(changed))
    side_by_side(comparison.of(st.segmented_control("Tier", tiers, default=ALL_TIERS, required=True)))
    with st.container(horizontal=True):
        if changed and st.button("Keep this what-if", icon=":material/bookmark_add:", help="The library lists it then."):
            session.store().keep(after.id, f"{before.name}: {changed}"[:MOST_NAME_LETTERS])
            st.toast("Kept in the library.")
        link("All results after the change", "results", ":material/insights:", run=after.id)
    command(after.command)


def page() -> None:
    """Sliders beside what they do."""
    st.title("What if", anchor=False)
    base = base_of()
    loaded = base.load()
    changed = f" with {', '.join(base.overrides)}"[:MOST_NAME_LETTERS] if base.overrides else ""
    told = f"Based on {Path(base.scenario).name}{changed}, seed {base.seed}."
    st.caption(words(f"{told} Before and after meet the same requests and the same luck."))
    left, right = st.columns([1, 2.4], gap="large")
    with left:
        what_if = sliders(loaded)
    with right:
        try:
            changes = overrides_of(what_if, loaded)
            before, after = start(base, changes)
        except Forge1Error as error:
            trouble(error)
            return
        if wait_a_little(before, after):
            outcome(session.pool().get(before), session.pool().get(after), in_words(what_if, loaded))
        else:
            wait(before, after)


page()
