"""Seeded bugs: each replaces one function of `policies` by one that is wrong in a way that people get wrong.

`python mutants.py NAME...` (with NUMBA_DISABLE_JIT=1) runs each in its worlds until the checker
tells, and prints JSON: by name the rules that were found broken; of the empty name, of no bug.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from patching import replaced
from running import check, run
from worlds import BIDS, World, rich_world, shared_world, small_world

from forge1sim.workload.spec import Estimation
from policies import charge as charges
from policies import limits as windows
from policies.bundle import Reservation
from policies.log import ACTIVE, NOT_ELIGIBLE, REJECT, REQUEST_BUDGET, TENANT_BUDGET
from policies.schema import Table
from policies.state import NEVER_US

Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """A bug in `module`.`function`; the checker should find one of `rules` broken in one of `worlds`."""

    module: str
    function: str
    make: Make
    rules: tuple[str, ...]
    worlds: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {}


def mutant(target: str, *rules: str, worlds: str = "rich") -> Callable[[Make], Make]:
    """Register the bug that the decorated function makes of the original."""
    module, _, function = target.rpartition(".")

    def register(make: Make) -> Make:
        MUTANTS[make.__name__] = Mutant(f"policies.{module}", function, make, rules, tuple(worlds.split()))
        return make

    return register


def _with(table: Any, **changes: Any) -> Any:
    """A table of the schema with some fields changed."""
    assert isinstance(table, Table)
    return table.model_copy(update=changes)


def world_of(name: str) -> World:
    """`rich`, `rich:MODE` (of reservation), or the subject of a small world; `guessing`, `bids`: `rich` with estimates, with bid prices."""
    kind, _, mode = name.partition(":")
    if kind == "guessing":
        return World(**{**vars(rich_world()), "estimation": Estimation(input_tokens_cv=0.5, complexity_sd=0.1)})
    if kind == "shared":
        return shared_world()
    if kind == "bids":
        return World(**{**vars(rich_world()), "bundle": _with(rich_world().bundle, routing=BIDS)})
    if kind != "rich":
        return small_world(kind)
    world = rich_world()
    if not mode:
        return world
    bundle = _with(world.bundle, reservation=Reservation(mode=mode))
    return World(**{**vars(world), "bundle": bundle})


# limits


@mutant("capacity.settle", "limit")
def double_settle(right: Any) -> Any:
    def settle(*arguments: Any) -> int:
        right(*arguments)
        return int(right(*arguments))

    return settle


@mutant("limits.release", "idle")
def lost_refund(_right: Any) -> Any:
    return lambda limits, row, units: None


@mutant("limits.bring_up", "limit")
def window_starts_a_second_early(right: Any) -> Any:
    def bring_up(limits: Any, logs: Any, row: int, now_us: int) -> None:
        ends = limits[row]["window"] in (windows.FIXED, windows.DAY, windows.ACCELERATION)
        right(limits, logs, row, now_us + 1_000_000 * ends)

    return bring_up


@mutant("limits.bring_up", "limit")
def stale_refill(right: Any) -> Any:
    def bring_up(limits: Any, logs: Any, row: int, now_us: int) -> None:
        before_us = limits[row]["stamp_us"]
        right(limits, logs, row, now_us)
        if limits[row]["window"] <= windows.PACED:
            limits[row]["stamp_us"] = before_us     # what has been filled in fills in again

    return bring_up


@mutant("limits.charge", "limit", worlds="growth")
def growth_of_failed_attempts(right: Any) -> Any:
    def charge(limits: Any, logs: Any, row: int, units: int, now_us: int) -> None:
        right(limits, logs, row, units, now_us)
        windows.confirm(limits, logs, row, units, now_us, now_us)

    return charge


@mutant("limits.confirm", "idle", worlds="growth")
def growth_forgotten(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("limits.confirm", "limit", worlds="growth")
def growth_in_the_window_of_the_answer(right: Any) -> Any:
    return lambda limits, logs, row, units, _counted_us, now_us: right(limits, logs, row, units, now_us, now_us)


@mutant("placing._more_telling", "reason", worlds="spent")
def last_model_has_the_last_word(_right: Any) -> Any:
    return lambda one, other: other


@mutant("gateway.cancel", "idle")
def reserve_leaked_on_cancel(right: Any) -> Any:
    def cancel(*arguments: Any) -> None:
        with replaced("policies.capacity", "settle", lambda _: lambda *_arguments: 0):
            right(*arguments)

    return cancel


@mutant("charge.held_until_end", "limit", worlds="output")
def hold_not_taken_for_output(right: Any) -> Any:
    return lambda rule, *tokens: 0 if rule == charges.OUTPUT else right(rule, *tokens)


@mutant("charge.charged_at_end", "idle", worlds="cached")
def cached_tokens_counted(right: Any) -> Any:
    return lambda rule, input_tokens, cached, *rest: right(rule, input_tokens, 0, *rest)


@mutant("charge.charged_at_dispatch", "limit")
def output_not_counted_in_advance(right: Any) -> Any:
    return lambda rule, input_tokens, output_tokens: right(rule, input_tokens, 0)


@mutant("layout.day_offset_us", "idle", worlds="day")
def days_in_utc(_right: Any) -> Any:
    return lambda timezone, start_us: 0


@mutant("build._limit_capacity", "limit")
def two_keys_count_twice(right: Any) -> Any:
    return lambda limit: right(limit) * 2


@mutant("limits.fits", "limit")
def concurrency_off_by_one(right: Any) -> Any:
    def fits(limits: Any, logs: Any, row: int, units: int, now_us: int) -> Any:
        return right(limits, logs, row, units - (limits[row]["window"] == windows.IN_FLIGHT), now_us)

    return fits


@mutant("limits._forget_old_entries", "limit")
def sliding_entry_forgotten_early(right: Any) -> Any:
    return lambda limits, logs, row, now_us: right(limits, logs, row, now_us + 1_000_000)


@mutant("limits.fits", "limit")
def paced_overdrawn_twice(right: Any) -> Any:
    def fits(limits: Any, logs: Any, row: int, units: int, now_us: int) -> Any:
        limit = limits[row]
        large = limit["window"] == windows.PACED and units * limit["unit"] > limit["capacity"]
        return right(limits, logs, row, units, now_us) or (large and windows.free(limits, logs, row, now_us) >= -limit["capacity"])

    return fits


@mutant("limits.rescale", "limit", "resting", "idle")
def limit_cut_not_followed(_right: Any) -> Any:
    return lambda limits, logs, row, scale_pm, now_us: None


@mutant("capacity.limit_range", "limit")
def whole_account_limits_forgotten(right: Any) -> Any:
    return lambda state, deployment, part: (0, 0) if part == 0 else right(state, deployment, part)


# money


@mutant("placing.dispatch", "tenant_budget", worlds="budget")
def budget_hold_not_taken(right: Any) -> Any:
    def dispatch(state: Any, slot: int, *rest: Any) -> None:
        right(state, slot, *rest)
        state.tenants[state.requests[slot]["tenant"]]["budget_held"] -= state.requests[slot]["held_nano_usd"]

    return dispatch


@mutant("gateway._end_attempt", "reason", worlds="budget")
def budget_hold_leaked(right: Any) -> Any:
    def end_attempt(state: Any, slot: int, *rest: Any) -> Any:
        state.tenants[state.requests[slot]["tenant"]]["budget_held"] += state.requests[slot]["held_nano_usd"]
        return right(state, slot, *rest)

    return end_attempt


@mutant("placing.open_budget_period", "reason", worlds="month")
def budget_never_renewed(_right: Any) -> Any:
    return lambda state, tenant: None


@mutant("waiting._suit_again", "reason", worlds="poor")
def one_model_too_dear_ends_all(_right: Any) -> Any:
    from policies import waiting

    def end(state: Any, slot: int, now_us: int) -> None:
        waiting.stop_waiting(state, slot)
        waiting.end_unserved(state, slot, REJECT, TENANT_BUDGET, -1)

    return end


@mutant("refusals._quota_rest_us", "cooldown", worlds="quota")
def spent_quota_tried_again(_right: Any) -> Any:
    return lambda *arguments: 60_000_000


@mutant("charge.cost_nano_usd", "price")
def cost_rounded_down(right: Any) -> Any:
    return lambda *arguments: right(*arguments) - 1


@mutant("charge.cost_nano_usd", "price")
def cached_tokens_at_full_price(right: Any) -> Any:
    return lambda fresh, cached, output, input_tokens, cached_tokens, *rest: right(fresh, fresh, output, input_tokens, cached_tokens, *rest)


@mutant("placing.unsuited", "request_budget")
def request_budget_ignored(right: Any) -> Any:
    def unsuited(*arguments: Any) -> int:
        reason = right(*arguments)
        return 0 if reason == REQUEST_BUDGET else reason

    return unsuited


@mutant("prices.worst_price", "fields", "worst_case")
def worst_case_forgets_output(right: Any) -> Any:
    return lambda model, input_tokens, output_tokens: right(model, input_tokens, 0)


@mutant("waiting.end_unserved", "ledger")
def refused_attempts_not_billed(right: Any) -> Any:
    def end_unserved(state: Any, slot: int, *rest: Any) -> None:
        state.requests[slot]["billed_nano_usd"] += 1
        right(state, slot, *rest)

    return end_unserved


# who may go where


@mutant("placing.unsuited", "eligible")
def quality_floor_ignored(right: Any) -> Any:
    def unsuited(*arguments: Any) -> int:
        reason = right(*arguments)
        return 0 if reason == NOT_ELIGIBLE else reason

    return unsuited


@mutant("build._fill_access", "eligible")
def region_ignored(right: Any) -> Any:
    def fill_access(state: Any, *rest: Any) -> None:
        right(state, *rest)
        state.open[:] = 1

    return fill_access


@mutant("placing.chain_of", "eligible")
def fallback_outside_the_chain(_right: Any) -> Any:
    return lambda state, wanted: (0, state.models.size)


@mutant("prices.bid_price", "choice", worlds="bids")
def bid_price_by_request_only(right: Any) -> Any:
    return lambda model, tokens: right(model, 0)


@mutant("placing.chain_of", "choice")
def fallback_before_what_was_wanted(right: Any) -> Any:
    def chain_of(state: Any, wanted: int) -> tuple[int, int]:
        lo, hi = right(state, wanted)
        return (lo + 1, hi) if wanted >= 0 and hi > lo + 1 else (lo, hi)

    return chain_of


@mutant("refusals.resting_until_us", "resting")
def standby_account_used(right: Any) -> Any:
    def resting_until_us(state: Any, deployment: Any) -> int:
        account = state.accounts[deployment["account"]]
        kept, account["state"] = account["state"], ACTIVE
        until_us = right(state, deployment)
        account["state"] = kept
        return until_us

    return resting_until_us


@mutant("refusals.resting_until_us", "resting")
def retry_ignores_cooldown(right: Any) -> Any:
    return lambda state, deployment: NEVER_US if right(state, deployment) >= NEVER_US else 0


@mutant("refusals._cool", "cooldown")
def cooldown_shortened(right: Any) -> Any:
    def cool(state: Any, scope: int, row: int, target: Any, *rest: Any) -> None:
        target["cool_until_us"] = 0
        right(state, scope, row, target, *rest)

    return cool


@mutant("refusals._cool_limited", "cooldown")
def one_deployment_rests_for_all(_right: Any) -> Any:
    from policies import refusals

    def cool_limited(state: Any, deployment: int, limit: int, retry_after_us: int, refusal: int, _sent: int, now_us: int) -> None:
        until_us = now_us + refusals._rest_us(state, 0, limit, retry_after_us, refusal, now_us)
        refusals._cool(state, 0, deployment, state.deployments[deployment], until_us, refusal, deployment)

    return cool_limited


@mutant("trials.is_tried_enough", "resting", worlds="unsure")
def all_go_when_a_rest_is_over(_right: Any) -> Any:
    return lambda target: False


@mutant("trials.leave_trial", "cooldown", worlds="unsure")
def refusals_open_a_trial(right: Any) -> Any:
    return lambda target, sent_us, _served: right(target, sent_us, True)


@mutant("trials.leave_trial", "idle", worlds="unsure")
def trial_never_opened(right: Any) -> Any:
    return lambda target, sent_us, _served: right(target, sent_us, False)


@mutant("trials.begin_trial", "cooldown", worlds="unsure")
def rest_in_vain_not_doubled(right: Any) -> Any:
    def begin_trial(target: Any, *times: int) -> None:
        right(target, *times)
        target["trial_doublings"] = 0

    return begin_trial


@mutant("refusals._lose_key", "keys")
def revoked_key_kept(_right: Any) -> Any:
    return lambda state, account, key, now_us: None


@mutant("pools.drained", "account", worlds="drain")
def account_at_rest_while_in_flight(right: Any) -> Any:
    def drained(state: Any, row: int, now_us: int) -> None:
        kept, state.accounts[row]["in_flight"] = state.accounts[row]["in_flight"], 0
        right(state, row, now_us)
        state.accounts[row]["in_flight"] = kept

    return drained


# estimates


@mutant("capacity._correct", "limit", "idle", "order", "priority", "floor", "choice", worlds="guessing")
def estimate_never_corrected(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("capacity._correct", "limit", "idle", "order", "priority", "floor", "choice", worlds="guessing")
def estimate_corrected_the_wrong_way(right: Any) -> Any:
    def correct(state: Any, row: int, tier: int, shared: bool, missed: int, *times: int) -> None:
        right(state, row, tier, shared, -missed, *times)

    return correct


# retries and deadlines


@mutant("gateway.backoff_delay_us", "retry")
def retry_too_early(right: Any) -> Any:
    return lambda *arguments: right(*arguments) // 4


@mutant("gateway.retry", "retry")
def retry_forgotten(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("gateway.expire", "deadline")
def deadline_ignored(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("build._fill_settings", "after_refusal", "attempts", worlds="growth")
def one_attempt_too_many(right: Any) -> Any:
    def fill_settings(state: Any, *rest: Any) -> None:
        right(state, *rest)
        state.settings[0]["max_attempts"] += 1

    return fill_settings


# waiting


@mutant("lines._is_higher", "priority")
def priority_inverted(right: Any) -> Any:
    return lambda *arguments: not right(*arguments)


@mutant("lines.must_yield", "floor", "priority", worlds="shared")
def limits_of_the_account_forgotten(_right: Any) -> Any:
    return lambda *arguments: False


@mutant("lines.is_owed", "floor")
def floor_ignored(_right: Any) -> Any:
    return lambda *arguments: False


@mutant("build._fill_settings", "order")
def fair_share_ignored(right: Any) -> Any:
    def fill_settings(state: Any, *rest: Any) -> None:
        right(state, *rest)
        state.settings[0]["fair_share"] = 0

    return fill_settings


@mutant("lines.stands_behind", "order", "priority", "floor")
def newcomer_overtakes(_right: Any) -> Any:
    def settle_in(*_arguments: Any) -> bool:
        return False

    return settle_in


@mutant("build._fill_settings", "queue_bound", "reason")
def queue_bound_ignored(right: Any) -> Any:
    def fill_settings(state: Any, *rest: Any) -> None:
        right(state, *rest)
        state.settings[0]["max_waiting"] += 1

    return fill_settings


@mutant("gateway._within_tenant_limits", "turned_away", worlds="tenant")
def tenant_limit_ignored(_right: Any) -> Any:
    return lambda *arguments: True


@mutant("timers.arm_for", "idle")
def timer_forgotten(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("capacity._share_fits", "reservation", worlds="rich:partition rich:trunk rich:cap")
def reservations_ignored(_right: Any) -> Any:
    return lambda *arguments: True


@mutant("capacity.share_moves", "reservation", worlds="rich:partition")
def shares_not_counted(_right: Any) -> Any:
    return lambda *arguments: None


@mutant("preemption._borrows", "preempt", worlds="rich:preempt")
def anybody_is_preempted(_right: Any) -> Any:
    return lambda *arguments: True


# bookkeeping of requests


@mutant("waiting.finish", "life")
def ended_twice(right: Any) -> Any:
    from policies.notes import note_request

    def finish(state: Any, slot: int) -> None:
        note_request(state, 9, 14, slot, -1, -1, 0, 0, 0, 0)
        right(state, slot)

    return finish


def verdict(name: str) -> list[str]:
    """Rules broken in the first world in which the checker finds what it should, else in all."""
    bug = MUTANTS.get(name)
    found: set[str] = set()
    for world_name in bug.worlds if bug else sorted({w for m in MUTANTS.values() for w in m.worlds}):
        world = world_of(world_name)
        if bug is None:
            found |= check(world, run(world)).rules
            continue
        with replaced(bug.module, bug.function, bug.make):
            rows = run(world)
        found |= check(world, rows).rules
        if found & set(bug.rules):
            break
    return sorted(found)


if __name__ == "__main__":
    print(json.dumps({name: verdict(name) for name in sys.argv[1:]}))
