"""The providers: an attempt is received, refused or accepted, and ends.

A pure state machine without a clock, and an independent witness: it shares no rule with the
gateway. Entry points take the block made by `build_emulator`, so that a call from Python hands
over one array.
"""

import numpy as np

from forge1sim.providers.faults import catch_up
from forge1sim.providers.service import service_us
from forge1sim.providers.tables import Emulator, open_emulator, row_of
from forge1sim.providers.windows import (
    IN_FLIGHT,
    OUTPUT,
    bring_up,
    charge_at_end,
    clears_in_us,
    has_room,
    is_overdrawn,
    need_of,
    take,
    work_out_charges,
)
from policies.compile import compiled, leaf, rare
from policies.draw import FAULT, STORM, draw, draw_from
from policies.log import CALLER, CREDENTIAL, FAILED, OVERLOAD, THROTTLE, TIMEOUT
from policies.rows import Bytes, Row, Rows

OK = 0
NO_LIMIT = -1


@compiled
def begin(
    block: Bytes, deployment: int, tenant: int, number: int, attempt: int, key: int, input_tokens: int,
    cached_tokens: int, output_tokens: int, max_output_tokens: int, now_us: int, answer: Row | Rows,
) -> None:  # fmt: skip
    """A provider receives an attempt; `answer` (one ANSWER row) says what will come of it.

    Args:
        block: made by `build_emulator`.
        deployment: row of `Layout.deployments`.
        tenant, number, attempt: key of every draw, with the emulator's seed.
        key: number of the account's key in order of use, from 0.
        input_tokens: cached ones included.
        cached_tokens: of the input, served from the provider's cache.
        output_tokens: what the model would say, cut at the maximum.
        max_output_tokens: as asked for; 0: the model's own maximum.
        now_us: the driver's clock, never going back.
        answer: one ANSWER row, written to; or a table of one, which Python hands over a microsecond faster.
    """
    reply = row_of(answer)
    emulator = open_emulator(block)
    settings = emulator.settings[0]
    if now_us >= settings["next_change_us"]:
        catch_up(emulator, now_us)
    place = emulator.deployments[deployment]
    account = emulator.accounts[place["account"]]
    provider = emulator.providers[place["provider"]]
    model = emulator.models[place["model"]]
    # Callers hand over fields of narrow tables; plain Python would multiply those as narrowly.
    input_tokens, cached_tokens = int(input_tokens), int(cached_tokens)
    most_output_tokens = int(max_output_tokens) if max_output_tokens > 0 else model["max_output_tokens"]
    _clear(reply, account)
    outcome = _struck(account, settings["seed"], tenant, number, attempt, key)
    if outcome == OK:
        outcome = _failed(provider, settings["failure_stem"], tenant, number, attempt)
    if outcome == OK and input_tokens + most_output_tokens > model["context_tokens"]:
        outcome = CALLER
    if outcome != OK:
        reply["outcome"] = outcome
        reply["duration_us"] = _refusal_us(provider, outcome)
        return
    work_out_charges(emulator.charges, input_tokens, cached_tokens, most_output_tokens)
    if _is_refused(emulator, place, provider, now_us, reply):
        return
    _charge(emulator, place, now_us)
    reply["input_tokens"] = input_tokens
    reply["cached_tokens"] = cached_tokens
    said_tokens = min(int(output_tokens), most_output_tokens)
    reply["output_tokens"] = said_tokens
    reply["duration_us"] = service_us(
        model, emulator.values, settings, tenant, number, attempt,
        input_tokens, said_tokens, place["in_flight"], account["slowdown"],
    )  # fmt: skip
    place["in_flight"] += 1


@compiled
def end(
    block: Bytes, deployment: int, ok: bool, input_tokens: int, cached_tokens: int, output_tokens: int, now_us: int
) -> None:
    """An attempt ends. If it had been accepted (`ok`), it leaves and its real output is charged; else nothing is held."""
    if not ok:
        return
    input_tokens, cached_tokens, output_tokens = int(input_tokens), int(cached_tokens), int(output_tokens)
    emulator = open_emulator(block)
    if now_us >= emulator.settings[0]["next_change_us"]:
        catch_up(emulator, now_us)
    place = emulator.deployments[deployment]
    place["in_flight"] -= 1
    model = emulator.models[place["model"]]
    for ending in range(place["endings_lo"], place["endings_hi"]):
        limit = emulator.limits[emulator.limit_rows[ending]]
        if limit["window"] == IN_FLIGHT:
            limit["used"] -= 1
        else:
            charge = charge_at_end(limit["charge"], model, input_tokens, cached_tokens, output_tokens)
            _settle(limit, emulator.entries, charge, now_us)


@compiled
def cancel(
    block: Bytes, deployment: int, input_tokens: int, cached_tokens: int, output_tokens: int, now_us: int
) -> None:
    """The caller hangs up on an accepted attempt: what was said until then (`partial_output`) is charged."""
    end(block, deployment, True, input_tokens, cached_tokens, output_tokens, now_us)


@compiled
def partial_output(output_tokens: int, duration_us: int, elapsed_us: int) -> int:
    """Whole output tokens that an attempt of `duration_us` has made after `elapsed_us`, at an even pace."""
    if elapsed_us >= duration_us:
        return output_tokens
    while duration_us >= 2**32:             # keeps the product in 64 bits
        duration_us //= 2
        elapsed_us //= 2
    return int(output_tokens) * max(elapsed_us, 0) // duration_us


@leaf
def _clear(answer: Row, account: Row) -> None:
    answer["outcome"] = OK
    answer["limit"] = NO_LIMIT
    answer["limit_scale_pm"] = account["scale_pm"]
    answer["duration_us"] = 0
    answer["retry_after_us"] = 0
    answer["input_tokens"] = 0
    answer["cached_tokens"] = 0
    answer["output_tokens"] = 0


@rare
def _struck(account: Row, seed: int, tenant: int, number: int, attempt: int, key: int) -> int:
    """What faults do to an attempt."""
    if account["troubled"] == 0:
        return OK
    if account["out"] + account["set_out"] > 0:
        return FAILED
    if account["brownout"] > 0.0 and draw(seed, FAULT, tenant, number, attempt) < account["brownout"]:
        return FAILED
    if key < account["revoked_keys"]:
        return CREDENTIAL
    if account["storm"] > 0.0 and draw(seed, STORM, tenant, number, attempt) < account["storm"]:
        return THROTTLE
    return OK


@leaf
def _failed(provider: Row, failure_stem: np.uint64, tenant: int, number: int, attempt: int) -> int:
    """What goes wrong by itself: one draw decides which of a provider's failures, if any."""
    if provider["flaky"] == 0:
        return OK
    u = draw_from(failure_stem, tenant, number, attempt)
    if u >= provider["caller_below"]:
        return OK
    if u < provider["error_below"]:
        return FAILED
    if u < provider["timeout_below"]:
        return TIMEOUT
    if u < provider["overload_below"]:
        return OVERLOAD
    return CALLER


@rare
def _refusal_us(provider: Row, outcome: int) -> int:
    if outcome == TIMEOUT:
        return int(provider["timeout_us"])
    if outcome in (FAILED, OVERLOAD):
        return int(provider["error_after_us"])
    return int(provider["refusal_after_us"])


@leaf
def _is_refused(emulator: Emulator, place: Row, provider: Row, now_us: int, answer: Row) -> bool:
    """Whether a limit refuses the attempt at hand; if so `answer` says which, how and for how long."""
    for met in range(place["limits_lo"], place["limits_hi"]):
        limit = emulator.limits[emulator.limit_rows[met]]
        bring_up(limit, emulator.entries, now_us)
        need = need_of(limit, emulator.charges[limit["charge"]])
        if not has_room(limit, need):
            limit["refused"] += 1
            answer["outcome"] = limit["refusal"]
            answer["limit"] = emulator.limit_rows[met]
            answer["duration_us"] = provider["refusal_after_us"]
            if provider["retry_after"] > 0:
                answer["retry_after_us"] = (clears_in_us(limit, emulator.entries, need, now_us) + 999) // 1000 * 1000
            return True
    return False


@leaf
def _charge(emulator: Emulator, place: Row, now_us: int) -> None:
    """Charge what is charged at the beginning. The limits were brought up to now."""
    for met in range(place["limits_lo"], place["limits_hi"]):
        limit = emulator.limits[emulator.limit_rows[met]]
        if limit["charge"] < OUTPUT:
            take(limit, emulator.entries, emulator.charges[limit["charge"]], now_us)


@leaf
def _settle(limit: Row, entries: Rows, charge: int, now_us: int) -> None:
    """Charge what an attempt really used, even if that is more than is left."""
    bring_up(limit, entries, now_us)
    take(limit, entries, charge, now_us)
    if charge > 0 and is_overdrawn(limit, charge):
        limit["overdrawn"] += 1
