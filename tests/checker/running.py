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
        seed=world.seed, sink=lambda rows: chunks.append(rows.copy()), own_policies=world.own_policies,
        estimation=world.estimation,
    )  # fmt: skip
    run_compiled(stage)
    return np.concatenate(chunks)


def is_calm(world: World) -> bool:
    """Whether nothing goes wrong and the gateway knows every limit: then no provider refuses anything for a limit."""
    known = all(limit.known for account in world.platform.accounts for limit in account.limits)
    well = all(
        p.error_probability + p.timeout_probability + p.overload_probability + p.caller_error_probability == 0
        for p in world.platform.providers
    )
    return known and well and world.estimation.is_exact and not world.platform.faults


def check(world: World, rows: NDArray[np.void]) -> Report:
    """The checker's verdict on a log of this world. Where it is calm, a refusal for a limit is a finding."""
    estimated = not world.estimation.is_exact
    return check_log(
        [rows], world.platform, world.bundle, start_us=world.start_us, expect_no_refusals=is_calm(world), estimated=estimated
    )
