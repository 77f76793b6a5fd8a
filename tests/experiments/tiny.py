"""Tiny platforms with a handful of requests, and the cheapest schedule by trying them all on the providers' emulator."""

import itertools
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forge1sim.drivers.compiled_driver import run_compiled
from forge1sim.drivers.stage import Stage
from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.experiments.clairvoyant.realised import Realised, answers_among, realised_of
from forge1sim.providers import begin, build_emulator, end, new_answers
from forge1sim.workload.table import AUTO, NEVER_US, REQUESTS
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.schema import Platform

SECOND_US = 1_000_000
HORIZON_US, DRAIN_US = 30 * SECOND_US, 60 * SECOND_US
CHOICES = ("cost_efficiency", "cheapest", "best_quality", "any")
_LIMITS = (
    {"dimension": "rpm", "limit": 6.0, "burst_s": 20.0}, {"dimension": "rpm", "limit": 12.0, "burst_s": 10.0, "window": "paced"},
    {"dimension": "rpm", "limit": 2.0, "window": "fixed", "window_s": 10.0},
    {"dimension": "rpm", "limit": 2.0, "window": "sliding", "window_s": 10.0},
    {"dimension": "tpm", "limit": 6_000.0, "burst_s": 20.0}, {"dimension": "tpm", "limit": 4_000.0, "burst_s": 5.0, "window": "paced"},
    {"dimension": "itpm", "limit": 1_500.0, "window": "fixed", "window_s": 10.0}, {"dimension": "concurrency", "limit": 1.0},
    {"dimension": "otpm", "limit": 1_000.0, "burst_s": 60.0}, {"dimension": "spend", "limit": 0.01, "window_s": 15.0},
)  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """A platform and its requests."""

    platform: Platform
    requests: NDArray[np.void]
    seed: int

    def run(self, choice: str) -> Realised:
        """What the gateway makes of it with a shipped model choice."""
        layout = lay_out(self.platform, 0)
        bundle = PolicyBundle.model_validate({"routing": {"model_choice": choice, "policy": "headroom"}})
        rows: list[NDArray[np.void]] = []
        run_compiled(
            Stage(
                layout, bundle, (), iter([self.requests.copy()]), start_us=0, horizon_us=HORIZON_US, drain_us=DRAIN_US, seed=self.seed,
                sink=lambda chunk: rows.append(chunk.copy()),
            )
        )  # fmt: skip
        return realised_of(
            self.requests, answers_among(np.concatenate(rows)), layout=layout, bundle=bundle, faults=(), seed=self.seed,
            start_us=0, end_us=HORIZON_US + DRAIN_US,
        )  # fmt: skip


def make_tiny(number: int) -> Tiny:
    """Case `number`: 3 to 8 requests, one or two models, one limit on the cheaper one, or on both together."""
    r = random.Random(number)
    requests = np.zeros(r.randint(3, 8), REQUESTS)
    models = 1 if len(requests) > 6 else 2
    limit = dict(_LIMITS[number % len(_LIMITS)]) | {"model_class": r.choice(("m0", "m0", "*"))}
    platform = Platform.model_validate({
        "models": [
            {
                "name": f"m{row}", "provider": "p", "input_usd_per_1m": 1.0 + 4 * row, "output_usd_per_1m": 5.0 + 10 * row,
                "max_output_tokens": 2_000, "performance": [0.9 + 0.05 * row] * 3 + [0.6 + 0.3 * row] * 2,
                "speed": {"service_s": {"kind": "deterministic", "mean": 3.0 + row}},
            }
            for row in range(models)
        ],
        "accounts": [{"name": "a", "provider": "p", "limits": [limit]}], "tenants": [{"name": "t", "tier": "standard"}],
    })  # fmt: skip
    draws = np.random.default_rng(number)
    n = len(requests)
    requests["arrive_us"] = np.sort(draws.integers(0, 8, n)) * SECOND_US
    requests["number"] = np.arange(n)
    requests["input_tokens"] = draws.integers(100, 900, n)
    requests["cached_tokens"] = requests["input_tokens"] // 4
    requests["output_tokens"] = draws.integers(50, 500, n)
    requests["max_output_tokens"] = requests["output_tokens"] + draws.integers(0, 200, n)
    requests["complexity_pm"] = draws.integers(0, 1001, n)
    requests["wanted"] = AUTO
    requests["deadline_us"] = requests["arrive_us"] + draws.integers(4, 20, n) * SECOND_US
    requests["cancel_us"] = NEVER_US
    return Tiny(platform, requests, number)


def cheapest_by_trial(realised: Realised, moments: list[int]) -> int:
    """Nano-USD of the cheapest schedule that the emulator lets through, over all models and all starts among `moments`.

    Every served request is served, between its arrival and its deadline, and the quality in sum is at least the policy's.
    """
    choices = Choices(realised)
    prices, quality = choices.nano_usd, choices.quality_pm
    vectors = sorted(
        (int(prices[np.arange(len(picked)), picked].sum()), picked)
        for picked in itertools.product(range(choices.models), repeat=len(realised.requests))
        if quality[np.arange(len(picked)), picked].sum() >= realised.quality_pm
    )
    for cost, picked in vectors:
        if _can_be_sent(realised, picked, moments):
            return cost
    raise AssertionError("not even the policy's own schedule was found")


def _can_be_sent(realised: Realised, models: tuple[int, ...], moments: list[int]) -> bool:
    """Whether some order and timing passes all limits: depth first, in order of time."""
    requests = realised.requests
    block = build_emulator(realised.layout, (), 0, realised.seed)
    answer = new_answers(1)

    def go(at: int, block: NDArray[np.uint8], flying: tuple[tuple[int, int], ...], left: frozenset[int]) -> bool:
        if not left:
            return True
        if at == len(moments) or any(requests[row]["deadline_us"] < moments[at] for row in left):
            return False
        now_us = moments[at]
        block = block.copy()
        for ends_us, row in sorted(flying):
            if ends_us <= now_us:
                one = requests[row]
                end(block, models[row], True, one["input_tokens"], one["cached_tokens"], one["output_tokens"], ends_us)
        flying = tuple(one for one in flying if one[0] > now_us)
        ready = [row for row in left if requests[row]["arrive_us"] <= now_us]
        for size in range(len(ready), -1, -1):
            for group in itertools.combinations(ready, size):
                trial, sent, passed = block.copy(), [], True
                for row in group:
                    one = requests[row]
                    begin(
                        trial, models[row], 0, one["number"], 1, 0, one["input_tokens"], one["cached_tokens"], one["output_tokens"],
                        one["max_output_tokens"], now_us, answer,
                    )  # fmt: skip
                    if answer[0]["outcome"] != 0:
                        passed = False
                        break
                    sent.append((now_us + int(answer[0]["duration_us"]), row))
                if passed and go(at + 1, trial, (*flying, *sent), left - set(group)):
                    return True
        return False

    return go(0, block, (), frozenset(range(len(requests))))
