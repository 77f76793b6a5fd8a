"""Plausible log rows for tests of metrics and report: a small pool with queue, retries and refusals.

Not the gateway and no policy: first come, first served, over deployments with so many places each.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from forge1sim.metrics import Mark, MetricsStatic
from forge1sim.metrics import columns as c
from policies import log

START_US = 1_700_000_000_000_000
PROVIDERS = ("openai", "anthropic", "google")


def make_static(
    *, tenants: int = 30, horizon_s: int = 3600, places: int = 2, deployments_per_account: int = 2,
    tenant_names: tuple[str, ...] | None = None, accounts: int = 3,
) -> MetricsStatic:  # fmt: skip
    """Three tiers, `accounts` accounts of three providers, each with some of its provider's models."""
    per = deployments_per_account
    names = tenant_names or tuple(f"tenant-{n}" for n in range(tenants))
    tenants = len(names)
    account_of = np.repeat(np.arange(accounts), per).astype(np.int32)
    models = tuple(f"{provider}-{size}" for provider in PROVIDERS for size in range(per))
    model_of = np.array([(a % 3) * per + k for a in range(accounts) for k in range(per)], np.int32)
    groups = np.stack([np.arange(accounts * per), accounts * per + account_of], axis=1).astype(np.int32)
    limits = np.full((accounts * per + accounts, len(c.DIMENSIONS)), np.inf)
    limits[: accounts * per, 0] = 120.0
    limits[: accounts * per, 1] = 400_000.0
    limits[: accounts * per, c.IN_FLIGHT] = places
    limits[accounts * per :, 0] = 200.0
    tiers = np.arange(tenants, dtype=np.int32) % 3
    return MetricsStatic(
        start_us=START_US, horizon_us=horizon_s * 1_000_000,
        tier_names=("enterprise", "professional", "standard"), tenant_names=names, tier_of_tenant=tiers,
        contract_nano_usd_per_month=np.array([200_000, 50_000, 500], np.int64)[tiers] * 10**9,
        model_names=models, account_names=tuple(f"{PROVIDERS[a % 3]}-{a // 3 + 1}" for a in range(accounts)),
        account_provider=tuple(PROVIDERS[a % 3] for a in range(accounts)),
        account_nano_usd_per_month=np.full(accounts, 1000 * 10**9, np.int64),
        account_state=np.zeros(accounts, np.int32),
        deployment_names=tuple(
            f"{PROVIDERS[a % 3]}-{a // 3 + 1}/{models[m]}" for a, m in zip(account_of, model_of, strict=True)
        ),
        model_of_deployment=model_of, account_of_deployment=account_of, groups_of_deployment=groups,
        account_of_group=np.concatenate([account_of, np.arange(accounts)]).astype(np.int32),
        whole_account=np.arange(accounts * per + accounts) >= accounts * per, group_limits=limits,
        wait_target_s=(0.5, 2.0, 10.0),
        marks=(Mark(label="outage of google", start_us=START_US + horizon_s * 400_000, end_us=START_US + horizon_s * 500_000),),
    )  # fmt: skip


@dataclass
class Pool:
    """The state of the toy: what waits, what is in flight, what happens next."""

    static: MetricsStatic
    rng: np.random.Generator
    places: int
    free: list[int] = field(default_factory=list)
    waiting: deque[int] = field(default_factory=deque)
    events: list[tuple[int, int, int]] = field(default_factory=list)  # time, request, attempt
    rows: list[tuple[int, ...]] = field(default_factory=list)
    tenant: list[int] = field(default_factory=list)
    arrive_us: list[int] = field(default_factory=list)
    queued: set[int] = field(default_factory=set)
    attempt: dict[int, int] = field(default_factory=dict)
    billed: dict[int, int] = field(default_factory=dict)
    flight: dict[int, int] = field(default_factory=dict)

    def log(
        self, now: int, request: int, kind: int, code: int = 0, deployment: int = -1, limit: int = -1, *v: int
    ) -> None:
        values = (*v, 0, 0, 0, 0, 0)[:5]
        tenant = self.tenant[request] if request >= 0 else -1
        self.rows.append((now, request, kind, code, self.attempt.get(request, 0), deployment, tenant, limit, *values))

    def place(self, now: int, request: int) -> None:
        """Dispatch, queue or reject."""
        open_rows = [row for row, free in enumerate(self.free) if free]
        if open_rows:
            deployment = int(self.rng.choice(open_rows))
            self.free[deployment] -= 1
            self.attempt[request] = self.attempt.get(request, 0) + 1
            wait = now - self.arrive_us[request]
            tokens = int(self.rng.integers(200, 4000))
            self.log(now, request, log.DISPATCH, int(request in self.queued), deployment, 0, 1000, tokens, wait)
            self.flight[request] = deployment
            heapq.heappush(self.events, (now + int(self.rng.lognormal(14.5, 0.6)), request, self.attempt[request]))
        elif len(self.waiting) < 40:
            self.queued.add(request)
            self.waiting.append(request)
            self.log(now, request, log.QUEUE, log.NO_CAPACITY, -1, -1, 0, len(self.waiting))
        else:
            self.end(now, request, log.REJECT, log.QUEUE_FULL)

    def end(self, now: int, request: int, kind: int, code: int) -> None:
        cost = self.billed.get(request, 0)
        in_flight = int(request in self.flight)
        deployment = self.leave(request)
        cut_short = 5000 if kind == log.CANCEL and in_flight else 0
        first = 1 if cut_short else -1
        tier = int(self.static.tier_of_tenant[self.tenant[request]])
        latency = now - self.arrive_us[request]
        self.log(now, request, kind, code, deployment, -1, first, latency, cost + cut_short, tier, cut_short)

    def leave(self, request: int) -> int:
        deployment = self.flight.pop(request, -1)
        if deployment >= 0:
            self.free[deployment] += 1
        return deployment

    def answer(self, now: int, request: int) -> None:
        """An attempt returns: an answer, a refusal with a retry, or the client has gone."""
        luck = self.rng.random()
        if luck < 0.02:
            return self.end(now, request, log.CANCEL, log.CLIENT_GONE)
        deployment = self.leave(request)
        if luck < 0.1:
            self.billed[request] = self.billed.get(request, 0) + 700
            code = int(self.rng.integers(log.THROTTLE, log.CREDENTIAL + 1))
            self.log(now, request, log.REFUSED, code, deployment, -1, 0, now, 700, 0, 1000)
            if self.attempt[request] >= 3:
                return self.end(now, request, log.REJECT, log.ATTEMPTS_SPENT)
            self.log(now, request, log.BACKOFF, log.RETRYING, deployment, -1, now + 300_000)
            heapq.heappush(self.events, (now + 300_000, request, 0))
            return None
        latency = now - self.arrive_us[request]
        wait = int(latency * 0.4) if request in self.queued else 0
        inputs, outputs = int(self.rng.integers(50, 3000)), int(self.rng.integers(1, 900))
        tier = int(self.static.tier_of_tenant[self.tenant[request]])
        quality = int(self.rng.integers(600, 1000))
        cost = inputs * 2500 + outputs * 10_000
        cached = int(inputs * 0.3)
        self.log(
            now,
            request,
            log.COMPLETE,
            0,
            deployment,
            tier,
            inputs | cached << 32,
            outputs,
            cost,
            latency,
            wait | quality << 48,
        )
        return None

    def next_waiting(self, now: int) -> None:
        while self.waiting and any(self.free):
            request = self.waiting.popleft()
            if now - self.arrive_us[request] > 20_000_000:
                self.end(now, request, log.EXPIRE, log.NO_CAPACITY)
            else:
                self.place(now, request)


def make_log(
    static: MetricsStatic, *, requests: int = 2000, seed: int = 1, places: int = 2, drain: bool = True
) -> NDArray[np.void]:
    """Rows of dtype ROW in order of time, of `requests` arrivals spread over the horizon with a peak."""
    rng = np.random.default_rng(seed)
    pool = Pool(static, rng, places, free=[places] * len(static.deployment_names))
    uniform = np.sort(rng.random(requests))
    arrivals = START_US + (static.horizon_us * (uniform + 0.12 * np.sin(2 * np.pi * uniform) / 2)).astype(np.int64)
    shares = 1.0 / np.arange(1, len(static.tenant_names) + 1)
    pool.tenant = rng.choice(len(static.tenant_names), requests, p=shares / shares.sum()).tolist()
    pool.arrive_us = np.sort(arrivals).tolist()
    wanted = rng.integers(-1, len(static.model_names), requests).tolist()
    switch = START_US + static.horizon_us // 3
    for request, now in enumerate(pool.arrive_us):
        _until(pool, now)
        if switch is not None and now > switch:
            pool.log(switch, -1, log.ACCOUNT, log.STANDBY, -1, -1, 0, 0)
            pool.log(switch, -1, log.CONTROL, log.KEY_REVOKED, -1, -1, 1)
            switch = 2**62
        pool.log(now, request, log.ARRIVE, 0, -1, wanted[request], 500, 1000, 2**62, 0, 300)
        pool.place(now, request)
    if drain:
        _until(pool, 2**62)
    array = np.array(pool.rows, log.ROW)
    array["time_us"] = np.maximum.accumulate(array["time_us"])
    return array


def _until(pool: Pool, end: int) -> None:
    while pool.events and pool.events[0][0] <= end:
        now, request, attempt = heapq.heappop(pool.events)
        if attempt == 0:
            pool.place(now, request)
        elif pool.attempt.get(request) == attempt and request in pool.flight:
            pool.answer(now, request)
            pool.next_waiting(now)


def cut(rows: NDArray[np.void], places: list[int]) -> Iterator[NDArray[np.void]]:
    """The same rows in chunks that end at `places`."""
    yield from np.split(rows, sorted(min(place, rows.size) for place in places))


def toy_scenario(name: str = "toy", assumptions: tuple[dict[str, object], ...] = ()) -> SimpleNamespace:
    """What a run folder asks of a scenario."""
    figures = [SimpleNamespace(model_dump=lambda mode, figure=figure: figure) for figure in assumptions]
    return SimpleNamespace(
        name=name, path=Path("toy.yaml"), hash="a" * 64, bundle_hash="b" * 64, assumptions=figures,
        resolved_json=lambda: "{}",
    )  # fmt: skip
