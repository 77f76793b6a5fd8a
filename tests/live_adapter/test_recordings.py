"""A live run over real sockets, with refusals, faults, scaling and a bundle that changes, decides the same when it is fed again."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from forge1sim.drivers.recorded import replay_compiled, replay_simpy
from live_adapter.driver import WallClock
from live_adapter.emulated import FakeKeys, emulated_config, sites_at
from live_adapter.journal import Journal
from live_adapter.pool import Pool
from live_adapter.replaying import compared, decisions, read_recording, replay_live
from live_adapter.site import Site
from policies import log
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.log import CONTROL, REFUSED, TICK
from provider_emulator.config import FaultSpec
from provider_emulator.server import serve
from tests.live_adapter.platforms import platform
from tests.live_adapter.test_faults import Stage, ask, whole

ROOT = Path(__file__).parents[2]
BUNDLE = PolicyBundle.model_validate({
    "retry": {"max_attempts": 4, "backoff_s": 0.02, "backoff_max_s": 0.1},
    "cooldown": {"throttle_s": 0.05, "overload_s": 0.05, "cooldown_s": 0.1, "money_s": 1.0, "acceleration_s": 0.1},
    "scaling": {"policy": "threshold", "period_s": 0.5, "cooldown_s": 0.5, "hold_periods": 1, "min_accounts": 2},
})  # fmt: skip
TIGHT = [{"dimension": "rpm", "limit": 60_000.0, "burst_s": 0.2}, {"dimension": "tpm", "limit": 100_000_000.0}]


def record(folder: Path, requests: int) -> None:
    """So many calls, many side by side."""
    of = platform(o={"limits": TIGHT, "count": 3}, a={"limits": TIGHT}, g={"state": "standby"})
    r = random.Random(1)

    async def run() -> None:
        layout = lay_out(of, WallClock.now()())
        async with serve(emulated_config(layout)) as (url, emulator):
            clock = WallClock.now()
            site = Site(layout=layout, bundle=BUNDLE, config=sites_at(layout, url), start_us=clock(), seed=1)
            async with Pool(site, FakeKeys(layout), keeper=Journal(folder, site), clock=clock) as pool:
                stage, left = Stage(pool, emulator, url, layout), requests
                shares = {"error": 0.01, "reset": 0.002, "throttle": 0.002}
                emulator.faults = [(FaultSpec(kind=kind, share=share), 0.0) for kind, share in shares.items()]  # type: ignore[arg-type]

                async def client() -> None:
                    nonlocal left
                    while left > 0:
                        left -= 1
                        if left == requests // 2:
                            pool.change(BUNDLE.model_copy(update={"queue": BUNDLE.queue.model_copy(update={"fair_share": False})}))
                        if left == requests // 3:
                            overload = FaultSpec(kind="overloaded", account="o-1", duration_s=0.3)
                            emulator.faults.append((overload, time.monotonic()))
                        await whole(await ask(stage, "gpt", stream=r.random() < 0.2, deadline_s=r.choice((0.5, 2.0))))

                await asyncio.gather(*(client() for _ in range(64)))

    asyncio.run(run())


def demand_parity(folder: Path, requests: int) -> None:
    recording = read_recording(folder)
    kinds = recording.log["kind"]
    assert np.count_nonzero(kinds == log.ARRIVE) == requests
    for kind in (REFUSED, TICK, CONTROL, log.ACCOUNT):
        assert np.count_nonzero(kinds == kind) > 0, kind
    assert np.count_nonzero((kinds == REFUSED) & (recording.log["code"] == log.THROTTLE)) > 0
    assert len(recording.bundles) == 2
    for replay in (replay_live, replay_compiled, replay_simpy):
        assert compared(recording, decisions(recording, replay)).first_difference == ""
    other = BUNDLE.model_copy(update={"retry": BUNDLE.retry.model_copy(update={"backoff_s": 0.03})})
    assert "row" in compared(recording, decisions(recording, replay_compiled, other)).first_difference


def test_a_recorded_run_decides_the_same_under_three_clocks_in_another_process(tmp_path: Path) -> None:
    record(tmp_path, 3_000)
    demand_parity(tmp_path, 3_000)
    told = subprocess.run([sys.executable, "-m", "forge1sim.cli", "gateway", "replay", str(tmp_path)], cwd=ROOT, text=True, check=False,
                          env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, timeout=300)  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert [line.split(":")[0] for line in told.stdout.splitlines()] == ["live", "compiled", "simpy"]
    assert told.stdout.count("all the same") == 3


@pytest.mark.slow
def test_fifty_thousand_requests(tmp_path: Path) -> None:
    record(tmp_path, 50_000)
    demand_parity(tmp_path, 50_000)
