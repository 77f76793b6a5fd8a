"""What a plan must survive: an outage of one account, or of one provider, at the busiest time of a tier that was promised so."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forge1sim.planning.options import Options, Plan
from forge1sim.scenario.terms import Survival

if TYPE_CHECKING:
    from forge1sim.planning.bound import Draw

_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One account of an entry, or all of a provider, is out from `start_s` for `duration_s`; promises to `tier` must hold all the same."""

    tier: str
    lost: str
    name: str
    start_s: float
    duration_s: float

    def shown(self) -> str:
        """In words."""
        what = f"one account of {self.name}" if self.lost == "account" else f"provider {self.name}"
        return f"{what} out for {self.duration_s / _HOUR_S:g} h"


def losses_of(options: Options, draws: "Sequence[Draw]") -> tuple[Loss, ...]:
    """Every loss that the terms ask for, at the hour in which most requests of the tier arrive."""
    return tuple(loss for asked in options.loaded.scenario.plan.survive for loss in _losses(options, draws, asked))


def _losses(options: Options, draws: "Sequence[Draw]", asked: Survival) -> Iterator[Loss]:
    tiers = [tier.name for tier in options.loaded.bundle.tiers]
    busy = np.sum([draw.by_hour[tiers.index(asked.tier)] for draw in draws], axis=0)
    duration_s = asked.hours * _HOUR_S
    latest_s = max(0.0, options.loaded.horizon_us / 1e6 - duration_s)
    start_s = min(float(busy.argmax()) * _HOUR_S, latest_s)
    names = [one.name for one in options.entries] if asked.lost == "account" else dict.fromkeys(one.provider for one in options.entries)
    for name in names:
        yield Loss(tier=asked.tier, lost=asked.lost, name=name, start_s=start_s, duration_s=duration_s)


def override_of(options: Options, plan: Plan, loss: Loss) -> str | None:
    """The loss as a fault beside the scenario's own, `faults=[...]`; None where the plan has nothing of it to lose."""
    counts = {one.name: count for one, count in zip(options.entries, plan.counts, strict=True)}
    fault: dict[str, object] = {"kind": "outage", "start_s": loss.start_s, "duration_s": loss.duration_s}
    if loss.lost == "account":
        if not counts[loss.name]:
            return None
        fault["account"] = loss.name if counts[loss.name] == 1 else f"{loss.name}-1"
    else:
        if not any(counts[one.name] for one in options.entries if one.provider == loss.name):
            return None
        fault["provider"] = loss.name
    own = [one.model_dump(mode="json", exclude_unset=True) for one in options.loaded.faults]
    return f"faults={json.dumps([*own, fault])}"
