"""All figures of a run in the order in which they are read, each with its title and the table behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forge1sim.metrics.tables import Table
from forge1sim.results import by_part, flow, money, over_time
from forge1sim.results.read import RunFolder
from forge1sim.results.regret import distance_from_best, has_regret, regret_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

Shown = tuple["go.Figure", str]
_QUANTILES = [f"{measure}_{quantile}_s" for measure in ("wait", "latency") for quantile in ("p50", "p95", "p99")]
_COSTS = ["tier", "cost_nano_usd", "key_cost_nano_usd", "revenue_nano_usd", "margin_nano_usd", "cost_per_request_usd"]
_QUEUES = ["start_us", "tier", "waiting_mean", "waiting_max", "in_system_mean"]


@dataclass(frozen=True)
class FigureOf:
    """A figure of a run: `topic` groups figures, `draw` gives figure and sentence, `twin` its table."""

    name: str
    topic: str
    title: str
    draw: Callable[[RunFolder], Shown]
    twin: Callable[[RunFolder], Table]


def _pick(table: Table, columns: list[str]) -> Table:
    return {name: table[name] for name in columns}


def _without_zeros(codes: Table) -> Table:
    """Only the intervals in which anything was rejected or refused."""
    counts = [column for name, column in codes.items() if name != "start_us"]
    some = sum(counts) > 0 if counts else codes["start_us"] < 0
    return {name: column[some] for name, column in codes.items()}


FIGURES = (
    FigureOf(
        "load", "Load", "Load against capacity",
        lambda run: over_time.load_against_capacity(run.table("provider_intervals"), run.table("marks")),
        lambda run: run.table("provider_intervals"),
    ),
    FigureOf(
        "waits", "Waits", "Wait and latency",
        lambda run: by_part.wait_and_latency(run.table("tiers")),
        lambda run: _pick(run.table("tiers"), ["tier", *_QUANTILES]),
    ),
    FigureOf(
        "ecdf", "Waits", "How many are answered within",
        lambda run: by_part.shares_within(run.table("tails")), lambda run: run.table("tails"),
    ),
    FigureOf(
        "tails", "Waits", "How bad the tail is",
        lambda run: by_part.tails(run.table("tails")), lambda run: run.table("tails"),
    ),
    FigureOf(
        "queue", "Waits", "Who waits",
        lambda run: over_time.queue_over_time(run.table("tier_intervals"), run.table("marks")),
        lambda run: _pick(run.table("tier_intervals"), _QUEUES),
    ),
    FigureOf(
        "rejections", "Load", "Rejections and refusals",
        lambda run: over_time.rejections_over_time(run.table("code_intervals"), run.table("marks")),
        lambda run: _without_zeros(run.table("code_intervals")),
    ),
    FigureOf(
        "heat", "Load", "How full the limits are",
        lambda run: over_time.utilization_heat_map(run.table("deployment_intervals")),
        lambda run: run.table("deployment_intervals"),
    ),
    FigureOf(
        "margin", "Money", "Margin by tier",
        lambda run: money.margin_by_tier(run.table("tiers")), lambda run: _pick(run.table("tiers"), _COSTS),
    ),
    FigureOf(
        "waterfall", "Money", "How the cost adds up",
        lambda run: money.cost_waterfall(run.table("tiers"), run.table("flows"), run.table("accounts")),
        lambda run: money.cost_steps(run.table("tiers"), run.table("flows"), run.table("accounts")),
    ),
    FigureOf(
        "cost", "Money", "Cost by tier and tenant",
        lambda run: money.cost_by_tier_and_tenant(run.table("tiers"), run.table("tenants")),
        lambda run: _pick(run.table("tiers"), _COSTS),
    ),
    FigureOf(
        "cost_flow", "Money", "Cost from tier to model to account",
        lambda run: flow.cost_flow(run.table("flows")), lambda run: run.table("flows"),
    ),
    FigureOf(
        "answers_flow", "Load", "Answers from tier to model to account",
        lambda run: flow.answers_flow(run.table("flows")), lambda run: run.table("flows"),
    ),
)  # fmt: skip
_REGRET = FigureOf(
    "regret", "Money", "Distance from the best possible",
    lambda run: distance_from_best(regret_table(run.folder)), lambda run: regret_table(run.folder),
)  # fmt: skip


def figures_of(run: RunFolder) -> tuple[FigureOf, ...]:
    """The figures of this run: those of any run, and the distance from the best possible where it was computed."""
    return (*FIGURES, _REGRET) if has_regret(run.folder) else FIGURES
