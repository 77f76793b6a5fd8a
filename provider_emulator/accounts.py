"""Accounts: who may ask, what is still allowed, and what an answer will be. Time comes in as seconds."""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field

from provider_emulator.config import AccountSpec, Draw, LimitSpec, ModelSpec
from provider_emulator.limiters import Limiter, limiter_of

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call asks for. `most_output_tokens` 0: did not say. `output_tokens` and `service_s` where a test dictates them."""

    model: str
    input_tokens: int
    most_output_tokens: int
    output_tokens: int | None = None
    service_s: float | None = None
    seed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What will be answered: tokens, and seconds until the first token and until the last."""

    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    first_s: float
    total_s: float
    cut_short: bool


@dataclass(slots=True)
class Held:
    """One limit of an account."""

    spec: LimitSpec
    limiter: Limiter | None
    in_flight: int = 0
    used: float = 0.0
    refused: int = 0

    @property
    def name(self) -> str:
        """As in `/stats`."""
        return f"{self.spec.model_class or '*'}:{self.spec.dimension}"


@dataclass(frozen=True, slots=True)
class Turned:
    """A request that a limit turned away: which, and after how many seconds it would pass."""

    held: Held
    wait_s: float


@dataclass
class Account:
    """One account with its limits, full at `now_s`."""

    spec: AccountSpec
    now_s: float
    seed: int
    revoked: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.models = {model.name: model for model in self.spec.models}
        self._limits = [
            Held(limit, limiter_of(limit, self.now_s, self._uniform("phase", str(number)) * limit.window_s))
            for number, limit in enumerate(self.spec.limits)
        ]
        self._number = 0

    def limits_of(self, model: ModelSpec) -> list[Held]:
        """Limits that a model draws on."""
        own = model.model_class or model.name
        return [held for held in self._limits if held.spec.model_class in (None, own)]

    @property
    def limits(self) -> list[Held]:
        """All of them."""
        return self._limits

    def begin(self, model: ModelSpec, answer: Answer, most_output_tokens: int, now_s: float, scale: float = 1.0) -> Turned | None:
        """Count an attempt against all limits, or none of them. `scale` below 1: only that share of each is there."""
        limits = self.limits_of(model)
        worst: Turned | None = None
        for held in limits:
            units = _at_start(held.spec, answer, most_output_tokens)
            turned = _turned(held, units, now_s, scale)
            if turned is not None and (worst is None or turned.wait_s > worst.wait_s):
                worst = turned
        if worst is not None:
            worst.held.refused += 1
            return worst
        for held in limits:
            if held.limiter is None:
                held.in_flight += 1
                continue
            units = _at_start(held.spec, answer, most_output_tokens)
            held.limiter.take(units, now_s)
            held.used += units
        return None

    def end(self, model: ModelSpec, answer: Answer, output_tokens: int, now_s: float) -> None:
        """An attempt is over: what depends on its output is counted."""
        for held in self.limits_of(model):
            if held.limiter is None:
                held.in_flight -= 1
                continue
            units = _at_end(held.spec, model, answer, output_tokens)
            held.limiter.take(units, now_s)
            held.used += units

    def answer_to(self, asked: Asked, model: ModelSpec, speed_up: float) -> Answer:
        """What comes of a call: the same for the same seed, account, model and number of the call, or the call's own seed."""
        self._number += 1
        key = asked.seed or str(self._number)
        most = asked.most_output_tokens or 4096
        wanted = max(1, round(self._draw(model.output_tokens, "output", key))) if asked.output_tokens is None else asked.output_tokens
        output = min(wanted, most)
        noise = math.exp(model.noise_sigma * self._normal("noise", key)) if model.noise_sigma else 1.0
        if asked.service_s is not None:
            total, first = asked.service_s, asked.service_s / 2
        elif model.service_s is not None:
            total = self._draw(model.service_s, "service", key)
            first = total / 2
        else:
            first = (model.ttft_s + asked.input_tokens * model.s_per_1k_input / 1000) * noise
            total = first + output / model.tokens_per_s * noise
        return Answer(
            model=model.name, input_tokens=asked.input_tokens, cached_tokens=int(asked.input_tokens * model.cached_share),
            output_tokens=output, reasoning_tokens=int(output * model.reasoning_share), first_s=first / speed_up, total_s=total / speed_up,
            cut_short=wanted > most,
        )  # fmt: skip

    def chance(self, purpose: str) -> float:
        """A number from [0, 1) for the call at hand."""
        return self._uniform(purpose, str(self._number))

    def _uniform(self, purpose: str, key: str) -> float:
        digest = hashlib.blake2b(f"{self.seed}|{self.spec.name}|{purpose}|{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64

    def _normal(self, purpose: str, key: str) -> float:
        one, other = self._uniform(f"{purpose}1", key), self._uniform(f"{purpose}2", key)
        return math.sqrt(-2 * math.log(1 - one)) * math.cos(2 * math.pi * other)

    def _draw(self, draw: Draw, purpose: str, key: str) -> float:
        if draw.kind == "deterministic" or draw.mean == 0 or draw.cv == 0:
            return draw.mean
        if draw.kind == "exponential":
            return -draw.mean * math.log(1 - self._uniform(purpose, key))
        if draw.kind == "lognormal":
            sigma2 = math.log(1 + draw.cv**2)
            return math.exp(math.log(draw.mean) - sigma2 / 2 + math.sqrt(sigma2) * self._normal(purpose, key))
        from scipy.stats import gamma

        shape = 1 / draw.cv**2
        return float(gamma.ppf(self._uniform(purpose, key), shape, scale=draw.mean / shape))


def _turned(held: Held, units: float, now_s: float, scale: float) -> Turned | None:
    if held.limiter is None:
        return Turned(held, 1.0) if held.in_flight >= held.spec.amount * scale else None
    # What is charged at the end passes while anything is left.
    need = max(units, 1e-6)
    if scale < 1:
        need += (1 - scale) * held.limiter.capacity
    return None if held.limiter.fits(need, now_s) else Turned(held, held.limiter.wait_s(need, now_s))


def _at_start(spec: LimitSpec, answer: Answer, most_output_tokens: int) -> float:
    return {
        "requests": 1.0, "max_tokens": float(answer.input_tokens + (most_output_tokens or 4096)), "input": float(answer.input_tokens),
        "uncached_input": float(answer.input_tokens - answer.cached_tokens),
    }.get(spec.charge, 0.0)  # fmt: skip


def _at_end(spec: LimitSpec, model: ModelSpec, answer: Answer, output_tokens: int) -> float:
    cost_usd = (answer.input_tokens * model.input_usd_per_1m + output_tokens * model.output_usd_per_1m) / 1e6
    return {"output": float(output_tokens), "total": float(answer.input_tokens + output_tokens), "cost": cost_usd}.get(spec.charge, 0.0)
