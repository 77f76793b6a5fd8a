"""The workload: a table of requests over time, whoever made it.

Every generator and trace reader yields chunks of `REQUESTS` rows: numpy arrays sorted by
(arrive_us, tenant, number), each chunk no earlier than the one before, so that memory does
not grow with the horizon.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NEVER_US = np.int64(2**62)
AUTO = -1

REQUESTS = np.dtype(
    [
        ("arrive_us", "<i8"),          # since the epoch
        ("deadline_us", "<i8"),        # expires if still waiting then; NEVER_US: none
        ("cancel_us", "<i8"),          # the client leaves then, in flight or not; NEVER_US: stays
        ("budget_nano_usd", "<i8"),    # most this request may cost; 0: no bound of its own
        ("tenant", "<i4"),             # row of the tenant in the platform's order
        ("number", "<i4"),             # the tenant's own request number, from 0
        ("input_tokens", "<i4"),       # cached included
        ("cached_tokens", "<i4"),      # of the input, served from the provider's cache
        ("output_tokens", "<i4"),      # the truth, hidden from policies
        ("max_output_tokens", "<i4"),  # what the caller asked for at most; 0: not said
        ("complexity_pm", "<i2"),      # 0..1000 per mille
        ("wanted", "<i2"),             # row of the model asked for, or AUTO
        ("service_class", "u1"),       # 0 interactive, 1 batch
        ("_pad", "u1"), ("_pad_2", "<u2"),
    ]
)  # fmt: skip


class Workload(Protocol):
    """Requests in order of time, in chunks; the same chunks every time it is asked."""

    @property
    def expected_requests(self) -> int:
        """About how many requests there will be, for progress; 0 if unknown."""
        ...

    def chunks(self) -> Iterator[NDArray[np.void]]:
        """Yield arrays of dtype `REQUESTS`, each at most about 100,000 rows."""
        ...
