"""Placing: a request finds a deployment, or a deployment that frees finds a request.

A new or returning request looks at the models it may use, in order, and takes the deployment
that the routing policy picks among those with room. If none has room it waits in its segment.
From then on it is the deployments that look: each keeps one timer for the moment at which the
first in line could fit, and asks again whenever something in its account ends. First in line
is who is owed a guaranteed share there, then who has the highest aged priority; inside a tier
the fair-share tag decides. A deployment is kept for the first in line: who is behind does not
overtake, so a large request is never starved by small ones.
"""

from policies import capacity, charge, routing
from policies.compile import inlined, leaf
from policies.draw import ROUTING, draw
from policies.flights import add_flight
from policies.log import (
    ACTIVE,
    BEHIND_OTHERS,
    COOLING,
    DISPATCH,
    NO_CAPACITY,
    NO_REASON,
    NOT_ELIGIBLE,
    POLICY_WAITS,
    REQUEST_BUDGET,
    TENANT_BUDGET,
    TOO_LARGE,
)
from policies.notes import ask, note_request
from policies.plug import ask_policy
from policies.queues import is_ahead
from policies.rows import Plugged, Row
from policies.state import DO_DISPATCH, DO_WAKE, IN_FLIGHT, NEVER_US, NO_SLOT, NOWHERE, State

MOST_OFFERS_PER_EVENT = 16
POLICY_ASKED_AGAIN_US = 100_000
UNSUITED = (TOO_LARGE, NOT_ELIGIBLE, REQUEST_BUDGET, TENANT_BUDGET)


@leaf
def most_output(request: Row, model: Row) -> int:
    """Output tokens to reserve: what was asked for, or imposed: never above what the model gives."""
    asked = request["max_output_tokens"]
    most = model["max_output_tokens"]
    return int(asked) if 0 < asked < most else int(most)


@leaf
def price(model: Row, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
    """Cost in nano-USD at this model's prices."""
    return charge.cost_nano_usd(
        model["input_nano_usd_per_1m"], model["cached_nano_usd_per_1m"], model["output_nano_usd_per_1m"],
        input_tokens, cached_tokens, output_tokens,
    )  # fmt: skip


@leaf
def worst_price(model: Row, input_tokens: int, output_tokens: int) -> int:
    """The most an attempt can cost: nothing cached (or cached, where that costs more), output full."""
    dearest = max(model["input_nano_usd_per_1m"], model["cached_nano_usd_per_1m"])
    return charge.cost_nano_usd(dearest, dearest, model["output_nano_usd_per_1m"], input_tokens, 0, output_tokens)


@leaf
def open_budget_period(state: State, tenant: Row) -> None:
    """Start a tenant's budget anew where a period has begun since it was last used."""
    settings = state.settings[0]
    period = (state.pulse[0]["now_us"] - settings["start_us"]) // settings["budget_period_us"]
    if period != tenant["budget_period"]:
        tenant["budget_period"] = period
        tenant["budget_used"] = 0


@inlined
def unsuited(state: State, slot: int, model_row: int) -> int:
    """NO_REASON if this model may serve the request, else why it never will."""
    request = state.requests[slot]
    model = state.models[model_row]
    tenant = state.tenants[request["tenant"]]
    open_budget_period(state, tenant)
    if routing.performance_pm(model, request["complexity_pm"]) < tenant["quality_floor_pm"]:
        return NOT_ELIGIBLE
    output = most_output(request, model)
    if request["input_tokens"] + output > model["context_tokens"]:
        return TOO_LARGE
    worst = worst_price(model, request["input_tokens"], output)
    if request["budget_nano_usd"] > 0 and request["billed_nano_usd"] + worst > request["budget_nano_usd"]:
        return REQUEST_BUDGET
    if tenant["budget_nano_usd"] >= 0 and tenant["budget_used"] + tenant["budget_held"] + worst > tenant["budget_nano_usd"]:
        return TENANT_BUDGET
    return NO_REASON


@leaf
def resting_until_us(state: State, deployment: Row) -> int:
    """When the latest cooldown of deployment, bucket and account ends; NEVER_US if the account is not active."""
    account = state.accounts[deployment["account"]]
    if account["state"] != ACTIVE:
        return NEVER_US
    bucket = state.buckets[deployment["bucket"]]
    return int(max(deployment["cool_until_us"], bucket["cool_until_us"], account["cool_until_us"]))


@leaf
def _score(state: State, slot: int, now_us: int) -> int:
    request = state.requests[slot]
    waited_us = now_us - request["arrive_us"]
    return int(
        state.tiers[request["tier"]]["priority_milli"] * 1_000_000 + state.settings[0]["aging_milli_per_s"] * waited_us
    )


@inlined
def is_owed_here(state: State, slot: int, deployment: Row, now_us: int) -> bool:
    """Whether the request's tier is owed room on this deployment by its guaranteed share."""
    mode = state.settings[0]["reservation"]
    if mode != capacity.FLOOR and mode != capacity.PREEMPT:
        return False
    model = state.models[deployment["model"]]
    output = most_output(state.requests[slot], model)
    worst = worst_price(model, state.requests[slot]["input_tokens"], output)
    return capacity.is_owed(state, slot, deployment, output, worst, now_us)


@inlined
def _outranks(state: State, one: int, owed: int, other: int, other_owed: int, now_us: int) -> bool:
    """Whether request `one` is served before `other` of another tier."""
    if owed != other_owed:
        return owed > other_owed
    score, other_score = _score(state, one, now_us), _score(state, other, now_us)
    if score != other_score:
        return score > other_score
    return bool(state.requests[one]["request"] < state.requests[other]["request"])


@inlined
def goes_before(state: State, one: int, other: int, deployment: Row, now_us: int) -> bool:
    """Whether request `one` is served before `other` on this deployment."""
    if state.requests[one]["tier"] == state.requests[other]["tier"]:
        return is_ahead(state.requests, one, other)
    owed = is_owed_here(state, one, deployment, now_us)
    other_owed = is_owed_here(state, other, deployment, now_us)
    return _outranks(state, one, int(owed), other, int(other_owed), now_us)


@inlined
def never_fits(state: State, slot: int, deployment: Row) -> int:
    """Row of a limit that keeps this request from this deployment for ever; -1 if there is none."""
    request = state.requests[slot]
    if request["most_tokens"] <= deployment["surely_fits_tokens"]:
        return -1
    model = state.models[deployment["model"]]
    output = most_output(request, model)
    if request["input_tokens"] + output <= deployment["surely_fits_tokens"]:
        return -1
    worst = worst_price(model, request["input_tokens"], output)
    return capacity.never_fits(state, slot, deployment, output, worst)


@inlined
def first_in_line(state: State, deployment_row: int, now_us: int) -> int:
    """Slot of the waiting request that this deployment would serve next, or NO_SLOT."""
    if state.pulse[0]["waiting_segments"] == 0:
        return NO_SLOT
    rivals = _find_champions(state, deployment_row)
    return _best_champion(state, state.deployments[deployment_row], rivals, now_us)


@inlined
def _find_champions(state: State, deployment_row: int) -> int:
    """Note of each tier who is first in line on this deployment; returns how many tiers have somebody."""
    count = state.pulse[0]["waiting_segments"]
    width, tiers = state.deployments.size, state.tiers.size
    for tier in range(tiers):
        state.tiers[tier]["champion"] = NO_SLOT
    rivals = 0
    for place in range(count):
        segment_row = state.waiting[place]
        if state.eligible[segment_row * width + deployment_row] == 0:
            continue
        head = state.segments[segment_row]["head"]
        tier = state.tiers[state.requests[head]["tier"]]
        if tier["champion"] == NO_SLOT:
            tier["champion"] = head
            rivals += 1
        elif is_ahead(state.requests, head, tier["champion"]):
            tier["champion"] = head
    return rivals


@inlined
def _best_champion(state: State, deployment: Row, rivals: int, now_us: int) -> int:
    """Of the first of each tier, the one that is served first."""
    best, best_owed = NO_SLOT, 0
    for row in range(state.tiers.size):
        champion = state.tiers[row]["champion"]
        if champion == NO_SLOT:
            continue
        owed = int(is_owed_here(state, champion, deployment, now_us)) if rivals > 1 else 0
        if best == NO_SLOT or _outranks(state, champion, owed, best, best_owed, now_us):
            best, best_owed = champion, owed
    return best


@leaf
def expected_price(state: State, request: Row, model: Row) -> int:
    """What the request will cost with this model if its output is as long as predicted, in nano-USD."""
    output = most_output(request, model) * state.settings[0]["output_prediction_pm"] // 1000
    return price(model, request["input_tokens"], 0, output)


@leaf
def offer_terms(deployment: Row, expected_nano_usd: int, performance: int) -> None:
    """Fill what a routing policy may know of this candidate for this request; `free_ratio` is there already."""
    deployment["expected_nano_usd"] = expected_nano_usd
    deployment["performance_pm"] = performance


@inlined
def pick(state: State, slot: int, count: int, now_us: int, user_policy: Plugged) -> int:
    """Let the routing policy choose among the first `count` candidates."""
    request = state.requests[slot]
    settings = state.settings[0]
    code = settings["routing"]
    candidates = state.candidates[:count]
    if code >= routing.WEIGHTED and code != routing.ROUND_ROBIN:
        attempt = request["attempt"]
        state.memory[routing.UNIFORM] = draw(settings["seed"], ROUTING, request["tenant"], request["number"], attempt)
    tenant = state.tenants[request["tenant"]]
    if code == routing.USER:
        chosen = ask_policy(user_policy, request, candidates, state.deployments, tenant, state.params, state.memory, now_us)
    else:
        chosen = routing.choose(code, request, candidates, state.deployments, tenant, state.params, state.memory, now_us)
    for row in candidates:
        if row == chosen:
            return int(chosen)
    return NOWHERE


@inlined
def _is_behind(state: State, slot: int, deployment_row: int, now_us: int) -> bool:
    """Whether the first of any tier who waits here is served before this request, if it stood in line, too."""
    _find_champions(state, deployment_row)
    deployment = state.deployments[deployment_row]
    for tier in range(state.tiers.size):
        champion = state.tiers[tier]["champion"]
        if champion != NO_SLOT and goes_before(state, champion, slot, deployment, now_us):
            return True
    return False


@inlined
def _gather(state: State, slot: int, model_row: int, dedicated: bool, count: int, now_us: int) -> int:
    """Append the deployments of a model that have room now to the candidates; returns their number.

    Leaves in `pulse.why` the most telling reason of those that have none.
    """
    request = state.requests[slot]
    pulse = state.pulse[0]
    model = state.models[model_row]
    output = most_output(request, model)
    worst = worst_price(model, request["input_tokens"], output)
    expected = expected_price(state, request, model)
    performance = routing.performance_pm(model, request["complexity_pm"])
    access = state.tenants[request["tenant"]]["access"] * state.deployments.size
    for row in range(model["deployments_lo"], model["deployments_hi"]):
        deployment = state.deployments[row]
        if state.open[access + row] == 0 or (deployment["shared"] == 0) != dedicated:
            continue
        # Checked first: who waited for a rest to end only to be too large would wait for nothing.
        too_small = never_fits(state, slot, deployment)
        if too_small >= 0:
            if pulse["why"] in UNSUITED:
                pulse["why"], pulse["why_limit"] = TOO_LARGE, too_small
            continue
        if resting_until_us(state, deployment) > now_us:
            if pulse["why"] != NO_CAPACITY:
                pulse["why"] = COOLING
            continue
        reason = capacity.why_not(state, slot, row, output, worst, now_us)
        if reason != NO_REASON:
            if pulse["why"] in UNSUITED or reason not in UNSUITED:
                pulse["why"] = reason
            continue
        if pulse["waiting"] > 0 and _is_behind(state, slot, row, now_us):
            pulse["why"] = BEHIND_OTHERS
            continue
        offer_terms(deployment, expected, performance)
        state.candidates[count] = row
        count += 1
    return count


@inlined
def _without_last_failure(state: State, slot: int, count: int) -> int:
    """Drop the deployment that failed this request last, if there is another candidate."""
    failed_at = state.requests[slot]["failed_at"]
    if failed_at == NOWHERE or count < 2:
        return count
    kept = 0
    for place in range(count):
        row = state.candidates[place]
        if row != failed_at:
            state.candidates[kept] = row
            kept += 1
    return kept


@inlined
def _try_model(state: State, slot: int, model_row: int, now_us: int, user_policy: Plugged) -> int:
    """Place the request with this model: dedicated deployments first, then shared ones."""
    for shared in range(0 if state.models[model_row]["dedicated"] else 1, 2):
        count = _gather(state, slot, model_row, shared == 0, 0, now_us)
        count = _without_last_failure(state, slot, count)
        if count > 0:
            chosen = pick(state, slot, count, now_us, user_policy)
            if chosen != NOWHERE:
                return chosen
            state.pulse[0]["why"] = POLICY_WAITS
    return NOWHERE


@inlined
def suited_models(state: State, slot: int) -> int:
    """Bits of the models that may serve this request; leaves why not in `pulse.why` if none."""
    request = state.requests[slot]
    bits = 0
    lo, hi = chain_of(state, request["wanted"])
    for place in range(lo, hi):
        row = state.chain[place]
        reason = unsuited(state, slot, row)
        if reason == NO_REASON:
            bits |= 1 << row
        else:
            state.pulse[0]["why"] = reason
    return bits


@leaf
def chain_of(state: State, wanted: int) -> tuple[int, int]:
    """Where the models to try stand in `chain`: for AUTO all of them, else the one wanted and its fallbacks."""
    if wanted < 0:
        return 0, state.models.size
    model = state.models[wanted]
    hi = model["chain_hi"] if state.settings[0]["fallback_models"] else model["chain_lo"] + 1
    return model["chain_lo"], hi


@inlined
def find_place(state: State, slot: int, bits: int, now_us: int, user_policy: Plugged) -> int:
    """The deployment that takes this request now, or NOWHERE with the reason in `pulse.why`."""
    request = state.requests[slot]
    settings = state.settings[0]
    state.pulse[0]["why"] = NOT_ELIGIBLE
    state.pulse[0]["why_limit"] = -1
    lo, hi = chain_of(state, request["wanted"])
    if request["wanted"] >= 0:
        for place in range(lo, hi):
            row = state.chain[place]
            if bits >> row & 1:
                chosen = _try_model(state, slot, row, now_us, user_policy)
                if chosen != NOWHERE:
                    return chosen
        return NOWHERE
    if settings["model_choice"] == routing.ANY_MODEL:
        return _among_all(state, slot, bits, now_us, user_policy)
    return _by_score(state, slot, bits, now_us, user_policy)


@inlined
def _among_all(state: State, slot: int, bits: int, now_us: int, user_policy: Plugged) -> int:
    for shared in range(2):
        count = 0
        for row in range(state.models.size):
            if bits >> row & 1:
                count = _gather(state, slot, row, shared == 0, count, now_us)
        count = _without_last_failure(state, slot, count)
        if count > 0:
            chosen = pick(state, slot, count, now_us, user_policy)
            if chosen != NOWHERE:
                return chosen
            state.pulse[0]["why"] = POLICY_WAITS
    return NOWHERE


@inlined
def _by_score(state: State, slot: int, bits: int, now_us: int, user_policy: Plugged) -> int:
    """Model by model, the best score first; the next best where the best has no room."""
    request = state.requests[slot]
    settings = state.settings[0]
    for row in range(state.models.size):
        if bits >> row & 1:
            model = state.models[row]
            performance = routing.performance_pm(model, request["complexity_pm"])
            cost = expected_price(state, request, model)
            state.scores[row] = routing.model_score(settings["model_choice"], performance, cost)
    left = bits
    while left != 0:
        best = -1
        for row in range(state.models.size):
            if left >> row & 1 and (best < 0 or state.scores[row] > state.scores[best]):
                best = row
        chosen = _try_model(state, slot, best, now_us, user_policy)
        if chosen != NOWHERE:
            return chosen
        left &= ~(1 << best)
    return NOWHERE


@inlined
def dispatch(state: State, slot: int, deployment_row: int, was_queued: int, now_us: int) -> None:
    """Reserve on every limit and budget, and ask the driver to send the request."""
    request = state.requests[slot]
    deployment = state.deployments[deployment_row]
    model = state.models[deployment["model"]]
    output = most_output(request, model)
    worst = worst_price(model, request["input_tokens"], output)
    capacity.reserve(state, slot, deployment_row, output, worst, now_us)
    request["deployment"] = deployment_row
    request["reserved_output"] = output
    request["held_nano_usd"] = worst
    request["attempt"] += 1
    request["status"] = IN_FLIGHT
    request["dispatch_us"] = now_us
    request["key"] = state.accounts[deployment["account"]]["key"]
    state.tenants[request["tenant"]]["budget_held"] += worst
    deployment["in_flight"] += 1
    state.accounts[deployment["account"]]["in_flight"] += 1
    state.pulse[0]["in_flight"] += 1
    if state.settings[0]["reservation"] == capacity.PREEMPT:
        add_flight(state, slot)
    note_request(
        state, DISPATCH, was_queued, slot, request["tier"],
        worst, request["input_tokens"] + output, now_us - request["arrive_us"], 0, 0,
    )  # fmt: skip
    ask(state, DO_DISPATCH, slot, request["request"], now_us)


@inlined
def _room_at_us(state: State, slot: int, deployment_row: int, now_us: int) -> int:
    model = state.models[state.deployments[deployment_row]["model"]]
    output = most_output(state.requests[slot], model)
    worst = worst_price(model, state.requests[slot]["input_tokens"], output)
    return capacity.room_at_us(state, slot, deployment_row, output, worst, now_us)


@inlined
def _next_owed_us(state: State, first: int, deployment_row: int, now_us: int) -> int:
    """When the first of another tier will be owed a share, and fit: it then comes before `first`."""
    deployment = state.deployments[deployment_row]
    model = state.models[deployment["model"]]
    earliest_us = NEVER_US
    for tier in range(state.tiers.size):
        slot = state.tiers[tier]["champion"]
        if slot == NO_SLOT or slot == first:
            continue
        output = most_output(state.requests[slot], model)
        worst = worst_price(model, state.requests[slot]["input_tokens"], output)
        owed_us = capacity.owed_at_us(state, slot, deployment, output, worst, now_us)
        if now_us < owed_us < earliest_us:
            earliest_us = min(earliest_us, max(owed_us, _room_at_us(state, slot, deployment_row, now_us)))
    return earliest_us


@inlined
def arm(state: State, deployment_row: int, now_us: int) -> None:
    """Set the deployment's timer to when the first in line could fit, unless it is set earlier."""
    deployment = state.deployments[deployment_row]
    if resting_until_us(state, deployment) < deployment["wake_us"]:
        slot = first_in_line(state, deployment_row, now_us)
        if slot != NO_SLOT:
            arm_for(state, deployment_row, slot, now_us)


@inlined
def arm_for(state: State, deployment_row: int, slot: int, now_us: int) -> None:
    """Set the deployment's timer for this request, which `first_in_line` has just found to be first there."""
    deployment = state.deployments[deployment_row]
    rests_us = max(resting_until_us(state, deployment), now_us)
    if rests_us >= deployment["wake_us"]:
        return
    at_us = max(rests_us, _room_at_us(state, slot, deployment_row, now_us))
    mode = state.settings[0]["reservation"]
    if at_us > now_us and (mode == capacity.FLOOR or mode == capacity.PREEMPT):
        at_us = min(at_us, max(rests_us, _next_owed_us(state, slot, deployment_row, now_us)))
    if at_us < deployment["wake_us"]:
        deployment["wake_us"] = at_us
        ask(state, DO_WAKE, deployment_row, -1, at_us)


@inlined
def arm_segment(state: State, segment_row: int, now_us: int) -> None:
    """Set the timers of all deployments that serve a segment, after its first in line changed."""
    if state.pulse[0]["waiting"] == 0:
        return
    eligible = segment_row * state.deployments.size
    bits = state.segments[segment_row]["models"]
    for model_row in range(state.models.size):
        if bits >> model_row & 1:
            model = state.models[model_row]
            for row in range(model["deployments_lo"], model["deployments_hi"]):
                if state.eligible[eligible + row] and state.deployments[row]["wake_us"] > now_us:
                    arm(state, row, now_us)
