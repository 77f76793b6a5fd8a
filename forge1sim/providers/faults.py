"""What goes wrong, and when: faults of the scenario and what a caller imposes.

The state of an account is worked out anew when a fault starts or ends, and kept on the account,
so that an attempt in quiet times pays for one comparison. A change takes effect at its own
time, even when the next call comes later: buckets refill at the old rate until then.
"""

from forge1sim.providers.tables import NEVER_US, Emulator, open_emulator
from forge1sim.providers.windows import rescale, scaled
from policies.compile import compiled, leaf
from policies.rows import Bytes, Row

OUTAGE, BROWNOUT, STORM, LATENCY, LIMIT_CUT, KEY_REVOKED = range(6)
KINDS = {
    "outage": OUTAGE, "brownout": BROWNOUT, "throttle_storm": STORM,
    "latency": LATENCY, "limit_cut": LIMIT_CUT, "key_revoked": KEY_REVOKED,
}  # fmt: skip

_MOST_SCALE_PM = 1_000_000


@compiled
def catch_up(emulator: Emulator, now_us: int) -> None:
    """Let every fault that started or ended until `now_us` take effect, in order of time."""
    settings = emulator.settings[0]
    while settings["next_change_us"] <= now_us:
        at_us = settings["next_change_us"]
        for account in range(emulator.accounts.size):
            _reassess(emulator, account, at_us)
        settings["next_change_us"] = _next_change_us(emulator, at_us)


@compiled
def _next_change_us(emulator: Emulator, after_us: int) -> int:
    earliest_us = NEVER_US
    for row in range(emulator.faults.size):
        fault = emulator.faults[row]
        if after_us < fault["start_us"] < earliest_us:
            earliest_us = fault["start_us"]
        if after_us < fault["stop_us"] < earliest_us:
            earliest_us = fault["stop_us"]
    return earliest_us


@compiled
def _reassess(emulator: Emulator, account: int, now_us: int) -> None:
    """Work out what strikes an account at `now_us`."""
    state = emulator.accounts[account]
    out, revoked_keys, scale_pm = 0, 0, state["set_scale_pm"]
    unharmed, unrefused, slowdown = 1.0, 1.0, 1.0
    for row in range(emulator.faults.size):
        fault = emulator.faults[row]
        if emulator.strikes[row * emulator.accounts.size + account] == 0 or now_us < fault["start_us"]:
            continue
        kind = fault["kind"]
        if kind == KEY_REVOKED:
            revoked_keys += 1
        elif now_us >= fault["stop_us"]:
            continue
        elif kind == OUTAGE:
            out = 1
        elif kind == BROWNOUT:
            unharmed *= 1.0 - fault["probability"]
        elif kind == STORM:
            unrefused *= 1.0 - fault["probability"]
        elif kind == LATENCY:
            slowdown *= fault["factor"]
        else:
            scale_pm = max(1, scaled(scale_pm, fault["factor_pm"], _MOST_SCALE_PM))
    state["out"], state["revoked_keys"] = out, revoked_keys
    state["brownout"], state["storm"], state["slowdown"] = 1.0 - unharmed, 1.0 - unrefused, slowdown
    _note_trouble(state)
    if scale_pm != state["scale_pm"]:
        state["scale_pm"] = scale_pm
        for row in range(state["limit_lo"], state["limit_hi"]):
            rescale(emulator.limits[row], emulator.entries, scale_pm, now_us)


@compiled
def set_limit_scale(block: Bytes, account: int, scale_pm: int, now_us: int) -> None:
    """Multiply all limits of an account by `scale_pm` / 1000 from now on (1000: as configured).

    In [1, 1000000]; limit_cut faults multiply on top. Levels and uses stay, buckets are clipped.
    """
    emulator = open_emulator(block)
    catch_up(emulator, now_us)
    emulator.accounts[account]["set_scale_pm"] = min(max(scale_pm, 1), _MOST_SCALE_PM)
    _reassess(emulator, account, now_us)


@compiled
def set_outage(block: Bytes, account: int, on: bool) -> None:
    """Let every attempt on an account fail from the next one on, or (`on` false) end that."""
    state = open_emulator(block).accounts[account]
    state["set_out"] = 1 if on else 0
    _note_trouble(state)


@leaf
def _note_trouble(state: Row) -> None:
    struck = state["out"] + state["set_out"] + state["revoked_keys"] > 0
    state["troubled"] = 1 if struck or state["brownout"] > 0.0 or state["storm"] > 0.0 else 0
