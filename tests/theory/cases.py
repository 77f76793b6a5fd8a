"""Every scenario of `scenarios/theory` with the figures that theory knows of it.

The parameters stand here as theory sees them; the scenario says the same in its own words.
"""

from typing import Any

from forge1sim.theory.erlang import erlang_a, erlang_b, erlang_c, mmc_wait_s, mmck
from forge1sim.theory.general import (
    gamma_gaps,
    gimc_delayed_ratio,
    gimc_wait_s,
    mg1_wait_s,
    mmpp_wait_s,
    priority_waits_s,
)
from forge1sim.theory.limiters import fixed_window_refused_ratio, sliding_log_refused_ratio, token_bucket_refused_ratio
from forge1sim.theory.reservations import Mode, floor_waits_s, refused
from tests.theory.replications import Case, Figures, Summary, Truth

EMPIRICAL_S = (0.2, 0.5, 1.1, 2.2)
WAIT, DELAYED, REFUSED = "wait_s", "delayed_ratio", "refused_ratio"


def of_all(summary: Summary) -> Figures:
    """Figures over all requests."""
    everyone, arrived = summary["all"], summary["requests"]["arrived"]
    return {
        WAIT: everyone["wait_mean_s"] or 0.0,
        REFUSED: everyone["rejected_ratio"],
        "abandoned_ratio": everyone["expired_ratio"],
        DELAYED: summary["log_rows"].get("queue", 0) / arrived,
        "in_system_mean": summary["littles_law"]["in_system_mean"],
    }


def by_tier(column: str) -> Any:
    """A reader of one column of the tiers that somebody is in."""

    def read(summary: Summary) -> Figures:
        return {f"{tier}.{column}": row[column] for tier, row in summary["tiers"].items() if row["arrived"]}

    return read


def with_killed(summary: Summary) -> Figures:
    """What each tier is refused at once, and what standard loses in flight. Only standard is ever preempted."""
    owner, other = summary["tiers"]["enterprise"], summary["tiers"]["standard"]
    killed = summary["rejections"].get("preempted", 0)
    return {
        "enterprise.refused_ratio": owner["rejected_ratio"],
        "standard.refused_ratio": (other["rejected"] - killed) / other["arrived"],
        "standard.killed_ratio": killed / other["arrived"],
    }


def single(scenario: str, **truths: Truth) -> Case:
    """A case with one kind of request."""
    return Case(scenario, truths, of_all)


def priorities(scenario: str, rates_per_s: list[float], tiers: tuple[str, ...]) -> Case:
    """Cobham's waits of each tier on one slot with service of 1 s."""
    waits_s = priority_waits_s(rates_per_s, 1.0, 1)
    truths = {f"{tier}.wait_mean_s": Truth(wait_s) for tier, wait_s in zip(tiers, waits_s, strict=True)}
    return Case(scenario, truths, by_tier("wait_mean_s"))


def reservation(mode: Mode) -> Case:
    """Ten slots, eight of them the owner's, 4 erlang from each tier."""
    lost = refused(mode, 10, 8, (4.0, 4.0))
    truths = {
        "enterprise.refused_ratio": Truth(lost.owner_ratio, True),
        "standard.refused_ratio": Truth(lost.other_ratio, True),
        "standard.killed_ratio": Truth(lost.killed_ratio, True),
    }
    return Case(f"reservation_{mode}", truths, with_killed)


def floor_latencies() -> Case:
    """Time in the system of both tiers: waits by the exact chain, plus 1 s of service."""
    tiers = ("enterprise", "standard")
    waits_s = floor_waits_s(4, (1, 2), (1.5, 1.0), 1.0)
    truths = {f"{tier}.latency_mean_s": Truth(wait_s + 1.0) for tier, wait_s in zip(tiers, waits_s, strict=True)}
    return Case("floor_waits", truths, by_tier("latency_mean_s"))


def empirical_cv() -> float:
    """Coefficient of variation of the measured service times, whose mean is 1 s."""
    return float(sum((value - 1.0) ** 2 for value in EMPIRICAL_S) / len(EMPIRICAL_S)) ** 0.5


BOUNDED, IMPATIENT = mmck(4.0, 1.0, 5, 8), erlang_a(3.0, 1.0, 3, 2.0)

ONE_SLOT = (
    single("mm1", wait_s=Truth(mmc_wait_s(0.5, 1.0, 1))),
    single("md1", wait_s=Truth(mg1_wait_s(0.5, 1.0, 0.0))),
    single("mg1_lognormal", wait_s=Truth(mg1_wait_s(0.5, 1.0, 0.7))),
    single("mg1_empirical", wait_s=Truth(mg1_wait_s(0.5, 1.0, empirical_cv()))),
    single("gim1", wait_s=Truth(gimc_wait_s(gamma_gaps(0.5, 2.0), 0.5, 1.0, 1))),
    # 3 times the rate in 30 % of the time: 0.25 and 0.75 per second are 0.4 on average.
    single("mmpp", wait_s=Truth(mmpp_wait_s((0.25, 0.75), (5.0 * 0.7 / 0.3, 5.0), 1.0, 1))),
    priorities("priority_2", [0.2, 0.2], ("enterprise", "standard")),
    priorities("priority_3", [0.15, 0.15, 0.15], ("enterprise", "professional", "standard")),
)  # fmt: skip
SEVERAL_SLOTS = (
    single("mmc", wait_s=Truth(mmc_wait_s(1.0, 1.0, 2))),
    single("erlang_b", refused_ratio=Truth(erlang_b(3.0, 5), True)),
    single("erlang_c", delayed_ratio=Truth(erlang_c(6.0, 10), True)),
    single("mmck", refused_ratio=Truth(BOUNDED.refused_ratio, True), wait_s=Truth(BOUNDED.wait_mean_s)),
    single("abandonment", abandoned_ratio=Truth(IMPATIENT.abandoned_ratio, True), in_system_mean=Truth(IMPATIENT.in_system_mean)),
    single("gimc", delayed_ratio=Truth(gimc_delayed_ratio(gamma_gaps(1.0, 0.5), 1.0, 1.0, 2), True)),
)  # fmt: skip
RESERVATIONS = (
    reservation("floor"), reservation("partition"), reservation("trunk"), reservation("cap"), reservation("preempt"),
    floor_latencies(),
)  # fmt: skip
LIMITERS = (
    single("token_bucket", refused_ratio=Truth(token_bucket_refused_ratio(60, 1.0), True)),
    single("fixed_window", refused_ratio=Truth(fixed_window_refused_ratio(60, 60.0), True)),
    single("sliding_log", refused_ratio=Truth(sliding_log_refused_ratio(60, 60.0), True)),
)  # fmt: skip
