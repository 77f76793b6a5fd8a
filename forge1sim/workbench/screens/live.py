"""Live: how a gateway at work fares, from its metrics and its ledger, looked at again every few seconds."""

import os
import time

import streamlit as st

from forge1sim.results.theme import seconds, short
from forge1sim.workbench import live, session
from forge1sim.workbench.show import column_formats, figure, words

GATEWAY_VARIABLE, LEDGER_VARIABLE = "FORGE1SIM_GATEWAY", "FORGE1SIM_LEDGER"
SPANS_S = {"5 minutes": 300, "15 minutes": 900, "1 hour": 3_600, "24 hours": 86_400}
EVERY_S, MOST_EVERY_S = 5.0, 120.0
SERVE = "forge1sim gateway serve SCENARIO.yaml --port 8780 --tenant TENANT --journal journal"
FOLD = "forge1sim gateway ledger journal --url sqlite:///ledger.db"


@st.cache_data(ttl=EVERY_S - 1, max_entries=20, show_spinner=False)
def looked(gateway: str, ledger: str, span_s: int, in_time_s: float) -> live.Look | None:
    """One look, shared by all who watch the same."""
    looking = live.provided()
    if looking is None:
        return None
    return looking(gateway, ledger, now_us=time.time_ns() // 1000, span_s=span_s, in_time_s=in_time_s)


def missing(trouble: str, command: str) -> None:
    """What is not to be had, and the command that starts it."""
    st.info(words(trouble), icon=":material/info:")
    st.code(command, language="bash", wrap_lines=True)


def table(columns: dict[str, list[object]], *, alt: str, key: str) -> None:
    """A table of plain values."""
    import pandas as pd  # noqa: PLC0415

    shown = pd.DataFrame(columns)
    st.dataframe(shown, hide_index=True, alt=alt, key=key, column_config=column_formats(shown))


def heads(found: live.Look) -> None:
    """The figures that matter first."""
    sums, gateway = found.ledger, found.gateway
    told: list[tuple[str, str]] = []
    if sums is not None:
        told += [("Requests per s", short(sums.recent_per_s))]
        if sums.latency_us is not None:
            told += [(f"Latency {name}", seconds(value / 1e6)) for name, value in zip(live.QUANTILES, sums.latency_us, strict=True)]
        told += [("Not served", f"{sums.errors / max(1, sums.attempts):.2%}"), ("Spent", f"${sums.cost_nano_usd / 1e9:,.4f}")]
    if gateway is not None:
        told += [("Under way", f"{gateway.in_flight:,}"), ("Waiting", f"{gateway.waiting:,}")]
    with st.container(horizontal=True):
        for name, value in told:
            st.metric(name, value, border=True, width=160)


def from_gateway(gateway: live.Gateway) -> None:
    """How full limits are, and who waits."""
    left, right = st.columns(2)
    with left:
        st.subheader("Limits", anchor=False)
        if gateway.limits:
            figure(*live.limits_figure(gateway), key="live-limits", save_as="live-limits")
        else:
            st.caption("No account has a limit.")
    with right:
        st.subheader("Queue by tier", anchor=False)
        if gateway.queue:
            figure(*live.queue_figure(gateway), key="live-queue", save_as="live-queue")


def from_ledger(sums: live.Sums) -> None:
    """How attempts went over the span, and who paid."""
    left, right = st.columns(2)
    with left:
        st.subheader("Traffic", anchor=False)
        figure(*live.rate_figure(sums), key="live-rate", save_as="live-traffic")
    with right:
        st.subheader("Latency", anchor=False)
        figure(*live.latency_figure(sums), key="live-latency", save_as="live-latency")
    left, right = st.columns(2)
    with left:
        st.subheader("Spend by tenant", anchor=False)
        figure(*live.spend_figure(sums), key="live-spend", save_as="live-spend")
    with right:
        st.subheader("Satisfaction", anchor=False)
        st.caption(
            "Of 100 requests that reached a provider: 1 point for an answer in time by the first attempt, 3/4 for one in time after a "
            "retry, 1/4 for a late one, none for a refusal. What the gateway itself refused is not in the ledger."
        )
        table(live.satisfaction_table(sums), alt="Satisfaction by tenant, the least content first", key="live-satisfaction")
    if sums.stride > 1:
        st.caption(f"Latency and satisfaction are of one request in {sums.stride:,}; counts and costs are of all.")


def watch(gateway: str, ledger: str, span_s: int, in_time_s: float) -> None:
    """Look again every few seconds."""
    with st.container(key=session.SO_FAR):
        found = looked(gateway, ledger, span_s, in_time_s)
        if found is None:
            st.info("The live adapter is not part of this installation.", icon=":material/info:")
            return
        for alert in found.alerts:
            st.warning(words(alert), icon=":material/notifications_active:")
        if not found.alerts and found.gateway is not None:
            st.badge("No alerts", color="green", icon=":material/check:")
        heads(found)
        if found.ledger is not None:
            ago_s = max(0.0, time.time() - found.ledger.to_us / 1e6)
            st.caption(f"The ledger's newest attempt was sent {seconds(ago_s)} ago; the span ends there. What came since: `{FOLD}`")
            from_ledger(found.ledger)
        if found.gateway is not None:
            from_gateway(found.gateway)
        if found.gateway is not None or found.ledger is not None:
            st.subheader("Accounts", anchor=False)
            st.caption("Keys of one account share its limits.")
            table(live.accounts_table(found.gateway, found.ledger), alt="Accounts and what they do", key="live-accounts")
        if found.gateway_trouble:
            missing(found.gateway_trouble, SERVE)
        if found.ledger_trouble:
            missing(found.ledger_trouble, FOLD)


st.title("Live", anchor=False)
with st.expander("What to watch", expanded=False):
    gateway_address = st.text_input(
        "Gateway", os.environ.get(GATEWAY_VARIABLE, "http://127.0.0.1:8780"), key="gateway", max_chars=300, persist_state="session",
        help=f"Its address; the default is that of {GATEWAY_VARIABLE}, or this machine.",
    )  # fmt: skip
    # Not in the link: an address of PostgreSQL may hold a password.
    ledger_address = st.text_input(
        "Ledger", os.environ.get(LEDGER_VARIABLE, "sqlite:///ledger.db"), key="ledger", max_chars=500, persist_state="session",
        help=f"As SQLAlchemy writes it: sqlite:///FILE or postgresql+psycopg://...; the default is that of {LEDGER_VARIABLE}.",
    )  # fmt: skip
    in_time = st.number_input("An answer is in time within (s)", 0.1, 3_600.0, 10.0, key="in-time", bind="query-params")
span = st.segmented_control("The last", list(SPANS_S), default="15 minutes", key="span", bind="query-params", required=True)
span_s = SPANS_S[str(span)]
# A longer span takes longer to sum up, and changes less.
every_s = min(MOST_EVERY_S, max(EVERY_S, span_s / 60))
st.fragment(watch, run_every=every_s)(gateway_address.strip(), ledger_address.strip(), span_s, float(in_time))
