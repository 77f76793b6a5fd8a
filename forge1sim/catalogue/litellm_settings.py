"""What LiteLLM's router settings mean as policies, and its fallbacks; what has no counterpart is noted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

STRATEGIES: Mapping[str, str] = {
    "simple-shuffle": "weighted",
    "least-busy": "least_in_flight",
    "usage-based-routing": "headroom",
    "usage-based-routing-v2": "headroom",
    "latency-based-routing": "latency",
    "cost-based-routing": "cost_efficiency",
}
DEFAULT_STRATEGY = "simple-shuffle"
MOST_ATTEMPTS = 32
MOST_FAILURES = 10_000
LARGEST_NUMBER = Decimal(10) ** 12

_READ_FROM_EITHER = ("num_retries", "allowed_fails", "cooldown_time", "retry_after", "fallbacks", "default_fallbacks")
_WHY_DROPPED: Mapping[str, str] = {
    "context_window_fallbacks": "a model whose window is too small is never chosen here",
    "content_policy_fallbacks": "content refusals are not simulated",
    "model_group_alias": "let requests name the group itself",
    "enable_pre_call_checks": "limits are always checked before a call here",
    "timeout": "set the provider's timeout_s and the requests' deadline",
    "request_timeout": "set the provider's timeout_s and the requests' deadline",
    "stream_timeout": "set the provider's timeout_s and the requests' deadline",
    "allowed_fails_policy": "one count of failures holds for every kind",
    "retry_policy": "one number of attempts holds for every kind of failure",
    "model_group_retry_policy": "one number of attempts holds for every model",
    "disable_cooldowns": "raise cooldown.failures_to_cool instead",
    "max_parallel_requests": "set a concurrency limit on each account",
}


class Notes:
    """What was dropped or approximated, in order, each once. Never holds the value of a setting."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def add(self, note: str) -> None:
        """Keep this note, or count it once more."""
        self._count[note] = self._count.get(note, 0) + 1

    def dropped(self, where: str, keys: Iterable[object]) -> None:
        """Note settings without a counterpart here, by name."""
        for key in keys:
            why = _WHY_DROPPED.get(str(key), "no counterpart here")
            self.add(f"{where}.{key}: dropped; {why}")

    def lines(self) -> tuple[str, ...]:
        """The notes, with how often each came up."""
        return tuple(note if count == 1 else f"{note} ({count} times)" for note, count in self._count.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """LiteLLM's settings in our words: a part of a policy bundle, and fallbacks by model group."""

    strategy: str
    policies: dict[str, Any]
    fallbacks: dict[str, list[str]] = field(default_factory=dict)
    default_fallbacks: list[str] = field(default_factory=list)


def number(value: object) -> Decimal | None:
    """A finite number from YAML, where `2e-7` is text; None if it is none, negative or beyond 10**12."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        exact = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return exact if exact.is_finite() and 0 <= exact <= LARGEST_NUMBER else None


def section(config: Mapping[str, Any], name: str, notes: Notes) -> dict[str, Any]:
    """A top-level mapping of the config; empty (and noted) if it is something else."""
    found = config.get(name)
    if isinstance(found, dict):
        return found
    if found is not None:
        notes.add(f"{name}: dropped; expected a mapping, found a {type(found).__name__}")
    return {}


def read_settings(config: Mapping[str, Any], notes: Notes) -> RouterSettings:
    """Policies and fallbacks from `router_settings` and `litellm_settings`; the former wins."""
    router = section(config, "router_settings", notes)
    library = section(config, "litellm_settings", notes)
    settings = {**library, **router}
    notes.dropped("router_settings", (key for key in router if key not in (*_READ_FROM_EITHER, "routing_strategy")))
    notes.dropped("litellm_settings", (key for key in library if key not in _READ_FROM_EITHER))
    strategy = _strategy(router, notes)
    policies: dict[str, Any] = {"routing": {"policy": STRATEGIES[strategy]}}
    for part, values in (("retry", _retry(settings, notes)), ("cooldown", _cooldown(settings, notes))):
        if values:
            policies[part] = values
    return RouterSettings(
        strategy=strategy,
        policies=policies,
        fallbacks=_fallbacks(settings.get("fallbacks"), notes),
        default_fallbacks=_names(settings.get("default_fallbacks"), "default_fallbacks", notes),
    )


def _strategy(router: Mapping[str, Any], notes: Notes) -> str:
    asked = router.get("routing_strategy")
    if asked is None:
        notes.add(f"router_settings.routing_strategy: not set; LiteLLM's default {DEFAULT_STRATEGY} taken")
        return DEFAULT_STRATEGY
    if not isinstance(asked, str) or asked not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        notes.add(f"router_settings.routing_strategy: unknown; {DEFAULT_STRATEGY} taken instead (known: {known})")
        return DEFAULT_STRATEGY
    if asked.startswith(("usage", "cost")):
        notes.add(f"router_settings.routing_strategy {asked}: approximated by the policy {STRATEGIES[asked]}")
    return asked


def _retry(settings: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    retries = _read(settings, "num_retries", notes)
    if retries is not None:
        values["max_attempts"] = min(int(retries) + 1, MOST_ATTEMPTS)
        if retries >= MOST_ATTEMPTS:
            notes.add(f"num_retries: at most {MOST_ATTEMPTS - 1} here")
    wait = _read(settings, "retry_after", notes)
    if wait:
        values["backoff_s"] = float(wait)
        values["backoff_max_s"] = max(30.0, float(wait))
        notes.add("retry_after: approximated by the first backoff; it doubles from there, with jitter")
    return values


def _cooldown(settings: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    fails = _read(settings, "allowed_fails", notes)
    if fails is not None:
        values["failures_to_cool"] = min(int(fails) + 1, MOST_FAILURES)
        values["failure_window_s"] = 60.0
    rest = _read(settings, "cooldown_time", notes)
    if rest:
        values["cooldown_s"] = float(rest)
        values["throttle_s"] = float(rest)
        notes.add("cooldown_time: taken for failures and for 429s without retry-after; other refusals have their own")
    elif rest is not None:
        notes.add("cooldown_time: 0 has no counterpart here; the default rest is kept")
    return values


def _read(settings: Mapping[str, Any], key: str, notes: Notes) -> Decimal | None:
    value = settings.get(key)
    if value is None:
        return None
    exact = number(value)
    if exact is None:
        notes.add(f"{key}: dropped; expected a number of at least 0, found a {type(value).__name__} that is none")
    return exact


def _fallbacks(value: object, notes: Notes) -> dict[str, list[str]]:
    """Fallbacks by group, from LiteLLM's list of mappings with one group each."""
    if value is None:
        return {}
    entries = value if isinstance(value, list) else [value]
    found: dict[str, list[str]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            notes.add("fallbacks: an entry was dropped; expected {group: [other groups]}")
            continue
        for group, names in entry.items():
            found.setdefault(str(group), []).extend(_names(names, "fallbacks", notes))
    return found


def _names(value: object, where: str, notes: Notes) -> list[str]:
    if value is None:
        return []
    entries = value if isinstance(value, list) else [value]
    names = [entry for entry in entries if isinstance(entry, str)]
    if len(names) < len(entries):
        notes.add(f"{where}: an entry that is no model name was dropped")
    return names
