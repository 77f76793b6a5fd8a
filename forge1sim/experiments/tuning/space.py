"""What a search may change: choices among names, ranges of numbers, and the shipped defaults to begin with.

A knob is written as `path=one,other` (a choice), `path=low:high` (a number), `path=low:high:log` (a number whose
order of magnitude matters) or `path=low:high:int` (a whole number).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forge1sim.ask import Ask
from forge1sim.errors import ExperimentError, ScenarioError
from forge1sim.scenario.load import LoadedScenario
from forge1sim.scenario.yaml_tree import scalar_value
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.shipped import shipped_names

POLICIES = "policies."
Value = str | int | float | bool
Point = Mapping[str, Value]
"""A value for each knob, by path."""
MOST_KNOBS = 64
ORDINARY_INPUT_TOKENS, ORDINARY_OUTPUT_TOKENS = 1000, 250
ORDINARY_TOKENS = ORDINARY_INPUT_TOKENS + ORDINARY_OUTPUT_TOKENS
MINUTE_US = 60_000_000
# What a request of ordinary size takes of a limit, by its charge rule.
ORDINARY_USE = {
    "requests": 1, "max_tokens": ORDINARY_TOKENS, "total": ORDINARY_TOKENS, "input": ORDINARY_INPUT_TOKENS,
    "uncached_input": ORDINARY_INPUT_TOKENS, "output": ORDINARY_OUTPUT_TOKENS,
}  # fmt: skip
BLIND = ("round_robin", "random")     # shipped to compare with; nobody would choose them


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values; order means nothing."""

    path: str
    values: tuple[Value, ...]

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.path}={','.join(written(value) for value in self.values)}"

    def holds(self, value: Value) -> bool:
        """Whether it may have this value."""
        return value in self.values

    def at(self, share: float) -> Value:
        """The value at a share from 0 to 1."""
        return self.values[min(len(self.values) - 1, int(share * len(self.values)))]

    def probes(self) -> tuple[Value, ...]:
        """Values that a scenario should be able to have."""
        return self.values


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number from `low` to `high`, both included."""

    path: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return f"{self.path}={self.low:g}:{self.high:g}" + (":log" if self.log else "") + (":int" if self.whole else "")

    def holds(self, value: Value) -> bool:
        """Whether it may have this value."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def at(self, share: float) -> Value:
        """The value at a share from 0 to 1 of the range, or of its logarithm."""
        value: float = self.low * (self.high / self.low) ** share if self.log else self.low + (self.high - self.low) * share
        value = min(self.high, max(self.low, value))
        return round(value) if self.whole else value

    def share(self, value: float) -> float:
        """The inverse of `at`; of a value outside the range that of the nearer end."""
        value = min(self.high, max(self.low, value))
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def probes(self) -> tuple[Value, ...]:
        """Values that a scenario should be able to have: the ends, and one between them that is no whole number."""
        if self.whole:
            return round(self.low), round(self.high)
        return self.low, self.low + (self.high - self.low) / math.pi, self.high


Knob = Choice | Range


def parse_knob(text: str) -> Knob:
    """A policy's knob from `path=...`. Raises ExperimentError saying what would be right."""
    shown, path, rest = _parts("--space", text)
    if not path.startswith(POLICIES):
        raise ExperimentError(f"{shown}: {path} is no policy; a search changes {POLICIES}*, forge1sim sweep all else")
    parts = rest.split(":")
    if "," not in rest and len(parts) > 1 and _number(parts[0]) is not None:
        return _range(shown, path, parts)
    values = tuple(dict.fromkeys(_scalar(shown, part.strip()) for part in rest.split(",")))
    if len(values) < 2:
        raise ExperimentError(f"{shown}: one value is no choice; name several, or a range low:high")
    return Choice(path=path, values=values)


def parse_range(text: str) -> Range:
    """A range of any field of a scenario from `path=low:high`. Raises ExperimentError."""
    shown, path, rest = _parts("--range", text)
    parts = rest.split(":")
    if len(parts) < 2 or _number(parts[0]) is None:
        raise ExperimentError(f"{shown}: {rest!r} is no range; should be low:high, low:high:log or low:high:int")
    return _range(shown, path, parts)


def _parts(option: str, text: str) -> tuple[str, str, str]:
    shown = f"{option} {text if len(text) <= 100 else text[:97] + '...'}"
    path, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not path or not rest:
        raise ExperimentError(f"{shown}: should be path=low:high or path=one,other, such as policies.retry.backoff_s=0.1:5:log")
    return shown, path, rest


def _range(shown: str, path: str, parts: Sequence[str]) -> Range:
    low, high, words = _number(parts[0]), _number(parts[1]), [part.strip() for part in parts[2:]]
    if low is None or high is None:
        raise ExperimentError(f"{shown}: {parts[1]!r} is no finite number; a range is low:high")
    unknown = [word for word in words if word not in {"log", "int"}]
    if unknown:
        raise ExperimentError(f"{shown}: {unknown[0]!r} is unknown; after low:high may come log or int")
    if low >= high:
        raise ExperimentError(f"{shown}: {parts[0]} is not below {parts[1]}; a range is low:high")
    if "log" in words and low <= 0:
        raise ExperimentError(f"{shown}: a range with log begins above 0, not at {low:g}")
    if "int" in words and (low != int(low) or high != int(high)):
        raise ExperimentError(f"{shown}: a range with int begins and ends with whole numbers")
    return Range(path=path, low=low, high=high, log="log" in words, whole="int" in words)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _scalar(shown: str, text: str) -> Value:
    try:
        value = scalar_value(text)
    except ValueError as error:
        raise ExperimentError(f"{shown}: {error}") from error
    if value is None or text == "":
        raise ExperimentError(f"{shown}: {text!r} is no value; write names, numbers, true or false between commas")
    return value


def written(value: Value) -> str:
    """A value as an override takes it."""
    if isinstance(value, str):
        return value if _reads_back(value) else json.dumps(value)
    return json.dumps(value)


def _reads_back(text: str) -> bool:
    try:
        return scalar_value(text) == text and text == text.strip() and not set(text) & set("\"'#{}[]&*!|>%@`,")
    except ValueError:
        return False


def overrides_of(point: Point) -> tuple[str, ...]:
    """A point as `path=value` overrides."""
    return tuple(f"{path}={written(value)}" for path, value in point.items())


def with_point(ask: Ask, point: Point) -> Ask:
    """The same ask under the policies of a point."""
    return replace(ask, overrides=(*ask.overrides, *overrides_of(point)))


def checked_space(ask: Ask, knobs: Iterable[str | Knob]) -> tuple[Knob, ...]:
    """The knobs, each of whose values the scenario takes. Raises ExperimentError naming the knob and why not."""
    space = tuple(parse_knob(knob) if isinstance(knob, str) else knob for knob in knobs)
    demand_values(ask, space, "--space")
    return space


def demand_values(ask: Ask, space: Sequence[Knob], option: str) -> None:
    """Raise ExperimentError unless the scenario takes each value of each knob by itself."""
    paths = [knob.path for knob in space]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise ExperimentError(f"{option} {twice}: is given twice")
    if not 1 <= len(space) <= MOST_KNOBS:
        raise ExperimentError(f"a space of {len(space)} knobs; should be 1 to {MOST_KNOBS}")
    for knob in space:
        for value in knob.probes():
            try:
                with_point(ask, {knob.path: value}).load()
            except ScenarioError as error:
                hint = "; a whole number is meant by low:high:int" if "valid integer" in error.problems[0] else ""
                raise ExperimentError(f"{option} {knob.text}: {value!r} cannot be: {error.problems[0]}{hint}") from error


def own_point(loaded: LoadedScenario, space: Sequence[Knob]) -> dict[str, Value]:
    """What the scenario itself says for each knob."""
    return {knob.path: _own(loaded, knob.path) for knob in space}


def _own(loaded: LoadedScenario, path: str) -> Value:
    here: Any = loaded.bundle
    parts = path.removeprefix(POLICIES).split(".")
    for place, part in enumerate(parts):
        if isinstance(here, dict):          # of numbers, by names that may have dots in them
            here = here.get(".".join(parts[place:]), 0.0)
            break
        if isinstance(here, tuple):
            names = {getattr(item, "name", None): item for item in here}
            here = names[part] if part in names else here[int(part)]
        else:
            here = getattr(here, part)
    if not isinstance(here, str | int | float | bool):
        raise ExperimentError(f"--space {path}: is {type(here).__name__.lower()}, should be a name, a number, true or false")
    return here


def shipped_defaults(loaded: LoadedScenario) -> tuple[dict[str, Value], ...]:
    """The scenario's own policies with other shipped names for routing, model choice and reservation.

    Every combination of routing and model choice, then each way to reserve; without the two that choose blindly.
    Each is given as what it changes; those that decide the same are given once.
    """
    routing = loaded.bundle.routing
    found: list[dict[str, Value]] = [{}]
    for choice in shipped_names("routing.model_choice"):
        for policy in shipped_names("routing.policy"):
            same_as_headroom = policy == "cost_efficiency" and choice != "any"
            if policy not in BLIND and not same_as_headroom and (policy, choice) != _in_effect(routing.policy, routing.model_choice):
                found.append({f"{POLICIES}routing.policy": policy, f"{POLICIES}routing.model_choice": choice})
    for mode in shipped_names("reservation.mode"):
        if mode != loaded.bundle.reservation.mode:
            found.append({f"{POLICIES}reservation.mode": mode})
    return tuple(found)


def _in_effect(policy: str, choice: str) -> tuple[str, str]:
    return ("headroom" if policy == "cost_efficiency" and choice != "any" else policy), choice


def default_space(loaded: LoadedScenario) -> tuple[Knob, ...]:
    """The knobs that a scenario's own bundle suggests: what it uses can be turned, what it does not use stays away."""
    bundle, group = loaded.bundle, loaded.groups
    knobs: list[Knob] = [
        Choice(path="policies.routing.model_choice", values=shipped_names("routing.model_choice")),
        Choice(path="policies.routing.policy", values=tuple(n for n in shipped_names("routing.policy") if n not in BLIND)),
        Choice(path="policies.reservation.mode", values=shipped_names("reservation.mode")),
        Range(path="policies.queue.aging_per_s", low=0, high=20),
        Range(path="policies.queue.max_waiting", low=10, high=10_000, log=True, whole=True),
        Range(path="policies.queue.max_waiting_per_tenant", low=1, high=1000, log=True, whole=True),
        Choice(path="policies.queue.fair_share", values=(True, False)),
        Range(path="policies.retry.max_attempts", low=1, high=8, whole=True),
        Range(path="policies.retry.backoff_s", low=0.05, high=5, log=True),
        Range(path="policies.cooldown.failures_to_cool", low=1, high=10, whole=True),
        Range(path="policies.cooldown.cooldown_s", low=2, high=120, log=True),
    ]
    knobs += _of_tiers(bundle)
    knobs += _of_models(loaded)
    if any(account.dedicated_to for account in loaded.platform.accounts):
        knobs.append(Choice(path="policies.reservation.dedicated_overflow", values=(True, False)))
    if any(one.budget_usd_per_month is not None or one.request_budget_usd is not None for one in group):
        knobs.append(Range(path="policies.output_prediction_ratio", low=0.1, high=1))
    if any(account.state != "active" for account in loaded.platform.accounts):
        knobs += [
            Choice(path="policies.scaling.policy", values=shipped_names("scaling.policy")),
            Range(path="policies.scaling.add_above", low=0.6, high=0.95),
            Range(path="policies.scaling.retire_below", low=0.05, high=0.5),
            Range(path="policies.scaling.hold_periods", low=1, high=10, whole=True),
            Range(path="policies.scaling.cooldown_s", low=60, high=1800, log=True),
        ]
    return tuple(knobs)


def _of_models(loaded: LoadedScenario) -> list[Knob]:
    """Bid prices of all models but the dearest, which is taken last anyway: up to what it takes for a request of ordinary size.

    Per request or per token, as the limit counts that fills up first with requests of that size.
    """
    costs = {
        model.name: (ORDINARY_INPUT_TOKENS * model.input_usd_per_1m + ORDINARY_OUTPUT_TOKENS * model.output_usd_per_1m) / 1e6
        for model in loaded.platform.models
    }
    dearest = max(costs, key=lambda name: costs[name])
    if len(costs) < 2 or costs[dearest] <= 0:
        return []
    most = {"bid_price_usd_per_request": costs[dearest], "bid_price_usd_per_1m_tokens": costs[dearest] * 1e6 / ORDINARY_TOKENS}
    by_token = _short_of_tokens(loaded)
    fields = {name: f"bid_price_usd_per_{'1m_tokens' if name in by_token else 'request'}" for name in costs if name != dearest}
    return [Range(path=f"{POLICIES}routing.{field}.{name}", low=0, high=most[field]) for name, field in fields.items()]


def _short_of_tokens(loaded: LoadedScenario) -> set[str]:
    """Models whose tightest limit, for requests of ordinary size, counts tokens."""
    layout = lay_out(loaded.platform, loaded.start_us)
    found = set()
    for deployment in layout.deployments:
        account, bucket = layout.accounts[deployment.account], layout.buckets[deployment.bucket]
        rows = [*range(account.limit_lo, account.limit_hi), *range(bucket.limit_lo, bucket.limit_hi)]
        rates = [limit for limit in (layout.limits[row] for row in rows) if limit.charge in ORDINARY_USE and limit.window != "none"]
        tightest = min(rates, key=lambda limit: limit.amount / (limit.window_us or MINUTE_US) / ORDINARY_USE[limit.charge], default=None)
        if tightest is not None and tightest.charge != "requests":
            found.add(layout.models[deployment.model].name)
    return found


def _of_tiers(bundle: PolicyBundle) -> list[Knob]:
    """Shares of all tiers but the lowest, which has what is left."""
    ranked = sorted(bundle.tiers, key=lambda tier: -tier.priority_score)
    return [Range(path=f"policies.tiers.{tier.name}.guaranteed_capacity", low=0, high=0.9) for tier in ranked[:-1]]
