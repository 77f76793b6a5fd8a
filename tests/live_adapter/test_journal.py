"""The journal outlives its process: what was acknowledged is there, once, whatever ended it."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from live_adapter.driver import WallClock
from live_adapter.emulated import FakeKeys, emulated_config, sites_at
from live_adapter.journal import FACTS, INPUTS, LOG, Journal, JournalError, read_journal
from live_adapter.pool import Pool
from live_adapter.replaying import Recording, compared, decisions, read_recording, replay_live
from live_adapter.site import Site
from policies import log
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from provider_emulator.server import serve
from tests.live_adapter.platforms import platform
from tests.live_adapter.test_faults import Stage, ask

ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys, types
from pathlib import Path
# A wheel may bring a package of this name.
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [str(Path.cwd() / "tests")]
from tests.live_adapter.test_journal import serve_journalled, ask
async def main():
    async with serve_journalled(Path(sys.argv[1])) as stage:
        while True:
            answers = await asyncio.gather(*(ask(stage) for _ in range(20)))
            for answer in answers:
                if answer.status == 200:
                    print(answer.headers["x-forge1-request"], flush=True)
asyncio.run(main())
"""


def rows(folder: Path, kind: int) -> np.ndarray:
    found = [frame.rows for frame in read_journal(folder) if frame.kind == kind]
    return np.concatenate(found) if found else np.empty(0)


class serve_journalled:  # noqa: N801  (used as a function)
    """A stage whose pool keeps a journal in a folder."""

    def __init__(self, folder: Path, recording: Recording | None = None, **journal: int) -> None:
        self._folder, self._recording, self._given = folder, recording, journal

    async def __aenter__(self) -> Stage:
        before, clock = self._recording, WallClock.now()
        layout = lay_out(platform(), clock()) if before is None else before.layout
        self._serving = serve(emulated_config(layout))
        url, emulator = await self._serving.__aenter__()
        start_us = clock() if before is None else before.start_us
        site = Site(layout=layout, bundle=PolicyBundle(), config=sites_at(layout, url), start_us=start_us, seed=1)
        self.journal = Journal(self._folder, site, **self._given)
        self._pool = Pool(site, FakeKeys(layout), keeper=self.journal, clock=clock, recording=before)
        await self._pool.__aenter__()
        return Stage(self._pool, emulator, url, layout)

    async def __aexit__(self, *_: object) -> None:
        await self._pool.__aexit__(None, None, None)
        await self._serving.__aexit__(None, None, None)


def started(folder: Path) -> subprocess.Popen[str]:
    """A process that calls and calls, and prints the number of each request that was answered."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def fill(folder: Path, count: int, **journal: int) -> list[int]:
    """So many calls; returns the numbers of the requests that were answered."""

    async def run() -> list[int]:
        async with serve_journalled(folder, **journal) as stage:
            answers = [await ask(stage) for _ in range(count)]
            return [int(answer.headers["x-forge1-request"]) for answer in answers if answer.status == 200]

    return asyncio.run(run())


def test_all_that_happened_is_kept_with_what_the_wire_saw(tmp_path: Path) -> None:
    answered = fill(tmp_path, 25, segment_bytes=5_000)
    assert len(list(tmp_path.glob("*.journal"))) > 1
    ended = rows(tmp_path, LOG)
    assert sorted(ended["request"][ended["kind"] == log.COMPLETE].tolist()) == answered
    assert sorted(rows(tmp_path, FACTS)["request"].tolist()) == answered
    assert len(rows(tmp_path, INPUTS)) >= 2 * len(answered)
    heads = [frame.head for frame in read_journal(tmp_path) if frame.head]
    assert heads[0]["tenants"] == ["acme", "beta"]


def test_after_kill_9_under_load_no_acknowledged_request_is_missing_and_none_is_there_twice(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(150)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    process.wait()
    ended = rows(tmp_path, LOG)
    completed = ended["request"][ended["kind"] == log.COMPLETE].tolist()
    assert set(acknowledged) <= set(completed)
    assert len(completed) == len(set(completed))


@pytest.mark.parametrize("cut", [1, 5, 9, 40])
def test_a_torn_end_is_left_out(tmp_path: Path, cut: int) -> None:
    fill(tmp_path, 5)
    last = sorted(tmp_path.glob("*.journal"))[-1]
    whole = len(rows(tmp_path, LOG))
    last.write_bytes(last.read_bytes()[:-cut])
    assert 0 < len(rows(tmp_path, LOG)) <= whole


def test_damage_in_the_middle_is_an_error_that_says_where(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    path = sorted(tmp_path.glob("*.journal"))[-1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(JournalError, match=r"00000001.journal: (damaged|breaks off|no rows)"):
        list(read_journal(tmp_path))


def test_a_newer_version_is_refused_with_the_way_forward(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    from live_adapter import journal

    path = next(tmp_path.glob("*.journal"))
    path.write_bytes(journal._framed(journal.HEAD, b'{"schema_version": 99}'))
    with pytest.raises(JournalError, match="schema version 99, this program reads 1"):
        list(read_journal(tmp_path))


def test_an_empty_folder_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="has no"):
        list(read_journal(tmp_path))


def test_after_kill_9_a_pool_goes_on_where_the_journal_ends(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(60)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    recording = read_recording(tmp_path)
    arrived = int(np.count_nonzero(recording.log["kind"] == log.ARRIVE))

    async def run() -> None:
        async with serve_journalled(tmp_path, recording) as stage:
            pulse = stage.pool.driver.state.pulse[0]
            assert pulse["arrived"] == arrived > max(seen)
            assert pulse["in_system"] == 0
            assert not stage.pool.driver.state.limits["held"].any()
            answers = [await ask(stage) for _ in range(5)]
            assert [int(answer.headers["x-forge1-request"]) for answer in answers] == list(range(arrived, arrived + 5))

    asyncio.run(run())
    again = read_recording(tmp_path)
    assert len(again.log) > len(recording.log)
    assert sum(again.requests_by_tenant()) == arrived + 5
    assert compared(again, decisions(again, replay_live)).first_difference == ""


def test_with_the_disk_full_nothing_is_acknowledged_until_there_is_room_again(tmp_path: Path) -> None:
    async def run() -> None:
        serving = serve_journalled(tmp_path)
        async with serving as stage:
            assert (await ask(stage)).status == 200
            size = sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
            try:
                waiting = asyncio.create_task(ask(stage))
                await asyncio.sleep(0.5)
                assert not waiting.done()
                assert serving.journal.error is not None
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert (await asyncio.wait_for(waiting, 5)).status == 200

    asyncio.run(run())
    ended = rows(tmp_path, LOG)
    assert np.count_nonzero(ended["kind"] == log.COMPLETE) == 2
