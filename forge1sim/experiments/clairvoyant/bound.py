"""The clairvoyant bound: what serving the same requests at the same quality costs at least.

Every limit, and the quality that must be delivered, has a price. At these prices each request takes what is cheapest for
it, alone: its answer's cost, plus the room it takes, less the quality it adds. The sum of that, less what all room is worth,
plus what the quality asked for is worth, is at most the cost of any schedule that keeps to the limits (weak duality:
Bertsimas and Tsitsiklis, Introduction to Linear Optimization, theorem 4.3). It is so for any prices of at least 0. So the bound
rests neither on the solver's word nor on how requests are grouped: those decide how good it is, not whether it holds.

Prices come from a linear program (`program`): it weighs proposals, the policy's own schedule first, and at its prices
better ones are made, until its value and the bound meet.
"""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from forge1sim.errors import ExperimentError
from forge1sim.experiments.clairvoyant.choices import AT_BEGIN, SECONDS, Choices
from forge1sim.experiments.clairvoyant.groups import group
from forge1sim.experiments.clairvoyant.program import Prices, Program, Proposals, Solution
from forge1sim.experiments.clairvoyant.realised import Realised
from forge1sim.experiments.clairvoyant.rooms import Room, build_rooms, closed_blocks, cut_time
from forge1sim.experiments.clairvoyant.times import Times

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
MOST_BLOCKS = 300
CLOSE_ENOUGH = 0.002                # of the program's value: the bound cannot rise by more
_MOST_ROUNDS = 60
_MOST_WAIT = 64                     # blocks after its first that a request is looked at one by one
_GOLDEN = 0.6180339887498949       # steps of this part of a circle are spread evenly, however many there are
_SMOOTHING = 0.5                    # how far from the best prices so far towards the program's


@dataclass(frozen=True, kw_only=True)
class Bound:
    """At least `bound_nano_usd` is paid for these requests at this quality, by whoever; with how it was found.

    `floor_nano_usd` is what the cheapest answer of each request costs, limits and quality aside. `program_nano_usd` is the value
    of the linear program that the prices are from: the bound could not be above it with better prices.
    `models`, shape (n,), is the model that the program's own schedule gives each request, `from_us` when its block begins;
    `ranking`, shape (n, models), all models by what they are worth to it at these prices, the best first, -1 after the last
    that may serve it.
    """

    bound_nano_usd: float
    floor_nano_usd: int
    paid_nano_usd: int
    program_nano_usd: float
    requests: int
    quality_mean: float
    block_s: float
    proposals: int
    rounds: int
    seconds: float
    models: Ints = field(repr=False)
    from_us: Ints = field(repr=False)
    ranking: NDArray[np.int16] = field(repr=False)

    @property
    def gap(self) -> float:
        """How much of the program's value the bound falls short of, 0 to 1: better prices could raise it by that."""
        return max(0.0, 1.0 - self.bound_nano_usd / self.program_nano_usd) if self.program_nano_usd > 0 else 0.0


def clairvoyant_bound(
    realised: Realised, *, quality_mean: float | None = None, block_s: float | None = None, time_limit_s: float = 600.0
) -> Bound:
    """The bound on the cost of what a policy served.

    `quality_mean` (0 to 1) is what must be delivered on average; by default what the policy delivered. Each request's own
    floor holds in any case. `block_s` cuts time, by default so that there are at most 300 blocks. After `time_limit_s`
    the best bound so far is given. Raises ExperimentError if nothing was served, or for arguments out of range.
    """
    began_s = time.perf_counter()
    _check(realised, quality_mean, block_s)
    if block_s is None:
        block_s = default_block_s((int(realised.requests["arrive_us"][-1]) + 1 - realised.start_us) / 1e6)
    asked_pm = float(realised.quality_pm) if quality_mean is None else quality_mean * 1000.0 * len(realised.requests)
    search = _Search(_Problem(realised, block_s, asked_pm))
    search.run(began_s + time_limit_s)
    models, from_us = search.schedule()
    return Bound(
        bound_nano_usd=float(search.best), floor_nano_usd=search.problem.floor(), paid_nano_usd=realised.paid_nano_usd,
        program_nano_usd=search.solution.nano_usd, requests=len(realised.requests), quality_mean=asked_pm / 1000 / len(realised.requests),
        block_s=block_s, proposals=search.program.size, rounds=search.rounds, models=models,
        from_us=from_us, ranking=search.ranking(), seconds=time.perf_counter() - began_s,
    )  # fmt: skip


def default_block_s(span_s: float) -> float:
    """The shortest usual length that cuts a span into at most 300 blocks."""
    return next((block_s for block_s in BLOCK_SECONDS if span_s / block_s <= MOST_BLOCKS), BLOCK_SECONDS[-1])


def check_block_s(block_s: float | None) -> None:
    """Raise ExperimentError if time cannot be cut so."""
    if block_s is not None and not 0.001 <= block_s <= 1e7:
        raise ExperimentError(f"block_s is {block_s}, must be between 0.001 and 10,000,000")


def _check(realised: Realised, quality_mean: float | None, block_s: float | None) -> None:
    if not len(realised.requests):
        raise ExperimentError("the policy served no request; a bound needs at least one")
    if quality_mean is not None and not 0 <= quality_mean <= 1:
        raise ExperimentError(f"quality_mean is {quality_mean}, must be between 0 and 1")
    check_block_s(block_s)


class _Problem:
    """The requests, what they may use, and the room that there is."""

    def __init__(self, realised: Realised, block_s: float, asked_pm: float) -> None:
        requests = realised.requests
        self.realised, self.asked_pm = realised, asked_pm
        self.choices = choices = Choices(realised)
        leaves_us = np.minimum(np.minimum(requests["deadline_us"], requests["cancel_us"]), realised.end_us)
        last_us = max(int(requests["arrive_us"][-1]), int(leaves_us[leaves_us < realised.end_us].max(initial=0))) + 1
        self.blocks = cut_time(realised.start_us, last_us, realised.end_us + 1, round(block_s * 1e6))
        self.first = self.blocks.of(requests["arrive_us"])
        self.last = np.maximum(self.blocks.of(leaves_us), self.first)
        self.closed = np.array([closed_blocks(pool.faults, realised.start_us, self.blocks) for pool in choices.pools])
        models = [route.model for route in choices.routes]
        self.is_open = np.stack([choices.open_to(route) for route in range(len(models))], axis=1)
        self.nano_usd = choices.nano_usd[:, models].astype(np.float64)
        self.quality_pm = choices.quality_pm[:, models].astype(np.float64)
        self.rooms: list[Room] = []
        self.units: list[dict[int, Floats]] = [{} for _ in models]      # by route: units of each room that it takes, shape (n,)
        self._add_rooms()

    def floor(self) -> int:
        """The cheapest answer of each request that is open to it, in nano-USD."""
        return int(np.where(self.is_open, self.nano_usd, np.inf).min(axis=1).sum())

    def _add_rooms(self) -> None:
        """Keep the rooms that may be short of something, and what each route takes of them."""
        times = Times(self.choices)
        for room in build_rooms(self.choices, self.blocks):
            if room.rule == SECONDS and not times.can_be_asked(room.routes):
                continue
            units = {route: self._units_of(room, route, times) for route in room.routes}
            if self._may_be_short(room, units) and self._allows_later_ends(room, times):
                for route, found in units.items():
                    self.units[route][len(self.rooms)] = found
                self.rooms.append(room)

    def _units_of(self, room: Room, route: int, times: Times) -> Floats:
        if room.rule == SECONDS:
            return times.shortest_s(route)
        return self.choices.uses(room.rule)[:, self.choices.routes[route].model].astype(np.float64)

    def _allows_later_ends(self, room: Room, times: Times) -> bool:
        """Give what is charged at the end its credit; False if it has no bound."""
        if room.rule <= AT_BEGIN:
            return True
        if not times.can_be_asked(room.routes):
            return False
        others = room.per_s if room.rule == SECONDS else float("inf")
        longest_s = max(times.longest_s(route, others) for route in room.routes)
        if np.isfinite(longest_s):
            room.allow_later_ends(longest_s)
        return bool(np.isfinite(longest_s))

    def _may_be_short(self, room: Room, units: dict[int, Floats]) -> bool:
        """Whether all requests that might come in some block could ask for more than it gives. Drops windows that never are."""
        most: Floats = np.zeros(len(self.first))
        for route, found in units.items():
            most = np.maximum(most, np.where(self.is_open[:, route], found, 0.0))
        change = _summed(self.first, most, self.blocks.count + 1)
        change -= _summed(self.last + 1, most, self.blocks.count + 1)
        asked = np.asarray(np.cumsum(change)[:-1] * (1 + 1e-9) + 1e-6, dtype=np.float64)
        total = np.concatenate([[0.0], np.cumsum(asked)])
        room.windows = [(lo, hi, amount) for lo, hi, amount in room.windows if min(total[hi + 1] - total[lo], most.sum() + 1) > amount]
        room.has_level = room.has_level and most.sum() >= min(room.opening, float(room.cap.min(initial=np.inf))) and _runs_out(room, asked)
        return room.has_level or bool(room.windows)

    def rates(self, prices: Prices) -> tuple[Floats, float]:
        """What a unit of each room costs in each block, shape (rooms, blocks), and what all room is worth, as a number below 0."""
        rate, worth = np.zeros((len(self.rooms), self.blocks.count)), 0.0
        for row, room in enumerate(self.rooms):
            if room.has_level:
                level = prices.levels[row]
                rate[row] += level
                step = level - np.append(level[1:], 0.0)
                worth -= float(level @ room.gain) + float(level[0]) * room.opening
                worth += float(np.where(step < 0, step * room.cap, -step * room.over).sum())
            for (lo, hi, amount), price in zip(room.windows, prices.windows[row], strict=True):
                rate[row, lo : hi + 1] += price
                worth -= price * amount
        return rate, worth

    def priced(self, rate: Floats) -> tuple[Floats, Ints]:
        """For each request and route the least that an answer costs with the room it takes, over the blocks open to the request.

        And the block where; shape (n, routes) each. Infinite where a route is closed.
        """
        found: Floats = np.full((len(self.first), len(self.units)), np.inf)
        where = np.repeat(self.first[:, None], len(self.units), axis=1)
        later = np.minimum.accumulate(rate[:, ::-1], axis=1)[:, ::-1]
        wait = self.last - self.first
        for route, units in enumerate(self.units):
            closed = self.closed[self.choices.routes[route].pool]
            may_wait = bool(units) or bool(closed.any())
            for step in range(_MOST_WAIT + 2 if may_wait else 1):
                alive = np.flatnonzero(self.is_open[:, route] & (wait >= step))
                block = self.first[alive] + step
                # Beyond what is looked at one by one each room counts at its cheapest moment.
                at = later if step > _MOST_WAIT else rate
                value = self.nano_usd[alive, route]
                for room, taken in units.items():
                    value = value + at[room, block] * taken[alive]
                if step <= _MOST_WAIT:
                    value = np.where(closed[block], np.inf, value)
                better = value < found[alive, route]
                found[alive[better], route] = value[better]
                if step > _MOST_WAIT and units:
                    block = _cheapest_from(rate[next(iter(units))])[block]
                    block = np.minimum(block, self.last[alive])
                where[alive[better], route] = block[better]
        return found, where

    def columns(self, route: Ints, block: Ints, group_of: Ints, chosen: Ints) -> Proposals:
        """What requests ask for that go by these routes in these blocks, for the groups `chosen`; arguments of shape (n,)."""
        groups = int(group_of.max()) + 1
        place = np.full(groups, -1)
        place[chosen] = np.arange(len(chosen))
        rows = np.arange(len(route))
        cost = _summed(group_of, self.nano_usd[rows, route], groups)
        quality = _summed(group_of, self.quality_pm[rows, route], groups)
        keys, units = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
        for number, taken in enumerate(self.units):
            mine = np.flatnonzero((route == number) & (place[group_of] >= 0))
            for room, found in taken.items():
                keys.append((place[group_of[mine]] * len(self.rooms) + room) * self.blocks.count + block[mine])
                units.append(found[mine])
        key, at = np.unique(np.concatenate(keys), return_inverse=True)
        total = _summed(at, np.concatenate(units), len(key))
        pair: Ints = key // self.blocks.count
        at_place: Ints = pair // max(1, len(self.rooms))
        room_of: Ints = pair % max(1, len(self.rooms))
        at_block: Ints = key % self.blocks.count
        return Proposals(groups=chosen, nano_usd=cost[chosen], quality_pm=quality[chosen], taken=(at_place, room_of, at_block, total))


def _summed(place: Ints, values: Floats, count: int) -> Floats:
    """The sum of the values at each of `count` places."""
    return np.asarray(np.bincount(place, weights=values, minlength=count), dtype=np.float64)


def _runs_out(room: Room, asked: Floats) -> bool:
    """Whether a level would fall below 0 if all of `asked`, shape (blocks,), were taken."""
    level = room.opening
    for gain, cap, units in zip(room.gain.tolist(), room.cap.tolist(), asked.tolist(), strict=True):
        level = min(cap, level + gain - units)
        if level < 0:
            return True
    return False


def _cheapest_from(rate: Floats) -> Ints:
    """For each block the cheapest one from there on, shape (blocks,)."""
    found = np.arange(len(rate))
    for block in range(len(rate) - 2, -1, -1):
        if rate[found[block + 1]] <= rate[block]:
            found[block] = found[block + 1]
    return found


class _Search:
    """Rounds of prices and proposals, and the best bound seen."""

    def __init__(self, problem: _Problem) -> None:
        self.problem, realised = problem, problem.realised
        self.group_of = group(problem.choices, problem.first)
        self.groups = int(self.group_of.max()) + 1
        n = len(problem.first)
        money = max(1.0, float(realised.answer_nano_usd.sum()) / n)
        self.program = Program(problem.rooms, problem.blocks.count, self.groups, problem.asked_pm, n, money)
        self.made: list[tuple[Ints, Ints, Ints]] = []       # route and block of each request, and the groups that were proposed so
        self.best, self.rounds = -np.inf, 0
        self.best_prices = self._no_prices()
        self.solution: Solution

    def run(self, until_s: float) -> None:
        """Look for better prices until the bound is close to the program's value, or nothing better is found, or time is up."""
        realised, problem = self.problem.realised, self.problem
        self._propose(problem.choices.route_of[realised.deployments], problem.blocks.of(realised.sent_us), np.arange(self.groups))
        found, where = problem.priced(problem.rates(self.best_prices)[0])
        price = self._best_quality_price(found, problem.rates(self.best_prices)[1], 0.0)
        for part in (0.0, 0.9, 1.0, 1.1, 3.0) if price > 0 else (0.0,):
            route = (found - part * price * problem.quality_pm).argmin(axis=1)
            self._propose(route, where[np.arange(len(route)), route], np.arange(self.groups))
        part = _SMOOTHING
        for self.rounds in range(1, _MOST_ROUNDS + 1):
            self.solution = self.program.solve(until_s - time.perf_counter())
            prices = self.best_prices.towards(self.solution.prices, part if self.rounds > 1 else 1.0)
            added = self._try(prices)
            is_close = self.best >= (1 - CLOSE_ENOUGH) * self.solution.nano_usd
            if is_close or time.perf_counter() > until_s or (not added and part == 1.0):
                break
            part = _SMOOTHING if added else 1.0

    def _no_prices(self) -> Prices:
        rooms, blocks = self.problem.rooms, self.problem.blocks.count
        return Prices(
            levels=[np.zeros(blocks if room.has_level else 0) for room in rooms],
            windows=[np.zeros(len(room.windows)) for room in rooms], quality=0.0,
        )  # fmt: skip

    def _propose(self, route: Ints, block: Ints, chosen: Ints) -> None:
        self.program.add(self.problem.columns(route, block.astype(np.int64), self.group_of, chosen))
        self.made.append((route.astype(np.int16), block.astype(np.int16), chosen))

    def _try(self, prices: Prices) -> bool:
        """The bound at these prices, and proposals that are worth weighing; False if there are none."""
        problem = self.problem
        rate, worth = problem.rates(prices)
        found, where = problem.priced(rate)
        value = found - prices.quality * problem.quality_pm
        route = value.argmin(axis=1)
        rows = np.arange(len(route))
        bound = float(value[rows, route].sum()) + worth + prices.quality * problem.asked_pm
        if bound > self.best:
            self.best, self.best_prices = bound, prices
        block = where[rows, route].astype(np.int64)
        mine = self.solution.prices
        asked, _ = problem.rates(mine)
        cost = problem.nano_usd[rows, route] - mine.quality * problem.quality_pm[rows, route]
        for number, taken in enumerate(problem.units):
            here = np.flatnonzero(route == number)
            for room, units in taken.items():
                cost[here] += asked[room, block[here]] * units[here]
        saved = self.solution.worth - _summed(self.group_of, cost, self.groups)
        chosen = np.flatnonzero(saved > 1e-6 * self.program.money)
        if len(chosen):
            self._propose(route, block, chosen)
        return bool(len(chosen))

    def _best_quality_price(self, found: Floats, worth: float, guess: float) -> float:
        """The price of quality with the best bound at these prices of room, which is raised if that is better.

        The bound is concave in it, and its slope, what is asked for less what is delivered, is bisected.
        """
        problem = self.problem
        rows = np.arange(len(found))

        def at(price: float) -> tuple[float, float]:
            value = found - price * problem.quality_pm
            route = value.argmin(axis=1)
            slope = problem.asked_pm - float(problem.quality_pm[rows, route].sum())
            return float(value[rows, route].sum()) + price * problem.asked_pm + worth, slope

        low, high = 0.0, max(1.0, 2 * guess)
        while at(high)[1] > 0 and high < 1e15:
            low, high = high, high * 4
        best, best_price = max((at(low)[0], low), (at(0.0)[0], 0.0))
        while high - low > 1e-4 * high:
            middle = (low + high) / 2
            value, slope = at(middle)
            if value > best:
                best, best_price = value, middle
            low, high = (middle, high) if slope > 0 else (low, middle)
        if best > self.best:
            self.best, self.best_prices = best, Prices(levels=self.best_prices.levels, windows=self.best_prices.windows, quality=best_price)
        return best_price

    def schedule(self) -> tuple[Ints, Ints]:
        """A model for each request, and when its block begins, shape (n,) each.

        Proposals are drawn in proportion to their weights, evenly over the members of a group.
        """
        n = len(self.group_of)
        order = np.argsort(self.group_of, kind="stable")
        starts = np.searchsorted(self.group_of[order], np.arange(self.groups))
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n) - starts[self.group_of[order]]
        point = (rank + 0.5) * _GOLDEN % 1.0
        total = np.zeros(self.groups)
        for (_, _, chosen), weights in zip(self.made, self.solution.weights, strict=False):
            total[chosen] += weights
        route, block = (one.astype(np.int64) for one in self.made[0][:2])
        passed = np.zeros(self.groups)
        for (routes, blocks, chosen), weights in zip(self.made, self.solution.weights, strict=False):
            before = passed[self.group_of]
            passed[chosen] += weights / np.maximum(total[chosen], 1e-12)
            drawn = (point >= before) & (point < passed[self.group_of])
            route[drawn], block[drawn] = routes[drawn], blocks[drawn]
        models = np.array([one.model for one in self.problem.choices.routes], dtype=np.int64)
        return models[route], self.problem.blocks.edges[block]

    def ranking(self) -> NDArray[np.int16]:
        """Models by value at the best prices, shape (n, models); -1 after the last that may serve a request."""
        problem = self.problem
        found, _ = problem.priced(problem.rates(self.best_prices)[0])
        value = np.full((len(found), problem.choices.models), np.inf)
        for number, one in enumerate(problem.choices.routes):
            here = found[:, number] - self.best_prices.quality * problem.quality_pm[:, number]
            value[:, one.model] = np.minimum(value[:, one.model], here)
        order = np.argsort(value, axis=1, kind="stable")
        return np.where(np.isfinite(np.take_along_axis(value, order, axis=1)), order, -1).astype(np.int16)
