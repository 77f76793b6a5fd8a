"""What theory knows exactly, request by request: a short trace, and the backlog of an outage."""

import numpy as np
import pytest
from numpy.typing import NDArray

from forge1sim.run import simulate
from forge1sim.theory.general import outage_backlog, outage_clears_s, waits_us
from policies import log
from tests.theory.replications import Case, Figures, Truth, problems, run
from tests.theory.today import dated, problems_twice

ENDS = (log.COMPLETE, log.REJECT, log.EXPIRE, log.CANCEL)


class Outage(Case):
    """How many wait when the account is asked again, and how long until nobody does."""

    def replicate(self, seed: int) -> Figures:
        kept: list[NDArray[np.void]] = []
        run(self.load(seed), [lambda rows: kept.append(rows[["time_us", "kind"]].copy())])
        rows = np.concatenate(kept)
        # The first dispatch is the attempt that fails, the second is the end of the outage.
        again = np.flatnonzero(rows["kind"] == log.DISPATCH)[1]
        change = (rows["kind"] == log.ARRIVE).astype(np.int64) - np.isin(rows["kind"], ENDS)
        in_system = np.cumsum(change)
        empty = again + np.flatnonzero(in_system[again:] == 0)[0]
        return {
            "backlog": float(in_system[again - 1]),
            "clears_s": float(rows["time_us"][empty] - rows["time_us"][again]) / 1e6,
        }


OUTAGE = Outage(
    "outage",
    {"backlog": Truth(outage_backlog(2.0, 20_000.0)), "clears_s": Truth(outage_clears_s(2.0, 20_000.0, 0.2))},
    lambda summary: {},
)


def test_backlog_of_an_outage() -> None:
    assert not problems(OUTAGE, 0)


@pytest.mark.parametrize("case", dated((OUTAGE,)))
def test_backlog_of_an_outage_with_seeds_of_today(case: Case) -> None:
    assert not problems_twice(case)


@pytest.mark.parametrize("driver", ["compiled", "simpy"])
def test_every_wait_of_a_trace_is_as_worked_out_by_hand(driver: str) -> None:
    loaded = Case("trace", {}, lambda summary: {}).load(1)
    kept: list[NDArray[np.void]] = []
    simulate(loaded, driver=driver, sinks=(lambda rows: kept.append(rows.copy()),))
    rows = np.concatenate(kept)
    dispatched = rows[rows["kind"] == log.DISPATCH]
    arrive_us = [0, 250_000, 500_000, 750_000, 1_100_000, 3_000_000, 3_000_000, 3_400_000]
    by_hand_us = [0, 0, 500_000, 500_000, 900_000, 0, 0, 600_000]
    assert (rows["time_us"][rows["kind"] == log.ARRIVE] - loaded.start_us).tolist() == arrive_us
    assert dispatched["v2"].tolist() == by_hand_us == waits_us(arrive_us, [1_000_000] * 8, 2)
