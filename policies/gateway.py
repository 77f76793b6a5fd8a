"""The gateway: events in, effects out. A pure state machine under every clock.

Each transition gets the whole state and the time, changes the state, leaves log rows and
effects behind, and does nothing else. Drivers call transitions in the one total order of
events (`policies.order`) and carry the effects out. A transition about a request names its
slot and its number, so that an old timer of a slot in new use is recognised and ignored.
"""

from policies import capacity
from policies.charge import charged_at_dispatch
from policies.compile import inlined, rare
from policies.deadlines import NO_PLACE, set_timer, watch_deadline
from policies.flights import drop_flight
from policies.limits import charge, fits
from policies.lines import YIELDS, has_floor
from policies.log import (
    ARRIVE,
    ATTEMPTS_SPENT,
    BACKOFF,
    BEHIND_OTHERS,
    CALLER,
    CALLER_FAULT,
    CANCEL,
    CLIENT_GONE,
    COMPLETE,
    EXPIRE,
    NO_REASON,
    PREEMPTED,
    QUEUE_FULL,
    REFUSED,
    REJECT,
    RETRYING,
    SYSTEM_FULL,
    TENANT_LIMIT,
)
from policies.notes import ask, note, note_request
from policies.placing import UNSUITED, dispatch, find_place, open_budget_period, suited_models
from policies.pools import drained
from policies.preemption import borrowed_victim
from policies.prices import price
from policies.queues import fix_tag, is_ahead, show_tag
from policies.refusals import rest, resting_until_us, see_limits
from policies.routing import backoff_delay_us, performance_pm
from policies.rows import Plugged
from policies.state import (
    DO_ABORT,
    DO_RETRY,
    IN_FLIGHT,
    NEVER_US,
    NO_SLOT,
    NOWHERE,
    RESTING,
    WAITING,
    State,
)
from policies.timers import arm_segment, ring_owed, ring_yielding
from policies.trials import leave_trial
from policies.waiting import (
    begin_waiting,
    end_unserved,
    find_segment,
    finish,
    offer,
    offer_account,
    offer_freed,
    stop_waiting,
)


@inlined
def arrive(
    state: State, tenant: int, number: int, wanted: int, service_class: int, complexity_pm: int,
    input_tokens: int, cached_tokens: int, max_output_tokens: int, deadline_us: int, budget_nano_usd: int,
    now_us: int, user_policy: Plugged,
) -> int:  # fmt: skip
    """A request comes in. Returns its slot, or NO_SLOT if it has ended already."""
    pulse = state.pulse[0]
    pulse["now_us"] = now_us
    request_number = pulse["arrived"]
    pulse["arrived"] += 1
    own_budget = state.tenants[tenant]["request_budget_nano_usd"]
    if own_budget > 0 and (budget_nano_usd == 0 or own_budget < budget_nano_usd):
        budget_nano_usd = own_budget
    note(
        state, ARRIVE, service_class, request_number, 0, NOWHERE, tenant, wanted,
        int(input_tokens) | int(cached_tokens) << 32, max_output_tokens, deadline_us, budget_nano_usd, complexity_pm,
    )  # fmt: skip
    slot = pulse["free_slot"]
    if slot == NO_SLOT:
        tier = state.tenants[tenant]["tier"]
        note(state, REJECT, SYSTEM_FULL, request_number, 0, NOWHERE, tenant, -1, -1, 0, 0, tier, 0)
        return NO_SLOT
    request = state.requests[slot]
    pulse["free_slot"] = slot + 1 + request["next"]
    pulse["in_system"] += 1
    request["request"] = request_number
    request["arrive_us"] = now_us
    request["deadline_us"] = deadline_us
    request["budget_nano_usd"] = budget_nano_usd
    request["held_nano_usd"] = 0
    request["billed_nano_usd"] = 0
    request["tag"] = 0
    request["tagged"] = 0
    # Not said how long at most: then it may be as long as any model's answer.
    request["most_tokens"] = input_tokens + max_output_tokens if max_output_tokens > 0 else NEVER_US
    request["tenant"] = tenant
    request["number"] = number
    request["deployment"] = NOWHERE
    request["input_tokens"] = input_tokens
    request["cached_tokens"] = cached_tokens
    request["max_output_tokens"] = max_output_tokens
    request["complexity_pm"] = complexity_pm
    request["wanted"] = wanted
    request["attempt"] = 0
    request["tier"] = state.tenants[tenant]["tier"]
    request["status"] = RESTING
    request["service_class"] = service_class
    request["why"] = NO_REASON
    request["failed_at"] = NOWHERE
    request["deadline_place"] = NO_PLACE
    if not _within_tenant_limits(state, tenant, input_tokens, max_output_tokens, now_us):
        end_unserved(state, slot, REJECT, TENANT_LIMIT, state.pulse[0]["why_limit"])
        return NO_SLOT
    return int(slot) if settle_in(state, slot, now_us, user_policy) else NO_SLOT


@inlined
def _within_tenant_limits(state: State, tenant_row: int, input_tokens: int, max_output_tokens: int, now_us: int) -> bool:
    """Charge the tenant's own limits, all or none; the refusing row is left in `pulse.why_limit`."""
    tenant = state.tenants[tenant_row]
    for row in range(tenant["limit_lo"], tenant["limit_hi"]):
        units = charged_at_dispatch(state.limits[row]["charge"], input_tokens, max_output_tokens)
        if not fits(state.limits, state.logs, row, units, now_us):
            state.pulse[0]["why_limit"] = row
            return False
    for row in range(tenant["limit_lo"], tenant["limit_hi"]):
        units = charged_at_dispatch(state.limits[row]["charge"], input_tokens, max_output_tokens)
        charge(state.limits, state.logs, row, units, now_us)
    return True


@inlined
def settle_in(state: State, slot: int, now_us: int, user_policy: Plugged) -> bool:
    """Dispatch, queue or reject a request that looks for a place. False if it has ended."""
    pulse = state.pulse[0]
    bits = suited_models(state, slot)
    if bits == 0:
        end_unserved(state, slot, REJECT, pulse["why"], -1)
        return False
    segment_row = -1
    if pulse["waiting"] > 0:
        show_tag(state, slot)
        segment_row = find_segment(state, slot, bits)
        if _stands_behind(state, segment_row, slot):
            return _queue_up(state, slot, segment_row, BEHIND_OTHERS, -1, NO_SLOT, now_us)
    chosen = find_place(state, slot, bits, now_us, user_policy)
    if chosen != NOWHERE:
        dispatch(state, slot, chosen, 0, now_us)
        if pulse["waiting"] > 0:
            _after_overtaking(state, slot, chosen, now_us)
        return True
    reason, limit = pulse["why"], pulse["why_limit"]
    if reason in UNSUITED:
        end_unserved(state, slot, REJECT, reason, limit)
        return False
    victim = NO_SLOT
    if state.settings[0]["reservation"] == capacity.PREEMPT:
        victim = borrowed_victim(state, slot, bits, now_us)
    if victim == NO_SLOT and not state.settings[0]["queue_enabled"]:
        end_unserved(state, slot, REJECT, reason, limit)
        return False
    if segment_row < 0:
        segment_row = find_segment(state, slot, bits)
    return _queue_up(state, slot, segment_row, reason, limit, victim, now_us)


@inlined
def _after_overtaking(state: State, slot: int, deployment_row: int, now_us: int) -> None:
    """A request was sent past those who wait: others may be first in line now."""
    deployment, tier = state.deployments[deployment_row], state.requests[slot]["tier"]
    # It may have taken the last place of a trial: whoever is first there cannot go next.
    if has_floor(state, tier) or resting_until_us(state, deployment) > now_us:
        ring_yielding(state, deployment["account"], YIELDS, now_us)
    ring_owed(state, deployment["account"], tier, now_us)


@inlined
def _stands_behind(state: State, segment_row: int, slot: int) -> bool:
    """Whether somebody ahead waits for exactly the same deployments: then none has room for this request."""
    if segment_row < 0 or state.segments[segment_row]["count"] == 0:
        return False
    return is_ahead(state.requests, state.segments[segment_row]["head"], slot)


@inlined
def _queue_up(state: State, slot: int, segment_row: int, reason: int, limit: int, victim: int, now_us: int) -> bool:
    request = state.requests[slot]
    settings = state.settings[0]
    full = state.pulse[0]["waiting"] >= settings["max_waiting"]
    if full or state.tenants[request["tenant"]]["waiting"] >= settings["max_waiting_per_tenant"]:
        end_unserved(state, slot, REJECT, QUEUE_FULL, limit)
        return False
    if segment_row < 0:
        end_unserved(state, slot, REJECT, SYSTEM_FULL, limit)
        return False
    fix_tag(state, slot)
    begin_waiting(state, slot, segment_row, reason, limit)
    if victim != NO_SLOT:
        ask(state, DO_ABORT, victim, state.requests[victim]["request"], now_us)
    # The place taken back may not be enough, so that timers are needed all the same.
    if state.segments[segment_row]["head"] == slot:
        arm_segment(state, segment_row, now_us)
    return True


@inlined
def _end_attempt(
    state: State, slot: int, input_tokens: int, cached_tokens: int, output_tokens: int, served: bool, now_us: int
) -> tuple[int, int]:
    """Settle an attempt on limits and budgets, once. Returns its cost in nano-USD, and where room came free."""
    request = state.requests[slot]
    deployment = state.deployments[request["deployment"]]
    model = state.models[deployment["model"]]
    cost = price(model, input_tokens, cached_tokens, output_tokens)
    freed = capacity.settle(state, slot, input_tokens, cached_tokens, output_tokens, cost, now_us)
    tenant = state.tenants[request["tenant"]]
    open_budget_period(state, tenant)
    tenant["budget_held"] -= request["held_nano_usd"]
    tenant["budget_used"] += cost
    request["held_nano_usd"] = 0
    request["billed_nano_usd"] += cost
    deployment["in_flight"] -= 1
    bucket, account = state.buckets[deployment["bucket"]], state.accounts[deployment["account"]]
    bucket["in_flight"] -= 1
    account["in_flight"] -= 1
    state.pulse[0]["in_flight"] -= 1
    if leave_trial(bucket, request["dispatch_us"], served):
        freed |= capacity.FREED_OF_BUCKET
    if leave_trial(account, request["dispatch_us"], served):
        freed |= capacity.FREED_OF_TRIAL
    if state.settings[0]["reservation"] == capacity.PREEMPT:
        drop_flight(state, slot)
    return cost, freed


@inlined
def _is_current(state: State, slot: int, request_number: int, status: int) -> bool:
    request = state.requests[slot]
    return bool(request["request"] == request_number and request["status"] == status)


@inlined
def complete(
    state: State, slot: int, input_tokens: int, cached_tokens: int, output_tokens: int, complexity_pm: int, scale_pm: int,
    now_us: int, user_policy: Plugged,
) -> None:  # fmt: skip
    """The provider answered: the request is served and ends. `complexity_pm` is what it is found to have been."""
    state.pulse[0]["now_us"] = now_us
    request = state.requests[slot]
    deployment_row = request["deployment"]
    deployment = state.deployments[deployment_row]
    tier = request["tier"]
    cost, freed = _end_attempt(state, slot, input_tokens, cached_tokens, output_tokens, True, now_us)
    taken_us = now_us - request["dispatch_us"]
    seen = deployment["latency_us"]
    deployment["latency_us"] = taken_us if seen == 0 else seen + (taken_us - seen) // 8
    quality = performance_pm(state.points, deployment["model"], complexity_pm)
    wait_us = request["dispatch_us"] - request["arrive_us"]
    note_request(
        state, COMPLETE, 0, slot, request["tier"], input_tokens | cached_tokens << 32, output_tokens, cost,
        now_us - request["arrive_us"], wait_us | quality << 48,
    )  # fmt: skip
    finish(state, slot)
    _after_answer(state, deployment_row, tier, freed, scale_pm, now_us, user_policy)


@inlined
def _after_answer(
    state: State, deployment_row: int, tier: int, freed: int, scale_pm: int, now_us: int, user_policy: Plugged
) -> None:
    """What every answer brings: limits seen, room for others, a drained account at rest."""
    deployment = state.deployments[deployment_row]
    account_row = deployment["account"]
    changed = see_limits(state, account_row, scale_pm, now_us)
    drained(state, account_row, now_us)
    if changed:
        offer_account(state, account_row, now_us, user_policy)
    else:
        offer_freed(state, deployment_row, tier, freed, now_us, user_policy)


@rare
def refuse(
    state: State, slot: int, refusal: int, limit_row: int, retry_after_us: int, scale_pm: int,
    input_tokens: int, cached_tokens: int, output_tokens: int, now_us: int, user_policy: Plugged,
) -> None:  # fmt: skip
    """The provider refused or failed an attempt: settle, let rest what it concerns, try again or end."""
    pulse = state.pulse[0]
    pulse["now_us"] = now_us
    request = state.requests[slot]
    deployment_row = request["deployment"]
    tier = request["tier"]
    cost, freed = _end_attempt(state, slot, input_tokens, cached_tokens, output_tokens, False, now_us)
    note_request(
        state, REFUSED, refusal, slot, limit_row, retry_after_us, 0, cost, 0, now_us - request["dispatch_us"]
    )
    sent_us = request["dispatch_us"]
    rest(state, deployment_row, refusal, limit_row, retry_after_us, request["attempt"], request["key"], sent_us, now_us)
    ring_yielding(state, state.deployments[deployment_row]["account"], YIELDS, now_us)
    request["failed_at"] = deployment_row
    if refusal == CALLER:
        end_unserved(state, slot, REJECT, CALLER_FAULT, -1)
    elif request["attempt"] >= state.settings[0]["max_attempts"]:
        end_unserved(state, slot, REJECT, ATTEMPTS_SPENT, limit_row)
    elif now_us >= request["deadline_us"]:
        end_unserved(state, slot, EXPIRE, RETRYING, limit_row)
    else:
        _back_off(state, slot, now_us)
    _after_answer(state, deployment_row, tier, freed, scale_pm, now_us, user_policy)


@rare
def _back_off(state: State, slot: int, now_us: int) -> None:
    request = state.requests[slot]
    settings = state.settings[0]
    delay_us = backoff_delay_us(
        settings["seed"], settings["backoff_us"], settings["backoff_max_us"],
        request["tenant"], request["number"], request["attempt"],
    )  # fmt: skip
    request["status"] = RESTING
    request["why"] = RETRYING
    request["deployment"] = NOWHERE
    note_request(state, BACKOFF, RETRYING, slot, -1, now_us + delay_us, 0, 0, 0, 0)
    ask(state, DO_RETRY, slot, request["request"], now_us + delay_us)
    watch_deadline(state, slot)


@rare
def retry(state: State, slot: int, request_number: int, now_us: int, user_policy: Plugged) -> None:
    """The backoff of a request is over: it looks for a place again."""
    if _is_current(state, slot, request_number, RESTING):
        state.pulse[0]["now_us"] = now_us
        settle_in(state, slot, now_us, user_policy)


@rare
def expire(state: State, now_us: int) -> None:
    """The earliest deadline has come: who still waits or rests past its own ends."""
    pulse = state.pulse[0]
    if pulse["expire_us"] != now_us:
        return
    pulse["now_us"] = now_us
    pulse["expire_us"] = NEVER_US
    while pulse["deadlines"] > 0:
        slot = state.deadlines[0]
        request = state.requests[slot]
        if request["deadline_us"] > now_us:
            break
        _leave(state, slot, request["status"] == WAITING, EXPIRE, request["why"], now_us)
    set_timer(state)


@rare
def _leave(state: State, slot: int, waiting: bool, kind: int, reason: int, now_us: int) -> None:
    """End a request that is not in flight; who stood behind it may be first now."""
    segment_row = state.requests[slot]["segment"]
    was_first = waiting and state.segments[segment_row]["head"] == slot
    if waiting:
        stop_waiting(state, slot)
    end_unserved(state, slot, kind, reason, -1)
    if was_first:
        arm_segment(state, segment_row, now_us)


@rare
def cancel(
    state: State, slot: int, request_number: int, input_tokens: int, cached_tokens: int, output_tokens: int,
    reason: int, now_us: int, user_policy: Plugged,
) -> None:  # fmt: skip
    """The client is gone, or the request is taken back (PREEMPTED): it ends and is billed what was used."""
    state.pulse[0]["now_us"] = now_us
    if _is_current(state, slot, request_number, IN_FLIGHT):
        request = state.requests[slot]
        deployment_row = request["deployment"]
        tier = request["tier"]
        cost, freed = _end_attempt(state, slot, input_tokens, cached_tokens, output_tokens, False, now_us)
        latency_us = now_us - request["arrive_us"]
        kind = REJECT if reason == PREEMPTED else CANCEL
        in_flight = -1 if reason == PREEMPTED else 1
        note_request(state, kind, reason, slot, -1, in_flight, latency_us, request["billed_nano_usd"], request["tier"], cost)
        finish(state, slot)
        deployment = state.deployments[deployment_row]
        drained(state, deployment["account"], now_us)
        offer_freed(state, deployment_row, tier, freed, now_us, user_policy)
        return
    waiting = _is_current(state, slot, request_number, WAITING)
    if waiting or _is_current(state, slot, request_number, RESTING):
        _leave(state, slot, waiting, CANCEL, CLIENT_GONE, now_us)


@inlined
def wake(state: State, deployment_row: int, now_us: int, user_policy: Plugged) -> None:
    """A deployment's timer rings: who is first in line may fit now."""
    deployment = state.deployments[deployment_row]
    if deployment["wake_us"] == now_us:
        state.pulse[0]["now_us"] = now_us
        deployment["wake_us"] = NEVER_US
        offer(state, deployment_row, now_us, user_policy)
