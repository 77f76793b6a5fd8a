"""How long each answer takes, at least and at most, as the providers' emulator says when nothing else is going on."""

import math

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import Choices
from forge1sim.providers import begin, build_emulator, end, new_answers
from policies.layout import lay_out
from policies.schema import Fault, Provider

Floats = NDArray[np.float64]
MOST_ASKED = 1_000_000              # answers that the emulator is asked for; above, what needs them is left out
_OK = 0


class Times:
    """Seconds of answers by (request, route). Luck is keyed by request and attempt, so that it is known beforehand."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        realised = choices.realised
        self.attempts = 1 if _is_quiet(choices) else realised.bundle.retry.max_attempts
        platform = realised.layout.platform
        idle = platform.model_copy(
            update={
                "accounts": tuple(account.model_copy(update={"limits": ()}) for account in platform.accounts),
                "providers": tuple(Provider(name=one.name, timezone=one.timezone) for one in realised.layout.providers),
                "faults": (),
            }
        )  # fmt: skip
        self._emulator = build_emulator(lay_out(idle, realised.start_us), (), realised.start_us, realised.seed)
        self._kept: dict[int, tuple[Floats, Floats]] = {}

    def can_be_asked(self, routes: list[int]) -> bool:
        """Whether the answers of these routes are few enough to be asked for."""
        return len(routes) * self.attempts * len(self._choices.requests) <= MOST_ASKED

    def shortest_s(self, route: int) -> Floats:
        """The least that an answer takes, whichever attempt it is, shape (n,)."""
        slow = [fault.factor for fault in self._latencies(route)]
        return self._idle(route)[0] * math.prod(min(1.0, factor) for factor in slow)

    def longest_s(self, route: int, others: float) -> float:
        """The most that an answer takes beside at most `others` in flight; infinite if that matters and has no bound."""
        slope = self._choices.realised.layout.models[self._choices.routes[route].model].speed
        busy = 1.0 if slope.load_slope == 0 or slope.service_s is not None else 1.0 + slope.load_slope * others / 100
        slow = math.prod(max(1.0, fault.factor) for fault in self._latencies(route))
        return float(self._idle(route)[1].max(initial=0.0)) * busy * slow

    def _latencies(self, route: int) -> list[Fault]:
        pool = self._choices.pools[self._choices.routes[route].pool]
        return [fault for fault in pool.faults if fault.kind == "latency"]

    def _idle(self, route: int) -> tuple[Floats, Floats]:
        """The least and the most over attempts, shape (n,) each; 0 where the request does not suit the model's context."""
        deployment = self._choices.routes[route].deployment
        if deployment not in self._kept:
            requests, answers = self._choices.requests, new_answers(1)
            rows = list(zip(*(requests[name].tolist() for name in _NEEDED), strict=True))
            found = np.zeros((self.attempts, len(requests)))
            now_us = self._choices.realised.start_us
            most = self._choices.most_output[:, self._choices.routes[route].model].tolist()
            for attempt in range(1, self.attempts + 1):
                for row, ((tenant, number, fresh, cached, said), limit) in enumerate(zip(rows, most, strict=True)):
                    begin(self._emulator, deployment, tenant, number, attempt, 0, fresh, cached, said, limit, now_us, answers)
                    if answers[0]["outcome"] == _OK:
                        end(self._emulator, deployment, True, 0, 0, 0, now_us)
                        found[attempt - 1, row] = answers[0]["duration_us"] / 1e6
            self._kept[deployment] = (found.min(axis=0), found.max(axis=0))
        return self._kept[deployment]


_NEEDED = ("tenant", "number", "input_tokens", "cached_tokens", "output_tokens")


def _is_quiet(choices: Choices) -> bool:
    """Whether every request's first attempt is its last: nothing fails, and no limit takes the gateway by surprise."""
    realised = choices.realised
    failing = ("error_probability", "timeout_probability", "overload_probability", "caller_error_probability")
    return (
        not realised.faults and realised.estimation.is_exact and all(limit.known for limit in realised.layout.limits)
        and not any(getattr(provider, name) for provider in realised.layout.providers for name in failing)
    )  # fmt: skip
