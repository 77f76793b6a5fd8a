"""What the Live page asks of a gateway at work. Who looks at one is not of this package: `app.py` hands it in."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forge1sim.results.theme import BAD_COLOUR, COLOURS, DASHES, FONT, GOOD_COLOUR, MUTED, label, seconds, short

if TYPE_CHECKING:
    import plotly.graph_objects as go

QUANTILES = ("p50", "p95", "p99")
_HEIGHT, _ROW_HEIGHT = 260, 26
_MOST_BARS = 12


class Gateway(Protocol):
    """What a gateway's metrics say now."""

    requests_total: int
    attempts_total: int
    in_flight: int
    waiting: int
    queue: Mapping[str, int]
    limits: Mapping[str, float]
    accounts: Mapping[str, str]
    in_flight_of: Mapping[str, int]


class Moment(Protocol):
    """A part of the span."""

    from_us: int
    attempts: int
    errors: int
    latency_us: tuple[int, ...] | None


class Tenant(Protocol):
    """What a tenant spent, and how its requests fared."""

    tenant: str
    cost_nano_usd: int
    attempts: int
    at_once: int
    retried: int
    late: int
    refused: int
    requests: int
    score: float


class Sums(Protocol):
    """What the ledger has of the span."""

    from_us: int
    to_us: int
    width_us: int
    stride: int
    attempts: int
    errors: int
    cost_nano_usd: int
    recent_per_s: float
    latency_us: tuple[int, ...] | None
    moments: Sequence[Moment]
    tenants: Sequence[Tenant]
    accounts: Mapping[str, tuple[int, int, float]]
    statuses: Mapping[str, int]


class Look(Protocol):
    """One look at a gateway: what was found, and where something was not, why."""

    gateway: Gateway | None
    gateway_trouble: str
    ledger: Sums | None
    ledger_trouble: str
    alerts: Sequence[str]


class Looking(Protocol):
    """How to look once: addresses, the time, the span in s, and within how many s an answer is in time."""

    def __call__(self, gateway_url: str, ledger_url: str, *, now_us: int, span_s: int, in_time_s: float) -> Look: ...  # noqa: D102


_looking: list[Looking] = []


def provide(looking: Looking) -> None:
    """From now on pages look by this."""
    _looking[:] = [looking]


def provided() -> Looking | None:
    """How to look; None where the live adapter is not installed."""
    return _looking[0] if _looking else None


def rate_figure(sums: Sums) -> tuple["go.Figure", str]:
    """Attempts per second over the span, those that failed beside them."""
    times, width_s = _times(sums), sums.width_us / 1e6
    every = [moment.attempts / width_s for moment in sums.moments]
    bad = [moment.errors / width_s for moment in sums.moments]
    made = _figure("Attempts (per s)")
    made.add_scatter(x=times, y=every, name="all", line={"color": GOOD_COLOUR, "width": 2, "shape": "hv"})
    made.add_scatter(x=times, y=bad, name="not served", line={"color": BAD_COLOUR, "width": 2, "shape": "hv", "dash": "dot"})
    share = sums.errors / sums.attempts if sums.attempts else 0.0
    return made, f"{sums.attempts:,} attempts, at most {short(max(every))} per s; {share:.2%} were not served."


def latency_figure(sums: Sums) -> tuple["go.Figure", str]:
    """Quantiles of latency over the span."""
    made, times = _figure("Latency (s)", log=True), _times(sums)
    for row, name in enumerate(QUANTILES):
        values = [None if moment.latency_us is None else moment.latency_us[row] / 1e6 for moment in sums.moments]
        line = {"color": COLOURS[row], "width": 2, "dash": DASHES[row]}
        made.add_scatter(x=times, y=values, name=name, mode="lines+markers", marker={"size": 4}, line=line)
    if sums.latency_us is None:
        return made, "No attempt was served."
    told = ", ".join(f"{name} {seconds(value / 1e6)}" for name, value in zip(QUANTILES, sums.latency_us, strict=True))
    return made, f"An attempt that was served took {told}, from when it was sent to its last byte."


def limits_figure(gateway: Gateway) -> tuple["go.Figure", str]:
    """The fullest limits."""
    fullest = sorted(gateway.limits.items(), key=lambda item: -item[1])[:_MOST_BARS]
    name, used = fullest[0]
    made = _bars([(one, 100 * share) for one, share in fullest], "Used share of the limit (%)")
    made.update_xaxes(range=[0, 100])
    more = f" The {_MOST_BARS} fullest of {len(gateway.limits)} are shown." if len(gateway.limits) > _MOST_BARS else ""
    return made, f"The fullest limit is {name}, {used:.1%} used at its last use.{more}"


def queue_figure(gateway: Gateway) -> tuple["go.Figure", str]:
    """Who waits, by tier."""
    made = _bars(list(gateway.queue.items()), "Requests that wait")
    made.update_xaxes(range=[0, max(5, *gateway.queue.values()) * 1.05], rangemode="tozero")
    told = ", ".join(f"{count:,} {tier}" for tier, count in gateway.queue.items() if count)
    return made, f"{gateway.waiting:,} requests wait: {told}." if told else "Nobody waits."


def spend_figure(sums: Sums) -> tuple["go.Figure", str]:
    """Who spent most."""
    most = [(one.tenant, one.cost_nano_usd / 1e9) for one in sums.tenants[:_MOST_BARS]]
    rest = sums.cost_nano_usd - sum(one.cost_nano_usd for one in sums.tenants[:_MOST_BARS])
    if rest:
        most.append(("all others", rest / 1e9))
    return _bars(most, "Spent ($)"), f"${sums.cost_nano_usd / 1e9:,.6g} were spent; most by {sums.tenants[0].tenant}."


def satisfaction_table(sums: Sums) -> dict[str, list[object]]:
    """Each tenant's score and its parts, the least content first."""
    rows = sorted((one for one in sums.tenants if one.requests), key=lambda one: (one.score, one.tenant))

    def share(count: int, one: Tenant) -> str:
        return f"{count / one.requests:.1%}"

    return {
        "Tenant": [one.tenant for one in rows], "Satisfaction (0-100)": [round(one.score, 1) for one in rows],
        "In time, at once": [share(one.at_once, one) for one in rows], "In time, retried": [share(one.retried, one) for one in rows],
        "Late": [share(one.late, one) for one in rows], "Refused": [share(one.refused, one) for one in rows],
        "Requests looked at": [one.requests for one in rows], "Spent ($)": [one.cost_nano_usd / 1e9 for one in rows],
    }  # fmt: skip


def accounts_table(gateway: Gateway | None, sums: Sums | None) -> dict[str, list[object]]:
    """Each account: its state and what is under way now; what it did in the span."""
    told = {} if gateway is None else gateway.accounts
    known = {} if sums is None else sums.accounts
    names = sorted(told.keys() | known.keys())
    done = [known.get(name, (0, 0, 0.0)) for name in names]
    table: dict[str, list[object]] = {"Account": list(names)}
    if gateway is not None:
        table["State"] = [told.get(name, "unknown").replace("_", " ") for name in names]
        table["Under way now"] = [gateway.in_flight_of.get(name, 0) for name in names]
    if sums is not None:
        table["Attempts"] = [attempts for attempts, _, _ in done]
        table["Not served"] = [f"{errors / attempts:.2%}" if attempts else "" for attempts, errors, _ in done]
        table["Under way on average"] = [round(busy, 2) for _, _, busy in done]
    return table


def _times(sums: Sums) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.array([moment.from_us for moment in sums.moments], dtype="datetime64[us]")


def _figure(title: str, *, log: bool = False) -> "go.Figure":
    import plotly.graph_objects as go  # noqa: PLC0415

    made = go.Figure()
    made.update_layout(
        height=_HEIGHT, margin={"l": 8, "r": 8, "t": 28, "b": 36}, font={"family": FONT, "size": 13}, hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        uirevision="live",
    )  # fmt: skip
    made.update_xaxes(gridcolor=f"{MUTED}40", title=None, automargin=True)
    made.update_yaxes(gridcolor=f"{MUTED}40", title=title, rangemode="tozero", automargin=True)
    if log:
        made.update_yaxes(type="log", nticks=6, exponentformat="none", tickformat="~g")
    return made


def _bars(rows: Sequence[tuple[str, float]], title: str) -> "go.Figure":
    made = _figure("")
    made.add_bar(
        x=[value for _, value in rows], y=[label(name) for name, _ in rows], orientation="h", marker_color=GOOD_COLOUR,
        text=[short(value) for _, value in rows], textposition="auto", hoverinfo="skip",
    )
    made.update_layout(height=90 + _ROW_HEIGHT * len(rows), margin={"t": 8, "b": 56}, showlegend=False)
    made.update_xaxes(title=title)
    made.update_yaxes(title=None, autorange="reversed", type="category")
    return made
