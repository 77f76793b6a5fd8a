"""One tenant of a run: what became of its requests, and how it fares beside its tier."""

import streamlit as st

from forge1sim.errors import RunError
from forge1sim.report.export import file_name
from forge1sim.results.tenants import one_tenant, tenant_beside_tier
from forge1sim.workbench import show
from forge1sim.workbench.chosen import chosen_run

st.title("Tenant")
opened, results = chosen_run("pick a tenant from its results")
names = results.table("tenants")["tenant"].tolist()
asked = st.query_params.get("tenant")
if asked and asked not in names:
    st.warning(f"This run has no tenant {show.words(repr(asked[:120]))}; pick another.", icon=":material/person_off:")
name = st.selectbox("Tenant", names, key="tenant", bind="query-params", help="Type to search.")
show.link("All tenants", "results", icon=":material/arrow_back:", run=opened.id, view="Tenants")
try:
    tenant = one_tenant(results, str(name))
except RunError as error:
    show.trouble(error)
    st.stop()
st.markdown(f"**{show.words(tenant.name)}**, tier {show.words(tenant.tier)}. {show.words(tenant.sentence)}")
with st.container(horizontal=True):
    for title, text in tenant.facts:
        st.metric(title, text, border=True, width="content")
left, right = st.columns([3, 2])
with left:
    st.subheader("Beside its tier")
    columns = {"measure": [one.title for one in tenant.compared], "this tenant": [one.own for one in tenant.compared]}
    columns |= {"median of the tier": [one.median for one in tenant.compared], "place": [one.place for one in tenant.compared]}
    st.dataframe(columns, hide_index=True, alt=f"{tenant.name} beside its tier {tenant.tier}")
with right:
    st.subheader("Without an answer")
    if tenant.reasons:
        reasons = {"reason": [reason for reason, _ in tenant.reasons], "requests": [count for _, count in tenant.reasons]}
        st.dataframe(reasons, hide_index=True, alt="Requests without an answer by reason")
    else:
        st.caption("Every request was answered.")
made, sentence = tenant_beside_tier(results, tenant.name)
show.figure(made, sentence, key="tenant-beside-tier", save_as=file_name(results, tenant.name))
