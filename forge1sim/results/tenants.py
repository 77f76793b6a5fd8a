"""The table of tenants, and one tenant beside its tier."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.metrics.tables import Table, ratio
from forge1sim.results.measures import MEASURES, Measure
from forge1sim.results.read import RunFolder
from forge1sim.results.theme import BAD_COLOUR, DASHES, MUTED, figure, label, seconds, short, usd

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_ENDS = ("served", "rejected", "expired", "cancelled")
_COMPARED = ("served_ratio", "wait_p95_s", "latency_mean_s", "quality_mean", "satisfaction", "cost_per_request_usd")
_LATENCY_MEAN = Measure("latency_mean_s", "latency mean", seconds, -1)


def tenant_table(run: RunFolder) -> Table:
    """One row for each tenant in the order of the scenario, with shares and USD beside the counts.

    Columns: `tenant`, `tier`, `arrived`, ends of requests, `served_ratio`, waits and latency in
    seconds, `quality_mean`, `satisfaction`, `cost_usd`, `cost_per_request_usd`, `revenue_usd`,
    `margin_usd` (revenue less tokens; accounts are not shared out to tenants).
    """
    table = run.table("tenants")
    cost_usd, revenue_usd = table["cost_nano_usd"] / 1e9, table["revenue_nano_usd"] / 1e9
    counts = {name: table[name] for name in ("tenant", "tier", "arrived", *_ENDS)}
    measured = ("wait_p50_s", "wait_p95_s", "wait_p99_s", "latency_mean_s", "quality_mean", "satisfaction")
    return {
        **counts,
        "served_ratio": ratio(table["served"], table["arrived"]),
        **{name: table[name] for name in measured},
        "cost_usd": cost_usd,
        "cost_per_request_usd": ratio(cost_usd, table["served"]),
        "revenue_usd": revenue_usd,
        "margin_usd": revenue_usd - cost_usd,
    }


def found(table: Table, text: str, tiers: tuple[str, ...] = ()) -> Table:
    """Rows whose tenant contains `text` (upper and lower case alike) and whose tier is among `tiers`, if any are given."""
    keep = np.array([text.casefold() in name.casefold() for name in table["tenant"].tolist()], np.bool_)
    if tiers:
        keep &= np.isin(table["tier"], tiers)
    return {name: column[keep] for name, column in table.items()}


@dataclass(frozen=True)
class Compared:
    """A measure of a tenant, the median of its tier, and where it stands there: `better than 93% of 1,800`."""

    title: str
    own: str
    median: str
    place: str


@dataclass(frozen=True)
class Tenant:
    """One tenant: `facts` as titles with texts, `reasons` why requests ended unanswered, and itself beside its tier."""

    name: str
    tier: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, int], ...]
    compared: tuple[Compared, ...]


def one_tenant(run: RunFolder, name: str) -> Tenant:
    """The figures of one tenant. Raises RunError if the run has no tenant of this name."""
    table, raw = tenant_table(run), run.table("tenants")
    rows = np.flatnonzero(table["tenant"] == name)
    if not len(rows):
        raise RunError(f"tenant {name!r}: this run has no such tenant; it has {len(table['tenant']):,} of other names")
    row, tier = int(rows[0]), str(table["tier"][rows[0]])
    peers = np.flatnonzero((table["tier"] == tier) & (table["arrived"] > 0))
    reasons = [(column.removeprefix("rejected_").replace("_", " "), int(raw[column][row]))
               for column in raw if column.startswith("rejected_")]  # fmt: skip
    reasons += [("expired while waiting", int(raw["expired"][row])), ("cancelled by the client", int(raw["cancelled"][row]))]
    facts = [(title, f"{int(table[column][row]):,}") for title, column in
             (("requests", "arrived"), ("answers", "served"), ("rejected", "rejected"), ("expired", "expired"))]  # fmt: skip
    facts += [(title, usd(float(table[column][row]))) for title, column in
              (("cost of tokens", "cost_usd"), ("revenue", "revenue_usd"), ("margin before accounts", "margin_usd"))]  # fmt: skip
    return Tenant(
        name=name,
        tier=tier,
        sentence=_sentence(table, row),
        facts=tuple(facts),
        reasons=tuple(sorted((reason for reason in reasons if reason[1]), key=lambda reason: -reason[1])),
        compared=tuple(_compared(table, row, peers, measure) for measure in _COMPARED),
    )


def _sentence(table: Table, row: int) -> str:
    if not table["arrived"][row]:
        return "It sent no request in this run."
    place = int((table["arrived"] > table["arrived"][row]).sum()) + 1
    return (
        f"{int(table['arrived'][row]):,} requests, {table['served_ratio'][row]:.2%} of them answered; "
        f"number {place:,} of {len(table['tenant']):,} tenants by requests."
    )


def _compared(table: Table, row: int, peers: NDArray[np.int64], name: str) -> Compared:
    measure = MEASURES.get(name, _LATENCY_MEAN)
    values = table[name][peers]
    values = values[np.isfinite(values)]
    own = float(table[name][row])
    median = float(np.median(values)) if len(values) else float("nan")
    if not np.isfinite(own) or not len(values):
        place = "not measured"
    else:
        beaten = (values < own if measure.better > 0 else values > own).mean()
        place = f"better than {beaten:.0%} of {len(values):,}"
    return Compared(measure.title, measure.text(own), measure.text(median), place)


def tenant_beside_tier(run: RunFolder, name: str) -> Shown:
    """How long 95 % of each tenant's answers waited, for the tenant's tier, with the tenant marked."""
    import plotly.graph_objects as go  # noqa: PLC0415

    table = tenant_table(run)
    row = int(np.flatnonzero(table["tenant"] == name)[0])
    tier = str(table["tier"][row])
    waits_s = np.sort(table["wait_p95_s"][(table["tier"] == tier) & np.isfinite(table["wait_p95_s"])])
    made = figure(280)
    step = max(1, -(-len(waits_s) // 400))
    made.add_trace(
        go.Scatter(x=waits_s[::step], y=(np.arange(len(waits_s)) + 1)[::step] / max(1, len(waits_s)), name=f"tenants of {label(tier)}",
                   line={"color": MUTED, "width": 2, "shape": "hv"})
    )  # fmt: skip
    own_s = float(table["wait_p95_s"][row])
    if np.isfinite(own_s):
        made.add_vline(x=own_s, line={"color": BAD_COLOUR, "dash": DASHES[1], "width": 2}, annotation_text=label(name, 24))
    made.update_xaxes(title="wait of 95 % of a tenant's answers at most, s", rangemode="tozero")
    made.update_yaxes(title="share of tenants", tickformat=".0%", range=[0, 1.05])
    made.update_layout(showlegend=False)
    if not np.isfinite(own_s):
        return made, f"{name} got no answer, so it has no waits."
    longer = float((waits_s > own_s).mean())
    return made, f"{name} waited at most {seconds(own_s)} for 95 % of its answers; {short(100 * longer)} % of {tier} tenants waited longer."
