"""Inputs: all that a gateway is ever told, as fixed rows. What it was told, in order, is what it did.

A driver of real traffic turns bytes into these rows, and they are kept. Fed again, under any clock, equal rows
give equal decisions. Fields that mean the same in every row: `time_us`, no two rows have the same; `kind`;
`row`, a request's slot, a tenant, an account or a limit; `request`, the request's number (of ARRIVAL: the tenant's own).

kind       row      v0              v1                   v2              v3             v4         v5          v6         v7
ARRIVAL    tenant   model wanted    service class        complexity pm   input          cached     max output  deadline   budget nano
                    (-1: auto)                                           tokens         tokens     tokens      us         USD
SERVED     slot     input tokens    cached               output          complexity pm
REFUSAL    slot     refusal class   limit row or -1      retry after us  input tokens   cached     output
GONE       slot     input tokens    cached               output          reason
SEEN       slot     limit row       units in force or    units remaining resets at us   units that remaining
                                    -1                   or -1           or -1          was rounded to
ACCOUNT_CAME account
KEYS       account  keys that came (below 0: were revoked)
UNKNOWN                                                                      what providers have counted so far is not known
BUNDLE     number of the bundle in force from now on (`policies.change`)
SHARE      account  share per mille  of windows           that began at   of what       of longer
                    that is ours                          this time on    slides        ones       (`policies.leases`)
"""

import numpy as np

from policies.compile import leaf
from policies.order import ANSWERED, ARRIVED, CANCELLED, CONTROLLED, tie_key
from policies.rows import Row

NOTHING, ARRIVAL, SERVED, REFUSAL, GONE, SEEN, ACCOUNT_CAME, KEYS, UNKNOWN, BUNDLE, SHARE = range(11)
KEPT = 1                         # as the row of NOTHING
VALUES = 8
INPUT = np.dtype([(name, "<i8") for name in ("time_us", "kind", "row", "request", *(f"v{number}" for number in range(VALUES)))])


@leaf
def input_key(entry: Row) -> int:
    """Where an input stands among what happens at its moment (`policies.order`)."""
    kind = entry["kind"]
    if kind == ARRIVAL or kind == NOTHING:
        return tie_key(ARRIVED, 0, 0)
    if kind == SERVED or kind == REFUSAL:
        return tie_key(ANSWERED, entry["request"], 0)
    if kind == GONE:
        return tie_key(CANCELLED, entry["request"], 0)
    return tie_key(CONTROLLED, 0, 0)
