"""Accounts: who may ask, what is still allowed, and what an answer will be. Time comes in as seconds."""

import math
from collections import Counter
from dataclasses import dataclass

from provider_emulator.config import LONGEST_S, AccountSpec, LimitSpec, ModelSpec
from provider_emulator.draws import Chance
from provider_emulator.limiters import Limiter, limiter_of

_ANYTHING = 1e-6        # what is charged as it is produced passes while anything is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call asks for. `most_output_tokens` None: did not say. `output_tokens` and `service_s` where a test dictates them."""

    model: str
    input_tokens: int
    most_output_tokens: int | None = None
    output_tokens: int | None = None
    service_s: float | None = None
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What will be answered: tokens, and seconds until the first token and until the last. `most_tokens` is what was reserved."""

    model: str
    input_tokens: int
    cached_tokens: int
    most_tokens: int
    output_tokens: int
    reasoning_tokens: int
    first_s: float
    total_s: float
    cut_short: bool


@dataclass(slots=True)
class Held:
    """One limit of an account. `used` is in its units; `drawn` is what that was worth of the whole limit while it was scaled down."""

    spec: LimitSpec
    limiter: Limiter | None
    name: str
    in_flight: int = 0
    used: float = 0.0
    drawn: float = 0.0
    refused: int = 0

    def turned_s(self, units: float, now_s: float, scale: float) -> float | None:
        """None: passes. Else after how many seconds it would."""
        if self.limiter is None:
            return 1.0 if self.in_flight >= self.spec.amount * scale else None
        need = units / scale
        return None if self.limiter.fits(need, now_s) else self.limiter.wait_s(need, now_s)

    def take(self, units: float, now_s: float, scale: float) -> None:
        """Count units. Of a limit that is scaled down each unit takes more, so that it refills slower and holds less."""
        if self.limiter is not None and units > 0:
            self.limiter.take(units / scale, now_s)
            self.used += units
            self.drawn += units / scale


@dataclass(frozen=True, slots=True)
class Turned:
    """A request that a limit turned away: which, after how many seconds it would pass, what it asked of it and what was used."""

    held: Held
    wait_s: float
    units: float
    used: float


class Account:
    """One account with its limits, full at `now_s`. `epoch_s`: seconds since the epoch when the clock is at 0."""

    def __init__(self, spec: AccountSpec, now_s: float, seed: int, epoch_s: float) -> None:
        self.spec, self.revoked = spec, set[str]()
        self.models = {model.name: model for model in spec.models}
        self.counts: Counter[str] = Counter()
        self.model_counts: dict[str, Counter[str]] = {model.name: Counter() for model in spec.models}
        self.chance = Chance(seed, spec.name)
        names: Counter[str] = Counter()
        self.limits: list[Held] = []
        for number, limit in enumerate(spec.limits):
            name = f"{limit.model_class or '*'}:{limit.dimension}"
            names[name] += 1
            limiter = limiter_of(limit, now_s, self.chance.uniform("phase", str(number)) * limit.window_s, epoch_s)
            self.limits.append(Held(limit, limiter, name if names[name] == 1 else f"{name}#{names[name]}"))
        self._limits_of = {
            model.name: tuple(held for held in self.limits if held.spec.model_class in (None, model.model_class or model.name))
            for model in spec.models
        }
        self._number = 0

    def limits_of(self, model: ModelSpec) -> tuple[Held, ...]:
        """Limits that a model draws on."""
        return self._limits_of[model.name]

    def count(self, what: str, model: ModelSpec | None, amount: int = 1) -> None:
        """For `stats`."""
        self.counts[what] += amount
        if model is not None:
            self.model_counts[model.name][what] += amount

    def next_key(self, asked: Asked) -> str:
        """What draws of the next attempt depend on: its model and number, or the seed that the call brings."""
        self._number += 1
        return f"{asked.model}|{asked.seed or self._number}"

    def begin(self, model: ModelSpec, answer: Answer, now_s: float, scale: float) -> Turned | None:
        """Count an attempt against all limits, or none of them; the limit that clears last is told."""
        limits = self._limits_of[model.name]
        worst: Turned | None = None
        for held in limits:
            units = _needed(held.spec, answer)
            wait_s = held.turned_s(units, now_s, scale)
            if wait_s is not None and (worst is None or wait_s > worst.wait_s):
                used = 0.0 if held.limiter is None else (held.limiter.capacity - held.limiter.room(now_s)) * scale
                worst = Turned(held, wait_s, units, used)
        if worst is not None:
            worst.held.refused += 1
            self.failed(model, now_s, scale)
            return worst
        for held in limits:
            held.in_flight += 1
            held.take(_at_start(held.spec, model, answer), now_s, scale)
        return None

    def failed(self, model: ModelSpec, now_s: float, scale: float) -> None:
        """A request was refused, or failed before it began: it costs a request where limits say so, and never a token."""
        for held in self._limits_of[model.name]:
            if held.spec.counts_failed and held.limiter is not None and held.limiter.fits(1 / scale, now_s):
                held.take(1.0, now_s, scale)

    def produce(self, model: ModelSpec, output_tokens: int, now_s: float, scale: float) -> None:
        """So much more output is there, and is counted."""
        if output_tokens <= 0:
            return
        self.count("output_tokens", model, output_tokens)
        for held in self._limits_of[model.name]:
            if held.spec.charge in ("output", "total"):
                held.take(float(output_tokens), now_s, scale)
            elif held.spec.charge == "cost":
                held.take(output_tokens * model.output_usd_per_1m / 1e6, now_s, scale)

    def end(self, model: ModelSpec) -> None:
        """An attempt is over."""
        for held in self._limits_of[model.name]:
            held.in_flight -= 1

    def answer_to(self, asked: Asked, model: ModelSpec, key: str, speed_up: float) -> Answer:
        """What comes of a call: the same for the same key."""
        chance = self.chance
        most = model.default_output_tokens if asked.most_output_tokens is None else asked.most_output_tokens
        wanted = asked.output_tokens
        if wanted is None:
            wanted = max(1, round(chance.draw(model.output_tokens, "output", key)))
        output = min(wanted, most)
        noise = math.exp(model.noise_sigma * chance.normal("noise", key)) if model.noise_sigma else 1.0
        if asked.service_s is not None:
            total, first = asked.service_s, asked.service_s / 2
        elif model.service_s is not None:
            total = chance.draw(model.service_s, "service", key)
            first = total / 2
        else:
            first = (model.ttft_s + asked.input_tokens * model.s_per_1k_input / 1000) * noise
            total = first + output / model.tokens_per_s * noise
        return Answer(
            model=model.name, input_tokens=asked.input_tokens, cached_tokens=int(asked.input_tokens * model.cached_share),
            most_tokens=most, output_tokens=output, reasoning_tokens=int(output * model.reasoning_share),
            first_s=min(first / speed_up, LONGEST_S), total_s=min(total / speed_up, LONGEST_S), cut_short=wanted > most,
        )  # fmt: skip


def _needed(spec: LimitSpec, answer: Answer) -> float:
    """Units that must be left for a request to pass."""
    match spec.charge:
        case "requests":
            return 1.0
        case "max_tokens":
            return float(answer.input_tokens + answer.most_tokens)
        case "input" | "total":
            return float(answer.input_tokens)
        case "uncached_input":
            return float(answer.input_tokens - answer.cached_tokens)
        case "output" | "cost":
            return _ANYTHING


def _at_start(spec: LimitSpec, model: ModelSpec, answer: Answer) -> float:
    """Units that are taken when a request begins."""
    if spec.charge == "output":
        return 0.0
    if spec.charge != "cost":
        return _needed(spec, answer)
    cached_usd = model.input_usd_per_1m if model.cached_input_usd_per_1m is None else model.cached_input_usd_per_1m
    uncached = answer.input_tokens - answer.cached_tokens
    return (uncached * model.input_usd_per_1m + answer.cached_tokens * cached_usd) / 1e6
