"""Runs of the wall clock's driver, without sockets, as worlds in which rules are taken away."""

import random
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_TESTS = Path(__file__).parents[1]


def _fed() -> Any:
    # A wheel may bring a package of this name, which would be found first.
    if not hasattr(sys.modules.get("tests"), "__path__") or str(_TESTS) not in sys.modules["tests"].__path__:
        sys.modules["tests"] = types.ModuleType("tests")
        sys.modules["tests"].__path__ = [str(_TESTS)]
    from tests.live_adapter import fed
    from tests.parity import cases

    return fed, cases


@dataclass(frozen=True)
class FedWorld:
    """A random platform, requests and answers of this seed, with bundles that change; with `shares` as one of several replicas."""

    seed: int
    count: int = 120
    shares: bool = False

    def told(self) -> bytes:
        """The decisions, the inputs as they were kept, the orders, and when the driver asked to be called again."""
        fed, cases = _fed()
        case = cases.make_case(random.Random(self.seed), self.count)
        driven = fed.Fed(case, random.Random(self.seed), shares=self.shares)
        recording = driven.run()
        asked = (np.array(driven.next_us), np.array(driven.orders))
        return b"".join(part.tobytes() for part in (recording.log, recording.inputs, *asked))


@dataclass(frozen=True)
class LearningWorld:
    """One bucket of which nothing is known, ten requests at once, and answers whose headers tell."""

    remaining_tokens: int

    def told(self) -> bytes:
        """The decisions."""
        from live_adapter.driver import Driver
        from policies.build import build_state
        from policies.bundle import PolicyBundle
        from policies.feed import SEND
        from policies.inputs import ARRIVAL, SEEN, SERVED, UNKNOWN
        from policies.layout import lay_out
        from policies.schema import Platform

        layout = lay_out(Platform.model_validate({
            "models": [{"name": "m", "provider": "p", "input_usd_per_1m": 1.0, "output_usd_per_1m": 1.0}],
            "accounts": [{"name": "a", "provider": "p", "limits": [{"dimension": "tpm", "limit": 60_000.0}]}],
            "tenants": [{"name": "t", "tier": "standard"}],
        }), 0)  # fmt: skip
        gateway, clock, rows, sent = build_state(layout, PolicyBundle(), 0, 1), [0], [], []
        driver = Driver(gateway, lambda: clock[0], sent.append, lambda kept: rows.append(kept.log.tobytes()), start_us=0, user_policy=0)
        driver.tell(UNKNOWN)
        for number in range(10):
            driver.tell(ARRIVAL, 0, number, 0, 0, 500, 100, 0, 900, 600_000_000, 0)
        for _ in range(40):
            clock[0] += 10_000_000
            driver.ring()
            for _, slot, request, *_ in [order for order in sent if order[0] == SEND]:
                driver.tell(SEEN, slot, request, 0, -1, self.remaining_tokens, -1, 0)
                driver.tell(SERVED, slot, request, 100, 0, 50, 500)
            sent.clear()
        driver.close()
        return b"".join(rows)
