"""Run a world and check its log."""

import numpy as np
from numpy.typing import NDArray
from worlds import World

from forge1sim.check import Report, check_log
from forge1sim.drivers.compiled_driver import run_compiled
from forge1sim.drivers.stage import Stage
from policies.layout import lay_out


def run(world: World) -> NDArray[np.void]:
    """The log of a run by the compiled clock (plain Python with NUMBA_DISABLE_JIT=1)."""
    chunks: list[NDArray[np.void]] = []
    stage = Stage(
        lay_out(world.platform, world.start_us), world.bundle, world.platform.faults, iter([world.requests.copy()]),
        start_us=world.start_us, horizon_us=round(world.horizon_s * 1e6), drain_us=round(world.drain_s * 1e6),
        seed=world.seed, sink=lambda rows: chunks.append(rows.copy()),
    )  # fmt: skip
    run_compiled(stage)
    return np.concatenate(chunks)


def check(world: World, rows: NDArray[np.void], *, expect_no_refusals: bool = False) -> Report:
    """The checker's verdict on a log of this world."""
    return check_log(
        [rows], world.platform, world.bundle, start_us=world.start_us, expect_no_refusals=expect_no_refusals
    )
