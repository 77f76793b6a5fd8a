"""What a month of these draws costs at least: a figure for each plan, whatever the policies.

At any price of room, of at least 0, a draw costs at least: for each request the least of its answers, each with the room that it takes
at these prices, over the blocks in which it may begin, or its refusal; less what all room is worth (weak duality: Bertsimas and
Tsitsiklis, "Introduction to Linear Optimization", theorem 4.3). The sum over requests is the same for every plan, and room is
worth in proportion to accounts: so each set of prices gives a bound that is affine in accounts. Without prices it says that nobody
can do better than the cheapest answers, at the largest discounts that commitments offer. Prices
decide how good a bound is, never whether it holds; they come from the fluid program.

Requests that clients may end themselves (they leave, or their own limits and budgets refuse them) count as nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forge1sim.experiments.clairvoyant.choices import SECONDS
from forge1sim.experiments.clairvoyant.rooms import Blocks, Room, build_rooms
from forge1sim.planning.demand import Demand
from forge1sim.planning.durations import longest_s, shortest_s
from forge1sim.planning.fluid import Proposal, propose
from forge1sim.planning.from_scenario import key_of, problem_of
from forge1sim.planning.options import Options, Plan
from forge1sim.planning.problem import Counts, Problem
from forge1sim.planning.reach import Demanded, Reach
from forge1sim.planning.simulated import Prices, Simulated
from forge1sim.workload.table import NEVER_US
from policies.layout import LimitRow

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
RoomKey = tuple[object, ...]
Rents = Mapping[RoomKey, Floats]
"""USD for a unit of an entry's limit in a draw, by block: key (entry, *key_of(limit)), shape (blocks,). Missing: 0."""

_HOUR_US = 3_600_000_000
MOST_AGGREGATED = 4                 # draws that the program's demand is taken from
MOST_PRICINGS = 6
_SOLVE_S = 10.0
_TOLERANCE = 1e-6                   # by which a solver may overstate what it proves
_KEPT_SHARE = 0.05                  # of a tier's requests whose values are kept one by one
_MOST_WAIT = 4                      # blocks after its first that a request is looked at one by one


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw: requests by tier, and `floor_usd`, the cheapest answers of all that can be answered, limits set aside.

    `by_hour`, shape (tiers, hours), counts arrivals.
    """

    seed: int
    arrived: tuple[int, ...]
    floor_usd: float
    by_hour: Ints


def draws_of(reach: Reach, seeds: Sequence[int]) -> tuple[list[Draw], Demand]:
    """Each draw in short, and the demand of the first few. Raises WorkloadError or ExperimentError."""
    draws: list[Draw] = []
    demand: Demand | None = None
    for seed in seeds:
        choices = reach.choices(seed)
        demand = demand or Demand(reach, choices)
        if len(demand.counts) < MOST_AGGREGATED:
            demand.add(choices)
        cheapest = _Answers(choices, demand.blocks).least_usd([], {})
        arrived = np.bincount(choices.tier, minlength=len(reach.bundle.tiers))
        draws.append(Draw(
            seed=seed, arrived=tuple(arrived.tolist()), floor_usd=float(cheapest[np.isfinite(cheapest)].sum()),
            by_hour=_by_hour(choices, len(arrived), reach.options.loaded.horizon_us),
        ))  # fmt: skip
    assert demand is not None
    return draws, demand


def _by_hour(choices: Demanded, tiers: int, horizon_us: int) -> Ints:
    hours = -(-horizon_us // _HOUR_US)
    at = np.minimum((choices.requests["arrive_us"] - choices.realised.start_us) // _HOUR_US, hours - 1)
    return np.bincount(choices.tier * hours + at, minlength=tiers * hours).reshape(tiers, hours)


@dataclass(frozen=True, kw_only=True)
class Least:
    """The values of one draw's requests in sum, and by tier the largest of them, added up one after the other."""

    total_usd: float
    largest_usd: tuple[Floats, ...]

    def without(self, own: Sequence[int]) -> float:
        """The sum, if of each tier the `own` requests of the largest values count as nothing."""
        left = self.total_usd
        for count, added in zip(own, self.largest_usd, strict=True):
            kept = min(count, len(added))
            if kept:
                smallest = float(added[kept - 1] - (added[kept - 2] if kept > 1 else 0.0))
                left -= float(added[kept - 1]) + (count - kept) * smallest
        return left


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A plan's running cost per month is at least: the requests' values, less what each account is worth by entry and state."""

    of_draws: tuple[Least, ...]
    usd_per_account: tuple[tuple[float, ...], ...]
    days_per_month: float

    def constant_usd(self, own: Sequence[Sequence[int]]) -> float:
        """What the requests are worth per month, where of each draw and tier `own` requests count as nothing."""
        return self.days_per_month * float(np.mean([one.without(count) for one, count in zip(self.of_draws, own, strict=True)]))


class Bounds:
    """The least running costs of plans. `own` tells, by draw and tier, how many requests clients' own limits refuse at most."""

    def __init__(self, affine: Sequence[Affine], tiers: int) -> None:
        self.affine, self.tiers = affine, tiers

    def of(self, plans: Sequence[Plan], seen: Sequence[Simulated]) -> Floats:
        """USD per month, shape (plans,). What clients' own limits refuse is the most of any plan seen."""
        own = self._own(seen)
        counts = np.array([plan.counts for plan in plans], dtype=np.float64)
        states = np.array([plan.states for plan in plans])
        found = np.full(len(plans), -np.inf)
        for one in self.affine:
            worth = np.zeros(len(plans))
            for entry, usd in enumerate(one.usd_per_account):
                worth += counts[:, entry] * np.array(usd)[states[:, entry]]
            found = np.maximum(found, one.constant_usd(own) - worth)
        return found

    def of_all(self, options: Options, seen: Sequence[Simulated]) -> float:
        """The least cost of any plan of the terms, fees included, by a small program over accounts in place of going through plans."""
        from scipy.optimize import Bounds as Limits
        from scipy.optimize import LinearConstraint, milp

        own = self._own(seen)
        of = [(row, state) for row, entry in enumerate(options.entries) for state in range(len(entry.states))]
        fees = [options.entries[row].states[state].usd_per_month for row, state in of]
        most = np.array([options.entries[row].at_most for row, _ in of], dtype=np.float64)
        constants = np.array([one.constant_usd(own) for one in self.affine])
        worth = np.array([[one.usd_per_account[row][state] for row, state in of] for one in self.affine])
        # Running cost, the last column, is at least each affine bound; large figures are divided out row by row.
        scale = np.maximum(np.abs(constants), 1.0)
        above = np.hstack([worth, np.ones((len(constants), 1))]) / scale[:, None]
        of_entry = np.array([[float(row == entry) for row, _ in of] + [0.0] for entry in range(len(options.entries))])
        found = milp(
            np.array([*fees, 1.0]), integrality=np.array([1] * len(of) + [0]),
            bounds=Limits(np.zeros(len(of) + 1), np.append(most, np.inf)),
            constraints=[
                LinearConstraint(above, lb=constants / scale),
                LinearConstraint(of_entry, lb=[one.at_least for one in options.entries], ub=[one.at_most for one in options.entries]),
            ],
            options={"time_limit": _SOLVE_S},
        )  # fmt: skip
        bound = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
        crude = self._crude(options, constants)
        return crude if bound is None or not np.isfinite(bound) else max(crude, float(bound - _TOLERANCE * abs(bound)))

    def _crude(self, options: Options, constants: Floats) -> float:
        """The same without a program: fees of the fewest accounts, and each affine bound with the most of everything."""
        fees = sum(entry.at_least * min(state.usd_per_month for state in entry.states) for entry in options.entries)
        most = [
            sum(entry.at_most * max(0.0, *usd) for entry, usd in zip(options.entries, one.usd_per_account, strict=True))
            for one in self.affine
        ]
        return float(fees + (constants - np.array(most)).max())

    def _own(self, seen: Sequence[Simulated]) -> list[list[int]]:
        simulated = [one for one in seen if one.days]
        draws = len(self.affine[0].of_draws)
        if not simulated:
            return [[0] * self.tiers] * draws
        return [np.max([one.days[number].own for one in simulated], axis=0).tolist() for number in range(draws)]


def bounds_of(demand: Demand, prices: Prices, seeds: Sequence[int], pricings: Sequence[Rents]) -> Bounds:
    """An affine bound from each set of prices, and the one without any. Raises WorkloadError or ExperimentError."""
    reach, sets = demand.reach, [{}, *pricings]
    refusal_usd = np.array(prices.refusal_usd)
    least: list[list[Least]] = [[] for _ in sets]
    worth = [np.zeros(len(reach.seats)) for _ in sets]
    for seed in seeds:
        choices = reach.choices(seed)
        answers, rooms = _Answers(choices, demand.blocks), _usable_rooms(choices, demand.blocks)
        refused = refusal_usd[choices.tier]
        nothing = (choices.requests["cancel_us"] < NEVER_US) | ~np.isfinite(answers.least_usd([], {}))
        prices_of_rooms = [[(room, _price(reach, choices, room, rents)) for room in rooms] for rents in sets]
        priced = [[(room, price) for room, price in one if price.any()] for one in prices_of_rooms]
        units = _units(choices, {room.rule for one in priced for room, _ in one})
        for number, of_set in enumerate(priced):
            values = np.where(nothing, 0.0, np.minimum(answers.least_usd(of_set, units), refused))
            least[number].append(_least(values, choices.tier, len(refusal_usd)))
            worth[number] += _worth(choices, of_set, len(reach.seats)) / len(seeds)
    found = [
        Affine(of_draws=tuple(one), usd_per_account=_by_state(reach, usd * prices.days_per_month), days_per_month=prices.days_per_month)
        for one, usd in zip(least, worth, strict=True)
    ]
    return Bounds(found, len(refusal_usd))


def pricings_of(demand: Demand, prices: Prices, time_limit_s: float = _SOLVE_S) -> list[Rents]:
    """Prices of room from the fluid program with integers fixed: at its own best, and with accounts fewer.

    What no price stands for (promises, budget, shares of providers) is left out, so that there is always an answer.
    """
    whole = problem_of(demand, prices, "bound", merged=True)
    problem = replace(whole, goals=(), survivals=(), budget_usd_per_month=None, most_share_per_provider=None)
    best = propose(problem, gap=1e-3, time_limit_s=time_limit_s)
    found = [_rents(demand, problem, best)]
    for counts in _one_fewer(best.counts, problem)[: MOST_PRICINGS - 1]:
        found.append(_rents(demand, problem, propose(problem, fixed=counts, time_limit_s=time_limit_s)))
    return found


def _one_fewer(counts: Counts, problem: Problem) -> list[Counts]:
    """An account fewer of every kind at once, and of each kind alone, as far as that may be."""
    fewer = [
        tuple(count - (state == _highest(of_kind)) for state, count in enumerate(of_kind)) if sum(of_kind) > kind.at_least else of_kind
        for of_kind, kind in zip(counts.accounts, problem.kinds, strict=True)
    ]
    alone = [
        Counts(accounts=(*counts.accounts[:row], less, *counts.accounts[row + 1 :]))
        for row, less in enumerate(fewer) if less != counts.accounts[row]
    ]  # fmt: skip
    return [Counts(accounts=tuple(fewer)), *alone]


def _highest(of_kind: Sequence[int]) -> int:
    return max((state for state, count in enumerate(of_kind) if count), default=-1)


def _rents(demand: Demand, problem: Problem, proposal: Proposal) -> Rents:
    """The program's prices of a month's mean draw, as prices of a draw."""
    limit_of: dict[RoomKey, LimitRow] = {}
    for limit in demand.reach.layout.limits:
        limit_of.setdefault((demand.reach.seats[limit.account].entry, *key_of(demand.reach, limit)), limit)
    keys = [key for key, limit in limit_of.items() if limit.window != "acceleration"]
    found = {}
    for key, room, use in zip(keys, problem.rooms, proposal.rooms, strict=True):
        price = np.zeros(demand.blocks.count)
        for span, rent in zip(room.spans, use.rent_usd[0], strict=True):
            price[list(span)] = rent / problem.repeats[0]
        found[key] = price
    return found


def _price(reach: Reach, choices: Demanded, room: Room, rents: Rents) -> Floats:
    """The price of a pool's room by block: the mean over its accounts, which are alike."""
    limit = reach.layout.limits[room.limit]
    found = [rents.get((reach.seats[account].entry, *key_of(reach, limit)), np.zeros(1)) for account in choices.pools[room.pool].accounts]
    return np.asarray(sum(found, np.zeros(1)) / len(found))


def _usable_rooms(choices: Demanded, blocks: Blocks) -> list[Room]:
    """Rooms that can be counted on, with the credit for what is charged when an answer ends."""
    found = []
    for room in build_rooms(choices, blocks):
        if room.ends_later:
            longest = max(_longest_s(choices, route) for route in room.routes)
            if not np.isfinite(longest):
                continue
            room.allow_later_ends(longest)
        found.append(room)
    return found


def _longest_s(choices: Demanded, route: int) -> float:
    model, requests = choices.routes[route].model, choices.requests
    said = np.minimum(requests["output_tokens"], choices.most_output[:, model])
    here = choices.open_to(route)
    spec, faults = choices.realised.layout.models[model], choices.realised.layout.platform.faults
    return longest_s(spec, requests["input_tokens"][here].astype(np.float64), said[here].astype(np.float64), faults)


def _units(choices: Demanded, rules: Iterable[int]) -> dict[int, Floats | Ints]:
    """What an answer takes at least, by charge rule, shape (n, models)."""
    found: dict[int, Floats | Ints] = {}
    for rule in rules:
        if rule == SECONDS:
            requests, layout = choices.requests, choices.realised.layout
            fresh = (requests["input_tokens"] - requests["cached_tokens"]).astype(np.float64)
            said = np.minimum(requests["output_tokens"].astype(np.int64)[:, None], choices.most_output).astype(np.float64)
            by_model = [shortest_s(model, fresh, said[:, row], layout.platform.faults) for row, model in enumerate(layout.models)]
            found[rule] = np.stack(by_model, axis=1)
        else:
            found[rule] = choices.uses(rule)
    return found


class _Answers:
    """What each request can be answered by, route by route, and over how many blocks it may begin."""

    def __init__(self, choices: Demanded, blocks: Blocks) -> None:
        requests = choices.requests
        self.count = len(requests)
        self.first = blocks.of(requests["arrive_us"])
        leaves_us = np.minimum(requests["deadline_us"], choices.realised.end_us)
        self.wait = np.maximum(blocks.of(leaves_us), self.first) - self.first
        self.routes: list[tuple[int, Ints, Floats]] = []        # model, requests that it is open to, USD of each
        for row, route in enumerate(choices.routes):
            here = np.flatnonzero(choices.open_to(row))
            self.routes.append((route.model, here, choices.least_usd(row)[here]))

    def least_usd(self, priced: Sequence[tuple[Room, Floats]], units: Mapping[int, Floats | Ints]) -> Floats:
        """The least that an answer costs each request with the room it takes, shape (n,); infinite where none is open."""
        found = np.full(self.count, np.inf)
        for row, (model, here, usd) in enumerate(self.routes):
            mine = [(units[room.rule][here, model], price) for room, price in priced if row in room.routes]
            value = usd + _least_rent(mine, self.first[here], self.wait[here]) if mine else usd
            found[here] = np.minimum(found[here], value)
        return found


def _least_rent(mine: Sequence[tuple[Floats | Ints, Floats]], first: Ints, wait: Ints) -> Floats:
    """The least that the room of each request costs over the blocks in which it may begin, shape (n,)."""
    found = np.full(len(first), np.inf)
    for step in range(min(int(wait.max(initial=0)), _MOST_WAIT + 1) + 1):
        alive = np.flatnonzero(wait >= step)
        rent = np.zeros(len(alive))
        for taken, price in mine:
            # Beyond what is looked at block by block each room counts at its cheapest moment.
            at = np.minimum.accumulate(price[::-1])[::-1] if step > _MOST_WAIT else price
            rent += at[first[alive] + step] * taken[alive]
        found[alive] = np.minimum(found[alive], rent)
    return found


def _worth(choices: Demanded, priced: Sequence[tuple[Room, Floats]], seats: int) -> Floats:
    """What the room of one account is worth in a draw, shape (seats,)."""
    found = np.zeros(seats)
    for room, price in priced:
        accounts = choices.pools[room.pool].accounts
        found[list(accounts)] += most_worth(room, price) / len(accounts)
    return found


def most_worth(room: Room, price: Floats) -> float:
    """At least what any use that a room allows is worth at a price by block, shape (blocks,).

    A level is worth what comes in, at the price of the block, and what may be carried into a dearer block or borrowed from a cheaper one.
    """
    found = np.inf
    if room.has_level:
        rise = np.diff(price, append=0.0)
        carried = np.maximum(rise, 0.0) @ np.maximum(room.cap, 0.0) + float(np.maximum(-rise, 0.0).sum()) * room.over
        found = float(price @ room.gain + price[0] * room.opening + carried)
    by_window, ends = 0.0, -1
    for lo, hi, amount in sorted(room.windows):
        if lo > ends + 1 and price[ends + 1 : lo].any():
            return found
        if lo > ends:
            by_window += float(price[lo : hi + 1].max()) * amount
            ends = hi
    return found if not room.windows or price[ends + 1 :].any() else min(found, by_window)


def _least(values: Floats, tier: Ints, tiers: int) -> Least:
    largest = []
    for row in range(tiers):
        mine = values[tier == row]
        kept = min(len(mine), max(1000, round(_KEPT_SHARE * len(mine))))
        largest.append(np.cumsum(np.sort(np.partition(mine, len(mine) - kept)[len(mine) - kept :])[::-1]) if kept else mine)
    return Least(total_usd=float(values.sum()), largest_usd=tuple(largest))


def _by_state(reach: Reach, usd: Floats) -> tuple[tuple[float, ...], ...]:
    """Figures of seats by entry and state, 0 for those that have no seat."""
    found = [[0.0] * len(entry.states) for entry in reach.options.entries]
    for seat, figure in zip(reach.seats, usd.tolist(), strict=True):
        found[seat.entry][seat.state] = figure
    return tuple(tuple(states) for states in found)


def floor_usd_per_month(draws: Sequence[Draw], prices: Prices) -> float:
    """The token cost of the same demand on the cheapest models that may answer it, without limits."""
    return prices.days_per_month * float(np.mean([draw.floor_usd for draw in draws]))


def arrived_per_day(draws: Sequence[Draw]) -> list[float]:
    """Requests of each tier on a day, on average."""
    return [float(count) for count in np.mean([draw.arrived for draw in draws], axis=0)]


