"""What a request counts for: against a limit when it is dispatched and when it ends, and in money.

Each limit names a charge rule. What is certain at dispatch is charged then; what is not is
held in the worst case and charged as it really was when the attempt ends, so that a limit
is never overdrawn, whenever in between the provider counts (docs/limits.md).

rule             charged at dispatch     held until the end    charged at the end
requests         1                       -                     -
max_tokens       input + max output      -                     -
input            input                   -                     -
uncached_input   -                       input                 input - cached
output           -                       max output            output
total            -                       input + max output    input + output
cost             -                       worst cost            cost
"""

from policies.compile import leaf

REQUESTS, MAX_TOKENS, INPUT, UNCACHED_INPUT, OUTPUT, TOTAL, COST = 0, 1, 2, 3, 4, 5, 6
CHARGE_RULES = 7
LAST_AT_DISPATCH = INPUT        # rules up to it are charged when the request is sent, the others when it ends


@leaf
def charged_at_dispatch(rule: int, input_tokens: int, max_output_tokens: int) -> int:
    """Units charged at once: requests or tokens."""
    if rule == REQUESTS:
        return 1
    if rule == MAX_TOKENS:
        return input_tokens + max_output_tokens
    if rule == INPUT:
        return input_tokens
    return 0


@leaf
def held_until_end(rule: int, input_tokens: int, max_output_tokens: int, worst_nano_usd: int) -> int:
    """Units set aside for what is not certain yet: tokens or nano-USD."""
    if rule <= LAST_AT_DISPATCH:
        return 0
    if rule == UNCACHED_INPUT:
        return input_tokens
    if rule == OUTPUT:
        return max_output_tokens
    if rule == TOTAL:
        return input_tokens + max_output_tokens
    return worst_nano_usd


@leaf
def needed(rule: int, input_tokens: int, max_output_tokens: int, worst_nano_usd: int) -> int:
    """Units that must be free for an attempt to be sent: what is charged at once and what is set aside."""
    held = held_until_end(rule, input_tokens, max_output_tokens, worst_nano_usd)
    return charged_at_dispatch(rule, input_tokens, max_output_tokens) + held


@leaf
def charged_at_end(rule: int, input_tokens: int, cached_tokens: int, output_tokens: int, nano_usd: int) -> int:
    """Units that the finished attempt really used, where they were held before."""
    if rule <= LAST_AT_DISPATCH:
        return 0
    if rule == UNCACHED_INPUT:
        return input_tokens - cached_tokens
    if rule == OUTPUT:
        return output_tokens
    if rule == TOTAL:
        return input_tokens + output_tokens
    return nano_usd


@leaf
def cost_nano_usd(
    input_nano_usd_per_1m: int,
    cached_nano_usd_per_1m: int,
    output_nano_usd_per_1m: int,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
) -> int:
    """Price of an attempt in whole nano-USD, rounded up. `input_tokens` includes the cached ones."""
    total = (
        (input_tokens - cached_tokens) * input_nano_usd_per_1m
        + cached_tokens * cached_nano_usd_per_1m
        + output_tokens * output_nano_usd_per_1m
    )
    return (total + 999_999) // 1_000_000
