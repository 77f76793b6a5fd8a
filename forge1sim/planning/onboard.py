"""`onboard`: can we take this client? Yes, no with what to contract, or not sure; from slack that was measured before."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from forge1sim.errors import ScenarioError
from forge1sim.planning.client import Client, account_per_s, limit_uses, power_mean
from forge1sim.planning.probes import probe_of, typical
from forge1sim.planning.slack import Slack
from forge1sim.planning.threshold import Limit
from forge1sim.scenario.yaml_tree import Node
from forge1sim.workload.spec import Demand

MOST_MORE = 1000
SERVED_IF_NOTHING_IS_PROMISED = 0.5
_BUSY_MINUTE = 2.0                  # standard deviations above the mean


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A proposal: so many more accounts of an entry, and what they cost; `note` says what stands against it."""

    account: str
    more: int
    usd_per_month: float
    note: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`headroom` has the client's load, the loads below which the answer is yes and above which it is no, promises and limits."""

    answer: Literal["yes", "no", "not_sure"]
    why: str
    headroom: dict[str, Any] = field(default_factory=dict)
    contract: Contract | None = None
    measured_on: str = ""
    ms: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def onboard(slack: Slack, client: Node) -> Answer:
    """Judge a client (`client.read_client`, `client.checked`). It is simulated by nobody: that takes milliseconds.

    What the scenario has nothing for (a model, a region, a prompt longer than any context) is a no with that reason.
    """
    began_s = time.perf_counter()
    found = _judged(slack, client)
    return Answer(
        answer=found.answer, why=found.why, headroom=found.headroom, contract=found.contract, measured_on=slack.measured_on,
        ms=1e3 * (time.perf_counter() - began_s),
    )  # fmt: skip


def _judged(slack: Slack, node: Node) -> Answer:
    try:
        client = Client.of(slack.ask, node)
    except ScenarioError as error:
        return Answer(answer="no", why=str(error))
    if own := _cannot_be_served(slack, client):
        return Answer(answer="no", why=own)
    like, load = probe_of(client, slack.busy), client.load(slack.busy)
    limit = slack.threshold.limit(like)
    first = slack.threshold.nearest(like).broken
    headroom = {
        "load": load, "yes_up_to": limit.yes, "no_above": limit.no, "expected_limit": limit.expected, "breaks_first": first,
        "promises": {one.name: {"target": one.target, "mean": one.mean} for one in slack.promises}, "limits": _limits(slack, client),
    }  # fmt: skip
    ratio = f"it asks for {load:.1%} of what is contracted for requests like its own, at the busiest time"
    if load > limit.no:
        contract = _contract(slack, client, load, limit)
        why = f"{ratio}; above {limit.no:.1%} promises break, first {first!r}"
        return Answer(answer="no", why=why, headroom=headroom, contract=contract)
    if unlike := _unlike(slack, client):
        return Answer(answer="not_sure", why=f"{ratio}, but it is like no probe: {unlike}; simulate it", headroom=headroom)
    bursty = load * _burstiness(client, slack)
    if bursty <= limit.yes:
        return Answer(answer="yes", why=f"{ratio}; up to {limit.yes:.1%} all promises hold", headroom=headroom)
    bursts = f" ({bursty:.1%} in its bursts)" if bursty > 1.01 * load else ""
    return Answer(
        answer="not_sure", why=f"{ratio}{bursts}; promises hold up to {limit.yes:.1%} and break above {limit.no:.1%}; simulate it",
        headroom=headroom,
    )  # fmt: skip


def _cannot_be_served(slack: Slack, client: Client) -> str:
    """Why too many of its requests can never be answered, whatever the load; empty if they can."""
    open_share = float(client.answerable.mean())
    promised = [float(one.at_least) for one in slack.loaded.slos
                if one.metric == "served_ratio" and one.tier in (client.tier, "all") and one.at_least is not None]  # fmt: skip
    if open_share >= max(promised, default=SERVED_IF_NOTHING_IS_PROMISED):
        return ""
    layout, requests = client.choices.realised.layout, client.choices.requests
    context = max(model.context_tokens for model in layout.models)
    longest = int(requests["input_tokens"].max())
    reasons = f"its longest prompt in {len(requests)} has {longest:,} tokens, the largest context {context:,} with the answer in it"
    if longest <= context:
        reasons = "the models it asks for, its quality floor, its budget for a request or the burst of a limit forbid it"
    return f"{1 - open_share:.1%} of its requests can be answered by nothing that is contracted: {reasons}"


def _unlike(slack: Slack, client: Client) -> str:
    """What no probe had, and the client has; empty if nothing."""
    usual = typical(slack.loaded, client.tier).demand or Demand()
    demand, group = client.demand, client.group
    deadline, common = demand.deadline_s, usual.deadline_s
    if not slack.threshold.knows(probe_of(client, slack.busy)):
        return "none of its tier, or none with the models that it names"
    if demand.sessions and not usual.sessions:
        return "it has sessions"
    if deadline is not None and (common is None or deadline.mean < common.mean / 2):
        return "its deadline is much shorter than others' of its tier"
    own = [group.requests_per_min, group.tokens_per_min, group.budget_usd_per_month, group.request_budget_usd]
    if any(one is not None for one in own):
        return "it has limits or budgets of its own, which refuse requests whatever the capacity"
    if group.regions or group.tags or group.models or group.quality_floor is not None:
        return "it may not use all accounts or models"
    return ""


def _burstiness(client: Client, slack: Slack) -> float:
    """A busy minute of the client over one of probes of its size; at least 1."""
    usual = typical(slack.loaded, client.tier).demand or Demand()
    return max(1.0, _busy_minute(client.demand, client.rate_per_s) / _busy_minute(usual, client.rate_per_s))


def _busy_minute(demand: Demand, rate_per_s: float) -> float:
    """Requests of a busy minute over the mean: in bursts (mmpp), or `_BUSY_MINUTE` standard deviations above it (renewal counts)."""
    arrivals = demand.arrivals
    if arrivals.kind == "mmpp":
        return arrivals.burst_factor / (1 - arrivals.burst_share + arrivals.burst_share * arrivals.burst_factor)
    cv = arrivals.cv if arrivals.kind == "gamma" else 1.0
    return float(1 + _BUSY_MINUTE * cv / np.sqrt(60 * rate_per_s))


def _limits(slack: Slack, client: Client) -> dict[str, dict[str, float]]:
    """Of each limit that the client meets: the busiest use without it, what is free, and what it would add; shares of the limit."""
    asked = limit_uses(client)
    return {
        name: {"busiest": used, "free": max(0.0, 1 - used), "asked": asked[name]} for name, used in slack.limits.items() if name in asked
    }


def _contract(slack: Slack, client: Client, load: float, limit: Limit) -> Contract | None:
    """The entry of which fewest more accounts bring the load down to what surely fits; of equals the cheapest. None where none does.

    With more accounts the same requests are a smaller share of what is contracted, the client's as well as all others'.
    """
    own = power_mean(slack.busy.load)
    wanted = (own + limit.yes) / (own + load)
    terms = {one.name: one for one in slack.loaded.scenario.plan.accounts}
    found = []
    for number, pool in enumerate(client.choices.pools):
        spec = client.choices.realised.layout.accounts[pool.accounts[0]].spec
        more = _more_of(client, number, wanted)
        if more:
            at_most = terms[spec.name].at_most if spec.name in terms else None
            allowed = spec.count if at_most is None else at_most
            note = "" if spec.count + more <= allowed else f"the terms allow {allowed}, it would be {spec.count + more}; "
            found.append((more, more * spec.usd_per_month, spec.name, note))
    if not found:
        return None
    more, usd, name, note = min(found)
    return Contract(account=name, more=more, usd_per_month=usd, note=f"{note}a proposal by the ratio of limits; forge1sim plan verifies it")


def _more_of(client: Client, pool: int, wanted: float) -> int:
    """How many more accounts of a pool shrink the client's load to `wanted` of it; 0 where no number does."""
    parts = []
    for wish, share in client.wishes.items():
        capacity, each = client.capacity_per_s(wish), account_per_s(client.choices, pool, client.rows_of(wish))
        if np.isfinite(capacity) and capacity > 0:
            parts.append((share / capacity, each / capacity))
    total = sum(part for part, _ in parts)
    for more in range(1, MOST_MORE + 1):
        if sum(part / (1 + more * each) for part, each in parts) <= wanted * total:
            return more
    return 0
