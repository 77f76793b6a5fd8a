"""Pools of accounts: what a scaling tick sees and does, and accounts that come and go."""

from policies import scaling
from policies.compile import inlined, rare
from policies.contracts import MEMORY_WORDS
from policies.limits import ACCELERATION, IN_FLIGHT, PACED
from policies.log import ACCOUNT as ACCOUNT_ROW
from policies.log import ACTIVE, CONTROL, DRAINING, KEY_ADDED, KEY_REVOKED, NO_KEYS, ORDERABLE, ORDERED, STANDBY, TICK
from policies.notes import ask, note
from policies.plug import ask_scaling
from policies.state import DO_READY, DO_TICK, State
from policies.timers import ring_by


@rare
def _set_account(state: State, row: int, new_state: int, ready_us: int, utilization_pm: int) -> None:
    account = state.accounts[row]
    account["state"] = new_state
    note(state, ACCOUNT_ROW, new_state, -1, 0, -1, -1, -1, row, ready_us, utilization_pm, account["key"], 0)


@rare
def wake_account(state: State, row: int, now_us: int) -> None:
    """Let all deployments of an account ask for work now."""
    account = state.accounts[row]
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        ring_by(state, state.account_deployments[place], now_us)


@inlined
def drained(state: State, row: int, now_us: int) -> None:
    """An account that drains and has nothing in flight is at rest again."""
    account = state.accounts[row]
    if account["state"] == DRAINING and account["in_flight"] == 0:
        _set_account(state, row, STANDBY if account["base_state"] != ORDERABLE else ORDERABLE, now_us, 0)


@inlined
def _limit_use(state: State, row: int, period_us: int) -> float:
    """Use of one limit over the last period as a share of what it allowed."""
    limit = state.limits[row]
    window = limit["window"]
    if limit["capacity"] <= 0:
        return 0.0
    if window == IN_FLIGHT:
        return float(limit["held"]) / float(limit["capacity"])
    used = float(limit["period_used"]) * float(limit["unit"])
    limit["period_used"] = 0
    if window <= PACED:
        return used / (float(limit["rate"]) * float(period_us))
    if window == ACCELERATION:
        return 0.0
    return used / (float(limit["capacity"]) * float(period_us) / float(limit["window_us"]))


@inlined
def _account_use(state: State, row: int, period_us: int) -> float:
    """The fullest limit of an account over the last period."""
    account = state.accounts[row]
    most = 0.0
    for limit in range(account["limit_lo"], account["limit_hi"]):
        most = max(most, _limit_use(state, limit, period_us))
    last_bucket = -1
    for place in range(account["deployments_lo"], account["deployments_hi"]):
        bucket_row = state.deployments[state.account_deployments[place]]["bucket"]
        if bucket_row > last_bucket:
            last_bucket = bucket_row
            bucket = state.buckets[bucket_row]
            for limit in range(bucket["limit_lo"], bucket["limit_hi"]):
                most = max(most, _limit_use(state, limit, period_us))
    return most


@inlined
def _measure(state: State, pool_row: int, period_us: int) -> None:
    pool = state.pools[pool_row]
    total = 0.0
    pool["accounts"], pool["draining"], pool["standby"], pool["orderable"], pool["ordered"] = 0, 0, 0, 0, 0
    pool["in_flight"], pool["waiting"] = 0, state.pulse[0]["waiting"]
    for row in range(state.accounts.size):
        account = state.accounts[row]
        if account["pool"] != pool_row:
            continue
        pool["in_flight"] += account["in_flight"]
        if account["state"] == ACTIVE:
            pool["accounts"] += 1
            total += _account_use(state, row, period_us)
        elif account["state"] == DRAINING:
            pool["draining"] += 1
        elif account["state"] == STANDBY:
            pool["standby"] += 1
        elif account["state"] == ORDERABLE:
            pool["orderable"] += 1
        elif account["state"] == ORDERED:
            pool["ordered"] += 1
    pool["utilization"] = total / pool["accounts"] if pool["accounts"] > 0 else 0.0


@inlined
def _find_account(state: State, pool_row: int, wanted_state: int, last: bool) -> int:
    found = -1
    for row in range(state.accounts.size):
        account = state.accounts[row]
        if account["pool"] == pool_row and account["state"] == wanted_state:
            if not last:
                return row
            found = row
    return found


@inlined
def _add(state: State, pool_row: int, utilization_pm: int, now_us: int) -> bool:
    """Put a draining account back, else activate a standby one at once, else order one."""
    for ready_state in (DRAINING, STANDBY):
        row = _find_account(state, pool_row, ready_state, False)
        if row >= 0:
            _set_account(state, row, ACTIVE, now_us, utilization_pm)
            wake_account(state, row, now_us)
            return True
    row = _find_account(state, pool_row, ORDERABLE, False)
    if row < 0:
        return False
    ready_us = now_us + state.accounts[row]["lead_time_us"]
    state.accounts[row]["ready_us"] = ready_us
    _set_account(state, row, ORDERED, ready_us, utilization_pm)
    ask(state, DO_READY, row, -1, ready_us)
    return True


@inlined
def _retire(state: State, pool_row: int, utilization_pm: int, now_us: int) -> bool:
    row = _find_account(state, pool_row, ACTIVE, True)
    if row < 0:
        return False
    _set_account(state, row, DRAINING, now_us, utilization_pm)
    drained(state, row, now_us)
    return True


@inlined
def _wish(state: State, pool_row: int, now_us: int) -> int:
    """Ask the scaling policy, which remembers each pool apart."""
    pool, settings = state.pools[pool_row], state.settings[0]
    memory = state.scaling_memory[pool_row * MEMORY_WORDS : (pool_row + 1) * MEMORY_WORDS]
    if settings["scaling"] == scaling.USER:
        return ask_scaling(settings["scaling_at"], pool, state.scaling_params, memory, now_us)
    return scaling.choose(settings["scaling"], pool, state.scaling_params, memory, now_us)


@rare
def tick(state: State, now_us: int) -> None:
    """A scaling period has passed: measure each pool, ask the scaling policy, act."""
    settings = state.settings[0]
    if state.pulse[0]["tick_us"] != now_us:
        return                  # of a bundle no longer in force
    state.pulse[0]["now_us"] = now_us
    for pool_row in range(state.pools.size):
        pool = state.pools[pool_row]
        _measure(state, pool_row, settings["period_us"])
        utilization_pm = int(pool["utilization"] * 1000.0)
        note(state, TICK, 0, -1, 0, -1, -1, -1, pool_row, utilization_pm, pool["accounts"], 0, 0)
        change = scaling.allowed(_wish(state, pool_row, now_us), pool, settings, now_us)
        acted = False
        if change > 0:
            acted = _add(state, pool_row, utilization_pm, now_us)
        elif change < 0:
            acted = _retire(state, pool_row, utilization_pm, now_us)
        if acted:
            pool["changed_us"] = now_us
    plan_tick(state, now_us)


@rare
def plan_tick(state: State, now_us: int) -> None:
    """Ask to be called when the next scaling period is over, if there is scaling."""
    settings = state.settings[0]
    if settings["scaling"] != 0:
        state.pulse[0]["tick_us"] = now_us + settings["period_us"]
        ask(state, DO_TICK, -1, -1, state.pulse[0]["tick_us"])


@rare
def ready(state: State, row: int, now_us: int) -> None:
    """An account that was ordered, or may be, has arrived."""
    if state.accounts[row]["state"] == ORDERED or state.accounts[row]["state"] == ORDERABLE:
        state.pulse[0]["now_us"] = now_us
        _set_account(state, row, ACTIVE, now_us, 0)
        wake_account(state, row, now_us)


@rare
def change_keys(state: State, row: int, count: int, now_us: int) -> None:
    """So many keys came to an account; below 0: were taken away, those in use last."""
    account = state.accounts[row]
    state.pulse[0]["now_us"] = now_us
    account["keys_left"] = max(0, account["keys_left"] + count)
    if account["keys_left"] == 0:
        if account["state"] == ACTIVE or account["state"] == DRAINING:
            _set_account(state, row, NO_KEYS, now_us, 0)
    elif account["state"] == NO_KEYS:
        _set_account(state, row, ACTIVE, now_us, 0)
        wake_account(state, row, now_us)
    note(state, CONTROL, KEY_ADDED if count > 0 else KEY_REVOKED, -1, 0, -1, -1, -1, row, account["keys_left"], 0, 0, 0)
