"""The bound's own schedule, run in the simulator: how near to the bound somebody can come who knows everything."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.drivers.compiled_driver import run_compiled
from forge1sim.drivers.stage import Stage
from forge1sim.experiments.clairvoyant.bound import Bound
from forge1sim.experiments.clairvoyant.realised import Realised, answers_among
from policies.bundle import PolicyBundle, Queueing, Reservation, Routing
from policies.log import COMPLETE, ROW

MOST_REPAIRS = 8
_QUALITY_SHIFT = 48


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What the schedule came to. `cost_nano_usd` is for all requests: whom the replay did not serve counts as the policy paid.

    `quality_mean` is of the served, 0 to 1. `moved` requests found no room in time with the model of the schedule and got another.
    """

    requests: int
    served: int
    moved: int
    cost_nano_usd: int
    quality_mean: float


def replay(realised: Realised, bound: Bound) -> Replay:
    """Run the served requests again, each asking for the model that the bound's schedule gives it, with no fallback.

    Providers, limits, faults and luck are those of the policy's run. Requests come when their block of the schedule begins,
    or when they came if that is later, and are served in that order; shares of tiers are not kept. The bound knows blocks
    and fractions: who finds no room in time asks for the next best model at the bound's prices in another run, up to 8 times.
    """
    requests = realised.requests.copy()
    requests["wanted"] = bound.models
    requests["arrive_us"] = np.maximum(requests["arrive_us"], bound.from_us)
    tried = np.zeros(len(requests), dtype=np.int64)
    best = _run(realised, requests)
    for _ in range(MOST_REPAIRS):
        missed = np.setdiff1d(np.arange(len(requests)), best["request"])
        if not len(missed):
            break
        _ask_next(requests, bound, missed, tried)
        again = _run(realised, requests)
        best = again if len(again) >= len(best) else best
    missed = np.setdiff1d(np.arange(len(requests)), best["request"])
    return Replay(
        requests=len(requests), served=len(best), moved=int(np.count_nonzero(requests["wanted"] != bound.models)),
        cost_nano_usd=int(best["v2"].sum() + realised.answer_nano_usd[missed].sum()),
        quality_mean=float((best["v4"] >> _QUALITY_SHIFT).mean()) / 1000 if len(best) else float("nan"),
    )  # fmt: skip


def _ask_next(requests: NDArray[np.void], bound: Bound, missed: NDArray[np.int64], tried: NDArray[np.int64]) -> None:
    """Let those who were missed ask for the next model of their ranking; after the last the first comes again."""
    for row in missed.tolist():
        ranked = [model for model in bound.ranking[row].tolist() if model >= 0]
        others = [model for model in ranked if model != bound.models[row]] or ranked
        requests["wanted"][row] = others[int(tried[row]) % len(others)]
        tried[row] += 1


def _run(realised: Realised, requests: NDArray[np.void]) -> NDArray[np.void]:
    """The answers of a run of these requests, whose rows are in any order; `request` of an answer is such a row."""
    order = np.lexsort((requests["number"], requests["tenant"], requests["arrive_us"]))
    requests = requests[order]
    kept: list[NDArray[np.void]] = []
    last_us = int(requests["arrive_us"][-1]) + 1
    stage = Stage(
        realised.layout, _bundle(realised.bundle), realised.faults, iter([requests]), start_us=realised.start_us,
        horizon_us=last_us - realised.start_us, drain_us=realised.end_us - last_us, seed=realised.seed,
        sink=lambda rows: kept.append(rows[rows["kind"] == COMPLETE]), estimation=realised.estimation,
    )  # fmt: skip
    run_compiled(stage)
    answers = answers_among(np.concatenate(kept) if kept else np.zeros(0, ROW))
    answers["request"] = order[answers["request"]]
    return answers


def _bundle(bundle: PolicyBundle) -> PolicyBundle:
    """First come, first served, each by the model it names."""
    return bundle.model_copy(
        update={
            "routing": Routing(policy="headroom"), "reservation": Reservation(mode="none"),
            "queue": Queueing(aging_per_s=1e6, fair_share=False), "retry": bundle.retry.model_copy(update={"fallback_models": False}),
        }
    )  # fmt: skip
