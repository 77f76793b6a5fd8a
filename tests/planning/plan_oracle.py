"""The cheapest plan by trying every one: no code, and as few ideas as possible, shared with the program under test.

Every vector of accounts and commitments gets a linear program of its own, written with loops over the problem's data: unmet demand
and reserved and common room are variables here, a tail is every worst mix of scenarios, and each loss is a program by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations, product

import numpy as np
from scipy.optimize import linprog

from forge1sim.planning.cuts import AffineCost, CostsAtLeast, NotWithin, Slope
from forge1sim.planning.problem import Counts, Problem


@dataclass
class Rows:
    """A linear program by names of variables."""

    names: dict[tuple, int] = field(default_factory=dict)
    cost: list[float] = field(default_factory=list)
    most: list[tuple[dict[int, float], float]] = field(default_factory=list)
    same: list[tuple[dict[int, float], float]] = field(default_factory=list)
    tops: list[float | None] = field(default_factory=list)

    def variable(self, *name, cost=0.0, top=None) -> int:
        self.names[name] = len(self.cost)
        self.cost.append(cost)
        self.tops.append(top)
        return self.names[name]

    def solve(self) -> tuple[float, np.ndarray] | None:
        count = len(self.cost)

        def dense(rows):
            made = np.zeros((len(rows), count))
            for number, (terms, _) in enumerate(rows):
                for column, factor in terms.items():
                    made[number, column] += factor
            return (made, [limit for _, limit in rows]) if rows else (None, None)

        (a_ub, b_ub), (a_eq, b_eq) = dense(self.most), dense(self.same)
        found = linprog(self.cost, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=b_eq, bounds=[(0, top) for top in self.tops], method="highs")
        return (found.fun, found.x) if found.status == 0 else None


def plans(problem: Problem) -> Iterator[Counts]:
    """Every vector of accounts, and of commitments."""
    for accounts in product(*[list(_vectors(kind)) for kind in problem.kinds]):
        for taken in product([False, True], repeat=len(problem.commitments)):
            chosen = [one.provider for one, is_taken in zip(problem.commitments, taken, strict=True) if is_taken]
            if len(set(chosen)) == len(chosen):
                yield Counts(accounts=accounts, commitments=taken)


def _vectors(kind):
    for vector in product(range(kind.at_most + 1), repeat=len(kind.states)):
        if kind.at_least <= sum(vector) <= kind.at_most and all(sum(vector[at:]) <= state.most for at, state in enumerate(kind.states)):
            yield vector


def cheapest(problem: Problem, cuts=()) -> tuple[float, Counts | None]:
    """The least cost of all plans, and a plan that has it; infinite if there is none."""
    best = (np.inf, None)
    for counts in plans(problem):
        usd = cost_of(problem, counts, cuts)
        if usd < best[0]:
            best = (usd, counts)
    return best


def cost_of(problem: Problem, counts: Counts, cuts=()) -> float:
    """What a plan costs at the best flows; infinite if it cannot keep what is asked."""
    if not all(_survives(problem, counts, loss) for loss in ("account", "provider")) or not _within_cuts(counts, cuts):
        return np.inf
    fees = sum(n * state.usd_per_month for kind, of in zip(problem.kinds, counts.accounts, strict=True)
               for n, state in zip(of, kind.states, strict=True))  # fmt: skip
    rows = _flows(problem, counts.accounts, problem.demand, moment=False)
    scenarios, _, blocks = problem.demand.shape
    beyond = rows.variable("beyond", cost=1.0)
    running: dict[int, float] = {beyond: 1.0}
    paid: dict[int, float] = {}
    for s in range(scenarios):
        for provider in sorted({kind.provider for kind in problem.kinds}):
            spent = {}
            for (what, *at), column in rows.names.items():
                if what == "x" and at[0] == s and problem.kinds[at[2]].provider == provider:
                    spent[column] = problem.classes[at[1]].usd[at[2], at[3]] * problem.repeats[at[4]]
            choices = zip(problem.commitments, counts.commitments, strict=True)
            taken = [one for one, is_taken in choices if is_taken and one.provider == provider]
            pay = rows.variable("pay", s, provider, cost=problem.probability[s])
            paid[pay] = problem.probability[s]
            off = taken[0].discount if taken else 0.0
            rows.most.append(({**{column: usd * (1 - off) for column, usd in spent.items()}, pay: -1.0}, 0.0))
            if taken:
                rows.most.append(({pay: -1.0}, -taken[0].usd_per_month))
            for column, usd in spent.items():
                running[column] = usd * problem.probability[s]
        for c, b in product(range(len(problem.classes)), range(blocks)):
            refused = rows.names["u", s, c, b]
            running[refused] = rows.cost[refused] = problem.classes[c].refusal_usd * problem.repeats[b] * problem.probability[s]
    if problem.budget_usd_per_month is not None:
        rows.most.append((paid, problem.budget_usd_per_month - fees))
    _goals(problem, rows)
    for cut in cuts:
        if isinstance(cut, CostsAtLeast) and is_within(counts, cut.counts):
            rows.most.append(({column: -usd for column, usd in running.items()}, -cut.usd))
        if isinstance(cut, AffineCost):
            least = cut.constant_usd - sum(usd * n for of, ns in zip(cut.usd_by_coordinate, _above(counts), strict=True)
                                           for usd, n in zip(of, ns, strict=True))  # fmt: skip
            rows.most.append(({column: -usd for column, usd in running.items()}, -least))
    found = rows.solve()
    return np.inf if found is None else fees + found[0]


def _above(counts: Counts):
    return [[sum(of[at:]) for at in range(len(of))] for of in counts.accounts]


def is_within(counts: Counts, other: Counts) -> bool:
    """Whether a plan has no coordinate above those of another."""
    return all(one <= two for of, others in zip(_above(counts), _above(other), strict=True) for one, two in zip(of, others, strict=True))


def _within_cuts(counts: Counts, cuts) -> bool:
    for cut in cuts:
        if isinstance(cut, NotWithin) and is_within(counts, cut.counts):
            return False
        if isinstance(cut, Slope):
            rise = sum(slope * (n - n0) for of, ns, n0s in zip(cut.slope, _above(counts), _above(cut.counts), strict=True)
                       for slope, n, n0 in zip(of, ns, n0s, strict=True))  # fmt: skip
            if cut.attained + rise < cut.target - 1e-9:
                return False
    return True


def _flows(problem: Problem, accounts, demand, *, moment: bool, gone: str | None = None) -> Rows:
    """Answers x and refusals u of all demand in the rooms of these accounts."""
    rows = Rows()
    scenarios, classes, blocks = demand.shape
    models = len(problem.models)
    for s, c, b in product(range(scenarios), range(classes), range(blocks)):
        terms = {rows.variable("u", s, c, b): 1.0}
        for k, m in product(range(len(problem.kinds)), range(models)):
            usable = sum(accounts[k]) > 0 and problem.kinds[k].provider != gone
            top = problem.classes[c].most_share[k, m] * demand[s, c, b] if usable else 0.0
            terms[rows.variable("x", s, c, k, m, b, top=top)] = 1.0
        rows.same.append((terms, demand[s, c, b]))
    for number, room in enumerate(problem.rooms):
        for s, (place, span) in product(range(scenarios), enumerate(room.spans)):
            given = [n * room.capacity[t, place] for t, n in enumerate(accounts[room.kind]) if n > 0]
            if np.isinf(sum(given)):
                continue
            usable = sum(given) * room.usable[place]
            shared = {}
            for tier in range(len(problem.tiers)):
                common = rows.variable("common", number, s, place, tier)
                shared[common] = 1.0
                terms = {common: -1.0}
                for c, m, b in product(range(classes), range(models), span):
                    if problem.classes[c].tier == tier:
                        times = room.times[b] if len(span) == 1 or not moment else min(room.times[b], 1.0)
                        terms[rows.names["x", s, c, room.kind, m, b]] = room.units[c, m] * times
                rows.most.append((terms, room.kept_for[tier] * usable))
            rows.most.append((shared, (1.0 - room.kept_for.sum()) * usable))
    return rows


def _survives(problem: Problem, counts: Counts, loss: str) -> bool:
    promised: dict[tuple[int, int], dict[int, float]] = {}
    for one in problem.survivals:
        if one.lost == loss:
            for moment in one.moments:
                tiers = promised.setdefault(moment, {})
                tiers[one.tier] = max(tiers.get(one.tier, 0.0), one.served_share)
    return all(_serves(problem, counts, moment, tiers, loss) for moment, tiers in promised.items())


def _serves(problem: Problem, counts: Counts, moment, tiers, loss: str) -> bool:
    s, b = moment
    demand = np.zeros((1, *problem.demand.shape[1:]))
    for c, one in enumerate(problem.classes):
        if one.tier in tiers:
            demand[0, c, b] = problem.demand[s, c, b]
    lost = range(len(problem.kinds)) if loss == "account" else sorted({kind.provider for kind in problem.kinds})
    for what in lost:
        accounts = [list(of) for of in counts.accounts]
        if loss == "account" and sum(accounts[what]) > 0:
            accounts[what][max(t for t, n in enumerate(accounts[what]) if n > 0)] -= 1
        rows = _flows(problem, accounts, demand, moment=True, gone=what if loss == "provider" else None)
        for tier, share in tiers.items():
            of = [c for c, one in enumerate(problem.classes) if one.tier == tier]
            rows.most.append(({rows.names["u", 0, c, b]: 1.0 for c in of}, (1.0 - share) * sum(demand[0, c, b] for c in of) + 1e-9))
        if rows.solve() is None:
            return False
    return True


def _goals(problem: Problem, rows: Rows) -> None:
    scenarios, classes, blocks = problem.demand.shape
    answers = {at: column for (what, *at), column in rows.names.items() if what == "x" for at in [tuple(at)]}
    weight = {(s, c, k, m, b): problem.probability[s] * problem.repeats[b] for s, c, k, m, b in answers}
    for goal in problem.goals:
        of = [c for c in range(classes) if goal.tier is None or problem.classes[c].tier == goal.tier]
        losses = []
        for s in range(scenarios):
            total = sum(problem.demand[s, c, b] * problem.repeats[b] for c, b in product(of, range(blocks)))
            asked = product(of, range(blocks)) if total > 0 else ()
            losses.append({rows.names["u", s, c, b]: problem.repeats[b] / total for c, b in asked})
        if goal.served_share is not None:
            for mix in _mixes(problem.probability, goal):
                terms = {column: q * loss for q, of_s in zip(mix, losses, strict=True) for column, loss in of_s.items()}
                rows.most.append((terms, 1.0 - goal.served_share))
        if goal.quality_mean is not None:
            rows.most.append(({column: weight[at] * (goal.quality_mean - problem.classes[at[1]].quality[at[3]])
                               for at, column in answers.items() if at[1] in of}, 0.0))  # fmt: skip
        if goal.usd_per_request is not None:
            rows.most.append(({column: weight[at] * (problem.classes[at[1]].usd[at[2], at[3]] - goal.usd_per_request)
                               for at, column in answers.items() if at[1] in of}, 0.0))  # fmt: skip
    if problem.most_share_per_provider is not None:
        for provider in {kind.provider for kind in problem.kinds}:
            rows.most.append(({column: weight[at] * ((problem.kinds[at[2]].provider == provider) - problem.most_share_per_provider)
                               for at, column in answers.items()}, 0.0))  # fmt: skip


def _mixes(probability, goal) -> list[np.ndarray]:
    """Weights of scenarios under each of which the loss must be small enough."""
    count = len(probability)
    if goal.in_each:
        return list(np.eye(count))
    if goal.tail is None:
        return [probability]
    found = []
    for order in permutations(range(count)):
        left, mix = 1.0, np.zeros(count)
        for s in order:
            mix[s] = min(left, probability[s] / (1.0 - goal.tail))
            left -= mix[s]
        found.append(mix)
    return found
