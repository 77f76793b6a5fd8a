"""What a transition leaves behind: log rows for everybody, effects for the driver."""

from policies.compile import leaf
from policies.state import State


@leaf
def note(
    state: State, kind: int, code: int, request: int, attempt: int, deployment: int, tenant: int, limit: int,
    v0: int, v1: int, v2: int, v3: int, v4: int,
) -> None:  # fmt: skip
    """Append one row to the log buffer; drivers empty it before it is full."""
    pulse = state.pulse[0]
    row = state.log[pulse["log_count"]]
    pulse["log_count"] += 1
    row["time_us"] = pulse["now_us"]
    row["request"] = request
    row["kind"] = kind
    row["code"] = code
    row["attempt"] = attempt
    row["deployment"] = deployment
    row["tenant"] = tenant
    row["limit"] = limit
    row["v0"] = v0
    row["v1"] = v1
    row["v2"] = v2
    row["v3"] = v3
    row["v4"] = v4


@leaf
def note_request(
    state: State, kind: int, code: int, slot: int, limit: int, v0: int, v1: int, v2: int, v3: int, v4: int
) -> None:
    """Append a row about the request in `slot`."""
    request = state.requests[slot]
    note(
        state, kind, code, request["request"], request["attempt"], request["deployment"], request["tenant"], limit,
        v0, v1, v2, v3, v4,
    )  # fmt: skip


@leaf
def ask(state: State, kind: int, row: int, request: int, time_us: int) -> None:
    """Ask the driver for something: an answer, or to be called at `time_us`."""
    pulse = state.pulse[0]
    effect = state.effects[pulse["effect_count"]]
    pulse["effect_count"] += 1
    effect["kind"] = kind
    effect["row"] = row
    effect["request"] = request
    effect["time_us"] = time_us
