"""What is wrong with a problem, in one message, before a solver is called."""

from collections.abc import Iterator, Sequence

import numpy as np

from forge1sim.errors import PlanError
from forge1sim.planning.cuts import AffineCost, CostsAtLeast, Cut, NotWithin, Slope
from forge1sim.planning.problem import Commitment, Counts, DemandClass, Floats, Goal, Kind, Problem, Room, Survival


def check(problem: Problem, cuts: Sequence[Cut] = (), fixed: Counts | None = None) -> None:
    """Raises PlanError that names the first thing that cannot be, its value, and what would be right."""
    for wrong in _wrongs(problem, cuts, fixed):
        raise PlanError(wrong)


def _wrongs(problem: Problem, cuts: Sequence[Cut], fixed: Counts | None) -> Iterator[str]:
    yield from _demand(problem)
    for kind in problem.kinds:
        yield from _kind(kind)
    for one in problem.classes:
        yield from _class(one, problem)
    for room in problem.rooms:
        yield from _room(room, problem)
    for goal in problem.goals:
        yield from _goal(goal, problem)
    for survival in problem.survivals:
        yield from _survival(survival, problem)
    for commitment in problem.commitments:
        yield from _commitment(commitment, problem)
    if problem.budget_usd_per_month is not None:
        yield from _number("budget_usd_per_month", problem.budget_usd_per_month, 0.0)
    if problem.most_share_per_provider is not None:
        yield from _number("most_share_per_provider", problem.most_share_per_provider, 0.0, 1.0)
    for number, cut in enumerate(cuts, 1):
        yield from _cut(f"cut {number}", cut, problem)
    if fixed is not None:
        yield from _fixed(fixed, problem)


def _number(name: str, value: float, low: float, high: float = np.inf, *, endless: bool = False) -> Iterator[str]:
    """A figure that is finite (or may be `endless`) and from low to high."""
    if np.isnan(value) or not low <= value <= high or (np.isinf(value) and not endless):
        least = f"from {low:g} to {high:g}" if np.isfinite(high) else f"a number of at least {low:g}"
        yield f"{name} is {value}, must be {least}"


def _array(name: str, values: Floats, shape: tuple[int, ...], low: float, high: float = np.inf, *, endless: bool = False) -> Iterator[str]:
    """Such figures, in this shape. The message names the first place that is wrong."""
    if np.shape(values) != shape:
        yield f"{name} has shape {np.shape(values)}, must have {shape}"
        return
    right = (values >= low) & (values <= high) & (np.isfinite(values) | endless)
    for place in np.argwhere(~right)[:1].tolist():
        yield from _number(f"{name}{place}", float(values[tuple(place)]), low, high, endless=endless)


def _demand(problem: Problem) -> Iterator[str]:
    shape = np.shape(problem.demand)
    if len(shape) != 3 or 0 in (shape[0], shape[2]):
        yield f"demand has shape {shape}, must be (scenarios, classes, blocks) with a scenario and a block at least"
        return
    scenarios, _, blocks = shape
    yield from _array("demand", problem.demand, (scenarios, len(problem.classes), blocks), 0.0)
    yield from _array("probability", problem.probability, (scenarios,), 0.0, 1.0)
    yield from _array("repeats", problem.repeats, (blocks,), 0.0)
    if abs(float(np.sum(problem.probability)) - 1.0) > 1e-6:
        yield f"probability sums to {float(np.sum(problem.probability)):g}, must sum to 1"


def _kind(kind: Kind) -> Iterator[str]:
    name = f"kind {kind.name}"
    if not kind.states:
        yield f"{name} has no state, must have one at least"
        return
    if len(kind.held) != len(kind.states):
        yield f"{name}: held has {len(kind.held)} figures, must have one for each of {len(kind.states)} states"
    yield from _number(f"{name}: at_least", kind.at_least, 0.0)
    if kind.at_least > kind.at_most:
        yield f"{name}: at_least is {kind.at_least}, above at_most, {kind.at_most}"
    for state in kind.states:
        yield from _number(f"{name}, state {state.name}: most", state.most, 0.0)
        yield from _number(f"{name}, state {state.name}: usd_per_month", state.usd_per_month, 0.0)
    if kind.at_least > kind.states[0].most:
        yield f"{name}: at_least is {kind.at_least}, but its lowest state may hold {kind.states[0].most} at most"


def _class(one: DemandClass, problem: Problem) -> Iterator[str]:
    name, shape = f"class {one.name}", (len(problem.kinds), len(problem.models))
    yield from _index(f"{name}: tier", one.tier, len(problem.tiers))
    yield from _array(f"{name}: most_share", one.most_share, shape, 0.0, 1.0)
    yield from _array(f"{name}: usd", one.usd, shape, 0.0)
    yield from _array(f"{name}: quality", one.quality, shape[1:], 0.0, 1.0)
    yield from _number(f"{name}: refusal_usd", one.refusal_usd, 0.0)


def _room(room: Room, problem: Problem) -> Iterator[str]:
    name, blocks = f"room {room.name}", problem.demand.shape[2]
    yield from _index(f"{name}: kind", room.kind, len(problem.kinds))
    if not 0 <= room.kind < len(problem.kinds):
        return
    if not room.spans or any(not span for span in room.spans):
        yield f"{name} has an empty span, or none: each must name a block at least"
        return
    for span in room.spans:
        for block in span:
            yield from _index(f"{name}: a block of its spans", block, blocks)
    states = len(problem.kinds[room.kind].states)
    yield from _array(f"{name}: units", room.units, (len(problem.classes), len(problem.models)), 0.0)
    yield from _array(f"{name}: times", room.times, (blocks,), 0.0)
    yield from _array(f"{name}: capacity", room.capacity, (states, len(room.spans)), 0.0, endless=True)
    yield from _array(f"{name}: usable", room.usable, (len(room.spans),), 0.0, 1.0)
    yield from _array(f"{name}: kept_for", room.kept_for, (len(problem.tiers),), 0.0, 1.0)
    if float(np.sum(room.kept_for)) > 1.0 + 1e-9:
        yield f"{name}: kept_for sums to {float(np.sum(room.kept_for)):g}, must sum to 1 at most"


def _goal(goal: Goal, problem: Problem) -> Iterator[str]:
    name = "goal for all" if goal.tier is None else f"goal for tier {goal.tier}"
    if goal.tier is not None:
        yield from _index("a goal's tier", goal.tier, len(problem.tiers))
    for field, value, high in (("served_share", goal.served_share, 1.0), ("quality_mean", goal.quality_mean, 1.0),
                               ("usd_per_request", goal.usd_per_request, np.inf)):  # fmt: skip
        if value is not None:
            yield from _number(f"{name}: {field}", value, 0.0, high)
    if goal.tail is not None:
        yield from _number(f"{name}: tail", goal.tail, 0.0, 1.0)
        if goal.tail == 1.0:
            yield f"{name}: tail is 1, must be below 1"
        if goal.in_each:
            yield f"{name} has both tail and in_each, must have one of them"


def _survival(survival: Survival, problem: Problem) -> Iterator[str]:
    yield from _index("a survival's tier", survival.tier, len(problem.tiers))
    yield from _number("a survival's served_share", survival.served_share, 0.0, 1.0)
    if survival.lost not in {"account", "provider"}:
        yield f"a survival's lost is {survival.lost!r}, must be 'account' or 'provider'"
    for scenario, block in survival.moments:
        yield from _index("a survival's scenario", scenario, problem.demand.shape[0])
        yield from _index("a survival's block", block, problem.demand.shape[2])


def _commitment(commitment: Commitment, problem: Problem) -> Iterator[str]:
    name = f"commitment {commitment.name}"
    yield from _number(f"{name}: usd_per_month", commitment.usd_per_month, 0.0)
    yield from _number(f"{name}: discount", commitment.discount, 0.0, 1.0)
    providers = sorted({kind.provider for kind in problem.kinds})
    if commitment.provider not in providers:
        yield f"{name}: provider is {commitment.provider}, must be one of {', '.join(providers)}"


def _index(name: str, value: int, count: int) -> Iterator[str]:
    if not 0 <= value < count:
        yield f"{name} is {value}, must be from 0 to {count - 1}"


def _cut(name: str, cut: Cut, problem: Problem) -> Iterator[str]:
    if isinstance(cut, NotWithin | CostsAtLeast | Slope):
        yield from _shaped(f"{name}: counts", cut.counts.accounts, problem)
    if isinstance(cut, AffineCost):
        yield from _shaped(f"{name}: usd_by_coordinate", cut.usd_by_coordinate, problem)
        yield from _number(f"{name}: constant_usd", cut.constant_usd, -1e300)
    if isinstance(cut, Slope):
        yield from _shaped(f"{name}: slope", cut.slope, problem)
        yield from _number(f"{name}: attained less target", cut.attained - cut.target, -1e300)
    if isinstance(cut, CostsAtLeast):
        yield from _number(f"{name}: usd", cut.usd, 0.0)


def _shaped(name: str, figures: Sequence[Sequence[float]], problem: Problem) -> Iterator[str]:
    """A finite figure for each state of each kind."""
    states = [len(kind.states) for kind in problem.kinds]
    if [len(of_kind) for of_kind in figures] != states:
        yield f"{name} has {[len(of_kind) for of_kind in figures]} figures by kind, must have {states}, one for each state"
        return
    for of_kind in figures:
        for figure in of_kind:
            yield from _number(name, figure, -1e300)


def _fixed(fixed: Counts, problem: Problem) -> Iterator[str]:
    yield from _shaped("fixed accounts", fixed.accounts, problem)
    if fixed.commitments and len(fixed.commitments) != len(problem.commitments):
        yield f"fixed commitments are {len(fixed.commitments)}, must be {len(problem.commitments)}, or none to leave them free"
    for kind, above in zip(problem.kinds, fixed.at_or_above, strict=True):
        if not kind.at_least <= above[0] <= kind.at_most:
            yield f"fixed accounts of {kind.name} are {above[0]}, must be from {kind.at_least} to {kind.at_most}"
        for state, count in zip(kind.states, above, strict=True):
            if count > state.most:
                yield f"fixed accounts of {kind.name} at {state.name} or above are {count}, may be {state.most} at most"
        if min(fixed.accounts[problem.kinds.index(kind)]) < 0:
            yield f"fixed accounts of {kind.name} are {fixed.accounts[problem.kinds.index(kind)]}, must not be below 0"
