"""A live driver without sockets: a random platform, requests and answers, bundles that change, on a clock that tests move."""

import heapq
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forge1sim.drivers.recorded import replay_compiled, replay_simpy
from forge1sim.drivers.stage import unplugged_policy
from live_adapter.driver import Driver, Kept, Order
from policies.build import build_state
from policies.bundle import PolicyBundle
from policies.change import changed_state
from policies.errors import SchemaError
from policies.feed import ABORT, SEND
from policies.inputs import ACCOUNT_CAME, ARRIVAL, GONE, KEYS, REFUSAL, SEEN, SERVED, SHARE, UNKNOWN
from policies.layout import Layout, lay_out
from policies.log import CLIENT_GONE, PREEMPTED
from policies.rows import Bytes, Plugged
from tests.parity.cases import Case, random_bundle

REPLAYS = {"compiled": replay_compiled, "simpy": replay_simpy}


@dataclass
class Recording:
    """What a live driver kept, and what is needed to feed it again."""

    layout: Layout
    bundles: list[PolicyBundle]
    seed: int
    log: NDArray[np.void]
    inputs: NDArray[np.void]

    def replay(self, driver: str, first: PolicyBundle | None = None) -> NDArray[np.void]:
        """The log of the same inputs under another clock; `first` in place of the bundle that it began with."""
        now = first or self.bundles[0]
        rows: list[NDArray[np.void]] = []

        def change(gateway: Bytes, number: int) -> tuple[Bytes, Plugged]:
            nonlocal now
            before, now = now, self.bundles[number]
            return changed_state(gateway, self.layout, before, now, {}), unplugged_policy()

        REPLAYS[driver](
            build_state(self.layout, now, 0, self.seed), iter([self.inputs]), lambda part: rows.append(part.copy()),
            start_us=0, user_policy=unplugged_policy(), change=change,
        )  # fmt: skip
        return np.concatenate(rows)


@dataclass
class Fed:
    """Drives one gateway through a case with random answers; with `shares` as one of several replicas."""

    case: Case
    r: random.Random
    shares: bool = False
    now_us: int = 0
    answers: list[tuple[int, int, int, int]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    next_us: list[int] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layout = lay_out(self.case.platform, 0)
        self.bundles = [self.case.bundle]
        gateway = build_state(self.layout, self.case.bundle, 0, self.case.seed)
        self.driver = Driver(gateway, lambda: self.now_us, self._carry_out, self.kept.append, start_us=0, user_policy=unplugged_policy())

    def run(self) -> Recording:
        """All requests of the case; then answers, until nobody is left."""
        self._ask(len(self.case.requests))
        while self.driver.state.pulse[0]["in_system"] > 0:
            self._answer_until(self.now_us + 1_000_000)
            self.driver.ring()
        self.driver.close()
        return self._recording()

    def run_until_killed(self, most: int) -> Recording:
        """At most so many requests; then timers ring, what happened is kept, and nothing more comes."""
        self._ask(most)
        self.now_us += self.r.randint(1, 30_000_000)
        self.driver.ring()
        self.driver.flush()
        return self._recording()

    def _ask(self, most: int) -> None:
        if self.r.random() < 0.5:
            self.driver.tell(UNKNOWN)
        for row in self.case.requests[:most]:
            self._answer_until(int(row["arrive_us"]))
            self._now_and_then()
            self.driver.tell(
                ARRIVAL, int(row["tenant"]), int(row["number"]), int(row["wanted"]), 0, int(row["complexity_pm"]), int(row["input_tokens"]),
                int(row["cached_tokens"]), int(row["max_output_tokens"]), min(int(row["deadline_us"]), self.now_us + 60_000_000),
                int(row["budget_nano_usd"]),
            )  # fmt: skip
            self.next_us.append(self.driver.next_us)

    def _recording(self) -> Recording:
        log, inputs = (np.concatenate([getattr(part, of) for part in self.kept]) for of in ("log", "inputs"))
        return Recording(self.layout, self.bundles, self.case.seed, log, inputs)

    def _carry_out(self, order: Order) -> None:
        kind, slot, request, deployment, *_ = order
        self.orders.append(order)
        if kind == SEND:
            heapq.heappush(self.answers, (self.now_us + self.r.randint(1, 3_000_000), request, slot, deployment))
        elif kind == ABORT:
            self.driver.tell(GONE, slot, request, 5, 0, 5, PREEMPTED)

    def _answer_until(self, until_us: int) -> None:
        while self.answers and self.answers[0][0] <= until_us:
            at_us, request, slot, deployment = heapq.heappop(self.answers)
            self.now_us = max(at_us, self.now_us)
            self._see(slot, request, deployment)
            self._answer(slot, request)
        self.now_us = max(until_us, self.now_us)

    def _see(self, slot: int, request: int, deployment: int) -> None:
        sent = self.layout.deployments[deployment]
        own, shared = self.layout.accounts[sent.account], self.layout.buckets[sent.bucket]
        limits = [*range(own.limit_lo, own.limit_hi), *range(shared.limit_lo, shared.limit_hi)]
        if limits and self.r.random() < 0.5:
            limit = self.r.choice(limits)
            units, left = self.r.choice((-1, 50, 100_000)), self.r.choice((-1, 0, 7, 10_000))
            resets_us = self.r.choice((-1, self.now_us + self.r.randint(0, 60_000_000)))
            self.driver.tell(SEEN, slot, request, limit, units, left, resets_us, self.r.choice((0, 1000)))

    def _answer(self, slot: int, request: int) -> None:
        chance = self.r.random()
        if chance < 0.8:
            self.driver.tell(SERVED, slot, request, self.r.randint(1, 900), 0, self.r.randint(0, 400), self.r.randint(0, 1000))
        elif chance < 0.95:
            refusal, wait_us = self.r.choice((1, 1, 2, 3, 5, 6, 7, 8, 9)), self.r.choice((0, 800_000))
            self.driver.tell(REFUSAL, slot, request, refusal, -1, wait_us)
        else:
            self.driver.tell(GONE, slot, request, 10, 0, 3, CLIENT_GONE)

    def _now_and_then(self) -> None:
        chance = self.r.random()
        if chance < 0.03:
            self._change()
        elif chance < 0.04:
            self.driver.tell(KEYS, self.r.randrange(len(self.layout.accounts)), -1, self.r.choice((-1, 1)))
        elif chance < 0.05:
            self.driver.tell(UNKNOWN)
        elif chance < 0.055:
            self.driver.tell(ACCOUNT_CAME, self.r.randrange(len(self.layout.accounts)))
        elif self.shares and chance < 0.085:
            account, share_pm = self.r.randrange(len(self.layout.accounts)), self.r.choice((0, 250, 600, 1000))
            since_us = self.now_us - self.r.choice((0, 5_000_000, 90_000_000))
            self.driver.tell(SHARE, account, -1, share_pm, self.r.choice((share_pm, 400)), since_us, self.r.choice((share_pm, 250)), 250)

    def _change(self) -> None:
        data: dict[str, Any] = random_bundle(self.r)
        data["queue"]["max_in_system"] = self.case.bundle.queue.max_in_system
        bundle = PolicyBundle.model_validate(data)
        before = self.bundles[-1]

        def build(gateway: Bytes) -> tuple[Bytes, Plugged]:
            return changed_state(gateway, self.layout, before, bundle, {}), unplugged_policy()

        try:
            build_state(self.layout, bundle, 0, 1)
        except SchemaError:
            return
        self.bundles.append(bundle)
        self.driver.change(len(self.bundles) - 1, build)
