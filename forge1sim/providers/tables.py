"""The provider emulator's whole state: a few tables in one block of bytes.

Times are int64 microseconds, money int64 nano-USD, shares per mille (`_pm`). Counts are int64,
so that plain Python on NumPy scalars gives the same numbers as compiled code.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from policies.arena import opener
from policies.rows import Bytes, Floats, Ints, Row, Rows

NEVER_US = 2**62

SETTINGS = np.dtype(
    [
        ("seed", "<i8"),
        ("start_us", "<i8"),
        ("next_change_us", "<i8"),     # the next start or end of a fault
        ("failure_stem", "<u8"), ("service_stem", "<u8"),      # of the draws for every attempt
    ]
)  # fmt: skip

LIMIT = np.dtype(
    [
        # what every attempt touches, in one cache line
        ("window", "u1"), ("charge", "u1"), ("refusal", "u1"), ("_pad", "u1", (5,)),
        ("level", "<i8"),              # buckets: what is left, in units of 1/60,000,000
        ("used", "<i8"),               # other windows: charged in this window, or in flight
        ("allowed", "<i8"),            # in force now: per window, or refill per minute
        ("room", "<i8"),               # in force now: most that a bucket holds, in its units
        ("since_us", "<i8"),           # buckets: `level` is as of then
        ("until_us", "<i8"),           # windows: this one ends then
        ("unit", "<i8"),               # buckets: what must be free for each unit that an attempt costs
        ("window_us", "<i8"), ("offset_us", "<i8"), ("growth_pm", "<i8"),
        ("scaled", "<i8"), ("previous", "<i8"),  # acceleration: least allowance, use of the window before
        ("ring_lo", "<i8"), ("ring_size", "<i8"), ("ring_first", "<i8"), ("ring_count", "<i8"), ("grid_us", "<i8"),
        ("amount", "<i8"), ("depth", "<i8"),     # as configured
        ("refused", "<i8"),            # attempts refused by this limit
        ("overdrawn", "<i8"),          # charges at the end of an attempt that left more used than allowed
        ("_to_192_bytes", "<i8", (2,)),
    ]
)  # fmt: skip

ENTRY = np.dtype([("time_us", "<i8"), ("amount", "<i8")])

ACCOUNT = np.dtype(
    [
        ("troubled", "<i8"),           # whether any of the next five is not at rest
        ("out", "<i8"), ("set_out", "<i8"), ("revoked_keys", "<i8"), ("brownout", "<f8"), ("storm", "<f8"),
        ("slowdown", "<f8"), ("scale_pm", "<i8"),
        ("set_scale_pm", "<i8"),       # what a caller imposed, as is `set_out`
        ("limit_lo", "<i8"), ("limit_hi", "<i8"),
    ]
)  # fmt: skip

DEPLOYMENT = np.dtype(
    [
        ("in_flight", "<i8"), ("account", "<i8"), ("provider", "<i8"), ("model", "<i8"),
        ("limits_lo", "<i8"), ("limits_hi", "<i8"),            # of `limit_rows`: all that an attempt meets, in order
        ("endings_lo", "<i8"), ("endings_hi", "<i8"),          # and those that its end changes
    ]
)  # fmt: skip

MODEL = np.dtype(
    [
        ("max_output_tokens", "<i8"), ("context_tokens", "<i8"),
        # nano-USD per token: whole ones, and millionths of one
        ("fresh_nano_usd", "<i8"), ("fresh_millionths", "<i8"), ("cached_nano_usd", "<i8"), ("cached_millionths", "<i8"),
        ("output_nano_usd", "<i8"), ("output_millionths", "<i8"),
        ("service", "<i8"),            # a kind of `service`: by speed, or a distribution
        ("ttft_s", "<f8"), ("s_per_input_token", "<f8"), ("s_per_output_token", "<f8"),
        ("noise_sigma", "<f8"), ("noise_shift", "<f8"), ("load_slope", "<f8"),     # shift: half of sigma squared
        ("mean_s", "<f8"), ("sigma", "<f8"), ("shape", "<f8"), ("at_most_s", "<f8"),
        ("values_lo", "<i8"), ("values_count", "<i8"),
    ]
)  # fmt: skip

PROVIDER = np.dtype(
    [
        ("flaky", "<i8"),              # whether any probability is above zero
        ("error_below", "<f8"), ("timeout_below", "<f8"), ("overload_below", "<f8"), ("caller_below", "<f8"),
        ("error_after_us", "<i8"), ("refusal_after_us", "<i8"), ("timeout_us", "<i8"), ("retry_after", "<i8"),
    ]
)  # fmt: skip

FAULT = np.dtype(
    [
        ("kind", "<i8"), ("start_us", "<i8"), ("stop_us", "<i8"),
        ("probability", "<f8"), ("factor", "<f8"), ("factor_pm", "<i8"),
    ]
)  # fmt: skip

ANSWER = np.dtype(
    [
        ("duration_us", "<i8"),        # until the answer arrives
        ("retry_after_us", "<i8"),     # 0: none given
        ("input_tokens", "<i8"), ("cached_tokens", "<i8"), ("output_tokens", "<i8"),   # billed
        ("limit", "<i4"),              # row of `Layout.limits` that refused, or -1
        ("limit_scale_pm", "<i4"),     # share of the account's limits in force: what headers show
        ("outcome", "u1"), ("_to_64_bytes", "u1", (15,)),   # 0: ok, else a refusal class of `policies.log`
    ]
)  # fmt: skip

HEADER_WORDS = 40
SECTION_TYPES: tuple[np.dtype[Any], ...] = (
    SETTINGS, np.dtype("<i8"), LIMIT, ENTRY, ACCOUNT, DEPLOYMENT, np.dtype("<i8"), MODEL, PROVIDER, FAULT, np.dtype("u1"),
    np.dtype("<f8"),
)  # fmt: skip


class Emulator(NamedTuple):
    """The tables of all providers."""

    settings: Rows           # one row
    charges: Ints            # by charge rule: units that the attempt at hand needs free
    limits: Rows             # by row of `Layout.limits`
    entries: Rows            # the logs of all sliding limits
    accounts: Rows
    deployments: Rows
    limit_rows: Ints         # by deployment
    models: Rows
    providers: Rows
    faults: Rows
    strikes: Bytes           # (fault, account): whether it is struck
    values: Floats           # of empirical service times, in seconds


open_emulator = opener(Emulator, SECTION_TYPES)


def row_of(answer: Row | Rows) -> Row:
    """The one row of `answer`: itself, or the first of a table."""
    return answer[0] if isinstance(answer, np.ndarray) else answer


@overload(row_of)  # type: ignore[untyped-decorator]
def _row_of(answer: Any) -> Any:
    is_table = isinstance(answer, types.Array)

    def first(answer: Any) -> Any:
        return answer[0]

    def itself(answer: Any) -> Any:
        return answer

    return first if is_table else itself
