"""Results of one run: promises, what was short, load, waits, money, tenants, files."""

import streamlit as st

from forge1sim.metrics.store import MAKERS
from forge1sim.report.export import csv_bytes, file_name, parquet_bytes, report_bytes, zip_bytes
from forge1sim.results.bottleneck import explain_bottleneck
from forge1sim.results.cards import Card, promises, tier_cards, verdict
from forge1sim.results.figures import figures_of
from forge1sim.results.read import RunFolder
from forge1sim.results.tenants import found, tenant_table
from forge1sim.workbench import session, show
from forge1sim.workbench.chosen import chosen_run

VIEWS = ("Overview", "Load", "Waits", "Money", "Tenants", "Files")


def overview(run: RunFolder) -> None:
    """Were the promises kept, and if not, why?"""
    told = promises(run.slos)
    show.mark(all(one.met for one in told) if told else None, verdict(run))
    for column, card in zip(st.columns(len(tier_cards(run))), tier_cards(run), strict=True):
        with column, st.container(border=True, height="stretch"):
            tier_card(card)
    st.subheader("What was short", anchor="short")
    explanation = explain_bottleneck(run)
    st.markdown(f"**{show.words(explanation.headline)}**")
    st.markdown("\n".join(f"- {show.words(sentence)}" for sentence in explanation.sentences))
    if explanation.short:
        every = st.expander("Every limit", key="every_limit", on_change="rerun")
        if every.open:
            with every:
                show.first_rows(run.table("limits"), alt="Every limit with its use, how long it was full, and what it held up")
    st.subheader("Promises", anchor="promises")
    if told:
        columns = {"": [("✓ " if one.met else "✗ ") + one.word for one in told], "promise": [one.name for one in told]}
        columns |= {name: [getattr(one, name) for one in told] for name in ("tier", "measure", "target", "seen")}
        st.dataframe(columns, hide_index=True, alt=f"Promises. {verdict(run)}")
    else:
        st.caption("The scenario makes no promises (SLOs).")
    show.command(run.command)


def tier_card(card: Card) -> None:
    """One tier at a glance."""
    st.metric(f"{show.words(card.tier)}, served", card.served, help="Share of this tier's requests that were answered")
    show.mark(all(one.met for one in card.promises) if card.promises else None, card.verdict)
    show.pairs(card.facts)


def topic(run: RunFolder, name: str) -> None:
    """All figures of one topic."""
    for one in figures_of(run):
        if one.topic == name:
            show.run_figure(run, one)


def tenants(run: RunFolder, run_id: str) -> None:
    """Every tenant; a click on a row opens it."""
    everyone = tenant_table(run)
    text_column, tier_column = st.columns([2, 1])
    text = text_column.text_input("Search tenants", key="tenant_search", placeholder="part of a name", type="search", live=True)
    tiers = tier_column.multiselect("Tiers", list(run.summary["tiers"]), key="tenant_tiers", placeholder="all tiers")
    shown = found(everyone, text or "", tuple(tiers))
    count = len(shown["tenant"])
    st.caption(f"{count:,} of {len(everyone['tenant']):,} tenants. Click a column's head to sort, a row's box to open the tenant.")
    alt = f"{count} tenants with their requests, waits and money"
    picked = show.table(shown, alt=alt, key="tenant_table", on_select="rerun", selection_mode="single-row")
    if picked.selection.rows:
        session.go_to("tenant", run=run_id, tenant=str(shown["tenant"][picked.selection.rows[0]]))
    show.link("Open a tenant by name", "tenant", icon=":material/person_search:", run=run_id)
    show.download("These tenants as CSV", lambda: csv_bytes(shown), f"{file_name(run, 'tenants')}.csv", "text/csv", key="tenants-csv")


def files(run: RunFolder) -> None:
    """Everything to take away."""
    st.markdown("Everything at once, or table by table. CSV files are safe to open in a spreadsheet.")
    with st.container(horizontal=True):
        report = f"{file_name(run, 'report')}.html"
        show.download("Report (HTML, opens offline)", lambda: report_bytes(run), report, "text/html", key="report")
        show.download("Everything (zip)", lambda: zip_bytes(run), f"{file_name(run, 'all')}.zip", "application/zip", key="zip")
    st.caption("A figure as PNG: point at it and press the camera.")
    name = st.selectbox("Table", list(MAKERS), key="export_table", format_func=lambda one: one.replace("_", " "))
    with st.container(horizontal=True):
        show.download("CSV", lambda: csv_bytes(run.table(name)), f"{file_name(run, name)}.csv", "text/csv", key="csv")
        show.download(
            "Parquet", lambda: parquet_bytes(run, name), f"{file_name(run, name)}.parquet", "application/vnd.apache.parquet", key="parquet"
        )
    show.first_rows(run.table(name), alt=f"The first rows of table {name}")


st.title("Results")
opened, results = chosen_run("see here whether it keeps its promises")
requests = results.summary["requests"]
st.caption(show.words(f"{requests['arrived']:,} requests, seed {results.seed}, {results.manifest['driver']} driver."))
with st.container(horizontal=True):
    show.link("Ask what if", "what_if", icon=":material/tune:", run=opened.id)
    show.link("Compare it", "compare", icon=":material/compare_arrows:", runs=opened.id)
    show.link("Explain a request", "explain", icon=":material/manage_search:", run=opened.id)
view = st.segmented_control("View", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed")
if view == "Overview":
    overview(results)
elif view == "Tenants":
    tenants(results, opened.id)
elif view == "Files":
    files(results)
else:
    topic(results, str(view))
