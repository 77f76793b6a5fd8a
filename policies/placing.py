"""Placing: a request finds a deployment that has room now.

A new or returning request looks at the models it may use, in order, and takes the deployment
that the routing policy picks among those with room. If none has room it waits in its segment.
From then on it is the deployments that look (`policies.waiting`).
"""

from policies import capacity, routing
from policies.compile import inlined, leaf, rare
from policies.deadlines import forget_deadline
from policies.draw import ROUTING, draw
from policies.flights import add_flight
from policies.lines import stands_behind
from policies.log import (
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
from policies.prices import bid_price, expected_price, most_output, worst_price
from policies.refusals import resting_until_us
from policies.rows import Plugged, Row
from policies.state import DO_DISPATCH, IN_FLIGHT, NOBODY, NOWHERE, State
from policies.trials import enter_trial

# Why a model never serves a request, in the order in which it is asked: the last is the most telling.
UNSUITED = (NOT_ELIGIBLE, TOO_LARGE, REQUEST_BUDGET, TENANT_BUDGET)


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
    """NO_REASON if this model may serve the request, else why it never will. The tenant's budget period is open."""
    request = state.requests[slot]
    model = state.models[model_row]
    tenant = state.tenants[request["tenant"]]
    input_tokens, output = request["input_tokens"], most_output(request, model)
    floor_pm = tenant["quality_floor_pm"]
    if floor_pm > 0 and routing.performance_pm(state.points, model_row, request["complexity_pm"]) < floor_pm:
        return NOT_ELIGIBLE
    if input_tokens + output > model["context_tokens"]:
        return TOO_LARGE
    if request["budget_nano_usd"] <= 0 and tenant["budget_nano_usd"] < 0:
        return NO_REASON
    worst = worst_price(model, input_tokens, output)
    if request["budget_nano_usd"] > 0 and request["billed_nano_usd"] + worst > request["budget_nano_usd"]:
        return REQUEST_BUDGET
    if tenant["budget_nano_usd"] >= 0 and tenant["budget_used"] + tenant["budget_held"] + worst > tenant["budget_nano_usd"]:
        return TENANT_BUDGET
    return NO_REASON


@inlined
def make_offer(state: State, slot: int, model_row: int) -> None:
    """Work out what a model offers this request."""
    request = state.requests[slot]
    model = state.models[model_row]
    offer = state.offers[model_row]
    input_tokens, output = request["input_tokens"], most_output(request, model)
    offer["output_tokens"] = output
    offer["worst_nano_usd"] = worst_price(model, input_tokens, output)
    offer["performance_pm"] = routing.performance_pm(state.points, model_row, request["complexity_pm"])
    offer["expected_nano_usd"] = expected_price(state, model, input_tokens, output)


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


@leaf
def offer_terms(deployment: Row, offer: Row) -> None:
    """Fill what a routing policy may know of this candidate for this request; `free_ratio` is there already."""
    deployment["expected_nano_usd"] = offer["expected_nano_usd"]
    deployment["performance_pm"] = offer["performance_pm"]


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
def _gather(state: State, slot: int, model_row: int, dedicated: bool, count: int, now_us: int) -> int:
    """Append the deployments of a model, whose offer is made, that have room now to the candidates; returns their number.

    Leaves in `pulse.why` the most telling reason of those that have none.
    """
    pulse, offer = state.pulse[0], state.offers[model_row]
    reach = state.reach[state.tenants[state.requests[slot]["tenant"]]["access"] * state.models.size + model_row]
    lo, hi = (reach["lo"], reach["shared_lo"]) if dedicated else (reach["shared_lo"], reach["hi"])
    if lo == hi:
        return count
    capacity.fill_needs(state, slot, offer)
    for place in range(lo, hi):
        row = state.doors[place]
        deployment = state.deployments[row]
        # Checked first: who waited for a rest to end only to be too large would wait for nothing.
        too_small = never_fits(state, slot, deployment)
        if too_small >= 0:
            if pulse["why"] == NOT_ELIGIBLE or pulse["why"] == TOO_LARGE:
                pulse["why"], pulse["why_limit"] = TOO_LARGE, too_small
            continue
        if resting_until_us(state, deployment) > now_us:
            if pulse["why"] != NO_CAPACITY:
                pulse["why"] = COOLING
            continue
        reason = capacity.why_not(state, slot, row, now_us)
        if reason != NO_REASON:
            if pulse["why"] in UNSUITED or reason not in UNSUITED:
                pulse["why"] = reason
            continue
        if pulse["waiting"] > 0 and stands_behind(state, slot, row, now_us):
            pulse["why"] = BEHIND_OTHERS
            continue
        offer_terms(deployment, offer)
        state.candidates[count] = row
        count += 1
    return count


@rare
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
    for shared in range(2):
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
    """Bits of the models that may serve this request; leaves in `pulse.why` why the model that came furthest may not."""
    request = state.requests[slot]
    state.pulse[0]["why"] = NOT_ELIGIBLE
    open_budget_period(state, state.tenants[request["tenant"]])
    bits = 0
    lo, hi = chain_of(state, request["wanted"])
    for place in range(lo, hi):
        row = state.chain[place]
        reason = unsuited(state, slot, row)
        if reason == NO_REASON:
            bits |= 1 << row
        else:
            state.pulse[0]["why"] = _more_telling(state.pulse[0]["why"], reason)
    return bits


@rare
def _more_telling(one: int, other: int) -> int:
    """The later of two reasons in `UNSUITED`."""
    found = one
    for reason in UNSUITED:
        if reason in (one, other):
            found = reason
    return found


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
    """The deployment that takes this request now, or NOWHERE with the reason in `pulse.why`.

    It begins with the reason that `suited_models` has just left there.
    """
    request = state.requests[slot]
    settings = state.settings[0]
    state.pulse[0]["why_limit"] = -1
    lo, hi = chain_of(state, request["wanted"])
    if request["wanted"] >= 0:
        for place in range(lo, hi):
            row = state.chain[place]
            if bits >> row & 1:
                make_offer(state, slot, row)
                chosen = _try_model(state, slot, row, now_us, user_policy)
                if chosen != NOWHERE:
                    return chosen
        return NOWHERE
    if settings["model_choice"] == routing.ANY_MODEL:
        return _among_all(state, slot, bits, now_us, user_policy)
    return _by_score(state, slot, bits, now_us, user_policy)


@rare
def _among_all(state: State, slot: int, bits: int, now_us: int, user_policy: Plugged) -> int:
    for row in range(state.models.size):
        if bits >> row & 1:
            make_offer(state, slot, row)
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
    settings = state.settings[0]
    for row in range(state.models.size):
        if bits >> row & 1:
            make_offer(state, slot, row)
            offer = state.offers[row]
            bid = bid_price(state.models[row], state.requests[slot]["input_tokens"] + offer["output_tokens"])
            offer["score"] = routing.model_score(settings["model_choice"], offer["performance_pm"], offer["expected_nano_usd"] + bid)
    left = bits
    while left != 0:
        best = -1
        for row in range(state.models.size):
            if left >> row & 1 and (best < 0 or state.offers[row]["score"] > state.offers[best]["score"]):
                best = row
        chosen = _try_model(state, slot, best, now_us, user_policy)
        if chosen != NOWHERE:
            return chosen
        left &= ~(1 << best)
    return NOWHERE


@inlined
def dispatch(state: State, slot: int, deployment_row: int, was_queued: int, now_us: int) -> None:
    """Reserve on every limit and budget, and ask the driver to send the request. The model's offer is of this request."""
    request = state.requests[slot]
    deployment = state.deployments[deployment_row]
    offer = state.offers[deployment["model"]]
    output, worst = offer["output_tokens"], offer["worst_nano_usd"]
    capacity.fill_needs(state, slot, offer)
    capacity.reserve(state, slot, deployment_row, now_us)
    forget_deadline(state, slot)
    request["deployment"] = deployment_row
    request["reserved_output"] = output
    request["held_nano_usd"] = worst
    request["attempt"] += 1
    request["status"] = IN_FLIGHT
    request["dispatch_us"] = now_us
    request["key"] = state.accounts[deployment["account"]]["key"]
    state.tenants[request["tenant"]]["budget_held"] += worst
    bucket, account = state.buckets[deployment["bucket"]], state.accounts[deployment["account"]]
    bucket["alone"] = request["request"] if bucket["in_flight"] == 0 else NOBODY
    account["alone"] = request["request"] if account["in_flight"] == 0 else NOBODY
    deployment["in_flight"] += 1
    account["in_flight"] += 1
    state.pulse[0]["in_flight"] += 1
    bucket["in_flight"] += 1
    enter_trial(bucket)
    enter_trial(account)
    if state.settings[0]["reservation"] == capacity.PREEMPT:
        add_flight(state, slot)
    note_request(
        state, DISPATCH, was_queued, slot, request["tier"],
        worst, request["input_tokens"] + output, now_us - request["arrive_us"], 0, 0,
    )  # fmt: skip
    ask(state, DO_DISPATCH, slot, request["request"], now_us)
