"""From a scenario to a pool that is ready to open."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from live_adapter.config import LiveConfig, load_live_config
from live_adapter.driver import WallClock
from live_adapter.emulated import FakeKeys, sites_at
from live_adapter.journal import Journal
from live_adapter.keeping import NoKeeper
from live_adapter.keys import ReferencedKeys
from live_adapter.pool import Pool
from live_adapter.replaying import Recording, read_recording
from live_adapter.replicas.renewing import Replica, Terms
from live_adapter.replicas.store import RedisLeases
from live_adapter.site import Site
from policies.bundle import PolicyBundle
from policies.layout import lay_out
from policies.plug import plug
from policies.registry import load_policy
from policies.schema import Fault, Platform


class Planned(Protocol):
    """What is needed of a scenario."""

    @property
    def platform(self) -> Platform: ...  # noqa: D102
    @property
    def bundle(self) -> PolicyBundle: ...  # noqa: D102
    @property
    def faults(self) -> tuple[Fault, ...]: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def user_policies(self) -> Mapping[str, Path]: ...  # noqa: D102


def maker(
    loaded: Planned, *, live: Path | None = None, emulator_url: str | None = None, journal: Path | None = None
) -> tuple[Callable[[], Pool], list[str]]:  # fmt: skip
    """A function that makes the pool, and the names of its tenants. Raises LiveConfigError or SchemaError."""
    clock = WallClock.now()
    layout = lay_out(loaded.platform, clock())
    config = load_live_config(live) if live is not None else LiveConfig()
    if emulator_url is not None:
        config = config.model_copy(update={"providers": sites_at(layout, emulator_url.rstrip("/")).providers})
    plugged = plugged_of(loaded)
    recording = _recorded(journal, loaded) if journal is not None and not plugged else None
    start_us, seed = (recording.start_us, recording.seed) if recording is not None else (clock(), loaded.seed)
    layout = recording.layout if recording is not None else layout
    site = Site(layout=layout, bundle=loaded.bundle, config=config, start_us=start_us, seed=seed, plugged=plugged)
    keys = FakeKeys(layout) if emulator_url is not None else ReferencedKeys(layout, config)

    def make() -> Pool:
        keeper = NoKeeper() if journal is None else Journal(journal, site)
        return Pool(site, keys, keeper=keeper, clock=clock, recording=recording)

    return make, layout.tenant_names


def replica_maker(redis_url: str, replicas: int) -> Callable[[Pool], Replica]:
    """A function that makes the replica of a pool, for so many at most on the same accounts. Raises LiveConfigError when called."""
    terms = Terms(replicas=replicas)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    def replica_of(pool: Pool) -> Replica:
        return Replica(pool, RedisLeases(redis_url, pool.site.layout, name, terms.ttl_s), terms)

    return replica_of


def _recorded(journal: Path, loaded: Planned) -> Recording | None:
    """What a journal holds of the same platform that began with the same bundle; None where there is nothing to go on with."""
    if not any(journal.glob("*.journal")):
        return None
    recording = read_recording(journal)
    same = recording.layout.platform == loaded.platform and recording.bundles[0] == loaded.bundle
    return recording if same else None


def plugged_of(loaded: Planned) -> dict[str, int]:
    """The policies of one's own that the bundle names, compiled, by kind."""
    found = {}
    for kind, name in loaded.bundle.own_policies().items():
        found[kind] = plug(load_policy(loaded.user_policies[name], name.rpartition(":")[2], kind), kind)
    return found
