"""From a call to a request: what the client says by headers, what is estimated, and what holds where nothing is said."""

from collections.abc import Mapping
from dataclasses import dataclass

from live_adapter.config import Calls
from live_adapter.protocols.calls import Call, CallError
from policies.estimators import estimate_complexity, estimate_input_tokens, token_rule

COMPLEXITY, BUDGET, DEADLINE = "x-forge1-complexity", "x-forge1-budget-usd", "x-forge1-deadline-s"
_LONGEST_S, _MOST_USD = 86_400.0, 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """A request as the gateway is told of it; `deadline_us` from its arrival on, a budget of 0 is none."""

    input_tokens: int
    complexity_pm: int
    deadline_us: int
    budget_nano_usd: int


def wishes_of(call: Call, headers: Mapping[str, str], defaults: Calls, provider: str = "") -> Wishes:
    """Headers (names in lower case) come first, then the defaults, then the estimators of `policies`.

    `provider` is that of the model wanted, whose token rule counts. Raises CallError for a header that is no such number.
    """
    input_tokens = estimate_input_tokens(call.text_bytes, call.messages, token_rule(provider))
    complexity = _number(headers, COMPLEXITY, 0.0, 1.0, defaults.complexity)
    deadline_s = _number(headers, DEADLINE, 0.001, _LONGEST_S, defaults.deadline_s)
    budget_usd = _number(headers, BUDGET, 0.0, _MOST_USD, defaults.budget_usd)
    assert deadline_s is not None
    assert budget_usd is not None
    if complexity is None:
        complexity_pm = estimate_complexity(input_tokens, call.most_output_tokens, call.messages, call.tools, call.has_code)
    else:
        complexity_pm = round(1000 * complexity)
    return Wishes(
        input_tokens=input_tokens, complexity_pm=min(complexity_pm, 1000), deadline_us=round(deadline_s * 1e6),
        budget_nano_usd=round(budget_usd * 1e9),
    )  # fmt: skip


def _number(headers: Mapping[str, str], name: str, least: float, most: float, default: float | None) -> float | None:
    said = headers.get(name)
    if said is None:
        return default
    try:
        value = float(said)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise CallError(f"header {name} is {said[:40]!r}, must be a number from {least:g} to {most:g}")
    return value
