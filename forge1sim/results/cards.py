"""Key figures: one card for each tier, with its promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forge1sim.results.measures import MEASURES, NOTHING
from forge1sim.results.read import RunFolder

_FACTS = (
    "arrived", "wait_p95_s", "latency_p95_s", "on_time_ratio", "quality_mean", "satisfaction", "jain_index", "cost_usd",
    "revenue_usd", "margin_usd",
)  # fmt: skip


@dataclass(frozen=True)
class Promise:
    """An SLO in words: what was promised, what was seen, and whether it held."""

    name: str
    tier: str
    measure: str
    target: str
    seen: str
    met: bool

    @property
    def word(self) -> str:
        """The outcome for readers who do not see colours."""
        return "kept" if self.met else "missed"


@dataclass(frozen=True)
class Card:
    """A tier at a glance. `served` is the share of its requests that were answered; `facts` are titles with texts."""

    tier: str
    served: str
    facts: tuple[tuple[str, str], ...]
    promises: tuple[Promise, ...]

    @property
    def verdict(self) -> str:
        """`kept 2 of 2 promises`, with MISSED first where one was not kept."""
        kept = sum(promise.met for promise in self.promises)
        if not self.promises:
            return "no promise of its own"
        return f"{'kept' if kept == len(self.promises) else 'MISSED: kept'} {kept} of {len(self.promises)} promises"


def promises(slos: Sequence[Mapping[str, Any]]) -> tuple[Promise, ...]:
    """The promises of a summary, `slos`, in words."""
    return tuple(_promise(slo) for slo in slos)


def _promise(slo: Mapping[str, Any]) -> Promise:
    measure = MEASURES[slo["metric"]]
    bounds = (("at least", slo["at_least"]), ("at most", slo["at_most"]))
    target = " and ".join(f"{word} {measure.text(bound)}" for word, bound in bounds if bound is not None)
    seen = measure.text(slo["value"])
    return Promise(slo["name"], slo["tier"], measure.title, target, "not measured" if seen == NOTHING else seen, bool(slo["met"]))


def tier_cards(run: RunFolder) -> tuple[Card, ...]:
    """A card for each tier in the order of the scenario's tiers."""
    told = promises(run.slos)
    return tuple(
        Card(
            tier=name,
            served=MEASURES["served_ratio"].text(figures["served_ratio"]),
            facts=tuple((MEASURES[fact].title, MEASURES[fact].text(figures[fact])) for fact in _FACTS),
            promises=tuple(promise for promise in told if promise.tier == name),
        )
        for name, figures in run.summary["tiers"].items()
    )


def verdict(run: RunFolder) -> str:
    """Whether the promises held, in one sentence."""
    told = promises(run.slos)
    if not told:
        return "The scenario makes no promises (SLOs), so there is nothing to keep or miss."
    missed = [promise.name for promise in told if not promise.met]
    if not missed:
        return f"All {len(told)} promises were kept." if len(told) > 1 else "The one promise was kept."
    many = f"{len(missed)} of {len(told)} promises were" if len(told) > 1 else "The one promise was"
    return f"{many} missed: {', '.join(missed)}."
