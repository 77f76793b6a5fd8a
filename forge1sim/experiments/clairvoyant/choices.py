"""What each request could have been served by: models, pools of equal accounts, prices, quality, use of limits."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.realised import Realised
from policies.build import build_state
from policies.bundle import Queueing, Reservation, Routing, Scaling
from policies.layout import CHARGES, AccountRow, Layout, LimitRow
from policies.schema import Fault
from policies.state import POINTS_PER_MODEL, State, open_state

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
REQUESTS, MAX_TOKENS, INPUT, UNCACHED_INPUT, OUTPUT, TOTAL, COST = range(len(CHARGES))
SECONDS = len(CHARGES)              # what an answer takes of a limit on requests in flight
AT_BEGIN = UNCACHED_INPUT           # rules up to it are charged by the provider when an attempt comes in
_MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Accounts that are alike in everything that a request can meet, by their rows; the first stands for all."""

    accounts: tuple[int, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One model through one pool, with the limits that an attempt meets there, as rows of the layout."""

    pool: int
    model: int
    deployment: int
    limits: tuple[int, ...]


def strikes(layout: Layout, fault: Fault, account: AccountRow) -> bool:
    """Whether a fault strikes an account: it must match every selector given (`policies.schema.Fault`)."""
    return (
        fault.provider in (None, layout.providers[account.provider].name)
        and fault.account in (None, account.name, account.spec.name)
        and fault.region in (None, account.spec.region)
    )


class Choices:
    """Tables over the served requests of a realised workload; those of a request or model are of shape (n,) or (n, models).

    What is open is what the gateway's own state says: tiers, regions, tags, contracts, quality floors, budgets of
    a request, context windows. What depends on how far the run is (reservations, budgets of tenants) is left out.
    """

    def __init__(self, realised: Realised) -> None:
        self.realised = realised
        self.requests = realised.requests
        self._state = _state_of(realised)
        self.pools = _pools(realised)
        self.routes = _routes(realised.layout, self.pools)
        self.route_of = _route_of(realised.layout, self.pools, self.routes)
        self.models = len(realised.layout.models)
        self.access: Ints = self._state.tenants["access"][self.requests["tenant"]].astype(np.int64)
        width = len(realised.layout.deployments)
        is_open = np.asarray(self._state.open, dtype=bool).reshape(-1, max(1, width))
        self.open_routes: Flags = is_open[:, [route.deployment for route in self.routes]].reshape(len(is_open), -1)

    @cached_property
    def most_output(self) -> Ints:
        """Output tokens that are reserved, shape (n, models)."""
        asked = self.requests["max_output_tokens"].astype(np.int64)[:, None]
        most = self._state.models["max_output_tokens"][None, :]
        return np.where((asked > 0) & (asked < most), asked, most)

    @cached_property
    def nano_usd(self) -> Ints:
        """What an answer of each model costs, in whole nano-USD rounded up, with true tokens; shape (n, models)."""
        return self._price(self.uses(UNCACHED_INPUT)[:, :1], self._of("cached_tokens"), self._said)

    @cached_property
    def quality_pm(self) -> Ints:
        """Performance of each model at the request's complexity, per mille, shape (n, models). As `routing.performance_pm`."""
        complexity = self._of("complexity_pm")
        points = np.asarray(self._state.points, dtype=np.int64).reshape(-1, POINTS_PER_MODEL).T
        step, rest = complexity[:, 0] // 250, complexity % 250
        return (points[step] * (250 - rest) + points[step + 1] * rest) // 250

    @cached_property
    def answered_by(self) -> Ints:
        """The model that answered each request in the policy's run, shape (n,)."""
        models = np.array([deployment.model for deployment in self.realised.layout.deployments], dtype=np.int64)
        return models[self.realised.deployments]

    @cached_property
    def asked_for(self) -> Flags:
        """Whether a model is one that the request asks for, shape (n, models).

        One that names a model is served by it, or by the fallback that it got: nobody chooses a fallback because it is cheap.
        """
        wanted = np.eye(self.models + 1, self.models, dtype=bool)
        wanted[self.models] = True                      # AUTO is -1: the last row
        return np.asarray(wanted[self.requests["wanted"]] | (self.answered_by[:, None] == np.arange(self.models)))

    @cached_property
    def suited(self) -> Flags:
        """Whether a model may serve a request at all, shape (n, models)."""
        state, requests = self._state, self.requests
        fits = self._of("input_tokens") + self.most_output <= state.models["context_tokens"][None, :]
        suited = fits & self.asked_for
        if self.realised.estimation.is_exact:
            floor = state.tenants["quality_floor_pm"][requests["tenant"]][:, None]
            budget = _least_bound(requests["budget_nano_usd"], state.tenants["request_budget_nano_usd"][requests["tenant"]])
            suited &= self.quality_pm >= floor
            if (budget > 0).any():
                dearest = state.models["dearest_nano_usd_per_1m"][None, :]
                output = state.models["output_nano_usd_per_1m"][None, :]
                worst = (self._of("input_tokens") * dearest + self.most_output * output + _MILLION - 1) // _MILLION
                suited &= (budget[:, None] <= 0) | (worst <= budget[:, None])
        return np.asarray(suited, dtype=bool)

    def open_to(self, route: int) -> Flags:
        """Which requests a route may serve, shape (n,)."""
        one = self.routes[route]
        return np.asarray(self.open_routes[self.access, route] & self.suited[:, one.model] & ~self._too_large(one))

    def uses(self, rule: int) -> Ints:
        """Units of a charge rule, as the provider counts them, shape (n, models)."""
        inputs, shape = self._of("input_tokens"), (len(self.requests), self.models)
        if rule == REQUESTS:
            return np.ones(shape, dtype=np.int64)
        if rule == MAX_TOKENS:
            return inputs + self.most_output
        if rule in (INPUT, UNCACHED_INPUT):
            return np.broadcast_to(inputs - (self._of("cached_tokens") if rule == UNCACHED_INPUT else 0), shape)
        if rule == COST:
            return self.nano_usd
        return self._said + (inputs if rule == TOTAL else 0)

    @cached_property
    def _said(self) -> Ints:
        return np.minimum(self._of("output_tokens"), self.most_output)

    def _of(self, name: str) -> Ints:
        return np.asarray(self.requests[name], dtype=np.int64)[:, None]

    def _price(self, fresh: Ints, cached: Ints, output: Ints) -> Ints:
        price = self._state.models
        total = (
            fresh * price["input_nano_usd_per_1m"] + cached * price["cached_nano_usd_per_1m"] + output * price["output_nano_usd_per_1m"]
        )
        return np.asarray((total + _MILLION - 1) // _MILLION, dtype=np.int64)

    def _too_large(self, route: Route) -> Flags:
        """Whether a request never passes a limit of this route, however idle, shape (n,)."""
        found = np.zeros(len(self.requests), dtype=bool)
        cut = [fault for fault in self.pools[route.pool].faults if fault.kind == "limit_cut" and fault.factor > 1]
        for row in () if cut else route.limits:
            limit = self.realised.layout.limits[row]
            rule = CHARGES.index(limit.charge)
            if rule <= AT_BEGIN and limit.window in ("token_bucket", "fixed", "sliding", "day"):
                most = limit.depth if limit.window == "token_bucket" else limit.amount
                found |= self.uses(rule)[:, route.model] > most
        return found


def _least_bound(one: Ints, other: Ints) -> Ints:
    """The lower of two bounds of which 0 is none."""
    return np.where(one <= 0, other, np.where(other <= 0, one, np.minimum(one, other)))


def _state_of(realised: Realised) -> State:
    """The gateway's tables of what is allowed, as it would begin. What has no bearing on that is left small, or at its default."""
    plain = realised.bundle.model_copy(
        update={
            "routing": Routing(), "scaling": Scaling(), "queue": Queueing(max_in_system=1),
            "reservation": Reservation(dedicated_overflow=realised.bundle.reservation.dedicated_overflow),
        }
    )  # fmt: skip
    return open_state(build_state(realised.layout, plain, realised.start_us, realised.seed))


def _pools(realised: Realised) -> tuple[Pool, ...]:
    """Equal accounts together: a fractional schedule over them is one over their sum. Without scaling only active ones."""
    layout = realised.layout
    alike: dict[tuple[object, ...], list[int]] = {}
    for row, account in enumerate(layout.accounts):
        spec = account.spec
        if spec.state == "active" or realised.bundle.scaling.policy != "none":
            faults = tuple(number for number, fault in enumerate(realised.faults) if strikes(layout, fault, account))
            key = (spec.provider, spec.models, spec.region, spec.tags, spec.dedicated_to, spec.limits, faults)
            alike.setdefault(key, []).append(row)
    return tuple(
        Pool(accounts=tuple(rows), faults=tuple(f for f in realised.faults if strikes(layout, f, layout.accounts[rows[0]])))
        for rows in alike.values()
    )


def _routes(layout: Layout, pools: tuple[Pool, ...]) -> tuple[Route, ...]:
    pool_of = {pool.accounts[0]: number for number, pool in enumerate(pools)}
    routes = []
    for row, deployment in enumerate(layout.deployments):
        if deployment.account in pool_of:
            account, bucket = layout.accounts[deployment.account], layout.buckets[deployment.bucket]
            met = (*range(account.limit_lo, account.limit_hi), *range(bucket.limit_lo, bucket.limit_hi))
            routes.append(Route(pool=pool_of[deployment.account], model=deployment.model, deployment=row, limits=met))
    return tuple(routes)


def _route_of(layout: Layout, pools: tuple[Pool, ...], routes: tuple[Route, ...]) -> Ints:
    """The route that each deployment is part of, shape (deployments,); -1 for those of accounts that are in no pool."""
    pool_of = {account: number for number, pool in enumerate(pools) for account in pool.accounts}
    found = {(route.pool, route.model): number for number, route in enumerate(routes)}
    return np.array([found.get((pool_of.get(one.account, -1), one.model), -1) for one in layout.deployments], dtype=np.int64)


def limits_of(layout: Layout, pool: Pool) -> list[tuple[int, LimitRow]]:
    """The limits of a pool's first account: its own and those of its model classes."""
    return [(row, limit) for row, limit in enumerate(layout.limits) if limit.account == pool.accounts[0]]
