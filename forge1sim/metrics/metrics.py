"""`Metrics`: the streaming fold of the event log."""

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import RunError
from forge1sim.metrics import columns as c
from forge1sim.metrics import fold
from forge1sim.metrics.open_table import new_table, rehash
from forge1sim.metrics.spans import flush
from forge1sim.metrics.state import State, new_state
from forge1sim.metrics.static import MetricsStatic
from policies.log import ROW

_FIRST_CAPACITY = 4096
_FAULTS = {
    fold.TIME_BACK: "goes back in time; rows must be in order of time",
    fold.NO_ARRIVE: "belongs to a request that has not arrived or has already ended",
    fold.OUT_OF_RANGE: "names a tenant, model, deployment or code that this platform does not have",
    fold.TWO_ARRIVES: "lets a request arrive that is already in the system",
}


class Metrics:
    """Counts, sums and histograms of a run, built from its log rows as they come.

    Memory follows from the platform and the horizon and from how many requests are in the system
    at once, not from how many there are. The result is the same however the log is cut.
    """

    def __init__(self, static: MetricsStatic) -> None:
        self.static = static
        self.state: State = new_state(static)
        self._open = new_table(_FIRST_CAPACITY)

    def fold(self, rows: NDArray[np.void]) -> None:
        """Fold the next rows of the log, dtype `policies.log.ROW`, in order of time.

        Raises RunError if a row goes back in time or a request has rows before it arrives, after
        it ended, or arrives twice. Rows before that one are then folded.
        """
        if rows.dtype != ROW:
            raise RunError(f"log rows have dtype {rows.dtype}, must be policies.log.ROW")
        done = 0
        while done < rows.size:
            done = fold.fold_rows(rows, done, self.state.block, self.state.bins, self._open)
            fault = int(self.state.block[c.FAULT])
            if fault:
                row = rows[done]
                raise RunError(
                    f"log row of request {row['request']} at {row['time_us']} us, kind {row['kind']}: it {_FAULTS[fault]}"
                )
            if done < rows.size:
                larger = new_table(2 * self._open.size)
                rehash(self._open, larger)
                self._open = larger

    @property
    def now_us(self) -> int:
        """Time of the last row, or what `close` was given if that is later."""
        return int(self.state.block[c.NOW_US])

    def close(self, now_us: int | None = None) -> None:
        """Bring levels (in flight, waiting, active accounts) up to `now_us`, by default the last row's time.

        At the end of a run give the end of the horizon if no row came later, so that contracts and
        accounts count to there. Harmless at any moment, so partial results may be shown while a run goes on; but no row
        from before `now_us` may follow.
        """
        until_us = self.now_us if now_us is None else now_us
        if until_us < self.now_us:
            raise RunError(f"cannot close at {until_us} us: rows up to {self.now_us} us are already folded")
        flush(self.state.block, self.state.bins, until_us)
